"""A refresh through the engine in this process: an index's jobs in order, into the record of runs that the UI shows.

DAGSTER_HOME lies in the warehouse and is written here when it is missing.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from dci_pipeline import refresh
from dci_pipeline.defs.assembly import index_definitions
from dci_pipeline.defs.assets import asset_key
from dci_pipeline.defs.executors import refuse_outside, was_lost
from dci_pipeline.defs.failures import finding_of
from dci_pipeline.defs.jobs import job_names
from dci_pipeline.defs.partitions import Partitions, range_tags, timezone
from dci_pipeline.defs.recording import Record, bring
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period, stretches
from dci_pipeline.plan import Plan, batches, years
from dci_pipeline.refresh import Progress, Report
from dci_pipeline.settings import Settings
from dci_pipeline.warehouse.locks import lock
from dci_pipeline.warehouse.places import is_dead, place
from dci_pipeline.work import Key, Work

# Which process a run belongs to: the name of its place in the warehouse, which tells whether it still works.
_PROCESS = "dci/process"
_PARTITION = "dagster/partition"
# Where this package lies: another process is to run the same code.
_CODE = Path(__file__).resolve().parents[2]
_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_HOME = """\
# Where the engine keeps its runs, and how. Written once; edit it as you like, it is not written again.

# Nothing about what is run here leaves this machine.
telemetry:
  enabled: false

# No welcome window on the first visit of the UI.
nux:
  enabled: false

# Steps print nothing, and a copy of their output would cost a process each. What happened is in the event log.
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager

# Ticks in which a schedule had nothing to do are forgotten after a week, the others after three months (in days).
retention:
  schedule:
    purge_after_days: {skipped: 7, success: 90, failure: 90, started: 90}
"""


def ensure_home(settings: Settings) -> Path:
    """DAGSTER_HOME in the warehouse, with its dagster.yaml, made when it is missing."""
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    target = home / "dagster.yaml"
    if not target.exists():
        beside = home / f".dagster.yaml.{os.getpid()}.{secrets.token_hex(4)}"
        beside.write_text(_HOME, encoding="utf-8")
        os.replace(beside, target)
    return home


def open_instance(work: Work) -> dg.DagsterInstance:
    """The engine's record of runs. One process at a time, as the first of them creates its tables."""
    with lock(work.warehouse.layout.locks, "dagster"):
        return dg.DagsterInstance.from_config(str(ensure_home(work.settings)))


def fail_dead_runs(work: Work, instance: dg.DagsterInstance) -> None:
    """Mark as failed the runs that are shown as under way and whose process, started by `dci run`, is no longer there.

    Runs of the daemon are its own to watch.
    """
    layout = work.warehouse.layout
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED, tags={"index": work.index})):
        process = run.tags.get(_PROCESS)
        if process is not None and is_dead(layout, process):
            instance.report_run_failed(
                run, f"process {process.split('-')[1]} of this run was killed; found by the next"
            )


@contextmanager
def _under_way(work: Work, progress: Progress | None) -> Iterator[tuple[Record, dg.DagsterInstance, Mapping[str, str]]]:
    """A record, the engine's record of runs, and the tags that say whose runs these are while the block goes on."""
    layout = work.warehouse.layout
    with place(layout) as own, bring(Record(progress)) as record, open_instance(work) as instance:
        refuse_outside(work.settings, instance)
        fail_dead_runs(work, instance)
        yield record, instance, {_PROCESS: own.name}


def run_in_process(work: Work, periods: Sequence[Period], *, progress: Progress | None = None) -> Report:
    """Every table over `periods`, their years, then the rest, as runs of the index's jobs in this process.

    A period held back by a check or a missing input stops only itself and is named in the report. Raises Finding for
    periods that are not over yet and for whatever a step finds wrong with its inputs.
    """
    partitions = Partitions(work.framework, timezone())
    _refuse_unknown(work, partitions, periods)
    names = job_names(work.index)
    repository = index_definitions(work).get_repository_def()
    with _under_way(work, progress) as (record, instance, mine):
        for stretch in stretches(periods):
            _launch(repository.get_job(names["period"]), instance, partitions, stretch, record, mine)
        done = [period for period in periods if period not in record.report.held]
        for stretch in stretches(years(done)):
            _launch(repository.get_job(names["year"]), instance, partitions, stretch, record, mine)
        _launch(repository.get_job(names["once"]), instance, partitions, [], record, mine)
    return record.report


