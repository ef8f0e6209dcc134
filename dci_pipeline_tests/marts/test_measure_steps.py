"""The measure tables end to end from indicator values: two years of one index, every place, known by construction."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
import pytest

from dci_pipeline.periods import Period, parse, parse_span
from dci_pipeline.settings import Settings
from dci_pipeline.steps import index, links, normalise, weight
from dci_pipeline.steps.marts import agreement, app_category, effective, inequality, intensive, tracker, uncertainty
from dci_pipeline.work import Outcome, Work
from dci_pipeline_tests.conftest import CONTRACTS

pytestmark = [pytest.mark.slow]

MONTHS = parse_span("2015-01:2016-12", "month")
YEAR = parse("2016", "year")
RUNS: dict[str, tuple[Callable[[Work, Period | None], Outcome], Period]] = {
    "inequality_year": (inequality.of_year, YEAR),
    "intensive_year": (intensive.of_year, YEAR),
    "effective_weights_year": (effective.of_year, YEAR),
    "uncertainty_year": (uncertainty.of_year, YEAR),
    "tracker_month": (tracker.of_period, MONTHS[-1]),
    "tracker_half": (tracker.of_half, YEAR),
    "tracker_year": (tracker.of_year, YEAR),
    "app_category_month": (app_category.of_period, MONTHS[-1]),
    "app_category_half": (app_category.of_half, YEAR),
}


@dataclass(frozen=True)
class Measured:
    work: Work
    outcomes: dict[str, Outcome]

    def read(self, table: str) -> pl.DataFrame:
        return self.work.warehouse.read("marts", table, RUNS[table][1])


def observe(work: Work, month: Period, draw: random.Random) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Values and members of one month; the measure of a leaf grows by its own rate."""
    codes = work.geography.places_at(month)["code"].to_list()
    age = MONTHS.index(month)
    values: list[tuple[object, ...]] = []
    members: list[tuple[object, ...]] = []
    splits = {(item.node, item.column): item for item in work.framework.breakdowns if item.column == "app_category"}
    for number, leaf in enumerate(work.framework.indicators):
        for code in codes:
            volume = int(1000 * draw.uniform(0.5, 5) * (1 + number / 5000) ** age) + 1
            value, own = volume, None
            if leaf.quality is not None:
                own = volume
                value = volume * draw.randint(0, abs(leaf.quality.best - leaf.quality.worst))
            values.append((month.start, code, leaf.node, value, own))
            for (node, column), split in splits.items():
                if node == leaf.node:
                    members += [
                        (month.start, code, node, column, member.of[0], value * (i + 1) // (i + 3))
                        for i, member in enumerate(split.members)
                    ]
    text, whole = pl.String, pl.Int64
    schema = {"period": pl.Date, "place": text, "indicator": text, "value": whole, "volume": whole}
    wide = {"period": pl.Date, "place": text, "indicator": text, "column": text, "member": text, "value": whole}
    return (
        pl.DataFrame(values, schema=schema, orient="row").sort("place", "indicator"),
        pl.DataFrame(members, schema=wide, orient="row").sort("place", "indicator", "column", "member"),
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    work = Work(Settings(tmp_path_factory.mktemp("measured"), CONTRACTS, "polars"), "dci")
    draw = random.Random(20)
    for month in MONTHS:
        stamp = work.warehouse.stamp({"made": "here"})
        for table, frame in zip(("values", "members"), observe(work, month, draw), strict=True):
            work.warehouse.commit("indicators", table, frame, stamp=stamp, period=month)
        normalise.shares(work, month)
        normalise.totals(work, month)
    weight.alphas(work)
    links.links(work)
    for month in MONTHS:
        index.points(work, month)
    return Measured(work, {name: run(work, period) for name, (run, period) in RUNS.items()})


@pytest.mark.parametrize("table", RUNS)
def test_a_table_is_written_once(measured: Measured, table: str) -> None:
    assert measured.outcomes[table].state == "written"
    run, period = RUNS[table]
    assert run(measured.work, period).state == "unchanged"
    dry = run(measured.work.as_dry(), period)
    assert dry.state == "unchanged"
    assert measured.outcomes[table].rows > 0


def entity(frame: pl.DataFrame, code: str) -> pl.DataFrame:
    return frame.filter(pl.col("entity_code") == code)


def nation(measured: Measured) -> str:
    return measured.work.framework.nation["code"]


def test_the_divide_is_the_setting_and_theil_splits_the_nation(measured: Measured) -> None:
    frame = measured.read("inequality_year").filter(pl.col("scope_code") == nation(measured))
    wide = frame.pivot(on="measure", index="node", values="value")
    setting = measured.work.framework.divide.measure
    assert (wide["divide"] == wide[setting]).all()
    assert (wide["theil_within"] + wide["theil_between"] - wide["theil"]).abs().max() < 1e-12
    assert wide["beta"].null_count() == 0
    assert wide["beta"].max() < 0  # values are drawn anew, so they fall back to the mean


def test_bennet_adds_to_the_change_of_points(measured: Measured) -> None:
    from dci_pipeline.steps import spans

    frame = measured.read("intensive_year")
    qualities = {leaf.node for leaf in measured.work.framework.leaves if leaf.quality is not None}
    assert set(frame["node"].unique()) == qualities != set()
    now, before = (spans.span_entities(measured.work, part, at=MONTHS[-1]) for part in (MONTHS[12:], MONTHS[:12]))
    keys = ["entity_type", "entity_code", "node"]
    both = frame.join(now.select(*keys, "points"), on=keys).join(before.select(*keys, base="points"), on=keys)
    off = both["volume_effect"] + both["quality_effect"] - (both["points"] - both["base"])
    assert both.height == frame.height
    assert (off.abs() / (both["points"] + both["base"])).max() < 1e-12
    assert "volume" not in frame.columns


def test_rates_are_weighted_by_volume(measured: Measured) -> None:
    frame = entity(measured.read("intensive_year"), nation(measured))
    values = measured.work.warehouse.read("indicators", "values", MONTHS[12:])
    for leaf in measured.work.framework.leaves:
        if leaf.quality is None:
            continue
        own = values.filter(pl.col("indicator") == leaf.node)
        distance = own["value"].cast(pl.Int128).sum() / own["volume"].sum()
        sign = 1 if leaf.quality.best > leaf.quality.worst else -1
        expected = (leaf.quality.worst + sign * distance) / leaf.quality.per
        assert frame.filter(pl.col("node") == leaf.node)["rate"].item() == pytest.approx(expected, rel=1e-12)


def test_effective_weights_add_to_one_and_are_the_shares_of_composite_points(measured: Measured) -> None:
    from dci_pipeline.steps import spans

    frame = measured.read("effective_weights_year")
    sums = frame.group_by("node").agg(pl.col("omega").sum())
    assert (sums["omega"] - 1).abs().max() < 1e-12
    points = entity(spans.span_entities(measured.work, MONTHS[12:], at=MONTHS[-1]), nation(measured))
    composite = dict(points.select("node", "composite_points").iter_rows())
    for node, child, omega in frame.select("node", "child", "omega").iter_rows():
        assert omega == pytest.approx(composite[child] / composite[node], rel=1e-9)
    (check,) = measured.outcomes["effective_weights_year"].checks
    assert (check.name, check.severity, check.passed) == ("effective_weights", "warning", True)


def test_an_old_link_and_a_drifted_indicator_are_named(measured: Measured) -> None:
    work = measured.work
    link = work.framework.link_at(MONTHS[0])
    assert link is not None
    leaf = next(iter(link.basket.values()))[0]
    late = parse("2020-01", "month")
    totals = work.warehouse.read("normalise", "totals", MONTHS[-1])
    grown = totals.with_columns(
        pl.when(pl.col("indicator") == leaf).then(1e6 * pl.col("total")).otherwise("total").alias("total"),
        period=pl.lit(late.start),
    )
    work.warehouse.commit(
        "normalise", "totals", grown.select(totals.columns), stamp=work.warehouse.stamp({"made": "here"}), period=late
    )
    check = effective.relink_check(work, link, [late])
    assert not check.passed
    assert leaf in check.says
    assert link.link in check.says
    assert "relink" in check.says


def test_experts_who_do_not_agree_are_warned_of(measured: Measured) -> None:
    table = pl.DataFrame({"wave": ["w"] * 4, "node": ["n", "n", "m", "k"], "kendall_w": [0.29, 0.29, 0.3, None]})
    check = agreement.kendall_check(table)
    assert (check.name, check.severity, check.passed) == ("kendall", "warning", False)
    assert check.rows == ({"wave": "w", "node": "n", "kendall_w": 0.29},)
    assert agreement.kendall_check(table.filter(pl.col("node") != "n")).passed


def test_errors_of_points_stand_on_inner_nodes_and_are_small(measured: Measured) -> None:
    frame = measured.read("uncertainty_year")
    assert frame["points_se"].null_count() == 0
    inner = {node.node for node in measured.work.framework.nodes if measured.work.framework.children(node.node)}
    assert set(frame["node"].unique()) == inner
    assert frame["points_se"].min() >= 0
    assert frame["rank_low"].null_count() == frame.height


def test_months_add_to_halves_and_halves_to_the_year(measured: Measured) -> None:
    work = measured.work
    indexed = [item.tracked for item in work.framework.tracker if item.form == "index"]
    keys = ["entity_type", "entity_code", "node"]
    of_index = pl.col("node").is_in(indexed)
    for month in MONTHS[12:]:
        tracker.of_period(work, month)
    months = work.warehouse.read("marts", "tracker_month", MONTHS[12:]).filter(of_index)
    halves, year = measured.read("tracker_half").filter(of_index), measured.read("tracker_year").filter(of_index)
    assert halves["half"].unique().sort().to_list() == ["2016H1", "2016H2"]
    by_month = months.group_by(keys).agg(pl.col("value").sum().alias("months"))
    by_half = halves.group_by(keys).agg(pl.col("value").sum().alias("halves"))
    both = year.join(by_month, on=keys).join(by_half, on=keys)
    assert both.height == year.height > 0
    for name in ("months", "halves"):
        assert ((both[name] - both["value"]).abs() / both["value"]).max() < 1e-12


def test_no_amount_of_a_place_and_of_no_undeclared_total_is_published(measured: Measured) -> None:
    for table in ("tracker_month", "tracker_half", "tracker_year"):
        frame = measured.read(table)
        for item in measured.work.framework.tracker:
            rows = frame.filter(pl.col("node") == item.tracked)
            assert rows["unit"].unique().to_list() == [item.unit]
            assert rows["rank"].drop_nulls().min() == 1
            assert rows["growth_yoy"].null_count() == 0
            if item.form == "absolute":
                leaf = measured.work.framework.by_node[item.node]
                public = leaf.measure in measured.work.framework.feeds[str(leaf.feed)].public_totals
                shown = set(rows.drop_nulls("value")["entity_type"].to_list())
                assert shown == ({"nation"} if public else set())
            else:
                assert rows["value"].null_count() == 0
            if item.form != "ratio":
                cities = rows.filter(pl.col("entity_type").is_in(measured.work.types["type"].unique().implode()))
                spans = 2 if table == "tracker_half" else 1
                assert cities["share_of_nation"].sum() == pytest.approx(spans, rel=1e-9)


def test_penetration_is_users_over_users(measured: Measured) -> None:
    frame = entity(measured.read("app_category_half"), nation(measured))
    apps = measured.work.framework.app_categories
    assert apps is not None
    split = next(item for item in measured.work.framework.breakdowns if item.node == apps.users)
    assert frame["half"].unique().sort().to_list() == ["2016H1", "2016H2"]
    for i, member in enumerate(split.members):
        rows = frame.filter(pl.col("member") == member.member)
        assert rows["penetration"].to_list() == pytest.approx([(i + 1) / (i + 3)] * 2, rel=1e-3)
    assert frame["penetration_change_pp"].null_count() == frame["growth_daily_hours"].null_count() == 0


def test_penetration_of_december_is_compared_with_july(measured: Measured) -> None:
    frame = measured.read("app_category_month")
    assert frame["base_period"].unique().to_list() == [parse("2016-07", "month").start]
