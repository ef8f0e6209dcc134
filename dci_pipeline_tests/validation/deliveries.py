"""A small feed for the tests of this folder: its contract, its typed rows, and the rules written out row by row."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from dci_pipeline import contract_files, engines
from dci_pipeline.contracts import FeedContract
from dci_pipeline.engines.protocol import MEMORY
from dci_pipeline.periods import parse
from dci_pipeline.validation.scan import Scan, scan

PERIOD = parse("2019-04", "month")
PARTNER = "north"

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: test.feeds.visits
name: visits
version: 1.0.0
status: active
description: {{purpose: Test.}}
customProperties:
  - {{property: validFrom, value: "2015-01"}}
  - property: partners
    value: [{{partner: north, name_zh: 北, name_en: North}}, {{partner: south, name_zh: 南, name_en: South}}]
  - {{property: file, value: {{encoding: utf-8, delimiter: ",", maxBytes: 1000000}}}}
  - {{property: expectedDay, value: 8}}
  - {{property: absentRow, value: missing}}
  - {{property: disclosure, value: {{status: waived, scope: place, date: "2018-01-01", reason: test}}}}
  - property: thresholds
    value:
      every_rule: {{at_most: 1, severity: error}}
      coverage: {{at_least: 60, severity: error}}
      completeness: {{at_least: 100, severity: error}}
schema:
  - name: visits
    logicalType: object
    quality:
      - {{name: key.unique, type: library, metric: duplicateValues, mustBeLessOrEqualTo: 0.5, unit: percent,
         severity: error}}
    properties:
      - {{name: partner, logicalType: string, required: true, customProperties: [{{property: role, value: partner}}]}}
      - {{name: record_id, logicalType: string, logicalTypeOptions: {{pattern: "^[a-z0-9]{{1,8}}$"}}, required: true,
         primaryKey: true, primaryKeyPosition: 1, customProperties: [{{property: role, value: record_id}}]}}
      - {{name: event_date, logicalType: date, logicalTypeOptions: {{format: "%Y-%m-%d"}}, required: true,
         customProperties: [{{property: role, value: date}}]}}
      - {{name: town, logicalType: string, required: true, customProperties: [{{property: role, value: place}}]}}
      - name: kind
        logicalType: string
        required: true
        quality:
          - {{name: kind.one_of, type: library, metric: invalidValues, arguments: {{validValues: [all, day, night]}},
             mustBeLessOrEqualTo: 5.0, unit: percent, severity: warning}}
        {second_key}
        customProperties: [{{property: role, value: dimension}}]
      - {{name: grade, logicalType: integer, customProperties: [{{property: role, value: dimension}}]}}
      - {{name: visits, logicalType: integer, logicalTypeOptions: {{minimum: 0, maximum: 1000}}, required: true,
         customProperties: [{{property: role, value: measure}}, {{property: unit, value: visit}}]}}
      - {{name: bytes, logicalType: integer, logicalTypeOptions: {{minimum: 0, maximum: {largest}}},
         customProperties: [{{property: role, value: measure}}, {{property: unit, value: byte}},
                            {{property: collectedSince, value: "2019-03"}}]}}
      - {{name: stars, logicalType: integer, logicalTypeOptions: {{minimum: 1, maximum: {stars}}},
         customProperties: [{{property: role, value: measure}}, {{property: unit, value: star}}]}}
"""

COLUMNS = ("partner", "record_id", "event_date", "town", "kind", "grade", "visits", "bytes", "stars")
SCHEMA: dict[str, Any] = {
    "partner": pl.String,
    "record_id": pl.String,
    "event_date": pl.Date,
    "town": pl.String,
    "kind": pl.String,
    "grade": pl.Int64,
    "visits": pl.Int64,
    "bytes": pl.Int64,
    "stars": pl.Int64,
    "file": pl.Int32,
    "file_row": pl.Int64,
    "unparsed": pl.String,
}
ALIASES = pl.DataFrame(
    {
        "alias": ["A", "Alpha", "B", "Beta", "Far"],
        "place": ["A", "A", "B", "B", None],
        "scope": ["in", "in", "in", "in", "out"],
    }
)


