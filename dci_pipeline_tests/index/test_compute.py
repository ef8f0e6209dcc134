"""The public door: laws against the formulas in fractions, links that do not move the level, and what is refused."""

import io
import math
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dci_pipeline.index import Index, compute, links
from dci_pipeline_tests.index.exact import Exact, ExactLink, lookup
from dci_pipeline_tests.index.worked import changed, main_case

QUARTERS = [date(2000 + n // 4, 1 + 3 * (n % 4), 1) for n in range(12)]
BASKETS = [["a", "b"], ["b", "c"], ["a", "b", "c"]]


def split(scores: Sequence[int]) -> list[Fraction]:
    return [Fraction(score, sum(scores)) for score in scores]


@st.composite
def indices(draw: st.DrawFn, *, smallest: int = 1) -> Exact:
    """Three years of quarters and one, two or three links whose basket and weights change."""
    places = [f"place {c}" for c in range(draw(st.integers(1, 3)))]
    volumes = draw(st.lists(st.integers(smallest, 10**6), min_size=36 * len(places), max_size=36 * len(places)))
    keys = [(day, place, j) for day in QUARTERS for place in places for j in "abc"]
    cuts = draw(st.sampled_from([[0, 12], [0, 4, 12], [0, 8, 12], [0, 4, 8, 12], [0, 6, 12]]))
    chain: list[ExactLink] = []
    for k, (start, end) in enumerate(pairwise(cuts)):
        basket = draw(st.sampled_from(BASKETS))
        weights = split(draw(st.lists(st.integers(1, 5), min_size=len(basket), max_size=len(basket))))
        reference = QUARTERS[0:4] if k == 0 else QUARTERS[start - draw(st.integers(1, 4)) : start]
        chain.append(ExactLink(dict(zip(basket, weights, strict=True)), reference, QUARTERS[start:end]))
    return Exact(dict(zip(keys, volumes, strict=True)), chain)


def close(found: float | None, expected: Fraction | None) -> bool:
    if found is None or expected is None:
        return found is None and expected is None
    return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)


@settings(max_examples=25, deadline=None)
@given(indices())
def test_law_every_number_is_the_formula(case: Exact) -> None:
    index = case.compute()
    for day, level in index.national.iter_rows():
        assert close(level, case.level([day], case.at(day)))
    for row in index.places.iter_rows(named=True):
        day, place = row["period"], row["place"]
        k = case.at(day)
        base = date(day.year - 1, day.month, 1)
        assert close(row["points"], case.points(place, [day], k))
        assert close(row["share"], case.share(place, day, k))
        assert close(row["growth_yoy"], case.growth(place, day, base) if base in QUARTERS else None)
    assert index.contributions.height == len(
        [1 for t in QUARTERS[4:] for _ in case.places for _ in {*case.links[case.at(t)].weights, *_before(case, t)}]
    )
    for day, base, place, j, points in index.contributions.iter_rows():
        assert base == date(day.year - 1, day.month, 1)
        assert close(points, case.contribution(place, j, day, base))


def _before(case: Exact, t: date) -> list[str]:
    return list(case.links[case.at(date(t.year - 1, t.month, 1))].weights)


@settings(max_examples=25, deadline=None)
@given(indices(smallest=1))
def test_law_changes_add_up(case: Exact) -> None:
    index = case.compute()
    level = dict(index.national.iter_rows())
    points = {(day, place): value for day, place, value in index.places.select("period", "place", "points").iter_rows()}
    effect = {
        (day, place): value
        for day, place, value in index.places.select("period", "place", "link_effect_points").iter_rows()
    }
    for (day, base), part in index.contributions.group_by("period", "base_period"):
        assert isinstance(day, date)
        assert isinstance(base, date)
        total = part.get_column("contribution_points")
        assert math.isclose(math.fsum(total), level[day] - level[base], rel_tol=1e-9, abs_tol=1e-9)
        for (place,), own in part.group_by("place"):
            moved = math.fsum(own.get_column("contribution_points")) + effect[day, str(place)]
            assert math.isclose(moved, points[day, str(place)] - points[base, str(place)], rel_tol=1e-9, abs_tol=1e-9)
    for (_,), part in index.link_effects.group_by("link"):
        assert math.isclose(math.fsum(part.get_column("link_effect_points")), 0, abs_tol=1e-9)
    for (day,), part in index.places.group_by("period"):
        assert isinstance(day, date)
        assert math.isclose(math.fsum(part.get_column("points")), level[day], rel_tol=1e-12)
        assert math.isclose(math.fsum(part.get_column("share")), 1, rel_tol=1e-12)


@settings(max_examples=25, deadline=None)
@given(indices())
def test_law_a_link_does_not_move_the_level(case: Exact) -> None:
    index = case.compute()
    assert math.isclose(_mean(index, case.links[0].reference), 100, rel_tol=1e-12)
    for k, link in enumerate(case.links[1:], start=1):
        assert math.isclose(_mean(index, link.reference), case.level(link.reference, k), rel_tol=1e-12)


def _mean(index: Index, days: Sequence[date]) -> float:
    level = index.national.filter(pl.col("period").is_in(list(days))).get_column("level")
    return math.fsum(level) / len(level)


@settings(max_examples=15, deadline=None)
@given(indices(), st.integers(0, 99))
def test_law_the_order_of_rows_does_not_change_a_byte(case: Exact, seed: int) -> None:
    frames = (case.values(), case.weights(), case.chain())
    shuffled = (frame.sample(fraction=1, shuffle=True, seed=seed) for frame in frames)
    assert _written(compute(*frames)) == _written(compute(*shuffled))


def _written(index: Index) -> list[bytes]:
    written: list[bytes] = []
    for frame in (index.national, index.places, index.contributions, index.link_effects):
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        written.append(buffer.getvalue())
    return written


@settings(max_examples=15, deadline=None)
@given(indices(), st.sampled_from("abc"), st.integers(2, 1000))
def test_law_a_change_of_unit_leaves_everything_alone(case: Exact, indicator: str, unit: int) -> None:
    scaled = Exact({key: x * unit if key[2] == indicator else x for key, x in case.x.items()}, case.links)
    one, other = case.compute(), scaled.compute()
    for name in ("points", "share", "growth_yoy"):
        pairs = zip(other.places.get_column(name), one.places.get_column(name), strict=True)
        assert all(
            found == expected or math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-12) for found, expected in pairs
        )


