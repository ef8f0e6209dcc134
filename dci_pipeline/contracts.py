"""Contracts as data: Open Data Contract Standard v3 files read into the few facts the pipeline works with.

A feed's contract gives columns, key, file form, partners, rules and thresholds; a published table's contract gives
meaning, unit and key. Anything in a file that nobody reads is an error that names the file and the key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from dci_pipeline.findings import Finding

_TOP = {"apiVersion", "kind", "id", "name", "version", "status", "domain", "tags", "description", "schema", "team",
        "customProperties", "authoritativeDefinitions", "dataProduct", "contractCreatedTs"}
_DESCRIPTION = {"purpose", "usage", "limitations"}
_OBJECT = {"name", "logicalType", "physicalType", "physicalName", "description", "businessName", "tags", "quality",
           "properties", "dataGranularityDescription", "customProperties"}
_PROPERTY = {"name", "logicalType", "physicalType", "logicalTypeOptions", "description", "businessName", "required",
             "unique", "primaryKey", "primaryKeyPosition", "examples", "classification", "quality",
             "customProperties", "tags"}
_TYPE_OPTIONS = {"minimum", "maximum", "pattern", "format"}
_QUALITY = {"name", "type", "metric", "engine", "implementation", "arguments", "unit", "severity", "description",
            "dimension", "mustBe", "mustBeLessOrEqualTo", "mustBeGreaterOrEqualTo"}
_FEED_CUSTOM = {"validFrom", "partners", "file", "expectedDay", "absentRow", "disclosure", "rowFilter",
                "ignoredColumns", "licence", "thresholds"}
_COLUMN_CUSTOM = {"role", "source", "multiplier", "round", "collectedSince", "unit"}
_FILE = {"encoding", "delimiter", "maxBytes"}
_PARTNER = {"partner", "name_zh", "name_en"}
_DISCLOSURE = {"status", "scope", "date", "reason"}
_THRESHOLDS = {"every_rule", "coverage", "completeness"}

ROLES = ("partner", "record_id", "date", "period", "place", "dimension", "measure")
TYPES = ("string", "integer", "number", "date", "boolean")
SEVERITIES = ("error", "warning")


@dataclass(frozen=True)
class Column:
    """One column of a feed: its name here, its name in the partner's file, its type and its limits."""

    name: str
    type: str
    role: str
    source: str
    required: bool = False
    minimum: int | float | None = None
    maximum: int | float | None = None
    pattern: str | None = None
    format: str | None = None
    values: tuple[str, ...] = ()
    multiplier: int | None = None
    rounds: bool = False
    collected_since: str | None = None
    unit: str = ""
    label: str = ""
    description: str = ""


@dataclass(frozen=True)
class Rule:
    """One rule of a contract: `id` stands in quarantine, counts and checks; `threshold` is a percentage of rows."""

    id: str
    kind: str
    column: str
    threshold: float
    severity: str
    says: str


@dataclass(frozen=True)
class Threshold:
    """A limit in per cent, and what passing it means: an upper one for rules, a lower one for coverage."""

    percent: float
    severity: str


@dataclass(frozen=True)
class FeedContract:
    """What a partner promises to send for one feed, from `valid_from` on."""

    index: str
    feed: str
    version: str
    valid_from: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    rules: tuple[Rule, ...]
    partners: Mapping[str, Mapping[str, str]]
    encoding: str
    delimiter: str
    max_bytes: int
    expected_day: int
    absent_row: str
    row_filter: Mapping[str, str]
    ignored: tuple[str, ...]
    disclosure: Mapping[str, str]
    coverage: Threshold
    completeness: Threshold
    sha256: str
    description: str
    where: str = field(default="", compare=False)

    @cached_property
    def by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    def role(self, role: str) -> Column | None:
        """The column that plays `role`, or None; for roles that one column plays."""
        return next((column for column in self.columns if column.role == role), None)

    def roles(self, role: str) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.role == role)

    @property
    def place(self) -> Column:
        column = self.role("place")
        assert column is not None
        return column

    @property
    def file_columns(self) -> tuple[str, ...]:
        """Every column name a partner's file has: those kept, those filtered on, those known and ignored."""
        names = [column.source for column in self.columns] + list(self.row_filter) + list(self.ignored)
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class TableColumn:
    """One column of a published table."""

    name: str
    type: str
    description: str
    label: str
    unit: str
    key: bool
    required: bool


