"""One index's assets, checks, jobs, schedules and sensors put together."""

from __future__ import annotations

import warnings

import dagster as dg

from dci_pipeline.defs import arrival
from dci_pipeline.defs.alerts import alerts
from dci_pipeline.defs.assets import assets
from dci_pipeline.defs.executors import executor_of
from dci_pipeline.defs.following import following
from dci_pipeline.defs.jobs import jobs, schedules
from dci_pipeline.defs.overdue import overdue
from dci_pipeline.defs.partitions import Partitions, timezone
from dci_pipeline.work import Work


def index_definitions(work: Work) -> dg.Definitions:
    """Definitions of one index. Raises Finding for contracts that do not load."""
    partitions = Partitions(work.framework, timezone())
    with warnings.catch_warnings():
        # Partitioned checks are preview and backfill policies beta in this line of the engine; the pin in
        # pyproject.toml and the tests of these definitions stand for the warning.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        warnings.simplefilter("ignore", dg.BetaWarning)
        all_jobs = jobs(work)
        return dg.Definitions(
            assets=assets(work, partitions),
            jobs=all_jobs,
            schedules=schedules(work, partitions),
            sensors=[
                following(work, partitions, all_jobs),
                *arrival.sensors(work, partitions),
                *alerts(work),
                *overdue(work),
            ],
            executor=executor_of(work.settings),
        )
