"""One asset per step of the path: its body calls the step once per partition and records what the step says.

In a range of periods each has its own materialisation, data version and check results, and a period that a step or a
blocking check holds back stops alone: later tables leave it out, and the last one of the run fails and names it.
"""

from collections.abc import Iterable, Iterator

import dagster as dg

# Not exported yet, like partitioned evaluations themselves; it ties a check's result to what it looked at.
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData

# The engine's own mark for "this output's events were emitted in the body": without it a single run over a range
# materialises every partition of the range, also those held back, all with one data version. There is no public way
# yet (dagster issues 17836, 34013); a test notices when the mark changes its meaning.
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION as OWN_EVENTS

from dci_pipeline.defs import metadata
from dci_pipeline.defs.partitions import Partitions
from dci_pipeline.defs.recording import Record, record_of
from dci_pipeline.findings import Finding, Held
from dci_pipeline.path import path
from dci_pipeline.periods import Period
from dci_pipeline.work import CheckResult, Outcome, Step, Work

OWNERS = ("team:data-engineering",)
_ROWS = "dagster/row_count"
_VERSION = "dagster/data_version"
_OWN_VERSION = "dagster/data_version_is_user_provided"
_OUTPUT = "result"
_LISTED = 12

Event = dg.AssetMaterialization | dg.Output[None]


def asset_key(index: str, step_key: tuple[str, str]) -> dg.AssetKey:
    return dg.AssetKey([index, *step_key])


