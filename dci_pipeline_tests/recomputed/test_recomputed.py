"""Every published number again, in plain SQL from the typed deliveries (docs/recomputing.md), in damaged worlds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from dci_pipeline_tests.conftest import World
from dci_pipeline_tests.recomputed import comparing, worlds
from dci_pipeline_tests.recomputed.sources import Connection

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Twice:
    """A world and what was made of its deliveries without the package."""

    world: World
    folder: Path
    con: Connection


@pytest.fixture(scope="module", params=list(worlds.PLANS))
def twice(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Twice:
    folder = tmp_path_factory.mktemp(request.param)
    world = worlds.build(folder, worlds.PLANS[request.param])
    con = comparing.recompute(folder / "data_contracts/dci", folder / "warehouse/dci")
    return Twice(world, folder / "warehouse/dci", con)


@pytest.mark.parametrize("table", worlds.TABLES)
def test_the_published_table_is_what_the_deliveries_say(twice: Twice, table: str) -> None:
    assert comparing.differences(twice.con, twice.folder, table) == []


def test_the_world_is_damaged_as_planned(twice: Twice, request: pytest.FixtureRequest) -> None:
    """Otherwise the comparison says little: rows rejected, places withheld, growth, and only planned months held."""
    plan = worlds.PLANS[request.node.callspec.params["twice"]]
    held = [] if plan.flooded is None else [twice.world.periods[plan.flooded]]
    assert list(twice.world.report.held) == held

    def number(query: str) -> int:
        return twice.con.execute(query).fetchone()[0]  # type: ignore[index]

    deliveries = f"read_json('{twice.folder}/feeds/*/*/*/*/*/delivery.json', columns = {{supersedes: 'TEXT'}})"
    assert number(f"SELECT count(supersedes) FROM {deliveries}") > 3
    rejected = f"'{twice.folder}/validation/*_quarantine/**/*.parquet'"
    assert number(f"SELECT count(DISTINCT rules) FROM read_parquet({rejected}, union_by_name = true)") > 20
    assert number("SELECT count(DISTINCT away) FROM share WHERE away BETWEEN 1 AND 5") == 5
    assert number("SELECT count(*) FROM share WHERE away IS NULL") > 20
    assert number("SELECT count(*) FROM index_rows WHERE obs_status = 'M'") > 100
    assert number("SELECT count(growth) FROM index_rows WHERE cadence = 'year'") > 10_000


def test_a_changed_number_is_seen(twice: Twice) -> None:
    twice.con.execute("UPDATE ranking_rows SET value = value * (1 + 1e-8) WHERE basis = 'points' AND rank = 7")
    found = comparing.differences(twice.con, twice.folder, "ranking_year")
    assert len(found) == 1
    assert "ranking_year.value" in found[0]
