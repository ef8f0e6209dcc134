"""Faults planted on purpose into a delivery, one for every rule a contract can have and for files broken as a whole.

Each fault breaks its own rule and no other, on records nothing else has hit, and says which: so a test or a drill knows
exactly what validation has to find.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl

from dci_pipeline import periods
from dci_pipeline.contracts import Column, FeedContract, Rule
from dci_pipeline.feeds.encoding import EXTRA
from dci_pipeline.feeds.unpacking import GZIP, PARQUET
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period

# Faults of a delivery as a whole and what has to notice them.
ROW_FAULTS = ("key.unique.conflict",)
FRAME_FAULTS = {
    "unknown_column": "the header: a Finding on landing",
    "missing_column": "the header: a Finding on landing",
    "empty_file": "no rows: a Finding on landing",
    "wrong_month": "the date's in_period rule, on every row",
    "missing_places": "the coverage of the feed",
}
BYTE_FAULTS = {
    "truncated": "a Finding on landing",
    "wrong_encoding": "a Finding on landing",
    "too_large": "a Finding on landing",
}
FAULTS = {**FRAME_FAULTS, **BYTE_FAULTS}

_NOWHERE = "no such place"


@dataclass(frozen=True)
class Planted:
    """A faulty delivery: its rows, the `file_row` numbers each rule must reject, the places no row names any more.

    `copied` are the records that copies were made of: good ones, but only while they stay as they are.
    """

    frame: pl.DataFrame
    rows: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    places: list[str] = field(default_factory=list[str])
    copied: list[int] = field(default_factory=list[int])

    @property
    def hit(self) -> set[int]:
        """Every record to be left alone from now on: to be passed to the next planting as `avoid`."""
        return {row for rows in self.rows.values() for row in rows} | set(self.copied)


def names(contract: FeedContract) -> list[str]:
    """Every fault that can be planted into a delivery of this feed."""
    rules = [rule.id for rule in contract.rules]
    whole = [name for name in FAULTS if name != "wrong_month" or contract.role("date")]
    if contract.encoding.lower().replace("_", "-") not in ("utf-8", "gb18030"):
        whole.remove("wrong_encoding")
    return rules + list(ROW_FAULTS) + whole


def plant(
    frame: pl.DataFrame,
    contract: FeedContract,
    *,
    rule: str,
    count: int,
    seed: int,
    period: Period,
    avoid: Collection[int] = (),
    outside: Sequence[str] = (),
    aliases: pl.DataFrame | None = None,
) -> Planted:
    """`frame` (the columns of a partner's file) with `count` faults of one kind, all columns text from then on.

    `rule` is a rule's id, 'key.unique.conflict' (a copy that says something else) or a name in FRAME_FAULTS. Records
    numbered in `avoid` are left alone. `outside` gives names of known units outside the index, for the in_scope rule;
    `aliases` [alias, place] tells which names mean one place, for missing_places, where `count` counts places.
    Raises Finding for an unknown fault, too few records, or a fault that cannot be planted in this feed.
    """
    text = frame.with_columns(pl.all().cast(pl.String))
    if rule in FRAME_FAULTS:
        return _whole(text, contract, rule=rule, count=count, seed=seed, period=period, aliases=aliases)
    broken = next((item for item in contract.rules if item.id == rule), None)
    if broken is None and rule not in ROW_FAULTS:
        raise Finding("no such fault", where=contract.where, found=rule, expected=", ".join(names(contract)))
    free = np.setdiff1d(np.arange(1, text.height + 1), np.array(sorted(avoid), dtype=np.int64))
    if count > len(free):
        raise Finding("more faults than untouched records", found=f"{count} faults", expected=f"at most {len(free)}")
    rows = np.sort(np.random.default_rng([seed, *rule.encode()]).choice(free, count, replace=False)).tolist()
    if broken is None or broken.kind == "unique":
        return _copies(text, contract, rows, conflict=broken is None)
    if broken.kind == "shape":
        extra = [None] * text.height if EXTRA not in text.columns else text[EXTRA].to_list()
        return Planted(
            _set(text.with_columns(pl.Series(EXTRA, extra, dtype=pl.String)), EXTRA, rows, ["surplus"] * count),
            {rule: rows},
        )
    column = contract.by_name[broken.column]
    values = [
        _bad(
            str(text[column.source][row - 1]),
            broken,
            column=column,
            contract=contract,
            period=period,
            outside=outside,
            at=at,
        )
        for at, row in enumerate(rows)
    ]
    return Planted(_set(text, column.source, rows, values), {rule: rows})


def spoil(data: bytes, contract: FeedContract, *, fault: str) -> bytes:
    """The bytes of a good file, broken as a whole: a name in BYTE_FAULTS."""
    packed = data[:2] == GZIP or data[:4] == PARQUET
    if fault == "truncated":
        return data[: len(data) * 2 // 3] if packed else _cut_text(data, contract)
    if fault == "wrong_encoding":
        if packed:
            raise Finding("only plain text has an encoding", where=contract.where, todo="spoil the text, then pack it")
        is_utf8 = contract.encoding.lower().replace("_", "-") == "utf-8"
        return data.decode(contract.encoding).encode("gb18030" if is_utf8 else "utf-8")
    if fault == "too_large":
        return data + b"\n" * max(contract.max_bytes + 1 - len(data), 0)
    raise Finding("no such fault", found=fault, expected=", ".join(BYTE_FAULTS))


def _cut_text(data: bytes, contract: FeedContract) -> bytes:
    """Cut inside a letter of several bytes; text cut anywhere else is a shorter file with one ragged row at most."""
    text = data.decode(contract.encoding)
    at = next((at for at in range(len(text) * 2 // 3, len(text)) if len(text[at].encode(contract.encoding)) > 1), 1)
    return text[: at + 1].encode(contract.encoding)[:-1]


def _set(frame: pl.DataFrame, column: str, rows: Sequence[int], values: Sequence[str | None]) -> pl.DataFrame:
    changed = frame[column].scatter([row - 1 for row in rows], pl.Series(list(values), dtype=pl.String))
    return frame.with_columns(changed.alias(column))


def _bad(
    value: str, rule: Rule, *, column: Column, contract: FeedContract, period: Period, outside: Sequence[str], at: int
) -> str | None:
    """A value in place of `value` that breaks `rule` and nothing else."""
    if rule.kind == "not_null":
        return None
    if rule.kind == "type":
        # Any text is text, but for one with a NUL in it.
        return value[:1] + "\0" + value[1:] if column.type == "string" else f"n/a {at}"
    if rule.kind == "range":
        return _out_of_range(column, at)
    if rule.kind == "pattern":
        return _off_pattern(value, column, contract, period)
    if rule.kind == "one_of":
        return next(
            text
            for text in ("unlisted", "unlisted-1", "00")
            if text not in column.values and (column.pattern is None or re.search(column.pattern, text))
        )
    if rule.kind == "partner":
        return next((name for name in contract.partners if name != value), f"{value}_x")
    if rule.kind == "in_period":
        form = column.format or "%Y-%m-%d"
        day = period.start - timedelta(days=1 + at) if at % 2 == 0 else period.end + timedelta(days=at)
        return day.strftime(form)
    if rule.kind == "known":
        return f"{_NOWHERE} {at}"
    if rule.kind == "in_scope":
        if not outside:
            raise Finding(
                "no names of units outside the index to plant",
                where=contract.where,
                found=rule.id,
                todo="pass those of the geography's excluded list",
            )
        return outside[at % len(outside)]
    raise Finding("no fault is known for this kind of rule", where=contract.where, found=rule.kind)


def _out_of_range(column: Column, at: int) -> str:
    low = column.minimum is not None and (column.maximum is None or at % 2 == 0)
    past = column.minimum - 1 if low and column.minimum is not None else (column.maximum or 0) + 1
    exact = Decimal(past) / (column.multiplier or 1)
    return f"{exact:f}" if column.multiplier else str(past)


def _off_pattern(value: str, column: Column, contract: FeedContract, period: Period) -> str:
    tries = [f"{value} !", f"{value}!", "!" * 70]
    if column.role == "period":
        # Still the same period, in a form the contract does not allow.
        tries = [value.replace("Q", "-Q").replace("H", "-H"), f"{value}-01"]
        tries = [text for text in tries if _names_period(text, period)]
    for text in tries:
        if not re.search(column.pattern or "", text) and not column.values:
            return text
    raise Finding(
        "this pattern cannot be broken without breaking another rule",
        where=contract.where,
        found=f"{column.name}: {column.pattern}",
    )


def _names_period(text: str, period: Period) -> bool:
    try:
        return periods.parse(text, period.cadence) == period
    except Finding:
        return False


def _copies(text: pl.DataFrame, contract: FeedContract, rows: list[int], *, conflict: bool) -> Planted:
    """Copies of records at the end of the file: equal ones cost only themselves, differing ones their originals too."""
    copies = text[[row - 1 for row in rows]]
    new = list(range(text.height + 1, text.height + 1 + len(rows)))
    if not conflict:
        return Planted(pl.concat([text, copies]), {"key.unique": new}, copied=rows)
    measure = contract.roles("measure")[0]
    step = Decimal(1) / (measure.multiplier or 1)
    changed = [str(Decimal(value) + (step if Decimal(value) <= step else -step)) for value in copies[measure.source]]
    copies = copies.with_columns(pl.Series(measure.source, changed, dtype=pl.String))
    return Planted(pl.concat([text, copies]), {"key.unique": rows + new})


def _whole(
    text: pl.DataFrame,
    contract: FeedContract,
    *,
    rule: str,
    count: int,
    seed: int,
    period: Period,
    aliases: pl.DataFrame | None,
) -> Planted:
    if rule == "unknown_column":
        return Planted(text.with_columns(pl.lit("?").alias("surprise")))
    if rule == "missing_column":
        return Planted(text.drop(contract.columns[-1].source))
    if rule == "empty_file":
        return Planted(text.clear())
    if rule == "wrong_month":
        return _wrong_month(text, contract, period)
    place = contract.place.source
    meant = text.select(alias=pl.col(place))
    meant = (
        meant.with_columns(place=pl.col("alias"))
        if aliases is None
        else meant.join(aliases.select("alias", "place"), on="alias", how="left", maintain_order="left")
    )
    known = meant["place"].drop_nulls().unique().sort().to_list()
    if count > len(known):
        raise Finding(
            "more places to leave out than the file has",
            where=contract.where,
            found=f"{rule}:{count}",
            expected=f"at most {len(known)}",
            todo="give a smaller number",
        )
    gone = sorted(np.random.default_rng([seed, *rule.encode()]).choice(known, count, replace=False).tolist())
    return Planted(text.filter(~meant["place"].is_in(gone).fill_null(False)), places=gone)


def _wrong_month(text: pl.DataFrame, contract: FeedContract, period: Period) -> Planted:
    column = contract.role("date")
    if column is None:
        raise Finding("a feed without a date column cannot be of the wrong month", where=contract.where)
    form, before = column.format or "%Y-%m-%d", period.shift(-1)
    days: dict[str, str] = {}
    for day in text[column.source].unique().drop_nulls().to_list():
        later = datetime.strptime(day, form).date() - period.start
        days[day] = min(before.start + later, period.start - timedelta(days=1)).strftime(form)
    moved = text.with_columns(pl.col(column.source).replace_strict(days, default=None))
    return Planted(moved, {f"{column.name}.in_period": list(range(1, text.height + 1))})
