"""The values of each link as arrays, checked (METHOD section 2 and 3).

`read` turns plain frames into one `Segment` per link and carries the level across; what is published from them belongs
to `compute`, what changes between two periods to `change`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from dci_pipeline.index.chain import Link, order
from dci_pipeline.index.dense import Floats, Integers, axis, positions, weighted

TOLERANCE = 1e-9
LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Segment:
    """One link: its basket, its weights, and the volumes x of every period it needs (period x place x indicator)."""

    link: Link
    places: pl.Series
    indicators: pl.Series
    weights: Floats
    periods: tuple[date, ...]
    x: Integers
    national: Integers
    means: Floats
    """mean national total of each indicator over the reference period"""
    scale: float
    """L_r / P_r"""

    def volume(self, day: date) -> Floats:
        """x_cj of one period, place x indicator."""
        return self.x[self.periods.index(day)].astype(np.float64)

    def mean_volume(self, days: Sequence[date]) -> Floats:
        """Mean of x_cj over periods: an exact sum, one division."""
        rows = [self.periods.index(day) for day in days]
        return self.x[rows].sum(axis=0).astype(np.float64) / len(rows)

    def relative(self, volume: Floats) -> Floats:
        """p_c = sum of w_j x_cj / mean_j, by place."""
        return weighted(volume / self.means, self.weights[:, None])[:, 0]

    def level(self, days: Sequence[date]) -> float:
        """The nation's level over periods, from national sums of integers."""
        rows = [self.periods.index(day) for day in days]
        totals = self.national[rows].sum(axis=0).astype(np.float64) / len(rows)
        return self.scale * math.fsum(self.weights * (totals / self.means))


def read(values: pl.DataFrame, weights: pl.DataFrame, links: pl.DataFrame, *, base: float) -> list[Segment]:
    """One segment per link in order; columns, rules and errors as in `compute`."""
    rows = _values(values)
    alphas = _weights(weights)
    days: list[date] = axis(rows, "period").to_list()
    chain = order(links, days)
    _same_links(alphas, chain)
    rows = rows.filter(pl.col("indicator").is_in(alphas.get_column("indicator").unique().implode()))
    places = axis(rows, "place")
    segments: list[Segment] = []
    for k, link in enumerate(chain):
        overlap = chain[k + 1].reference if k + 1 < len(chain) else ()
        needed = tuple(sorted({*link.published, *link.reference, *overlap}))
        basket = alphas.filter(pl.col("link") == link.name).sort("indicator")
        level = segments[-1].level(link.reference) if segments else base
        segments.append(_segment(rows, link, places=places, basket=basket, needed=needed, level=level))
    return segments


def _segment(
    rows: pl.DataFrame, link: Link, *, places: pl.Series, basket: pl.DataFrame, needed: tuple[date, ...], level: float
) -> Segment:
    indicators, alpha = basket.get_column("indicator"), basket.get_column("alpha").to_numpy()
    x = _cube(rows, link, (("period", pl.Series(needed, dtype=pl.Date)), ("place", places), ("indicator", indicators)))
    # int64 addition wraps silently: where the largest sum any formula forms might not fit, add Python's integers
    if int(x.max(initial=0)) * len(places) * len(needed) > LARGEST:
        x = x.astype(object)
    national = x.sum(axis=1)
    totals = national[[needed.index(day) for day in link.reference]].sum(axis=0).astype(np.float64)
    means: Floats = totals / len(link.reference)
    empty = indicators.filter(pl.Series(means == 0.0)).to_list()
    if empty:
        raise ValueError(
            f"link {link.name}: {empty} have no volume from {link.reference[0]} to {link.reference[-1]}; expected a "
            "mean above 0 over the reference period, leave the indicator to a later link"
        )
    return Segment(link, places, indicators, alpha, needed, x, national, means, level / math.fsum(alpha))


