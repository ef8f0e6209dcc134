"""Whether the rows an exhibit rests on are final: the questions to the published tables, and the answer in words."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date

from dci_pipeline.exhibits import Exhibit, Selection
from dci_pipeline.periods import MONTHS_IN, Period
from dci_pipeline.report.moments import moments_within
from dci_pipeline.report.queries import predicate, tables_of

_KEYS = ("entity_type", "scope_type", "node")
# What a query says of the rows it wants: a column and a text.
_NAMED = re.compile(r"\b(entity_type|scope_type|node) = '([^']+)'")
_FINAL = "final"
# Statuses that say how a value came about: estimated, a break in the series, missing (METHOD section 6).
_SAID = {
    "E": ("估计", "estimated"),
    "P": ("预估", "projected"),
    "B": ("口径变化", "a break in series"),
    "M": ("缺失", "missing"),
}


def questions(exhibit: Exhibit, period: Period, first_year: int) -> list[str]:
    """One query per table, period and kind of row that the exhibit reads: [maturity, obs_status, rows]."""
    found: list[str] = []
    for item in exhibit.items:
        moments = list(moments_within(item, period, first_year))
        if not moments:
            continue
        last = moments[-1]
        for selection in item.selections:
            grain = selection.table.rpartition("_")[2]
            # A month's table read for a half is asked for every month of it.
            whole = _period(item.grain, last.year, last.number)
            within = " OR ".join(predicate(part) for part in whole.parts(grain))
            found.append(_question(selection.table, f"({within})", _conditions(selection)))
    return list(dict.fromkeys(found))


def of_query(sql: str, period: Period, columns: Mapping[str, Collection[str]]) -> list[str]:
    """The same of the tables of the period's own grain that a query reads: of the kinds of row that it names.

    columns: those of every published table; one without a maturity is not asked.
    """
    named: dict[str, list[str]] = {}
    for column, value in _NAMED.findall(sql):
        named.setdefault(column, []).append(value)
    found: list[str] = []
    for table in tables_of(sql):
        known = columns.get(table, ())
        if table.endswith(f"_{period.cadence}") and "maturity" in known:
            kept = {column: values for column, values in named.items() if column in known}
            found.append(_question(table, predicate(period), (_one_of(*kind) for kind in sorted(kept.items()))))
    return found


def _period(grain: str, year: int, number: int) -> Period:
    return Period(date(year, (number - 1) * MONTHS_IN[grain] + 1, 1), grain)


def _question(table: str, when: str, conditions: Iterable[str]) -> str:
    where = " AND ".join([when, *conditions])
    return " ".join(
        ("SELECT maturity, obs_status, count(*) AS rows FROM", table, "WHERE", where, "GROUP BY ALL ORDER BY ALL")
    )


def _conditions(selection: Selection) -> Iterator[str]:
    for condition in selection.where:
        if condition.column in _KEYS and condition.values and not condition.negated:
            yield _one_of(condition.column, condition.values)


def _one_of(column: str, values: Iterable[str]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in dict.fromkeys(values))})"


def worded(answers: Iterable[tuple[str | None, str | None, int]], language: str) -> tuple[str, bool]:
    """What the rows of all answers are, in words, and whether any of them is not final."""
    rows = provisional = 0
    others: dict[str, int] = {}
    for maturity, status, count in answers:
        rows += count
        provisional += count if maturity != _FINAL else 0
        if status in _SAID:
            others[status] = others.get(status, 0) + count
    if not rows:
        return "", False
    zh = language == "zh"
    if not provisional and not others:
        return ("终值" if zh else "final"), False
    said: list[str] = []
    if provisional:
        part = "" if provisional == rows else f" {provisional:,}/{rows:,}"
        said.append(f"初步数{part}" if zh else f"provisional{part}")
    said += [f"{_SAID[status][0 if zh else 1]} {count:,}/{rows:,}" for status, count in sorted(others.items())]
    return ("、" if zh else ", ").join(said), bool(provisional)
