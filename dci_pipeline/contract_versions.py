"""The versions of a feed's contract: which file holds which, and whether they follow each other.

`feeds/<feed>.yaml` is the first version; each later one stands beside it as `feeds/<feed>.<validFrom>.yaml`. What a
leaf needs of them is checked with the index file (`version_checks`).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from dci_pipeline import periods
from dci_pipeline.contract_files import read_feed
from dci_pipeline.contracts import FeedContract, Versions
from dci_pipeline.data_files import read_yaml, short_path
from dci_pipeline.findings import Finding


def feed_of(path: Path) -> str:
    """The feed a contract's file is about, by the file's name."""
    return path.name.split(".", 1)[0]


def read_versions(paths: Iterable[Path], *, index: str, cadence: str) -> dict[str, Versions]:
    """Every version of every feed's contract, by feed. Raises Finding naming file and key for what does not fit."""
    by_feed: dict[str, list[FeedContract]] = {}
    for path in paths:
        contract = read_feed(path, index=index)
        check_name(path, contract)
        by_feed.setdefault(contract.feed, []).append(contract)
    return {feed: _versions(found, cadence) for feed, found in by_feed.items()}


def check_name(path: Path, contract: FeedContract) -> None:
    """Raises Finding unless the file's name, the contract's name and id, and validFrom say the same."""
    where, feed = short_path(path), feed_of(path)
    if contract.feed != feed:
        raise Finding(
            "the file and the contract have different names",
            where=f"{where} name",
            found=contract.feed,
            expected=feed,
            todo="rename one of them",
        )
    named = str(read_yaml(path).get("id"))
    if named != f"{contract.index}.feeds.{feed}":
        raise Finding(
            "a contract of another index or feed",
            where=f"{where} id",
            found=named,
            expected=f"{contract.index}.feeds.{feed}",
            todo="correct the id: it is the same in every version",
        )
    since = path.stem.removeprefix(feed).removeprefix(".")
    if since and since != contract.valid_from:
        raise Finding(
            "the file's name and validFrom say different periods",
            where=f"{where} customProperties.validFrom",
            found=contract.valid_from or "nothing",
            expected=since,
            todo="rename the file, or correct validFrom",
        )


def _versions(found: list[FeedContract], cadence: str) -> Versions:
    def start(contract: FeedContract) -> str:
        if not contract.valid_from:
            return ""
        at = periods.parse(contract.valid_from, cadence, where=f"{contract.where} customProperties.validFrom")
        return at.start.isoformat()

    def plain(contract: FeedContract) -> bool:
        return contract.where.endswith(f"/{contract.feed}.yaml")

    ordered = sorted(found, key=lambda contract: (start(contract), not plain(contract)))
    first = ordered[0]
    if not plain(first):
        raise Finding(
            "the first version of a contract stands in another file",
            where=f"{first.index}/feeds/{first.feed}",
            found=first.where.rpartition("/")[2] + f", valid from {first.valid_from}",
            expected=f"{first.feed}.yaml, valid before every other",
            todo="keep the old version in that file, and name each later one by its validFrom",
        )
    for before, contract in pairwise(ordered):
        if start(before) == start(contract):
            raise Finding(
                "two versions of a contract from the same period on",
                where=f"{contract.where} customProperties.validFrom",
                found=f"{contract.valid_from}, as in {before.where}",
                expected=f"a {cadence} after that of the version before",
                todo="correct one, or take one of the files away",
            )
        if before.version == contract.version:
            raise Finding(
                "two versions of a contract with the same number",
                where=f"{contract.where} version",
                found=f"{contract.version}, as in {before.where}",
                expected="a number of its own: receipts and published quality name it",
                todo="raise the version",
            )
    return Versions(tuple(ordered))
