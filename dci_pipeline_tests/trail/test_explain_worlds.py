"""Explanations of whole worlds: what the JSON says is what is published, and can be calculated again from it alone."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from dci_pipeline import refresh
from dci_pipeline.findings import Held
from dci_pipeline.periods import Period, parse, parse_span
from dci_pipeline.steps.trail import explain
from dci_pipeline.work import Work
from dci_pipeline_tests.linked_door import ENTITIES, QUARTERS, YEARLY_SECOND
from dci_pipeline_tests.small_worlds import FIRST, LEAVES, SECOND, Towns, drawn, land
from dci_pipeline_tests.trail.recount import Recount

pytestmark = pytest.mark.slow

DEAR = ("ranking_year", "inequality_year", "effective_weights_year", "uncertainty_year")
NODES = ("total", "pay", *LEAVES)
SPANS = [
    *(item.key for item in QUARTERS),
    *(f"{y}H{h}" for y in range(2018, 2022) for h in (1, 2)),
    *map(str, range(2018, 2022)),
]
EXACT = 1e-12


def computed(folder: Path, towns: Towns, absent: Iterable[tuple[str, str, Period]] = ()) -> Work:
    towns = replace(towns, dropped=DEAR)
    work = towns.write(folder)
    land(work, folder / "files", towns.values, towns.periods, absent=absent)
    assert refresh.run_direct(work, towns.periods).held == {}
    return work


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """Two links: a leaf leaves, one enters, the experts are asked again; a town has nothing in the second reference."""
    empty = [(period, "T6") for period in parse_span(SECOND.reference, "quarter")]
    return computed(tmp_path_factory.mktemp("fixed"), Towns([FIRST, SECOND], QUARTERS, drawn(QUARTERS, nothing=empty)))


@pytest.fixture(scope="module")
def yearly(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """A link every year."""
    towns = Towns([FIRST, YEARLY_SECOND], QUARTERS, drawn(QUARTERS, seed=2), chaining="annual_overlap")
    return computed(tmp_path_factory.mktemp("yearly"), towns)


@pytest.fixture(scope="module")
def gappy(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """Two links, and two small places that are missing in one feed each: for two quarters, and for good."""
    small = {"T2", "T4"}
    values = {key: (x or 0) // (20 if key[1] in small else 1) for key, x in drawn(QUARTERS, seed=3).items()}
    absent = [("web", "T2", period) for period in QUARTERS[5:7]] + [("shop", "T4", period) for period in QUARTERS[9:]]
    return computed(tmp_path_factory.mktemp("gappy"), Towns([FIRST, SECOND], QUARTERS, values), absent)


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """Two links, and a feed that is late as a whole in one quarter and goes on provisionally."""
    towns = replace(Towns([FIRST, SECOND], QUARTERS, drawn(QUARTERS, seed=4), late_feed="provisional"), dropped=DEAR)
    folder = tmp_path_factory.mktemp("late")
    work = towns.write(folder)
    land(work, folder / "files", towns.values, QUARTERS, without=[("web_a", QUARTERS[9])])
    assert refresh.run_direct(work, QUARTERS).held == {}
    return work


@pytest.fixture(params=["fixed", "yearly", "gappy", "late"])
def world(request: pytest.FixtureRequest) -> Work:
    found: Work = request.getfixturevalue(request.param)
    return found


def asked(work: Work, *, seed: int, count: int) -> list[dict[str, Any]]:
    """Explanations of places, nodes and spans drawn at random, through JSON and back."""
    source = random.Random(seed)
    found: list[dict[str, Any]] = []
    tries = [(kind, code, node, span) for (kind, code) in sorted(ENTITIES) for node in NODES for span in SPANS]
    source.shuffle(tries)
    for kind, code, node, span in tries:
        if not published(work, kind, code, node, span):
            continue
        found.append(json.loads(json.dumps(explain(work, code, node, span, kind=kind), allow_nan=False)))
        if len(found) == count:
            break
    return found


def published(work: Work, kind: str, code: str, node: str, span: str) -> dict[str, Any] | None:
    """The published row."""
    period = period_of(span)
    partition = period if period.cadence == "quarter" else period.year()
    table = f"index_{period.cadence}"
    if not work.warehouse.existing("marts", table, [partition]):
        return None
    key = {"quarter": period.start, "half": span, "year": period.start.year}[period.cadence]
    rows = work.warehouse.read("marts", table, partition).filter(
        (pl.col(period.cadence) == key)
        & (pl.col("entity_type") == kind)
        & (pl.col("entity_code") == code)
        & (pl.col("node") == node)
    )
    return rows.row(0, named=True) if rows.height else None


def period_of(span: str) -> Period:
    return parse(span, "quarter" if "Q" in span else "half" if "H" in span else "year")


def close(again: Fraction | float | None, said: float | None, *, of: float = 0.0) -> bool:
    """Equal to 1e-12 of what is compared; for a difference, of what it is a difference of."""
    if again is None or said is None:
        return again is None and said is None
    return math.isclose(float(again), said, rel_tol=EXACT, abs_tol=EXACT * of)


def row_of(work: Work, told: dict[str, Any]) -> dict[str, Any]:
    row = published(work, told["entity"]["type"], told["entity"]["code"], told["node"]["node"], told["period"])
    assert row is not None
    return row


def maturity_of(work: Work, told: dict[str, Any]) -> str:
    """As the published file has it, which knows how far the index has come."""
    period = period_of(told["period"])
    key = {"quarter": period.start, "half": told["period"], "year": period.start.year}[period.cadence]
    with duckdb.connect(str(work.warehouse.layout.catalogue), read_only=True) as connection:
        found = connection.execute(
            f"SELECT maturity FROM index_{period.cadence} WHERE entity_type = ? AND entity_code = ? AND node = ? "
            f"AND {period.cadence} = ?",
            [told["entity"]["type"], told["entity"]["code"], told["node"]["node"], key],
        ).fetchall()
    return str(found[0][0])


def test_the_numbers_are_those_published(world: Work) -> None:
    for told in asked(world, seed=11, count=60):
        row, number = row_of(world, told), told["number"]
        for name in ("points", "composite_points", "share", "points_share", "rank", "obs_status"):
            assert number[name] == row[name], (told["entity"], told["node"], told["period"], name)
        assert number["maturity"] == maturity_of(world, told), (told["entity"], told["node"], told["period"])
        for name in ("growth_yoy", "link_effect_points", "imputed_share"):
            assert close(number[name], row[name])
        assert number["rank_change"] == row.get("rank_change", row.get("rank_change_yoy"))


def test_points_position_growth_and_rank_follow_from_the_json_alone(world: Work) -> None:
    seen = {"growth": 0, "links": 0, "rank": 0}
    for told in asked(world, seed=12, count=60):
        again, row = Recount(told), row_of(world, told)
        if row["points"] is None:
            continue
        assert close(again.level("now"), row["points"])
        assert close(again.level("now", composite=True), row["composite_points"])
        assert close(again.share("now"), row["share"])
        imputed = again.share("now", "imputed_share")
        if row["share"] and imputed is not None:
            assert close(imputed / again.share("now"), row["imputed_share"])  # type: ignore[operator]
        assert again.rank("values") == row["rank"]
        if told["base"] is not None and told["base"]["points"] is not None:
            assert close(again.level("base"), told["base"]["points"])
            assert close(again.growth(), row["growth_yoy"], of=1.0)
            effect = sum((again.link_effect(name) for name in leaves(told)), Fraction(0))
            assert close(effect, row["link_effect_points"], of=row["points"])
            seen["growth"] += row["growth_yoy"] is not None
            seen["links"] += len(told["links"]) > 1
            if told["number"]["rank_change"] is not None:
                assert again.rank("base_values") == told["number"]["rank_before"]
                seen["rank"] += 1
    assert min(seen.values()) > 3, seen


def leaves(told: dict[str, Any]) -> list[str]:
    return list(told["change"]["by_node"][0]["indicators"])


def test_contributions_add_up_and_follow_from_the_json_alone(world: Work) -> None:
    crossed = 0
    for told in asked(world, seed=13, count=60):
        change, again = told["change"]["points"], Recount(told)
        if change is None:
            continue
        level = max(abs(change["now"]), abs(change["base"]), 1.0)
        assert change["exact"]
        assert abs(change["remainder"]) <= EXACT * level
        for line in told["change"]["by_node"]:
            points = sum((again.contribution(name) for name in line["indicators"]), Fraction(0))
            assert close(points, line["contribution_points"], of=level)
            effect = sum((again.link_effect(name) for name in line["indicators"]), Fraction(0))
            assert close(effect, line["link_effect_points"], of=level)
            nation = told["nation"]["base_points"]
            assert line["contribution_pp"] is None or close(
                100 * points / Fraction(nation), line["contribution_pp"], of=1
            )
        own = [line for line in told["change"]["by_node"] if line["indicators"] == [line["node"]]]
        whole = sum((Fraction(line["contribution_points"]) for line in own), Fraction(0))
        assert close(whole + Fraction(change["link_effect_points"]), change["change"], of=level)
        crossed += bool(change["link_effect_points"])
    assert crossed > 3


def test_the_nodes_under_it_follow_from_the_json_alone(world: Work) -> None:
    grown = 0
    for told in [explain(world, code, "total", span) for code in ("T1", "T5", "east", "N") for span in SPANS[4::3]]:
        for line in told["change"]["by_node"]:  # type: ignore[index]
            if line["points"] is None:
                continue
            again = Recount(told, line["node"])
            assert close(again.level("now"), line["points"])
            assert close(again.share("now"), line["share"])
            if told["base"] is not None and line["growth_yoy"] is not None and again.inside("base"):
                assert close(again.growth(), line["growth_yoy"], of=1.0)
                grown += 1
    assert grown > 20


def test_contributions_in_the_root_are_those_of_the_contribution_tables(world: Work) -> None:
    quoted = 0
    for told in asked(world, seed=14, count=80):
        again = Recount(told)
        if told["change"]["in_root"] is None:
            continue
        for line in told["change"]["by_node"]:
            said = line["in_root"]
            if said["contribution_points"] is None:
                continue
            of = max(abs(told["number"]["composite_points"]), abs(told["change"]["in_root"]["base"]), 1.0)
            points = sum((again.contribution(name, composite=True) for name in line["indicators"]), Fraction(0))
            effect = sum((again.link_effect(name, composite=True) for name in line["indicators"]), Fraction(0))
            assert close(points, said["contribution_points"], of=of), (told["entity"], line["node"], told["period"])
            assert close(effect, said["link_effect_points"], of=of)
            nation = Fraction(told["nation"]["root_base_points"])
            assert close(100 * points / nation, said["contribution_pp"], of=1.0)
            quoted += said["published"]
    assert quoted > 50


def test_what_is_checked_inside_is_within_rounding(world: Work) -> None:
    for told in asked(world, seed=15, count=40):
        for item in told["checks"]:
            assert abs(item["difference"]) <= EXACT * max(abs(item["published"]), told["number"]["points"] or 1.0, 1.0)
        assert told["outdated"] == []


def test_no_absolute_volume_is_told(world: Work) -> None:
    volumes = set(world.warehouse.read("normalise", "shares", QUARTERS)["estimate"].drop_nulls().to_list()) - {0.0}
    totals = set(world.warehouse.read("normalise", "totals", QUARTERS)["total"].drop_nulls().to_list())

    def numbers(value: object) -> set[float]:
        if isinstance(value, dict):
            return set().union(*map(numbers, value.values()))
        if isinstance(value, list):
            return set().union(*map(numbers, value))
        return {value} if isinstance(value, float) else set()

    for told in asked(world, seed=16, count=10):
        assert not numbers({key: told[key] for key in told if key != "deliveries"}) & (volumes | totals)


def test_a_missing_place_is_named_with_the_period_it_is_carried_from(gappy: Work) -> None:
    told = explain(gappy, "T2", "visits", "2019")
    assert told["imputed"] == [
        {
            "place": "T2",
            "indicator": "visits",
            "first": "2019Q2",
            "last": "2019Q3",
            "periods": 2,
            "observed": "2019Q1",
            "carried": 2,
            "share": told["imputed"][0]["share"],  # type: ignore[index]
            "obs_status": "E",
        }
    ]
    gone = explain(gappy, "T4", "orders", "2021Q2")
    assert gone["number"]["points"] is None and gone["number"]["obs_status"] == "M"  # type: ignore[index]
    assert gone["change"]["points"] is None  # type: ignore[index]
    assert [item["obs_status"] for item in gone["imputed"]] == ["M"]  # type: ignore[union-attr]


def test_deliveries_are_those_the_number_was_made_from(fixed: Work) -> None:
    told = explain(fixed, "T1", "pay", "2019", rows_of_place=True)
    found = told["deliveries"]
    assert isinstance(found, list)
    # Two partners of one feed, four quarters of the year and four of the year before.
    assert len(found) == 16 and {item["feed"] for item in found} == {"shop"}
    for item in found:
        assert item["current"]
        assert item["rows_used"] == item["rows"] == 7 and item["rows_rejected"] == 0
        assert item["rows_of_place"] == {"amount": 1, "orders": 1}
        name = f"shop_{item['partner']}_{item['period']}.csv"
        assert [part["name"] for part in item["files"]] == [name]
        import hashlib

        kept = fixed.settings.warehouse.parent / "files" / name
        assert item["files"][0]["sha256"] == hashlib.sha256(kept.read_bytes()).hexdigest()


def test_a_later_delivery_that_is_not_computed_yet_changes_nothing_but_is_seen(tmp_path: Path) -> None:
    periods = QUARTERS[:5]
    towns = Towns([FIRST], periods, drawn(periods), dropped=DEAR)
    work = towns.write(tmp_path)
    land(work, tmp_path / "files", towns.values, periods)
    refresh.run_direct(work, periods)
    before = explain(work, "T1", "pay", "2019Q1")
    again = {key: (x or 0) + 1 for key, x in towns.values.items()}
    land(work, tmp_path / "again", again, [periods[4]])
    assert explain(Work(work.settings, work.index, looking=True), "T1", "pay", "2019Q1") == before
    # Validated and summed anew, published not yet: the number is of the delivery before, and that is said.
    work = Work(work.settings, work.index)
    from dci_pipeline.steps.indicators import values
    from dci_pipeline.steps.normalise import shares
    from dci_pipeline.steps.validation import validate

    for feed in work.framework.feeds:
        validate(work, periods[4], feed=feed)
    said = explain(work, "T1", "pay", "2019Q1")
    now = [item for item in said["deliveries"] if item["span"] == "now"]  # type: ignore[union-attr]
    assert now and not any(item["current"] for item in now)
    values(work, periods[4])
    shares(work, periods[4])
    assert explain(work, "T1", "pay", "2019Q1")["outdated"] == ["normalise/shares 2019Q1"]


def test_what_is_not_published_is_held(fixed: Work) -> None:
    with pytest.raises(Held, match="not published"):
        explain(fixed, "T1", "total", "2031")
