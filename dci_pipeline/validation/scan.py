"""The heavy stage: typed rows to rule counts, sums by place and indicator, and the rows set aside. Written in Narwhals.

One pass groups the rows by place name, dimension of a leaf, and the set of rules each row breaks; everything else is
read off that small frame. Sums are over integers, in halves where 64 bits could be too few, so every engine, row order
and file split gives the same figures (ARCHITECTURE, "The heavy stage"; METHOD sections 6 and 7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import narwhals.stable.v2 as nw
import polars as pl

from dci_pipeline.contracts import Column, FeedContract
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period
from dci_pipeline.validation.duplicates import POSITION, Engine, repeated_keys
from dci_pipeline.validation.flags import flag_words, row_flags, word_count

HALF = 1 << 32
LARGEST = 2**63 - 1
ADDED = {"file": nw.Int32, "file_row": nw.Int64, "unparsed": nw.String}
_TYPES = {"string": nw.String, "integer": nw.Int64, "number": nw.Float64, "date": nw.Date, "boolean": nw.Boolean}


class Leaf(Protocol):
    """An indicator: the measure of a feed that it sums, and the dimension values of the rows it sums over."""

    @property
    def node(self) -> str: ...

    @property
    def measure(self) -> str | None: ...

    @property
    def where(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Scan:
    """What one delivery comes to.

    counts: [rule, column, rows, unexpected] in contract order, last the row `any` (rows that break at least one rule).
    sums: [place, indicator, value, records] over accepted rows with a value, sorted; a pair without any is not there.
    quarantine: None, or a plan for the rejected rows: file, file_row, rules, unparsed, the columns; sorted by row.
    """

    rows: int
    rejected: int
    counts: pl.DataFrame
    sums: pl.DataFrame
    quarantine: nw.LazyFrame[Any] | None


def scan(
    engine: Engine,
    lazy: nw.LazyFrame[Any],
    *,
    contract: FeedContract,
    period: Period,
    partner: str,
    aliases: pl.DataFrame,
    leaves: Sequence[Leaf],
) -> Scan:
    """Count, judge and add up one delivery's typed rows.

    `aliases`: [alias, place, scope] usable in the period, scope 'in' or 'out' of the index. A row is accepted when it
    breaks no rule; a name outside the index is set aside too, under its own rule.
    Raises Finding when the rows lack a column or have another type, and when a sum does not fit 64 bits.
    """
    _check(lazy, contract, leaves)
    work = _Work(engine, lazy, contract, period, partner, aliases, tuple(leaves))
    grouped = work.grouped_rows()
    repeats = repeated_keys(engine, lazy, contract)
    doubled = None if repeats is None else work.judged(work.group(work.rejected_repeats(repeats), readable=False))
    counts = work.counts(grouped, doubled)
    rejected = int(counts["unexpected"][-1])
    return Scan(
        rows=int(grouped["n"].sum()),
        rejected=rejected,
        counts=counts,
        sums=work.sums(grouped, doubled),
        quarantine=work.quarantine(repeats) if rejected else None,
    )


@dataclass(frozen=True)
class _Work:
    """One delivery and everything needed to judge it."""

    engine: Engine
    lazy: nw.LazyFrame[Any]
    contract: FeedContract
    period: Period
    partner: str
    aliases: pl.DataFrame
    leaves: tuple[Leaf, ...]

    @property
    def order(self) -> list[str]:
        return [rule.id for rule in self.contract.rules]

    @property
    def words(self) -> list[str]:
        return [f"_bits{word}" for word in range(word_count(len(self.order)))]

    @property
    def measures(self) -> tuple[Column, ...]:
        used = {leaf.measure for leaf in self.leaves}
        return tuple(column for column in self.contract.roles("measure") if column.name in used)

    @property
    def split_by(self) -> list[str]:
        """Dimensions that decide which leaf a row belongs to."""
        used = {name for leaf in self.leaves for name in leaf.where}
        return [column.name for column in self.contract.columns if column.name in used]

    def flags(self, *, readable: bool) -> dict[str, nw.Expr]:
        return row_flags(self.contract, period=self.period, partner=self.partner, readable=readable)

    def grouped_rows(self) -> pl.DataFrame:
        """All rows grouped; those with an `unparsed` text are looked at again, on their own, for what broke."""
        grouped = self.group(self.lazy, readable=True)
        unread = pl.col(self.words[0]) < 0
        if grouped.filter(unread).height:
            rest = self.lazy.filter(~nw.col("unparsed").is_null())
            grouped = pl.concat([grouped.filter(~unread), self.group(rest, readable=False)])
        return self.judged(grouped)

    def group(self, rows: nw.LazyFrame[Any], *, readable: bool) -> pl.DataFrame:
        """[place name, dimensions, rule bits] -> rows and, of rows that break none, sum and count of each measure."""
        words = flag_words(self.flags(readable=readable), self.order)
        if readable:
            words = [nw.when(nw.col("unparsed").is_null()).then(word).otherwise(nw.lit(-1, nw.Int64)) for word in words]
        rows = rows.with_columns(*[word.alias(name) for word, name in zip(words, self.words, strict=True)])
        clean = nw.all_horizontal(*[nw.col(name) == 0 for name in self.words], ignore_nulls=True)
        sums: list[nw.Expr] = []
        for column in self.measures:
            value = nw.when(clean).then(nw.col(column.name).cast(nw.Int64))
            sums.append(value.count().alias(f"_count {column.name}"))
            if _narrow(column):
                sums.append(value.sum().alias(f"_low {column.name}"))
            else:
                high = value // HALF
                sums += [
                    high.sum().alias(f"_high {column.name}"),
                    (value - high * HALF).sum().alias(f"_low {column.name}"),
                ]
        keys = [self.contract.place.name, *self.split_by, *self.words]
        return self.engine.collect(rows.group_by(*keys).agg(nw.len().alias("n"), *sums))

    def judged(self, grouped: pl.DataFrame) -> pl.DataFrame:
        """Adds place, `_unknown`, `_outside` and `_bad` (breaks any rule) by the names usable in the period."""
        name = self.contract.place.name
        names = self.aliases.select(pl.col("alias").alias(name), _place="place", _scope="scope")
        words = [pl.col(word) != 0 for word in self.words]
        return (
            grouped.join(names, on=name, how="left")
            .with_columns(
                _unknown=pl.col(name).is_not_null() & pl.col("_scope").is_null(),
                _outside=(pl.col("_scope") == "out").fill_null(False),
            )
            .with_columns(_bad=pl.any_horizontal("_unknown", "_outside", *words))
        )

    def rejected_repeats(self, repeats: pl.DataFrame) -> nw.LazyFrame[Any]:
        """The rows that break key.unique: all that disagree, and all but the first that agree."""
        keyed = self.lazy.join(self.engine.small(repeats), on=list(self.contract.key), how="inner")
        return keyed.filter(~nw.col("_agree") | (nw.col("_first") != POSITION))

    def counts(self, grouped: pl.DataFrame, doubled: pl.DataFrame | None) -> pl.DataFrame:
        rows = int(grouped["n"].sum())
        found: list[int] = []
        for number, rule in enumerate(self.contract.rules):
            if rule.kind == "unique":
                found.append(0 if doubled is None else int(doubled["n"].sum()))
            else:
                broken = {"known": pl.col("_unknown"), "in_scope": pl.col("_outside")}.get(rule.kind, _bit(number))
                found.append(int(grouped.filter(broken)["n"].sum()))
        total = int(grouped.filter("_bad")["n"].sum())
        if doubled is not None:
            total += int(doubled.filter(~pl.col("_bad"))["n"].sum())
        return pl.DataFrame(
            {
                "rule": [*self.order, "any"],
                "column": [*(rule.column for rule in self.contract.rules), ""],
                "rows": rows,
                "unexpected": [*found, total],
            },
            schema={"rule": pl.String, "column": pl.String, "rows": pl.Int64, "unexpected": pl.Int64},
        )

    def sums(self, grouped: pl.DataFrame, doubled: pl.DataFrame | None) -> pl.DataFrame:
        parts = [(grouped, 1)] + ([(doubled, -1)] if doubled is not None else [])
        totals: dict[tuple[str, str], list[int]] = {}
        for frame, sign in parts:
            accepted = frame.filter(~pl.col("_bad"))
            for leaf in self.leaves:
                mine = accepted.filter(
                    pl.lit(True), *[pl.col(name).cast(pl.String) == value for name, value in leaf.where.items()]
                )
                columns = [f"_{part} {leaf.measure}" for part in ("count", "high", "low")]
                added = mine.group_by("_place").agg(
                    pl.col(column).sum() if column in mine.columns else pl.lit(0).alias(column) for column in columns
                )
                for place, count, high, low in added.iter_rows():
                    total = totals.setdefault((place, leaf.node), [0, 0])
                    total[0] += sign * (high * HALF + low)
                    total[1] += sign * count
        for (place, indicator), (value, _) in totals.items():
            if abs(value) > LARGEST:
                raise Finding(
                    "a sum beyond 64 bits",
                    where=f"feed {self.contract.feed} {self.period}",
                    found=f"{indicator} of {place}: {value}",
                    expected=f"at most {LARGEST}",
                    todo="count the measure in a larger unit",
                )
        return pl.DataFrame(
            [(*pair, value, count) for pair, (value, count) in sorted(totals.items()) if count],
            schema={"place": pl.String, "indicator": pl.String, "value": pl.Int64, "records": pl.Int64},
            orient="row",
        )

    def quarantine(self, repeats: pl.DataFrame | None) -> nw.LazyFrame[Any]:
        """The rejected rows with the ids of the rules they break. Texts are searched only in rows already rejected."""
        name, key = self.contract.place.name, list(self.contract.key)
        names = self.aliases.select(pl.col("alias").alias(name), _scope="scope")
        flags = self.flags(readable=True)
        rows = self.lazy.join(self.engine.small(names), on=name, how="left")
        unknown = ~nw.col(name).is_null() & nw.col("_scope").is_null()
        outside = (nw.col("_scope") == "out").fill_null(False)
        late: dict[str, nw.Expr] = {"known": unknown, "in_scope": outside}
        if repeats is not None:
            rows = rows.join(self.engine.small(repeats), on=key, how="left")
            late["unique"] = (~nw.col("_agree") | (nw.col("_first") != POSITION)).fill_null(False)
        broken = [nw.when(flag).then(nw.lit(True)).otherwise(nw.lit(False)) for flag in flags.values()]
        rows = rows.filter(nw.any_horizontal(~nw.col("unparsed").is_null(), *late.values(), *broken, ignore_nulls=True))
        detail = self.flags(readable=False)
        detail |= {rule.id: late[rule.kind] for rule in self.contract.rules if rule.kind in late}
        ids = [nw.when(detail[rule]).then(nw.lit(rule)) for rule in self.order if rule in detail]
        return rows.select(
            "file",
            "file_row",
            nw.concat_str(*ids, separator=";", ignore_nulls=True).alias("rules"),
            "unparsed",
            *[column.name for column in self.contract.columns],
        ).sort("file", "file_row")


def _bit(number: int) -> pl.Expr:
    return (pl.col(f"_bits{number // 62}") // (1 << number % 62)) % 2 == 1


def _narrow(column: Column) -> bool:
    """Four thousand million values within the contract's range cannot pass 64 bits; only such values are summed."""
    bounds = (column.minimum, column.maximum)
    return all(bound is not None and abs(bound) < HALF // 2 for bound in bounds)


def _check(lazy: nw.LazyFrame[Any], contract: FeedContract, leaves: Sequence[Leaf]) -> None:
    found = dict(lazy.collect_schema())
    wanted = {column.name: _TYPES[column.type] for column in contract.columns} | ADDED
    wrong = {name: found.get(name, "missing") for name, dtype in wanted.items() if found.get(name) != dtype}
    if wrong:
        raise Finding(
            "typed rows do not fit the contract",
            where=f"feed {contract.feed}",
            found=", ".join(f"{name} {dtype}" for name, dtype in wrong.items()),
            expected=", ".join(f"{name} {wanted[name].__name__}" for name in wrong),
            todo="land the delivery again with this contract",
        )
    if not contract.place.required:
        raise Finding(
            "the place of a row must be required",
            where=contract.where or contract.feed,
            found=f"{contract.place.name} without required: true",
            todo="add required: true",
        )
    for leaf in leaves:
        column = contract.by_name.get(leaf.measure or "")
        if column is None or column.type != "integer":
            raise Finding(
                "not an integer measure of the feed",
                where=f"node {leaf.node!r}",
                found=leaf.measure,
                expected="one of " + ", ".join(item.name for item in contract.roles("measure")),
            )