def assets(work: Work, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Every asset of an index, in the order of its path."""
    steps = path(work.framework)
    scopes = {step.key: step.scope for step in steps}
    return [_asset(work, step, partitions, scopes=scopes, readers=_readers(steps, step)) for step in steps]


def _readers(steps: Iterable[Step], step: Step) -> frozenset[tuple[str, str]]:
    return frozenset(other.key for other in steps if other is not step and any(key == step.key for key, _ in other.reads))


def _asset(work: Work, step: Step, partitions: Partitions, *, scopes: dict[tuple[str, str], str],
           readers: frozenset[tuple[str, str]]) -> dg.AssetsDefinition:
    key, definition = asset_key(work.index, step.key), partitions.of(step)

    @dg.asset(
        key=key, group_name=step.key[0], description=step.description, owners=OWNERS, kinds=_kinds(work, step),
        tags={"index": work.index, "scope": step.scope, **({"published": ""} if step.published else {})},
        metadata=metadata.of_step(work.framework, step), partitions_def=definition, dagster_type=dg.Nothing,
        backfill_policy=dg.BackfillPolicy.single_run() if definition else None,
        deps=[dg.AssetDep(asset_key(work.index, read), partition_mapping=_mapping(partitions, step, scopes[read], how))
              for read, how in step.reads],
        check_specs=[dg.AssetCheckSpec(name, asset=key, description=says, blocking=True, partitions_def=definition)
                     for name, says in step.checks],
    )
    def body(context: dg.AssetExecutionContext) -> Iterator[Event]:
        yield from _run(context, work, step, partitions, readers=readers)

    return body


def _mapping(partitions: Partitions, step: Step, read: str, how: str) -> dg.PartitionMapping | None:
    """The mapping of a read, or None where one side has no partitions to map."""
    return None if "once" in (read, step.scope) else partitions.mapping(how)


def _kinds(work: Work, step: Step) -> set[str]:
    stage, name = step.key
    if name == "catalogue":
        return {"duckdb"}
    return {work.settings.engine if stage == "validation" else "polars", "parquet"}


def _run(context: dg.AssetExecutionContext, work: Work, step: Step, partitions: Partitions, *,
         readers: frozenset[tuple[str, str]]) -> Iterator[Event]:
    """The step for every partition of the run. Raises Failure for what no later table of the run can go on without."""
    record = record_of(context.run.run_id)
    wanted: list[Period | None] = [None]
    if step.scope != "once":
        wanted = [partitions.period(key, step.scope) for key in context.partition_keys]
    held: dict[Period | None, str] = {}
    for period in wanted:
        stopped = record.why_stopped(step, period)
        if stopped is not None:
            held[period] = stopped
            continue
        record.begins(step, period)
        try:
            outcome = step.run(work, period)
        except Held as reason:
            held[period] = str(reason)
            continue
        except Finding as finding:
            record.error = finding
            raise _failure(work, step, {**held, period: str(finding)}) from None
        except Exception as error:
            record.error = error
            raise
        record.ends(step, outcome)
        yield _materialised(context, work, step, partitions, outcome)
        _evaluate(context, work, partitions, outcome)
        if outcome.failures:
            held[period] = str(_blocked(work, outcome))
    # Whatever comes after an output flushes the evaluations logged before it; so the checks' own outputs come first.
    yield from (dg.Output(None, output_name=name)
                for name in sorted(context.op_execution_context.selected_output_names) if name != _OUTPUT)
    for period, reason in held.items():
        record.stop(step, period, reason)
        context.log.warning(f"held back: {period or step.key[1]}: {reason}")
    in_run = context.job_def.asset_layer.selected_asset_keys
    if held and (len(held) == len(wanted) or not any(asset_key(work.index, reader) in in_run for reader in readers)):
        raise _failure(work, step, held)
    yield dg.Output(None, output_name=_OUTPUT, metadata={OWN_EVENTS: True})


def _materialised(context: dg.AssetExecutionContext, work: Work, step: Step, partitions: Partitions,
                  outcome: Outcome) -> dg.AssetMaterialization:
    key = partitions.key(outcome.period) if outcome.period else None
    rows = outcome.rows if outcome.rows >= 0 else _rows_before(context, key, outcome.data_version)
    return dg.AssetMaterialization(
        asset_key=context.asset_key, partition=key, tags={_VERSION: outcome.data_version, _OWN_VERSION: "true"},
        metadata=metadata.of_outcome(work.warehouse.layout, step, outcome, rows=rows))


def _rows_before(context: dg.AssetExecutionContext, key: str | None, data_version: str) -> int:
    """The row count last recorded for this very content: a step that had nothing to do has not counted."""
    last = _last(context, key)
    before = last.asset_materialization if last else None
    if before is None or (before.tags or {}).get(_VERSION) != data_version or _ROWS not in before.metadata:
        return -1
    return int(str(before.metadata[_ROWS].value))


def _last(context: dg.AssetExecutionContext, key: str | None) -> dg.EventLogRecord | None:
    found = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=context.asset_key, asset_partitions=[key] if key else None), limit=1)
    return found.records[0] if found.records else None


def _evaluate(context: dg.AssetExecutionContext, work: Work, partitions: Partitions, outcome: Outcome) -> None:
    """Record every check of one partition, aimed at the materialisation just made.

    Logged rather than yielded: a yielded failure of a blocking check fails the step whatever its partition.
    """
    if not outcome.checks:
        return
    last = _last(context, partitions.key(outcome.period) if outcome.period else None)
    target = AssetCheckEvaluationTargetMaterializationData(
        storage_id=last.storage_id, run_id=last.run_id, timestamp=last.timestamp) if last else None
    for check in outcome.checks:
        context.log_event(dg.AssetCheckEvaluation(
            asset_key=context.asset_key, check_name=check.name, passed=check.passed, blocking=True,
            severity=dg.AssetCheckSeverity.ERROR if check.severity == "error" else dg.AssetCheckSeverity.WARN,
            description=check.says, metadata=metadata.of_check(check), target_materialization_data=target,
            partition=partitions.key(outcome.period) if outcome.period else None))


def _blocked(work: Work, outcome: Outcome) -> Held:
    stage, name = outcome.key
    return Held("a blocking check failed", where=f"{work.index}/{stage}/{name} {outcome.period or ''}".strip(),
                found="; ".join(f"{check.name}: {check.says}" for check in outcome.failures),
                expected="every blocking check passed", todo="look at the rows shown with the check")


def _failure(work: Work, step: Step, held: dict[Period | None, str]) -> dg.Failure:
    """A failure that says first what is held back and why; nothing is gained by trying again."""
    stage, name = step.key
    periods = [str(period) for period in held if period is not None]
    text = "\n".join(dict.fromkeys(held.values()))
    if len(periods) > 1:
        more = f" and {len(periods) - _LISTED} more" if len(periods) > _LISTED else ""
        text = f"{work.index}/{stage}/{name}: held back: {', '.join(periods[:_LISTED])}{more}\n{text}"
    return dg.Failure(description=text, allow_retries=False,
                      metadata={"held back": dg.MetadataValue.text(", ".join(periods))} if periods else {})
