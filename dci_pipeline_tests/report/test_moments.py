"""Which periods a report shows, how they are worded, and the queries that are made of declarations."""

from __future__ import annotations

import pytest

from dci_pipeline.exhibits import Exhibit, Item
from dci_pipeline.periods import parse
from dci_pipeline.report.declared import Rows
from dci_pipeline.report.moments import listed, shown, worded
from dci_pipeline.report.naming import gathered
from dci_pipeline.report.queries import compiled, filled, tables_of


def exhibit(*items: tuple[str, str, tuple[int, ...]]) -> Exhibit:
    made = tuple(
        Item("X1", "", "", {}, "value", grain, period, "", {}, months=months) for grain, period, months in items
    )
    return Exhibit("X1", "1", "", "", "claim", "", made)


YEAR, HALF, MONTH = ("year", "{year}", ()), ("half", "{half}", ()), ("month", "{month}", ())
THERE = {"2018", "2019", "2018-2019", "2019H1", "2019H2", *(f"2019-{month:02d}" for month in range(1, 13))}


@pytest.mark.parametrize(
    ("items", "rows", "period", "expected"),
    [
        ((YEAR,), {}, ("2019", "year"), ["2019"]),
        ((YEAR, ("year", "{year_before}-{year}", ())), {}, ("2019", "year"), ["2019", "2018-2019"]),
        ((YEAR,), {}, ("2019H1", "half"), []),
        ((HALF,), {}, ("2019", "year"), ["2019H2"]),
        ((HALF, YEAR), {"at": "half"}, ("2019", "year"), ["2019H2"]),
        ((MONTH,), {}, ("2019H1", "half"), ["2019-06"]),
        ((("month", "{month}", (4, 5)),), {}, ("2019H1", "half"), ["2019-05"]),
        ((MONTH,), {"over": "month", "back": 3}, ("2019-04", "month"), ["2019-02", "2019-03", "2019-04"]),
        ((YEAR,), {"over": "year", "back": 5}, ("2019", "year"), ["2018", "2019"]),
        ((YEAR,), {"over": "year", "back": 5}, ("2020", "year"), []),
        ((MONTH,), {}, ("2018", "year"), []),
    ],
)
def test_the_last_period_that_has_a_value_is_shown(
    items: tuple[tuple[str, str, tuple[int, ...]], ...],
    rows: dict[str, object],
    period: tuple[str, str],
    expected: list[str],
) -> None:
    wanted = Rows({"x": ("x",)}, **rows)  # pyright: ignore[reportArgumentType]
    assert shown(exhibit(*items), wanted, parse(*period), 2015, THERE) == expected


@pytest.mark.parametrize(
    ("text", "zh", "en"),
    [
        ("2019", "2019年", "2019"),
        ("2020H1", "2020年上半年", "first half of 2020"),
        ("2020-06", "2020年6月", "June 2020"),
        ("2022Q3", "2022年第三季度", "Q3 2022"),
        ("2017-2019", "2017年至2019年", "2017 to 2019"),
        ("2020-01..2020-06", "2020年1月至2020年6月", "January 2020 to June 2020"),
    ],
)
def test_periods_in_words(text: str, zh: str, en: str) -> None:
    assert (worded(text, "zh"), worded(text, "en")) == (zh, en)


def test_many_periods_are_their_first_and_last() -> None:
    assert listed(["2018", "2017", "2019", "2017-2019"], "en") == "2017 to 2019"
    assert listed(["2015-2019", "2019"], "en") == "2019, 2015 to 2019"


def test_a_query_has_a_column_per_measure() -> None:
    rows = Rows(
        {"rank": ("rank",), "growth": ("yoy", "yoy_approx")}, name="last", needs=("rank",), order="rank", limit=10
    )
    sql = compiled(rows, "X'1", ["2019"])
    assert "max(value) FILTER (WHERE measure = 'rank') AS rank" in sql
    assert "(measure = 'yoy' OR measure = 'yoy_approx')) AS growth" in sql
    assert "exhibit_id = 'X''1'" in sql
    assert sql.endswith("ORDER BY rank NULLS LAST, entity\nLIMIT 10")
    assert tables_of(sql) == ["exhibit_values"]


def test_a_given_query_is_filled_for_the_period() -> None:
    sql = "SELECT {key} AS period FROM index_{grain} WHERE {when} AND {until}"
    assert filled(sql, parse("2019", "year")) == (
        "SELECT CAST(year AS VARCHAR) AS period FROM index_year WHERE year = 2019 AND year <= 2019"
    )
    assert "half = '2019H1'" in filled(sql, parse("2019H1", "half"))
    assert "month = DATE '2019-06-01'" in filled(sql, parse("2019-06", "month"))
    assert "quarter = DATE '2019-04-01'" in filled(sql, parse("2019Q2", "quarter"))


def test_names_in_both_languages() -> None:
    names = gathered(
        [
            ("", "成都市", "Chengdu"),
            ("", "成渝", "Chengdu-Chongqing"),
            ("", "重庆市", "Chongqing"),
            ("n1", "节点", "Node"),
        ],
        {"全部": "All"},
    )
    assert names.of("成渝|成都市", "en") == "Chengdu-Chongqing|Chengdu"
    assert names.of("成都市+重庆市", "en") == "Chengdu, Chongqing"
    assert names.of("成都市+重庆市", "zh") == "成都市、重庆市"
    assert (names.of("n1", "zh"), names.of("n1", "en"), names.of("全部", "en")) == ("节点", "Node", "All")
    assert names.of("不知道", "en") == "不知道"
