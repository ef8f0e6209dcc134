"""Ten published numbers drawn at random, each counted again from what `dci explain --json` prints and nothing else."""

from __future__ import annotations

import json
import math
import random
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from dci_pipeline import refresh
from dci_pipeline_tests.cli.conftest import Dci
from dci_pipeline_tests.linked_door import QUARTERS
from dci_pipeline_tests.small_worlds import FIRST, INDEX, SECOND, Towns, drawn, land
from dci_pipeline_tests.trail.recount import Recount

DROPPED = ("ranking_year", "inequality_year", "effective_weights_year", "uncertainty_year")
Row = dict[str, Any]


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four years over a link, a town so small that the nation can do without it, rejected rows suffered; its folder."""
    folder = tmp_path_factory.mktemp("towns")
    values = {key: (x or 0) // (20 if key[1] == "T2" else 1) for key, x in drawn(QUARTERS, seed=8).items()}
    world = Towns([FIRST, SECOND], QUARTERS, values, dropped=DROPPED)
    work = world.write(folder)
    for feed in ("web", "shop"):
        path = folder / "contracts" / INDEX / "feeds" / f"{feed}.yaml"
        raw = yaml.safe_load(path.read_text("utf-8"))
        rules = next(item for item in raw["customProperties"] if item["property"] == "thresholds")["value"]
        rules["every_rule"]["at_most"] = 50
        path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    land(work, folder / "files", world.values, QUARTERS)
    assert refresh.run_direct(work, QUARTERS).held == {}
    return folder


@pytest.fixture
def published(home: Path, towns: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DCI_WAREHOUSE", str(towns / "warehouse"))
    monkeypatch.setenv("DCI_CONTRACTS", str(towns / "contracts"))
    monkeypatch.setenv("COLUMNS", "400")
    return towns


def rows(folder: Path) -> list[tuple[str, Row]]:
    """Ten rows of the published file, with the period as the command takes it."""
    found: list[tuple[str, Row]] = []
    with duckdb.connect(str(folder / "warehouse" / f"{INDEX}.duckdb"), read_only=True) as connection:
        for span in ("quarter", "half", "year"):
            told = connection.sql(
                f"SELECT * FROM index_{span} WHERE points IS NOT NULL AND node <> 'streams' ORDER BY ALL"
            )
            for values in told.fetchall():
                row = dict(zip(told.columns, values, strict=True))
                key = row[span]
                text = f"{key.year}Q{key.month // 3 + 1}" if span == "quarter" else str(key)
                found.append((text, row))
    # Three of the last two years for every one of the first two, which have little to compare with.
    return random.Random(20).sample([item for item in found if item[0] >= "2020"], 8) + random.Random(21).sample(
        found, 2
    )


def near(again: Fraction | float | None, said: float | None, *, of: float = 1.0) -> bool:
    if again is None or said is None:
        return again is None and said is None
    return math.isclose(float(again), said, rel_tol=1e-12, abs_tol=1e-12 * of)


def test_ten_numbers_follow_from_the_json(dci: Dci, published: Path) -> None:
    compounded = 0
    for period, row in rows(published):
        place = f"{row['entity_type']}:{row['entity_code']}"
        said = dci("explain", place, "--node", row["node"], "--period", period, "--json")
        assert said.code == 0, said.all
        told = json.loads(said.out)
        again = Recount(told)
        where = (place, row["node"], period)
        # The number, its parts and its rank.
        assert near(again.level("now"), row["points"], of=row["points"]), where
        assert near(again.level("now", composite=True), row["composite_points"], of=row["points"]), where
        assert near(again.share("now"), row["share"]), where
        assert near(again.level("now") / Fraction(told["nation"]["points"]), row["points_share"]), where
        assert again.rank("values") == row["rank"], where
        # Weights are products of the experts' alphas, and those of the node add to 1.
        for link in told["links"]:
            weights = again.basket(link)
            assert all(near(weights[item["indicator"]][0], item["weight"]) for item in link["indicators"]), where
            assert not weights or near(sum((inside for _, inside in weights.values()), Fraction(0)), 1.0), where
        # Growth, and the change split without a rest.
        assert near(again.growth() if told["base"] else None, row["growth_yoy"]), where
        for item in told["growth"]:
            value = (item["now"] / item["then"]) ** (1 / item["years"]) - 1 if item["then"] else None
            assert near(value, row[item["measure"]]) and item["value"] == row[item["measure"]], (where, item)
            compounded += value is not None
        change = told["change"]["points"]
        if change is not None:
            split = {name: again.contribution(name) for name in told["change"]["by_node"][0]["indicators"]}
            effect = sum((again.link_effect(name) for name in split), Fraction(0))
            whole = sum(split.values(), Fraction(0)) + effect
            assert near(whole, row["points"] - told["base"]["points"], of=row["points"]), where
            assert near(effect, row["link_effect_points"], of=row["points"]), where
    assert compounded >= 5


@pytest.mark.parametrize(
    ("period", "lines"),
    [("2021Q2", ["growth on 2021Q1"]), ("2021", ["growth a year since 2018", "growth a year since 2019"])],
)
def test_every_growth_of_the_table_is_printed(dci: Dci, published: Path, period: str, lines: list[str]) -> None:
    for place in ("T1", "region:east", "nation:N"):
        said = dci("explain", place, "--node", "pay", "--period", period)
        assert all(line in said.out for line in lines), said.out
        told = json.loads(dci("explain", place, "--node", "pay", "--period", period, "--json").out)
        names = {item["number"] for item in told["checks"]}
        assert names >= {item["measure"] for item in told["growth"] if item["value"] is not None}
        assert all(abs(item["difference"]) <= 1e-9 for item in told["checks"])


def test_rejected_rows_are_told_by_place_where_they_name_one(
    dci: Dci, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(published, tmp_path / "copy")
    monkeypatch.setenv("DCI_WAREHOUSE", str(tmp_path / "copy" / "warehouse"))
    monkeypatch.setenv("DCI_CONTRACTS", str(tmp_path / "copy" / "contracts"))
    path = tmp_path / "copy" / "files" / "web_web_a_2021Q3.csv"
    lines = path.read_text("utf-8").splitlines()
    # A number that is none, of one town, and a name that nobody knows.
    at = next(number for number, line in enumerate(lines) if line.startswith("T2,"))
    lines[at] = "T2,many,12"
    lines.append("Atlantis,12,12")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert dci("land", path, "--feed", "web", "--partner", "web_a", "--quarter", "2021Q3").code == 0
    assert dci("run", "--direct").code == 0

    def of(place: str) -> dict[str, Any]:
        said = dci("explain", place, "--node", "total", "--period", "2021Q3", "--deliveries", "--json")
        told: list[Row] = json.loads(said.out)["deliveries"]
        return next(item for item in told if item["feed"] == "web" and item["period"] == "2021Q3")

    for place, rejected in (("T2", 1), ("T1", 0), ("region:east", 1), ("region:west", 0), ("nation:N", 1)):
        found = of(place)
        assert (found["rows_rejected"], found["rejected_of_place"], found["rejected_unplaced"]) == (2, rejected, 1), (
            place
        )
    printed = dci("explain", "T2", "--node", "total", "--period", "2021Q3", "--deliveries").out
    assert "2, 1" in printed and "1 rejected row of these name" in printed
