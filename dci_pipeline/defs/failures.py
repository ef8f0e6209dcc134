"""What the engine's record tells of a run that failed: its checks with their rows, its steps, who started it."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation

from dci_pipeline.defs.partitions import Partitions, timezone
from dci_pipeline.findings import Conflict, Finding, Unanswered, Unfit
from dci_pipeline.messages import FailedCheck, FailedRun, FailedStep
from dci_pipeline.path import path
from dci_pipeline.work import Work

_TOLD = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.RUN_FAILURE}
_PARTITION, _RANGE = "dagster/partition", ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
_STARTED_BY = (
    ("dagster/schedule_name", "schedule"),
    ("dagster/sensor_name", "sensor"),
    ("dagster/backfill", "backfill"),
)
_AUTOMATION = ("dagster/from_automation_condition", "dagster/auto_materialize")
_FINDING = "finding"
_WILL_RETRY = "dagster/will_retry"


def is_of(run: dg.DagsterRun, index: str) -> bool:
    """Whether a run is of this index: by its tag, or by its tables when it was started from their pages."""
    if "index" in run.tags:
        return run.tags["index"] == index
    return any(key.path[0] == index for key in run.asset_selection or ())


def failure_of(instance: dg.DagsterInstance, run: dg.DagsterRun, work: Work, ui: str | None) -> FailedRun:
    """A failed run as its message tells it."""
    partitions = Partitions(work.framework, timezone())
    scopes = {step.key: step.scope for step in path(work.framework)}
    checks: list[FailedCheck] = []
    steps: list[FailedStep] = []
    says = ""
    for entry in instance.all_logs(run.run_id, of_type=_TOLD):
        event = entry.dagster_event
        if event is None:
            continue
        told = event.event_specific_data
        if isinstance(told, AssetCheckEvaluation):
            if not told.passed and told.severity is dg.AssetCheckSeverity.ERROR:
                checks.append(_check(told, partitions, scopes))
        elif event.is_step_failure:
            steps.append(_step(event))
        else:
            says = event.message or ""
    again = "; another try follows by itself" if run.tags.get(_WILL_RETRY) == "true" else ""
    return FailedRun(
        run=run.run_id,
        index=work.index,
        job=run.job_name,
        started_by=_started_by(run) + again,
        periods=_periods(run),
        link=f"{ui}/runs/{run.run_id}" if ui else f"run {run.run_id} in the UI (its address, DCI_UI_URL, is not set)",
        checks=checks,
        steps=steps,
        says=says,
    )


def finding_metadata(finding: Finding) -> dict[str, dg.MetadataValue]:
    """A Finding as a failure of a step keeps it, for `finding_of` of another process."""
    said = {
        "kind": type(finding).__name__,
        "problem": finding.problem,
        "where": finding.where,
        "found": None if finding.found is None else str(finding.found),
        "expected": None if finding.expected is None else str(finding.expected),
        "todo": finding.todo,
    }
    return {_FINDING: dg.MetadataValue.json(said)}


def finding_of(event: dg.DagsterEvent) -> Finding | None:
    """The Finding a step of another process failed with, if it was one."""
    told = event.step_failure_data.user_failure_data
    said = told.metadata.get(_FINDING) if told is not None else None
    if not isinstance(said, dg.JsonMetadataValue) or not isinstance(said.data, dict):
        return None
    kinds = {kind.__name__: kind for kind in (Finding, Conflict, Unfit, Unanswered)}
    fields = {str(name): value for name, value in said.data.items() if name not in ("kind", "problem")}
    return kinds.get(str(said.data["kind"]), Finding)(str(said.data["problem"]), **fields)


def _check(told: AssetCheckEvaluation, partitions: Partitions, scopes: dict[tuple[str, str], str]) -> FailedCheck:
    _, stage, table = told.asset_key.path
    partition = getattr(told, "partition", None)
    return FailedCheck(
        stage=stage,
        table=table,
        period=str(partitions.period(partition, scopes.get((stage, table), "period"))) if partition else "",
        check=told.check_name,
        says=told.description or "",
        rows={
            # The storage sorts a row's names; the schema has them in their order.
            label: [
                {column.name: record.data.get(column.name) for column in value.schema.columns}
                for record in value.records
            ]
            for label, value in told.metadata.items()
            if isinstance(value, dg.TableMetadataValue)
        },
    )


def _step(event: dg.DagsterEvent) -> FailedStep:
    # A table may be made in several steps, named after a point.
    table = "/".join(str(event.step_key).partition(".")[0].split("__")[1:]) or str(event.step_key)
    data = event.step_failure_data
    told = data.user_failure_data
    if told is not None and told.description:
        return FailedStep(table, told.description, "held" if "held back" in told.metadata else "finding")
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return FailedStep(table, f"{error.cls_name}: {error.message.strip()}" if error else "no error was kept", "error")


def _started_by(run: dg.DagsterRun) -> str:
    return next(_known_starters(run), "the UI" if run.remote_job_origin is not None else "dci run")


def _known_starters(run: dg.DagsterRun) -> Iterator[str]:
    for tag, word in _STARTED_BY:
        if tag in run.tags:
            yield f"{word} {run.tags[tag]}"
    if any(run.tags.get(tag) == "true" for tag in _AUTOMATION):
        yield "automation"


def _periods(run: dg.DagsterRun) -> str:
    first, last = (run.tags.get(tag) for tag in _RANGE)
    return run.tags.get(_PARTITION) or (f"{first} to {last}" if first and last else "")
