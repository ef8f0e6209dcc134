"""Corrections read from `corrections/<feed>.yaml`, strictly: whatever names nothing is an error with file and key.

Those in force are checked against the contract of every period they name; one withdrawn is kept as a record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, cast

from dci_pipeline import periods
from dci_pipeline.contracts import Column, FeedContract, Versions
from dci_pipeline.corrections import ACTIONS, OVERRIDE, SCALE, Correction, Expected, Scale, Value
from dci_pipeline.data_files import need, one_of, only, read_yaml, sentence, short_path, whole_of
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period

_CORRECTION = {"id", "partner", "reason", "reporter", "status", "since", "action", "where", "set", "scale", "expect"}
_TEXTS = ("partner", "reason", "reporter", "status", "since", "action")
_EXPECT = {"rows", "sum", "values"}
_SCALE = {"column", "multiply", "divide"}
_STATUSES = ("active", "withdrawn")
_ID = re.compile(r"^[A-Za-z0-9_.:-]{1,64}$")
_LARGEST = 2**63 - 1


def read_corrections(
    paths: Iterable[Path], *, cadence: str, versions: Mapping[str, Versions]
) -> dict[str, tuple[Correction, ...]]:
    """The corrections of every feed in the order of its file. Raises Finding naming file and key."""
    found: dict[str, tuple[Correction, ...]] = {}
    for path in paths:
        where, feed = short_path(path), path.stem
        if feed not in versions:
            raise Finding(
                "corrections of an unknown feed",
                where=where,
                found=feed,
                expected="one of " + ", ".join(versions),
                todo="name the file as the feed's contract",
            )
        raw = only(read_yaml(path), {"corrections"}, where=where)
        given = need(raw, "corrections", where)
        if not isinstance(given, list):
            raise Finding("not a list", where=f"{where} corrections", found=type(given).__name__, expected="a list")
        read = [_correction(item, feed, cadence, versions[feed], where) for item in cast("list[object]", given)]
        names = [item.id for item in read]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise Finding("a correction is listed twice", where=f"{where} id", found=", ".join(twice))
        found[feed] = tuple(read)
    return found


def _correction(item: object, feed: str, cadence: str, versions: Versions, where: str) -> Correction:
    raw = only(item, _CORRECTION, where=f"{where} corrections")
    name = str(need(raw, "id", f"{where} corrections"))
    at = f"{where} correction {name!r}"
    if not _ID.match(name):
        raise Finding(
            "not an id", where=f"{where} id", found=repr(name), expected="letters, digits, _ . : - (64 at most)"
        )
    texts = {
        key: sentence(need(raw, key, at)) for key in ("partner", "reason", "reporter", "status", "since", "action")
    }
    for key in ("partner", "reason", "reporter"):
        if not texts[key]:
            raise Finding("an empty text", where=f"{at} {key}", expected=f"the {key}")
    one_of(texts["status"], _STATUSES, f"{at} status")
    one_of(texts["action"], ACTIONS, f"{at} action")
    try:
        date.fromisoformat(texts["since"])
    except ValueError as error:
        raise Finding(
            "not a date", where=f"{at} since", found=texts["since"], expected="the day of its status, as 2019-06-03"
        ) from error
    if texts["partner"] not in versions.partners:
        raise Finding(
            "a correction of an unknown partner",
            where=f"{at} partner",
            found=texts["partner"],
            expected="one of " + ", ".join(versions.partners),
        )
    for key, action in (("set", OVERRIDE), ("scale", SCALE)):
        if (key in raw) != (texts["action"] == action):
            raise Finding(
                f"{key} belongs to the action {action}",
                where=f"{at} {key}",
                found=f"action {texts['action']}, {'with' if key in raw else 'without'} {key}",
                expected=f"{key} with {action}, and with nothing else",
            )
    correction = Correction(
        id=name,
        feed=feed,
        partner=texts["partner"],
        action=texts["action"],
        matching=_matching(need(raw, "where", at), f"{at} where"),
        set=_mapping(raw["set"], f"{at} set") if "set" in raw else {},
        scale=_scale(raw["scale"], f"{at} scale") if "scale" in raw else None,
        expect=_expect(need(raw, "expect", at), cadence, f"{at} expect"),
        reason=texts["reason"],
        reporter=texts["reporter"],
        status=texts["status"],
        since=texts["since"],
        where=where,
    )
    return _checked(correction, versions, at) if correction.active else correction


def _mapping(raw: object, where: str) -> dict[str, Any]:
    if not isinstance(raw, dict) or not raw:
        raise Finding("not a mapping", where=where, found=repr(raw), expected="{column: value, …}")
    return {str(key): value for key, value in cast("dict[object, Any]", raw).items()}


def _matching(raw: object, where: str) -> dict[str, tuple[Value, ...]]:
    """The conditions a row must meet, all of them; the word `all` stands for every row."""
    if raw == "all":
        return {}
    found: dict[str, tuple[Value, ...]] = {}
    for column, given in _mapping(raw, where).items():
        values = cast("list[Value]", given) if isinstance(given, list) else [cast("Value", given)]
        if not values:
            raise Finding("an empty list matches nothing", where=f"{where}.{column}", expected="one value or more")
        found[column] = tuple(values)
    return found


def _scale(raw: object, where: str) -> Scale:
    entry = only(raw, _SCALE, where=where)
    given = [key for key in ("multiply", "divide") if key in entry]
    if len(given) != 1:
        raise Finding(
            "multiply or divide", where=where, found=" and ".join(given) or "neither", expected="exactly one of the two"
        )
    factor = whole_of(entry, given[0], where)
    if not 2 <= factor <= 10**12:
        raise Finding(
            "a factor that scales nothing or too much", where=f"{where}.{given[0]}", found=factor, expected="2 to 10^12"
        )
    column = str(need(entry, "column", where))
    return Scale(column, factor, 1) if given[0] == "multiply" else Scale(column, 1, factor)


def _expect(raw: object, cadence: str, where: str) -> dict[Period, Expected]:
    found: dict[Period, Expected] = {}
    for text, given in _mapping(raw, where).items():
        at = f"{where}.{text}"
        period = periods.parse(text, cadence, where=where)
        entry = only(given, _EXPECT, where=at)
        rows = whole_of(entry, "rows", at)
        if rows < 1 or period in found:
            raise Finding("a guard for nothing, or twice", where=at, found=f"rows: {rows}", expected="rows: 1 or more")
        sums = _mapping(entry["sum"], f"{at}.sum") if "sum" in entry else {}
        lists = _mapping(entry["values"], f"{at}.values") if "values" in entry else {}
        for name in lists:
            if not isinstance(lists[name], list):
                lists[name] = [lists[name]]
        found[period] = Expected(
            rows,
            {name: whole_of(sums, name, f"{at}.sum") for name in sums},
            {name: tuple(cast("list[Value | None]", values)) for name, values in lists.items()},
        )
    return found


def _checked(correction: Correction, versions: Versions, at: str) -> Correction:
    """The correction with its values as the columns hold them. Raises Finding for what a contract does not know."""
    matching, changed = dict(correction.matching), dict(correction.set)
    expect: dict[Period, Expected] = {}
    for period, expected in correction.expect.items():
        contract = versions.in_force(period)
        if contract is None or correction.partner not in contract.partners:
            raise Finding(
                "a correction of a period in which the contract does not expect the partner",
                where=f"{at} expect.{period}",
                found=correction.partner,
                expected="one of " + ", ".join(contract.partners) if contract else "a period with a contract",
            )
        for name, values in correction.matching.items():
            column = _column(contract, name, f"{at} where")
            if column.type == "number":
                raise Finding("decimals are not compared", where=f"{at} where.{name}", found=name, expected="a key")
            matching[name] = tuple(_typed(value, column, f"{at} where.{name}") for value in values)
        for name, value in correction.set.items():
            column = _column(contract, name, f"{at} set")
            if column.role == "period":
                raise Finding("the period of a row is settled on landing", where=f"{at} set.{name}", found=name)
            changed[name] = _typed(value, column, f"{at} set.{name}")
        if correction.scale is not None:
            _measure(contract, correction.scale.column, f"{at} scale.column")
        expect[period] = _guard(correction, expected, contract, f"{at} expect.{period}")
    return replace(correction, matching=matching, set=changed, expect=expect)


def _guard(correction: Correction, expected: Expected, contract: FeedContract, at: str) -> Expected:
    """Every column that is changed is guarded, and something besides the number of rows in any case."""
    for name in expected.sums:
        _measure(contract, name, f"{at}.sum")
    values = {
        name: tuple(None if v is None else _typed(v, _column(contract, name, f"{at}.values"), at) for v in given)
        for name, given in expected.values.items()
    }
    bare = [name for name in correction.changes if name not in expected.sums and name not in expected.values]
    if bare or not (expected.sums or expected.values):
        raise Finding(
            "a guard that would not see the partner mend its file",
            where=at,
            found="rows" + "".join(f", {name}" for name in (*expected.sums, *expected.values)),
            expected=f"sum or values of {', '.join(bare) or 'a column'} as delivered, beside rows",
            todo="say what is found before the correction",
        )
    return Expected(expected.rows, expected.sums, values)


def _column(contract: FeedContract, name: str, at: str) -> Column:
    if name not in contract.by_name:
        raise Finding(
            "not a column of the feed",
            where=f"{at}.{name}",
            found=name,
            expected=", ".join(contract.by_name) + f" ({contract.where})",
        )
    return contract.by_name[name]


def _measure(contract: FeedContract, name: str, at: str) -> None:
    if _column(contract, name, at).role != "measure":
        raise Finding(
            "not a measure of the feed",
            where=at,
            found=name,
            expected=", ".join(column.name for column in contract.roles("measure")),
        )


_KINDS: dict[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "date": lambda value: isinstance(value, date),
    "boolean": lambda value: isinstance(value, bool),
}


def _typed(value: object, column: Column, at: str) -> Value:
    """The value as the column holds it. Raises Finding for one of another type."""
    if column.type == "date" and isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            value = str(value)
    if not _KINDS[column.type](value):
        raise Finding(
            "a value of another type",
            where=at,
            found=repr(value),
            expected=f"{column.type}, as column {column.name} is",
            todo="put a text in quotes" if column.type == "string" else "",
        )
    return float(cast("float", value)) if column.type == "number" else cast("Value", value)
