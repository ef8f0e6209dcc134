"""Shares and totals: worked imputations, scenarios period by period, laws."""

import io
import math
from collections.abc import Sequence
from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.normalise import shares, totals

JANUARY = date(2020, 1, 1)
Values = list[int | None]


def frame(values: Values, *, indicator: str = "volume") -> pl.DataFrame:
    """One indicator, places A, B, C …"""
    rows = [("ABCDEFGH"[c], indicator, value) for c, value in enumerate(values)]
    return pl.DataFrame(rows, schema={"place": pl.String, "indicator": pl.String, "value": pl.Int64}, orient="row")


def close(found: Sequence[float | None], expected: Sequence[float | None]) -> bool:
    """Equal to the last digits, null only where null is expected."""
    return len(found) == len(expected) and all(
        got == want if got is None or want is None else math.isclose(got, want, rel_tol=1e-14)
        for got, want in zip(found, expected, strict=True)
    )


def run(months: list[Values], *, carry_periods: int = 3) -> pl.DataFrame:
    """The shares of the last of several months, each carried from the one before."""
    previous: pl.DataFrame | None = None
    for month, values in enumerate(months, start=1):
        previous = shares(frame(values), period=date(2020, month, 1), previous=previous, carry_periods=carry_periods)
    assert previous is not None
    return previous


@pytest.mark.parametrize(
    ("months", "estimate", "share", "status", "carried"),
    [
        pytest.param([[60, 30, 10]], [60, 30, 10], [0.6, 0.3, 0.1], "AAA", [0, 0, 0], id="complete"),
        pytest.param([[60, 0, 40]], [60, 0, 40], [0.6, 0, 0.4], "AAA", [0, 0, 0], id="a true zero is kept"),
        pytest.param(
            [[60, 30, 10], [72, None, 33]], [72, 45, 33], [0.48, 0.3, 0.22], "AEA", [0, 1, 0], id="one place carried"
        ),
        pytest.param(
            [[60, 30, 10], [None, None, 33]], [198, 99, 33], [0.6, 0.3, 0.1], "EEA", [1, 1, 0], id="two places carried"
        ),
        pytest.param(
            [[60, 30, 10]] + [[72, None, 33]] * 3, [72, 45, 33], [0.48, 0.3, 0.22], "AEA", [0, 3, 0], id="third month"
        ),
        pytest.param(
            [[60, 30, 10]] + [[72, None, 33]] * 4,
            [72, 45, 33],
            [0.48, 0.3, 0.22],
            "AMA",
            [0, 4, 0],
            id="after three months M, the estimate stays in the total",
        ),
        pytest.param(
            [[60, 30, 10], [72, None, 33], [50, 40, 10]],
            [50, 40, 10],
            [0.5, 0.4, 0.1],
            "AAA",
            [0, 0, 0],
            id="back again",
        ),
        pytest.param([[60, None, 40]], [60, 0, 40], [0.6, 0, 0.4], "AMA", [0, 1, 0], id="never observed: 0 and M"),
        pytest.param([[5, 5], [0, 0]], [0, 0], [None, None], "AA", [0, 0], id="a total of 0 has no shares"),
        pytest.param([[5, 5], [0, None]], [0, 0], [None, None], "AE", [0, 1], id="carried on a total of 0"),
        pytest.param(
            [[6, 4], [None, None]], [None, None], [None, None], "MM", [1, 1], id="nothing observed: undefined"
        ),
        pytest.param(
            [[10, 0], [None, 3]], [None, 3], [None, None], "MA", [1, 0], id="the missing held the whole total"
        ),
    ],
)
def test_scenario(
    months: list[Values], estimate: list[float | None], share: list[float | None], status: str, carried: list[int]
) -> None:
    found = run(months)
    assert found.get_column("value").to_list() == months[-1]
    assert close(found.get_column("estimate").to_list(), estimate)
    assert close(found.get_column("share").to_list(), share)
    assert "".join(found.get_column("obs_status")) == status
    assert found.get_column("carried").to_list() == carried


def test_the_share_last_observed_is_carried_not_the_estimate() -> None:
    found = run([[60, 30, 10], [70, None, 10], [50, None, 50]])
    assert found.select("observed_period", "observed_share").row(1) == (JANUARY, 0.3)
    assert found.get_column("share")[1] == pytest.approx(0.3, rel=1e-14)
    assert found.get_column("total")[0] == pytest.approx(100 / 0.7, rel=1e-14)


def test_a_month_without_volume_keeps_the_share_last_defined() -> None:
    found = run([[60, 40], [0, 0], [None, 40]])
    assert found.select("observed_period", "observed_share", "carried").row(0) == (JANUARY, 0.6, 1)
    assert found.get_column("estimate").to_list() == pytest.approx([60, 40])


def test_a_pair_that_is_not_listed_is_neither_missing_nor_estimated() -> None:
    before = shares(frame([60, 30, 10]), period=JANUARY, previous=None)
    found = shares(frame([60, 30]), period=date(2020, 2, 1), previous=before)
    assert found.get_column("share").to_list() == pytest.approx([2 / 3, 1 / 3])


