"""The only module Dagster loads: it assembles, from data_contracts/, one set of assets per index, and nothing else."""

from __future__ import annotations

import warnings

import dagster as dg

from dci_pipeline.defs.assets import assets
from dci_pipeline.defs.jobs import jobs, schedules
from dci_pipeline.defs.partitions import Partitions, timezone
from dci_pipeline.settings import Settings, read_settings
from dci_pipeline.work import Work


def build_definitions(settings: Settings | None = None) -> dg.Definitions:
    """Definitions of every index under the contracts folder. Raises Finding for a folder that does not load."""
    settings = settings or read_settings()
    return dg.Definitions.merge(*(index_definitions(Work(settings, index)) for index in settings.indexes()))


def index_definitions(work: Work) -> dg.Definitions:
    """Definitions of one index."""
    partitions = Partitions(work.framework, timezone())
    with warnings.catch_warnings():
        # Partitioned checks are preview and backfill policies beta in this line of the engine; the pin in
        # pyproject.toml and the tests of these definitions stand for the warning.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.Definitions(assets=assets(work, partitions), jobs=jobs(work), schedules=schedules(work, partitions),
                              executor=dg.in_process_executor)


defs = build_definitions()
