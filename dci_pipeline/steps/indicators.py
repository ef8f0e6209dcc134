"""Promoting accepted sums to indicator values, once no blocking check has failed."""

from __future__ import annotations

import polars as pl

from dci_pipeline.data_files import content_hash
from dci_pipeline.indicators.values import values as indicator_values
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import commit, slice_versions
from dci_pipeline.steps.validation import passed, slice_sums
from dci_pipeline.work import Outcome, Work


def values(work: Work, period: Period | None) -> Outcome:
    """Promotes the accepted sums of every feed to indicator values, once no blocking check has failed."""
    assert period is not None
    warehouse, framework = work.warehouse, work.framework
    inputs = {
        "places": work.geography.members_hash(period),
        "leaves": content_hash([(leaf.node, leaf.feed, leaf.since) for leaf in framework.leaves]),
    }
    frames: list[pl.DataFrame] = []
    used = sorted({str(leaf.feed) for leaf in framework.leaves})
    for feed in used:
        partners = passed(work, period, feed)
        inputs |= {
            f"{feed}.{name}": version
            for name, version in slice_versions(work, "validation", f"{feed}_sums", period, partners).items()
        }
        frames.append(slice_sums(work, period, feed, partners))
    stamp = warehouse.stamp(inputs, contract=content_hash([framework.feeds[feed].absent_row for feed in used]))

    def compute() -> pl.DataFrame:
        return indicator_values(
            pl.concat(frames),
            period=period.start,
            places=work.geography.places_at(period),
            indicators={leaf.node: framework.feeds[str(leaf.feed)].absent_row for leaf in framework.leaves},
        )

    return commit(work, ("indicators", "values"), period, stamp.inputs, stamp.contract, compute)
