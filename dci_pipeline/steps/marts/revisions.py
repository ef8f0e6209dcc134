"""The published table of revisions: what every release revised."""

from __future__ import annotations

import polars as pl

from dci_pipeline.periods import Period
from dci_pipeline.releases.revisions import TABLE
from dci_pipeline.steps.commits import commit
from dci_pipeline.work import Outcome, Work


def revisions(work: Work, period: Period | None = None) -> Outcome:
    """Gathers what each release has recorded of itself. A release calls it, and so does every run."""
    from dci_pipeline.warehouse import release_files, release_revisions

    table, found = work.framework.table(TABLE), release_files.releases(work.warehouse.layout)

    def compute() -> pl.DataFrame:
        return release_revisions.recorded(found, table)

    return commit(work, ("marts", TABLE), None, release_revisions.sums_of(found), table.sha256, compute)
