"""A delivery for an old month arrives again: what depends on it follows, and nothing else moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from dci_pipeline import refresh
from dci_pipeline.periods import Period
from dci_pipeline.warehouse import deliveries
from dci_pipeline_tests.conftest import MONTHS, World

pytestmark = pytest.mark.slow

FIVE = [*MONTHS[:3], *MONTHS[12:14]]
REFERENCE, HELD, AFTER = MONTHS[1], MONTHS[12], MONTHS[13]
LEAF = "mobile_traffic"


def land_again(
    world: World, feed: str, partner: str, period: Period, folder: Path, change: Callable[[str], str]
) -> None:
    """A partner's delivery once more, its text changed."""
    work = world.work
    contract = work.framework.feeds[feed]
    before = deliveries.current(work.warehouse.layout, feed, period)[partner]
    text = (before.folder / before.parts[0].name).read_bytes().decode(contract.encoding)
    path = folder / f"again_{feed}_{partner}_{period.key}.csv"
    path.write_bytes(change(text).encode(contract.encoding))
    deliveries.land(work.warehouse.layout, [path], contract=contract, cadence="month", partner=partner, period=period)


def doubled(text: str) -> str:
    frame = pl.read_csv(text.encode(), infer_schema=False)
    return frame.with_columns((pl.col("bytes").cast(pl.Int64) * 2).cast(pl.String)).write_csv()


def nowhere(text: str) -> str:
    return pl.read_csv(text.encode(), infer_schema=False).with_columns(city=pl.lit("nowhere")).write_csv()


@pytest.fixture(scope="module")
def restated(build_narrow: Callable[..., World], tmp_path_factory: pytest.TempPathFactory) -> World:
    """A month of the reference restated, and a later month's delivery replaced by a worthless one."""
    folder = tmp_path_factory.mktemp("restated")
    world = build_narrow(folder / "warehouse", months=FIVE)
    partner = next(iter(world.work.framework.feeds[LEAF].partners))
    land_again(world, LEAF, partner, REFERENCE, folder, doubled)
    land_again(world, "transactions", "pay_a", HELD, folder, nowhere)
    return World(world.work, FIVE, refresh.run_direct(world.work, FIVE))


def nation(world: World, period: Period) -> dict[str, object]:
    table = world.read("marts", "index_month", [period])
    return table.filter((pl.col("entity_type") == "nation") & (pl.col("node") == LEAF)).row(0, named=True)


def test_the_worthless_delivery_holds_its_month_and_is_named(restated: World) -> None:
    assert list(restated.report.held) == [HELD]
    assert "city.known of pay_a" in restated.report.held[HELD]
    quality = restated.read("marts", "quality_month", [HELD]).filter(pl.col("partner") == "pay_a").row(0, named=True)
    assert quality["rejected_rows"] == quality["rows"] > 0
    assert quality["checks_failed"] == 1


def test_a_held_month_keeps_its_last_good_values_and_follows_the_reference(restated: World) -> None:
    totals = restated.read("normalise", "totals", FIVE).filter(pl.col("indicator") == LEAF)
    value = dict(totals.select("period", "total").iter_rows())
    mean = sum(value[period.start] for period in FIVE[:3]) / 3
    for period in FIVE:
        assert nation(restated, period)["points"] == pytest.approx(100 * value[period.start] / mean, rel=1e-12)


def test_growth_is_the_ratio_of_what_is_published(restated: World) -> None:
    ratio = nation(restated, AFTER)["points"] / nation(restated, HELD)["points"]
    assert nation(restated, AFTER)["growth_mom"] == pytest.approx(ratio - 1, rel=1e-12)


def test_a_restated_month_moves_only_what_depends_on_it(build_narrow: Callable[..., World], tmp_path: Path) -> None:
    world = build_narrow(tmp_path / "warehouse", months=FIVE)
    land_again(world, LEAF, next(iter(world.work.framework.feeds[LEAF].partners)), AFTER, tmp_path, doubled)
    report = refresh.run_direct(world.work, FIVE)
    written = {
        (key, str(period))
        for outcome in report.outcomes
        if outcome.state == "written"
        for key, period in [("/".join(outcome.key), outcome.period)]
    }
    assert written == {
        (f"validation/{LEAF}", "2019-02"),
        ("indicators/values", "2019-02"),
        ("normalise/shares", "2019-02"),
        ("normalise/totals", "2019-02"),
        ("index/points", "2019-02"),
        ("marts/index_month", "2019-02"),
        ("marts/contribution_month", "2019-02"),
        ("marts/quality_month", "2019-02"),
        ("marts/index_year", "2019"),
        ("marts/catalogue", "None"),
    }
