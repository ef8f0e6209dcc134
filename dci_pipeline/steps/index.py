"""Level and position of every place × node, by period and over spans; what is too much imputed is held back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import polars as pl

from dci_pipeline.findings import Held
from dci_pipeline.framework import Link
from dci_pipeline.index import imputed, span, with_place_limit
from dci_pipeline.index import points as index_points
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import commit, versions_of
from dci_pipeline.steps.links import basket, hold_unmade, lacking, of_tree
from dci_pipeline.steps.weight import node_weights, structure_hash
from dci_pipeline.work import CheckResult, Outcome, Work


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
    missing = [str(item) for item in lacking(work, link)]
    if missing:
        raise Held(
            "the reference period is not complete",
            where=f"{work.index} {period}",
            found="no national totals for " + ", ".join(missing),
            expected=f"{link.reference[0]} to {link.reference[-1]}, the reference of link {link.link}",
            todo=f"land and run these first: dci run --index {work.index} --from {missing[0]} --to {missing[-1]}",
        )
    hold_unmade(work, link)
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
        return _of_trees(frames)

    outcome = commit(
        work, ("index", "points"), period, inputs, structure_hash(work) + f"{framework.place_imputed_limit}", compute
    )
    if work.dry:
        return outcome
    return replace(outcome, checks=(imputed_check(work, period, link),))


def _of_trees(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """The rows of all trees by node and place: no node is in two, and the places of each come sorted."""
    return frames[0] if len(frames) == 1 else pl.concat(frames).sort("node", maintain_order=True)


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
    return with_place_limit(frame, nodes=_inner_nodes(work), limit=work.framework.place_imputed_limit)


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


def span_of(work: Work, items: list[Period], *, nodes: Collection[str] | None = None) -> pl.DataFrame:
    """Level and position of every place × node over a span of periods of one link, every tree; of `nodes` if named."""
    link = work.framework.link_at(items[-1])
    assert link is not None
    warehouse = work.warehouse
    level = warehouse.read("index", "points", items)
    volumes = warehouse.read("normalise", "shares", items)
    frames: list[pl.DataFrame] = []
    for root in sorted(link.basket):
        weights = node_weights(work, link, root)
        if nodes is not None:
            weights = weights.filter(pl.col("node").is_in(sorted(nodes)))
            if weights.is_empty():
                continue
        rows = of_tree(work, volumes, root)
        own = level.filter(pl.col("node").is_in(weights["node"].unique().implode()))
        frames.append(_blind(_span_status(work, span(own, rows, node_weights=weights)), rows, weights))
    return _of_trees(frames)


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
