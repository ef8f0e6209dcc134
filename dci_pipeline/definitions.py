"""The only module Dagster loads: it assembles, from data_contracts/, one set of assets per index, and nothing else."""

from __future__ import annotations

import gc
import sys

import dagster as dg

from dci_pipeline.defs.assembly import index_definitions
from dci_pipeline.settings import Settings, read_settings
from dci_pipeline.work import Work


def build_definitions(settings: Settings | None = None) -> dg.Definitions:
    """Definitions of every index under the contracts folder. Raises Finding for a folder that does not load."""
    settings = settings or read_settings()
    return dg.Definitions.merge(*(index_definitions(Work(settings, index)) for index in settings.indexes()))


# What imports have made stays: looking through it for garbage, again and again while the definitions are made, takes a
# quarter of the time. DuckDB complains of what is left of it at the end.
if "duckdb" not in sys.modules:
    gc.freeze()
defs = build_definitions()


def job_of(name: str) -> dg.JobDefinition:
    """A job by its name: what another process makes it from again."""
    return defs.get_repository_def().get_job(name)
