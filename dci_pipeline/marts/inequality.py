"""The table `inequality_year`: divide, concentration and convergence over the members of every scope (METHOD 10).

A scope is the nation or a group; its members are places, residuals left out. Formulas of one list of numbers are in
`spread`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import polars as pl

from dci_pipeline.marts import spread
from dci_pipeline.marts.entities import KEY, NATION
from dci_pipeline.marts.index_span import maturity

Scope = tuple[str, str]
SCHEMA = {
    "scope_type": pl.String,
    "scope_code": pl.String,
    "node": pl.String,
    "measure": pl.String,
    "value": pl.Float64,
}


def inequality_year(
    now: pl.DataFrame,
    *,
    first: tuple[int, pl.DataFrame] | None,
    members: pl.DataFrame,
    types: pl.DataFrame,
    nation: str,
    year: int,
    whole: bool,
    divide: str,
    theil_groups: str | None,
) -> pl.DataFrame:
    """One year's partition.

    now: entities of the year [entity_type, entity_code, node, points, chained_points, chain_breaks, obs_status,
    imputed_share, …]; first: how many years ago the first whole year was, and its entities, None unless this year is
    whole and later; members [group_type, group, place]; types [place, type, member Boolean]; divide: which of
    spread.DIVIDES is the divide; theil_groups: the group type Theil's index is split by. A member without points
    (withheld) is left out. Out, sorted by scope_type, scope_code, node, measure:
    these and year Int32, value, obs_status, conf_status, maturity, imputed_share (of the scope's own row). Every scope
    and node has every measure; null where a denominator is zero, where nothing is published, and for
      theil_within, theil_between   unless the scope is a union of two or more whole groups
      beta                          without `first`
    """
    scopes = _scopes(now, members, types, nation)
    groups = {
        place: group
        for group_type, group, place in members.select("group_type", "group", "place").iter_rows()
        if group_type == theil_groups and place in scopes[NATION, nation]
    }
    # A place whose chain broke where that of the others did not stands on another scale than they do.
    unbroken = pl.col("chain_breaks") == pl.col("chain_breaks").min().over("node")
    chained = now.with_columns(pl.when(unbroken).then("chained_points").alias("chained_points"))
    points, level = _by_node(now, types, "points"), _by_node(chained, types, "chained_points")
    years, base = first or (0, now)
    # Where a chain broke in between there is no growth, so no convergence either.
    whole_chain = base.join(now, on=[*KEY, "chain_breaks"], how="semi", maintain_order="left")
    start = _by_node(whole_chain, types, "chained_points")
    rows: list[tuple[str, str, str, str, float | None]] = []
    for scope, places in scopes.items():
        unions = _union(places, groups)
        for node in sorted(points):
            found = _measures(points[node], places, divide)
            found |= _theil(points[node], unions)
            found["sigma_log"] = spread.sigma_log([level[node][place] for place in places if place in level[node]])
            found["beta"] = _beta(start.get(node, {}), level[node], places, years)
            rows += [(*scope, node, measure, value) for measure, value in sorted(found.items())]
    frame = pl.DataFrame(rows, orient="row", schema=SCHEMA)
    own = now.select(*KEY, "obs_status", "imputed_share")
    return (
        frame.join(own, left_on=list(SCHEMA)[:3], right_on=list(KEY), how="inner", maintain_order="left")
        .with_columns(year=pl.lit(year, dtype=pl.Int32), conf_status=pl.lit("F"), maturity=maturity(whole=whole))
        .sort("scope_type", "scope_code", "node", "measure")
    )


def _scopes(now: pl.DataFrame, members: pl.DataFrame, types: pl.DataFrame, nation: str) -> dict[Scope, list[str]]:
    """The member places of the nation and of every group, sorted; only those that are there."""
    inside = (
        types.filter("member")
        .join(now, left_on=["type", "place"], right_on=["entity_type", "entity_code"], how="semi")
        .select("place")
        .sort("place")
    )
    found: dict[Scope, list[str]] = {(NATION, nation): inside["place"].to_list()}
    belongs = members.join(inside, on="place", how="semi").sort("group_type", "group", "place")
    for group_type, group, place in belongs.select("group_type", "group", "place").iter_rows():
        found.setdefault((group_type, group), []).append(place)
    return found


def _union(places: Sequence[str], groups: Mapping[str, str]) -> list[list[str]]:
    """The scope's places by group, when it is a union of two or more whole groups; else nothing."""
    inside = defaultdict[str | None, list[str]](list)
    for place in places:
        inside[groups.get(place)].append(place)
    sizes = Counter(groups.values())
    broken = any(group is None or len(found) != sizes[group] for group, found in inside.items())
    return [] if broken or len(inside) < 2 else list(inside.values())


def _by_node(entities: pl.DataFrame, types: pl.DataFrame, column: str) -> dict[str, dict[str, float]]:
    """node → place → value of the member places that have one; a node stands there even without any."""
    found: dict[str, dict[str, float]] = {node: {} for node in entities["node"].unique().sort()}
    own = entities.join(
        types.filter("member").select("place", "type"),
        left_on=["entity_code", "entity_type"],
        right_on=["place", "type"],
        how="semi",
    )
    for node, place, value in own.select("node", "entity_code", column).drop_nulls(column).iter_rows():
        found[node][place] = value
    return found


def _measures(points: Mapping[str, float], places: Sequence[str], divide: str) -> dict[str, float | None]:
    ordered = sorted(points[place] for place in places if place in points)
    if not ordered:
        return dict.fromkeys([*spread.MEASURES, "divide"])
    found = {name: measure(ordered) for name, measure in spread.MEASURES.items()}
    return found | {"divide": found[divide]}


def _theil(points: Mapping[str, float], union: Sequence[Sequence[str]]) -> dict[str, float | None]:
    groups = [[points[place] for place in places if place in points] for places in union]
    within, between = spread.theil_parts(groups) if union else (None, None)
    return {"theil_within": within, "theil_between": between}


def _beta(start: Mapping[str, float], level: Mapping[str, float], places: Sequence[str], years: int) -> float | None:
    pairs = [(start[place], level[place]) for place in places if place in start and place in level]
    return spread.beta(pairs, years=years) if years else None
