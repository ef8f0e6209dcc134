"""A tiny index of its own, written to a folder: seven places, two feeds, quarters, links; and its partners' files.

Everything a test compares with is known beforehand: the values, the scores, the links.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from pathlib import Path

import polars as pl
import yaml

from dci_pipeline.index import Index, compute
from dci_pipeline.periods import Period, parse_span
from dci_pipeline.settings import Settings
from dci_pipeline.warehouse import deliveries
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import CONTRACTS

INDEX = "towns"
GROUPS = {"T1": "east", "T2": "east", "T3": "east", "T4": "west", "T5": "west", "T6": "west", "R1": "west"}
PLACES = sorted(GROUPS)
FEEDS = {"web": (("visits", "streams"), ("web_a",)), "shop": (("orders", "amount"), ("shop_a", "shop_b"))}
# The tree: total -> visits, streams, pay; pay -> orders, amount.
PARENTS = {"visits": "total", "streams": "total", "pay": "total", "orders": "pay", "amount": "pay"}
LEAVES = ("amount", "orders", "streams", "visits")
TABLES = (
    "index_quarter",
    "index_half",
    "index_year",
    "contribution_quarter",
    "contribution_year",
    "quality_quarter",
    "ranking_year",
    "inequality_year",
    "effective_weights_year",
    "uncertainty_year",
    "weights",
    "node",
    "unit_group",
    "alias",
    "revisions",
)

Values = Mapping[tuple[Period, str, str], int | None]
"""(period, place, leaf) -> value, None where the file has nothing"""


@dataclass(frozen=True)
class Linked:
    """A link as the index file lists it; scores: node -> child -> the experts' scores."""

    link: str
    reference: str
    start: str
    scores: Mapping[str, Mapping[str, Sequence[int]]]

    @property
    def basket(self) -> list[str]:
        return sorted(child for given in self.scores.values() for child in given if child in LEAVES)

    @property
    def weights(self) -> dict[str, Fraction]:
        """Leaf -> its weight in the root."""
        found: dict[str, Fraction] = {}
        for leaf in self.basket:
            node, weight = leaf, Fraction(1)
            while node in PARENTS:
                given = self.scores[PARENTS[node]]
                weight *= Fraction(sum(given[node]), sum(map(sum, given.values())))
                node = PARENTS[node]
            found[leaf] = weight
        return found


FIRST = Linked(
    "first",
    "2018Q1:2018Q4",
    "2018Q1",
    {"total": {"visits": [3, 5, 4], "pay": [2, 4, 1]}, "pay": {"orders": [5, 4, 4], "amount": [2, 3, 1]}},
)
SECOND = Linked(
    "second",
    "2019Q2:2019Q4",
    "2020Q3",
    {"total": {"visits": [4, 4, 3], "pay": [3, 2, 5], "streams": [1, 2, 2]}, "pay": {"orders": [5, 5, 4]}},
)


