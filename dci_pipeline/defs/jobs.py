"""Jobs and schedules of an index: one job per partition scheme, in the order of a refresh.

The periods' job materialises a period from deliveries to published tables; the years' and the catalogue's follow.
"""

from __future__ import annotations

from datetime import date

import dagster as dg

from dci_pipeline.defs.assets import asset_key
from dci_pipeline.defs.executors import executor_of
from dci_pipeline.defs.partitions import Partitions
from dci_pipeline.path import path
from dci_pipeline.periods import MONTHS_IN, Period
from dci_pipeline.plan import job_of
from dci_pipeline.settings import automation, schedule
from dci_pipeline.work import Step, Work

_HOUR = 6
_DAYS = 28


def job_names(index: str) -> dict[str, str]:
    """The jobs of an index in the order of a refresh: by the scope of what they compute."""
    return {"period": f"{index}_periods", "year": f"{index}_years", "once": f"{index}_catalogue"}


def jobs(work: Work) -> list[dg.JobDefinition | dg.UnresolvedAssetJobDefinition]:
    """The three jobs of a refresh."""
    steps, names, title = path(work.framework), job_names(work.index), work.framework.name_en
    cadence = work.framework.cadence
    says = {
        "period": f"{title}: one or more {cadence}s from deliveries to published tables.",
        "year": f"{title}: one or more years, running or whole, after their {cadence}s.",
        "once": f"{title}: the tables without a period and the catalogue, after periods and years.",
    }
    return [
        dg.define_asset_job(
            names[scope],
            description=says[scope],
            tags={"index": work.index},
            # What goes elsewhere by setting are slices, and those are a period's.
            executor_def=executor_of(work.settings) if scope == "period" else dg.in_process_executor,
            selection=dg.AssetSelection.assets(*(asset_key(work.index, step.key) for step in chosen)),
        )
        for scope, chosen in _by_job(steps).items()
    ]


def _by_job(steps: list[Step]) -> dict[str, list[Step]]:
    found: dict[str, list[Step]] = {"period": [], "year": [], "once": []}
    for step in steps:
        found[job_of(steps, step)].append(step)
    return found


def schedules(work: Work, partitions: Partitions) -> list[dg.ScheduleDefinition]:
    """The last complete period, once the last feed's deliveries are due; DCI_SCHEDULE gives another time."""
    name = job_names(work.index)["period"]

    @dg.schedule(
        name=f"{name}_when_due",
        job_name=name,
        cron_schedule=schedule() or cron(work),
        execution_timezone=partitions.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if automation() else dg.DefaultScheduleStatus.STOPPED,
        tags={"index": work.index},
        description=f"The last complete {work.framework.cadence}, on the day its last deliveries are due.",
    )
    def when_due(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        at = context.scheduled_execution_time
        length = MONTHS_IN[work.framework.cadence]
        running = Period(date(at.year, (at.month - 1) // length * length + 1, 1), work.framework.cadence)
        key = partitions.key(running.shift(-1))
        return dg.RunRequest(run_key=key, partition_key=key)

    return [when_due]


def cron(work: Work) -> str:
    """The morning of the day on which the last feed is expected, counted from the end of a period."""
    framework = work.framework
    expected = max(contract.expected_day for contract in framework.feeds.values())
    months_later, day = divmod(expected - 1, 30)
    length = MONTHS_IN[framework.cadence]
    months = (
        "*" if length == 1 else ",".join(str((month + months_later - 1) % 12 + 1) for month in range(1, 13, length))
    )
    return f"0 {_HOUR} {min(day + 1, _DAYS)} {months} *"
