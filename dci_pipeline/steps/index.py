"""Level and position of every place × node, by period and over spans; what is too much imputed is held back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import polars as pl

from dci_pipeline.data_files import content_hash
from dci_pipeline.findings import Held
from dci_pipeline.framework import Framework, Link
from dci_pipeline.index import (
    Basket,
    entry_scales,
    imputed,
    link_levels,
    linked_scales,
    reference_means,
    span,
    with_place_limit,
)
from dci_pipeline.index import points as index_points
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import commit, versions_of
from dci_pipeline.steps.weight import node_weights, structure_hash
from dci_pipeline.work import CheckResult, Outcome, Work


def links(work: Work, period: Period | None = None) -> Outcome:
    """Scales and both readings of the reference of every link whose reference is there, a partition per link."""
    outcomes = [_link(work, link) for link in ready_links(work)]
    states = {outcome.state for outcome in outcomes}
    state = next((name for name in ("stale", "written", "same") if name in states), "unchanged")
    return Outcome(
        ("index", "links"),
        None,
        state,
        sum(outcome.rows for outcome in outcomes),
        content_hash([outcome.data_version for outcome in outcomes]),
        (),
        {"links": ", ".join(link.link for link in ready_links(work))},
    )


def ready_links(work: Work) -> list[Link]:
    """The links whose reference is complete, in order, up to the first that is not."""
    found: list[Link] = []
    link = work.framework.link_at(work.framework.links[0].start)
    while link is not None and not _lacking(work, link):
        found.append(link)
        link = next_link(work.framework, link)
    return found


def next_link(framework: Framework, link: Link) -> Link | None:
    """The link after this one, or None when this one is the last."""
    if framework.chaining == "annual_overlap":
        return framework.link_at(link.start.shift(link.start.per_year))
    return next((other for other in framework.links if other.start.start > link.start.start), None)


def _lacking(work: Work, link: Link) -> list[Period]:
    there = work.warehouse.existing("normalise", "totals", link.reference)
    return [item for item in link.reference if item not in there]


def _link(work: Work, link: Link) -> Outcome:
    warehouse, framework = work.warehouse, work.framework
    before = framework.link_at(link.start.shift(-1))
    inputs = (
        versions_of(work, "normalise", "shares", link.reference)
        | versions_of(work, "normalise", "totals", link.reference)
        | {"weights": str(warehouse.data_version("weight", "alphas"))}
    )
    if before is not None:
        inputs |= versions_of(work, "normalise", "totals", before.reference)
        inputs["before"] = str(warehouse.data_version("index", "links", before.start))

    def compute() -> pl.DataFrame:
        roots = sorted({*link.basket, *(before.basket if before else ())})
        return pl.concat([_link_of_tree(work, link, before, root) for root in roots]).sort("node", "place")

    return commit(work, ("index", "links"), link.start, inputs, structure_hash(work), compute)


def _link_of_tree(work: Work, link: Link, before: Link | None, root: str) -> pl.DataFrame:
    rows = of_tree(work, work.warehouse.read("normalise", "shares", link.reference), root)
    old = basket(work, before, root) if before is not None and root in before.basket else None
    new = None
    if root in link.basket:
        totals = work.warehouse.read("normalise", "totals", link.reference)
        weights = node_weights(work, link, root)
        base = work.framework.base_points
        new = Basket(
            weights,
            reference_means(totals.filter(pl.col("indicator").is_in(list(link.basket[root])))),
            entry_scales(weights, base_points=base)
            if old is None
            else linked_scales(totals, before=old, node_weights=weights, root=root, base_points=base),
        )
    return link_levels(rows, before=old, after=new)


def basket(work: Work, link: Link, root: str) -> Basket:
    """One tree in one link: weights, reference means and the scales committed with the link."""
    totals = work.warehouse.read("normalise", "totals", link.reference)
    weights = node_weights(work, link, root)
    scales = (
        work.warehouse.read("index", "links", link.start)
        .filter(pl.col("node").is_in(weights["node"].unique().implode()) & pl.col("scale").is_not_null())
        .select("node", "scale", "composite_scale")
        .unique(maintain_order=True)
    )
    return Basket(weights, reference_means(totals.filter(pl.col("indicator").is_in(list(link.basket[root])))), scales)


def of_tree(work: Work, rows: pl.DataFrame, root: str) -> pl.DataFrame:
    """The rows of the places a tree is made of."""
    if not work.framework.by_node[root].places:
        return rows
    kinds = work.types.filter(pl.col("type").is_in(list(work.framework.places_of(root))))
    return rows.filter(pl.col("place").is_in(kinds["place"].implode()))


def points(work: Work, period: Period | None) -> Outcome:
    """Level and position of every place × node; a check holds the period back when too much of it is imputed."""
    assert period is not None
    framework, warehouse = work.framework, work.warehouse
    link = framework.link_at(period)
    if link is None:
        raise Held(
            "before the first link",
            where=f"{work.index} {period}",
            expected=f"a {period.cadence} from {framework.links[0].start} on",
            todo="nothing: the index starts later",
        )
    missing = [str(item) for item in _lacking(work, link)]
    if missing:
        raise Held(
            "the reference period is not complete",
            where=f"{work.index} {period}",
            found="no national totals for " + ", ".join(missing),
            expected=f"{link.reference[0]} to {link.reference[-1]}, the reference of link {link.link}",
            todo=f"land and run these first: dci run --index {work.index} --from {missing[0]} --to {missing[-1]}",
        )
    inputs = (
        versions_of(work, "normalise", "shares", [period])
        | versions_of(work, "normalise", "totals", link.reference)
        | versions_of(work, "index", "links", [link.start])
        | {"weights": str(warehouse.data_version("weight", "alphas"))}
    )

    def compute() -> pl.DataFrame:
        now = warehouse.read("normalise", "shares", period)
        frames: list[pl.DataFrame] = []
        for root in sorted(link.basket):
            tree, rows = basket(work, link, root), of_tree(work, now, root)
            frame = index_points(
                rows, node_weights=tree.node_weights, reference_totals=tree.reference_totals, scales=tree.scales
            )
            frames.append(_blind(_with_status(work, frame), rows, tree.node_weights))
        return pl.concat(frames).sort("node", "place")

    outcome = commit(
        work, ("index", "points"), period, inputs, structure_hash(work) + f"{framework.place_imputed_limit}", compute
    )
    if work.dry:
        return outcome
    return replace(outcome, checks=(imputed_check(work, period, link),))


def _with_status(work: Work, frame: pl.DataFrame) -> pl.DataFrame:
    """A leaf carried too long is M; a node above it is E, unless more of it is imputed than the index file allows."""
    inner = pl.col("node").is_in(_inner_nodes(work))
    softened = pl.when(inner & (pl.col("obs_status") == "M") & pl.col("points").is_not_null()).then(pl.lit("E"))
    return limited(work, frame.with_columns(obs_status=softened.otherwise("obs_status")))


def _blind(frame: pl.DataFrame, shares: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    """Status M for rows with an indicator under them that was never observed: its estimate, 0, rests on nothing."""
    never = shares.filter(
        pl.col("value").is_null() & (pl.col("obs_status") != "P") & pl.col("observed_share").is_null()
    ).select("place", "indicator")
    rows = never.join(weights.select("node", "indicator"), on="indicator").select("place", "node").unique()
    marked = frame.join(rows.with_columns(never=True), on=["place", "node"], how="left", maintain_order="left")
    return marked.with_columns(obs_status=pl.when(pl.col("never")).then(pl.lit("M")).otherwise("obs_status")).drop(
        "never"
    )


def limited(work: Work, frame: pl.DataFrame) -> pl.DataFrame:
    """Status M for places of which more than the index file allows is imputed, at every node above the leaves."""
    for node in _inner_nodes(work):
        frame = with_place_limit(frame, node=node, limit=work.framework.place_imputed_limit)
    return frame


def _inner_nodes(work: Work) -> list[str]:
    return [node.node for node in work.framework.nodes if node.feed is None]


def imputed_check(work: Work, period: Period, link: Link) -> CheckResult:
    """METHOD section 6: a period of which more than the limit is imputed does not publish."""
    versions = (
        work.warehouse.data_version("normalise", "shares", period),
        work.warehouse.data_version("weight", "alphas"),
    )
    key = (period, link.link, *versions)
    if key not in work.checked:
        work.checked[key] = _imputed_check(work, period, link)
    return work.checked[key]


def _imputed_check(work: Work, period: Period, link: Link) -> CheckResult:
    now = work.warehouse.read("normalise", "shares", period)
    over: list[Mapping[str, object]] = []
    largest = 0.0
    for root in sorted(link.basket):
        rows = of_tree(work, now, root)
        nation = imputed(rows, node_weights=node_weights(work, link, root)).filter(pl.col("node") == root)
        # Null means that no indicator of the tree has a total above zero: nothing was observed, nothing is published.
        share = 1.0 if nation["imputed_share"][0] is None else float(nation["imputed_share"][0])
        largest = max(largest, share)
        if share > work.framework.nation_imputed_limit:
            over.append({"node": root, "imputed_share": share, "limit": work.framework.nation_imputed_limit})
    return CheckResult("imputed_share", not over, "error", f"{largest:.2%} of the nation is imputed", tuple(over))


def publishable(work: Work, periods: Iterable[Period]) -> list[Period]:
    """Those of `periods` whose points are committed and of which no more is imputed than may be published, in order."""
    found = work.warehouse.existing("index", "points", periods)
    links = [(item, work.framework.link_at(item)) for item in found]
    return [item for item, link in links if link is not None and imputed_check(work, item, link).passed]


def span_of(work: Work, items: list[Period]) -> pl.DataFrame:
    """Level and position of every place × node over a span of periods of one link, every tree."""
    link = work.framework.link_at(items[-1])
    assert link is not None
    warehouse = work.warehouse
    level = warehouse.read("index", "points", items)
    volumes = warehouse.read("normalise", "shares", items)
    frames: list[pl.DataFrame] = []
    for root in sorted(link.basket):
        weights, rows = node_weights(work, link, root), of_tree(work, volumes, root)
        own = level.filter(pl.col("node").is_in(weights["node"].unique().implode()))
        frames.append(_blind(_span_status(work, span(own, rows, node_weights=weights)), rows, weights))
    return pl.concat(frames).sort("node", "place")


def _span_status(work: Work, frame: pl.DataFrame) -> pl.DataFrame:
    # In a span what counts is how much of it is imputed, not how the worst of its periods stood.
    status = (
        pl.when(
            pl.col("points").is_null()
            | pl.col("imputed_share").is_null()
            | ((pl.col("obs_status") == "M") & (pl.col("imputed_share") >= 1.0))
        )
        .then(pl.lit("M"))
        .when(pl.col("imputed_share") > 0)
        .then(pl.lit("E"))
        .when(pl.col("obs_status") == "P")
        .then(pl.lit("P"))
        .otherwise(pl.lit("A"))
    )
    return limited(work, frame.with_columns(obs_status=status))
