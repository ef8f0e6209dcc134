"""The heavy stage: typed rows to rule counts, sums by place and indicator, and the rows set aside. Written in Narwhals.

One pass groups the rows by place, dimensions of leaves and breakdowns, and the set of rules each row breaks; counts
and sums are read off that small frame, so every engine, row order and file split gives the same figures
(ARCHITECTURE, "The heavy stage"; METHOD sections 6 and 7).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from dci_pipeline.contracts import FeedContract
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period
from dci_pipeline.validation.cells import KEY, Cells
from dci_pipeline.validation.duplicates import POSITION, repeated_keys
from dci_pipeline.validation.flags import ANY_KNOWN, combined, flag_words, row_flags, word_count
from dci_pipeline.validation.stretches import Engine, stretches
from dci_pipeline.validation.sums import PLACE, Adding, Leaf

ADDED = {"file": nw.Int32, "file_row": nw.Int64, "unparsed": nw.String}
# Groups are put together when there are that many: about 100 MB.
_GROUPS_AT_ONCE = 1_000_000
# Known groups take memory of their own, and what is read and not yet grouped some more: about 650 MB of so many rows.
_CELLS_AT_ONCE = 10_000_000
_TYPES = {"string": nw.String, "integer": nw.Int64, "number": nw.Float64, "date": nw.Date, "boolean": nw.Boolean}


@dataclass(frozen=True)
class Scan:
    """What one delivery comes to.

    counts: [rule, column, rows, unexpected] in contract order, last the row `any` (rows that break at least one rule).
    sums: [place, indicator, value, volume, records] over accepted rows with a value, sorted; a pair without any is not
    there. volume: the measure alone where the value is measure x quality, null for other leaves.
    members: [place, indicator, column, member, value, records] of the splits asked for, likewise.
    quarantine: plans for the rejected rows, in order: file, file_row, rules, unparsed, the columns; each sorted by row.
    """

    rows: int
    rejected: int
    counts: pl.DataFrame
    sums: pl.DataFrame
    members: pl.DataFrame
    quarantine: tuple[nw.LazyFrame[Any], ...]


def scan(
    engine: Engine,
    lazy: nw.LazyFrame[Any],
    *,
    contract: FeedContract,
    period: Period,
    partner: str,
    aliases: pl.DataFrame,
    leaves: Sequence[Leaf],
    splits: Sequence[tuple[str, str]] = (),
) -> Scan:
    """Count, judge and add up one delivery's typed rows.

    `aliases`: [alias, place, scope] usable in the period, scope 'in' or 'out' of the index. A row is accepted when it
    breaks no rule; a name outside the index is set aside too, under its own rule. `splits`: (indicator, column) pairs.
    Raises Finding when the rows lack a column or have another type, when a leaf or split does not fit the contract, and
    when a sum does not fit 64 bits.
    """
    _check(lazy, contract)
    adding = Adding(contract, tuple(leaves), tuple(splits))
    work = _Work(engine, lazy, contract, period, partner, aliases, adding)
    grouped = work.grouped(stretches(engine, lazy, at_least=_CELLS_AT_ONCE) if work.fits else work.parts)
    repeats = repeated_keys(engine, lazy, contract)
    doubled = None if repeats is None else work.grouped([work.rejected_repeats(part, repeats) for part in work.parts])
    counts = work.counts(grouped, doubled)
    rejected = int(counts["unexpected"][-1])
    accepted = work.accepted(grouped, doubled)
    where = f"feed {contract.feed} {period}"
    return Scan(
        rows=int(grouped["n"].sum()),
        rejected=rejected,
        counts=counts,
        sums=adding.by_leaf(accepted, where),
        members=adding.by_member(accepted, where),
        quarantine=tuple(work.quarantine(part, repeats) for part in work.apart(rejected, repeats)),
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
    adding: Adding

    @property
    def order(self) -> list[str]:
        return [rule.id for rule in self.contract.rules]

    @property
    def words(self) -> list[str]:
        return [f"_bits{word}" for word in range(word_count(len(self.order)))]

    @cached_property
    def cells(self) -> Cells | None:
        """The numbers rows are grouped by; None where it has to be by their texts."""
        return Cells.of(self.contract, self.aliases, self.adding.dimensions) if len(self.words) == 1 else None

    @property
    def fits(self) -> bool:
        """Whether the groups there can be at most fit in the memory the engine has."""
        most = self.engine.rows_at_once
        return most is None or (self.cells is not None and self.cells.size <= most)

    @cached_property
    def parts(self) -> list[nw.LazyFrame[Any]]:
        """The rows in parts that the engine can sort, or join with as many rows again, in the memory it has."""
        return stretches(self.engine, self.lazy)

    def placed(self, rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """The rows with `_place` and `_outside` of their place's name; null for a name not usable in the period."""
        name = self.contract.place.name
        names = self.aliases.select(
            pl.col("alias").alias(name), pl.col("place").alias(PLACE), _outside=pl.col("scope") == "out"
        )
        if self.cells is not None:
            names = self.cells.numbered(names)
        return rows.join(self.engine.small(names), on=name, how="left")

    def own_flags(self, *, readable: bool) -> dict[str, nw.Expr]:
        """Rule id -> expression over typed rows, true where the row breaks the rule: what a row shows by itself."""
        return row_flags(self.contract, period=self.period, partner=self.partner, readable=readable)

    @property
    def place_flags(self) -> dict[str, nw.Expr]:
        """The same over placed rows: what the name of a row's place shows."""
        unknown = ~nw.col(self.contract.place.name).is_null() & nw.col("_outside").is_null()
        named = {"known": unknown, "in_scope": nw.col("_outside")}
        return {rule.id: named[rule.kind] for rule in self.contract.rules if rule.kind in named}

    def grouped(self, rows: Sequence[nw.LazyFrame[Any]]) -> pl.DataFrame:
        """[place, dimensions, rule bits] -> rows and, of rows that break none, what they add; `_bad` breaks any.

        Of rows in as many parts as the engine needs. Rows with an `unparsed` text break a rule each; they are looked at
        again, on their own, for which.
        """
        grouped = self.added_up(self.group(part, readable=True) for part in rows)
        unread = pl.col(self.words[0]) < 0
        if grouped.filter(unread).height:
            unparsed = ~nw.col("unparsed").is_null()
            rest = self.added_up(self.group(part.filter(unparsed), readable=False) for part in rows)
            grouped = pl.concat([grouped.filter(~unread), rest], how="diagonal")
        return grouped.with_columns(_bad=pl.any_horizontal(pl.col(word) != 0 for word in self.words))

    def added_up(self, parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
        """The groups of all parts, each once: counts and sums add, and fit where those of one pass would."""
        waiting: list[pl.DataFrame] = []
        for part in parts:
            waiting.append(part)
            if len(waiting) > 1 and sum(frame.height for frame in waiting) > _GROUPS_AT_ONCE:
                waiting = [self.merged(waiting)]
        return waiting[0] if len(waiting) == 1 else self.merged(waiting)

    def merged(self, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
        return pl.concat(parts).group_by(self.keys).agg(pl.all().sum())

    @property
    def keys(self) -> list[str]:
        return [PLACE, *self.adding.dimensions, *self.words]

    def group(self, rows: nw.LazyFrame[Any], *, readable: bool) -> pl.DataFrame:
        """One pass over rows as `grouped` gives them. Readable: -1 for what an `unparsed` text breaks; else no sums."""
        own, joined = self.own_flags(readable=readable), self.place_flags
        if self.cells is not None:
            listed = {rule.column: rule.id for rule in self.contract.rules if rule.kind == "one_of"}
            for name in self.cells.values:
                del own[listed[name]]
                joined[listed[name]] = self.cells.unlisted(name)
        # What a row shows by itself becomes a number before tables are joined, so that they carry the few columns left.
        rows = self.with_words(rows, own, readable=readable).select(*self.kept, *self.words)
        # Names become places before grouping: a place has several names, and groups are what costs.
        rows = self.placed(rows)
        if self.cells is not None:
            rows = self.cells.with_numbers(self.engine, rows)
        before = [nw.col(name) for name in self.words]
        after = flag_words(joined, self.order)
        rows = rows.with_columns(
            *[
                nw.when(own_bits >= 0).then(own_bits + more).otherwise(own_bits).alias(name)
                for own_bits, more, name in zip(before, after, self.words, strict=True)
            ]
        )
        facts = [nw.len().alias("n")]
        if readable:
            clean = nw.all_horizontal(*[nw.col(name) == 0 for name in self.words], ignore_nulls=True)
            facts += self.adding.aggregates(clean)
        if self.cells is None:
            return self.engine.collect(rows.group_by(*self.keys).agg(*facts))
        numbered = rows.with_columns(self.cells.key(nw.col(self.words[0])))
        return self.cells.named(self.engine.collect(numbered.group_by(KEY).agg(*facts)), self.words[0])

    def with_words(self, rows: nw.LazyFrame[Any], flags: Mapping[str, nw.Expr], *, readable: bool) -> nw.LazyFrame[Any]:
        """The rows with the flags as bits of words; readable: -1 in each for a row with an `unparsed` text."""
        words = flag_words(flags, self.order)
        if readable:
            words = [nw.when(nw.col("unparsed").is_null()).then(word).otherwise(nw.lit(-1, nw.Int64)) for word in words]
        return rows.with_columns(*[word.alias(name) for word, name in zip(words, self.words, strict=True)])

    @property
    def kept(self) -> list[str]:
        """The columns that place, dimensions and sums are made of."""
        measured = [column for term in self.adding.terms for column in (term.measure, term.rate) if column is not None]
        names = [self.contract.place.name, *self.adding.dimensions, *[column.name for column in measured]]
        return list(dict.fromkeys(names))

    def rejected_repeats(self, part: nw.LazyFrame[Any], repeats: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """The rows of a part that break key.unique: all that disagree, and all but the first that agree."""
        keyed = part.join(repeats, on=list(self.contract.key), how="inner")
        return keyed.filter(~nw.col("_agree") | (nw.col("_first") != POSITION))

    def counts(self, grouped: pl.DataFrame, doubled: pl.DataFrame | None) -> pl.DataFrame:
        rows = int(grouped["n"].sum())
        found: list[int] = []
        for number, rule in enumerate(self.contract.rules):
            if rule.kind == "unique":
                found.append(0 if doubled is None else int(doubled["n"].sum()))
            else:
                found.append(int(grouped.filter(_bit(number))["n"].sum()))
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

    def accepted(self, grouped: pl.DataFrame, doubled: pl.DataFrame | None) -> pl.DataFrame:
        """What the groups of accepted rows add, repeats taken out again."""
        parts = [self.adding.exact(grouped.filter(~pl.col("_bad")))]
        if doubled is not None:
            parts.append(self.adding.exact(doubled.filter(~pl.col("_bad")), sign=-1))
        return pl.concat(parts)

    def apart(self, rejected: int, repeats: nw.LazyFrame[Any] | None) -> list[nw.LazyFrame[Any]]:
        """The rows in parts, of which the rejected ones of each can be sorted at once."""
        if not rejected:
            return []
        most = self.engine.rows_at_once
        # An engine may hold the longer side of a join, so that with repeats the rows matter, not those rejected.
        return [self.lazy] if repeats is None and (most is None or rejected <= most) else self.parts

    def quarantine(self, part: nw.LazyFrame[Any], repeats: nw.LazyFrame[Any] | None) -> nw.LazyFrame[Any]:
        """The rejected rows of a part with the ids of the rules they break; texts are searched in these rows only."""
        rows = self.placed(part)
        flags, detail = (self.own_flags(readable=readable) | self.place_flags for readable in (True, False))
        if repeats is not None:
            rows = rows.join(repeats, on=list(self.contract.key), how="left")
            again = ~nw.col("_agree") | (nw.col("_first") != POSITION)
            flags |= {rule.id: again for rule in self.contract.rules if rule.kind == "unique"}
            detail |= {rule.id: again for rule in self.contract.rules if rule.kind == "unique"}
        broken = [nw.when(flag).then(nw.lit(True)).otherwise(nw.lit(False)) for flag in flags.values()]
        rows = rows.filter(combined(ANY_KNOWN, [~nw.col("unparsed").is_null(), *broken]))
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


def _check(lazy: nw.LazyFrame[Any], contract: FeedContract) -> None:
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