def _cube(rows: pl.DataFrame, link: Link, axes: tuple[tuple[str, pl.Series], ...]) -> Integers:
    keys = [name for name, _ in axes]
    part = rows.filter(*(pl.col(name).is_in(values.implode()) for name, values in axes))
    shape = [len(values) for _, values in axes]
    if part.height != math.prod(shape):
        grid = pl.DataFrame({keys[0]: axes[0][1]})
        for name, values in axes[1:]:
            grid = grid.join(pl.DataFrame({name: values}), how="cross")
        absent = grid.join(part, on=keys, how="anti").sort(keys)
        first = absent.row(0, named=True)
        raise ValueError(
            f"link {link.name}: {absent.height} of {grid.height} values are absent, first period {first['period']}, "
            f"place {first['place']!r}, indicator {first['indicator']!r}; expected every place and indicator of the "
            "basket in every period of the link and its reference: complete them (normalise.shares), zeros included"
        )
    cube: Integers = np.zeros(shape, dtype=np.int64)
    cube[positions(part, axes)] = part.get_column("value").to_numpy()
    return cube


def _values(values: pl.DataFrame) -> pl.DataFrame:
    _columns("values", values, ("period", "place", "indicator", "value"))
    if values.schema["period"] != pl.Date:
        raise ValueError(
            f"values: period has type {values.schema['period']}; expected Date, the first day of the period"
        )
    if not values.schema["value"].is_integer():
        raise ValueError(f"values: value has type {values.schema['value']}; expected integers in minor units")
    rows = values.select("period", pl.col("place", "indicator").cast(pl.String), pl.col("value").cast(pl.Int64))
    keys = ["period", "place", "indicator"]
    blank = rows.filter(pl.any_horizontal(pl.all().is_null())).sort(keys)
    if not blank.is_empty():
        raise ValueError(
            f"values: {blank.height} rows with an empty field, first {blank.row(0, named=True)}; expected complete "
            "values, estimate the missing ones first (normalise.shares)"
        )
    negative = rows.filter(pl.col("value") < 0).sort(keys)
    if not negative.is_empty():
        raise ValueError(
            f"values: {negative.height} negative, first {negative.row(0, named=True)}; a volume is at least 0, "
            "send it back to the partner"
        )
    twice = rows.filter(pl.struct(keys).is_duplicated()).sort(keys)
    if not twice.is_empty():
        raise ValueError(
            f"values: one row per period, place and indicator expected; found twice {twice.row(0, named=True)}"
        )
    return rows


def _weights(weights: pl.DataFrame) -> pl.DataFrame:
    _columns("weights", weights, ("link", "indicator", "alpha"))
    rows = weights.select(pl.col("link", "indicator").cast(pl.String), pl.col("alpha").cast(pl.Float64)).sort(
        "link", "indicator"
    )
    wrong = rows.filter(~(pl.col("alpha") > 0) | pl.any_horizontal(pl.all().is_null()))
    if not wrong.is_empty():
        raise ValueError(
            f"weights: found {wrong.row(0, named=True)}; expected link, indicator and an alpha above 0 on every row"
        )
    twice = rows.filter(pl.struct("link", "indicator").is_duplicated())
    if not twice.is_empty():
        raise ValueError(f"weights: one row per link and indicator expected; found twice {twice.row(0, named=True)}")
    for link, alphas in rows.group_by("link", maintain_order=True).agg("alpha").iter_rows():
        total = math.fsum(alphas)
        if not abs(total - 1) <= TOLERANCE:
            raise ValueError(
                f"weights: link {link} sums to {total!r}; expected 1 within {TOLERANCE}: give the leaf weights of "
                "the whole basket, products of the alphas along each path"
            )
    return rows


def _same_links(weights: pl.DataFrame, chain: Sequence[Link]) -> None:
    weighed, chained = set(weights.get_column("link")), {link.name for link in chain}
    if weighed != chained:
        raise ValueError(
            f"weights have links {sorted(weighed)}, links {sorted(chained)}; expected the weights of every link and "
            "no others"
        )


def _columns(frame: str, found: pl.DataFrame, expected: tuple[str, ...]) -> None:
    lacking = [name for name in expected if name not in found.columns]
    if lacking:
        raise ValueError(f"{frame}: columns {found.columns} lack {lacking}; expected {', '.join(expected)}")
