"""`dci top`, `dci trend` and `dci compare`: what is published, found by any name, printed, and whole as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dci_pipeline.report.numbers import number, rank_change
from dci_pipeline_tests.cli.conftest import Dci
from dci_pipeline_tests.cli.test_explain import published, towns
from dci_pipeline_tests.cli.test_help import HEAVY, modules

__all__ = ["published", "towns"]


def asked(dci: Dci, query: str) -> list[dict[str, Any]]:
    """The same asked of the published file in SQL."""
    return json.loads(dci("sql", query, "--json").out)


def test_the_leading_places_are_those_of_the_table(dci: Dci, published: Path) -> None:
    rows = asked(
        dci,
        "SELECT * FROM index_year WHERE node = 'total' AND entity_type = 'town' AND year = 2019 AND rank <= 3 "
        "ORDER BY rank",
    )
    told = json.loads(dci("top", "--period", "2019", "--n", "3", "--json").out)
    assert (told["period"], told["entity_type"], told["ranked"]) == ("2019", "town", 6)
    assert [row["entity_code"] for row in told["rows"]] == [row["entity_code"] for row in rows]
    for shown, row in zip(told["rows"], rows, strict=True):
        assert shown == shown | {name: row[name] for name in ("points", "share", "growth_yoy", "rank", "rank_change")}
        assert shown["course"][-1] == row["points"] and len(shown["course"]) == 2
    said = dci("top", "--period", "2019", "--n", "3")
    assert said.code == 0 and "first 3 of 6" in said.out
    for row in rows:
        line = next(line for line in said.out.splitlines() if f" {row['entity_code']} " in line)
        assert number(row["growth_yoy"], "fraction", "en", signed=True) in line
        assert rank_change(row["rank_change"]) in line


def test_without_a_period_it_is_the_last_whole_year(dci: Dci, published: Path) -> None:
    assert json.loads(dci("top", "--json").out)["period"] == "2019"
    assert json.loads(dci("top", "--period", "2019Q3", "--json").out)["table"] == "index_quarter"
    assert json.loads(dci("top", "--period", "2019H1", "--json").out)["table"] == "index_half"


def test_groups_lead_too(dci: Dci, published: Path) -> None:
    told = json.loads(dci("top", "--type", "region", "--node", "pay", "--json").out)
    assert sorted(row["entity_code"] for row in told["rows"]) == ["east", "west"]
    assert all(row["name_en"] for row in told["rows"])


@pytest.mark.parametrize("by", ["year", "half", "quarter"])
def test_a_trend_has_every_period(dci: Dci, published: Path, by: str) -> None:
    rows = asked(
        dci,
        f"SELECT * FROM index_{by} WHERE node = 'total' AND entity_type = 'town' AND entity_code = 'T1' ORDER BY {by}",
    )
    told = json.loads(dci("trend", "t1", "--by", by, "--json").out)
    assert told["entity"]["code"] == "T1"
    assert [(row["points"], row["rank"]) for row in told["rows"]] == [(row["points"], row["rank"]) for row in rows]
    said = dci("trend", "T1", "--by", by).out
    assert len([line for line in said.splitlines() if line.strip().startswith("201")]) == len(rows)
    assert "points by quarter, 2018-01 on: " in said
    assert len(said.split(" on: ")[1].split()[0]) == 8


def test_places_stand_side_by_side(dci: Dci, published: Path) -> None:
    told = json.loads(dci("compare", "T1", "region:east", "全国", "--period", "2019", "--json").out)
    assert [entity["code"] for entity in told["entities"]] == ["T1", "east", "N"]
    assert set(told["entities"][0]["nodes"]) == {"total", "visits", "pay"}, "what the basket has"
    (row,) = asked(dci, "SELECT points FROM index_year WHERE node = 'pay' AND entity_code = 'east' AND year = 2019")
    assert told["entities"][1]["nodes"]["pay"]["points"] == row["points"]
    said = dci("compare", "T1", "region:east", "全国", "--period", "2019")
    assert said.code == 0
    assert "Ranks are among entities of one type." in said.out
    assert all(name in said.out for name in ("visits", "streams", "pay", "rank", "growth"))


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("compare", "T1"), "2 to 6"),
        (("compare", "T1", "T2", "T3", "T4", "T5", "T6", "east"), "2 to 6"),
        (("compare", "T1", "t1"), "twice"),
        (("compare", "T1", "nowhere"), "no such place"),
        (("top", "--type", "moon"), "one of town, region"),
        (("top", "--node", "nonsense"), "no such node"),
        (("top", "--period", "yesterday"), "not a period"),
        (("trend", "T1", "--by", "month"), "year or half or quarter"),
        (("trend", "R1", "--type", "region"), "not of that type"),
    ],
)
def test_what_cannot_be_answered_says_what_could(dci: Dci, published: Path, args: tuple[str, ...], word: str) -> None:
    said = dci(*args)
    assert said.code == 2
    assert word in said.all


def test_a_period_that_is_not_published_is_held(dci: Dci, published: Path) -> None:
    for args in (("top", "--period", "2031"), ("compare", "T1", "T2", "--period", "2031")):
        said = dci(*args)
        assert said.code == 1
        assert "not published" in said.all


def test_without_a_published_file_it_says_what_to_do(dci: Dci, home: Path) -> None:
    said = dci("top")
    assert said.code == 2
    assert "nothing is published yet" in said.all and "dci run" in said.all


@pytest.mark.parametrize("args", [("top",), ("trend", "T1"), ("compare", "T1", "T2")])
def test_they_load_nothing_heavy(published: Path, args: tuple[str, ...]) -> None:
    loaded, said = modules(published, *args)
    assert "duckdb" in loaded, said
    assert not loaded & {*HEAVY, "altair", "vl_convert", "shapely", "numpy"}, said
