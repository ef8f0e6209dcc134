"""Dimension tables: places by kind, groups with their members, aliases, nodes and weights, with validity dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl


def places(frame: pl.DataFrame, membership: pl.DataFrame, *, kind: str, group_types: Sequence[str]) -> pl.DataFrame:
    """Places of one kind with their primary group of each type as a column, sorted by code."""
    table = frame.filter(pl.col("type") == kind)
    for group_type in group_types:
        table = table.join(_latest(membership, group_type), left_on="code", right_on="place", how="left")
    return table.sort("code")


def groups(frame: pl.DataFrame, membership: pl.DataFrame, *, kind: str, group_types: Sequence[str]) -> pl.DataFrame:
    """Groups of one kind with the groups of other types that hold all their places, sorted by code."""
    table = frame.filter(pl.col("type") == kind)
    own = _latest(membership, kind)
    for group_type in group_types:
        if group_type == kind:
            continue
        shared = (
            own.join(_latest(membership, group_type), on="place", how="left")
            .group_by(kind)
            .agg(pl.col(group_type).unique())
            .filter(pl.col(group_type).list.len() == 1)
            .select(kind, pl.col(group_type).list.first())
        )
        table = table.join(shared, left_on="code", right_on=kind, how="left")
    return table.sort("code")


def unit_group(frame: pl.DataFrame, membership: pl.DataFrame) -> pl.DataFrame:
    """Every membership with its group's names, sorted by group_type, group_code, place."""
    return (
        membership.join(
            frame.select("type", "code", "name_zh", "name_en"),
            left_on=["group_type", "group"],
            right_on=["type", "code"],
            how="left",
        )
        .select(
            "group_type",
            pl.col("group").alias("group_code"),
            "name_zh",
            "name_en",
            "place",
            (pl.col("primary") == "1").alias("is_primary"),
            "coverage",
            "valid_from",
            "valid_to",
        )
        .sort("group_type", "group_code", "place", "valid_from")
    )


def alias(frame: pl.DataFrame) -> pl.DataFrame:
    """Every alias, sorted."""
    return frame.select(
        "alias", "alias_type", "place", "valid_from", "valid_to", (pl.col("ambiguous") == "1").alias("ambiguous")
    ).sort("alias", "place", "alias_type", "valid_from")


def weights(
    alphas: pl.DataFrame,
    *,
    node_weights: pl.DataFrame,
    agreement: pl.DataFrame,
    errors: pl.DataFrame,
    waves: Mapping[str, tuple[str, bool]],
) -> pl.DataFrame:
    """The weights of one link, sorted by wave, link, node, child.

    alphas [link, wave, node, child, alpha, n_experts, assumption]; node_weights [node, beta] with the path's product;
    agreement [wave, node, kendall_w]; errors [wave, node, child, se]; waves: effective_from and whether it is an
    assumption.
    """
    meaning = pl.DataFrame(
        [(wave, start, assumed) for wave, (start, assumed) in waves.items()],
        orient="row",
        schema={"wave": pl.String, "effective_from": pl.String, "wave_assumption": pl.Boolean},
    )
    path = node_weights.select(child="node", effective_weight="beta").unique()
    return (
        alphas.join(path, on="child", how="left")
        .join(meaning, on="wave", how="left")
        .join(agreement.select("wave", "node", "kendall_w"), on=["wave", "node"], how="left")
        .join(errors.select("wave", "node", "child", "se"), on=["wave", "node", "child"], how="left")
        .with_columns(
            assumption=pl.col("assumption") | pl.col("wave_assumption"),
            effective_from=pl.col("effective_from").str.to_date("%Y-%m-%d"),
        )
        .sort("wave", "link", "node", "child")
    )


def _latest(membership: pl.DataFrame, group_type: str) -> pl.DataFrame:
    return (
        membership.filter((pl.col("group_type") == group_type) & (pl.col("primary") == "1"))
        .sort("place", "valid_from", nulls_last=False)
        .unique("place", keep="last")
        .select("place", pl.col("group").alias(group_type))
    )
