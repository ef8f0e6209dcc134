"""From published rows to the values of exhibits: selecting, reducing, naming, and the period a value bears."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.exhibits import Condition, Counts, Item, Selection
from dci_pipeline.marts.exhibits import exhibit_values
from dci_pipeline.marts.selections import Moment, Surroundings, select

YEAR = Moment("year", 2019, 1, 2015)
ABOUT = Surroundings(
    entities=pl.DataFrame(
        [
            ("nation", "N", "全国"),
            ("city", "1", "甲市"),
            ("city", "2", "乙市"),
            ("city", "3", "丙市"),
            ("province", "p", "子省"),
            ("province", "q", "丑省"),
        ],
        schema=["entity_type", "entity_code", "name"],
        orient="row",
    ),
    nodes=pl.DataFrame({"node": ["k", "leaf"], "name": ["总", "叶"]}),
    members=pl.DataFrame(
        [("k", "fine", "m1", "一"), ("k", "fine", "m2", "二"), ("k", "fine", "m3", "三"), ("k", "wide", "w", "宽")],
        schema=["node", "dimension", "member", "name"],
        orient="row",
    ),
    places=pl.DataFrame({"group_type": ["province"] * 3, "group": ["p", "p", "q"], "place": ["1", "2", "3"]}),
    wider=pl.DataFrame(
        [("k", "fine", "m1", "wide", "w"), ("k", "fine", "m2", "wide", "w")],
        schema=["node", "dimension", "member", "wide", "wide_member"],
        orient="row",
    ),
)
INDEX = pl.DataFrame(
    [
        (year, kind, code, "k", points * (1 if year == 2019 else 0.5), rank, growth)
        for year in (2018, 2019)
        for kind, code, points, rank, growth in (
            ("nation", "N", 10.0, None, 0.5),
            ("city", "1", 6.0, 1, 0.1),
            ("city", "2", 3.0, 2, None),
            ("city", "3", 1.0, 3, 0.9),
        )
    ],
    schema={
        "year": pl.Int32,
        "entity_type": pl.String,
        "entity_code": pl.String,
        "node": pl.String,
        "points": pl.Float64,
        "rank": pl.Int64,
        "growth_yoy": pl.Float64,
    },
    orient="row",
)
FINE = pl.DataFrame(
    {
        "year": pl.Series([2019] * 3, dtype=pl.Int32),
        "entity_type": ["nation"] * 3,
        "entity_code": ["N"] * 3,
        "node": ["k"] * 3,
        "dimension": ["fine"] * 3,
        "member": ["m1", "m2", "m3"],
        "points": [5.0, 3.0, 2.0],
    }
)
TABLES = {"index_year": INDEX, "breakdown_year": FINE}
CITIES = Selection("index_year", "points", where=(Condition("entity_type", ("city",)), Condition("node", ("k",))))


def _limit(column: str, name: str, number: float | str) -> Condition:
    return Condition(column, limits=((name, number),))


SELECTIONS: dict[str, tuple[Selection, list[float]]] = {
    "rows of the year": (CITIES, [6.0, 3.0, 1.0]),
    "a year back": (replace(CITIES, lag=1), [3.0, 1.5, 0.5]),
    "a year that is not there": (replace(CITIES, lag=2), []),
    "scaled": (replace(CITIES, scale=0.01), [0.06, 0.03, 0.01]),
    "a limit": (replace(CITIES, where=(*CITIES.where, _limit("rank", "at_most", 2))), [6.0, 3.0]),
    "above the mean of what is left": (
        replace(CITIES, where=(*CITIES.where, _limit("points", "above", "mean"))),
        [6.0],
    ),
    "none of": (replace(CITIES, where=(*CITIES.where, Condition("entity_code", ("1", "3"), negated=True))), [3.0]),
    "named": (replace(CITIES, named=("甲市", "丙市")), [6.0, 1.0]),
    "all but": (replace(CITIES, but=("甲市",)), [3.0, 1.0]),
    "within a group": (replace(CITIES, within=(("province", ("p",)),)), [6.0, 3.0]),
    "among the leading": (
        replace(
            CITIES,
            column="growth_yoy",
            among=Selection("index_year", "", (*CITIES.where, _limit("rank", "at_most", 1))),
        ),
        [0.1],
    ),
    "without a value there is no row": (replace(CITIES, column="growth_yoy"), [0.1, 0.9]),
    "sum": (replace(CITIES, reduce="sum"), [10.0]),
    "sum over two years": (replace(CITIES, reduce="sum", years=2), [15.0]),
    "sum over years of which one is missing": (replace(CITIES, reduce="sum", years=3), []),
    "mean": (replace(CITIES, reduce="mean", per=("entity_type",)), [10 / 3]),
    "minimum": (replace(CITIES, reduce="minimum"), [1.0]),
    "maximum": (replace(CITIES, reduce="maximum"), [6.0]),
    "how many": (replace(CITIES, reduce="count"), [3.0]),
    "how many pass": (replace(CITIES, reduce="count", test=(_limit("rank", "at_most", 2),)), [2.0]),
    "how many pass, by group, none too": (
        replace(CITIES, reduce="count", test=(_limit("rank", "at_most", 2),), by="province"),
        [2.0, 0.0],
    ),
    "which part passes": (replace(CITIES, reduce="proportion", test=(_limit("points", "above", 2.0),)), [2 / 3]),
    "a row without what is tested does not pass": (
        replace(CITIES, reduce="count", test=(_limit("growth_yoy", "above", 0.0),)),
        [2.0],
    ),
    "by members of a wider breakdown": (
        Selection("breakdown_year", "points", (Condition("dimension", ("fine",)),), reduce="sum", by="wide"),
        [8.0],
    ),
}


@pytest.mark.parametrize("scenario", SELECTIONS)
def test_selecting(scenario: str) -> None:
    selection, expected = SELECTIONS[scenario]
    assert select(selection, TABLES, YEAR, ABOUT)["value"].to_list() == pytest.approx(expected)


@given(st.permutations(range(INDEX.height)))
def test_the_order_of_rows_is_irrelevant(order: list[int]) -> None:
    shuffled = {**TABLES, "index_year": INDEX[order]}
    for selection, _ in SELECTIONS.values():
        assert select(selection, shuffled, YEAR, ABOUT).equals(select(selection, TABLES, YEAR, ABOUT))


def item(read: Selection | None = CITIES, **other: object) -> Item:
    said: dict[str, object] = {
        "exhibit": "E900",
        "subject": "k",
        "entity_type": "city",
        "measures": {"index_points": "points"},
        "operator": "value",
        "grain": "year",
        "period": "{year}",
        "label": "{entity}",
        "labels": {},
        "read": read,
    }
    return Item(**{**said, **other})  # pyright: ignore[reportArgumentType]


def _values(one: Item, *, year: int = 2019, tables: Mapping[str, pl.DataFrame] = TABLES) -> list[tuple[object, ...]]:
    counted = {one.counts: 7} if one.counts is not None else {}
    found = exhibit_values([one], tables, about=ABOUT, counted=counted, year=year, first_year=2015)
    return found.select("entity_zh", "period", "measure", "value").rows()


MEAN = replace(CITIES, reduce="mean")
NATION = replace(CITIES, where=(Condition("entity_type", ("nation",)), Condition("node", ("k",))))
ITEMS: dict[str, tuple[Item, list[tuple[object, ...]]]] = {
    "one value under two names": (
        item(replace(CITIES, named=("甲市",)), measures={"a": "points", "a_lower_bound": "points"}),
        [("甲市", "2019", "a", 6.0), ("甲市", "2019", "a_lower_bound", 6.0)],
    ),
    "printed names": (
        item(replace(CITIES, named=("甲市",)), labels={"甲市": "甲"}, label="{node}|{entity}"),
        [("总|甲", "2019", "index_points", 6.0)],
    ),
    "a set": (
        item(replace(CITIES, named=("甲市", "丙市"), reduce="sum"), label="{set}"),
        [("甲市+丙市", "2019", "index_points", 7.0)],
    ),
    "a ratio to a year before, with its name": (
        item(
            MEAN,
            operator="ratio_to",
            to=replace(MEAN, lag=1),
            measures={"ratio_to_{year_before}": "times"},
            label="全国",
        ),
        [("全国", "2019", "ratio_to_2018", 2.0)],
    ),
    "a gap to the nation": (
        item(
            replace(CITIES, column="growth_yoy", named=("丙市",)),
            operator="gap_to",
            to=replace(NATION, column="growth_yoy"),
        ),
        [("丙市", "2019", "index_points", 0.4)],
    ),
    "the first two places": (
        item(operator="position", top=2, measures={"rank": "rank"}),
        [("乙市", "2019", "rank", 2.0), ("甲市", "2019", "rank", 1.0)],
    ),
    "a period of years": (
        item(replace(CITIES, named=("甲市",)), period="{first_year}-{year}"),
        [("甲市", "2015-2019", "index_points", 6.0)],
    ),
    "a period of another year belongs there": (item(period="{first_year}"), []),
    "quadrants split by the nation": (
        item(
            None,
            operator="quadrant",
            x=CITIES,
            y=replace(CITIES, column="growth_yoy"),
            split_x="mean",
            split_y=replace(NATION, column="growth_yoy"),
            measures={"quadrant": "quadrant"},
        ),
        [("丙市", "2019", "quadrant", 2.0), ("甲市", "2019", "quadrant", 4.0)],
    ),
    "a correlation needs three": (
        item(None, operator="correlation", x=CITIES, y=replace(CITIES, column="growth_yoy"), label="x~y"),
        [],
    ),
    "a count of the structure": (
        item(None, operator="structure", entity_type="nation", counts=Counts("children", "k"), measures={"n": "count"}),
        [("全国", "2019", "n", 7.0)],
    ),
    "a table that is not there": (item(replace(CITIES, table="tracker_year")), []),
}


@pytest.mark.parametrize("scenario", ITEMS)
def test_values_of_an_item(scenario: str) -> None:
    one, expected = ITEMS[scenario]
    found = _values(one)
    assert [row[:3] for row in found] == [row[:3] for row in expected]
    assert [row[3] for row in found] == pytest.approx([row[3] for row in expected])


MONTHS = pl.DataFrame(
    {
        "month": [date(2019, month, 1) for month in range(1, 13)],
        "entity_type": ["nation"] * 12,
        "entity_code": ["N"] * 12,
        "node": ["leaf"] * 12,
        "points": [float(month % 5) for month in range(1, 13)],
    }
)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"grain": "half", "period": "{half}", "operator": "argmax"}, [("2019H1", 4.0), ("2019H2", 9.0)]),
        ({"grain": "month", "period": "{month}", "months": (6, 12)}, [("2019-06", 1.0), ("2019-12", 2.0)]),
        (
            {"grain": "half", "period": "{first_month}..{last_month}", "operator": "argmin"},
            [("2019-01..2019-06", 5.0), ("2019-07..2019-12", 10.0)],
        ),
    ],
)
def test_halves_and_months_of_a_year(changed: dict[str, object], expected: list[tuple[str, float]]) -> None:
    read = Selection("tracker_month", "points", per=("node",))
    found = _values(item(read, entity_type="nation", label="{node}", **changed), tables={"tracker_month": MONTHS})
    assert [(row[1], row[3]) for row in found] == expected
