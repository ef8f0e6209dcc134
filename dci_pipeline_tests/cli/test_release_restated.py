"""A town restated in one old quarter, from the partner's file to the next release, by commands alone.

What may differ is worked out apart: from the Parquet files of both releases, and from what is declared to rest on it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from dci_pipeline import plan
from dci_pipeline.periods import Period, parse, parse_span
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests.cli.conftest import Dci
from dci_pipeline_tests.small_worlds import FIRST, INDEX, Towns, drawn, land

QUARTERS = parse_span("2018Q1:2020Q2", "quarter")
OLD, TOWN, REGION, NATION = "2019Q2", "T2", "east", "N"
VALUES = drawn(QUARTERS)
RELEASES = Path("warehouse") / INDEX / "releases"
MEASURES = ("points", "rank", "growth_qoq", "growth_yoy")
Row = dict[str, Any]


@pytest.fixture
def restated(dci: Dci, home: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """2020Q2 released, then one number of one town in 2019Q2 sent again, computed, and 2020Q2 released again."""
    monkeypatch.setenv("COLUMNS", "400")
    work = Towns([FIRST], QUARTERS, VALUES).write(home)
    land(work, home / "sent", VALUES, QUARTERS)
    monkeypatch.setenv("DCI_CONTRACTS", str(home / "contracts"))
    assert dci("run", "--direct").code == 0
    assert dci("release", "--period", "2020Q2", "--date", "2020-07-20").code == 0
    with (home / "sent" / f"web_web_a_{OLD}.csv").open(encoding="utf-8") as sent:
        lines = list(csv.DictReader(sent))
    for line in lines:
        line["visits"] = str(int(line["visits"]) + (1 if line["town"] == TOWN else 0))
    with (home / "again.csv").open("w", encoding="utf-8", newline="") as again:
        writer = csv.DictWriter(again, ["town", "visits", "streams"])
        writer.writeheader()
        writer.writerows(lines)
    named = ("--feed", "web", "--partner", "web_a", "--quarter", OLD)
    assert dci("land", "again.csv", *named).code == 0
    assert dci("run", "--direct").code == 0
    made = dci("release", "--period", "2020Q2", "--date", "2020-08-20")
    assert made.code == 0 and "from 2020Q2 to 2020Q2.r1" in " ".join(made.out.split())
    return Work(Settings(home / "warehouse", home / "contracts", "polars"), INDEX)


def table(release: str, name: str) -> dict[tuple[Any, ...], Row]:
    """A released table by key, read by another library."""
    package = json.loads((RELEASES / release / "datapackage.json").read_text("utf-8"))
    item = next(item for item in package["resources"] if item["name"] == name)
    rows: list[Row] = pq.read_table(RELEASES / release / item["path"]).to_pylist()
    return {tuple(row[column] for column in item["schema"]["primaryKey"]): row for row in rows}


def names() -> list[str]:
    package = json.loads((RELEASES / "2020Q2" / "datapackage.json").read_text("utf-8"))
    return [item["name"] for item in package["resources"] if item["name"] != "revisions"]


def differing(name: str) -> Iterator[tuple[Row, Row]]:
    old, new = table("2020Q2", name), table("2020Q2.r1", name)
    assert old.keys() == new.keys(), name
    yield from ((old[key], new[key]) for key in new if repr(old[key]) != repr(new[key]))


def period_of(name: str, row: Row) -> Period:
    if "quarter" in row:
        return Period(row["quarter"], "quarter")
    return parse(str(row["half"] if "half" in row else row["year"]), "half" if "half" in row else "year")


def text(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def test_the_diff_has_the_rows_that_differ_and_each_rests_on_what_was_sent_again(restated: Work) -> None:
    told = json.loads((RELEASES / "2020Q2.r1" / "diff.json").read_text("utf-8"))["tables"]
    declared = plan.impact(restated, "web", parse(OLD, "quarter"), QUARTERS)
    moved: set[str] = set()
    for name in names():
        wanted = {
            tuple(text(new[column]) for column in told[name]["key"]): {
                column: {"from": old[column], "to": new[column]}
                for column in new
                if repr(old[column]) != repr(new[column])
            }
            for old, new in differing(name)
        }
        found = told.get(name, {"changed": [], "added": [], "removed": [], "rows": {"changed": 0}})
        assert {tuple(row["key"].values()): row["changes"] for row in found["changed"]} == wanted, name
        assert (found["added"], found["removed"], found["rows"]["changed"]) == ([], [], len(wanted))
        for _, new in differing(name):
            partition = period_of(name, new)
            partition = partition if partition.cadence == "quarter" else partition.year()
            assert partition in declared["marts", name], (name, new)
        moved |= {name} if wanted else set()
    assert moved == set(told) == {
        "index_quarter", "index_half", "index_year", "contribution_quarter", "contribution_year", "ranking_year",
        "quality_quarter", "inequality_year", "effective_weights_year", "uncertainty_year",
    }  # fmt: skip


def test_levels_move_where_the_town_is_and_nowhere_else(restated: Work) -> None:
    above = {(entity, node) for entity in (TOWN, REGION, NATION) for node in ("visits", "total")}
    for name, spans in (("index_quarter", {OLD}), ("index_half", {"2019H1"}), ("index_year", {"2019"})):
        points = {
            (new["entity_code"], new["node"], period_of(name, new).key)
            for old, new in differing(name)
            if old["points"] != new["points"]
        }
        assert points == {(*pair, span) for pair in above for span in spans}, name
        # And growth on it: a quarter and a year later, a half and a year later.
        later = {"index_quarter": {"2019Q3", "2020Q2"}, "index_half": {"2020H1"}, "index_year": {"2020"}}[name]
        grown = {period_of(name, new).key for old, new in differing(name) if old["growth_yoy"] != new["growth_yoy"]}
        assert spans <= grown <= spans | later, name


def test_the_revisions_are_those_rows_and_say_why(restated: Work) -> None:
    wanted: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for name in ("index_quarter", "index_half", "index_year"):
        for old, new in differing(name):
            key = (name, new["entity_type"], new["entity_code"], new["node"], period_of(name, new).key)
            for measure in MEASURES:
                if measure in new and old[measure] != new[measure]:
                    wanted[(*key, measure)] = (old[measure], new[measure], old["maturity"])
    found = {key[1:]: row for key, row in table("2020Q2.r1", "revisions").items()}
    assert {key: (row["from"], row["to"], row["maturity"]) for key, row in found.items()} == wanted and wanted
    package = json.loads((RELEASES / "2020Q2.r1" / "datapackage.json").read_text("utf-8"))
    sent = [item for item in package["deliveries"] if item["period"] == OLD and item["feed"] == "web"]
    for row in found.values():
        assert (row["release"], row["vintage"], row["kind"]) == ("2020Q2.r1", date(2020, 8, 20), "R2")
        assert row["delivery"] == sent[0]["sha256"]
    # With a window of six months 2019Q4 is the last that is final: the old quarter was, growth on it a year later not.
    assert package["revision_window"] == {"months": 6, "final_to": "2019Q4"}
    assert {(key[4], row["maturity"]) for key, row in found.items() if key[0] == "index_quarter"} == {
        ("2019Q2", "final"), ("2019Q3", "final"), ("2020Q2", "provisional")
    }  # fmt: skip


def test_that_a_final_value_was_revised_is_said_everywhere(restated: Work, dci: Dci) -> None:
    del restated
    told = json.loads((RELEASES / "2020Q2.r1" / "diff.json").read_text("utf-8"))["tables"]
    for name in ("index_quarter", "index_half", "index_year"):
        old = [before for before, _ in differing(name) if before["maturity"] == "final"]
        assert (
            told[name]["exceptional"] == len(old) == sum(row.get("exceptional", False) for row in told[name]["changed"])
        )
    late = [row for row in table("2020Q2.r1", "revisions").values() if row["maturity"] == "final"]
    summed = json.loads(dci("revisions", "--json").out)
    assert sum(row["exceptional"] for row in summed) == len(late) > 0
    assert "exceptional" in dci("revisions").out
    notes = (RELEASES / "2020Q2.r1" / "CHANGES.md").read_text("utf-8")
    assert "Final up to 2019Q4: a period is provisional for 6 months after its end" in notes
    quarters = [row for row in table("2020Q2.r1", "revisions").values() if row["table"] == "index_quarter"]
    final = [row for row in quarters if row["maturity"] == "final"]
    assert f"| R2 sent again | index_quarter | {len(quarters)} | {len(final)} |" in notes
    triangle = json.loads(dci("revisions", "--entity", TOWN, "--node", "visits", "--json").out)["periods"]
    since = {row["period"]: row["final_since"] for row in triangle}
    assert since["2019Q4"] == "2020Q2" and since["2020Q1"] is None


def test_the_window_closes_with_the_next_release_and_that_is_no_change(restated: Work, dci: Dci, home: Path) -> None:
    third = parse("2020Q3", "quarter")
    values = drawn([*QUARTERS, third])
    land(restated, home / "third", values, [third])
    assert dci("run", "--direct").code == 0
    assert dci("release", "--period", "2020Q3", "--date", "2020-10-20").code == 0
    told = json.loads((RELEASES / "2020Q3" / "diff.json").read_text("utf-8"))["tables"]["index_quarter"]
    count = sum(1 for key in table("2020Q3", "index_quarter") if key[-1] == date(2020, 1, 1))
    assert (told["periods_final"], told["exceptional"]) == ({"2020-01-01": count}, 0)
    assert told["rows"]["changed"] == 0 and set(told["periods_added"]) == {"2020-07-01"}
    notes = (RELEASES / "2020Q3" / "CHANGES.md").read_text("utf-8")
    assert "Final up to 2020Q1" in notes and "final now: 2020-01-01" in notes
    assert not [row for row in table("2020Q3", "revisions").values() if row["release"] == "2020Q3"]
    assert dci("verify", "2020Q3").code == 0 and dci("verify", "2020Q2.r1").code == 0
