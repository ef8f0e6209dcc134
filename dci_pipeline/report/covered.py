"""Which stretch of time a row of a published table is about, from the value of the period in its key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from itertools import pairwise

from dci_pipeline.contracts import TableContract
from dci_pipeline.periods import MONTHS_IN, Period, parse, span

# `period` is a text that names a month, quarter, half or year, or a stretch of them.
_COLUMNS = (*MONTHS_IN, "period")
_YEARS = re.compile(r"(\d{4})-(\d{4})")


def period_column(table: TableContract) -> str | None:
    """The column of the key that says what time a row is about; None for a table without one."""
    return next((name for name in table.key if name in _COLUMNS), None)


def stretch(column: str, value: object) -> tuple[date, date]:
    """First day, and first day after, of what a value of a period column stands for. Raises Finding for no period."""
    if isinstance(value, date):
        found = Period(value, column)
        return found.start, found.end
    years = _YEARS.fullmatch(str(value))
    first, _, last = years.expand(r"\1..\2").partition("..") if years else str(value).partition("..")
    return _named(first).start, _named(last or first).end


def touching(column: str, values: Iterable[object], first: Period | None, last: Period | None) -> list[object]:
    """Those of the values whose stretch shares a day with the range, both ends included; sorted by stretch, then text.

    None is an open end.
    """
    found: list[tuple[date, date, str, object]] = []
    for value in values:
        start, end = stretch(column, value)
        if (first is None or end > first.start) and (last is None or start < last.end):
            found.append((start, end, str(value), value))
    return [item[-1] for item in sorted(found, key=lambda item: item[:-1])]


def in_words(starts_and_ends: Iterable[tuple[date, date]], cadence: str) -> str:
    """The periods that stretches lie in, as few words: '2018-01 to 2019-12, 2020-06'; empty for none."""
    inside: set[Period] = set()
    for start, end in starts_and_ends:
        first = parse(f"{start:%Y-%m}", cadence)
        inside.update(span(first, parse(f"{end:%Y-%m}", cadence).shift(-1)))
    ordered = sorted(inside)
    if not ordered:
        return ""
    breaks = [(before, after) for before, after in pairwise(ordered) if before.shift(1) != after]
    firsts = [ordered[0], *(after for _, after in breaks)]
    lasts = [*(before for before, _ in breaks), ordered[-1]]
    return ", ".join(f"{a}" if a == b else f"{a} to {b}" for a, b in zip(firsts, lasts, strict=True))


def _named(text: str) -> Period:
    if "Q" in text:
        return parse(text, "quarter")
    if "H" in text:
        return parse(text, "half")
    return parse(text, "year" if len(text) == len("2019") else "month")
