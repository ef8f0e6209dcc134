"""Weights from the experts' scores, and the weights of one tree in one link."""

from __future__ import annotations

import polars as pl

from dci_pipeline.data_files import content_hash
from dci_pipeline.framework import Framework, Link
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import commit
from dci_pipeline.weight import scores, tree
from dci_pipeline.work import Outcome, Work


def alphas(work: Work, period: Period | None = None) -> Outcome:
    """Weights of every wave in use, from the experts' scores."""
    inputs = {wave: item.sha256 for wave, item in work.framework.waves.items()}
    return commit(work, ("weight", "alphas"), None, inputs, structure_hash(work), lambda: _alphas(work))


def _alphas(work: Work) -> pl.DataFrame:
    """Alphas of every wave over the basket of the link that uses it."""
    frames: list[pl.DataFrame] = []
    for link in work.framework.links:
        children = work.framework.basket_children(link)
        for root, wave in sorted(link.wave.items()):
            inside = {node: found for node, found in children.items() if work.framework.root_of(node) == root}
            found = scores.alphas(wave_scores(work, wave), children=inside)
            frames.append(found.select(pl.lit(link.link).alias("link"), pl.all()))
    return pl.concat(frames).sort("link", "node", "child")


def wave_scores(work: Work, wave: str) -> pl.DataFrame:
    return pl.DataFrame(
        [(wave, *row) for row in work.framework.waves[wave].scores],
        orient="row",
        schema={"wave": pl.String, "expert": pl.String, "node": pl.String, "child": pl.String, "score": pl.Int64},
    )


def structure_hash(work: Work) -> str:
    """Hash of trees, links and baskets."""
    return work.once("structure", None, lambda: _structure_hash(work.framework))


def _structure_hash(framework: Framework) -> str:
    return content_hash(
        [
            [(node.node, node.parent, node.status) for node in framework.nodes],
            [
                (
                    link.link,
                    [item.key for item in link.reference],
                    link.start.key,
                    sorted(link.wave.items()),
                    sorted(link.basket.items()),
                )
                for link in framework.links
            ],
            framework.chaining,
            framework.base_points,
        ]
    )


def node_weights(work: Work, link: Link, root: str) -> pl.DataFrame:
    """[node, indicator, weight, beta, root_weight] of one tree in one link."""
    version = work.warehouse.data_version("weight", "alphas")
    return work.once("node_weights", (version, link.link, root), lambda: _node_weights(work, link, root))


def _node_weights(work: Work, link: Link, root: str) -> pl.DataFrame:
    committed = work.warehouse.read("weight", "alphas")
    below = {node for node in work.framework.by_node if work.framework.root_of(node) == root}
    return tree.node_weights(
        committed.filter((pl.col("link") == link.declared) & pl.col("node").is_in(sorted(below))), root=root
    )
