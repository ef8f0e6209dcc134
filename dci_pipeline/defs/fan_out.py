"""A feed's validation as slices, partner × period, each a step of its own that may run in another process or pod.

The same asset with the same checks as one body makes; before that body a step finds out which slices are to be made,
and one step per slice makes it. They hand one another nothing but the order: what is made lies in the warehouse, so
that a slice once made is not made again, whatever becomes of the run.
"""

# No postponed annotations here: the engine looks at the type of `context`.
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import dagster as dg

from dci_pipeline.defs.executors import SLICE
from dci_pipeline.defs.failures import finding_metadata
from dci_pipeline.defs.partitions import Partitions
from dci_pipeline.defs.recording import record_of
from dci_pipeline.findings import Finding, Held
from dci_pipeline.periods import Period
from dci_pipeline.retrying import run_step
from dci_pipeline.warehouse.stamps import code_version
from dci_pipeline.work import Step, Work

_UNNAMED = re.compile(r"[^A-Za-z0-9_]")
Body = Callable[[dg.AssetExecutionContext], Iterator[dg.AssetMaterialization | dg.Output[None]]]


def fanned_out(
    work: Work,
    step: Step,
    partitions: Partitions,
    body: Body,
    *,
    key: dg.AssetKey,
    reads: Mapping[dg.AssetKey, dg.PartitionMapping],
    owners: Sequence[str],
    kinds: set[str],
) -> dg.AssetsDefinition:
    """The asset of a validation step as a graph: its stale slices, each of them, then the body over what they made."""
    feed = step.key[1]
    name = key.to_python_identifier()
    checks = [
        dg.AssetCheckSpec(check, asset=key, description=says, blocking=True, partitions_def=partitions.of(step))
        for check, says in step.checks
    ]
    outputs = ["result", *(check.get_python_identifier() for check in checks)]

    def wanted(context: dg.AssetExecutionContext) -> dict[str, tuple[Period, str]]:
        """Every slice the run may have to make, by the name of its step."""
        found: dict[str, tuple[Period, str]] = {}
        for period in (partitions.period(text, step.scope) for text in context.partition_keys):
            for partner in sorted(work.framework.contract(feed, period).partners):
                short = _UNNAMED.sub("_", f"{partitions.key(period)}_{partner}")
                found[f"{short}_{len(found)}" if short in found else short] = (period, partner)
        return found

    @dg.op(name=f"{name}__stale", ins={"before": dg.In(dg.Nothing)}, out=dg.DynamicOut(dg.Nothing))  # pyright: ignore[reportArgumentType]
    def stale(context: dg.AssetExecutionContext) -> Iterator[dg.DynamicOutput[None]]:
        from dci_pipeline.steps.scanning import stale_slices

        record = record_of(context.run.run_id)
        every = wanted(context)
        missing = {
            (period, partner)
            for period in {period for period, _ in every.values()}
            for partner in stale_slices(work, period, feed)
        }
        for short, (period, partner) in every.items():
            if (period, partner) in missing:
                record.made_elsewhere.add((step.key, period))
                yield dg.DynamicOutput(None, mapping_key=short)

    @dg.op(
        name=f"{name}__slice",
        ins={"stale": dg.In(dg.Nothing)},
        out=dg.Out(dg.Nothing),  # pyright: ignore[reportArgumentType]
        tags={SLICE: "yes"},
    )
    def one_slice(context: dg.AssetExecutionContext) -> None:
        period, partner = wanted(context)[context.op_execution_context.get_mapping_key() or ""]
        _make(context, work, step, period, partner)

    @dg.op(
        name=f"{name}__verdict",
        ins={"slices": dg.In(dg.Nothing)},
        out={output: dg.Out(dg.Nothing) for output in outputs},  # pyright: ignore[reportArgumentType]
    )
    def verdict(context: dg.AssetExecutionContext) -> Iterator[dg.AssetMaterialization | dg.Output[None]]:
        yield from body(context)

    @dg.graph(name=name, ins={"before": dg.GraphIn()}, out={output: dg.GraphOut() for output in outputs})
    def whole(before: object) -> dict[str, object]:
        made = stale.alias("stale")(before).map(one_slice.alias("slice"))
        judged = verdict.alias("verdict")(made.collect())
        return {output: getattr(judged, output) for output in outputs}

    (read,) = reads
    return dg.AssetsDefinition.from_graph(
        whole,
        keys_by_input_name={"before": read},
        keys_by_output_name={"result": key},
        partitions_def=partitions.of(step),
        partition_mappings={"before": reads[read]},
        group_name=step.key[0],
        descriptions_by_output_name={"result": step.description},
        owners_by_output_name={"result": list(owners)},
        tags_by_output_name={
            "result": {"index": work.index, "scope": step.scope, **{f"dagster/kind/{kind}": "" for kind in kinds}}
        },
        code_versions_by_output_name={"result": code_version()},
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=checks,
    )


def _make(context: dg.AssetExecutionContext, work: Work, step: Step, period: Period, partner: str) -> None:
    """One slice. Raises Failure with what a Finding says; a period held back is left to the verdict, which says so."""
    from dci_pipeline.steps.scanning import make_slice

    making = replace(step, run=lambda work, period: make_slice(work, _known(period), step.key[1], partner))
    where = {"worker": f"process {os.getpid()} on {socket.gethostname()}", "partner": partner, "period": str(period)}
    try:
        outcome = run_step(making, work, period, say=context.log.warning)
    except Held as reason:
        context.log.warning(f"left to the verdict: {reason}")
        where["state"] = "held"
    except Finding as finding:
        raise dg.Failure(
            f"{work.index}/{'/'.join(step.key)} {period} {partner}: {finding}",
            metadata=finding_metadata(finding),
            allow_retries=False,
        ) from None
    else:
        where["state"] = outcome.state
        where |= {name: str(fact) for name, fact in outcome.facts.items()}
    context.add_output_metadata(where)


def _known(period: Period | None) -> Period:
    assert period is not None
    return period