@dataclass(frozen=True)
class TableContract:
    """What a published table promises to an analyst."""

    index: str
    table: str
    version: str
    description: str
    label: str
    columns: tuple[TableColumn, ...]
    sha256: str

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.key)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping a YAML file holds. Raises Finding when it is not valid YAML or not a mapping."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        loaded: object = yaml.load(path.read_bytes(), Loader=loader)  # noqa: S506 - a safe loader, its C form when built
    except yaml.YAMLError as error:
        raise Finding("not valid YAML", where=_short(path), found=" ".join(str(error).split()),
                      todo="mend the line it names") from error
    if not isinstance(loaded, dict):
        raise Finding("not a mapping", where=_short(path), found=type(loaded).__name__, expected="key: value lines")
    return cast("dict[str, Any]", loaded)


def only(mapping: object, allowed: Iterable[str], *, where: str) -> dict[str, Any]:
    """`mapping` itself when all its keys are known. Raises Finding naming file and key otherwise."""
    if not isinstance(mapping, dict):
        raise Finding("not a mapping", where=where, found=repr(mapping), expected="key: value lines")
    known = set(allowed)
    keyed = cast("dict[str, Any]", mapping)
    unknown = [str(key) for key in keyed if key not in known]
    if unknown:
        raise Finding(f"unknown key {', '.join(map(repr, unknown))}", where=where, found=", ".join(unknown),
                      expected="one of " + ", ".join(sorted(known)), todo="correct the spelling or remove the key")
    return keyed


