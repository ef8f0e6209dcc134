"""What a delivery touches: the plan is exact, and no table reads what it does not declare."""

from __future__ import annotations

import re

import pytest

from dci_pipeline import plan
from dci_pipeline.path import path
from dci_pipeline.periods import Period, parse
from dci_pipeline.reads import BEFORE, HISTORY, REFERENCE, SAME, WHOLE, Back, links_after, may_read
from dci_pipeline.work import Key
from dci_pipeline_tests.conftest import MONTHS, World

NAMED = re.compile(r"(?:^|\s)(\w+)/(\w+) (\d{4}(?:-\d{2}|Q\d)?)$")


def month(text: str) -> Period:
    return parse(text, "month")


def year(text: str) -> Period:
    return parse(text, "year")


def read_by(world: World, key: Key, partition: Period) -> set[tuple[Key, Period]]:
    """What a committed partition says it was made from."""
    found: set[tuple[Key, Period]] = set()
    for name in world.work.warehouse.inputs(*key, partition):
        if (match := NAMED.search(name)) is not None:
            text = match.group(3)
            found.add(((match.group(1), match.group(2)), parse(text, "year" if len(text) == 4 else "month")))
    return found


@pytest.mark.slow
def test_no_table_reads_what_it_does_not_declare(world: World) -> None:
    framework, asked = world.work.framework, 0
    for step in path(framework):
        declared = dict[Key, list[object]]()
        for key, reading in step.reads:
            declared.setdefault(key, []).append(reading)
        for partition in plan.scope(framework, step, MONTHS):
            if partition is None:
                continue
            for key, other in read_by(world, step.key, partition):
                if key == ("index", "links") or (key == ("normalise", "totals") and step.scope == "year"):
                    # A link stands for its reference; both are read together.
                    continue
                asked += 1
                assert key in declared, (step.key, partition, key)
                assert any(
                    may_read(framework, partition, reading, other)  # pyright: ignore[reportArgumentType]
                    for reading in declared[key]
                ), (step.key, str(partition), key, str(other))
    assert asked > 500


@pytest.mark.slow
def test_a_month_after_the_reference_touches_itself_and_what_is_compared_with_it(world: World) -> None:
    found = plan.impact(world.work, "transactions", month("2018-05"), MONTHS)
    assert found[("feeds", "transactions")] == [month("2018-05")]
    assert ("validation", "app_usage") not in found
    assert ("index", "links") not in found and ("weight", "alphas") not in found
    assert found[("normalise", "shares")] == [month("2018-05")]
    assert found[("marts", "index_month")] == [month("2018-05"), month("2018-06")]
    # 2019-05 is not there; the running 2019 has three months, and is compared with the same three of 2018.
    assert found[("marts", "contribution_month")] == [month("2018-05")]
    assert found[("marts", "index_half")] == [year("2018")]
    assert found[("marts", "contribution_year")] == [year("2018")]
    # Growth since the first year rests on the whole of it.
    assert found[("marts", "index_year")] == [year("2018"), year("2019")]
    assert found[("marts", "catalogue")] == [None]


@pytest.mark.slow
def test_a_month_of_the_reference_touches_every_level(world: World) -> None:
    found = plan.impact(world.work, "transactions", month("2018-03"), MONTHS)
    assert found[("normalise", "shares")] == [month("2018-03")]
    assert found[("index", "links")] == [world.work.framework.links[0].start]
    assert found[("index", "points")] == MONTHS
    assert found[("marts", "quality_month")] == [month("2018-03")]


@pytest.mark.slow
def test_a_month_that_is_new_touches_its_year(world: World) -> None:
    found = plan.impact(world.work, "transactions", month("2019-04"), MONTHS)
    assert found[("marts", "index_month")] == [month("2019-04")]
    assert found[("marts", "index_year")] == [year("2019")]


@pytest.mark.slow
def test_what_is_up_to_date_has_no_plan(world: World) -> None:
    assert plan.due(world.work, MONTHS[-1:], MONTHS) == {}
    assert plan.left_over(world.work, MONTHS, MONTHS, {}) == {}


