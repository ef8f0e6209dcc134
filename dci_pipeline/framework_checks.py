"""Whether an index file makes sense: every name it uses exists, its links follow each other, its members belong.

Reading belongs to `framework_files`; a Finding names file, key, what was found and what could stand there.
"""

from __future__ import annotations

from itertools import pairwise

from dci_pipeline.feeds.file_names import Names
from dci_pipeline.findings import Finding
from dci_pipeline.framework import Breakdown, Framework, Link, Node
from dci_pipeline.version_checks import check_absence, check_baskets, check_leaf

NATION = "nation"
UNALLOCATED = "unallocated"


def check_framework(framework: Framework, *, where: str) -> None:
    """Every name the index file uses exists: parents, feeds, measures, waves, baskets, members, types of entity."""
    if framework.late_feed not in ("waits", "provisional"):
        raise Finding(
            "unknown policy for a late feed",
            where=f"{where} missing.late_feed",
            found=framework.late_feed,
            expected="waits (for every partner) or provisional (METHOD section 6)",
        )
    known = framework.by_node
    names = [node.node for node in (*framework.nodes, *framework.auxiliary)]
    if len(set(names)) != len(names):
        raise Finding("a node is listed twice", where=where, found=_twice(names), expected="every node once")
    for node in framework.nodes:
        _check_node(node, framework, where)
    for node in framework.auxiliary:
        if node.parent is not None or node.feed is None:
            raise Finding(
                "what is observed beside the trees has a feed and no parent",
                where=f"{where} auxiliary {node.node!r}",
                found=f"parent {node.parent}, feed {node.feed}",
                expected="a feed, and no parent",
                todo="move it to nodes, or take its parent out",
            )
        _check_source(node, framework, f"{where} auxiliary {node.node!r}")
    Names(framework.feeds, framework.cadence).check(f"{framework.index}/feeds")
    for link in framework.links:
        at = f"{where} link {link.link!r}"
        _same_keys(link, framework, at)
        for root, basket in link.basket.items():
            if link.wave[root] not in framework.waves:
                raise Finding(
                    "unknown wave", where=at, found=link.wave[root], expected="one of " + ", ".join(framework.waves)
                )
            for leaf in basket:
                node = known.get(leaf)
                if node is None or node.feed is None or framework.root_of(leaf) != root or node.status != "active":
                    raise Finding(
                        "not an active leaf of this tree",
                        where=at,
                        found=leaf,
                        expected=", ".join(
                            item.node for item in framework.leaves if framework.root_of(item.node) == root
                        ),
                    )
    _check_chain(framework, where)
    _check_entities(framework, where)
    for breakdown in framework.breakdowns:
        _check_breakdown(breakdown, framework, where)
    _check_uses(framework, where)
    check_baskets(framework, where=where)
    check_absence(framework)


def _twice(names: list[str]) -> str:
    return ", ".join(sorted({name for name in names if names.count(name) > 1}))


def _check_node(node: Node, framework: Framework, where: str) -> None:
    at, known = f"{where} node {node.node!r}", framework.by_node
    if node.parent is not None and node.parent not in known:
        raise Finding("unknown parent", where=at, found=node.parent, expected="one of " + ", ".join(known))
    above, parent = [node.node], node.parent
    while parent is not None and parent in known:
        if parent in above:
            raise Finding("a node above itself", where=at, found=" under ".join([*above, parent]))
        above.append(parent)
        parent = known[parent].parent
    unknown = set(node.places) - {entity.type for entity in framework.place_types}
    if unknown or (node.places and node.parent is not None):
        raise Finding(
            "only a root names its types of place",
            where=at,
            found=", ".join(node.places),
            expected="one or more of " + ", ".join(entity.type for entity in framework.place_types) + ", on a root",
        )
    if node.feed is None:
        if node.status == "active" and not framework.children(node.node):
            raise Finding("an active node without feed and without children", where=at, todo="set status: planned")
        return
    _check_source(node, framework, at)


def _check_source(node: Node, framework: Framework, at: str) -> None:
    """A leaf's feed, measure, rows and quality are in the feed's contract."""
    contract = framework.feeds.get(str(node.feed))
    if contract is None:
        raise Finding("unknown feed", where=at, found=node.feed, expected="one of " + ", ".join(framework.feeds))
    check_leaf(node, framework)
    measures = ", ".join(item.name for item in contract.roles("measure"))
    for name in (node.measure, node.quality.column if node.quality else node.measure):
        column = contract.by_name.get(name or "")
        if column is None or column.role != "measure":
            raise Finding("not a measure of the feed", where=at, found=name, expected=f"one of {measures}")
    for name, value in node.where.items():
        column = contract.by_name.get(name)
        if column is None or column.role != "dimension" or (column.values and value not in column.values):
            raise Finding(
                "not a value of a dimension of the feed",
                where=at,
                found=f"{name}: {value}",
                expected=", ".join(item.name for item in contract.roles("dimension")),
            )


