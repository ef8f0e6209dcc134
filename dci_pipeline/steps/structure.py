"""Counts of an index's own structure: entities, nodes, members, partners, experts — what its overview cards print."""

from __future__ import annotations

from collections.abc import Callable

from dci_pipeline.exhibits import Counts
from dci_pipeline.framework import Framework
from dci_pipeline.geography import Geography
from dci_pipeline.periods import Period


def count(framework: Framework, geography: Geography, counts: Counts, *, at: Period) -> int:
    """How many there are at a period; for `first_year` the year in which the index begins."""
    return _COUNT[counts.what](framework, geography, counts, at)


def _entities(framework: Framework, geography: Geography, counts: Counts, at: Period) -> int:
    """Places of a type that are valid, or groups of a type that have members."""
    del framework
    places = geography.places_at(at)
    members = geography.members_at(at)
    of_places = places["type"].eq(counts.of).sum()
    return int(of_places or members.filter(members["group_type"] == counts.of)["group"].n_unique())


def _active_children(framework: Framework, node: str) -> list[str]:
    return [child for child in framework.children(node) if framework.by_node[child].status == "active"]


def _children(framework: Framework, geography: Geography, counts: Counts, at: Period) -> int:
    del geography, at
    return len(_active_children(framework, counts.of))


def _leaf_children(framework: Framework, geography: Geography, counts: Counts, at: Period) -> int:
    del geography, at
    return sum(1 for child in _active_children(framework, counts.of) if framework.by_node[child].feed)


def _leaves(framework: Framework, geography: Geography, counts: Counts, at: Period) -> int:
    del geography, at
    return len(framework.leaves_under(counts.of))


def _members(framework: Framework, geography: Geography, counts: Counts, at: Period) -> int:
    del geography, at
    return next(
        len(item.members)
        for item in framework.breakdowns
        if (item.node, item.dimension) == (counts.of, counts.dimension)
    )


def _partners(framework: Framework, geography: Geography, counts: Counts, at: Period) -> int:
    del geography, at
    sources = [leaf.source_partner.split(",") for leaf in framework.leaves_under(counts.of)]
    return len({partner.strip() for found in sources for partner in found if partner.strip()})


def _experts(framework: Framework, geography: Geography, counts: Counts, at: Period) -> int:
    del geography
    link = framework.link_at(at)
    if link is None:
        return 0
    return len({expert for expert, *_ in framework.waves[link.wave[counts.of]].scores})


def _questions(framework: Framework, geography: Geography, counts: Counts, at: Period) -> int:
    del geography
    return len(_basket(framework, counts.of, at))


def _weights(framework: Framework, geography: Geography, counts: Counts, at: Period) -> int:
    del geography
    return sum(len(children) for children in _basket(framework, counts.of, at).values())


def _basket(framework: Framework, root: str, at: Period) -> dict[str, list[str]]:
    """Nodes of a tree and their children in the basket in force: one question of the survey each."""
    link = framework.link_at(at)
    below = framework.basket_children(link) if link is not None else {}
    return {node: children for node, children in below.items() if framework.root_of(node) == root}


def _listed(framework: Framework, geography: Geography, counts: Counts, at: Period) -> int:
    del framework, geography, at
    return len(counts.nodes)


def _first_year(framework: Framework, geography: Geography, counts: Counts, at: Period) -> int:
    del geography, counts, at
    return framework.links[0].start.start.year


_COUNT: dict[str, Callable[[Framework, Geography, Counts, Period], int]] = {
    "entities": _entities,
    "children": _children,
    "leaf_children": _leaf_children,
    "leaves": _leaves,
    "members": _members,
    "partners": _partners,
    "experts": _experts,
    "questions": _questions,
    "weights": _weights,
    "listed": _listed,
    "first_year": _first_year,
}
