"""Simulated partners: deliveries as a partner would send them, from a contract, a geography and a profile.

Every number is invented; it follows from the seed, the feed, the partner and the period alone, so equal requests give
equal bytes. What the nation's levels, growth and seasons are is data (the index's simulation file), not code.
"""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import numpy as np
import polars as pl

from dci_pipeline import periods
from dci_pipeline.contracts import Column, FeedContract
from dci_pipeline.feeds.cells import Cells, Ints, records
from dci_pipeline.feeds.draws import Floats, bits, generator, normals
from dci_pipeline.feeds.profiles import FeedProfile, Profile, grown, level, read_profile
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period

__all__ = ["Profile", "level", "read_profile", "simulate"]

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
    cells = Cells.of(contract, feed)
    counts = records(
        contract, cells, feed, partner=partner, places=len(codes), rows=feed.rows if rows is None else rows, seed=seed
    )
    place_at, cell_at = np.nonzero(counts)
    per_cell = counts[place_at, cell_at]
    total = int(per_cell.sum())
    order = generator(seed, contract.feed, partner, period.key, "order").permutation(total)
    first = periods.parse(profile.first, cadence, where=profile.where)

    columns: dict[str, pl.Series] = {}
    row_place = np.repeat(place_at, per_cell)[order]
    row_cell = np.repeat(cell_at, per_cell)[order]
    for column in contract.columns:
        if column.name in feed.rates and column.role == "measure":
            rates = _rates(contract, column, feed, codes=codes, period=period, first=first, seed=seed)
            columns[column.source] = _as_sent(rates[row_place], column)
        elif column.role == "measure":
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
    known = {**feed.measures, **feed.rates}
    missing = [column.name for column in contract.roles("measure") if column.name not in known]
    if partner not in feed.partners or missing:
        raise Finding(
            "the simulation file says nothing of " + (", ".join(missing) or f"partner {partner}"),
            where=f"{profile.where} feeds.{contract.feed}",
            found=", ".join(known) if missing else ", ".join(feed.partners),
        )
    return feed


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
    return codes, base * np.exp(profile.places.spread * normals(codes, seed, "size")[:, 0])


def _measured(
    contract: FeedContract,
    column: Column,
    feed: FeedProfile,
    profile: Profile,
    *,
    codes: list[str],
    sizes: Floats,
    cells: Cells,
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
    drift = spread.growth_spread * normals(codes, seed, contract.feed, column.name, "growth")[:, 0] * years
    weight = sizes * np.exp(drift)
    weight = weight / weight.sum()
    moved = np.exp(spread.noise * normals(codes, seed, contract.feed, column.name, period.key, "noise")[:, 0])
    mine = _own_share(contract, feed, profile, codes=codes, cells=cells, partner=partner, seed=seed)[place_at, cell_at]
    of_place = level(measure, period, first) * weight * moved

    mix = np.exp(spread.mix * normals(codes, seed, contract.feed, "mix", width=len(cells.shares)))
    mixed, parts = cells.shares * mix, cells.parts(list(feed.partners).index(partner))
    share = np.where(cells.total, 1.0, mixed)[place_at, cell_at]
    # What a place does not use, its other combinations take on: the place's volume stays.
    is_part = ~cells.total[cell_at]
    present = np.bincount(place_at, weights=np.where(is_part, share, 0.0), minlength=len(codes))
    of_parts = mixed[:, parts].sum(axis=1) / mixed[:, ~cells.total].sum(axis=1)
    part = share / np.where(present > 0, present, 1.0)[place_at] * of_parts[place_at]
    for _, of_sum in feed.totals.values():
        part = np.minimum(part / of_sum.get(column.name, 1.0), _AT_MOST)
    share = np.where(is_part, part, share)

    draw = generator(seed, contract.feed, partner, period.key, column.name, "records")
    weights = np.exp(measure.dispersion * draw.standard_normal(int(per_cell.sum())))
    starts = np.concatenate([[0], np.cumsum(per_cell)[:-1]])
    of_cell = of_place[place_at] * mine * share / np.add.reduceat(weights, starts)
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


def _own_share(
    contract: FeedContract,
    feed: FeedProfile,
    profile: Profile,
    *,
    codes: list[str],
    cells: Cells,
    partner: str,
    seed: int,
) -> Floats:
    """[place, combination] the partner's share of a combination, against the others that send it too."""
    shares = np.array(list(feed.partners.values()))
    width = len(shares)
    each = shares * np.exp(profile.places.partner_spread * normals(codes, seed, contract.feed, "partners", width=width))
    own = each[:, list(feed.partners).index(partner)]
    senders = [tuple(np.flatnonzero(row).tolist()) for row in cells.sent]
    by_senders = {some: own / each[:, list(some)].sum(axis=1) for some in set(senders)}
    return np.stack([by_senders[some] for some in senders], axis=1)


def _rates(
    contract: FeedContract,
    column: Column,
    feed: FeedProfile,
    *,
    codes: list[str],
    period: Period,
    first: Period,
    seed: int,
) -> Ints:
    """The rating or rate of every place, in the contract's unit and within its limits."""
    rate = feed.rates[column.name]
    middle = grown(rate.mean, rate.growth, period=period, first=first)
    place = rate.spread * normals(codes, seed, contract.feed, column.name, "rate")[:, 0]
    noise = rate.noise * normals(codes, seed, contract.feed, column.name, period.key, "rate")[:, 0]
    values = np.rint(middle * np.exp(place + noise))
    return np.clip(values, column.minimum or 0, column.maximum).astype(np.int64)


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
    usual = (bits(codes, seed, contract.feed, partner, "name")[:, 0] % many.astype(np.uint64)).astype(np.int64)
    draw = generator(seed, contract.feed, partner, period.key, "names")
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
    draw = generator(seed, contract.feed, partner, period.key, "days")
    return _gather([day.strftime(column.format or "%Y-%m-%d") for day in days], draw.integers(0, len(days), total))


def _gather(texts: list[str], at: Ints) -> pl.Series:
    return pl.Series(texts, dtype=pl.String).gather(pl.Series(at))
