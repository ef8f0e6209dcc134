"""Calibration: facts become conditions, cells meet them, spans become months, and the real profile misses nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.cli import calibrated
from dci_pipeline.feeds.calibration import atlas, blocks, facts, months
from dci_pipeline.feeds.calibration.collected import Collected
from dci_pipeline.feeds.calibration.reading import Reading
from dci_pipeline.feeds.calibration.risers import rank_gains
from dci_pipeline.feeds.calibration.solve import proportional, solve
from dci_pipeline.feeds.calibration.targets import read
from dci_pipeline.feeds.calibration.unknowns import Condition, Row, Unknowns
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work

PROJECT = Path(__file__).resolve().parents[2]
INFINITE = float("inf")


def small_atlas(cities: int = 6) -> atlas.Atlas:
    """Cities c0, c1 … in two provinces P and Q, and a residual of P."""
    codes = [f"{number:02d}" for number in range(cities)]
    places = pl.DataFrame(
        {
            "code": [*codes, "99"],
            "type": ["city"] * cities + ["residual"],
            "name_zh": [f"c{number}" for number in range(cities)] + ["rest"],
        }
    )
    groups = pl.DataFrame({"type": ["province"] * 2, "code": ["p", "q"], "name_zh": ["P", "Q"]})
    rows = [(code, "province", "p" if number % 2 == 0 else "q", "1") for number, code in enumerate(codes)]
    membership = pl.DataFrame(
        [*rows, ("99", "province", "p", "1")], schema=["place", "group_type", "group", "primary"], orient="row"
    )
    return atlas.atlas(places, groups, membership, ["city"])


def small_reading(known: atlas.Atlas, **settings: object) -> Reading:
    unknowns = Unknowns(len(known.codes), {"x": ["2018", "2019"]}, {}, {"x": {"x": 1.0}})
    kinds = {"nation": [], "province": ["province"], "city": []}
    return Reading(known, unknowns, kinds, {}, {"all": ""}, {}, settings)


def values(*rows: tuple[str, str, str, str, str, str]) -> pl.DataFrame:
    schema = ["exhibit_id", "entity_type", "entity_zh", "period", "measure", "value"]
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(subject=pl.lit("x"))


def solved(rows: pl.DataFrame, known: atlas.Atlas, **settings: object) -> tuple[Reading, np.ndarray, tuple]:
    reading = small_reading(known, **settings)
    collected = Collected(reading, np.linspace(1.0, 2.0, reading.unknowns.size))
    read(collected, facts.printed(rows))
    start = proportional(collected.prior, collected.conditions, rounds=20)
    found = solve(start, collected.conditions)
    return reading, found.cells, found.misses


def test_facts_are_read_with_their_bounds_and_digits():
    rows = values(
        ("E1", "city", "c0", "2019", "yoy_growth_lower_bound", "0.6"),
        ("E1", "city", "c1", "2019", "yoy_growth", "0.6"),
        ("E1", "city", "c2", "2019", "yoy_growth", "0.545"),
    )
    lower, exact, other = facts.printed(rows)
    assert (lower.measure, lower.bound, lower.value) == ("yoy_growth", "lower", 0.6)
    # the list is printed to a tenth of a per cent: the nought of 60.0 % is lost in 0.6
    assert exact.digits == other.digits == 3
    assert exact.half_digit == pytest.approx(0.0005)


def test_external_values_are_no_facts():
    rows = values(("E1", "city", "c0", "2019", "total", "1")).with_columns(subject=pl.lit("external"))
    assert facts.printed(rows) == []


def test_a_small_case_meets_all_its_facts():
    known = small_atlas()
    rows = values(
        ("E1", "nation", "all", "2019", "total", "100.0"),
        ("E1", "nation", "all", "2019", "yoy_growth", "0.50"),
        ("E2", "city", "c3", "2019", "rank", "1"),
        ("E2", "city", "c3", "2019", "rank_change", "2"),
        ("E2", "city", "c0", "2019", "rank", "2"),
        ("E3", "province", "Q", "2019", "share", "0.62"),
        ("E4", "city", "c1", "2019", "growth_rank", "1"),
        ("E4", "city", "c1", "2019", "yoy_growth", "1.25"),
    )
    reading, cells, misses = solved(rows, known)
    assert misses == ()
    now, before = (reading.unknowns.grid(cells, "x", year) for year in ("2019", "2018"))
    assert now.sum() == pytest.approx(100, abs=0.05)
    assert now.sum() / before.sum() - 1 == pytest.approx(0.5, abs=0.005)
    assert list(np.argsort(-now[:6])[:2]) == [3, 0]
    assert int((before[:6] > before[3]).sum()) == 2
    assert now[1:6:2].sum() / now.sum() == pytest.approx(0.62, abs=0.005)
    growth = now[:6] / before[:6] - 1
    assert growth[1] == pytest.approx(1.25, abs=0.005)
    assert np.delete(growth, 1).max() < growth[1]


def test_facts_that_exclude_each_other_are_told():
    rows = values(("E1", "city", "c0", "2019", "total", "10.0"), ("E2", "city", "c0", "2019", "total", "20.0"))
    _, _, misses = solved(rows, small_atlas())
    assert len(misses) == 1
    assert "c0" in misses[0].label


def test_unknown_names_are_left_alone():
    known = small_atlas()
    reading = small_reading(known)
    collected = Collected(reading, np.ones(reading.unknowns.size))
    read(collected, facts.printed(values(("E1", "city", "nowhere|c1", "2019", "rank", "1"))))
    assert collected.conditions == []
    assert len(collected.unread) == 1


def test_rises_come_out_exactly():
    known = small_atlas(40)
    reading = small_reading(known)
    rng = np.random.default_rng(3)
    cells = np.exp(rng.standard_normal(reading.unknowns.size))
    wanted = {"c4": 12, "c9": 11, "c17": 9, "c30": 9}
    rows = values(
        *(("E1", "city", name, "2019", "rank_change", str(rise)) for name, rise in wanted.items()),
        *(("E1", "city", name, "2019", "rank_gain_rank", str(at)) for at, name in enumerate(wanted, 1)),
    )
    conditions = rank_gains(reading, cells, facts.printed(rows))
    found = solve(proportional(cells, conditions, rounds=200), conditions)
    assert found.misses == ()
    ranks = [(-reading.unknowns.grid(found.cells, "x", year)[:40]).argsort().argsort() + 1 for year in ("2018", "2019")]
    gained = ranks[0] - ranks[1]
    assert {name: int(gained[known.names.index(name)]) for name in wanted} == wanted
    others = [int(gain) for name, gain in zip(known.names, gained, strict=False) if name not in wanted]
    assert max(others) < min(wanted.values())


def test_fixed_cells_stay():
    row = Row(np.array([0, 1]), np.ones(2))
    conditions = [Condition(row, 10.0, 10.0, "sum")]
    fixed = np.array([True, False])
    prior = np.array([1.0, 5.0])
    found = solve(proportional(prior, conditions, rounds=30, fixed=fixed), conditions, fixed=fixed)
    assert found.cells == pytest.approx([1.0, 9.0])
    assert found.misses == ()


SPANS = {"a": ["2015-01", "2015-03"], "b": ["2015-04", "2015-12"], "c": ["2016-01", "2016-12"]}


def test_a_path_runs_through_its_means():
    known = months.calendar("2015-01", "2016-12", SPANS)
    season = [1.0, 0.8, 1.1, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.1]
    path = months.national_path(known, {"levels": {"a": 84.4, "b": 100, "c": 260}, "season": season})
    assert [path[at].mean() for at in known.spans.values()] == pytest.approx([84.4, 100, 260], rel=1e-12)
    assert path.min() > 0


@given(
    st.lists(st.tuples(*[st.floats(0.01, 1.0)] * 3), min_size=2, max_size=8),
    st.lists(st.floats(0.5, 20.0), min_size=24, max_size=24),
)
def test_months_keep_sums_and_means(shares, national):
    known = months.calendar("2015-01", "2016-12", SPANS)
    spans = list(known.spans.values())
    parts = np.array(shares)
    parts = parts / parts.sum(axis=0)
    total = np.array(national)
    found = months.spread(total, spans, parts)
    assert found.min() >= 0
    assert found.sum(axis=0) == pytest.approx(total, rel=1e-9)
    for number, at in enumerate(spans):
        assert found[:, at].sum(axis=1) / total[at].sum() == pytest.approx(parts[:, number], rel=1e-9)


def test_shares_are_completed_backwards_between_and_after():
    known = {"b": np.array([0.5, 0.5]), "d": np.array([0.4, 0.6])}
    found = months.completed(known, ["a", "b", "c", "d", "e"])
    assert found.sum(axis=0) == pytest.approx(np.ones(5))
    assert found[0, 0] > 0.5
    assert found[:, 2] == pytest.approx([0.45, 0.55])
    assert found[:, 4] == pytest.approx([0.4, 0.6])


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=5), st.floats(0.05, 0.95))
def test_parts_of_a_value_add_up(cells, share):
    grid = np.array(cells)[:, None]
    one, two = blocks.split(grid, np.tile([share, 1 - share], (len(cells), 1)))
    assert (one + two == np.rint(grid).astype(np.int64)).all()
    assert min(one.min(), two.min()) >= 0


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[int, calibrated.Calibrated]:
    folder = tmp_path_factory.mktemp("report")
    work = Work(Settings(warehouse=folder / "wh", contracts=PROJECT / "data_contracts", engine="polars"), "dci")
    return {
        seed: calibrated.calibrate(work, folder / str(at), form="parquet", seed=seed) for at, seed in enumerate((7, 8))
    }


@pytest.mark.slow
def test_the_report_is_solved_without_a_miss(report: dict[int, calibrated.Calibrated]):
    assert {seed: [miss.label for miss in made.misses] for seed, made in report.items()} == {7: [], 8: []}


@pytest.mark.slow
def test_seeds_differ_in_bytes_and_agree_in_the_nation(report: dict[int, calibrated.Calibrated]):
    at = report[7].months.index("2019-06")
    # feeds whose national total of a month is given; of the others only the weighted level is
    for feed, measure in (
        ("cloud_usage", "usage_units"),
        ("mobile_traffic", "bytes"),
        ("transactions", "transaction_count"),
    ):
        totals = [
            sum(int(block.measures[measure][:, at].sum()) for block in made.blocks[feed]) for made in report.values()
        ]
        assert totals[0] == pytest.approx(totals[1], rel=1e-5)
    first, second = (made.blocks["transactions"][0].measures["transaction_count"] for made in report.values())
    assert not np.array_equal(first, second)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(report: dict[int, calibrated.Calibrated], tmp_path: Path):
    made = report[7]
    again = calibrated.calibrate(made.work, tmp_path, form="parquet", seed=7)
    from dci_pipeline.cli.partners import Request

    request = Request("transactions", "pay_b", made.periods[40])
    assert made.make(request).path.read_bytes() == again.make(request).path.read_bytes()