@dataclass(frozen=True)
class Quality:
    column: str
    worst: int
    best: int


@dataclass(frozen=True)
class Leaf:
    node: str
    measure: str | None
    where: dict[str, str] = field(default_factory=dict)
    quality: Quality | None = None


LEAVES = (
    Leaf("all_visits", "visits", {"kind": "all"}),
    Leaf("night_visits", "visits", {"kind": "night"}),
    Leaf("traffic", "bytes"),
)
# Ratings and failure rates turn a volume round: the worst value at the low end, then at the high end.
RATED = (
    *LEAVES,
    Leaf("satisfied", "visits", {}, Quality("stars", 1, 5)),
    Leaf("night_faults", "visits", {"kind": "night"}, Quality("stars", 5, 1)),
)
SPLITS = (
    ("all_visits", "kind"),
    ("all_visits", "grade"),
    ("night_visits", "grade"),
    ("traffic", "kind"),
    ("traffic", "grade"),
    ("satisfied", "kind"),
    ("night_faults", "kind"),
)


def contract(folder: Path, *, largest: int = 9 * 10**18, stars: int = 5, composite: bool = False) -> FeedContract:
    path = folder / "visits.yaml"
    second = "primaryKey: true\n        primaryKeyPosition: 2" if composite else "classification: public"
    path.write_text(CONTRACT.format(largest=largest, stars=stars, second_key=second), encoding="utf-8")
    return contract_files.read_feed(path, index="test")


def row(number: int, **changes: Any) -> dict[str, Any]:
    """A faultless row of part 0, with changes."""
    usual = {
        "partner": PARTNER,
        "record_id": f"r{number}",
        "event_date": date(2019, 4, 1 + number % 30),
        "town": "A",
        "kind": "all",
        "grade": 1,
        "visits": number,
        "bytes": 10,
        "stars": 4,
        "file": 0,
        "file_row": number,
        "unparsed": None,
    }
    return usual | changes


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA)


def run(
    engine: str,
    parts: list[pl.DataFrame],
    folder: Path,
    *,
    of: FeedContract,
    leaves: tuple[Leaf, ...] = LEAVES,
    splits: tuple[tuple[str, str], ...] = (),
    memory: int = MEMORY,
    spilling: bool = True,
) -> tuple[Scan, list[dict[str, Any]]]:
    """The scan of these parts, and its quarantine's rows; not `spilling`, the engine has no folder to spill into."""
    paths: list[Path] = []
    for number, part in enumerate(parts):
        # Partition names in the path must not reach the rows.
        path = folder / f"{engine}/partner=elsewhere/{number}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_parquet(path)
        paths.append(path)
    with engines.engine(engine, memory=memory, temp_directory=folder if spilling else None) as opened:
        found = scan(
            opened,
            opened.scan(paths),
            contract=of,
            period=PERIOD,
            partner=PARTNER,
            aliases=ALIASES,
            leaves=leaves,
            splits=splits,
        )
        rejected = [item for part in found.quarantine for item in opened.collect(part).to_dicts()]
    return found, rejected


