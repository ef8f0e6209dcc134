"""Places that stop arriving: their shares are carried, then withheld; too many of them hold the month back."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from dci_pipeline import refresh
from dci_pipeline.feeds import encoding
from dci_pipeline.periods import Period, parse
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import MONTHS, Build, Deliveries, Simulated, World, land

pytestmark = pytest.mark.slow

LAST = MONTHS[:8]
GONE, FEED = "510100", "mobile_traffic"


def without(work: Work, files: list[Simulated], places: list[str], feed: str, periods: list[Period]) -> list[Simulated]:
    """The same files but for the rows of some places in one feed and some periods."""
    left: list[Simulated] = []
    contract = work.framework.feeds[feed]
    for item in files:
        if item.feed != feed or item.period not in periods:
            left.append(item)
            continue
        aliases = work.geography.aliases_at(item.period).filter(pl.col("place").is_in(places))["alias"].implode()
        text = item.path.read_bytes().decode(contract.encoding)
        frame = pl.read_csv(text.encode(), infer_schema=False)
        path = item.path.with_name("without_" + item.path.name)
        path.write_bytes(encoding.encode(frame.filter(~pl.col(contract.place.source).is_in(aliases)), contract))
        left.append(Simulated(item.feed, item.partner, item.period, path))
    return left


@pytest.fixture(scope="module")
def carried(narrow: Deliveries, tmp_path_factory: pytest.TempPathFactory) -> World:
    """One place missing in one feed from the fourth month on."""
    contracts, files = narrow
    work = Work(Settings(tmp_path_factory.mktemp("carried"), contracts, "polars"), "dci")
    land(work, without(work, [item for item in files if item.period in LAST], [GONE], FEED, LAST[3:]))
    return World(work, LAST, refresh.run_direct(work, LAST))


def leaf(world: World, period: Period) -> dict[str, object]:
    table = world.read("normalise", "shares", [period])
    return table.filter((pl.col("place") == GONE) & (pl.col("indicator") == FEED)).row(0, named=True)


def test_the_share_last_observed_is_carried(carried: World) -> None:
    observed = leaf(carried, LAST[2])
    for period in LAST[3:]:
        found = leaf(carried, period)
        assert found["value"] is None
        assert found["share"] == pytest.approx(observed["share"], rel=1e-12)
        rows = carried.read("normalise", "shares", [period]).filter(pl.col("indicator") == FEED)
        assert rows["share"].sum() == pytest.approx(1.0, rel=1e-12)
        # x̂ = s/(1 − s) · Σ observed
        share, seen = observed["share"], rows["value"].sum()
        assert found["estimate"] == pytest.approx(share / (1 - share) * seen, rel=1e-12)


def test_after_three_periods_the_row_is_withheld_and_its_estimate_stays_in_the_totals(carried: World) -> None:
    for position, period in enumerate(LAST[3:], start=1):
        table = carried.read("marts", "index_month", [period])
        own = table.filter((pl.col("entity_code") == GONE) & (pl.col("node") == FEED)).row(0, named=True)
        assert own["obs_status"] == ("E" if position <= 3 else "M")
        assert (own["points"] is None) is (position > 3)
        root = table.filter((pl.col("entity_code") == GONE) & (pl.col("node") == carried.work.framework.roots[0]))
        assert root["obs_status"].item() in {"E", "M"}
        nation = table.filter((pl.col("entity_type") == "nation") & (pl.col("node") == FEED)).row(0, named=True)
        assert nation["obs_status"] == "E"
        assert nation["share"] == pytest.approx(1.0, rel=1e-12)
        assert 0 < nation["imputed_share"] < 0.05


def test_a_place_is_withheld_at_the_root_when_too_much_of_it_is_imputed(carried: World) -> None:
    limit = carried.work.framework.place_imputed_limit
    for period in LAST[3:]:
        table = carried.read("index", "points", [period]).filter(pl.col("node") == carried.work.framework.roots[0])
        own = table.filter(pl.col("place") == GONE).row(0, named=True)
        assert (own["obs_status"] == "M") is (own["imputed_share"] > limit)


def test_a_place_that_returns_is_observed_again(narrow: Deliveries, tmp_path: Path) -> None:
    contracts, files = narrow
    work = Work(Settings(tmp_path, contracts, "polars"), "dci")
    months = MONTHS[:5]
    land(work, without(work, [item for item in files if item.period in months], [GONE], FEED, [months[3]]))
    world = World(work, months, refresh.run_direct(work, months))
    assert [leaf(world, period)["obs_status"] for period in months] == ["A", "A", "A", "E", "A"]


def test_too_much_imputed_holds_the_period_back_and_its_year_leaves_it_out(
    narrow: Deliveries, build_narrow: Build, tmp_path: Path
) -> None:
    contracts, files = narrow
    loose = tmp_path / "contracts"
    import shutil

    shutil.copytree(contracts, loose)
    # The coverage check would stop it first: let it pass, to see the limit on what is imputed.
    path = loose / "dci/feeds" / f"{FEED}.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("at_least: 97", "at_least: 10"), encoding="utf-8")
    work = Work(Settings(tmp_path / "warehouse", loose, "polars"), "dci")
    months = MONTHS[:4]
    lost = work.geography.places.filter(pl.col("type") == "city")["code"].to_list()[:150]
    land(work, without(work, [item for item in files if item.period in months], lost, FEED, [months[3]]))
    report = refresh.run_direct(work, months)
    assert list(report.held) == [months[3]]
    assert "too much of the nation is imputed" in report.held[months[3]]
    outcome = next(item for item in report.outcomes if item.key == ("index", "points") and item.period == months[3])
    assert [(check.name, check.severity) for check in outcome.failures] == [("imputed_share", "error")]
    year = work.warehouse.read("marts", "index_year", [parse("2018", "year")])
    assert year["months_covered"].unique().to_list() == [3]


def test_a_missing_delivery_is_waited_for_and_named(build_narrow: Build, tmp_path: Path) -> None:
    def late(files: list[Simulated]) -> list[Simulated]:
        return [item for item in files if (item.partner, item.period) != ("pay_b", MONTHS[3])]

    world = build_narrow(tmp_path, months=MONTHS[:4], change=late)
    ready, waiting = refresh.delivered_periods(world.work)
    assert ready == MONTHS[:3]
    assert waiting == {MONTHS[3]: "waits for transactions from pay_b"}
    assert list(world.report.held) == [MONTHS[3]]
