"""A row of numbers as blocks: one character each, heights in order, gaps shown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.report.sparkline import BLOCKS, GAP, sparkline


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([1.0, 2.0, 3.0], "▁▅█"),
        ([float(value) for value in range(8)], BLOCKS),
        ([5.0, 5.0], "▄▄"),
        ([None, 1.0, math.nan, 2.0], f"{GAP}▁{GAP}█"),
        ([None, None], GAP * 2),
        ([-3.0, 0.0], "▁█"),
    ],
)
def test_heights(values: list[float | None], line: str) -> None:
    assert sparkline(values) == line


def test_only_the_last_ones_fit() -> None:
    assert sparkline([9.0, 1.0, 2.0], width=2) == "▁█"


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=50))
def test_order_is_kept(values: list[float]) -> None:
    heights = [BLOCKS.index(block) for block in sparkline(values)]
    for one, other in zip(range(len(values)), range(1, len(values)), strict=False):
        if values[one] < values[other]:
            assert heights[one] <= heights[other]
    if max(values) > min(values):
        assert heights[values.index(min(values))] == 0
        assert heights[values.index(max(values))] == len(BLOCKS) - 1
