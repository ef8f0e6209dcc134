"""The whole explanation as one plain mapping, ready to be written as JSON; every float as it is, unrounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dci_pipeline.trail.change import Split, composite_split, own_split
from dci_pipeline.trail.facts import Moment, Stretch
from dci_pipeline.trail.formulas import FORMULAS
from dci_pipeline.trail.grown import Grown
from dci_pipeline.trail.levels import Level, growth, level, total
from dci_pipeline.trail.lines import Row, as_float, link_line, moment_line, ranking

# A change smaller than this part of the level has no rates: everything would be many times all of it.
_SMALLEST_CHANGE = 0.01
_SAID = ("obs_status", "conf_status", "maturity")


@dataclass(frozen=True)
class NodeOf:
    """A node at or under the one explained: its place in the tree, and the indicators under it."""

    node: str
    parent: str | None
    depth: int
    name_zh: str
    name_en: str
    indicators: Sequence[str]


@dataclass(frozen=True)
class Published:
    """Rows of the published tables: of the entity at the node, at the nodes under it, and of those it is ranked among.

    base: the entity over the base span, on the same places, None without one; nation, nation_base: the nation's at the
    node; root, root_base: the nation's at the root; values, base_values: points by code of the entity's type.
    """

    row: Row
    base: Row | None
    below: Mapping[str, Row]
    contributions: Mapping[str, Row] | None
    nation: Row
    nation_base: Row | None
    root: Row
    root_base: Row | None
    values: Mapping[str, float | None]
    base_values: Mapping[str, float | None]


def statement(
    about: Mapping[str, object],
    published: Published,
    *,
    growths: Sequence[Grown] = (),
    nodes: Sequence[NodeOf],
    stretches: Sequence[Stretch],
    now: Sequence[Moment],
    base: Sequence[Moment],
    further: Mapping[str, object],
) -> dict[str, object]:
    """Everything said of one number.

    about: what was asked, put first; growths: those beside growth_yoy.
    nodes: the node itself, then those under it in the order of the tree; stretches:
    the links from the first that either span touches; now, base: the periods of both spans; further: what is known of
    deliveries and estimates, put last. The keys, and how each number follows from the others, stand in `FORMULAS`.
    """
    level_now, level_base = level(now, stretches), level(base, stretches)
    row, before = published.row, published.base
    own = own_split(level_now, level_base, published=as_float(row, "points"), published_base=as_float(before, "points"))
    # A node that was outside the basket stood at 0 in its root; a root that was not there has nothing to compare with.
    stood = None if published.root_base is None else 0.0 if before is None else as_float(before, "composite_points")
    composite = composite_split(
        level_now, level_base, published=as_float(row, "composite_points"), published_base=stood
    )
    grown = growth(level_now, level_base) if base else None
    return {
        **about,
        "number": _number(published, level_now),
        "base": None if before is None else _base(published, level_base),
        "nation": {
            "points": as_float(published.nation, "points"),
            "base_points": as_float(published.nation_base, "points"),
            "root_points": as_float(published.root, "composite_points"),
            "root_base_points": as_float(published.root_base, "composite_points"),
        },
        "growth": [item.line() for item in growths],
        "change": _change(published, nodes, stretches, now, own, composite),
        "ranking": ranking(published.row, published.values, published.base_values),
        "links": [
            link_line(stretch, stretches[number - 1] if number else None) for number, stretch in enumerate(stretches)
        ],
        "periods": [
            moment_line(moment, span, stretches)
            for span, moments in (("now", now), ("base", base))
            for moment in moments
        ],
        "checks": _checks(published, level_now, own, composite, grown, growths),
        **further,
        "formulas": FORMULAS,
    }


def _number(published: Published, found: Level) -> dict[str, object]:
    row = published.row
    change = as_float(row, "rank_change_yoy", "rank_change")
    rank = row.get("rank")
    told: dict[str, object] = {
        name: as_float(row, name) for name in ("points", "composite_points", "share", "points_share", "growth_yoy")
    }
    told["points_share_change_pp"] = _points_share_change(published)
    told["rank"] = rank
    told["rank_before"] = rank + int(change) if isinstance(rank, int) and change is not None else None
    told["rank_change"] = None if change is None else int(change)
    told["link_effect_points"] = as_float(row, "link_effect_points")
    told["chained_points"] = None if told["points"] is None else found.chained_points
    told["imputed_share"] = as_float(row, "imputed_share")
    return told | {name: row.get(name) for name in _SAID} | {"periods": found.periods}


def _base(published: Published, found: Level) -> dict[str, object]:
    row = published.base
    assert row is not None
    points, nation = as_float(row, "points"), as_float(published.nation_base, "points")
    return {
        "points": points,
        "composite_points": as_float(row, "composite_points"),
        "share": as_float(row, "share"),
        "points_share": points / nation if points is not None and nation else None,
        "chained_points": None if points is None else found.chained_points,
        "imputed_share": as_float(row, "imputed_share"),
        "obs_status": row.get("obs_status"),
        "periods": found.periods,
    }


def _points_share_change(published: Published) -> float | None:
    now, points = as_float(published.row, "points_share"), as_float(published.base, "points")
    nation = as_float(published.nation_base, "points")
    return 100.0 * (now - points / nation) if now is not None and points is not None and nation else None


def _change(
    published: Published,
    nodes: Sequence[NodeOf],
    stretches: Sequence[Stretch],
    now: Sequence[Moment],
    own: Split | None,
    composite: Split | None,
) -> dict[str, object]:
    last = next(item for item in reversed(stretches) if item.link == now[-1].link)
    return {
        "points": _told(own),
        "in_root": _told(composite),
        "by_node": [_of_node(published, node, last, own, composite) for node in nodes],
    }


def _told(split: Split | None) -> dict[str, object] | None:
    if split is None:
        return None
    return {
        "now": split.now,
        "base": split.base,
        "change": split.change,
        "contribution_points": split.over(split.contributions)[0],
        "link_effect_points": split.link_effect,
        "remainder": split.remainder,
        "exact": split.exact,
    }


def _of_node(
    published: Published, node: NodeOf, last: Stretch, own: Split | None, composite: Split | None
) -> dict[str, object]:
    """One line of the split: weight and level of the node, what it contributes, in its own points and in the root's."""
    row = published.below.get(node.node, {})
    basket = last.basket
    inside = [basket.leaves[name] for name in node.indicators if basket is not None and name in basket.leaves]
    told: dict[str, object] = {
        "node": node.node,
        "parent": node.parent,
        "depth": node.depth,
        "name_zh": node.name_zh,
        "name_en": node.name_en,
        "indicators": list(node.indicators),
        "weight": total(leaf.weight for leaf in inside) if inside else None,
        "weight_in_node": total(leaf.weight_in_node for leaf in inside) if inside else None,
        "points": as_float(row, "points"),
        "share": as_float(row, "share"),
        "growth_yoy": as_float(row, "growth_yoy"),
        "obs_status": row.get("obs_status"),
    }
    nation, base = as_float(published.nation_base, "points"), as_float(published.base, "points")
    points, effect = (None, None) if own is None else own.over(node.indicators)
    told |= {
        "contribution_points": points,
        "contribution_pp": _percent(points, nation),
        "growth_pp": _percent(points, base),
        "link_effect_points": effect,
    }
    return told | {"in_root": _in_root(published, node, composite)}


