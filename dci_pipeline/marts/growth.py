"""Rank, growth and their changes on frames of entities (METHOD section 4). Ranks come from unrounded values."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from dci_pipeline.marts.entities import KEY


def with_ranks(entities: pl.DataFrame, *, ranked: Collection[str]) -> pl.DataFrame:
    """Adds `rank` Int64: competition rank by points, descending, within entity_type × node.

    Null for types that are not ranked and for rows without points.
    """
    return entities.with_columns(
        rank=pl.when(pl.col("entity_type").is_in(sorted(ranked)))
        .then(pl.col("points").rank("min", descending=True).over("entity_type", "node"))
        .cast(pl.Int64)
    )


def with_points_share(entities: pl.DataFrame, *, nation: str) -> pl.DataFrame:
    """Adds `points_share`: points ÷ the nation's points of the node, a fraction; null when the nation has none."""
    national = entities.filter((pl.col("entity_type") == "nation") & (pl.col("entity_code") == nation)).select(
        "node", national="points"
    )
    return (
        entities.join(national, on="node", how="left", maintain_order="left")
        .with_columns(points_share=ratio(pl.col("points"), pl.col("national")))
        .drop("national")
    )


def growth_on(entities: pl.DataFrame, base: pl.DataFrame | None, *, name: str) -> pl.DataFrame:
    """Adds `name`: points ÷ base points − 1, a fraction; null without base, or with a base of zero."""
    if base is None:
        return entities.with_columns(pl.lit(None, dtype=pl.Float64).alias(name))
    return (
        entities.join(base.select(*KEY, base="points"), on=list(KEY), how="left", maintain_order="left")
        .with_columns((ratio(pl.col("points"), pl.col("base")) - 1.0).alias(name))
        .drop("base")
    )


def members_growth(
    entities: pl.DataFrame, *, members: pl.DataFrame, types: pl.DataFrame, nation: str, growth: str, name: str
) -> pl.DataFrame:
    """Adds `name`: the mean of the members' `growth`, for groups and the nation; null for places.

    members [group_type, group, place], types [place, type, member Boolean]; a member without growth is left out. This
    is another measure than the growth of the sum.
    """
    inside = types.filter("member").select("place", "type")
    own = (
        entities.join(inside, left_on=["entity_code", "entity_type"], right_on=["place", "type"], how="inner")
        .select(place="entity_code", node="node", growth=growth)
        .drop_nulls("growth")
    )
    belongs = pl.concat(
        [
            members.select("group_type", "group", "place"),
            inside.select(pl.lit("nation").alias("group_type"), pl.lit(nation).alias("group"), "place"),
        ]
    )
    rows = belongs.join(own, on="place", how="inner").sort("group_type", "group", "node", "place")
    # One group after the other, in the order of places: a float mean by group_by is not the same bits every time.
    means = [(*key, sum(found) / len(found)) for key, found in _gather(rows).items()]
    frame = pl.DataFrame(
        means,
        orient="row",
        schema={"entity_type": pl.String, "entity_code": pl.String, "node": pl.String, name: pl.Float64},
    )
    return entities.join(frame, on=list(KEY), how="left", maintain_order="left")


def _gather(rows: pl.DataFrame) -> dict[tuple[str, str, str], list[float]]:
    gathered: dict[tuple[str, str, str], list[float]] = {}
    for group_type, group, node, growth in rows.select("group_type", "group", "node", "growth").iter_rows():
        gathered.setdefault((group_type, group, node), []).append(growth)
    return gathered


def change_on(
    entities: pl.DataFrame,
    base: pl.DataFrame | None,
    *,
    column: str,
    name: str,
    reverse: bool = False,
    scale: float | None = None,
) -> pl.DataFrame:
    """Adds `name`: column − base column, or base − column when `reverse` (a rank that fell in number moved up)."""
    dtype = entities.schema[column]
    if base is None:
        return entities.with_columns(pl.lit(None, dtype=dtype).alias(name))
    difference = pl.col("base") - pl.col(column) if reverse else pl.col(column) - pl.col("base")
    return (
        entities.join(base.select(*KEY, base=column), on=list(KEY), how="left", maintain_order="left")
        .with_columns((difference * scale if scale is not None else difference).alias(name))
        .drop("base")
    )


def ratio(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    """numerator ÷ denominator, null where the denominator is zero or null."""
    return pl.when(denominator != 0).then(numerator / denominator)
