"""Rank, growth and their changes on frames of entities (METHOD section 4). Ranks come from unrounded values.

Growth is like for like: the ratio of chained points, which inside one link is the ratio of points. Points, ranks and
shares are never chained.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import polars as pl

from dci_pipeline.index.dense import Flags, Floats
from dci_pipeline.marts.entities import KEY, NATION

CHAIN = ("chained_points", "chain_breaks")
_DIGITS = 12


def with_ranks(entities: pl.DataFrame, *, ranked: Collection[str]) -> pl.DataFrame:
    """Adds `rank` Int64: competition rank by points, descending, within entity_type × node.

    Null for types that are not ranked and for rows without points.
    """
    return entities.with_columns(
        rank=pl.when(pl.col("entity_type").is_in(sorted(ranked))).then(rank_of("points", ("entity_type", "node")))
    )


def rank_of(column: str, frame: Sequence[str], *, growth: bool = False) -> pl.Expr:
    """Competition rank Int64 by `column`, descending, among the rows that share `frame`; null has no rank.

    growth: the column is a growth, not a level. What is equal by `comparable` shares a rank.
    """
    return comparable(pl.col(column), growth=growth).rank("min", descending=True).over(frame).cast(pl.Int64)


def comparable(value: pl.Expr, *, growth: bool = False) -> pl.Expr:
    """The value without the digits that are the machine's: a level to 12 significant digits, a growth to 12 decimals.

    A float carries 15 or 16 digits, and the last of them depend on the order of operations: numbers that are equal in
    the method may differ there, and must not be ranked apart. A growth is a ratio less 1: its error is that of a
    number near 1, however small it is itself.
    """
    return value.round(_DIGITS) if growth else value.round_sig_figs(_DIGITS)


def comparable_values(values: Floats, *, growth: bool = False) -> Floats:
    """An array as `comparable` makes it."""
    flat = pl.DataFrame({"value": values.reshape(-1)}).select(comparable(pl.col("value"), growth=growth))
    return flat.get_column("value").to_numpy().reshape(values.shape)


def competition_ranks(values: Floats) -> Floats:
    """Competition ranks of each row's values among themselves, descending; NaN has none. As `rank_of` on an array."""
    order = np.argsort(-values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    new: Flags = np.ones(values.shape, dtype=np.bool_)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    place: Floats = np.broadcast_to(np.arange(1.0, values.shape[1] + 1.0), values.shape)
    first = np.maximum.accumulate(np.where(new, place, 0.0), axis=1)
    rank: Floats = np.empty(values.shape)
    np.put_along_axis(rank, order, first, axis=1)
    rank[np.isnan(values)] = np.nan
    return rank


def with_points_share(entities: pl.DataFrame, *, nation: str) -> pl.DataFrame:
    """Adds `points_share`: points ÷ the nation's points of the node, a fraction; null when the nation has none."""
    national = entities.filter((pl.col("entity_type") == NATION) & (pl.col("entity_code") == nation)).select(
        "node", national="points"
    )
    return (
        entities.join(national, on="node", how="left", maintain_order="left")
        .with_columns(points_share=ratio(pl.col("points"), pl.col("national")))
        .drop("national")
    )


def beside(entities: pl.DataFrame, base: pl.DataFrame | None, *, columns: Collection[str], suffix: str) -> pl.DataFrame:
    """Adds `columns` of the same entity × node in another span, named with `suffix`; null without one."""
    if base is None:
        return entities.with_columns(
            pl.lit(None, dtype=entities.schema[name]).alias(f"{name}{suffix}") for name in columns
        )
    return joined(entities, base.select(*KEY, *(pl.col(name).alias(f"{name}{suffix}") for name in columns)))


def joined(entities: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Adds the columns of `other`, of the same entity × node; null where it has none. Both have each key once."""
    if same_rows(entities, other):
        return pl.concat([entities, other.drop(KEY)], how="horizontal")
    return entities.join(other, on=list(KEY), how="left", maintain_order="left")


def same_rows(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    """Whether both have the same entities × nodes in the same order, as spans of one geography and link have."""
    return one.select(KEY).equals(other.select(KEY))


def growth_on(entities: pl.DataFrame, base: pl.DataFrame | None, *, name: str) -> pl.DataFrame:
    """Adds `name`: like-for-like growth, a fraction; null without base, or with a base of zero."""
    suffix = "_growth_base"
    frame = beside(entities, base, columns=CHAIN, suffix=suffix)
    return frame.with_columns(like_for_like(suffix).alias(name)).drop(f"{column}{suffix}" for column in CHAIN)


def compound(entities: pl.DataFrame, base: pl.DataFrame | None, *, years: int, name: str) -> pl.DataFrame:
    """Adds `name`: compound annual growth on a base `years` before, like for like; null as growth is."""
    grown = growth_on(entities, base, name=name)
    return grown.with_columns(((pl.col(name) + 1.0) ** (1.0 / years) - 1.0).alias(name))


def like_for_like(base: str, now: str = "") -> pl.Expr:
    """Growth of chained points between the columns with suffix `base` and those with suffix `now`.

    Null where the base is zero, and across a link over whose reference there was nothing to chain by.
    """
    same_chain = pl.col(f"chain_breaks{now}") == pl.col(f"chain_breaks{base}")
    return pl.when(same_chain).then(growth(f"chained_points{now}", f"chained_points{base}"))


def growth(now: str, base: str) -> pl.Expr:
    """now ÷ base − 1; null where the base is zero or null."""
    return ratio(pl.col(now), pl.col(base)) - 1.0


def ratio(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    """numerator ÷ denominator, null where the denominator is zero or null."""
    return pl.when(denominator != 0).then(numerator / denominator)