def refresh_in_process(
    work: Work, periods: Sequence[Period], plan: Plan, *, progress: Progress | None = None
) -> Report:
    """What a plan names, as runs of the index's jobs in this process, and what its results put out of date besides.

    `periods` are all that are ready. Held periods and findings are as in `run_in_process`.
    """
    partitions = Partitions(work.framework, timezone())
    months = {part for found in plan.values() for part in found if part and part.cadence == work.framework.cadence}
    _refuse_unknown(work, partitions, sorted(months))
    names = job_names(work.index)
    repository = index_definitions(work).get_repository_def()

    def run(part: Plan) -> None:
        for scope, name in names.items():
            for batch in batches(work.framework, part, scope):
                _launch(repository.get_job(name), instance, partitions, batch.periods, record, mine, batch.tables)

    with _under_way(work, progress) as (record, instance, mine):
        refresh.bring_up_to_date(work, periods, plan, run)
    return record.report


def _launch(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    partitions: Partitions,
    stretch: Sequence[Period],
    record: Record,
    mine: Mapping[str, str],
    tables: Sequence[Key] = (),
) -> None:
    """One run over one stretch of partitions, of some of the job's tables or all of them.

    A run that fails only because of what is held back is no error.
    """
    keys = [partitions.key(period) for period in stretch]
    given = {
        "instance": instance,
        "raise_on_error": False,
        "run_config": _run_config(),
        "asset_selection": [asset_key(partitions.framework.index, table) for table in tables] or None,
    }
    tags = {**mine, **range_tags(partitions, stretch)}
    one = keys[0] if len(keys) == 1 else None
    if job.executor_def is dg.in_process_executor:
        result = job.execute_in_process(tags=tags, partition_key=one, **given)
    else:
        again = dg.build_reconstructable_job("dci_pipeline.definitions", "job_of", (job.name,), None, str(_CODE))
        result = dg.execute_job(again, tags={**tags, **({_PARTITION: one} if one else {})}, **given)
    failures = result.get_step_failure_events()
    error = record.error or next(filter(None, map(finding_of, failures)), None)
    if error is not None:
        raise error
    broken_off = [event for event in failures if event.step_failure_data.user_failure_data is None]
    said = "; ".join(event.step_failure_data.error_display_string for event in broken_off)
    if broken_off and len(broken_off) == sum(map(was_lost, broken_off)):
        raise Finding(
            "slices were not made: their processes were broken off",
            where=f"{partitions.framework.index}, run {result.run_id}",
            found=said,
            expected="processes that live until their slice is made",
            todo="run again: slices that were made are kept. If it stays, lower DCI_WORKERS or DCI_ENGINE_MEMORY",
        )
    if broken_off or (not result.success and not record.report.held):
        raise RuntimeError(f"run {result.run_id} of {job.name} failed in the engine: {said}")


def _refuse_unknown(work: Work, partitions: Partitions, periods: Sequence[Period]) -> None:
    known = partitions.periods.get_partition_keys()
    unknown = [period for period in periods if partitions.key(period) not in known]
    if unknown:
        cadence = work.framework.cadence
        raise Finding(
            f"no such {cadence} yet" if unknown[0] > partitions.first else f"a {cadence} before the first",
            where=work.index,
            found=", ".join(map(str, unknown)),
            expected=f"{cadence}s that are over, from {partitions.first} on",
            todo=f"leave them out, or wait until the {cadence} has ended",
        )


def _run_config() -> dict[str, object]:
    """The engine's own lines stay off the screen unless DCI_LOG=debug; its event log has them all."""
    level = "DEBUG" if os.environ.get("DCI_LOG") == "debug" else "CRITICAL"
    return {"loggers": {"console": {"config": {"log_level": level}}}}
