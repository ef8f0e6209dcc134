"""The key indicators: months add to halves and years, amounts are the nation's alone, ratios per another indicator."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dci_pipeline.framework import Tracked
from dci_pipeline.marts.tracker import Span, tracker
from dci_pipeline.marts.volumes import entity_amounts, place_amounts

TYPES = pl.DataFrame({"place": ["A", "B", "C", "R"], "type": ["town"] * 3 + ["rest"], "member": [True] * 3 + [False]})
MEMBERS = pl.DataFrame(
    [("county", "east", "A"), ("county", "east", "B"), ("county", "west", "C"), ("county", "west", "R")],
    schema=["group_type", "group", "place"],
    orient="row",
)
KINDS = {"calls": "flow", "lines": "stock"}


def item(
    form: str, *, per: str | None = None, per_day: bool = False, divisor: float = 1.0, node: str = "calls"
) -> Tracked:
    return Tracked(f"{form}_{node}", node, "", "", form, "unit", divisor, per, per_day)


def month(number: int, year: int = 2020) -> date:
    return date(year, number, 1)


def shares(
    rows: dict[tuple[date, str, str], int | None],
    *,
    estimates: dict[tuple[date, str, str], float] | None = None,
    status: dict[tuple[date, str, str], str] | None = None,
) -> pl.DataFrame:
    estimates, status = estimates or {}, status or {}
    return pl.DataFrame(
        [
            {
                "period": key[0],
                "place": key[1],
                "indicator": key[2],
                "value": value,
                "estimate": estimates.get(key, None if value is None else float(value)),
                "obs_status": status.get(key, "A" if value is not None else "E"),
            }
            for key, value in rows.items()
        ],
        schema_overrides={"value": pl.Int64, "estimate": pl.Float64},
    )


def amounts(frame: pl.DataFrame) -> pl.DataFrame:
    periods = frame["period"].n_unique()
    return entity_amounts(place_amounts(frame, kinds=KINDS, periods=periods), members=MEMBERS, types=TYPES, nation="X")


def span(frame: pl.DataFrame) -> Span:
    days = sum(((d.replace(day=28) + timedelta(days=4)).replace(day=1) - d).days for d in frame["period"].unique())
    return Span(amounts(frame), days)


def points(now: Span, base: dict[str, float]) -> pl.DataFrame:
    """The span's mean level of every indicator, 100 where the amount is the base's."""
    found = now.amounts.with_columns(base=pl.col("node").replace_strict(base, return_dtype=pl.Float64))
    return found.select("entity_type", "entity_code", "node", points=100 * pl.col("amount") / pl.col("base"))


def table(
    now: Span,
    *tracked: Tracked,
    before: Span | None = None,
    ends: tuple[Span, Span] | None = None,
    public: list[str] | None = None,
    part: float = 1 / 12,
    base: dict[str, float] | None = None,
) -> pl.DataFrame:
    return tracker(
        now,
        before=before,
        ends=ends,
        points=points(now, base or {"calls": 1000.0, "lines": 1000.0}),
        tracked=tracked,
        kinds=KINDS,
        public=public or [],
        ranked=["town", "county"],
        part=part,
        whole=True,
    )


def row(frame: pl.DataFrame, code: str) -> dict[str, object]:
    return frame.filter(pl.col("entity_code") == code).row(0, named=True)


def calls(
    numbers: dict[int, list[int]], *, year: int = 2020, node: str = "calls"
) -> dict[tuple[date, str, str], int | None]:
    return {(month(m, year), place, node): x for m, xs in numbers.items() for place, x in zip("ABCR", xs, strict=True)}


year_of_calls = st.lists(st.lists(st.integers(0, 10**6), min_size=4, max_size=4), min_size=12, max_size=12).filter(
    lambda rows: sum(map(sum, rows)) > 0
)


@given(year_of_calls)
@settings(max_examples=12)
def test_the_months_of_a_flow_add_to_halves_and_the_year_is_its_index(rows: list[list[int]]) -> None:
    flow = item("index")
    mean = sum(map(sum, rows)) / 12
    year = dict(enumerate(rows, start=1))

    def values(months: range) -> dict[str, float]:
        now = span(shares(calls({m: year[m] for m in months})))
        # The level of a span is the mean of its months; amounts are sums.
        frame = table(now, flow, part=len(months) / 12, base={"calls": mean * len(months), "lines": 1.0})
        return dict(frame.select("entity_code", "value").iter_rows())

    by_month = [values(range(m, m + 1)) for m in range(1, 13)]
    halves, whole = [values(range(1, 7)), values(range(7, 13))], values(range(1, 13))
    for code in ("A", "R", "east", "X"):
        for half, first in ((halves[0], 0), (halves[1], 6)):
            total = sum(m[code] for m in by_month[first : first + 6])
            assert half[code] == pytest.approx(total, rel=1e-12, abs=1e-12)
        assert halves[0][code] + halves[1][code] == pytest.approx(whole[code], rel=1e-12, abs=1e-12)
    assert whole["X"] == pytest.approx(100, rel=1e-12)


def test_the_printed_half_year_is_six_twelfths_of_its_level() -> None:
    # T_P = (|P|/|r|) I_P: a level of 819.12 over six months is printed as 409.56
    now = span(shares(calls({m: [1, 1, 1, 1] for m in range(1, 7)})))
    frame = table(now, item("index"), part=6 / 12, base={"calls": 2400 / 819.12, "lines": 1.0})
    assert row(frame, "X")["value"] == pytest.approx(409.56, rel=1e-12)


def test_a_stock_is_its_mean() -> None:
    now = span(shares(calls({1: [10, 20, 30, 0], 2: [20, 40, 60, 0]}, node="lines")))
    frame = table(now, item("absolute", node="lines"), public=["lines"])
    assert row(frame, "X")["value"] == 90.0
    indexed = table(now, item("index", node="lines"), part=2 / 12, base={"calls": 1.0, "lines": 90.0})
    assert row(indexed, "X")["value"] == 100.0


def test_amounts_are_for_the_nation_alone_and_only_where_public() -> None:
    now = span(shares(calls({1: [10, 20, 30, 40]})))
    frame = table(now, item("absolute", divisor=10.0), public=["calls"])
    assert row(frame, "X")["value"] == 10.0
    assert frame.filter(pl.col("entity_type") != "nation")["value"].null_count() == 6
    assert [row(frame, code)["share_of_nation"] for code in ("A", "R", "east", "X")] == [0.1, 0.4, 0.3, 1.0]
    assert [row(frame, code)["rank"] for code in ("A", "B", "C", "R", "east", "west", "X")] == [
        3,
        2,
        1,
        None,
        2,
        1,
        None,
    ]
    assert table(now, item("absolute"))["value"].null_count() == 7


def test_growth_is_on_the_same_periods_and_from_first_to_last() -> None:
    frame = calls({1: [10, 20, 30, 40], 2: [20, 20, 30, 30]})
    now = span(shares(frame))
    ends = tuple(span(shares({key: value for key, value in frame.items() if key[0].month == m})) for m in (1, 2))
    before = span(shares(calls({1: [5, 20, 0, 25], 2: [5, 20, 0, 25]}, year=2019)))
    found = table(now, item("absolute"), before=before, ends=(ends[0], ends[1]))
    assert row(found, "A")["growth_yoy"] == 2.0
    assert row(found, "A")["growth_end_over_begin"] == 1.0
    assert row(found, "X")["growth_yoy"] == 1.0
    assert row(found, "C")["growth_yoy"] is None
    alone = table(now, item("absolute"))
    assert alone["growth_yoy"].null_count() == alone["growth_end_over_begin"].null_count() == 7


def test_a_ratio_is_per_the_other_indicator_and_per_day() -> None:
    rows = calls({1: [310, 620, 930, 0], 2: [290, 580, 870, 0]})
    rows |= calls({1: [5, 10, 10, 5], 2: [5, 10, 20, 5]}, node="lines")
    now = span(shares(rows))
    assert now.days == 60
    ratio = table(now, item("ratio", per="lines", divisor=2.0))
    assert row(ratio, "A")["value"] == 600 / 5 / 2
    assert row(ratio, "X")["value"] == pytest.approx(float(Fraction(3600, 35) / 2), rel=1e-15)
    daily = table(now, item("ratio", per="lines", divisor=2.0, per_day=True))
    assert row(daily, "A")["value"] == 600 / 5 / 2 / 60
    assert row(daily, "A")["share_of_nation"] is None
    assert [row(daily, town)["rank"] for town in "ABC"] == [1, 1, 1]
    assert row(daily, "R")["value"] == 0.0


def test_a_ratio_without_users_is_null() -> None:
    now = span(shares(calls({1: [10, 1, 1, 1]}) | calls({1: [0, 1, 1, 1]}, node="lines")))
    assert row(table(now, item("ratio", per="lines")), "A")["value"] is None


JANUARY = [(month(1), place, "calls") for place in "ABCR"]


def test_a_place_carried_too_long_is_withheld_and_stays_in_the_sums() -> None:
    rows = dict(zip(JANUARY, [10, None, 30, 40], strict=True))
    b = JANUARY[1]
    late = table(
        span(shares(rows, estimates={b: 20.0}, status={b: "M"})), item("absolute"), item("index"), public=["calls"]
    )
    assert late.filter(pl.col("entity_code") == "B")["value"].null_count() == 2
    assert late.filter(pl.col("entity_code") == "B")["rank"].null_count() == 2
    nation = late.filter((pl.col("entity_code") == "X") & (pl.col("node") == "absolute_calls")).row(0, named=True)
    assert (nation["value"], nation["obs_status"], nation["imputed_share"]) == (100.0, "E", 0.2)
    carried = table(span(shares(rows, estimates={b: 20.0})), item("absolute"))
    assert row(carried, "B")["share_of_nation"] == 0.2
    assert (row(carried, "B")["obs_status"], row(carried, "B")["imputed_share"]) == ("E", 1.0)
    assert row(carried, "east")["imputed_share"] == pytest.approx(20 / 30)
    assert row(carried, "west")["obs_status"] == "A"


def test_a_late_feed_is_provisional_and_not_imputed() -> None:
    keys = dict.fromkeys(JANUARY, "P")
    estimates = dict(zip(JANUARY, [10.0, 20.0, 30.0, 40.0], strict=True))
    frame = table(span(shares(dict.fromkeys(JANUARY), estimates=estimates, status=keys)), item("absolute"))
    assert frame["obs_status"].unique().to_list() == ["P"]
    assert frame["imputed_share"].unique().to_list() == [0.0]
    assert frame["maturity"].unique().to_list() == ["provisional"]


def test_nothing_that_was_never_observed_is_shown() -> None:
    rows = dict(zip(JANUARY, [10, None, 30, 40], strict=True))
    b = JANUARY[1]
    frame = table(span(shares(rows, estimates={b: 0.0}, status={b: "M"})), item("absolute"))
    assert row(frame, "B")["share_of_nation"] is None
    undefined = table(span(shares(rows, status={b: "M"})), item("absolute"))
    assert row(undefined, "B")["share_of_nation"] is None
