"""Whether every version of a feed's contract gives the index what it needs in the periods in which it is in force.

A leaf may name a measure or a dimension that came with a later version when `since` says so; what a breakdown alone
needs may come later too, for what has no member is shown as unallocated.
"""

from __future__ import annotations

from dci_pipeline.contracts import FeedContract, Versions
from dci_pipeline.findings import Finding
from dci_pipeline.framework import Framework, Link, Node, lacking
from dci_pipeline.periods import Period


def check_leaf(leaf: Node, framework: Framework) -> None:
    """Raises Finding for a version that lacks what another one has of a leaf; where none has, the leaf is wrong."""
    versions = framework.versions[str(leaf.feed)]
    if any(not lacking(leaf, contract) for contract in versions.of):
        for contract in versions.of:
            _check_leaf(leaf, contract, versions, framework)


def check_baskets(framework: Framework, *, where: str) -> None:
    """Raises Finding for a leaf in a basket in periods for which its columns, or any contract, are not there."""
    for link in framework.links:
        for name in (leaf for basket in link.basket.values() for leaf in basket):
            _check_basket(framework.by_node[name], link, framework, where)


def check_absence(framework: Framework) -> None:
    """Raises Finding when the app categories would have to read an absent row in two ways."""
    apps = framework.app_categories
    if apps is None or framework.by_node[apps.users].feed is None:
        return
    versions = framework.versions[str(framework.by_node[apps.users].feed)]
    for contract in versions.of:
        if contract.absent_row != versions.newest.absent_row:
            raise Finding(
                "app categories over versions that read an absent row differently",
                where=f"{contract.where} customProperties.absentRow",
                found=contract.absent_row,
                expected=versions.newest.absent_row,
                todo="use the same in every version of this feed",
            )


def _check_leaf(leaf: Node, contract: FeedContract, versions: Versions, framework: Framework) -> None:
    lost, after = lacking(leaf, contract), versions.after(contract)
    if lost:
        since = framework.period(leaf.since, where=f"{leaf.node} since") if leaf.since else None
        if since is None or after is None or not after.starts_by(since):
            raise Finding(
                "a version of a contract lacks what a leaf is made of",
                where=f"{contract.where} properties",
                found=f"no column {', '.join(lost)}",
                expected=f"the columns of {leaf.node!r}: {', '.join([str(leaf.measure), *leaf.where])}",
                todo="a renamed column keeps its name and changes its source; "
                f"for a new one say since: when the later version begins, in node {leaf.node!r} of the index file",
            )
        return
    if after is None:
        return  # the newest is checked with the index file, which it is the first to serve
    for name in (str(leaf.measure), leaf.quality.column if leaf.quality else str(leaf.measure)):
        column, newest = contract.by_name[name], versions.newest.by_name.get(name)
        if column.role != "measure" or (newest is not None and column.unit != newest.unit):
            raise Finding(
                "a measure of another unit in one version",
                where=f"{contract.where} property {name!r}",
                found=f"role {column.role}, unit {column.unit or 'none'}",
                expected=f"role measure, unit {newest.unit if newest else 'as before'}",
                todo="keep role and unit, and bring the partner's figures to it with a multiplier",
            )
    for name, value in leaf.where.items():
        column = contract.by_name[name]
        if column.role != "dimension" or (column.values and value not in column.values):
            raise Finding(
                "a version of a contract without a value a leaf is made of",
                where=f"{contract.where} property {name!r}",
                found=", ".join(column.values) or f"role {column.role}",
                expected=f"{value}, for {leaf.node!r}",
                todo="keep the value of the earlier versions: one value of a leaf serves every version",
            )


def _check_basket(leaf: Node, link: Link, framework: Framework, where: str) -> None:
    """A leaf of a basket is observed through the reference and from the link on."""
    versions = framework.versions[str(leaf.feed)]
    first: Period = min(link.reference[0], link.start)
    if versions.in_force(first) is None:
        raise Finding(
            "periods before the first version of a contract",
            where=f"{versions.of[0].where} customProperties.validFrom",
            found=versions.of[0].valid_from,
            expected=f"{first} or before: link {link.link!r} takes {leaf.node!r} from then on",
            todo="set validFrom of the first version to where its files begin, or let the link begin later",
        )
    for contract in versions.of:
        after = versions.after(contract)
        if lacking(leaf, contract) and (after is None or not after.starts_by(first)):
            raise Finding(
                "a leaf in a basket before its columns are delivered",
                where=f"{where} link {link.link!r}",
                found=f"{leaf.node}, without {', '.join(lacking(leaf, contract))} in {contract.where}",
                expected=f"columns from {first} on",
                todo="let the link that takes it in, and its reference, begin with the later version",
            )