@dataclass(frozen=True)
class Towns:
    """The index file's say, and the values of its partners."""

    links: Sequence[Linked]
    periods: Sequence[Period]
    values: Values
    chaining: str = "fixed_base"
    late_feed: str = "waits"
    window: int = 6
    """months of the revision window"""
    dropped: Sequence[str] = field(default=())
    """published tables it goes without"""

    def write(self, folder: Path) -> Work:
        """The contracts under `folder`, and the work over them."""
        home = folder / "contracts" / INDEX
        for part in ("feeds", "marts", "geography", "weights"):
            (home / part).mkdir(parents=True)
        (home / "index.yaml").write_text(yaml.safe_dump(self._index(), allow_unicode=True), encoding="utf-8")
        for feed, (measures, partners) in FEEDS.items():
            contract = yaml.safe_dump(_contract(feed, measures, partners), allow_unicode=True)
            (home / "feeds" / f"{feed}.yaml").write_text(contract, encoding="utf-8")
        for table in TABLES:
            if table not in self.dropped:
                text = (CONTRACTS / "pulse/marts" / f"{table}.yaml").read_text(encoding="utf-8")
                (home / "marts" / f"{table}.yaml").write_text(text.replace("pulse.", f"{INDEX}."), encoding="utf-8")
        _geography(home / "geography")
        for link in self.links:
            rows = [
                (f"wave_{link.link}", f"e{number}", node, child, str(score))
                for node, given in link.scores.items()
                for child, scores in given.items()
                for number, score in enumerate(scores)
            ]
            _table(home / "weights" / f"wave_{link.link}.csv", ["wave", "expert", "node", "child", "score"], rows)
            side = {"wave": f"wave_{link.link}", "effective_from": "2018-01-01", "assumption": True, "reason": "a test"}
            (home / "weights" / f"wave_{link.link}.yaml").write_text(yaml.safe_dump(side), encoding="utf-8")
        return Work(Settings(folder / "warehouse", folder / "contracts", "polars"), INDEX)

    def _index(self) -> dict[str, object]:
        return {
            "index": INDEX,
            "name_zh": "城镇",
            "name_en": "Towns",
            "cadence": "quarter",
            "nation": {"code": "N", "name_zh": "全国", "name_en": "Nation"},
            "base_points": 100,
            "entities": {
                "places": [
                    {"type": "town", "table": None, "ranked": True, "member": True},
                    {"type": "rest", "table": None, "ranked": False, "member": False},
                ],
                "groups": [{"type": "region", "table": None, "ranked": True}],
            },
            "chaining": self.chaining,
            "links": [
                {
                    "link": link.link,
                    "reference_start": link.reference.split(":")[0],
                    "reference_end": link.reference.split(":")[1],
                    "start": link.start,
                    "wave": {"total": f"wave_{link.link}"},
                    "basket": {"total": link.basket},
                }
                for link in self.links
            ],
            "missing": {
                "late_feed": self.late_feed,
                "carry_periods": 3,
                "nation_imputed_limit": 0.05,
                "place_imputed_limit": 0.3,
            },
            "revision_window": {"months": self.window},
            "ranking": {"scopes": ["nation", "region"]},
            "divide": {"measure": "range_over_mean", "theil_groups": "region"},
            "nodes": [
                {"node": "total", "name_zh": "总", "name_en": "Total", "unit": "points"},
                {"node": "pay", "parent": "total", "name_zh": "付", "name_en": "Pay", "unit": "points"},
                *(
                    {
                        "node": leaf,
                        "parent": PARENTS[leaf],
                        "name_zh": leaf,
                        "name_en": leaf,
                        "unit": "thing",
                        "kind": "flow",
                        "since": "2018Q1",
                        "feed": next(feed for feed, (measures, _) in FEEDS.items() if leaf in measures),
                        "measure": leaf,
                    }
                    for leaf in LEAVES
                ),
            ],
        }


def _contract(feed: str, measures: Iterable[str], partners: Iterable[str]) -> dict[str, object]:
    threshold = {"at_most": 1, "severity": "error"}
    whole = {"severity": "error"}
    custom = {
        "validFrom": "2018Q1",
        "partners": [{"partner": partner, "name_zh": partner, "name_en": partner} for partner in partners],
        "expectedDay": 5,
        "absentRow": "missing",
        "disclosure": {"status": "waived", "scope": "place", "date": "2018-01-01", "reason": "a test"},
        "thresholds": {
            "every_rule": threshold,
            "coverage": {"at_least": 50, **whole},
            "completeness": {"at_least": 100, **whole},
        },
    }
    place = {
        "name": "town",
        "logicalType": "string",
        "required": True,
        "primaryKey": True,
        "primaryKeyPosition": 1,
        "customProperties": [{"property": "role", "value": "place"}],
    }
    counted = [
        {
            "name": measure,
            "logicalType": "integer",
            "logicalTypeOptions": {"minimum": 0, "maximum": 10**12},
            "required": True,
            "customProperties": [{"property": "role", "value": "measure"}],
        }
        for measure in measures
    ]
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"{INDEX}.feeds.{feed}",
        "name": feed,
        "version": "1.0.0",
        "status": "active",
        "description": {"purpose": "A test.", "usage": "Feeds the leaves.", "limitations": "Invented."},
        "customProperties": [{"property": name, "value": value} for name, value in custom.items()],
        "schema": [{"name": feed, "logicalType": "object", "description": feed, "properties": [place, *counted]}],
    }


def collected_since(folder: Path, leaf: str, period: Period) -> Path:
    """Rewrites the contract of a leaf's feed, written under `folder`: its measure is there from a period on only."""
    feed = next(feed for feed, (measures, _) in FEEDS.items() if leaf in measures)
    path = folder / "contracts" / INDEX / "feeds" / f"{feed}.yaml"
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    column = next(entry for entry in raw["schema"][0]["properties"] if entry["name"] == leaf)
    column["required"] = False
    column["customProperties"].append({"property": "collectedSince", "value": period.key})
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


