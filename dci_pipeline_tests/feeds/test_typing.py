"""What a value is: strict types, one bad value one row, reasons in words; periods from a column."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dci_pipeline.contracts import FeedContract
from dci_pipeline.feeds import typing
from dci_pipeline.findings import Finding
from dci_pipeline_tests.feeds.conftest import COLUMNS, column, read

Make = Callable[..., FeedContract]
PLACE, ID = COLUMNS[0], COLUMNS[1]
COUNT = column("count", "integer", "measure", minimum=0, maximum=10**18)


def one_column(make: Make, value: dict[str, Any], **options: Any) -> FeedContract:
    columns = [PLACE, ID, value]
    return make(columns if value["name"] == "count" else [*columns, COUNT], **options)


def parquet(values: list[Any], dtype: Any, name: str) -> bytes:
    out = io.BytesIO()
    frame = pl.DataFrame(
        {
            "region": ["A"] * len(values),
            "id": [str(n) for n in range(len(values))],
            name: pl.Series(values, dtype=dtype),
        }
    )
    (frame if name == "count" else frame.with_columns(count=pl.lit(1))).write_parquet(out)
    return out.getvalue()


def csv_of(texts: list[str], name: str) -> bytes:
    quoted = ['"' + text.replace('"', '""') + '"' if text else "" for text in texts]
    rest = ("", "") if name == "count" else (",count", ",1")
    return (
        f"region,id,{name}{rest[0]}\n" + "".join(f"A,r{n},{text}{rest[1]}\n" for n, text in enumerate(quoted))
    ).encode()


INTEGER = column("count", "integer", "measure", minimum=0, maximum=10**18)
PAISE = column(
    "count", "integer", "measure", minimum=0, maximum=10**18, custom={"multiplier": 100, "round": "half_even"}
)
ROUNDED = column("count", "integer", "measure", minimum=0, maximum=10**18, custom={"round": "half_even"})
DAY = column("value", "date", "date", format="yyyy-MM-dd")
COMPACT_DAY = column("value", "date", "date", format="yyyyMMdd")
TEXT = column("value", "string", "dimension")
NUMBER = column("value", "number", "dimension")
TRUTH = column("value", "boolean", "dimension")

TEXTS = {
    "integer": (
        INTEGER,
        {
            "0": 0,
            "007": 7,
            "+5": 5,
            "-5": -5,
            "-0": 0,
            "": None,
            "9223372036854775807": 2**63 - 1,
            "-9223372036854775808": -(2**63),
        },
        [
            "x",
            "1.0",
            "1e3",
            " 1",
            "1 ",
            "1,000",
            "1_000",
            "0x1f",
            "+",
            "-",
            "--1",
            "１",
            "٣",
            "NaN",
            "null",
            "9223372036854775808",
            "=1+1",
            "1\n2",
            "1\0",
        ],
    ),
    "multiplied": (
        PAISE,
        {
            "1": 100,
            "1.005": 100,
            "1.015": 102,
            "0.125": 12,
            "-0.125": -12,
            "1e2": 10000,
            "1e-9": 0,
            ".5": 50,
            "": None,
            "92233720368547758.07": 2**63 - 1,
        },
        ["x", "inf", "nan", "92233720368547758.08", "1e99", "1e99999", "1,5", "", "."],
    ),
    "date": (
        DAY,
        {"2019-01-05": date(2019, 1, 5), "2020-02-29": date(2020, 2, 29), "": None},
        [
            "2019-1-5",
            "2019-02-29",
            "20190105",
            "2019/01/05",
            "2019-01-05T00:00",
            " 2019-01-05",
            "+2019-01-05",
            "-2019-01-05",
            "12019-01-05",
            "0000-01-01",
            "x",
        ],
    ),
    "compact date": (COMPACT_DAY, {"20190105": date(2019, 1, 5)}, ["2019-01-05", "2019015", "20191301"]),
    "text": (TEXT, {"a": "a", " a ": " a ", "=SUM(A1)": "=SUM(A1)", "": None, "NA": "NA", 'q"q': 'q"q'}, ["a\0b"]),
    "number": (NUMBER, {"1.5": 1.5, "-1e3": -1000.0, "": None, "5.": 5.0}, ["x", "inf", "nan", "1,5", "1e400"]),
    "truth": (TRUTH, {"true": True, "FALSE": False, "1": True, "0": False, "": None}, ["yes", "2", "t"]),
}


@pytest.mark.parametrize("case", TEXTS)
def test_text(make: Make, case: str) -> None:
    spec, good, bad = TEXTS[case]
    bad = [text for text in bad if text]
    name = spec["name"]
    got = read(csv_of([*good, *bad], name), one_column(make, spec))
    assert got[name].to_list() == [*good.values(), *([None] * len(bad))]
    assert got["unparsed"].head(len(good)).null_count() == len(good)
    for text, reason in zip(bad, got["unparsed"].tail(len(bad)), strict=True):
        assert reason.startswith(f"{name}: '{text}' ")


NATIVE = {
    "integers": (INTEGER, pl.Int32, [1, None, -1], [1, None, -1], []),
    "unsigned": (INTEGER, pl.UInt64, [5, 2**64 - 1], [5, None], ["does not fit in 64 bits"]),
    "whole floats": (
        INTEGER,
        pl.Float64,
        [5.0, None, 5.5, float("nan"), 1e300],
        [5, None, None, None, None],
        ["'5.5' is not an integer", "'NaN' is not an integer", "is not an integer"],
    ),
    "booleans are no integers": (INTEGER, pl.Boolean, [True], [None], ["count: 'true' is not an integer"]),
    "text in parquet": (
        INTEGER,
        pl.String,
        ["5", "x", "", None],
        [5, None, None, None],
        ["'x' is not an integer", "'' is not an integer"],
    ),
    "decimals": (INTEGER, pl.Decimal(20, 2), [Decimal("5.00"), Decimal("5.50")], [5, None], ["'5.50' is not"]),
    "scaled floats": (
        PAISE,
        pl.Float64,
        [1.005, 0.125, 0.135, None, float("inf"), 1e17],
        [100, 12, 14, None, None, None],
        ["'inf' is not a number", "times 100"],
    ),
    "scaled integers": (PAISE, pl.Int64, [7, 2**62], [700, None], ["times 100"]),
    "scaled decimals": (PAISE, pl.Decimal(20, 3), [Decimal("1.125")], [112], []),
    "rounded floats": (ROUNDED, pl.Float32, [0.5, 1.5, 2.5], [0, 2, 2], []),
    "dates": (DAY, pl.Date, [date(2019, 1, 5), None], [date(2019, 1, 5), None], []),
    "times": (DAY, pl.Datetime("ms", "Asia/Shanghai"), [datetime(2019, 1, 5, 23)], [date(2019, 1, 6)], []),
    "days as integers": (COMPACT_DAY, pl.Int64, [20190105, 5], [date(2019, 1, 5), None], ["value: '5' is not a date"]),
    "codes as integers": (TEXT, pl.Int64, [110000], ["110000"], []),
    "floats are no text": (TEXT, pl.Float64, [1.5], [None], ["is a number, not text"]),
    "categories": (TEXT, pl.Categorical, ["a", None, "a"], ["a", None, "a"], []),
    "nothing": (TEXT, pl.Null, [None], [None], []),
    "numbers": (NUMBER, pl.Float32, [1.5, float("nan")], [1.5, None], ["'NaN' is not a number"]),
    "truths": (TRUTH, pl.Boolean, [True, None], [True, None], []),
}


@pytest.mark.parametrize("case", NATIVE)
def test_parquet(make: Make, case: str) -> None:
    spec, dtype, values, expected, reasons = NATIVE[case]
    name = spec["name"]
    got = read(parquet(values, dtype, name), one_column(make, spec))
    assert got[name].to_list() == expected
    assert got.schema[name] == typing.DTYPES[spec["logicalType"]]
    said = got["unparsed"].drop_nulls().to_list()
    assert len(said) == sum(value is not None and want is None for value, want in zip(values, expected, strict=True))
    for reason in reasons:
        assert any(reason in text for text in said), (reason, said)


def test_reasons_of_a_row_stand_in_column_order_and_are_cut_short(make: Make) -> None:
    long = "x" * 100
    got = read(f"region,id,day,note,count\nA,r1,soon,a,{long}\nA,r2,2019-01-01,a,2\n".encode(), make())
    assert got["unparsed"].to_list() == [
        f"day: 'soon' is not a date of the form %Y-%m-%d; count: '{'x' * 40}…' is not an integer",
        None,
    ]
    assert got["id"].to_list() == ["r1", "r2"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(st.text(max_size=6), st.from_regex(r"[+-]?[0-9 _.,]{0,22}", fullmatch=True)), min_size=1, max_size=20
    )
)
def test_an_integer_is_what_the_pattern_says(texts: list[str]) -> None:
    """The cast of the engine is trusted with the integers: it must take exactly [+-]?digits within 64 bits."""
    got = pl.Series(texts, dtype=pl.String).cast(pl.Int64, strict=False).to_list()
    for text, value in zip(texts, got, strict=True):
        fits = re.fullmatch(r"[+-]?[0-9]+", text) and -(2**63) <= int(text) < 2**63
        assert value == (int(text) if fits else None)


@settings(max_examples=200, deadline=None)
@given(whole=st.integers(-(10**14), 10**14), places=st.integers(0, 9), multiplier=st.sampled_from([1, 100, 1000]))
def test_multiplied_text_is_exact_and_rounds_half_to_even(whole: int, places: int, multiplier: int) -> None:
    text = str(Decimal(whole).scaleb(-places))
    assert typing._times(text, multiplier) == round(Fraction(text) * multiplier)


class TestCollectedSince:
    LATE = column(
        "count", "integer", "measure", required=False, minimum=0, maximum=10**12, custom={"collectedSince": "2019Q2"}
    )

    @pytest.mark.parametrize(("period", "kept"), [("2019Q1", [None, None]), ("2019Q2", [0, None]), (None, [0, None])])
    def test_by_the_period_of_the_delivery(self, make: Make, period: str | None, kept: list[int | None]) -> None:
        got = read(csv_of(["0", "x"], "count"), one_column(make, self.LATE), cadence="quarter", period=period)
        assert got["count"].to_list() == kept
        assert got["unparsed"].null_count() == (2 if period == "2019Q1" else 1)

    def test_by_the_period_of_the_row(self, make: Make) -> None:
        contract = make([PLACE, ID, self.LATE, column("period", "string", "period")])
        text = "region,id,count,period\nA,1,0,2019Q1\nA,2,0,2019Q2\nA,3,0,2018Q4\nA,4,0,\nA,5,0,soon\n"
        got = read(text.encode(), contract, cadence="quarter")
        assert got["count"].to_list() == [None, 0, None, 0, 0]


class TestSplit:
    def contract(self, make: Make) -> FeedContract:
        return make([PLACE, ID, COUNT, column("period", "string", "period")])

    def test_by_the_period_column(self, make: Make) -> None:
        text = "region,id,count,period\nA,1,1,2019Q2\nA,2,2,2019Q1\nA,3,x,2019Q2\nA,4,4,2019-Q1\n"
        contract = self.contract(make)
        parts = typing.split(read(text.encode(), contract, cadence="quarter"), contract, "quarter")
        assert [period.key for period in parts] == ["2019Q1", "2019Q2"]
        assert [part["file_row"].to_list() for part in parts.values()] == [[2, 4], [1, 3]]

    @pytest.mark.parametrize(
        ("row", "found"),
        [("A,3,3,2019Q5", "'2019Q5'"), ("A,3,3,", "an empty field"), ("A,3", "row: 2 fields, expected 4")],
    )
    def test_a_row_of_no_period_is_named(self, make: Make, row: str, found: str) -> None:
        contract = self.contract(make)
        frame = read(
            f"region,id,count,period\nA,1,1,2019Q1\nA,2,1,2019Q1\n{row}\n".encode(), contract, cadence="quarter"
        )
        with pytest.raises(Finding) as raised:
            typing.split(frame, contract, "quarter", name="all.csv")
        assert "all.csv row 3 column period" in str(raised.value) and found in str(raised.value)

    def test_needs_a_period_column(self, make: Make) -> None:
        with pytest.raises(Finding, match="no column with role period"):
            typing.split(pl.DataFrame(), make(), "month")


def test_a_filter_that_leaves_nothing_is_a_finding(make: Make) -> None:
    with pytest.raises(Finding) as raised:
        read(b"region,id,day,note,count,level\nA,1,,a,1,nation\n", make(rowFilter={"level": "state"}))
    assert "none of 1 records matches" in str(raised.value) and "level = state" in str(raised.value)
