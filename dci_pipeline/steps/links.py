"""The links of an index: scales that keep the level, and both readings of every reference (METHOD section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from dci_pipeline.data_files import content_hash
from dci_pipeline.findings import Held
from dci_pipeline.framework import Framework, Link
from dci_pipeline.index import Basket, entry_scales, link_levels, linked_scales
from dci_pipeline.periods import Period
from dci_pipeline.steps.baskets import basket_frames, means_of
from dci_pipeline.steps.commits import commit, versions_of
from dci_pipeline.steps.weight import node_weights, structure_hash
from dci_pipeline.work import Outcome, Work


def links(work: Work, period: Period | None = None) -> Outcome:
    """Scales and both readings of the reference of every link whose reference is there, a partition per link.

    A link that cannot be made stops those after it; its periods are held, with the reason, by their points.
    """
    outcomes: list[Outcome] = []
    for link in _due_links(work):
        try:
            outcomes.append(_link(work, link))
        except Held:
            break
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
    """The links that are made, in order."""
    return [link for link in _due_links(work) if work.warehouse.existing("index", "links", [link.start])]


def _due_links(work: Work) -> list[Link]:
    """The links whose reference is complete, in order, up to the first that is not."""
    found: list[Link] = []
    link = work.framework.link_at(work.framework.links[0].start)
    while link is not None and not lacking(work, link):
        found.append(link)
        link = next_link(work.framework, link)
    return found


def next_link(framework: Framework, link: Link) -> Link | None:
    """The link after this one, or None when this one is the last."""
    if framework.chaining == "annual_overlap":
        return framework.link_at(link.start.shift(link.start.per_year))
    return next((other for other in framework.links if other.start.start > link.start.start), None)


def lacking(work: Work, link: Link) -> list[Period]:
    """The periods of a link's reference that have no national totals yet."""
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
        with _observed(work, link):
            means = means_of(link, root, totals)
            scales = (
                entry_scales(weights, base_points=base)
                if old is None
                else linked_scales(totals, before=old, node_weights=weights, root=root, base_points=base)
            )
        new = Basket(weights, means, scales)
    return link_levels(rows, before=old, after=new)


def basket(work: Work, link: Link, root: str) -> Basket:
    """One tree in one link: weights, reference means and the scales committed with the link."""
    # Every period of a link, and every table by members, asks for the same few.
    versions = versions_of(work, "normalise", "totals", link.reference) | versions_of(
        work, "index", "links", [link.start]
    )
    weights = work.warehouse.data_version("weight", "alphas")
    return work.once("basket", (link.link, root, weights, *versions.items()), lambda: _basket(work, link, root))


def _basket(work: Work, link: Link, root: str) -> Basket:
    with _observed(work, link):
        return Basket(*basket_frames(work, link, root))


@contextmanager
def _observed(work: Work, link: Link) -> Iterator[None]:
    """What the numbers of a reference do not allow holds the periods of its link; it is no mistake of the program."""
    try:
        yield
    except ValueError as error:
        raise Held(
            "the link cannot be made",
            where=f"{work.index} link {link.link}",
            found=str(error),
            expected=f"every indicator of both baskets observed from {link.reference[0]} to {link.reference[-1]}",
            todo="deliver what is missing, or move the reference, or leave the indicator to a later link",
        ) from error


def of_tree(work: Work, rows: pl.DataFrame, root: str) -> pl.DataFrame:
    """The rows of the places a tree is made of."""
    if not work.framework.by_node[root].places:
        return rows
    kinds = work.types.filter(pl.col("type").is_in(list(work.framework.places_of(root))))
    return rows.filter(pl.col("place").is_in(kinds["place"].implode()))


def hold_unmade(work: Work, link: Link) -> None:
    """Raises Held with the reason when this link, or one it goes on from, has not been made because it cannot be."""
    for item in work.framework.chain(link):
        if not work.dry and not work.warehouse.existing("index", "links", [item.start]):
            _link(work, item)
