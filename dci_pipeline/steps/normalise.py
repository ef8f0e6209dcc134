"""Shares of the national total, and the totals."""

from __future__ import annotations

import polars as pl

from dci_pipeline.data_files import content_hash
from dci_pipeline.findings import Held
from dci_pipeline.normalise.provisional import estimates
from dci_pipeline.normalise.shares import shares as normalised
from dci_pipeline.normalise.totals import totals as national_totals
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import commit, last_existing, versions_of
from dci_pipeline.steps.feeds import late_feeds
from dci_pipeline.work import Outcome, Work


def shares(work: Work, period: Period | None) -> Outcome:
    """Each place's share of the national total by indicator; what is missing carries the share last observed."""
    assert period is not None
    inputs = versions_of(work, "indicators", "values", [period])
    before, carried = _carried(work, period)
    if carried is not None:
        # Named for what goes on from it alone: a restated period changes those after it only where they lack a value.
        inputs[f"normalise/shares {before}"] = content_hash(carried.rows())
    late = late_indicators(work, period)
    history = _history(work, period) if late else []
    inputs |= {f"late {name}": version for name, version in versions_of(work, "normalise", "shares", history).items()}
    inputs |= {"late": ",".join(late)}

    def compute() -> pl.DataFrame:
        values = work.warehouse.read("indicators", "values", period).select("place", "indicator", "value")
        return normalised(
            values,
            period=period.start,
            previous=carried,
            carry_periods=work.framework.carry_periods,
            provisional=_provisional(work, period, values, late, history),
        )

    return commit(work, ("normalise", "shares"), period, inputs, str(work.framework.carry_periods), compute)


def _carried(work: Work, period: Period) -> tuple[Period | None, pl.DataFrame | None]:
    """The shares before, of the indicators that need them: one that lacks a value somewhere, or whose total is zero."""
    values = work.warehouse.read("indicators", "values", period)
    lacking = values.group_by("indicator").agg(pl.col("value").has_nulls() | (pl.col("value").max() == 0))
    names = lacking.filter("value")["indicator"].sort()
    before = last_existing(work, "normalise", "shares", period) if names.len() else None
    if before is None:
        return None, None
    shares_before = work.warehouse.read("normalise", "shares", before)
    return before, shares_before.filter(pl.col("indicator").is_in(names.implode()))


def late_indicators(work: Work, period: Period) -> list[str]:
    """The indicators of feeds that are late as a whole, where the index file takes provisional numbers for them."""
    if work.framework.late_feed != "provisional":
        return []
    late = late_feeds(work, period)
    return sorted(node.node for node in work.framework.indicators if node.feed in late)


def _history(work: Work, period: Period) -> list[Period]:
    """The same period a year before, the period before, and the one a year before that. Raises Held without them."""
    before = period.shift(-1)
    wanted = [period.year_before(), before, before.year_before()]
    there = work.warehouse.existing("normalise", "shares", wanted)
    lacking = [str(item) for item in wanted if item not in there]
    if lacking:
        raise Held(
            "a feed is late and there is no history to stand in for it",
            where=f"{work.index} {period}",
            found="no shares of " + ", ".join(lacking),
            expected="shares of " + ", ".join(map(str, wanted)),
            todo="land the feed, or the history before it",
        )
    return wanted


def _provisional(
    work: Work, period: Period, values: pl.DataFrame, late: list[str], history: list[Period]
) -> pl.DataFrame | None:
    if not late:
        return None
    year_before, before, year_before_that = (work.warehouse.read("normalise", "shares", item) for item in history)
    places = values.select("place", "indicator")
    found = {
        indicator: estimates(
            [indicator], places=places, year_before=year_before, before=before, year_before_that=year_before_that
        )
        for indicator in late
    }
    link = work.framework.link_at(period)
    basket = {leaf for leaves in link.basket.values() for leaf in leaves} if link is not None else set[str]()
    # What no basket weighs may be newer than its history: it stays missing and holds nothing up.
    lacking = [indicator for indicator, frame in found.items() if frame is None and indicator in basket]
    if lacking:
        raise Held(
            "a feed is late and nothing was observed of it before",
            where=f"{work.index} {period}",
            found="no national total of " + ", ".join(lacking),
            expected="totals of " + ", ".join(map(str, history)),
            todo="land the feed, or wait for it",
        )
    frames = [frame for frame in found.values() if frame is not None]
    return pl.concat(frames) if frames else None


def totals(work: Work, period: Period | None) -> Outcome:
    """National total and imputed share of every indicator."""
    assert period is not None
    return commit(
        work,
        ("normalise", "totals"),
        period,
        versions_of(work, "normalise", "shares", [period]),
        "",
        lambda: national_totals(work.warehouse.read("normalise", "shares", period)),
    )
