"""Which combinations of a feed's dimensions there are, who sends them, and how many records of each a place has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dci_pipeline.contracts import Column, FeedContract
from dci_pipeline.feeds.draws import Floats, generator
from dci_pipeline.feeds.profiles import FeedProfile
from dci_pipeline.findings import Finding

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# Above any liking that can be drawn.
_FIRST = 1e6


@dataclass(frozen=True)
class Cells:
    """The combinations of the dimensions' values: values by dimension, shares (summing to 1), which are totals.

    `sent` [combination, partner] says who sends which, partners in the profile's order.
    """

    values: Mapping[str, list[str]]
    shares: Floats
    total: Bools
    sent: Bools

    @staticmethod
    def of(contract: FeedContract, feed: FeedProfile) -> Cells:
        """Every combination, its share the product of its values' shares; a total is outside the sum."""
        values: dict[str, list[str]] = {}
        shares, total = np.ones(1), np.zeros(1, dtype=np.bool_)
        for column in contract.roles("dimension"):
            if column.name in feed.follows:
                continue
            own, share, is_total = _dimension(column, feed)
            size = len(shares)
            values = {name: [item for item in old for _ in own] for name, old in values.items()}
            values[column.name] = own * size
            shares = np.repeat(shares, len(own)) * np.tile(share, size)
            total = np.repeat(total, len(own)) | np.tile(is_total, size)
        for name, (leader, by) in feed.follows.items():
            values[name] = [by[value] for value in values[leader]]
        return Cells(values, shares, total, _sent(values, feed, len(shares)))

    def parts(self, partner: int) -> Ints:
        """The combinations a partner sends that are no totals."""
        return np.flatnonzero(~self.total & self.sent[:, partner])


def _sent(values: Mapping[str, list[str]], feed: FeedProfile, size: int) -> Bools:
    sent = np.ones((size, len(feed.partners)), dtype=np.bool_)
    for number, partner in enumerate(feed.partners):
        for name, own in feed.sends.get(partner, {}).items():
            _known(values, name, own, f"sends.{partner}")
            sent[:, number] &= np.isin(values[name], own)
    unsent: list[int] = np.flatnonzero(~sent.any(axis=1)).tolist()
    if unsent:
        raise Finding(
            "combinations that no partner sends",
            where="sends",
            found=", ".join(own[unsent[0]] for own in values.values()),
            expected="every combination with a share sent by some partner",
        )
    return sent


def _known(values: Mapping[str, list[str]], name: str, own: tuple[str, ...], where: str) -> None:
    lost = sorted(set(own) - set(values.get(name, ())))
    if lost or not own:
        raise Finding(
            "values that are no combination's",
            where=f"{where} {name}",
            found=", ".join(lost) or "nothing",
            expected=", ".join(sorted(set(values.get(name, ())))) or "one of " + ", ".join(values),
        )


def _dimension(column: Column, feed: FeedProfile) -> tuple[list[str], Floats, NDArray[np.bool_]]:
    given = feed.shares.get(column.name) or dict.fromkeys(column.values, 1.0)
    value, _ = feed.totals.get(column.name, ("", {}))
    parts = {name: share for name, share in given.items() if name != value}
    unknown = sorted(set(parts) - set(column.values)) if column.values else []
    if not parts or unknown:
        raise Finding(
            "shares of values the contract does not list",
            where=f"dimension {column.name}",
            found=", ".join(unknown) or "nothing",
            expected=", ".join(column.values),
        )
    share = np.array(list(parts.values())) / sum(parts.values())
    names = list(parts)
    if column.name not in feed.totals:
        return names, share, np.zeros(len(names), dtype=np.bool_)
    return [value, *names], np.append(1.0, share), np.append(True, np.zeros(len(names), dtype=np.bool_))


def records(
    contract: FeedContract, cells: Cells, feed: FeedProfile, *, partner: str, places: int, rows: int, seed: int
) -> Ints:
    """Records [place, combination] of one delivery: the usual ones of a place first, the same each period.

    A total exactly once; at least one of every value the profile wants everywhere, as far as the partner sends it.
    """
    number = list(feed.partners).index(partner)
    parts, totals = cells.parts(number), cells.total & cells.sent[:, number]
    counts = np.zeros((places, len(cells.shares)), dtype=np.int64)
    counts[:, totals] = 1
    draw = generator(seed, contract.feed, "combinations").gumbel(size=(places, len(parts)))
    liked = np.log(cells.shares[parts]) + draw
    first = _wanted(liked, cells, feed, parts)
    least = max(int(first.sum(axis=1).max(initial=0)), 0 if totals.any() else 1)
    left = max(rows - int(counts.sum()), least * places)
    per_place = left // places + (np.arange(places) < left % places)
    # Where every combination has a record anyway, nothing needs to go first.
    first &= (per_place < len(parts))[:, None]
    liking = np.argsort(-(liked + _FIRST * first), axis=1, kind="stable")
    rank = np.empty_like(liking)
    np.put_along_axis(rank, liking, np.broadcast_to(np.arange(len(parts)), liking.shape), axis=1)
    whole, rest = per_place // len(parts), per_place % len(parts)
    counts[:, parts] = whole[:, None] + (rank < rest[:, None])
    # Without a record number the key is the place and its dimensions: one record each.
    return counts if contract.role("record_id") else np.minimum(counts, 1)


def _wanted(liked: Floats, cells: Cells, feed: FeedProfile, parts: Ints) -> Bools:
    """For each place [place, part] the best liked combination of every value that is to be everywhere."""
    first = np.zeros(liked.shape, dtype=np.bool_)
    for name, wanted in feed.everywhere.items():
        _known(cells.values, name, wanted, "everywhere")
        own = np.array(cells.values[name])[parts]
        for value in wanted:
            having = np.flatnonzero(own == value)
            if len(having):
                first[np.arange(len(liked)), having[liked[:, having].argmax(axis=1)]] = True
    return first