def content_hash(value: object) -> str:
    """SHA-256 of a plain value in one canonical spelling; comments and layout of its file do not count."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def read_feed(path: Path, *, index: str) -> FeedContract:
    """The contract of one feed. Raises Finding naming file and key for anything unknown, missing or contradictory."""
    raw = read_yaml(path)
    where = _short(path)
    body = _contract_body(raw, where)
    custom = _custom(raw.get("customProperties"), _FEED_CUSTOM, where)
    file_form = only(custom.get("file", {}), _FILE, where=f"{where} customProperties.file")
    usual = _thresholds(custom, where)
    limits = _limits(body.get("quality"), where)
    columns = tuple(_column(entry, where, limits) for entry in _list(body, "properties", where))
    _one_name(columns, where)
    keyed = sorted(
        (int(entry.get("primaryKeyPosition", 1)), str(entry["name"]))
        for entry in body["properties"] if entry.get("primaryKey")
    )
    if not keyed:
        raise Finding("no key", where=where, expected="at least one property with primaryKey: true",
                      todo="mark the columns that name a record")
    if len([column for column in columns if column.role == "place"]) != 1:
        raise Finding("a feed needs exactly one column with role place", where=where,
                      found=[column.name for column in columns if column.role == "place"], expected="one")
    if not any(column.role == "measure" for column in columns):
        raise Finding("a feed needs a column with role measure", where=where)
    absent_row = str(custom.get("absentRow", "missing"))
    _one_of(absent_row, ("missing", "zero"), f"{where} absentRow")
    partners = {
        str(entry["partner"]): {key: str(value) for key, value in entry.items()}
        for entry in (only(item, _PARTNER, where=f"{where} partners") for item in _need(custom, "partners", where))
    }
    return FeedContract(
        index=index,
        feed=str(raw["name"]),
        version=str(raw["version"]),
        valid_from=str(custom.get("validFrom", "")),
        columns=columns,
        key=tuple(name for _, name in keyed),
        rules=tuple(_rules(columns, limits, usual["every_rule"])),
        partners=partners,
        encoding=str(file_form.get("encoding", "utf-8")),
        delimiter=str(file_form.get("delimiter", ",")),
        max_bytes=int(file_form.get("maxBytes", 2_000_000_000)),
        expected_day=int(custom.get("expectedDay", 8)),
        absent_row=absent_row,
        row_filter={str(key): str(value) for key, value in dict(custom.get("rowFilter") or {}).items()},
        ignored=tuple(str(name) for name in custom.get("ignoredColumns") or ()),
        disclosure={str(key): str(value) for key, value in only(custom.get("disclosure") or {}, _DISCLOSURE,
                                                               where=f"{where} disclosure").items()},
        coverage=usual["coverage"],
        completeness=usual["completeness"],
        sha256=content_hash(raw),
        description=_description(raw, where),
        where=where,
    )


def read_table(path: Path, *, index: str) -> TableContract:
    """The contract of one published table. Raises Finding as read_feed does."""
    raw = read_yaml(path)
    where = _short(path)
    body = _contract_body(raw, where)
    columns: list[TableColumn] = []
    for entry in _list(body, "properties", where):
        entry = only(entry, _PROPERTY, where=f"{where} property {entry.get('name')!r}")
        custom = _custom(entry.get("customProperties"), {"unit"}, f"{where} property {entry['name']!r}")
        _one_of(str(entry.get("logicalType")), TYPES, f"{where} {entry['name']} logicalType")
        columns.append(TableColumn(
            name=str(entry["name"]), type=str(entry["logicalType"]), description=_sentence(entry.get("description")),
            label=str(entry.get("businessName", "")), unit=str(custom.get("unit", "")),
            key=bool(entry.get("primaryKey", False)), required=bool(entry.get("required", False)),
        ))
    return TableContract(
        index=index, table=str(raw["name"]), version=str(raw["version"]), description=_description(raw, where),
        label=str(body.get("businessName", "")), columns=tuple(columns), sha256=content_hash(raw),
    )


def _contract_body(raw: dict[str, Any], where: str) -> dict[str, Any]:
    only(raw, _TOP, where=where)
    for key in ("apiVersion", "kind", "id", "name", "version", "status", "schema"):
        _need(raw, key, where)
    if not str(raw["apiVersion"]).startswith("v3."):
        raise Finding("not an Open Data Contract Standard v3 file", where=where, found=raw["apiVersion"],
                      expected="apiVersion: v3.x")
    objects = _list(raw, "schema", where)
    if len(objects) != 1:
        raise Finding("one contract, one table", where=where, found=f"{len(objects)} schema objects", expected="1")
    return only(objects[0], _OBJECT, where=f"{where} schema")


def _column(entry: dict[str, Any], where: str, limits: dict[str, dict[str, Any]]) -> Column:
    name = str(_need(entry, "name", f"{where} properties"))
    at = f"{where} property {name!r}"
    only(entry, _PROPERTY, where=at)
    custom = _custom(entry.get("customProperties"), _COLUMN_CUSTOM, at)
    options = only(entry.get("logicalTypeOptions") or {}, _TYPE_OPTIONS, where=f"{at} logicalTypeOptions")
    type_ = str(_need(entry, "logicalType", at))
    _one_of(type_, TYPES, f"{at} logicalType")
    role = str(custom.get("role", ""))
    _one_of(role, ROLES, f"{at} role")
    if role == "measure" and (type_ != "integer" or "maximum" not in options):
        raise Finding("a measure is an integer with a maximum", where=at,
                      found=f"logicalType {type_}, maximum {options.get('maximum')}",
                      expected="logicalType: integer and logicalTypeOptions.maximum",
                      todo="count in minor units (fen, bytes, seconds); sums are exact only over bounded integers")
    values: tuple[str, ...] = ()
    for item in entry.get("quality") or ():
        limit = only(item, _QUALITY, where=f"{at} quality")
        limits[str(_need(limit, "name", f"{at} quality"))] = limit
        if limit.get("metric") == "invalidValues":
            values = tuple(str(value) for value in only(limit.get("arguments") or {}, {"validValues"},
                                                        where=f"{at} arguments").get("validValues", ()))
    return Column(
        name=name, type=type_, role=role, source=str(custom.get("source", name)),
        required=bool(entry.get("required", False)), minimum=options.get("minimum"), maximum=options.get("maximum"),
        pattern=options.get("pattern"), format=_date_format(options.get("format"), at), values=values,
        multiplier=custom.get("multiplier"), rounds=custom.get("round") == "half_even",
        collected_since=str(custom["collectedSince"]) if "collectedSince" in custom else None,
        unit=str(custom.get("unit", "")), label=str(entry.get("businessName", "")),
        description=_sentence(entry.get("description")),
    )


def _rules(columns: tuple[Column, ...], limits: dict[str, dict[str, Any]], usual: Threshold) -> Iterable[Rule]:
    """The rules a contract implies, in the order in which they are counted and reported."""

    def rule(id_: str, kind: str, column: str, says: str, default: float | None = None,
             severity: str | None = None) -> Rule:
        limit = limits.get(id_, {})
        threshold = limit.get("mustBeLessOrEqualTo", limit.get("mustBe", default))
        return Rule(
            id=id_, kind=kind, column=column, says=says,
            threshold=float(usual.percent if threshold is None else threshold),
            severity=str(limit.get("severity") or severity or usual.severity),
        )

    yield rule("row.shape", "shape", "", "a row has as many fields as the header")
    for column in columns:
        yield rule(f"{column.name}.type", "type", column.name, f"{column.name} reads as {column.type}")
    for column in columns:
        if column.required:
            yield rule(f"{column.name}.not_null", "not_null", column.name, f"{column.name} is given")
    for column in columns:
        if column.minimum is not None or column.maximum is not None:
            yield rule(f"{column.name}.range", "range", column.name,
                       f"{column.name} lies in {column.minimum} … {column.maximum}")
    for column in columns:
        if column.pattern:
            yield rule(f"{column.name}.pattern", "pattern", column.name, f"{column.name} matches {column.pattern}")
    for column in columns:
        if column.values:
            yield rule(f"{column.name}.one_of", "one_of", column.name,
                       f"{column.name} is one of {len(column.values)} listed values")
    for column in columns:
        if column.role == "partner":
            yield rule(f"{column.name}.matches", "partner", column.name, f"{column.name} is the delivery's partner")
        if column.role == "date":
            yield rule(f"{column.name}.in_period", "in_period", column.name, f"{column.name} lies in the period")
        if column.role == "place":
            yield rule(f"{column.name}.known", "known", column.name, f"{column.name} names one known place")
            yield rule(f"{column.name}.in_scope", "in_scope", column.name, f"{column.name} is a place of the index",
                       100.0, "warning")
    yield rule("key.unique", "unique", "", "no two rows share a key")


def _limits(quality: object, where: str) -> dict[str, dict[str, Any]]:
    limits: dict[str, dict[str, Any]] = {}
    for item in cast("list[object]", quality or []):
        limit = only(item, _QUALITY, where=f"{where} quality")
        name = str(_need(limit, "name", f"{where} quality"))
        _one_of(str(limit.get("severity", "error")), SEVERITIES, f"{where} quality {name} severity")
        limits[name] = limit
    return limits


def _thresholds(custom: dict[str, Any], where: str) -> dict[str, Threshold]:
    at = f"{where} thresholds"
    given = only(_need(custom, "thresholds", where), _THRESHOLDS, where=at)
    found: dict[str, Threshold] = {}
    for name in sorted(_THRESHOLDS):
        bound = "at_most" if name == "every_rule" else "at_least"
        entry = only(_need(given, name, at), {bound, "severity"}, where=f"{at}.{name}")
        _one_of(str(entry.get("severity", "error")), SEVERITIES, f"{at}.{name} severity")
        found[name] = Threshold(float(_need(entry, bound, f"{at}.{name}")), str(entry.get("severity", "error")))
    return found


def _custom(entries: object, allowed: Iterable[str], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in cast("list[object]", entries or []):
        entry = only(item, {"property", "value", "description"}, where=f"{where} customProperties")
        found[str(_need(entry, "property", where))] = entry.get("value")
    return only(found, allowed, where=f"{where} customProperties")


def _one_name(columns: tuple[Column, ...], where: str) -> None:
    names = [column.name for column in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    reserved = sorted(set(names) & {"file", "file_row", "unparsed", "row"})
    if twice or reserved:
        raise Finding("column names must be unique and not file, file_row, unparsed or row", where=where,
                      found=", ".join(twice + reserved))


def _date_format(text: object, where: str) -> str | None:
    """The standard spells dates the Java way (yyyy-MM-dd); engines read strptime's. Raises Finding for other letters."""
    if text is None:
        return None
    found = str(text)
    for java, strptime in (("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M"), ("ss", "%S")):
        found = found.replace(java, strptime)
    if any(letter.isalpha() for letter in found.replace("%Y", "").replace("%m", "").replace("%d", "")
           .replace("%H", "").replace("%M", "").replace("%S", "")):
        raise Finding("a date format with unknown letters", where=f"{where} format", found=str(text),
                      expected="yyyy, MM, dd, HH, mm, ss and punctuation, such as yyyy-MM-dd")
    return found


def _need(mapping: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in mapping or mapping[key] is None:
        raise Finding(f"missing key {key!r}", where=where, found=sorted(mapping), expected=key,
                      todo=f"add {key}: to the file")
    return mapping[key]


def _list(mapping: Mapping[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    value = _need(mapping, key, where)
    if not isinstance(value, list):
        raise Finding(f"{key} is not a list", where=where, found=type(value).__name__, expected="a list")
    return cast("list[dict[str, Any]]", value)


def _one_of(value: str, allowed: Iterable[str], where: str) -> None:
    if value not in allowed:
        raise Finding("unknown value", where=where, found=repr(value), expected="one of " + ", ".join(allowed))


def _description(raw: dict[str, Any], where: str) -> str:
    parts = only(raw.get("description") or {}, _DESCRIPTION, where=f"{where} description")
    return " ".join(_sentence(parts[key]) for key in ("purpose", "usage", "limitations") if parts.get(key))


def _sentence(text: object) -> str:
    return " ".join(str(text or "").split())


def _short(path: Path) -> str:
    """The path as the method owner knows it: from the contracts folder on."""
    parts = path.parts
    return "/".join(parts[-3:]) if len(parts) >= 3 else str(path)