@settings(max_examples=15, deadline=None)
@given(indices().filter(lambda case: len(case.places) > 1))
def test_law_a_merger_adds(case: Exact) -> None:
    first, second = case.places[:2]
    together: dict[tuple[date, str, str], int] = {}
    for (day, place, j), x in case.x.items():
        key = (day, first if place == second else place, j)
        together[key] = together.get(key, 0) + x
    one, other = case.compute(), Exact(together, case.links).compute()
    # national sums are sums of integers, so they do not even change by a last digit
    assert other.national.equals(one.national)
    for day in QUARTERS:
        for name in ("points", "share"):
            parts = [lookup(one.places, name, period=day, place=place) for place in (first, second)]
            assert lookup(other.places, name, period=day, place=first) == pytest.approx(sum(parts), rel=1e-12)


def test_annual_overlap_with_one_basket_starts_as_the_fixed_base() -> None:
    case = main_case()
    values = case.values().filter(pl.col("indicator") == "1")
    span = {"reference_start": date(2000, 1, 1), "reference_end": date(2000, 1, 1), "end": date(2002, 1, 1)}
    levels: list[list[float]] = []
    for chaining in ("fixed_base", "annual_overlap"):
        chain = links(chaining, cadence="year", **span)
        weights = chain.select("link", indicator=pl.lit("1"), alpha=pl.lit(1.0))
        levels.append(compute(values, weights, chain).national.get_column("level").to_list())
    assert levels[0] == pytest.approx([100, 150, 210])
    assert levels[1] == pytest.approx(levels[0])


@pytest.mark.parametrize(
    ("name", "x", "points", "growth", "share"),
    [
        pytest.param(
            "a zero stays and gives no growth",
            {"A": [0, 5], "B": [10, 5]},
            [0, 100, 50, 50],
            [None, -0.5],
            [0, 1, 0.5, 0.5],
            id="zero base",
        ),
        pytest.param(
            "no volume: no share, no points",
            {"A": [4, 0], "B": [6, 0]},
            [40, 60, 0, 0],
            [-1, -1],
            [0.4, 0.6, None, None],
            id="X = 0",
        ),
    ],
)
def test_zeros(
    name: str, x: dict[str, list[int]], points: list[float], growth: list[float | None], share: list[float | None]
) -> None:
    days = [date(2000, 1, 1), date(2001, 1, 1)]
    volumes = {(day, place, "a"): given[t] for place, given in x.items() for t, day in enumerate(days)}
    found = Exact(volumes, [ExactLink({"a": Fraction(1)}, days[:1], days)]).compute().places
    assert found.get_column("points").to_list() == points, name
    assert found.get_column("share").to_list() == share, name
    assert found.filter(pl.col("period") == days[1]).get_column("growth_yoy").to_list() == growth, name


