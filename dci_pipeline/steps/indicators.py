"""Promoting accepted sums to indicator values and members of breakdowns, once no blocking check has failed."""

from __future__ import annotations

import polars as pl

from dci_pipeline.data_files import content_hash
from dci_pipeline.indicators.members import members as indicator_members
from dci_pipeline.indicators.values import values as indicator_values
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import commit, slice_versions
from dci_pipeline.steps.feeds import late_feeds
from dci_pipeline.steps.slices import slice_members, slice_sums
from dci_pipeline.steps.validation import passed
from dci_pipeline.validation.sums import MEMBERS, SUMS
from dci_pipeline.work import Outcome, Work


def values(work: Work, period: Period | None) -> Outcome:
    """Promotes the accepted sums of every feed to indicator values; Held while a feed in use is not fit for it."""
    assert period is not None
    framework = work.framework
    ready = _ready(work, period)
    # What an absent row means may change with a version of a contract, so it belongs to the period's own inputs.
    absent = {leaf.node: framework.contract(str(leaf.feed), period).absent_row for leaf in framework.indicators}
    types = {leaf.node: framework.places_of(leaf) for leaf in framework.indicators}
    inputs = {
        "places": work.geography.members_hash(period),
        "leaves": content_hash([(leaf.node, leaf.feed, leaf.since, types[leaf.node]) for leaf in framework.indicators]),
        "absent": content_hash(absent),
        **_versions(work, period, "sums", ready),
    }

    def compute() -> pl.DataFrame:
        frames = [slice_sums(work, period, feed, partners) for feed, partners in ready.items()]
        return indicator_values(
            pl.concat([pl.DataFrame(schema=SUMS), *(frame.select(list(SUMS)) for frame in frames)]),
            period=period.start,
            places=work.geography.places_at(period),
            indicators=absent,
            types=types,
        )

    return commit(work, ("indicators", "values"), period, inputs, "", compute)


def members(work: Work, period: Period | None) -> Outcome:
    """Promotes the accepted sums by member of every breakdown, in the periods whose values are promoted."""
    assert period is not None
    ready = {feed: partners for feed, partners in _ready(work, period).items() if work.framework.splits_of(feed)}
    inputs = {"places": work.geography.members_hash(period), **_versions(work, period, "members", ready)}

    def compute() -> pl.DataFrame:
        frames = [slice_members(work, period, feed, partners) for feed, partners in ready.items()]
        return indicator_members(
            pl.concat([pl.DataFrame(schema=MEMBERS), *(frame.select(list(MEMBERS)) for frame in frames)]),
            period=period.start,
            places=work.geography.places_at(period),
        )

    return commit(work, ("indicators", "members"), period, inputs, "", compute)


def _used(work: Work) -> list[str]:
    return sorted({str(leaf.feed) for leaf in work.framework.indicators})


def _ready(work: Work, period: Period) -> dict[str, list[str]]:
    """Feed -> its partners, of every feed in use. Raises Held when one is not validated or a blocking check failed.

    Where the index takes provisional numbers a late feed is left out: what stands in for it is estimated later.
    """
    late = late_feeds(work, period) if work.framework.late_feed == "provisional" else []
    return {feed: passed(work, period, feed) for feed in _used(work) if feed not in late}


def _versions(work: Work, period: Period, table: str, ready: dict[str, list[str]]) -> dict[str, str]:
    return {
        f"{feed}.{partner}": version
        for feed, partners in ready.items()
        for partner, version in slice_versions(work, "validation", f"{feed}_{table}", period, partners).items()
    }
