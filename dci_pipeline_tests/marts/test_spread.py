"""Divide and concentration: the worked example, definitions in fractions, and the laws they obey."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.marts import spread
from dci_pipeline_tests.index.worked import EXAMPLE, FRACTIONS

MAIN, DIVIDE = EXAMPLE["main"], EXAMPLE["extra"]["divide"]
POINTS = {
    "t0": "main.points.link0_t0",
    "t1_old": "main.points.link0_t1",
    "t1_new": "main.points.link1_t1",
    "t2": "main.points.link1_t2",
}
positive = st.lists(st.integers(1, 10**6), min_size=1, max_size=40)
amounts = st.lists(st.integers(0, 10**6), min_size=1, max_size=40).filter(any)


def exact_gini(values: Sequence[Fraction]) -> Fraction:
    n, ordered = len(values), sorted(values)
    return sum(((2 * i - n - 1) * x for i, x in enumerate(ordered, 1)), start=Fraction(0)) / (n * sum(values))


def exact_quantile(values: Sequence[Fraction], p: Fraction) -> Fraction:
    ordered, position = sorted(values), (len(values) - 1) * p
    k = int(position)
    return ordered[k] if k + 1 == len(ordered) else ordered[k] + (position - k) * (ordered[k + 1] - ordered[k])


@pytest.mark.parametrize("when", POINTS)
def test_gini_of_the_worked_example(when: str) -> None:
    points = [FRACTIONS[f"{POINTS[when]}[{i}]"] for i in range(3)]
    expected = FRACTIONS[f"main.gini_points.{when}"]
    assert exact_gini(points) == expected
    assert spread.gini(sorted(map(float, points))) == pytest.approx(float(expected), rel=1e-12)


def test_gini_and_hhi_of_three_cities() -> None:
    points = sorted(DIVIDE["points"])
    assert spread.gini(points) == pytest.approx(float(FRACTIONS["extra.divide.gini_unweighted"]), rel=1e-12)
    assert spread.hhi(points) == pytest.approx(float(FRACTIONS["extra.divide.hhi"]), rel=1e-12)


def test_theil_by_hand() -> None:
    # shares 1/2, 3/10, 1/5 of three places; the first two are one group
    within, between = spread.theil_parts([[50, 30], [20]])
    assert between == pytest.approx(0.8 * math.log(0.8 / (2 / 3)) + 0.2 * math.log(0.2 / (1 / 3)), rel=1e-12)
    assert within == pytest.approx(0.8 * (1.25 * math.log(1.25) + 0.75 * math.log(0.75)) / 2, rel=1e-12)


SMALL = [Fraction(x) for x in (1, 2, 4, 8, 10)]
EXPECTED = {
    "range_over_mean": Fraction(9, 5),
    "mean_over_min": Fraction(5),
    "p50_p10": Fraction(4) / Fraction(7, 5),
    "p75_p25": Fraction(4),
    "p80_p20": exact_quantile(SMALL, Fraction(4, 5)) / exact_quantile(SMALL, Fraction(1, 5)),
    "p90_p10": exact_quantile(SMALL, Fraction(9, 10)) / exact_quantile(SMALL, Fraction(1, 10)),
    "max_median": Fraction(5, 2),
    "gini": Fraction(48, 125),
    "hhi": Fraction(1 + 4 + 16 + 64 + 100, 25**2),
    "top10_share": Fraction(1),
    "top100_share": Fraction(1),
    "median": Fraction(4),
    "min": Fraction(1),
    "max": Fraction(10),
    "mean": Fraction(5),
}


@pytest.mark.parametrize("measure", EXPECTED)
def test_a_measure_is_its_definition(measure: str) -> None:
    assert spread.MEASURES[measure]([float(x) for x in SMALL]) == pytest.approx(float(EXPECTED[measure]), rel=1e-14)


def test_cv_is_of_the_population() -> None:
    assert spread.cv([1.0, 2.0, 4.0, 8.0, 10.0]) == pytest.approx(math.sqrt(12) / 5, rel=1e-14)


def test_the_ten_largest_of_twenty() -> None:
    assert spread.top_share([float(x) for x in range(1, 21)], 10) == pytest.approx(155 / 210, rel=1e-14)


@pytest.mark.parametrize("measure", spread.MEASURES)
def test_nothing_at_all_has_no_ratio(measure: str) -> None:
    found = spread.MEASURES[measure]([0.0, 0.0, 0.0])
    assert found == 0.0 if measure in ("median", "min", "max", "mean") else found is None


def test_a_lowest_place_of_zero_leaves_the_other_measures() -> None:
    ordered = [0.0, 1.0, 3.0]
    assert spread.MEASURES["mean_over_min"](ordered) is None
    assert spread.theil(ordered) == pytest.approx((0.75 * math.log(0.75) + 2.25 * math.log(2.25)) / 3, rel=1e-14)
    assert spread.MEASURES["range_over_mean"](ordered) == pytest.approx(2.25)


LEVELS = {"median", "min", "max", "mean"}


@given(positive, st.integers(-20, 20))
def test_no_measure_of_inequality_depends_on_the_unit(values: list[int], power: int) -> None:
    ordered = sorted(map(float, values))
    scaled = [x * 2.0**power for x in ordered]
    for name, measure in spread.MEASURES.items():
        factor = 2.0**power if name in LEVELS else 1.0
        found = measure(ordered)
        assert found is not None
        assert measure(scaled) == pytest.approx(found * factor, rel=1e-12, abs=1e-15)


@given(amounts)
def test_bounds(values: list[int]) -> None:
    ordered = sorted(map(float, values))
    n = len(values)
    gini, theil, hhi = spread.gini(ordered), spread.theil(ordered), spread.hhi(ordered)
    assert gini is not None and theil is not None and hhi is not None
    assert -1e-12 <= gini <= (n - 1) / n + 1e-12
    assert -1e-12 <= theil <= math.log(n) + 1e-12
    assert 1 / n - 1e-12 <= hhi <= 1 + 1e-12


@given(amounts)
def test_gini_is_the_mean_difference(values: list[int]) -> None:
    n, total = len(values), sum(values)
    pairs = Fraction(sum(abs(a - b) for a in values for b in values), 2 * n * total)
    assert exact_gini([Fraction(x) for x in values]) == pairs
    assert spread.gini(sorted(map(float, values))) == pytest.approx(float(pairs), rel=1e-12, abs=1e-15)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 4)), min_size=1, max_size=40))
def test_theil_within_and_between_add_to_the_whole(pairs: list[tuple[int, int]]) -> None:
    groups = [[float(x) for x, group in pairs if group == g] for g in range(5)]
    whole = spread.theil([float(x) for x, _ in pairs])
    within, between = spread.theil_parts(groups)
    if whole is None:
        assert within is None and between is None
        return
    assert within is not None and between is not None
    assert within + between == pytest.approx(whole, rel=1e-9, abs=1e-12)
    assert within >= -1e-12 and between >= -1e-12


@given(amounts, st.randoms())
def test_the_order_of_places_does_not_matter(values: list[int], random) -> None:
    shuffled = list(map(float, values))
    random.shuffle(shuffled)
    assert spread.theil(shuffled) == spread.theil(list(map(float, values)))
    assert spread.hhi(shuffled) == spread.hhi(list(map(float, values)))


@given(st.lists(st.floats(0.1, 1e6), min_size=3, max_size=30, unique=True), st.floats(-0.5, 0.5), st.integers(1, 9))
def test_beta_is_the_speed_put_in(starts: list[float], speed: float, years: int) -> None:
    pairs = [(x, x * math.exp(years * (0.1 + speed * math.log(x)))) for x in starts]
    if max(map(math.log, starts)) - min(map(math.log, starts)) > 0.1:
        assert spread.beta(pairs, years=years) == pytest.approx(speed, rel=1e-6, abs=1e-6)


def test_convergence_without_a_base() -> None:
    assert spread.beta([(0.0, 1.0), (2.0, 3.0)], years=1) is None
    assert spread.beta([(2.0, 1.0), (2.0, 3.0)], years=1) is None
    assert spread.sigma_log([0.0, 5.0]) == 0.0
    assert spread.sigma_log([0.0]) is None
    assert spread.sigma_log([1.0, math.e**2, 0.0]) == pytest.approx(1.0, rel=1e-14)
