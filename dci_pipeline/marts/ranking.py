"""The ranking tables: places within the nation and within groups, groups within the nation (METHOD section 4).

Three ways to be ranked: by points, by growth, by ranks gained in points. Ranks are competition ranks from unrounded
values on one frame of places, those there are now, in every span that is looked at.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from dci_pipeline.marts.entities import KEY, NATION
from dci_pipeline.marts.growth import CHAIN, beside, like_for_like, rank_of, ratio
from dci_pipeline.marts.index_span import maturity

FRAME = ("scope_type", "scope_code", "entity_type", "node")


def ranking(
    now: pl.DataFrame,
    *,
    before: pl.DataFrame | None,
    two_before: pl.DataFrame | None,
    span: pl.Expr,
    whole: bool,
    scopes: Collection[str],
    ranked: Collection[str],
    members: pl.DataFrame,
) -> pl.DataFrame:
    """Every ranking of one half or year.

    now; before, two_before: the same months one and two years before; span: its key as a named literal; scopes: the
    nation and types of groups; ranked: types of entities with a rank; members [group_type, group, place]. Out: the
    columns of the contract but for their order, a row for each basis that has something to compare: without a year
    before there is neither growth nor gain. A place in a group's scope is ranked among the places of its type; a
    withheld row has no rank.
    """
    marked = now.with_columns(maturity=maturity(whole=whole))
    level = _levels(marked, before, two_before).filter(pl.col("entity_type").is_in(sorted(ranked)))
    frame = _competitors(level, now, before, scopes=scopes, members=members)
    frame = frame.with_columns(
        rank_of(name, FRAME, growth=name.startswith("growth")).alias(f"rank_{name}")
        for name in ("points", "points_before", "points_two_before", "growth", "growth_before")
    ).with_columns(
        gain=(pl.col("rank_points_before") - pl.col("rank_points")).cast(pl.Float64),
        gain_before=(pl.col("rank_points_two_before") - pl.col("rank_points_before")).cast(pl.Float64),
    )
    frame = frame.with_columns(rank_of(name, FRAME).alias(f"rank_{name}") for name in ("gain", "gain_before"))
    bases = {"points": "points", "growth": "growth", "rank_gain": "gain"}
    return pl.concat(
        [_basis(frame, basis, column) for basis, column in bases.items() if before is not None or basis == "points"]
    ).with_columns(span, conf_status=pl.lit("F"))


def _levels(now: pl.DataFrame, before: pl.DataFrame | None, two_before: pl.DataFrame | None) -> pl.DataFrame:
    """Points and growth of the entities there are now, in the three spans."""
    frame = beside(now, before, columns=("points", *CHAIN), suffix="_before")
    frame = beside(frame, two_before, columns=("points", *CHAIN), suffix="_two_before")
    return frame.with_columns(growth=like_for_like("_before"), growth_before=like_for_like("_two_before", "_before"))


def _competitors(
    level: pl.DataFrame,
    now: pl.DataFrame,
    before: pl.DataFrame | None,
    *,
    scopes: Collection[str],
    members: pl.DataFrame,
) -> pl.DataFrame:
    """Who is ranked where: every entity in the nation, places in the groups they belong to; with its share of the
    scope's points, now and before."""
    found: list[pl.DataFrame] = []
    if NATION in scopes:
        code = now.filter(pl.col("entity_type") == NATION)["entity_code"].unique().item()
        found.append(level.select(pl.lit(NATION).alias("scope_type"), pl.lit(code).alias("scope_code"), pl.all()))
    of_group = members.filter(pl.col("group_type").is_in(sorted(scopes))).select(
        scope_type="group_type", scope_code="group", entity_code="place"
    )
    # A group may bear the code of a place, and even its type in another tree: only sums have numbers of members.
    places = level.filter(pl.col("n_members").is_null())
    found.append(
        of_group.join(places, on="entity_code", how="inner").select("scope_type", "scope_code", *level.columns)
    )
    frame = pl.concat(found)
    whole = beside(now, before, columns=["points"], suffix="_before").select(
        scope_type="entity_type", scope_code="entity_code", node="node", whole="points", whole_before="points_before"
    )
    return frame.join(whole, on=["scope_type", "scope_code", "node"], how="left").with_columns(
        share=ratio(pl.col("points"), pl.col("whole")),
        share_before=ratio(pl.col("points_before"), pl.col("whole_before")),
    )


def _basis(frame: pl.DataFrame, basis: str, column: str) -> pl.DataFrame:
    by_points = basis == "points"
    none = pl.lit(None, dtype=pl.Float64)
    return frame.select(
        "scope_type",
        "scope_code",
        *KEY,
        basis=pl.lit(basis),
        rank=f"rank_{column}",
        rank_before=f"rank_{column}_before",
        rank_change=pl.col(f"rank_{column}_before") - pl.col(f"rank_{column}"),
        value=column,
        share_of_scope=pl.col("share") if by_points else none,
        share_of_scope_change_pp=100.0 * (pl.col("share") - pl.col("share_before")) if by_points else none,
        obs_status="obs_status",
        maturity="maturity",
        imputed_share="imputed_share",
    )