def _geography(folder: Path) -> None:
    columns = ["code", "type", "name_zh", "name_en", "short_zh", "level", "lon", "lat", "valid_from", "valid_to"]
    kinds = {code: "rest" if code.startswith("R") else "town" for code in PLACES}
    rows = [(code, kind, code, code, code, "", "", "", "", "") for code, kind in kinds.items()]
    _table(folder / "places.csv", columns, rows)
    columns = ["type", "code", "name_zh", "name_en", "short_zh", "valid_from", "valid_to", "source"]
    regions = sorted(set(GROUPS.values()))
    _table(folder / "groups.csv", columns, [("region", code, code, code, code, "", "", "a test") for code in regions])
    columns = ["place", "group_type", "group", "primary", "coverage", "valid_from", "valid_to"]
    _table(folder / "membership.csv", columns, [(p, "region", g, "1", "full", "", "") for p, g in GROUPS.items()])
    columns = ["alias", "alias_type", "place", "valid_from", "valid_to", "ambiguous", "note"]
    _table(folder / "aliases.csv", columns, [(code, "code", code, "", "", "0", "") for code in PLACES])
    _table(folder / "excluded.csv", ["alias", "name_zh", "reason"], [])


def _table(path: Path, columns: list[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(columns)
        writer.writerows(rows)


def drawn(periods: Sequence[Period], *, seed: int = 1, nothing: Iterable[tuple[Period, str]] = ()) -> Values:
    """Values of every leaf, growing at its own pace; 0 in all leaves of a place for the pairs (period, place)."""
    source, empty = random.Random(seed), set(nothing)
    found: dict[tuple[Period, str, str], int | None] = {}
    for age, period in enumerate(periods):
        for number, leaf in enumerate(LEAVES):
            for place in PLACES:
                value = int(source.uniform(200, 5000) * (1.02 + 0.02 * number) ** age)
                found[period, place, leaf] = 0 if (period, place) in empty else value
    return found


def land(
    work: Work,
    folder: Path,
    values: Values,
    periods: Iterable[Period],
    *,
    without: Iterable[tuple[str, Period]] = (),
    absent: Iterable[tuple[str, str, Period]] = (),
) -> None:
    """The partners' files of some periods, landed; `without` names (partner, period) that do not arrive, `absent`
    (feed, place, period) of which no file has a row.

    Where a feed has two partners the first has a third of every value, the second the rest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing, left_out = set(without), set(absent)
    for period in periods:
        for feed, (measures, partners) in FEEDS.items():
            for number, partner in enumerate(partners):
                if (partner, period) in missing:
                    continue
                rows = [
                    [place, *(_part(values[period, place, leaf], number, len(partners)) for leaf in measures)]
                    for place in PLACES
                    if (feed, place, period) not in left_out
                ]
                path = folder / f"{feed}_{partner}_{period.key}.csv"
                _table(path, ["town", *measures], rows)
                deliveries.land(
                    work.warehouse.layout,
                    [path],
                    contract=work.framework.feeds[feed],
                    cadence="quarter",
                    partner=partner,
                    period=period,
                )


def _part(value: int | None, number: int, partners: int) -> str:
    if value is None:
        return ""
    if partners == 1:
        return str(value)
    return str(value // 3 if number == 0 else value - value // 3)


def long(values: Values) -> pl.DataFrame:
    """[period, place, indicator, value], as the public door takes them."""
    rows = [(period.start, place, leaf, value) for (period, place, leaf), value in values.items()]
    schema = {"period": pl.Date, "place": pl.String, "indicator": pl.String, "value": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


Chain = Sequence[tuple[Linked, str, str]]
"""(scores and basket, reference, first period) of every link in order"""


def through_the_door(values: Values, chain: Chain, node: str = "total") -> Index:
    """`compute` on the values, for the root or for one node on its own level: its leaves, from its entry on."""
    rows: list[tuple[int, date, date, date, None]] = []
    weights: list[tuple[int, str, float]] = []
    for number, (link, reference, start) in enumerate(chain):
        own = {leaf: weight for leaf, weight in link.weights.items() if node in _path(leaf)}
        if not own:
            assert not rows, f"{node} leaves with {link.link}"
            continue
        inside = parse_span(reference, "quarter")
        rows.append((number, inside[0].start, inside[-1].start, parse_span(start, "quarter")[0].start, None))
        weights += [(number, leaf, float(weight / sum(own.values()))) for leaf, weight in own.items()]
    names = ("reference_start", "reference_end", "start", "end")
    return compute(
        long(values),
        pl.DataFrame(weights, schema={"link": pl.Int64, "indicator": pl.String, "alpha": pl.Float64}, orient="row"),
        pl.DataFrame(rows, schema={"link": pl.Int64, **dict.fromkeys(names, pl.Date)}, orient="row"),
    )


def _path(leaf: str) -> list[str]:
    found = [leaf]
    while found[-1] in PARENTS:
        found.append(PARENTS[found[-1]])
    return found