def test_columns() -> None:
    found = shares(frame([60, None, 10]), period=JANUARY, previous=None)
    assert found.schema == {
        "period": pl.Date,
        "place": pl.String,
        "indicator": pl.String,
        "value": pl.Int64,
        "estimate": pl.Float64,
        "total": pl.Float64,
        "share": pl.Float64,
        "obs_status": pl.String,
        "observed_period": pl.Date,
        "observed_share": pl.Float64,
        "carried": pl.Int32,
    }
    assert found.row(1) == (JANUARY, "B", "volume", None, 0.0, 70.0, 0.0, "M", None, None, 1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param(frame([4, -2]), "2020-01-01: 1 negative, first place 'B', indicator 'volume': -2", id="negative"),
        pytest.param(pl.concat([frame([4])] * 2), "found twice", id="twice"),
        pytest.param(frame([4]).with_columns(pl.col("value").cast(pl.Float64)), "type Float64", id="no integers"),
        pytest.param(frame([4]).drop("place"), r"lack \['place'\]", id="no place"),
    ],
)
def test_what_is_refused(values: pl.DataFrame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shares(values, period=JANUARY, previous=None)


def test_the_period_before_must_be_earlier() -> None:
    before = shares(frame([1, 2]), period=JANUARY, previous=None)
    with pytest.raises(ValueError, match="expected an earlier one"):
        shares(frame([1, 2]), period=JANUARY, previous=before)


def test_large_integers_are_summed_before_the_one_division() -> None:
    # in floats the twos would be lost one by one: 2^53 is where steps of 1 end
    found = shares(frame([2**54, 2, 2]), period=JANUARY, previous=None)
    assert found.get_column("total")[0] == float(2**54 + 4)


@pytest.mark.parametrize(
    ("months", "expected"),
    [
        pytest.param([[60, 30, 10]], (100.0, 0.0, 3), id="complete"),
        pytest.param([[60, 30, 10], [72, None, 33]], (150.0, 0.3, 3), id="one carried"),
        pytest.param([[60, 40], [None, None]], (None, 1.0, 2), id="undefined"),
        pytest.param([[60, 40], [0, 0]], (0.0, None, 2), id="no volume"),
    ],
)
def test_totals(months: list[Values], expected: tuple[float | None, float | None, int]) -> None:
    found = totals(run(months))
    assert found.columns == ["period", "indicator", "total", "imputed_share", "places"]
    assert close(found.row(0)[2:], expected)


volumes = st.lists(st.integers(0, 10**12), min_size=1, max_size=8).filter(any)
gappy = st.lists(
    st.tuples(st.integers(1, 10**9), st.one_of(st.none(), st.integers(1, 10**9))), min_size=2, max_size=8
).filter(lambda pairs: any(now is not None for _, now in pairs))


def carried(pairs: list[tuple[int, int | None]]) -> pl.DataFrame:
    return run([[before for before, _ in pairs], [now for _, now in pairs]])


@given(gappy)
def test_law_shares_sum_to_one_with_and_without_missing_places(pairs: list[tuple[int, int | None]]) -> None:
    found = carried(pairs)
    assert math.fsum(found.get_column("share")) == pytest.approx(1, rel=1e-12)
    assert math.fsum(found.get_column("estimate")) == pytest.approx(found.get_column("total")[0], rel=1e-12)


@given(gappy)
def test_law_a_carried_place_keeps_its_share(pairs: list[tuple[int, int | None]]) -> None:
    missing = carried(pairs).filter(pl.col("value").is_null())
    assert missing.get_column("share").to_list() == pytest.approx(
        missing.get_column("observed_share").to_list(), rel=1e-6
    )


@given(volumes, st.integers(2, 1000))
def test_law_a_change_of_unit_leaves_shares_alone(values: list[int], unit: int) -> None:
    found, other = run([[*values]]), run([[unit * value for value in values]])
    assert other.get_column("share").to_list() == pytest.approx(found.get_column("share").to_list(), rel=1e-14)


@given(gappy, st.integers(0, 10))
def test_law_the_order_of_rows_does_not_change_a_byte(pairs: list[tuple[int, int | None]], seed: int) -> None:
    before, now = frame([before for before, _ in pairs]), frame([now for _, now in pairs])
    previous = shares(before, period=JANUARY, previous=None)

    def written(values: pl.DataFrame, previous: pl.DataFrame) -> bytes:
        found = shares(values, period=date(2020, 2, 1), previous=previous)
        buffer = io.BytesIO()
        found.write_parquet(buffer)
        return buffer.getvalue()

    shuffled = now.sample(fraction=1, shuffle=True, seed=seed), previous.sample(fraction=1, shuffle=True, seed=seed)
    assert written(now, previous) == written(*shuffled)


@given(volumes.filter(lambda values: len(values) > 1))
def test_law_a_merger_adds(values: list[int]) -> None:
    apart, merged = run([[*values]]), run([[values[0] + values[1], *values[2:]]])
    assert merged.get_column("total")[0] == apart.get_column("total")[0]
    assert merged.get_column("share")[0] == pytest.approx(
        apart.get_column("share")[0] + apart.get_column("share")[1], rel=1e-14
    )


def test_a_national_sum_beyond_64_bits_is_exact() -> None:
    found = shares(frame([2**62, 2**62, 2**62]), period=JANUARY, previous=None)
    assert found.get_column("total").to_list() == [float(3 * 2**62)] * 3
    assert found.get_column("share").to_list() == [1 / 3] * 3
