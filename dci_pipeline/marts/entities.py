"""From places to entities: groups and the nation as sums of places, means over members (METHOD sections 2, 4).

Floats are added in one fixed order (places sorted by code), so the same places give the same bits everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]

SUMMED = ("points", "composite_points", "share", "imputed")
KEY = ("entity_type", "entity_code", "node")


def entities(places: pl.DataFrame, *, members: pl.DataFrame, types: pl.DataFrame, nation: str) -> pl.DataFrame:
    """Every entity × node of one period or span.

    places: [place, node, points, composite_points, share, imputed_share, obs_status, …]; members: primary memberships
    [group_type, group, place]; types: [place, type, member Boolean]; nation: its code.
    Out: [entity_type, entity_code, node, points, composite_points, share, mean_points, n_members, member_type,
    obs_status, imputed_share], sorted by entity_type, entity_code, node. A place row with status M carries no points
    and no share; its estimate stays in the sums. Means are over member places only; a residual is no member.
    """
    nodes = places["node"].unique().sort()
    codes = places["place"].unique().sort()
    kinds = types.filter(pl.col("place").is_in(codes.implode())).sort("place")
    cube = _cube(places, codes, nodes)
    member = np.array(
        dict(kinds.select("place", "member").iter_rows()) and [bool(value) for value in kinds["member"].to_list()],
        dtype=bool,
    )
    own = (
        places.join(kinds.select("place", "type"), on="place")
        .with_columns(withheld=pl.col("obs_status") == "M")
        .select(
            entity_type="type",
            entity_code="place",
            node="node",
            points=pl.when("withheld").then(None).otherwise(pl.col("points")),
            composite_points=pl.when("withheld").then(None).otherwise(pl.col("composite_points")),
            share=pl.when("withheld").then(None).otherwise(pl.col("share")),
            mean_points=pl.lit(None, dtype=pl.Float64),
            n_members=pl.lit(None, dtype=pl.Int64),
            member_type=pl.lit(None, dtype=pl.String),
            obs_status="obs_status",
            imputed_share="imputed_share",
        )
    )
    position = {code: number for number, code in enumerate(codes.to_list())}
    groups: dict[tuple[str, str], list[int]] = {("nation", nation): list(range(len(codes)))}
    for group_type, group, place in members.sort("group_type", "group", "place").iter_rows():
        if place in position:
            groups.setdefault((group_type, group), []).append(position[place])
    member_types = kinds.filter("member")["type"].unique().sort().to_list()
    summed = [
        _summed(cube, rows, member, nodes, group_type, group, ",".join(member_types))
        for (group_type, group), rows in groups.items()
    ]
    return pl.concat([own, *summed], how="vertical").sort(KEY)


def _cube(places: pl.DataFrame, codes: pl.Series, nodes: pl.Series) -> Mapping[str, Floats]:
    """place × node arrays of the summed columns; a null adds nothing."""
    full = (
        pl.DataFrame({"place": codes})
        .join(pl.DataFrame({"node": nodes}), how="cross")
        .join(places.with_columns(imputed=pl.col("share") * pl.col("imputed_share")), on=["place", "node"], how="left")
        .sort("place", "node")
    )
    shape = (len(codes), len(nodes))
    unobserved = full.select((pl.col("obs_status") != "A").fill_null(False).cast(pl.Float64)).to_series()
    return {name: full[name].fill_null(0.0).to_numpy().reshape(shape) for name in SUMMED} | {
        "unobserved": unobserved.to_numpy().reshape(shape)
    }


def _summed(
    cube: Mapping[str, Floats],
    rows: list[int],
    member: npt.NDArray[np.bool_],
    nodes: pl.Series,
    group_type: str,
    group: str,
    member_type: str,
) -> pl.DataFrame:
    total = {name: cube[name][rows].sum(axis=0) for name in SUMMED}
    inside = [row for row in rows if member[row]]
    count = len(inside)
    mean = cube["points"][inside].sum(axis=0) / count if count else np.full(len(nodes), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        imputed = np.where(total["share"] > 0, total["imputed"] / total["share"], 0.0)
    return pl.DataFrame(
        {
            "entity_type": pl.Series([group_type] * len(nodes)),
            "entity_code": pl.Series([group] * len(nodes)),
            "node": nodes,
            "points": total["points"],
            "composite_points": total["composite_points"],
            "share": total["share"],
            "mean_points": pl.Series(mean).fill_nan(None),
            "n_members": pl.Series([count] * len(nodes), dtype=pl.Int64),
            "member_type": pl.Series([member_type if count else None] * len(nodes), dtype=pl.String),
            "obs_status": np.where((imputed > 0) | cube["unobserved"][inside].any(axis=0), "E", "A"),
            "imputed_share": imputed,
        },
        schema_overrides={"obs_status": pl.String},
    )
