"""Two definitions of an index side by side: what moves in levels, ranks and effective weights.

Pure functions over rows of `index_year` and `effective_weights_year`, `before` and `after`. What only one of the two
has keeps nulls on the other side.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import polars as pl

KEY = ("entity_type", "entity_code", "node", "year")
_MEASURES = ("points", "growth_yoy", "share", "rank")


def side_by_side(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """[entity_type, entity_code, node, year; points, growth_yoy, share, rank each `_before` and `_after`;
    points_change, share_change, rank_change (before - after: positive has moved up)], sorted by year, node, entity.
    """
    columns = [*KEY, *_MEASURES]
    joined = _joined(before.select(columns), after.select(columns), KEY)
    return joined.with_columns(
        points_change=pl.col("points_after") - pl.col("points_before"),
        share_change=pl.col("share_after") - pl.col("share_before"),
        rank_change=pl.col("rank_before") - pl.col("rank_after"),
    ).sort("year", "node", "entity_type", "entity_code")


def effective_weights(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """[node, child, year, omega_before, omega_after, omega_change], sorted by year, node, child."""
    key = ("node", "child", "year")
    joined = _joined(before.select(*key, "omega"), after.select(*key, "omega"), key)
    return joined.with_columns(omega_change=pl.col("omega_after") - pl.col("omega_before")).sort(
        "year", "node", "child"
    )


def ranks(beside: pl.DataFrame, *, types: Collection[str]) -> pl.DataFrame:
    """How much the order of each ranked type moves, from `side_by_side`.

    [year, node, entity_type, entities (ranked on both sides), moved, largest_rank_change, spearman, kendall], sorted.
    Spearman's coefficient is of mid-ranks, Kendall's is tau-b; null with fewer than two entities or without an order.
    """
    both = beside.filter(
        pl.col("entity_type").is_in(sorted(types))
        & pl.col("rank_before").is_not_null()
        & pl.col("rank_after").is_not_null()
    )
    found = [
        (*key, group.height, *_moves(group["rank_change"]), *_agreement(group))
        for key, group in both.partition_by("year", "node", "entity_type", as_dict=True, maintain_order=True).items()
    ]
    names = {
        "year": beside.schema["year"],
        "node": pl.String,
        "entity_type": pl.String,
        "entities": pl.Int64,
        "moved": pl.Int64,
        "largest_rank_change": pl.Int64,
        "spearman": pl.Float64,
        "kendall": pl.Float64,
    }
    return pl.DataFrame(found, schema=names, orient="row").sort("year", "node", "entity_type")


def largest(beside: pl.DataFrame, by: str, *, count: int) -> pl.DataFrame:
    """The `count` rows of every year, node and type that move most in `by`; those that do not move are left out."""
    moving = beside.filter(pl.col(by).is_not_null() & (pl.col(by) != 0))
    order = moving.sort(pl.col(by).abs(), "entity_code", descending=[True, False])
    return (
        order.group_by("year", "node", "entity_type", maintain_order=True)
        .head(count)
        .sort("year", "node", "entity_type", maintain_order=True)
    )


def nothing_moves(beside: pl.DataFrame, weights: pl.DataFrame) -> bool:
    """Whether both sides have the same rows with the same values, digit for digit."""
    return all(
        frame[f"{name}_before"].eq_missing(frame[f"{name}_after"]).all()
        for frame, names in ((beside, ("there", *_MEASURES)), (weights, ("there", "omega")))
        for name in names
    )


def _joined(before: pl.DataFrame, after: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """Both sides in a row; `there_before` and `there_after` say which of them has one."""
    sides = [
        frame.with_columns(there=pl.lit(True)).rename(
            {name: f"{name}_{side}" for name in (*frame.columns, "there") if name not in key}
        )
        for frame, side in ((before, "before"), (after, "after"))
    ]
    return sides[0].join(sides[1], on=list(key), how="full", coalesce=True)


def _moves(changes: pl.Series) -> tuple[int, int]:
    moved = np.abs(changes.to_numpy())
    return int((moved > 0).sum()), int(moved.max(initial=0))


def _agreement(group: pl.DataFrame) -> tuple[float | None, float | None]:
    """Spearman's coefficient and Kendall's tau-b of the ranks on both sides."""
    first, second = (group[f"rank_{side}"].rank("average").to_numpy() for side in ("before", "after"))
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None, None
    a, b = first - first.mean(), second - second.mean()
    spearman = float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))
    one, other = (np.sign(values[:, None] - values[None, :]) for values in (first, second))
    kendall = float((one * other).sum() / np.sqrt((one * one).sum() * (other * other).sum()))
    return spearman, kendall
