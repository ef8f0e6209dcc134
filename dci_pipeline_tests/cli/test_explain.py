"""`dci explain`: found by any name, printed compactly, whole as JSON, and quick to load."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dci_pipeline import refresh
from dci_pipeline_tests.cli.conftest import Dci
from dci_pipeline_tests.cli.test_help import HEAVY, modules
from dci_pipeline_tests.linked_door import QUARTERS
from dci_pipeline_tests.small_worlds import FIRST, Towns, drawn, land

PERIODS = QUARTERS[:8]


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two years of the tiny index; its folder."""
    folder = tmp_path_factory.mktemp("towns")
    dropped = ("ranking_year", "inequality_year", "effective_weights_year", "uncertainty_year")
    world = Towns([FIRST], PERIODS, drawn(PERIODS), dropped=dropped)
    work = world.write(folder)
    land(work, folder / "files", world.values, PERIODS)
    assert refresh.run_direct(work, PERIODS).held == {}
    return folder


@pytest.fixture
def published(home: Path, towns: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a person who looks at the tiny index."""
    monkeypatch.setenv("DCI_WAREHOUSE", str(towns / "warehouse"))
    monkeypatch.setenv("DCI_CONTRACTS", str(towns / "contracts"))
    return home


def test_the_split_is_printed_and_adds_up(dci: Dci, published: Path) -> None:
    said = dci("explain", "T1", "--node", "total", "--period", "2019")
    assert said.code == 0
    assert "Split of the change on 2018" in said.out
    assert "2019Q1 to 2019Q4, 4 periods, compared with 2018Q1 to 2018Q4" in said.out
    for text in ("T1", "total", "visits", "pay", "orders", "amount", "rank", "of 6", "nothing remains"):
        assert text in said.out
    assert "web" in said.out and "shop" in said.out and "shop_web" not in said.out


@pytest.mark.parametrize("node", ["pay", "Pay", "付", "PAY"])
def test_a_node_is_found_by_its_names(dci: Dci, published: Path, node: str) -> None:
    assert json.loads(dci("explain", "T1", "--node", node, "--period", "2019", "--json").out)["node"]["node"] == "pay"


def test_the_json_has_every_digit_and_says_how(dci: Dci, published: Path) -> None:
    said = dci("explain", "T1", "--period", "2019", "--json")
    told = json.loads(said.out)
    assert told["entity"]["code"] == "T1" and told["node"]["node"] == "total" and told["base_period"] == "2018"
    change = told["change"]["points"]
    assert change["exact"] and change["change"] == told["number"]["points"] - told["base"]["points"]
    assert set(told["number"]) >= {"points", "share", "composite_points", "growth_yoy", "rank", "rank_change"}
    assert {"points", "share", "growth_yoy", "rank", "contribution_points"} <= set(told["formulas"])
    assert {item["feed"] for item in told["deliveries"]} == {"web", "shop"}
    assert "rows_of_place" not in told["deliveries"][0]


def test_deliveries_are_listed_on_request(dci: Dci, published: Path) -> None:
    said = dci("explain", "T1", "--node", "pay", "--period", "2019Q1", "--deliveries")
    assert "shop_shop_a_2019Q1.csv" in said.out.replace("\n", "")
    assert "of the place" in said.out


@pytest.mark.parametrize("place", ["east", "region:east", "N", "nation:N", "全国", "Nation"])
def test_groups_and_the_nation_are_explained_too(dci: Dci, published: Path, place: str) -> None:
    told = json.loads(dci("explain", place, "--period", "2019H1", "--json").out)
    assert told["change"]["points"]["exact"]
    assert told["entity"]["type"] in ("region", "nation")
    # Halves have no contribution table: the split in the root is calculated.
    assert not any(line["in_root"]["published"] for line in told["change"]["by_node"])


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["T9", "--period", "2019"], 2, "no such place"),
        (["T1", "--period", "2019", "--node", "totl"], 2, "expected total"),
        (["T1", "--period", "2019", "--type", "region"], 2, "not of that type"),
        (["T1", "--period", "last year"], 2, "not a period"),
        (["T1", "--period", "2019-06"], 2, "not a period"),
        (["T1", "--period", "2024"], 1, "a period of 2018 to 2019"),
        (["T1", "--period", "2019", "--node", "streams"], 2, "nothing is published of this place at this node"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    dci: Dci, published: Path, args: list[str], code: int, says: str
) -> None:
    said = dci("explain", *args)
    assert said.code == code
    assert says in said.err


def test_a_period_without_a_year_before_has_no_split(dci: Dci, published: Path) -> None:
    said = dci("explain", "T1", "--period", "2018")
    assert said.code == 0 and "No change to split" in said.out
    told = json.loads(dci("explain", "T1", "--period", "2018", "--json").out)
    assert told["base"] is None and told["change"]["points"] is None and told["base_period"] is None


def test_it_loads_nothing_that_takes_time(published: Path) -> None:
    loaded, said = modules(published, "explain", "T1", "--period", "2019", "--json")
    assert '"exact": true' in said
    assert not loaded & {*HEAVY, "dagster", "great_expectations", "pandas", "pyarrow", "duckdb", "numpy", "scipy"}, said