@pytest.mark.slow
def test_tables_over_the_same_months_go_in_one_run(world: World) -> None:
    framework = world.work.framework
    found = plan.impact(world.work, "transactions", month("2018-05"), MONTHS)
    runs = plan.batches(framework, found, "period")
    assert [batch.periods for batch in runs] == [(month("2018-05"),), (month("2018-06"),)]
    assert ("validation", "transactions") in runs[0].tables
    assert set(runs[1].tables) == {("marts", "index_month")}
    every = {step.key: plan.scope(framework, step, MONTHS) for step in path(framework)}
    (whole,) = plan.batches(framework, every, "period")
    assert whole.periods == tuple(MONTHS)
    assert {("weight", "alphas"), ("index", "links")} <= set(whole.tables)
    planned = [batch for scope in ("period", "year", "once") for batch in plan.batches(framework, every, scope)]
    assert sorted(key for batch in planned for key in batch.tables) == sorted(step.key for step in path(framework))


@pytest.mark.slow
def test_no_run_reads_what_a_later_one_makes(world: World) -> None:
    """As a run leaves things that was killed: the index of a month is missing, and all of another of its reference."""
    framework = world.work.framework
    first, second = framework.link_at(month("2018-01")).reference[:2]  # type: ignore[union-attr]
    steps = [step for step in path(framework) if step.scope == "period"]
    late = [step.key for step in steps if step.key[0] in ("index", "marts")]
    found: plan.Plan = {step.key: [second] if step.key not in late else [first, second] for step in steps}
    found |= {("index", "links"): [None]}
    found = {step.key: found[step.key] for step in path(framework) if step.key in found}
    runs = plan.batches(framework, found, "period")
    made = [(key, period) for batch in runs for period in batch.periods for key in batch.tables]
    assert sorted(made) == sorted(
        [(key, period) for key, partitions in found.items() for period in partitions if period is not None]
        + [(("index", "links"), second)]
    )
    assert made.index((("normalise", "totals"), second)) < made.index((("index", "points"), first))
    assert made.index((("index", "links"), second)) < made.index((("index", "points"), first))


@pytest.mark.parametrize(
    ("reader", "reading", "read"),
    [
        ("2019-05", SAME, ["2019-05"]),
        ("2019-05", Back((0, 1, 12)), ["2018-05", "2019-04", "2019-05"]),
        ("2019-05", BEFORE, [f"2018-{number:02d}" for number in range(4, 13)] + [f"2019-{n:02d}" for n in range(1, 5)]),
        ("2019-05", REFERENCE, ["2018-01", "2018-02", "2018-03"]),
    ],
)
@pytest.mark.slow
def test_a_month_reads(world: World, reader: str, reading: object, read: list[str]) -> None:
    every = [Period(month("2017-01").start, "month").shift(step) for step in range(36)]
    framework = world.work.framework
    found = [other.key for other in every if may_read(framework, month(reader), reading, other)]  # pyright: ignore
    assert found == read


@pytest.mark.slow
def test_a_year_reads(world: World) -> None:
    framework = world.work.framework

    def years(reader: str, reading: object) -> list[int]:
        every = [year(str(number)) for number in range(2016, 2026)]
        return [
            other.start.year
            for other in every
            if may_read(framework, year(reader), reading, other)  # pyright: ignore
        ]

    assert years("2023", Back((0, 1))) == [2022, 2023]
    # Which year is the first whole one the stamp says; any may be.
    assert years("2023", Back((0, 1), first=True)) == list(range(2016, 2024))
    assert years("2023", HISTORY) == list(range(2016, 2024))
    assert years("2023", WHOLE) == list(range(2016, 2026))


@pytest.mark.slow
def test_only_links_over_a_changed_reference_and_after_it_change(world: World) -> None:
    framework = world.work.framework
    last = MONTHS[-1]
    assert links_after(framework, [month("2018-02")], last) == [framework.links[0].start]
    assert links_after(framework, [month("2018-04")], last) == []