def _in_root(published: Published, node: NodeOf, composite: Split | None) -> dict[str, object]:
    """The line of the contribution table, which is quoted where there is one, and calculated where there is none."""
    table = published.contributions
    if table is not None:
        row = table.get(node.node, {})
        names = ("contribution_points", "contribution_pp", "contribution_rate", "link_effect_points")
        return {**{name: as_float(row, name) for name in names}, "published": bool(row)}
    points, effect = (None, None) if composite is None else composite.over(node.indicators)
    level_now, level_base = (
        as_float(published.root, "composite_points"),
        as_float(published.root_base, "composite_points"),
    )
    rate = None
    if points is not None and level_now is not None and level_base is not None:
        moved = level_now - level_base
        rate = points / moved if abs(moved) >= _SMALLEST_CHANGE * level_now and moved else None
    return {
        "contribution_points": points,
        "contribution_pp": _percent(points, level_base),
        "contribution_rate": rate,
        "link_effect_points": effect,
        "published": False,
    }


def _percent(points: float | None, of: float | None) -> float | None:
    return 100.0 * (points / of) if points is not None and of else None


def _checks(
    published: Published,
    found: Level,
    own: Split | None,
    composite: Split | None,
    grown: float | None,
    growths: Sequence[Grown],
) -> list[dict[str, object]]:
    """What is published beside what the parts give; a difference above rounding means that something is out of date."""
    row = published.row
    pairs: list[tuple[str, float | None, float | None]] = [
        (name, as_float(row, name), getattr(found, name))
        for name in ("points", "composite_points", "share", "imputed_share")
    ]
    pairs.append(("growth_yoy", as_float(row, "growth_yoy"), grown))
    pairs += [(item.measure, item.published, item.recalculated) for item in growths]
    if own is not None:
        pairs.append(("link_effect_points", as_float(row, "link_effect_points"), own.link_effect))
    line = (published.contributions or {}).get(str(row.get("node")))
    if composite is not None and line is not None:
        pairs.append(
            (
                "in_root.contribution_points",
                as_float(line, "contribution_points"),
                composite.over(composite.contributions)[0],
            )
        )
        pairs.append(("in_root.link_effect_points", as_float(line, "link_effect_points"), composite.link_effect))
    return [
        {"number": name, "published": said, "recalculated": again, "difference": again - said}
        for name, said, again in pairs
        if said is not None and again is not None
    ]
