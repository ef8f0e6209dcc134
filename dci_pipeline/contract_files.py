"""Contracts read from Open Data Contract Standard v3 files.

A feed's contract gives columns, key, file form, partners, rules and thresholds; a published table's contract gives
meaning, unit and key. Anything in a file that nobody reads is an error that names the file and the key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from dci_pipeline.contracts import Column, FeedContract, TableColumn, TableContract, Threshold
from dci_pipeline.data_files import content_hash, list_of, need, one_of, only, read_yaml, sentence, short_path
from dci_pipeline.feeds import file_names
from dci_pipeline.findings import Finding
from dci_pipeline.rules import rules

_TOP = {
    "apiVersion",
    "kind",
    "id",
    "name",
    "version",
    "status",
    "domain",
    "tags",
    "description",
    "schema",
    "team",
    "customProperties",
    "authoritativeDefinitions",
    "dataProduct",
    "contractCreatedTs",
}
_DESCRIPTION = {"purpose", "usage", "limitations"}
_OBJECT = {
    "name",
    "logicalType",
    "physicalType",
    "physicalName",
    "description",
    "businessName",
    "tags",
    "quality",
    "properties",
    "dataGranularityDescription",
    "customProperties",
}
_PROPERTY = {
    "name",
    "logicalType",
    "physicalType",
    "logicalTypeOptions",
    "description",
    "businessName",
    "required",
    "unique",
    "primaryKey",
    "primaryKeyPosition",
    "examples",
    "classification",
    "quality",
    "customProperties",
    "tags",
}
_TYPE_OPTIONS = {"minimum", "maximum", "pattern", "format"}
_QUALITY = {
    "name",
    "type",
    "metric",
    "engine",
    "implementation",
    "arguments",
    "unit",
    "severity",
    "description",
    "dimension",
    "mustBe",
    "mustBeLessOrEqualTo",
    "mustBeGreaterOrEqualTo",
}
_FEED_CUSTOM = {
    "validFrom",
    "partners",
    "file",
    "fileName",
    "expectedDay",
    "absentRow",
    "disclosure",
    "rowFilter",
    "ignoredColumns",
    "licence",
    "thresholds",
}
_COLUMN_CUSTOM = {"role", "source", "sourceParts", "multiplier", "round", "collectedSince", "unit"}
_SOURCE_PARTS = {"columns", "separator"}
_FILE = {"encoding", "delimiter", "maxBytes"}
_PARTNER = {"partner", "name_zh", "name_en", "fileName"}
_DISCLOSURE = {"status", "scope", "date", "reason", "publicTotals"}
_THRESHOLDS = {"every_rule", "coverage", "completeness"}

ROLES = ("partner", "record_id", "date", "period", "place", "dimension", "measure")
TYPES = ("string", "integer", "number", "date", "boolean")
SEVERITIES = ("error", "warning")


def read_feed(path: Path, *, index: str) -> FeedContract:
    """The contract of one feed. Raises Finding naming file and key for anything unknown, missing or contradictory."""
    raw = read_yaml(path)
    where = short_path(path)
    body = _contract_body(raw, where)
    custom = _custom(raw.get("customProperties"), _FEED_CUSTOM, where)
    file_form = only(custom.get("file", {}), _FILE, where=f"{where} customProperties.file")
    usual = _thresholds(custom, where)
    limits = _limits(body.get("quality"), where)
    columns = tuple(_column(entry, where, limits) for entry in list_of(body, "properties", where))
    _one_name(columns, where)
    implied = tuple(rules(columns, limits, usual["every_rule"]))
    idle = sorted(set(limits) - {rule.id for rule in implied})
    if idle:
        raise Finding(
            f"a threshold for a rule the contract does not have: {', '.join(idle)}",
            where=f"{where} quality",
            found=", ".join(idle),
            expected="one of " + ", ".join(rule.id for rule in implied),
            todo="correct the name",
        )
    keyed = sorted(
        (int(entry.get("primaryKeyPosition", 1)), str(entry["name"]))
        for entry in body["properties"]
        if entry.get("primaryKey")
    )
    if not keyed:
        raise Finding(
            "no key",
            where=where,
            expected="at least one property with primaryKey: true",
            todo="mark the columns that name a record",
        )
    if len([column for column in columns if column.role == "place"]) != 1:
        raise Finding(
            "a feed needs exactly one column with role place",
            where=where,
            found=[column.name for column in columns if column.role == "place"],
            expected="one",
        )
    if not any(column.role == "measure" for column in columns):
        raise Finding("a feed needs a column with role measure", where=where)
    absent_row = str(custom.get("absentRow", "missing"))
    one_of(absent_row, ("missing", "zero"), f"{where} absentRow")
    partners = {
        str(entry["partner"]): {key: str(value) for key, value in entry.items()}
        for entry in (only(item, _PARTNER, where=f"{where} partners") for item in need(custom, "partners", where))
    }
    names = _file_names(custom, partners, columns, where)
    disclosure = only(custom.get("disclosure") or {}, _DISCLOSURE, where=f"{where} disclosure")
    return FeedContract(
        index=index,
        feed=str(raw["name"]),
        version=str(raw["version"]),
        valid_from=str(custom.get("validFrom", "")),
        columns=columns,
        key=tuple(name for _, name in keyed),
        rules=implied,
        partners=partners,
        file_names=names,
        encoding=str(file_form.get("encoding", "utf-8")),
        delimiter=str(file_form.get("delimiter", ",")),
        max_bytes=int(file_form.get("maxBytes", 2_000_000_000)),
        expected_day=int(custom.get("expectedDay", 8)),
        absent_row=absent_row,
        row_filter={str(key): str(value) for key, value in dict(custom.get("rowFilter") or {}).items()},
        ignored=tuple(str(name) for name in custom.get("ignoredColumns") or ()),
        disclosure={str(key): str(value) for key, value in disclosure.items() if key != "publicTotals"},
        public_totals=_public_totals(disclosure.get("publicTotals"), columns, f"{where} disclosure.publicTotals"),
        coverage=usual["coverage"],
        completeness=usual["completeness"],
        sha256=content_hash(_without_names(raw)),
        description=_description(raw, where),
        where=where,
    )


def read_table(path: Path, *, index: str) -> TableContract:
    """The contract of one published table. Raises Finding as read_feed does."""
    raw = read_yaml(path)
    where = short_path(path)
    body = _contract_body(raw, where)
    columns: list[TableColumn] = []
    for entry in list_of(body, "properties", where):
        entry = only(entry, _PROPERTY, where=f"{where} property {entry.get('name')!r}")
        custom = _custom(entry.get("customProperties"), {"unit"}, f"{where} property {entry['name']!r}")
        one_of(str(entry.get("logicalType")), TYPES, f"{where} {entry['name']} logicalType")
        columns.append(
            TableColumn(
                name=str(entry["name"]),
                type=str(entry["logicalType"]),
                description=sentence(entry.get("description")),
                label=str(entry.get("businessName", "")),
                unit=str(custom.get("unit", "")),
                key=bool(entry.get("primaryKey", False)),
                required=bool(entry.get("required", False)),
            )
        )
    return TableContract(
        index=index,
        table=str(raw["name"]),
        version=str(raw["version"]),
        description=_description(raw, where),
        label=str(body.get("businessName", "")),
        columns=tuple(columns),
        sha256=content_hash(raw),
        **{part: sentence(raw.get("description", {}).get(part)) for part in ("purpose", "usage", "limitations")},
        grain=sentence(body.get("dataGranularityDescription")),
    )


def _contract_body(raw: dict[str, Any], where: str) -> dict[str, Any]:
    only(raw, _TOP, where=where)
    for key in ("apiVersion", "kind", "id", "name", "version", "status", "schema"):
        need(raw, key, where)
    if not str(raw["apiVersion"]).startswith("v3."):
        raise Finding(
            "not an Open Data Contract Standard v3 file",
            where=where,
            found=raw["apiVersion"],
            expected="apiVersion: v3.x",
        )
    objects = list_of(raw, "schema", where)
    if len(objects) != 1:
        raise Finding("one contract, one table", where=where, found=f"{len(objects)} schema objects", expected="1")
    return only(objects[0], _OBJECT, where=f"{where} schema")


def _column(entry: dict[str, Any], where: str, limits: dict[str, dict[str, Any]]) -> Column:
    name = str(need(entry, "name", f"{where} properties"))
    at = f"{where} property {name!r}"
    only(entry, _PROPERTY, where=at)
    custom = _custom(entry.get("customProperties"), _COLUMN_CUSTOM, at)
    options = only(entry.get("logicalTypeOptions") or {}, _TYPE_OPTIONS, where=f"{at} logicalTypeOptions")
    type_ = str(need(entry, "logicalType", at))
    one_of(type_, TYPES, f"{at} logicalType")
    role = str(custom.get("role", ""))
    one_of(role, ROLES, f"{at} role")
    if role == "measure" and (type_ != "integer" or "maximum" not in options):
        raise Finding(
            "a measure is an integer with a maximum",
            where=at,
            found=f"logicalType {type_}, maximum {options.get('maximum')}",
            expected="logicalType: integer and logicalTypeOptions.maximum",
            todo="count in minor units (fen, bytes, seconds); sums are exact only over bounded integers",
        )
    parts, separator = _source_parts(custom, type_, at)
    values: tuple[str, ...] = ()
    for item in entry.get("quality") or ():
        limit = only(item, _QUALITY, where=f"{at} quality")
        limits[str(need(limit, "name", f"{at} quality"))] = limit
        if limit.get("metric") == "invalidValues":
            values = tuple(
                str(value)
                for value in only(limit.get("arguments") or {}, {"validValues"}, where=f"{at} arguments").get(
                    "validValues", ()
                )
            )
    return Column(
        name=name,
        type=type_,
        role=role,
        source=separator.join(parts) if parts else str(custom.get("source", name)),
        required=bool(entry.get("required", False)),
        minimum=options.get("minimum"),
        maximum=options.get("maximum"),
        pattern=options.get("pattern"),
        format=_date_format(options.get("format"), at),
        values=values,
        multiplier=custom.get("multiplier"),
        rounds=custom.get("round") == "half_even",
        collected_since=str(custom["collectedSince"]) if "collectedSince" in custom else None,
        unit=str(custom.get("unit", "")),
        label=str(entry.get("businessName", "")),
        description=sentence(entry.get("description")),
        parts=parts,
        separator=separator,
    )


def _file_names(
    custom: Mapping[str, Any], partners: Mapping[str, Mapping[str, str]], columns: tuple[Column, ...], where: str
) -> dict[str, str]:
    """What each partner's files are called: its own pattern, else the feed's, else the usual one."""
    inside = any(column.role == "period" for column in columns)
    usual = str(custom.get("fileName", file_names.USUAL))
    found = {partner: entry.get("fileName", usual) for partner, entry in partners.items()}
    for pattern in dict.fromkeys([usual, *found.values()]):
        file_names.check_pattern(pattern, periods_inside=inside, where=f"{where} fileName")
    return found


def _without_names(raw: dict[str, Any]) -> dict[str, Any]:
    """The contract but for what files are called: nothing that was computed depends on it."""
    kept: list[object] = []
    for entry in raw.get("customProperties") or []:
        if entry["property"] == "partners":
            value = [{key: item[key] for key in item if key != "fileName"} for item in entry["value"]]
            kept.append({**entry, "value": value})
        elif entry["property"] != "fileName":
            kept.append(entry)
    return {**raw, "customProperties": kept}


def _source_parts(custom: Mapping[str, Any], type_: str, at: str) -> tuple[tuple[str, ...], str]:
    """The file's columns a text is joined from, with what stands between: a name may be unique only with another's."""
    if "sourceParts" not in custom:
        return (), ""
    raw = only(custom["sourceParts"], _SOURCE_PARTS, where=f"{at} sourceParts")
    parts = tuple(str(name) for name in need(raw, "columns", f"{at} sourceParts"))
    separator = str(need(raw, "separator", f"{at} sourceParts"))
    if type_ != "string" or len(parts) < 2 or not separator or "source" in custom:
        raise Finding(
            "a column joined from parts is a text of two or more columns",
            where=at,
            found=f"logicalType {type_}, sourceParts {raw}" + (", source" if "source" in custom else ""),
            expected="logicalType: string and sourceParts {columns: [two, or_more], separator: /}, without source",
        )
    return parts, separator


def _limits(quality: object, where: str) -> dict[str, dict[str, Any]]:
    limits: dict[str, dict[str, Any]] = {}
    for item in cast("list[object]", quality or []):
        limit = only(item, _QUALITY, where=f"{where} quality")
        name = str(need(limit, "name", f"{where} quality"))
        one_of(str(limit.get("severity", "error")), SEVERITIES, f"{where} quality {name} severity")
        limits[name] = limit
    return limits


def _thresholds(custom: dict[str, Any], where: str) -> dict[str, Threshold]:
    at = f"{where} thresholds"
    given = only(need(custom, "thresholds", where), _THRESHOLDS, where=at)
    found: dict[str, Threshold] = {}
    for name in sorted(_THRESHOLDS):
        bound = "at_most" if name == "every_rule" else "at_least"
        entry = only(need(given, name, at), {bound, "severity"}, where=f"{at}.{name}")
        one_of(str(entry.get("severity", "error")), SEVERITIES, f"{at}.{name} severity")
        found[name] = Threshold(float(need(entry, bound, f"{at}.{name}")), str(entry.get("severity", "error")))
    return found


def _custom(entries: object, allowed: Iterable[str], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in cast("list[object]", entries or []):
        entry = only(item, {"property", "value", "description"}, where=f"{where} customProperties")
        found[str(need(entry, "property", where))] = entry.get("value")
    return only(found, allowed, where=f"{where} customProperties")


def _public_totals(given: object, columns: tuple[Column, ...], where: str) -> tuple[str, ...]:
    """The measures whose national total may be published. Raises Finding for anything but measures of the feed."""
    measures = [column.name for column in columns if column.role == "measure"]
    names = [str(name) for name in cast("list[object]", given)] if isinstance(given, list) else []
    if (given is not None and not names) or not set(names) <= set(measures) or len(set(names)) < len(names):
        raise Finding(
            "not a list of measures of the feed", where=where, found=repr(given), expected="of " + ", ".join(measures)
        )
    return tuple(names)


def _one_name(columns: tuple[Column, ...], where: str) -> None:
    names = [column.name for column in columns]
    # Not every engine tells apart two columns that differ in the case of their letters.
    folded = [name.casefold() for name in names]
    twice = sorted({name for name in names if folded.count(name.casefold()) > 1})
    reserved = sorted(set(names) & {"file", "file_row", "unparsed", "row"})
    if twice or reserved:
        raise Finding(
            "column names must be unique, whatever their case, and not file, file_row, unparsed or row",
            where=where,
            found=", ".join(twice + reserved),
        )


def _date_format(text: object, where: str) -> str | None:
    """The standard spells dates the Java way (yyyy-MM-dd); engines read strptime's. Raises Finding otherwise."""
    if text is None:
        return None
    found = str(text)
    for java, strptime in (("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M"), ("ss", "%S")):
        found = found.replace(java, strptime)
    if any(
        letter.isalpha()
        for letter in found.replace("%Y", "")
        .replace("%m", "")
        .replace("%d", "")
        .replace("%H", "")
        .replace("%M", "")
        .replace("%S", "")
    ):
        raise Finding(
            "a date format with unknown letters",
            where=f"{where} format",
            found=str(text),
            expected="yyyy, MM, dd, HH, mm, ss and punctuation, such as yyyy-MM-dd",
        )
    return found


def _description(raw: dict[str, Any], where: str) -> str:
    parts = only(raw.get("description") or {}, _DESCRIPTION, where=f"{where} description")
    return " ".join(sentence(parts[key]) for key in ("purpose", "usage", "limitations") if parts.get(key))
