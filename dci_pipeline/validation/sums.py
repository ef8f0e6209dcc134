"""What accepted rows add up to: each leaf by place, and each leaf by place and value of a column it is broken down by.

The engine adds per group of rows (`Adding.aggregates`), in halves where 64 bits could be too few; here the groups are
put together in 128 bits and must fit 64 again. Integers throughout: engine, row order, file split do not show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import narwhals.stable.v2 as nw
import polars as pl

from dci_pipeline.contracts import Column, FeedContract
from dci_pipeline.findings import Finding
from dci_pipeline.validation.halves import HALF, LARGEST, halves

PLACE = "_place"
SUMS = {"place": pl.String, "indicator": pl.String, "value": pl.Int64, "volume": pl.Int64, "records": pl.Int64}
MEMBERS = {
    "place": pl.String,
    "indicator": pl.String,
    "column": pl.String,
    "member": pl.String,
    "value": pl.Int64,
    "records": pl.Int64,
}


class Quality(Protocol):
    """A rating or rate in integer steps, and its worst and best value (METHOD section 5)."""

    @property
    def column(self) -> str: ...

    @property
    def worst(self) -> int: ...

    @property
    def best(self) -> int: ...


class Leaf(Protocol):
    """An indicator: the measure of a feed that it sums, the dimension values of its rows, and perhaps a quality.

    With a quality a row counts measure x |quality - worst|; 1 / |best - worst| is constant and drops out of shares.
    """

    @property
    def node(self) -> str: ...

    @property
    def measure(self) -> str | None: ...

    @property
    def where(self) -> Mapping[str, str]: ...

    @property
    def quality(self) -> Quality | None: ...


@dataclass(frozen=True)
class Term:
    """What one row adds to a leaf. Leaves that differ in their rows only share a term."""

    measure: Column
    rate: Column | None
    worst: int

    @property
    def largest(self) -> int | None:
        """The most, in size, that an accepted row can add; None when the contract does not bound it."""
        sizes = [_size(self.measure, 0)] + ([_size(self.rate, self.worst)] if self.rate is not None else [])
        product = 1
        for size in sizes:
            if size is None:
                return None
            product *= size
        return product


@dataclass(frozen=True)
class Adding:
    """What a scan adds up: the leaves of a feed, and the (indicator, column) pairs they are broken down by.

    Raises Finding on first use when measure or quality is no integer of the feed, when one row's product could be too
    large, and when a breakdown names no leaf or no dimension.
    """

    contract: FeedContract
    leaves: tuple[Leaf, ...]
    splits: tuple[tuple[str, str], ...]

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        return tuple(dict.fromkeys(self.of.values()))

    @cached_property
    def of(self) -> dict[str, Term]:
        """Node -> its term."""
        return {leaf.node: _term(leaf, self.contract) for leaf in self.leaves}

    @cached_property
    def dimensions(self) -> list[str]:
        """The columns that decide to which leaf or member a row belongs, in contract order."""
        used = {name for leaf in self.leaves for name in leaf.where} | {column for _, column in self.splits}
        unknown = sorted(used - {column.name for column in self.contract.columns})
        unknown += sorted({indicator for indicator, _ in self.splits} - set(self.of))
        if unknown:
            raise Finding(
                "a leaf or breakdown of something else",
                where=f"feed {self.contract.feed}",
                found=", ".join(unknown),
                expected="columns of the contract, leaves of the feed",
                todo="correct `where` and the breakdowns in the index file",
            )
        return [column.name for column in self.contract.columns if column.name in used]

    def aggregates(self, clean: nw.Expr) -> list[nw.Expr]:
        """Per group of rows, over the clean ones: records, sum and, with a quality, volume of each term."""
        found: list[nw.Expr] = []
        for number, term in enumerate(self.terms):
            # What is not clean becomes null before anything is multiplied: only accepted values are bounded.
            value = nw.when(clean).then(nw.col(term.measure.name).cast(nw.Int64))
            if term.rate is not None:
                rate = nw.when(clean).then(nw.col(term.rate.name).cast(nw.Int64))
                volume = nw.when(~rate.is_null()).then(value)
                found += _added(volume, f"_volume{number}", _size(term.measure, 0))
                value = value * (rate - term.worst).abs()
            found.append(value.count().alias(f"_records{number}"))
            found += _added(value, f"_value{number}", term.largest)
        return found

    def exact(self, grouped: pl.DataFrame, *, sign: int = 1) -> pl.DataFrame:
        """[_place, dimensions, _value0, _volume0, _records0, …] of grouped rows: the halves joined, times `sign`."""
        columns: list[pl.Expr] = []
        for number, term in enumerate(self.terms):
            for name in ("_value", "_volume") if term.rate is not None else ("_value",):
                part = f"{name}{number}"
                total = pl.col(f"{part}_low").fill_null(0).cast(pl.Int128)
                if f"{part}_high" in grouped.columns:
                    total = total + pl.col(f"{part}_high").fill_null(0).cast(pl.Int128) * HALF
                columns.append((total * sign).alias(part))
            columns.append((pl.col(f"_records{number}") * sign).alias(f"_records{number}"))
        return grouped.select(PLACE, *self.dimensions, *columns)

    def by_leaf(self, accepted: pl.DataFrame, where: str) -> pl.DataFrame:
        """[place, indicator, value, volume, records], sorted; volume is null for a leaf without quality.

        `accepted` comes from `exact`. Raises Finding, naming `where`, when a sum does not fit 64 bits.
        """
        parts = [
            _rows_of(accepted, leaf.where).group_by(place=PLACE).agg(*self._totals(leaf), indicator=pl.lit(leaf.node))
            for leaf in self.leaves
        ]
        return _fitting(parts, SUMS, where)

    def by_member(self, accepted: pl.DataFrame, where: str) -> pl.DataFrame:
        """[place, indicator, column, member, value, records], sorted: each split by the values of its column.

        A leaf that takes one value of the column is split over all its other values. A null has no member.
        """
        by_node = {leaf.node: leaf for leaf in self.leaves}
        parts: list[pl.DataFrame] = []
        for indicator, column in dict.fromkeys(self.splits):
            leaf, member = by_node[indicator], pl.col(column).cast(pl.String)
            rows = _rows_of(accepted, {name: value for name, value in leaf.where.items() if name != column})
            rows = rows.filter(member != leaf.where[column] if column in leaf.where else member.is_not_null())
            parts.append(
                rows.group_by(place=PLACE, member=member).agg(
                    *self._totals(leaf), indicator=pl.lit(indicator), column=pl.lit(column)
                )
            )
        return _fitting([part.select(*MEMBERS, "volume") for part in parts], MEMBERS, where)

    def _totals(self, leaf: Leaf) -> list[pl.Expr]:
        term = self.of[leaf.node]
        number = self.terms.index(term)
        volume = pl.lit(None, dtype=pl.Int128) if term.rate is None else pl.col(f"_volume{number}").sum()
        return [
            pl.col(f"_value{number}").sum().alias("value"),
            volume.alias("volume"),
            pl.col(f"_records{number}").sum().alias("records"),
        ]


def _term(leaf: Leaf, contract: FeedContract) -> Term:
    where = f"node {leaf.node!r}, {contract.where or contract.feed}"
    measure = _integer(contract, leaf.measure, where)
    if leaf.quality is None:
        return Term(measure, None, 0)
    rate = _integer(contract, leaf.quality.column, where)
    term = Term(measure, rate, leaf.quality.worst)
    if term.largest is None or term.largest > LARGEST:
        raise Finding(
            "volume times quality of one record could pass 64 bits",
            where=where,
            found="no bounds" if term.largest is None else term.largest,
            expected=f"at most {LARGEST} by the minimum and maximum of {measure.name} and {rate.name}",
            todo="set or lower the maximum, or count the measure in a larger unit",
        )
    if (rate.minimum or 0) < term.worst < (rate.maximum or 0):
        raise Finding(
            "a quality on both sides of its worst value",
            where=where,
            found=f"{rate.name} from {rate.minimum} to {rate.maximum}, worst {term.worst}",
            expected="the worst value at an end of the contract's range, or outside it",
            todo="correct the quality of the node, or the range in the contract",
        )
    return term


def _rows_of(accepted: pl.DataFrame, where: Mapping[str, str]) -> pl.DataFrame:
    return accepted.filter(pl.lit(True), *[pl.col(name).cast(pl.String) == value for name, value in where.items()])


def _fitting(parts: Sequence[pl.DataFrame], schema: Mapping[str, type[pl.DataType]], where: str) -> pl.DataFrame:
    """The parts as one frame of that schema, sorted by key, without what no row has a value for."""
    keys = [name for name in schema if name not in ("value", "volume", "records")]
    if not parts:
        return pl.DataFrame(schema=dict(schema))
    together = pl.concat(parts).filter(pl.col("records") != 0).sort(keys)
    for column in ("value", "volume"):
        over = together.filter(pl.col(column).abs() > LARGEST)
        if over.height:
            row = over.row(0, named=True)
            raise Finding(
                "a sum beyond 64 bits",
                where=where,
                found=f"{row['indicator']} of {row['place']}: {row[column]}",
                expected=f"at most {LARGEST}",
                todo="count the measure in a larger unit",
            )
    return together.select([pl.col(name).cast(dtype) for name, dtype in schema.items()])


def _added(value: nw.Expr, name: str, largest: int | None) -> list[nw.Expr]:
    """Four thousand million values below 2^31 cannot pass 64 bits; larger ones are added in halves."""
    if largest is not None and largest < HALF // 2:
        return [value.sum().alias(f"{name}_low")]
    high, low = halves(value)
    return [high.sum().alias(f"{name}_high"), low.sum().alias(f"{name}_low")]


def _size(column: Column, origin: int) -> int | None:
    if column.minimum is None or column.maximum is None:
        return None
    return int(max(abs(column.minimum - origin), abs(column.maximum - origin)))


def _integer(contract: FeedContract, name: str | None, where: str) -> Column:
    column = contract.by_name.get(name or "")
    if column is None or column.type != "integer":
        raise Finding(
            "not an integer measure of the feed",
            where=where,
            found=name,
            expected="one of " + ", ".join(item.name for item in contract.roles("measure")),
        )
    return column
