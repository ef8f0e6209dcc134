"""The query of an exhibit over the published table itself, where it only selects rows and gives them as they stand.

What an exhibit computes (a ratio, a sum, a quadrant) is in the table of exhibit values alone; so is what it selects by
more than conditions on columns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import date

from dci_pipeline.exhibits import Condition, Exhibit, Item, Selection
from dci_pipeline.marts.selections import KEYS
from dci_pipeline.periods import MONTHS_IN, Period
from dci_pipeline.report.moments import moments_within
from dci_pipeline.report.queries import predicate

_SIGNS = {"at_least": ">=", "at_most": "<=", "above": ">", "below": "<"}


def sourced(
    exhibit: Exhibit, period: Period, first_year: int, shown: Collection[str], columns: Mapping[str, Collection[str]]
) -> list[str]:
    """One query per table and conditions, with every column that items select under them, for the last period shown.

    shown: the periods whose values are shown; columns: those of every published table.
    """
    found: dict[tuple[Selection, Period], list[str]] = {}
    for item in exhibit.items:
        at = _last(item, period, first_year, shown)
        if at is None or item.read is None or not _plain(item, item.read):
            continue
        alike = replace(item.read, column="", scale=1.0)
        found.setdefault((alike, at), []).append(item.read.column)
    return [
        _query(selection, dict.fromkeys(names), at, columns[selection.table])
        for (selection, at), names in found.items()
        if selection.table in columns
    ]


def _last(item: Item, period: Period, first_year: int, shown: Collection[str]) -> Period | None:
    """The last period of the item that is shown; only where its table is of its own grain."""
    for moment in reversed(list(moments_within(item, period, first_year))):
        if item.period.format(**moment.fields) in shown:
            return Period(date(moment.year, (moment.number - 1) * MONTHS_IN[moment.grain] + 1, 1), moment.grain)
    return None


def _plain(item: Item, read: Selection) -> bool:
    """Whether an item gives the values of rows as they stand, chosen by conditions on columns alone."""
    asks = (
        read.within,
        read.named,
        read.but,
        read.among,
        read.reduce,
        read.test,
        read.by,
        read.lag,
        item.top,
        item.then,
    )
    limited = all(not isinstance(limit, str) for condition in read.where for _, limit in condition.limits)
    own = read.table.endswith(f"_{item.grain}")
    return item.operator == "value" and own and limited and read.years == 1 and not any(asks)


def _query(read: Selection, names: Iterable[str], at: Period, columns: Collection[str]) -> str:
    fixed = {one.column for one in read.where if len(one.values) == 1 and not one.negated and not one.limits}
    keys = [key for key in KEYS if key in columns and key not in fixed]
    values = [name for name in names if name not in keys]
    where = [predicate(at), *(test for condition in read.where for test in _tests(condition))]
    order = ", ".join([*(["rank"] if "rank" in values else []), *keys]) or values[0]
    joined = "\n  AND ".join(where)
    laid = ", ".join([*keys, *values])
    return "\n".join(("SELECT " + laid, "FROM " + read.table, "WHERE " + joined, "ORDER BY " + order))


def _tests(condition: Condition) -> list[str]:
    found: list[str] = []
    if condition.values:
        listed = ["'" + value.replace("'", "''") + "'" for value in condition.values]
        if len(listed) == 1:
            found.append(f"{condition.column} {'<>' if condition.negated else '='} {listed[0]}")
        else:
            found.append(f"{condition.column}{' NOT' if condition.negated else ''} IN ({', '.join(listed)})")
    found += [f"{condition.column} {_SIGNS[name]} {float(limit):g}" for name, limit in condition.limits]
    return found
