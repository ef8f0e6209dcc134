"""An entity's shares and relatives by indicator and period, from the committed shares of its places; what is imputed.

Sums over places run in the order of their codes, on arrays, so that they are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from dci_pipeline.normalise.statuses import STATUSES
from dci_pipeline.trail.facts import Cell

# A place has no row outside its dates: it counts 0 there.
_ABSENT = Cell(share=0.0, national_relative=None, relative=0.0, imputed_share=0.0, obs_status=None)


@dataclass(frozen=True)
class Imputed:
    """An unbroken stretch of periods in which an estimate stands for one place and indicator.

    share: the part of the indicator's national total it makes, the largest of these periods; observed: the period of
    the observation that is carried, None when there never was one; status: E, M, or P for a feed late as a whole.
    """

    place: str
    indicator: str
    first: date
    last: date
    periods: int
    observed: date | None
    carried: int
    share: float | None
    status: str


def cells(
    shares: pl.DataFrame, totals: pl.DataFrame, means: Mapping[date, Mapping[str, float]]
) -> dict[tuple[date, str], Cell]:
    """Cells by period and indicator.

    shares: rows of `normalise.shares` of the entity's places alone; totals: `normalise.totals` of the same periods;
    means: for each period the reference means of its link, by indicator. Indicators without a mean are left out.
    """
    found: dict[tuple[date, str], Cell] = {}
    if not shares.is_empty():
        found = _summed(shares)
    national = {
        (period, indicator): value
        for period, indicator, value in totals.select("period", "indicator", "total").iter_rows()
    }
    told: dict[tuple[date, str], Cell] = {}
    for period, inside in means.items():
        for indicator, mean in inside.items():
            cell = found.get((period, indicator), _ABSENT)
            total = national.get((period, indicator))
            if total is None:
                told[period, indicator] = Cell(None, None, None, None, cell.obs_status)
                continue
            told[period, indicator] = Cell(
                share=cell.relative / total if cell.relative is not None and total else None,
                national_relative=total / mean,
                relative=None if cell.relative is None else cell.relative / mean,
                imputed_share=cell.imputed_share / total if cell.imputed_share is not None and total else None,
                obs_status=cell.obs_status,
            )
    return told


def _summed(shares: pl.DataFrame) -> dict[tuple[date, str], Cell]:
    """Volumes yet: in `relative` the sum over places, in `imputed_share` the estimated part of it."""
    unseen = pl.col("value").is_null() & (pl.col("obs_status") != "P")
    rows = shares.select(
        "period",
        "indicator",
        "place",
        "estimate",
        imputed=pl.when(unseen).then("estimate").otherwise(0.0),
        rank=pl.col("obs_status").replace_strict(STATUSES, range(len(STATUSES)), return_dtype=pl.Int64),
    )
    if rows["place"].n_unique() > 1:
        return _over_places(rows)
    return {
        (period, indicator): Cell(None, None, estimate, part, STATUSES[int(rank)])
        for period, indicator, _, estimate, part, rank in rows.iter_rows()
    }


def _over_places(rows: pl.DataFrame) -> dict[tuple[date, str], Cell]:
    # One place needs no arrays, and an explanation of one starts faster without them.
    import numpy as np

    from dci_pipeline.index.dense import axis, flags, floats

    periods, places, indicators = axis(rows, "period"), axis(rows, "place"), axis(rows, "indicator")
    axes = (("place", places), ("period", periods), ("indicator", indicators))
    there = flags(rows.with_columns(there=pl.lit(True)), "there", axes)
    volume, imputed = (np.where(there, floats(rows, name, axes), 0.0).sum(axis=0) for name in ("estimate", "imputed"))
    rank = np.where(there, floats(rows, "rank", axes), -1.0).max(axis=0)

    def number(value: float) -> float | None:
        return None if np.isnan(value) else float(value)

    return {
        (period, str(indicator)): Cell(
            None, None, number(volume[row, column]), number(imputed[row, column]), STATUSES[int(rank[row, column])]
        )
        for row, period in enumerate(periods.to_list())
        for column, indicator in enumerate(indicators.to_list())
        if rank[row, column] >= 0.0
    }


def imputed(shares: pl.DataFrame) -> list[Imputed]:
    """What is estimated in rows of `normalise.shares`, by place and indicator; periods that follow each other as one.

    Sorted by indicator, place, first period. Rows of a place follow each other when the count of periods carried does.
    """
    rows = shares.filter(pl.col("value").is_null()).sort("indicator", "place", "period")
    found: list[Imputed] = []
    columns = ("place", "indicator", "period", "observed_period", "carried", "share", "obs_status")
    for place, indicator, period, observed, carried, share, status in rows.select(columns).iter_rows():
        last = found[-1] if found else None
        if (
            last is not None
            and (last.place, last.indicator, last.observed, last.status) == (place, indicator, observed, status)
            and carried == last.carried + 1
        ):
            largest = max((value for value in (last.share, share) if value is not None), default=None)
            found[-1] = Imputed(
                place, indicator, last.first, period, last.periods + 1, observed, carried, largest, status
            )
        else:
            found.append(Imputed(place, indicator, period, period, 1, observed, carried, share, status))
    return found


def reference_relatives(
    links: pl.DataFrame, *, places: Sequence[str], column: str, scales: Mapping[str, float]
) -> dict[str, float]:
    """The entity's mean volume over a link's reference ÷ the reference mean, by indicator.

    links: `linking.link_levels`; column: points_before or points_after, which on an indicator's own level are its scale
    × that relative; scales: of the indicators, in the basket that made the column. Empty when no place was there.
    """
    rows = links.filter(
        pl.col("node").is_in(sorted(scales)) & pl.col("place").is_in(list(places)) & pl.col(column).is_not_null()
    ).sort("node", "place")
    if rows.is_empty():
        return {}
    sums: dict[str, float] = dict.fromkeys(sorted(scales), 0.0)
    for node, points in rows.select("node", column).iter_rows():
        sums[node] += points
    return {node: points / scales[node] for node, points in sums.items()}
