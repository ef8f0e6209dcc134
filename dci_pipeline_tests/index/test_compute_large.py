"""An index of the size one would be judged by: 12 places, 10 indicators, 60 months, a link every year.

Every number the public door gives is held against the formulas in fractions (`exact`), which share nothing with it.
"""

from __future__ import annotations

import math
from datetime import date
from fractions import Fraction
from random import Random

import polars as pl
import pytest

from dci_pipeline.index import Index, links
from dci_pipeline_tests.index.exact import Exact, ExactLink

MONTHS = [date(2015 + n // 12, n % 12 + 1, 1) for n in range(60)]
PLACES = [f"c{n:02}" for n in range(12)]
INDICATORS = [f"j{n}" for n in range(10)]
# The basket by year: two leave and two enter with the third, all ten are there in the last; new scores each time.
BASKETS = [INDICATORS[:8], INDICATORS[:8], INDICATORS[2:], INDICATORS[2:], INDICATORS]
SURVEYS = [1, 1, 2, 2, 3]
PRECISE = 1e-12


def drawn() -> Exact:
    """Volumes from tens to billions that grow at their own pace; some are zero, one place starts late."""
    source = Random(12)
    x: dict[tuple[date, str, str], int] = {}
    for j in INDICATORS:
        size, pace = 10 ** source.uniform(2, 9), source.uniform(-0.01, 0.05)
        for c in PLACES:
            part = source.uniform(0.05, 1)
            for age, t in enumerate(MONTHS):
                late = c == PLACES[-1] and age < 10
                zero = late or source.random() < 0.01
                x[t, c, j] = 0 if zero else int(size * part * math.exp(pace * age) * source.uniform(0.7, 1.4))
    chain: list[ExactLink] = []
    for year, basket in enumerate(BASKETS):
        scores = Random(SURVEYS[year])
        given = {j: scores.randint(4, 20) for j in basket}
        weights = {j: Fraction(score, sum(given.values())) for j, score in given.items()}
        reference = MONTHS[12 * max(year - 1, 0) :][:12]
        chain.append(ExactLink(weights, reference, MONTHS[12 * year :][:12]))
    return Exact(x, chain)


@pytest.fixture(scope="module")
def case() -> Exact:
    return drawn()


@pytest.fixture(scope="module")
def index(case: Exact) -> Index:
    return case.compute()


def test_the_links_are_those_of_annual_overlap(case: Exact) -> None:
    made = links("annual_overlap", reference_start=MONTHS[0], reference_end=MONTHS[11], end=MONTHS[-1])
    assert made.equals(case.chain())


def test_levels(case: Exact, index: Index) -> None:
    assert index.national.get_column("period").to_list() == MONTHS
    for t, level in index.national.iter_rows():
        assert math.isclose(level, case.level([t], case.at(t)), rel_tol=PRECISE), t
    for k, link in enumerate(case.links[1:], start=1):
        before, after = (case.level(link.reference, number) for number in (k - 1, k))
        assert before == after


def test_points_shares_and_growth(case: Exact, index: Index) -> None:
    assert index.places.height == len(MONTHS) * len(PLACES)
    for row in index.places.iter_rows(named=True):
        t, c = row["period"], row["place"]
        base, k = date(t.year - 1, t.month, 1), case.at(t)
        assert math.isclose(row["points"], case.points(c, [t], k), rel_tol=PRECISE)
        share = case.share(c, t, k)
        assert share is not None
        assert math.isclose(row["share"], share, rel_tol=PRECISE)
        if base < MONTHS[0]:
            assert row["growth_yoy"] is None
            assert row["link_effect_points"] is None
            continue
        grown = case.growth(c, t, base)
        if grown is None:
            assert row["growth_yoy"] is None
        else:
            assert math.isclose(1 + row["growth_yoy"], 1 + grown, rel_tol=PRECISE)
            assert math.isclose(row["growth_yoy"], grown, rel_tol=PRECISE, abs_tol=PRECISE)
        # Every year has its link: one lies between a month and the same one a year before.
        effect = case.link_effect(c, k)
        assert math.isclose(row["link_effect_points"], effect, rel_tol=PRECISE, abs_tol=PRECISE * row["points"])


def test_a_place_that_starts_late_has_no_growth_on_nothing(index: Index) -> None:
    own = index.places.filter(pl.col("place") == PLACES[-1]).sort("period")
    assert own.get_column("points").to_list()[:10] == [0.0] * 10
    assert own.filter(pl.col("growth_yoy").is_null()).height == 12 + 10


def test_contributions(case: Exact, index: Index) -> None:
    """The two parts of one across a link may cancel: what is precise is each part, against what the place holds."""
    baskets = [{*case.links[k].weights, *case.links[k - 1].weights} for k in range(1, 5)]
    assert index.contributions.height == sum(12 * len(PLACES) * len(basket) for basket in baskets)
    points = {(t, c): value for t, c, value in index.places.select("period", "place", "points").iter_rows()}
    for t, base, c, j, found in index.contributions.iter_rows():
        expected = case.contribution(c, j, t, base)
        held = max(points[t, c], points[base, c])
        assert math.isclose(found, expected, rel_tol=PRECISE, abs_tol=PRECISE * held), (t, c, j)


def test_link_effects(case: Exact, index: Index) -> None:
    assert index.link_effects.height == 4 * len(PLACES)
    for k, c, effect in index.link_effects.iter_rows():
        expected = case.link_effect(c, k)
        held = case.points(c, case.links[k].reference, k)
        assert math.isclose(effect, expected, rel_tol=PRECISE, abs_tol=PRECISE * float(held))


def test_everything_adds_up(case: Exact, index: Index) -> None:
    level = dict(index.national.iter_rows())
    for t in MONTHS:
        part = index.places.filter(pl.col("period") == t)
        assert math.isclose(math.fsum(part.get_column("points")), level[t], rel_tol=PRECISE)
        assert math.isclose(math.fsum(part.get_column("share")), 1, rel_tol=PRECISE)
        if t >= MONTHS[12]:
            moved = math.fsum(index.contributions.filter(pl.col("period") == t).get_column("contribution_points"))
            change = level[t] - level[date(t.year - 1, t.month, 1)]
            assert math.isclose(moved, change, rel_tol=PRECISE, abs_tol=PRECISE * level[t])
    for k in range(1, 5):
        own = index.link_effects.filter(pl.col("link") == k).get_column("link_effect_points")
        assert abs(math.fsum(own)) < PRECISE * float(case.reference_level(k))
