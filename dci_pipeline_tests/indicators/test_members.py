"""Members of breakdowns over all partners: only what is there, valid places alone, exact, in a fixed order."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.findings import Finding
from dci_pipeline.indicators.members import SCHEMA, members

MONTH = date(2019, 5, 1)
PLACES = pl.DataFrame({"code": ["A", "B"], "type": ["town", "residual"]})
KEY = ["place", "indicator", "column", "member"]


def sums(rows: list[tuple[str, str, str, str, int]]) -> pl.DataFrame:
    return pl.DataFrame(rows, orient="row", schema={**dict.fromkeys(KEY, pl.String), "value": pl.Int64})


def test_partners_add_up_and_only_what_is_there_has_a_row() -> None:
    rows = [
        ("B", "x", "kind", "day", 1),
        ("A", "x", "kind", "night", 0),
        ("A", "x", "kind", "day", 5),
        ("A", "x", "kind", "day", 7),
        ("Z", "x", "kind", "day", 9),
    ]
    found = members(sums(rows), period=MONTH, places=PLACES)
    assert found.schema == SCHEMA
    assert found.drop("period").rows() == [
        ("A", "x", "kind", "day", 12),
        ("A", "x", "kind", "night", 0),
        ("B", "x", "kind", "day", 1),
    ]
    assert set(found["period"]) == {MONTH}


def test_nothing_reported_gives_no_row() -> None:
    found = members(sums([]), period=MONTH, places=PLACES)
    assert found.is_empty() and found.schema == SCHEMA


def test_a_sum_beyond_64_bits_is_refused() -> None:
    rows = [("A", "x", "kind", "day", 2**63 - 1), ("A", "x", "kind", "day", 1)]
    with pytest.raises(Finding, match="does not fit 64 bits"):
        members(sums(rows), period=MONTH, places=PLACES)
    assert members(sums(rows), period=MONTH, places=PLACES.filter(pl.col("code") == "B")).is_empty()


ROW = st.tuples(
    st.sampled_from("ABZ"),
    st.sampled_from("xy"),
    st.sampled_from(["k", "l"]),
    st.sampled_from("mno"),
    st.integers(0, 2**58),
)


@given(rows=st.lists(ROW, max_size=20), order=st.randoms(use_true_random=False))
def test_law_the_sum_is_exact_in_any_order(rows: list[tuple[str, str, str, str, int]], order: Any) -> None:
    shuffled = sorted(rows, key=lambda _: order.random())
    expected: Counter[tuple[str, ...]] = Counter()
    for *key, value in rows:
        expected[tuple(key)] += value
    found = members(sums(shuffled), period=MONTH, places=PLACES)
    wanted = sorted((*key, value) for key, value in expected.items() if key[0] in "AB")
    assert found.drop("period").rows() == wanted