def naive(rows: list[dict[str, Any]], of: FeedContract) -> dict[tuple[int, int], list[str]]:
    """(file, file_row) -> the rules the row breaks, said in plain Python."""
    broken: dict[tuple[int, int], list[str]] = {}
    by_key: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for item in rows:
        key = tuple(item[name] for name in of.key)
        if None not in key:
            by_key[key].append(item)
    towns = {alias: scope for alias, _, scope in ALIASES.iter_rows()}
    for item in rows:
        reasons = dict(part.split(": ", 1) for part in (item["unparsed"] or "").split("; ") if part)
        faults: list[str] = []
        if "row" in reasons:
            faults.append("row.shape")
        faults += [f"{name}.type" for name in COLUMNS if name in reasons]
        required = [name for name in COLUMNS if name not in ("grade", "bytes", "stars")]
        faults += [f"{name}.not_null" for name in required if item[name] is None and not {name, "row"} & set(reasons)]
        if item["visits"] is not None and not 0 <= item["visits"] <= 1000:
            faults.append("visits.range")
        if item["bytes"] is not None and not 0 <= item["bytes"] <= 9 * 10**18:
            faults.append("bytes.range")
        if item["stars"] is not None and not 1 <= item["stars"] <= 5:
            faults.append("stars.range")
        if item["record_id"] is not None and not re.fullmatch("[a-z0-9]{1,8}", item["record_id"]):
            faults.append("record_id.pattern")
        if item["kind"] is not None and item["kind"] not in ("all", "day", "night"):
            faults.append("kind.one_of")
        if item["partner"] is not None and item["partner"] != PARTNER:
            faults.append("partner.matches")
        if item["event_date"] is not None and not PERIOD.start <= item["event_date"] < PERIOD.end:
            faults.append("event_date.in_period")
        if item["town"] is not None and item["town"] not in towns:
            faults.append("town.known")
        if towns.get(item["town"]) == "out":
            faults.append("town.in_scope")
        same = by_key.get(tuple(item[name] for name in of.key), [])
        if len(same) > 1:
            alike = all(other[name] == item[name] for other in same for name in COLUMNS)
            first = min((other["file"], other["file_row"]) for other in same)
            if not alike or (item["file"], item["file_row"]) != first:
                faults.append("key.unique")
        broken[item["file"], item["file_row"]] = faults
    return broken


def naive_sums(
    rows: list[dict[str, Any]], broken: dict[tuple[int, int], list[str]], leaves: tuple[Leaf, ...] = LEAVES
) -> list[tuple[Any, ...]]:
    """[(place, indicator, value, volume, records)] of the accepted rows."""
    totals: dict[tuple[str, str], list[Any]] = {}
    for leaf in leaves:
        for place, item in _counted(rows, broken, leaf, leaf.where):
            total = totals.setdefault((place, leaf.node), [0, 0 if leaf.quality else None, 0])
            total[0] += _value(item, leaf)
            total[2] += 1
            if leaf.quality:
                total[1] += item[leaf.measure or ""]
    return [(*pair, *total) for pair, total in sorted(totals.items())]


def naive_members(
    rows: list[dict[str, Any]], broken: dict[tuple[int, int], list[str]], leaves: tuple[Leaf, ...]
) -> list[tuple[Any, ...]]:
    """[(place, indicator, column, member, value, records)] of the accepted rows, over SPLITS."""
    totals: dict[tuple[str, ...], list[int]] = {}
    for indicator, column in SPLITS:
        leaf = next(leaf for leaf in leaves if leaf.node == indicator)
        free = {name: wanted for name, wanted in leaf.where.items() if name != column}
        for place, item in _counted(rows, broken, leaf, free):
            if item[column] is not None and item[column] != leaf.where.get(column):
                total = totals.setdefault((place, indicator, column, str(item[column])), [0, 0])
                total[0] += _value(item, leaf)
                total[1] += 1
    return [(*key, *total) for key, total in sorted(totals.items())]


def _counted(
    rows: list[dict[str, Any]], broken: dict[tuple[int, int], list[str]], leaf: Leaf, where: dict[str, str]
) -> list[tuple[str, dict[str, Any]]]:
    """The accepted rows of a leaf that have a value, with their place."""
    places = {alias: place for alias, place, _ in ALIASES.iter_rows()}
    needed = [leaf.measure or ""] + ([leaf.quality.column] if leaf.quality else [])
    return [
        (places[item["town"]], item)
        for item in rows
        if not broken[item["file"], item["file_row"]]
        and all(item[name] is not None for name in needed)
        and all(item[name] == wanted for name, wanted in where.items())
    ]


def _value(item: dict[str, Any], leaf: Leaf) -> int:
    return item[leaf.measure or ""] * (abs(item[leaf.quality.column] - leaf.quality.worst) if leaf.quality else 1)