def test_an_indicator_without_volume_leaves_the_share_and_the_others_are_scaled_up() -> None:
    days = [date(2000, 1, 1), date(2001, 1, 1)]
    x = {(days[0], "A", "a"): 1, (days[0], "B", "a"): 3, (days[0], "A", "b"): 1, (days[0], "B", "b"): 1}
    x |= {(days[1], "A", "a"): 2, (days[1], "B", "a"): 2, (days[1], "A", "b"): 0, (days[1], "B", "b"): 0}
    case = Exact(x, [ExactLink({"a": Fraction(1, 4), "b": Fraction(3, 4)}, days[:1], days)])
    found = case.compute()
    assert found.places.get_column("share").to_list() == [0.4375, 0.5625, 0.5, 0.5]
    assert found.national.get_column("level").to_list() == [100.0, 25.0]


def test_growth_over_two_links_goes_through_both_references() -> None:
    """Quarterly links: a year crosses four of them, each part like for like."""
    days = QUARTERS[:5]
    x = {(day, "A", j): 1 + n * (2 if j == "a" else 3) for n, day in enumerate(days) for j in "ab"}
    chain = [ExactLink({"a": Fraction(1)}, days[:1], days[:2])]
    chain += [ExactLink({"b" if n % 2 else "a": Fraction(1)}, days[n : n + 1], days[n + 1 : n + 2]) for n in (1, 2, 3)]
    index = Exact(x, chain).compute()
    expected = Fraction(3, 1) * Fraction(7, 4) * Fraction(7, 5) * Fraction(13, 10) - 1
    assert index.places.get_column("growth_yoy")[4] == pytest.approx(float(expected), rel=1e-12)
    assert index.national.get_column("level")[4] == pytest.approx(100 * float(expected + 1), rel=1e-12)
    total = index.contributions.get_column("contribution_points").sum()
    assert total == pytest.approx(100 * float(expected), rel=1e-12)


CASE = main_case()
VALUES, WEIGHTS, CHAIN = CASE.values(), CASE.weights(), CASE.chain()


def test_an_open_end_and_an_overlap_read_as_they_are_meant() -> None:
    """A link may name its reference as its start; the older link publishes it."""
    overlap = changed(changed(CHAIN, "start", pl.col("link") == 1, date(2001, 1, 1)), "end", pl.col("link") == 1, None)
    assert _written(compute(VALUES, WEIGHTS, overlap)) == _written(compute(VALUES, WEIGHTS, CHAIN))


def test_what_is_outside_the_basket_and_the_links_is_ignored() -> None:
    more = VALUES.with_columns(indicator=pl.lit("other")).unique(["period", "place", "indicator"])
    early = VALUES.filter(pl.col("period") == date(2000, 1, 1)).with_columns(period=pl.date(1999, 1, 1))
    assert _written(compute(pl.concat([VALUES, more, early]), WEIGHTS, CHAIN)) == _written(CASE.compute())


def test_columns() -> None:
    index = CASE.compute()
    assert index.national.columns == ["period", "level"]
    assert index.places.columns == ["period", "place", "points", "share", "growth_yoy", "link_effect_points"]
    assert index.contributions.columns == ["period", "base_period", "place", "indicator", "contribution_points"]
    assert index.link_effects.columns == ["link", "place", "link_effect_points"]
    effects = index.places.get_column("link_effect_points").to_list()
    assert effects[:6] == [None] * 3 + [0.0] * 3


def test_national_sums_beyond_64_bits_are_exact() -> None:
    days = [date(2019, 1, 1), date(2019, 2, 1)]
    values = pl.DataFrame(
        [(day, place, "bytes", 2**62 + number) for day in days for number, place in enumerate("ABC")],
        schema=["period", "place", "indicator", "value"],
        orient="row",
    )
    chain = links("fixed_base", reference_start=days[0], reference_end=days[0], end=days[1])
    weights = pl.DataFrame({"link": [0], "indicator": ["bytes"], "alpha": [1.0]})
    assert compute(values, weights, chain).national.get_column("level").to_list() == [100.0, 100.0]
