"""Simulated partners: deliveries as a partner would send them, from a contract, a geography and a profile.

Every number is invented; it follows from the seed, the feed, the partner and the period alone, so equal requests give
equal bytes. What the nation's levels, growth and seasons are is data (the index's simulation file), not code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dci_pipeline import periods
from dci_pipeline.contracts import Column, FeedContract
from dci_pipeline.feeds.profiles import FeedProfile, Profile, level, read_profile
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period

__all__ = ["Profile", "level", "read_profile", "simulate"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# No part of a total is as large as the total.
_AT_MOST = 0.985


def simulate(
    contract: FeedContract,
    *,
    cadence: str,
    period: Period,
    partner: str,
    places: pl.DataFrame,
    aliases: pl.DataFrame,
    profile: Profile,
    seed: int,
    rows: int | None = None,
) -> pl.DataFrame:
    """One delivery: [the columns of the partner's file], text but for the measures, records in no particular order.

    `places` [code, level] are those valid in the period, `aliases` [alias, place, scope] the names usable in it. Every
    place occurs; about `rows` records (the profile's number by default), more when there are more places than that.
    Raises Finding for a partner, place level or measure the profile does not know, and for a record past its maximum.
    """
    feed = _feed_profile(contract, profile, partner)
    codes, sizes = _sizes(places, profile, seed)
    cells = _Cells.of(contract, feed)
    counts = _records(contract, cells, len(codes), feed.rows if rows is None else rows, seed)
    place_at, cell_at = np.nonzero(counts)
    per_cell = counts[place_at, cell_at]
    total = int(per_cell.sum())
    order = _generator(seed, contract.feed, partner, period.key, "order").permutation(total)
    first = periods.parse(profile.first, cadence, where=profile.where)

    columns: dict[str, pl.Series] = {}
    row_place = np.repeat(place_at, per_cell)[order]
    row_cell = np.repeat(cell_at, per_cell)[order]
    for column in contract.columns:
        if column.role == "measure":
            values = _measured(
                contract,
                column,
                feed,
                profile,
                codes=codes,
                sizes=sizes,
                cells=cells,
                place_at=place_at,
                cell_at=cell_at,
                per_cell=per_cell,
                partner=partner,
                period=period,
                first=first,
                seed=seed,
            )[order]
            columns[column.source] = _as_sent(values, column)
        elif column.role == "dimension":
            columns[column.source] = _gather(cells.values[column.name], row_cell)
        elif column.role == "place":
            columns[column.source] = _names(
                aliases,
                codes,
                row_place=row_place,
                profile=profile,
                contract=contract,
                partner=partner,
                period=period,
                seed=seed,
            )
        else:
            columns[column.source] = _told(column, contract, partner=partner, period=period, total=total, seed=seed)
    for name, value in contract.row_filter.items():
        columns[name] = pl.Series([value]).new_from_index(0, total)
    return pl.DataFrame(columns)


def _feed_profile(contract: FeedContract, profile: Profile, partner: str) -> FeedProfile:
    feed = profile.feeds.get(contract.feed)
    if feed is None:
        raise Finding(
            "the simulation file does not know this feed",
            where=profile.where,
            found=contract.feed,
            expected="one of " + ", ".join(profile.feeds),
            todo="describe the feed there",
        )
    missing = [column.name for column in contract.roles("measure") if column.name not in feed.measures]
    if partner not in feed.partners or missing:
        raise Finding(
            "the simulation file says nothing of " + (", ".join(missing) or f"partner {partner}"),
            where=f"{profile.where} feeds.{contract.feed}",
            found=", ".join(feed.measures) if missing else ", ".join(feed.partners),
        )
    return feed


def _generator(*parts: object) -> np.random.Generator:
    """Random numbers of their own for each purpose, so that asking for more of one changes none of another."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def _normals(names: list[str], *parts: object, width: int = 1) -> Floats:
    """Standard normals [name, width], those of a name independent of which other names there are (Box and Muller)."""
    bits = _bits(names, *parts, width=2 * width)
    uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return np.sqrt(-2 * np.log(uniform[:, :width])) * np.cos(2 * np.pi * uniform[:, width:])


def _bits(names: list[str], *parts: object, width: int = 1) -> NDArray[np.uint64]:
    """64 random bits [name, width] by hashing (SplitMix64): a generator for each name would cost more than the rest."""
    seeds = np.array([_number(name) for name in names], dtype=np.uint64).reshape(-1, 1)
    step = np.uint64(0x9E3779B97F4A7C15)
    state = (seeds ^ np.uint64(_number("\x1f".join(map(str, parts))))) + np.arange(1, width + 1, dtype=np.uint64) * step
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return state ^ (state >> np.uint64(31))


@cache
def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _sizes(places: pl.DataFrame, profile: Profile, seed: int) -> tuple[list[str], Floats]:
    known = places.select("code", "level").unique().sort("code")
    levels = known["level"].to_list()
    lost = sorted({str(name) for name in levels} - set(profile.places.sizes))
    if lost:
        raise Finding(
            "a level of places without a size",
            where=f"{profile.where} places.sizes",
            found=", ".join(lost),
            expected=", ".join(profile.places.sizes),
            todo="add the level",
        )
    codes = cast("list[str]", known["code"].to_list())
    base = np.array([profile.places.sizes[name] for name in levels])
    return codes, base * np.exp(profile.places.spread * _normals(codes, seed, "size")[:, 0])


@dataclass(frozen=True)
class _Cells:
    """The combinations of the dimensions' values: values by dimension, shares (summing to 1), which are totals."""

    values: Mapping[str, list[str]]
    shares: Floats
    total: NDArray[np.bool_]

    @staticmethod
    def of(contract: FeedContract, feed: FeedProfile) -> _Cells:
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
        return _Cells(values, shares, total)


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


def _records(contract: FeedContract, cells: _Cells, n_places: int, rows: int, seed: int) -> Ints:
    """Records by place and combination: the usual ones of a place first, the same each period; a total exactly once."""
    parts = np.flatnonzero(~cells.total)
    counts = np.zeros((n_places, len(cells.shares)), dtype=np.int64)
    counts[:, cells.total] = 1
    left = max(rows - int(counts.sum()), 0 if cells.total.any() else n_places)
    per_place = left // n_places + (np.arange(n_places) < left % n_places)
    draw = _generator(seed, contract.feed, "combinations").gumbel(size=(n_places, len(parts)))
    liking = np.argsort(-(np.log(cells.shares[parts]) + draw), axis=1, kind="stable")
    rank = np.empty_like(liking)
    np.put_along_axis(rank, liking, np.broadcast_to(np.arange(len(parts)), liking.shape), axis=1)
    whole, rest = per_place // len(parts), per_place % len(parts)
    counts[:, parts] = whole[:, None] + (rank < rest[:, None])
    # Without a record number the key is the place and its dimensions: one record each.
    return counts if contract.role("record_id") else np.minimum(counts, 1)


def _measured(
    contract: FeedContract,
    column: Column,
    feed: FeedProfile,
    profile: Profile,
    *,
    codes: list[str],
    sizes: Floats,
    cells: _Cells,
    place_at: Ints,
    cell_at: Ints,
    per_cell: Ints,
    partner: str,
    period: Period,
    first: Period,
    seed: int,
) -> Ints:
    """The measure of every record, cell by cell: nation × place × partner × combination, shared among its records."""
    measure, spread = feed.measures[column.name], profile.places
    years = (period.start - first.start).days / 365.25
    drift = spread.growth_spread * _normals(codes, seed, contract.feed, column.name, "growth")[:, 0] * years
    weight = sizes * np.exp(drift)
    weight = weight / weight.sum()
    moved = np.exp(spread.noise * _normals(codes, seed, contract.feed, column.name, period.key, "noise")[:, 0])
    shares = np.array(list(feed.partners.values()))
    each = shares * np.exp(spread.partner_spread * _normals(codes, seed, contract.feed, "partners", width=len(shares)))
    mine = each[:, list(feed.partners).index(partner)] / each.sum(axis=1)
    of_place = level(measure, period, first) * weight * moved * mine

    mix = np.exp(spread.mix * _normals(codes, seed, contract.feed, "mix", width=len(cells.shares)))
    share = np.where(cells.total, 1.0, cells.shares * mix)[place_at, cell_at]
    # What a place does not use, its other combinations take on: the place's volume stays.
    is_part = ~cells.total[cell_at]
    present = np.bincount(place_at, weights=np.where(is_part, share, 0.0), minlength=len(codes))
    part = share / np.where(present > 0, present, 1.0)[place_at]
    for _, of_sum in feed.totals.values():
        part = np.minimum(part / of_sum.get(column.name, 1.0), _AT_MOST)
    share = np.where(is_part, part, share)

    draw = _generator(seed, contract.feed, partner, period.key, column.name, "records")
    weights = np.exp(measure.dispersion * draw.standard_normal(int(per_cell.sum())))
    starts = np.concatenate([[0], np.cumsum(per_cell)[:-1]])
    of_cell = of_place[place_at] * share / np.add.reduceat(weights, starts)
    values = np.rint(weights * np.repeat(of_cell, per_cell))
    if column.maximum is not None and len(values) and values.max() > column.maximum:
        raise Finding(
            "a simulated record past its maximum",
            where=f"{profile.where} feeds.{contract.feed}",
            found=f"{column.name} {values.max():,.0f}",
            expected=f"at most {column.maximum:,}",
            todo="ask for more rows, or lower level or growth",
        )
    return np.maximum(values, column.minimum or 0).astype(np.int64)


def _as_sent(values: Ints, column: Column) -> pl.Series:
    """Minor units as the partner writes them: in its own unit where the contract multiplies."""
    series = pl.Series(column.source, values)
    return series / column.multiplier if column.multiplier else series


def _names(
    aliases: pl.DataFrame,
    codes: list[str],
    *,
    row_place: Ints,
    profile: Profile,
    contract: FeedContract,
    partner: str,
    period: Period,
    seed: int,
) -> pl.Series:
    """The place of each record as the partner writes it: mostly one name for a place, at times another usable one."""
    usable = (
        aliases.filter((pl.col("scope") == "in") & pl.col("place").is_in(codes))
        .select("alias", "place")
        .sort("place", "alias")
    )
    grouped = {
        str(place): part["alias"].to_list()
        for (place,), part in usable.partition_by("place", as_dict=True, maintain_order=True).items()
    }
    nameless = [code for code in codes if code not in grouped]
    if nameless:
        raise Finding(
            "places without a usable name",
            where=f"{contract.index}/geography/aliases.csv",
            found=", ".join(nameless[:10]),
            todo=f"add an alias valid in {period}",
        )
    many = np.array([len(grouped[code]) for code in codes])
    starts = np.concatenate([[0], np.cumsum(many)[:-1]])
    names = [name for code in codes for name in grouped[code]]
    usual = (_bits(codes, seed, contract.feed, partner, "name")[:, 0] % many.astype(np.uint64)).astype(np.int64)
    draw = _generator(seed, contract.feed, partner, period.key, "names")
    other = draw.random(len(row_place)) < profile.places.other_names
    pick = np.where(other, draw.integers(0, 2**31, len(row_place)) % many[row_place], usual[row_place])
    return _gather(names, starts[row_place] + pick)


def _told(column: Column, contract: FeedContract, *, partner: str, period: Period, total: int, seed: int) -> pl.Series:
    """A column that says who sent the record, which it is, and when."""
    if column.role == "partner":
        return pl.Series([partner]).new_from_index(0, total)
    if column.role == "period":
        return pl.Series([period.key]).new_from_index(0, total)
    if column.role == "record_id":
        head = f"{partner}-{period.key.replace('-', '')}-"
        return pl.select(head + pl.int_range(1, total + 1, dtype=pl.Int64).cast(pl.String).str.zfill(8)).to_series()
    days = [period.start + timedelta(days=day) for day in range((period.end - period.start).days)]
    draw = _generator(seed, contract.feed, partner, period.key, "days")
    return _gather([day.strftime(column.format or "%Y-%m-%d") for day in days], draw.integers(0, len(days), total))


def _gather(texts: list[str], at: Ints) -> pl.Series:
    return pl.Series(texts, dtype=pl.String).gather(pl.Series(at))
