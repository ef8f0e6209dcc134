"""One asset per step of the path: its body calls the step once per partition and records what the step says.

In a range of periods each has its own materialisation, data version and check results, and a period that a step or a
blocking check holds back stops alone: later tables keep its last good rows or go without, and the last one of the run
fails and names it.
"""

# No postponed annotations here: the engine looks at the type of `context`.
from collections.abc import Iterable, Iterator

import dagster as dg

from dci_pipeline.defs import events, metadata
from dci_pipeline.defs.fan_out import fanned_out
from dci_pipeline.defs.freshness import freshness
from dci_pipeline.defs.partitions import Partitions
from dci_pipeline.defs.recording import record_of
from dci_pipeline.findings import Finding, Held
from dci_pipeline.path import path
from dci_pipeline.periods import Period
from dci_pipeline.reads import Reading
from dci_pipeline.retrying import run_step
from dci_pipeline.warehouse.stamps import code_version
from dci_pipeline.work import Key, Outcome, Step, Work

OWNERS = ("team:data-engineering",)
_OUTPUT = "result"
_LISTED = 12

Event = dg.AssetMaterialization | dg.Output[None]


def asset_key(index: str, step_key: Key) -> dg.AssetKey:
    return dg.AssetKey([index, *step_key])


def assets(work: Work, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Every asset of an index, in the order of its path."""
    steps = path(work.framework)
    scopes = {step.key: step.scope for step in steps}
    return [_asset(work, step, partitions, scopes=scopes, readers=_readers(steps, step)) for step in steps]


def _readers(steps: Iterable[Step], step: Step) -> frozenset[Key]:
    return frozenset(
        other.key for other in steps if other is not step and any(key == step.key for key, _ in other.reads)
    )


def _asset(
    work: Work, step: Step, partitions: Partitions, *, scopes: dict[Key, str], readers: frozenset[Key]
) -> dg.AssetsDefinition:
    key, definition = asset_key(work.index, step.key), partitions.of(step)
    if step.key[0] == "validation" and work.settings.executor != "in_process":
        return fanned_out(
            work,
            step,
            partitions,
            lambda context: _run(context, work, step, partitions, readers=readers),
            key=key,
            reads={asset_key(work.index, read): partitions.mapping(reading) for read, reading in step.reads},
            owners=OWNERS,
            kinds=_kinds(work, step),
        )

    @dg.asset(
        key=key,
        group_name=step.key[0],
        description=step.description,
        owners=OWNERS,
        kinds=_kinds(work, step),
        tags={"index": work.index, "scope": step.scope, **({"published": ""} if step.published else {})},
        metadata=metadata.of_step(work.framework, step),
        partitions_def=definition,
        dagster_type=dg.Nothing,  # pyright: ignore[reportArgumentType] - nothing passes between assets but the order
        backfill_policy=dg.BackfillPolicy.single_run() if definition else None,
        code_version=code_version(),
        freshness_policy=freshness(work.framework.feeds[step.key[1]], partitions) if step.key[0] == "feeds" else None,
        deps=[
            dg.AssetDep(
                asset_key(work.index, read), partition_mapping=_mapping(partitions, step, scopes[read], reading)
            )
            for read, reading in step.reads
            # A table goes on from its own earlier periods in their order; the engine need not know.
            if read != step.key
        ],
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, description=says, blocking=True, partitions_def=definition)
            for name, says in step.checks
        ],
    )
    def body(context: dg.AssetExecutionContext) -> Iterator[Event]:
        yield from _run(context, work, step, partitions, readers=readers)

    return body


def _mapping(partitions: Partitions, step: Step, read: str, reading: Reading) -> dg.PartitionMapping | None:
    """The mapping of a read, or None where one side has no partitions to map."""
    return partitions.mapping(reading) if {read, step.scope} <= {"period", "year"} else None


def _kinds(work: Work, step: Step) -> set[str]:
    stage, name = step.key
    if name == "catalogue":
        return {"duckdb"}
    return {*(work.engine_names if stage == "validation" else ["polars"]), "parquet"}


def _run(
    context: dg.AssetExecutionContext, work: Work, step: Step, partitions: Partitions, *, readers: frozenset[Key]
) -> Iterator[Event]:
    """The step for every partition of the run. Raises Failure for what no later table of the run can go on without."""
    record = record_of(context.run.run_id)
    wanted: list[Period | None] = [None]
    if step.scope in ("period", "year"):
        wanted = [partitions.period(key, step.scope) for key in context.partition_keys]
    reads = [asset_key(work.index, read) for read, _ in step.reads if read != step.key]
    tags = events.inputs(context, reads)
    held: dict[Period | None, str] = {}

    def say(fault: str) -> None:
        record.report.retried.append(fault)
        context.log.warning(fault)

    for period in wanted:
        before = record.why_held(period)
        record.begins(step, period)
        try:
            outcome = run_step(step, work, period, say=say)
        except Held as reason:
            held[period] = before or str(reason)
            continue
        except Finding as finding:
            record.error = finding
            raise dg.Failure(
                f"{work.index}/{'/'.join(step.key)} {period or ''}".strip() + f": {finding}", allow_retries=False
            ) from None
        except Exception as error:
            record.error = error
            raise
        outcome = record.ends(step, outcome)
        if before is not None and outcome.state == "unchanged":
            # Nothing was done for a period that is held back: its last good partition stands as it was.
            continue
        key = partitions.key(period) if period else None
        # A run over many periods is looked at in its last.
        shown = period == wanted[-1]
        yield events.materialised(context, work, step, outcome, key=key, tags=tags, shown=shown)
        for evaluation in events.evaluations(context, outcome, key=key):
            # Logged, not yielded: a yielded failure of a blocking check fails the step, whichever partition it is of.
            context.log_event(evaluation)  # pyright: ignore[reportArgumentType] - taken, but not in the annotation
        if outcome.failures:
            held[period] = str(_blocked(work, outcome))
    # What was logged is written with the next event yielded, so the checks' own outputs come before any failure.
    yield from (
        dg.Output(None, output_name=name)
        for name in sorted(context.op_execution_context.selected_output_names)
        if name != _OUTPUT
    )
    for period, reason in held.items():
        record.hold(period, reason)
        context.log.warning(f"held back: {reason}")
    in_run = context.job_def.asset_layer.selected_asset_keys
    last = not any(asset_key(work.index, reader) in in_run for reader in readers)
    every = {period: reason for period in wanted if (reason := record.why_held(period)) is not None} if last else held
    if every and (last or len(held) == len(wanted)):
        raise _failure(work, step, every)
    yield dg.Output(None, output_name=_OUTPUT, metadata=events.OWN_EVENTS)


def _blocked(work: Work, outcome: Outcome) -> Held:
    stage, name = outcome.key
    return Held(
        "a blocking check failed",
        where=f"{work.index}/{stage}/{name} {outcome.period or ''}".strip(),
        found="; ".join(f"{check.name}: {check.says}" for check in outcome.failures),
        expected="every blocking check passed",
        todo="look at the rows shown with the check",
    )


def _failure(work: Work, step: Step, held: dict[Period | None, str]) -> dg.Failure:
    """A failure that says first what is held back and why; nothing is gained by trying again."""
    stage, name = step.key
    periods = [str(period) for period in held if period is not None]
    text = "\n".join(dict.fromkeys(held.values()))
    if periods:
        more = f" and {len(periods) - _LISTED} more" if len(periods) > _LISTED else ""
        text = f"{work.index}/{stage}/{name}: held back: {', '.join(periods[:_LISTED])}{more}\n{text}"
    return dg.Failure(
        description=text,
        allow_retries=False,
        metadata={"held back": dg.MetadataValue.text(", ".join(periods))} if periods else {},
    )
