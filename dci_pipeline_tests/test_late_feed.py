"""A feed that is late as a whole, in an index that takes provisional numbers (METHOD section 6)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dci_pipeline import plan, refresh
from dci_pipeline.defs.launch import run_in_process
from dci_pipeline.periods import Period, parse, parse_span
from dci_pipeline.work import Outcome, Work
from dci_pipeline_tests.small_worlds import FEEDS, FIRST, LEAVES, PLACES, SECOND, Towns, collected_since, drawn, land

pytestmark = pytest.mark.slow

QUARTERS = parse_span("2018Q1:2019Q4", "quarter")
LAST = QUARTERS[-1]
VALUES = drawn(QUARTERS, seed=3)
TABLES = ("ranking_year", "inequality_year", "effective_weights_year", "uncertainty_year")
UNDER = {"web": {"visits", "total"}, "shop": {"orders", "amount", "pay", "total"}}


@dataclass(frozen=True)
class Late:
    """A world of which something has not arrived."""

    work: Work
    report: refresh.Report
    folder: Path

    def table(self, name: str, period: Period, *keys: str) -> list[dict[str, Any]]:
        return self.work.warehouse.read("marts", name, period).sort(*keys).to_dicts()

    def shares(self, period: Period, leaf: str) -> dict[str, dict[str, Any]]:
        rows = self.work.warehouse.read("normalise", "shares", period).filter(pl.col("indicator") == leaf)
        return {str(row["place"]): row for row in rows.iter_rows(named=True)}


def towns(policy: str = "provisional") -> Towns:
    return Towns([FIRST], QUARTERS, VALUES, late_feed=policy, dropped=TABLES)


def world(folder: Path, missing: Sequence[tuple[str, Period]], *, engine: bool = False) -> Late:
    work = towns().write(folder)
    land(work, folder / "files", VALUES, QUARTERS, without=missing)
    ready, waiting = refresh.delivered_periods(work)
    assert (ready, waiting) == (QUARTERS, {})
    run = run_in_process if engine else refresh.run_direct
    return Late(work, run(work, QUARTERS), folder)


CASES = {
    "the whole feed": ("web", [("web_a", LAST)]),
    "one of two partners": ("shop", [("shop_b", LAST)]),
    "two quarters running": ("web", [("web_a", QUARTERS[-2]), ("web_a", LAST)]),
}


@pytest.fixture(scope="module", params=sorted(CASES))
def late(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Late]:
    feed, missing = CASES[request.param]
    return feed, world(tmp_path_factory.mktemp("late"), missing)


def outcome(found: Late, stage: str, name: str, period: Period) -> Outcome:
    return next(item for item in found.report.outcomes if (item.key, item.period) == ((stage, name), period))


def test_the_period_is_published(late: tuple[str, Late]) -> None:
    _, found = late
    assert found.report.held == {}
    assert found.work.warehouse.data_version("marts", "index_quarter", LAST) is not None


def test_the_estimate_is_last_year_moved_on(late: tuple[str, Late]) -> None:
    """x_t = x_(t-4) * X_(t-1) / X_(t-5), where X_(t-1) may itself be provisional."""
    feed, found = late
    for leaf in FEEDS[feed][0]:
        now, base = found.shares(LAST, leaf), found.shares(LAST.year_before(), leaf)
        before, then = (found.shares(item, leaf) for item in (LAST.shift(-1), LAST.shift(-1).year_before()))
        moved = float(str(before["T1"]["total"])) / float(str(then["T1"]["total"]))
        for place in PLACES:
            assert now[place]["value"] is None
            assert now[place]["obs_status"] == "P"
            expected = (VALUES[LAST.year_before(), place, leaf] or 0) * moved
            assert float(str(now[place]["estimate"])) == pytest.approx(expected, rel=1e-12)
            assert base[place]["value"] == VALUES[LAST.year_before(), place, leaf]
        assert math.fsum(float(str(row["share"])) for row in now.values()) == pytest.approx(1, rel=1e-12)


def test_rows_under_the_late_feed_are_provisional_and_the_others_final(late: tuple[str, Late]) -> None:
    feed, found = late
    for table, period in (("index_quarter", LAST), ("index_half", LAST.year()), ("index_year", LAST.year())):
        rows = found.table(table, period, "entity_type", "entity_code", "node")
        rows = [row for row in rows if row.get("half") in (None, "2019H2")]
        assert {row["node"] for row in rows} == {"total", "pay", "visits", "orders", "amount"}
        for row in rows:
            expected = ("P", "provisional") if row["node"] in UNDER[feed] else ("A", "final")
            assert (row["obs_status"], row["maturity"], row["imputed_share"]) == (*expected, 0.0), row
    first = found.table("index_half", LAST.year(), "half")[0]
    assert (first["half"], first["maturity"]) == ("2019H1", "final")
    contributions = found.table("contribution_quarter", LAST, "node")
    assert {row["maturity"] for row in contributions if row["node"] in UNDER[feed]} == {"provisional"}


def test_what_is_missing_is_said_and_does_not_block(late: tuple[str, Late]) -> None:
    feed, found = late
    stock = outcome(found, "feeds", feed, LAST)
    assert stock.failures == ()
    assert [(check.name, check.passed, check.severity) for check in stock.checks] == [
        ("completeness", False, "warning")
    ]
    quality = {row["partner"]: row for row in found.table("quality_quarter", LAST, "partner")}
    assert set(quality) == {"web_a", "shop_a", "shop_b"}
    absent = {"web": {"web_a"}, "shop": {"shop_b"}}[feed]
    for partner, row in quality.items():
        arrived = partner not in absent
        assert (row["delivery_sha256"] is not None, row["rows"]) == (arrived, len(PLACES) if arrived else 0)
        assert row["places_present"] == (6 if arrived else 0)


def test_when_the_feed_arrives_nothing_of_the_estimate_is_left(late: tuple[str, Late], tmp_path: Path) -> None:
    """The last test over the world: it lands what was missing."""
    _, found = late
    land(found.work, found.folder / "late", VALUES, QUARTERS)
    out_of_date = plan.stale(found.work, QUARTERS)
    assert LAST in out_of_date["marts", "index_quarter"]
    report = refresh.run_direct(found.work, QUARTERS)
    assert report.held == {}
    for table, period in (("index_quarter", LAST), ("index_year", LAST.year()), ("contribution_quarter", LAST)):
        rows = found.table(table, period, "entity_type", "entity_code", "node")
        assert {(row["obs_status"], row["maturity"]) for row in rows} == {("A", "final")}
    whole = world(tmp_path / "whole", [])
    assert parts(found.work) == parts(whole.work)
    assert plan.stale(found.work, QUARTERS) == {}


def parts(work: Work) -> dict[str, bytes]:
    """Every committed file but the deliveries, by its path."""
    home = work.warehouse.layout.home
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in sorted(home.rglob("part.parquet"))}


def test_the_engine_does_the_same(tmp_path: Path) -> None:
    direct = world(tmp_path / "direct", [("web_a", LAST)])
    through = world(tmp_path / "engine", [("web_a", LAST)], engine=True)
    assert through.report.held == {}
    assert parts(through.work) == parts(direct.work)
    assert plan.stale(through.work, QUARTERS) == {}
    for found in (direct, through):
        land(found.work, found.folder / "late", VALUES, [LAST])
    again = run_in_process(through.work, [LAST])
    refresh.run_direct(direct.work, [LAST])
    assert again.held == {}
    assert parts(through.work) == parts(direct.work)
    assert plan.stale(through.work, QUARTERS) == {}


def test_a_stand_in_inside_the_reference_of_a_link(tmp_path: Path) -> None:
    """The link is made with the stand-in, and once more when the feed arrives."""
    quarters = parse_span("2018Q1:2020Q4", "quarter")
    values = drawn(quarters, seed=4)
    index = Towns([FIRST, SECOND], quarters, values, late_feed="provisional", dropped=TABLES)
    late, whole = (index.write(tmp_path / name) for name in ("late", "whole"))
    land(late, tmp_path / "late/files", values, quarters, without=[("web_a", LAST)])
    land(whole, tmp_path / "whole/files", values, quarters)
    start = parse(SECOND.start, "quarter")
    assert LAST in parse_span(SECOND.reference, "quarter")
    assert refresh.run_direct(late, quarters).held == {}
    before = late.warehouse.data_version("index", "links", start)
    assert before is not None
    land(late, tmp_path / "late/again", values, [LAST])
    assert ("index", "links") in plan.stale(late, quarters)
    assert refresh.run_direct(late, quarters).held == {}
    assert late.warehouse.data_version("index", "links", start) != before
    refresh.run_direct(whole, quarters)
    assert parts(late) == parts(whole)


def test_without_history_the_period_waits_and_says_for_what(tmp_path: Path) -> None:
    early = QUARTERS[4]
    work = towns().write(tmp_path)
    land(work, tmp_path / "files", VALUES, QUARTERS[:5], without=[("web_a", early)])
    ready, waiting = refresh.delivered_periods(work)
    assert ready == QUARTERS[:4]
    assert waiting == {early: "waits for web from web_a"}
    # Named all the same, it is held with what the estimate would need.
    report = refresh.run_direct(work, QUARTERS[:5])
    assert set(report.held) == {early, early.year()}
    assert "no history to stand in for it" in report.held[early]
    assert "no shares of 2017Q4" in report.held[early]
    assert work.warehouse.data_version("index", "points", early) is None


def test_an_index_that_waits_makes_no_estimate(tmp_path: Path) -> None:
    work = towns("waits").write(tmp_path)
    land(work, tmp_path / "files", VALUES, QUARTERS, without=[("web_a", LAST)])
    ready, waiting = refresh.delivered_periods(work)
    assert (ready, waiting) == (QUARTERS[:-1], {LAST: "waits for web from web_a"})
    report = refresh.run_direct(work, QUARTERS)
    assert list(report.held) == [LAST]
    assert "no delivery" in report.held[LAST]


def test_a_leaf_outside_the_basket_needs_no_history(tmp_path: Path) -> None:
    """`streams` is collected from 2019 on only; nobody weighs it yet, so it holds nothing up."""
    since = parse("2019Q1", "quarter")
    work = towns().write(tmp_path)
    collected_since(tmp_path, "streams", since)
    assert work.framework.feeds["web"].by_name["streams"].collected_since == "2019Q1"
    values = {key: x if key[0] >= since or key[2] != "streams" else None for key, x in VALUES.items()}
    land(work, tmp_path / "files", values, QUARTERS, without=[("web_a", LAST)])
    report = refresh.run_direct(work, QUARTERS)
    assert report.held == {}
    found = Late(work, report, tmp_path)
    assert {row["obs_status"] for row in found.shares(LAST, "visits").values()} == {"P"}
    assert {row["obs_status"] for row in found.shares(LAST, "streams").values()} <= {"E", "M"}
    rows = found.table("index_quarter", LAST, "entity_type", "entity_code", "node")
    assert {row["obs_status"] for row in rows if row["node"] == "total"} == {"P"}
    assert set(LEAVES) - {"streams"} <= {row["node"] for row in rows}
