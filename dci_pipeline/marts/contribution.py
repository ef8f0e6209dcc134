"""The contribution tables: what every entity × node adds to the change of the nation's root (METHOD sections 3 and 4).

In points of the root (`composite_points`): ΔI = contribution + link effect, and contributions add over places and over
leaves to the change of the nation's level. Across a link an indicator that enters or leaves has its own part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from dci_pipeline.marts.entities import KEY, NATION, in_order
from dci_pipeline.marts.growth import joined, ratio, same_rows
from dci_pipeline.marts.index_span import maturity
from dci_pipeline.normalise.statuses import STATUSES

SMALLEST_CHANGE = 0.01
_STANDING = ("composite_points", "composite_link_points")


def standing(span: pl.DataFrame, parts: Sequence[tuple[int, pl.DataFrame, Sequence[pl.DataFrame]]]) -> pl.DataFrame:
    """Where every entity × node stands in its root over a span, and what links have moved it by.

    span: entities of the whole span; parts: for each link that the span touches how many periods it has there, their
    entities, and `linked.linked_entities` of every link passed until then. Out: [entity_type, entity_code, node, there
    (the span has the row), composite_points, composite_link_points, obs_status, imputed_share]. A node that has left
    the basket stands at 0 and goes on bearing what its leaving moved; a withheld row has no points.
    """
    found = [
        (periods, pl.concat([_in_basket(entities), *_departed(entities, passed)]))
        for periods, entities, passed in parts
    ]
    if len(found) == 1:
        frame = found[0][1]
    else:
        whole = sum(periods for periods, _ in found)
        frame = (
            pl.concat([rows.select(KEY) for _, rows in found])
            .unique()
            .with_columns(pl.lit(0.0).alias(name) for name in _STANDING)
        )
        for periods, rows in found:
            frame = frame.join(rows.with_columns(known=True), on=list(KEY), how="left", suffix="_part").with_columns(
                # A row the part has not counts 0 there; a withheld one undoes the mean.
                pl.when("known").then(pl.col(name) + periods / whole * pl.col(f"{name}_part")).otherwise(name)
                for name in _STANDING
            )
            frame = frame.select(*KEY, *_STANDING)
    said = span.select(*KEY, "obs_status", "imputed_share", there=pl.lit(True))
    return joined(frame, said).with_columns(pl.col("there").fill_null(False))


def contribution(
    now: pl.DataFrame, base: pl.DataFrame, *, roots: Mapping[str, str], nation: str, whole: bool
) -> pl.DataFrame:
    """Contributions of one span to the change since another.

    now, base: `standing` of the spans; roots: the root of each node. Out: [entity_type, entity_code, node,
    contribution_points, contribution_pp (100 × contribution ÷ the root's national level at the base),
    contribution_rate (contribution ÷ the level's change; null when that is below 1 % of the level),
    link_effect_points, obs_status (the stronger of the two spans), conf_status, maturity, imputed_share], sorted. An
    entity or node that is in one span only counts 0 in the other; a withheld row has no contribution. Trees that the
    base does not have are left out.
    """
    frame = _both(now, base).with_columns(root=pl.col("node").replace_strict(roots, return_dtype=pl.String))
    level = frame.filter(
        (pl.col("entity_type") == NATION) & (pl.col("entity_code") == nation) & (pl.col("node") == pl.col("root"))
    ).select("root", level="composite_points", level_base="composite_points_base", had="there_base")
    change = pl.col("level") - pl.col("level_base")
    moved = pl.col("composite_points") - pl.col("composite_points_base")
    return in_order(
        frame.join(level.filter("had").drop("had"), on="root", how="inner", maintain_order="left")
        .with_columns(
            link_effect_points=pl.col("composite_link_points") - pl.col("composite_link_points_base"),
            conf_status=pl.lit("F"),
        )
        .with_columns(contribution_points=moved - pl.col("link_effect_points"))
        .with_columns(
            contribution_pp=100.0 * ratio(pl.col("contribution_points"), pl.col("level_base")),
            contribution_rate=pl.when(change.abs() >= SMALLEST_CHANGE * pl.col("level")).then(
                ratio(pl.col("contribution_points"), change)
            ),
            maturity=maturity(whole=whole),
        )
        .select(
            *KEY,
            "contribution_points",
            "contribution_pp",
            "contribution_rate",
            "link_effect_points",
            "obs_status",
            "conf_status",
            "maturity",
            "imputed_share",
        )
    )


def _in_basket(entities: pl.DataFrame) -> pl.DataFrame:
    shown = pl.when(pl.col("obs_status") != "M").then("composite_points")
    return entities.select(*KEY, composite_points=shown, composite_link_points="composite_link_points")


def _departed(entities: pl.DataFrame, passed: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Nodes that links brought in or took out and that are not there: at 0, with what the links moved them by."""
    if not passed:
        return []
    frame = pl.concat([link.select(KEY) for link in passed]).unique()
    frame = frame.join(entities, on=list(KEY), how="anti").with_columns(
        composite_points=pl.lit(0.0), composite_link_points=pl.lit(0.0)
    )
    for link in passed:
        moved = pl.col("composite_after").fill_null(0.0) - pl.col("composite_before").fill_null(0.0)
        frame = frame.join(link.select(*KEY, moved=moved), on=list(KEY), how="left").select(
            *KEY,
            "composite_points",
            composite_link_points=pl.col("composite_link_points") + pl.col("moved").fill_null(0.0),
        )
    return [frame]


def _both(now: pl.DataFrame, base: pl.DataFrame) -> pl.DataFrame:
    """Rows that either span has, side by side; `_base` names the base's columns."""
    strength = {name: number for number, name in enumerate(STATUSES)}
    if same_rows(now, base):
        frame = pl.concat([now, base.drop(KEY).select(pl.all().name.suffix("_base"))], how="horizontal")
    else:
        frame = now.join(base, on=list(KEY), how="full", suffix="_base", coalesce=True)
    frame = frame.with_columns(pl.col(name).fill_null(False) for name in ("there", "there_base"))
    # A row that a span knows nothing of counts 0; one it has and does not show stays unknown.
    filled = [
        pl.when(pl.col(f"there{suffix}") | pl.col(f"{name}{suffix}").is_not_null())
        .then(f"{name}{suffix}")
        .otherwise(0.0)
        .alias(f"{name}{suffix}")
        for name in _STANDING
        for suffix in ("", "_base")
    ]
    stronger = pl.max_horizontal(
        pl.col(name).replace_strict(strength, return_dtype=pl.Int64) for name in ("obs_status", "obs_status_base")
    )
    # A leaf that came and went between the two spans is in neither, and has its part all the same.
    passed = pl.col("composite_link_points") != pl.col("composite_link_points_base")
    return (
        frame.with_columns(
            *filled,
            obs_status=stronger.replace_strict(dict(enumerate(STATUSES)), return_dtype=pl.String).fill_null("A"),
            imputed_share=pl.when("there").then("imputed_share").otherwise("imputed_share_base"),
        )
        .filter(pl.col("there") | pl.col("there_base") | passed)
        .with_columns(
            imputed_share=pl.when(pl.col("there") | pl.col("there_base")).then("imputed_share").otherwise(0.0)
        )
    )
