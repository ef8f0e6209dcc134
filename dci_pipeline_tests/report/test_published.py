"""Printed beside computed: when a value counts as reproduced, and what is said of one that does not."""

from __future__ import annotations

import polars as pl
import pytest

from dci_pipeline.report import published

REPRODUCED = [
    # computed, printed, measure, unit, truncated, reproduced
    (1087.14, "1087.1", "index_points", "points", False, True),
    (1087.15, "1087.1", "index_points", "points", False, False),
    (0.7315, "0.732", "yoy_growth", "fraction", False, True),
    (-0.7315, "-0.732", "yoy_growth", "fraction", False, True),
    (0.7314999, "0.732", "yoy_growth", "fraction", False, False),
    # 20 per cent is written 0.2 and was printed in whole per cent
    (0.2045, "0.2", "yoy_growth", "fraction", False, True),
    (0.24, "0.2", "yoy_growth", "fraction", False, False),
    (0.786, "0.78", "yoy_growth", "fraction", False, False),
    (0.786, "0.78", "yoy_growth", "fraction", True, True),
    (0.79, "0.78", "yoy_growth", "fraction", True, False),
    (4.0, "4", "rank", "rank", False, True),
    (5.0, "4", "rank", "rank", False, False),
    (5.0, "4", "growth_rank", "rank (of 4)", False, False),
    (11.0, "11", "count_provinces_above_mean", "count", False, True),
    (1.0, "2", "quadrant", "quadrant (x=size,y=growth)", False, False),
    (0.8001, "0.8", "yoy_growth_lower_bound", "fraction", False, True),
    (0.7999, "0.8", "yoy_growth_lower_bound", "fraction", False, False),
    (1.3, "1.0", "yoy_growth_lower_bound_second_mention", "fraction", False, True),
    (9.0, "10", "rank_upper_bound", "rank", False, True),
    (11.0, "10", "rank_upper_bound", "rank", False, False),
    (208.0, "200", "index_points_approx", "points", False, True),
    (212.0, "200", "index_points_approx", "points", False, False),
    (2.6, "3", "ratio_approx", "times", False, True),
    (0.0, "0", "rank_change", "places", False, True),
]


@pytest.mark.parametrize(("computed", "printed", "measure", "unit", "truncated", "expected"), REPRODUCED)
def test_when_a_value_is_reproduced(
    computed: float, printed: str, measure: str, unit: str, *, truncated: bool, expected: bool
) -> None:
    assert published.reproduced(computed, printed, measure=measure, unit=unit, truncated=truncated) is expected


def _printed(*rows: tuple[str, ...]) -> pl.DataFrame:
    names = (*published.KEY, "value", "unit", "note")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def _values(*rows: tuple[str | float, ...]) -> pl.DataFrame:
    schema = {**dict.fromkeys(published.KEY, pl.String), "value": pl.Float64, "unit": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


PRINTED = _printed(
    ("E1", "k", "city", "甲市", "2019", "rank", "1", "rank", ""),
    ("E1", "k", "city", "乙市", "2019", "rank", "2", "rank", ""),
    ("E1", "k", "city", "丙市", "2019", "rank", "3", "rank", ""),
    ("E1", "k", "city", "甲市", "2019", "growth", "0.50", "fraction", "N1"),
    ("E1", "k", "city", "甲市", "2019", "share", "0.50", "fraction", ""),
    ("E2", "k", "nation", "全国", "2017-2019", "cagr", "0.50", "fraction", ""),
    ("E2", "k", "nation", "全国", "2016", "total", "7", "points", ""),
    ("E2", "external", "nation", "全国", "2020", "users", "7", "100m persons", ""),
)
VALUES = _values(
    ("E1", "k", "city", "甲市", "2019", "rank", 1.0, "rank"),
    ("E1", "k", "city", "乙市", "2019", "rank", 5.0, "rank"),
    ("E1", "k", "city", "甲市", "2019", "growth", 0.75, "fraction"),
    ("E2", "k", "nation", "全国", "2017-2019", "cagr", 0.4, "fraction"),
)


def test_every_printed_value_gets_a_verdict() -> None:
    found = published.compared(PRINTED, VALUES, contradictions={"N1"}, truncated=set())
    assert found.select("verdict", "off_by").rows() == [
        ("reproduced", 0.0),
        ("off", 3.0),
        ("off", None),
        ("contradictory", pytest.approx(0.5)),
        ("not computed", None),
        ("off", pytest.approx(0.2)),
        ("not computed", None),
        ("external", None),
    ]
    assert found["why"].drop_nulls().to_list() == [
        "not among the entities the exhibit shows",
        "its tables have no value for 2019",
        "no exhibits of 2016 are computed",
        "a third party's number",
    ]
    assert found.columns[: len(published.KEY)] == list(published.KEY)


def test_counts_by_exhibit_and_what_is_furthest_off() -> None:
    found = published.compared(PRINTED, VALUES, contradictions={"N1"}, truncated=set())
    counts = published.by_exhibit(found)
    assert counts.rows() == [("E1", 5, 1, 2, 1, 1, 0), ("E2", 3, 0, 1, 0, 1, 1)]
    assert {name: row["entity_zh"] for name, row in published.furthest(found).items()} == {"E1": "乙市", "E2": "全国"}
