"""What an exhibit makes of selected values: ranks, ratios and gaps, the month of an extreme, quadrants, correlation.

Frames as `selections.select` returns them, in and out; ranks and comparisons use unrounded values (METHOD section 4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from dci_pipeline.marts.growth import comparable
from dci_pipeline.marts.selections import KEYS


def rank(frame: pl.DataFrame, *, per: Sequence[str] = (), descending: bool = True) -> pl.DataFrame:
    """The competition rank of every value as the value, within each key of `per`; ties share the smaller number."""
    ranks = comparable(pl.col("value")).rank("min", descending=descending)
    return frame.with_columns(value=(ranks.over(list(per)) if per else ranks).cast(pl.Float64))


def position(frame: pl.DataFrame) -> pl.DataFrame:
    """The place in the list by value, largest first; ties stand in the order of the entities' codes."""
    ordered = frame.sort("value", "entity_code", descending=[True, False])
    return ordered.with_columns(value=pl.int_range(1, pl.len() + 1).cast(pl.Float64))


def relate(frame: pl.DataFrame, to: pl.DataFrame, how: str) -> pl.DataFrame:
    """Every value beside its counterpart: ratio_to (÷), gap_to (−) or growth_on (÷ − 1).

    The counterpart is the row of `to` with the same keys, or its only row; where there is none, or it is 0, no row.
    """
    found = _beside(frame, to.rename({"value": "other"}))
    value, other = pl.col("value"), pl.col("other")
    if how == "gap_to":
        return found.with_columns(value=value - other).drop("other")
    ratio = value / other
    return found.filter(other != 0).with_columns(value=ratio - 1.0 if how == "growth_on" else ratio).drop("other")


def _beside(frame: pl.DataFrame, to: pl.DataFrame) -> pl.DataFrame:
    if to.height == 1:
        return frame.join(to.select("other"), how="cross")
    on = [name for name in KEYS if name in frame.columns and name in to.columns]
    if not on:
        return frame.clear().with_columns(other=pl.lit(None, dtype=pl.Float64))
    return frame.join(to.select(*on, "other"), on=on, how="inner", maintain_order="left")


def extreme_month(frame: pl.DataFrame, *, per: Sequence[str], largest: bool) -> pl.DataFrame:
    """For each key of `per` the number of the month with the largest or smallest value; of equals the first."""
    first = frame.sort(*per, "value", "month", descending=[*[False] * len(per), largest, False])
    return first.unique(list(per), keep="first", maintain_order=True).with_columns(
        value=pl.col("month").dt.month().cast(pl.Float64)
    )


def plane(x: pl.DataFrame, y: pl.DataFrame) -> pl.DataFrame:
    """The rows of `x` that `y` has too, with columns x and y.

    Rows meet on the keys in which the rows of either differ, and on the entity.
    """
    shared = [name for name in KEYS if name in x.columns and name in y.columns]
    on = [name for name in shared if name == "entity_code" or x[name].n_unique() > 1 or y[name].n_unique() > 1]
    return x.rename({"value": "x"}).join(
        y.select(*on, y="value"), on=on, how="inner", validate="1:1", maintain_order="left"
    )


def quadrant(frame: pl.DataFrame, *, split_x: float, split_y: float) -> pl.DataFrame:
    """1 high x and high y, 2 low x and high y, 3 low and low, 4 high x and low y; high is above the split."""
    high_x, high_y = pl.col("x") > split_x, pl.col("y") > split_y
    value = pl.when(high_x & high_y).then(1.0).when(high_y).then(2.0).when(high_x).then(4.0).otherwise(3.0)
    return frame.with_columns(value=value)


def both_high(frame: pl.DataFrame, *, split_x: float, split_y: float) -> pl.DataFrame:
    """1 where x and y are both above their split, else 0."""
    return frame.with_columns(value=((pl.col("x") > split_x) & (pl.col("y") > split_y)).cast(pl.Float64))


def correlation(frame: pl.DataFrame) -> pl.DataFrame:
    """One row: Pearson's correlation of x and y; none with fewer than three rows or where either does not vary."""
    x, y = frame["x"].to_list(), frame["y"].to_list()
    found: list[float] = []
    if len(x) > 2:
        mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
        over_x = math.fsum((one - mean_x) ** 2 for one in x)
        over_y = math.fsum((one - mean_y) ** 2 for one in y)
        both = math.fsum((one - mean_x) * (other - mean_y) for one, other in zip(x, y, strict=True))
        found = [both / math.sqrt(over_x * over_y)] if over_x and over_y else []
    return pl.DataFrame({"value": found}, schema={"value": pl.Float64})


def sign(frame: pl.DataFrame) -> pl.DataFrame:
    """1, 0 or −1 for every value."""
    return frame.with_columns(value=pl.col("value").sign())