def _check_chain(framework: Framework, where: str) -> None:
    """Links follow each other without a gap; a later reference lies in what the link before publishes."""
    if framework.chaining not in ("fixed_base", "annual_overlap"):
        raise Finding(
            "unknown chaining",
            where=f"{where} chaining",
            found=framework.chaining,
            expected="fixed_base or annual_overlap",
            todo="chaining by month is not offered: it drifts",
        )
    if not framework.links:
        raise Finding("an index without a link", where=f"{where} links", expected="at least one")
    names = [link.link for link in framework.links]
    if len(set(names)) != len(names):
        raise Finding("a link is listed twice", where=f"{where} links", found=_twice(names), expected="every link once")
    for link in framework.links:
        if link.end is not None and link.end.start < link.start.start:
            raise Finding(
                "a link that ends before it starts",
                where=f"{where} link {link.link!r}",
                found=f"start {link.start}, end {link.end}",
                expected="an end at or after the start, or none",
            )
    for before, link in pairwise(framework.links):
        at = f"{where} link {link.link!r}"
        last = link.start.shift(-1)
        if link.start.start <= before.start.start or (before.end is not None and before.end != last):
            raise Finding(
                "links that do not follow each other",
                where=at,
                found=f"start {link.start}, the link before ends {before.end or 'open'}",
                expected=f"a start after {before.start}, right after the link before ends",
            )
        if link.reference[0].start < before.start.start or link.reference[-1].start > last.start:
            raise Finding(
                "a reference outside the link before",
                where=at,
                found=f"{link.reference[0]} to {link.reference[-1]}",
                expected=f"within {before.start} to {last}: it is computed under both baskets",
            )
    first = framework.links[0]
    if framework.chaining == "annual_overlap":
        for link in framework.links:
            year = link.start if link is first else link.start.year_before()
            if link.reference != tuple(year.shift(step) for step in range(year.per_year)):
                raise Finding(
                    "annual_overlap links on one whole year",
                    where=f"{where} link {link.link!r}",
                    found=f"{link.reference[0]} to {link.reference[-1]}",
                    expected=f"{year} and the {year.per_year - 1} periods after it",
                )


def _check_entities(framework: Framework, where: str) -> None:
    kinds = {entity.type for entity in framework.group_types if not entity.of}
    for entity in framework.group_types:
        if entity.of and (len(entity.of) != 2 or not set(entity.of) <= kinds):
            raise Finding(
                "a cross of groups that are not listed",
                where=f"{where} entities {entity.type!r}",
                found=", ".join(entity.of),
                expected="two of " + ", ".join(sorted(kinds)),
            )


def _check_breakdown(breakdown: Breakdown, framework: Framework, where: str) -> None:
    at = f"{where} breakdown {breakdown.dimension!r} of {breakdown.node!r}"
    if breakdown.node not in framework.by_node:
        raise Finding("unknown node", where=at, found=breakdown.node, expected="a node of a tree")
    if UNALLOCATED in {member.member for member in breakdown.members}:
        raise Finding(
            "a reserved member", where=at, found=UNALLOCATED, expected="another id: it is what no member holds"
        )
    gathered = {value for member in breakdown.members for value in member.of}
    leaves = framework.leaves_under(breakdown.node)
    persons = any(leaf.kind == "stock" and breakdown.column in leaf.where for leaf in leaves)
    if persons and any(len(member.of) > 1 for member in breakdown.members):
        raise Finding("members of distinct persons do not add", where=at, expected="one value of the column a member")
    if breakdown.column is None:
        lost = gathered - set(framework.children(breakdown.node))
        if lost:
            raise Finding(
                "not a child of the node",
                where=at,
                found=", ".join(sorted(lost)),
                expected=", ".join(framework.children(breakdown.node)),
            )
        return
    feeds = {str(leaf.feed) for leaf in framework.leaves_under(breakdown.node)}
    for feed in sorted(feeds):
        column = framework.feeds[feed].by_name.get(breakdown.column)
        if column is None or column.role != "dimension":
            raise Finding(
                "not a dimension of the feed",
                where=at,
                found=f"{breakdown.column} in {feed}",
                expected=", ".join(item.name for item in framework.feeds[feed].roles("dimension")),
            )
        lost = gathered - set(column.values or gathered)
        if lost:
            raise Finding(
                "not a value of the column", where=at, found=", ".join(sorted(lost)), expected=", ".join(column.values)
            )


def _check_uses(framework: Framework, where: str) -> None:
    """What the tracker, the app categories and the rankings name is there."""
    indicators = {node.node for node in framework.indicators}
    for tracked in framework.tracker:
        lost = {tracked.node, tracked.per or tracked.node} - indicators
        if lost:
            raise Finding(
                "unknown indicator",
                where=f"{where} tracker {tracked.tracked!r}",
                found=", ".join(sorted(lost)),
                expected="leaves, or what is observed beside the trees",
            )
    apps = framework.app_categories
    if apps is not None:
        there = {(item.dimension, item.node) for item in framework.breakdowns}
        lost_pairs = {(apps.dimension, apps.users), (apps.dimension, apps.seconds)} - there
        if lost_pairs:
            raise Finding(
                "not a breakdown of the index",
                where=f"{where} app_categories",
                found=", ".join(f"{dimension} of {node}" for dimension, node in sorted(lost_pairs)),
                expected=", ".join(f"{dimension} of {node}" for dimension, node in sorted(there)),
            )
    kinds = {NATION, *(entity.type for entity in framework.group_types)}
    for text, used in (("ranking.scopes", framework.ranking_scopes), ("divide", (framework.divide.theil_groups,))):
        lost_kinds = {kind for kind in used if kind is not None} - kinds
        if lost_kinds:
            raise Finding(
                "unknown kind of group",
                where=f"{where} {text}",
                found=", ".join(sorted(lost_kinds)),
                expected="one of " + ", ".join(sorted(kinds)),
            )


def _same_keys(link: Link, framework: Framework, at: str) -> None:
    if set(link.wave) != set(link.basket) or not set(link.basket) <= set(framework.roots):
        raise Finding(
            "wave and basket name the same trees",
            where=at,
            found=f"wave {sorted(link.wave)}, basket {sorted(link.basket)}",
            expected="roots among " + ", ".join(framework.roots),
        )
