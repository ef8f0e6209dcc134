"""A published table keeps its contract's promise or is refused."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.contracts import TableColumn, TableContract
from dci_pipeline.findings import Finding
from dci_pipeline.marts.promise import promised

CONTRACT = TableContract(
    index="i",
    table="t",
    version="1",
    description="",
    label="",
    sha256="",
    columns=(
        TableColumn("code", "string", "", "", "", key=True, required=True),
        TableColumn("value", "number", "", "", "", key=False, required=False),
    ),
)

SCHEMA = {"code": pl.String, "value": pl.Float64}


def test_columns_come_in_the_contract_s_order_sorted_by_key() -> None:
    frame = promised(pl.DataFrame({"value": [1.0, None], "code": ["b", "a"]}), CONTRACT)
    assert frame.rows() == [("a", None), ("b", 1.0)]


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (pl.DataFrame({"code": ["a"]}), "missing: value"),
        (pl.DataFrame({"code": ["a"], "value": [1.0], "extra": [1]}), "not promised: extra"),
        (pl.DataFrame({"code": ["a"], "value": [1]}), "t.value: a column of another type"),
        (
            pl.DataFrame({"code": [None], "value": [1.0]}, schema_overrides={"code": pl.String}),
            "nulls in a required column",
        ),
        (pl.DataFrame({"code": ["a", "a"], "value": [1.0, 2.0]}), "rows that share a key"),
    ],
)
def test_a_broken_promise_is_refused(frame: pl.DataFrame, says: str) -> None:
    with pytest.raises(Finding, match=says):
        promised(frame, CONTRACT)


@given(
    st.lists(st.one_of(st.none(), st.sampled_from([0.0, -0.0, float("nan"), float("inf")]), st.floats()), max_size=9)
)
def test_no_zero_has_a_minus_and_nothing_else_moves(values: list[float | None]) -> None:
    frame = pl.DataFrame({"code": [str(n) for n in range(len(values))], "value": values}, schema=SCHEMA)
    found = promised(frame, CONTRACT)["value"].to_list()
    for was, now in zip(values, found, strict=True):
        assert now == 0.0 and math.copysign(1.0, now) == 1.0 if was == 0.0 else repr(now) == repr(was)


def test_a_difference_of_zeros_is_published_plain() -> None:
    """One way that a minus comes about: a column of one value less one of several parts."""
    now = pl.DataFrame({"code": ["a", "b", "c"]}).with_columns(now=pl.lit(0.0))
    base = pl.DataFrame({"code": ["a", "c"], "base": [0.0, 0.0]})
    moved = now.join(base, on="code", how="left", maintain_order="left").select(
        "code", value=pl.col("now") - pl.col("base")
    )
    assert [repr(value) for value in promised(moved, CONTRACT)["value"].to_list()] == ["0.0", "None", "0.0"]
