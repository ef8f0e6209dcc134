"""Ranks do not depend on the digits that are the machine's."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.marts.growth import comparable_values, competition_ranks, rank_of

# Numbers of 9 digits: none lies where rounding to 12 turns.
DECIMALS = st.integers(1, 10**9 - 1)


def ranks(values: list[float], *, growth: bool = False) -> list[int]:
    frame = pl.DataFrame({"value": values, "all": [0] * len(values)})
    return frame.select(rank_of("value", ("all",), growth=growth))["value"].to_list()


@given(numbers=st.lists(DECIMALS, min_size=1, max_size=8), exponent=st.integers(-18, 6))
def test_levels_one_digit_of_the_machine_apart_share_a_rank(numbers: list[int], exponent: int) -> None:
    levels = [float(f"{number}e{exponent}") for number in numbers]
    apart = [math.nextafter(level, math.inf) for level in levels]
    found = ranks([*levels, *apart])
    assert found[: len(levels)] == found[len(levels) :]
    assert found[: len(levels)] == [1 + 2 * sum(other > number for other in numbers) for number in numbers]


@given(numbers=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=8))
def test_growths_whose_ratios_are_one_digit_apart_share_a_rank(numbers: list[int]) -> None:
    ratios = [1.0 + number / 10**9 for number in numbers]
    apart = [math.nextafter(ratio, math.inf) for ratio in ratios]
    found = ranks([ratio - 1.0 for ratio in (*ratios, *apart)], growth=True)
    assert found[: len(ratios)] == found[len(ratios) :]
    assert found[: len(ratios)] == [1 + 2 * sum(other > number for other in numbers) for number in numbers]


@given(
    values=st.lists(
        st.lists(st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, 2.5, -3.0, 1e300])), min_size=4, max_size=4),
        min_size=1,
        max_size=5,
    )
)
def test_ranks_of_an_array_are_those_of_a_column(values: list[list[float | None]]) -> None:
    array = np.array([[np.nan if value is None else value for value in row] for row in values])
    frame = pl.DataFrame(
        {
            "row": [number for number, row in enumerate(values) for _ in row],
            "value": [value for row in values for value in row],
        },
        schema={"row": pl.Int64, "value": pl.Float64},
    )
    expected = frame.select(rank_of("value", ("row",)).cast(pl.Float64).fill_null(float("nan")))["value"].to_numpy()
    found = competition_ranks(comparable_values(array))
    assert np.array_equal(found.reshape(-1), expected, equal_nan=True)
