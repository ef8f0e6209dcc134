"""Two small definitions side by side, with answers known by construction."""

from __future__ import annotations

import itertools

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dci_pipeline.report.methods import effective_weights, largest, nothing_moves, ranks, side_by_side

LEVELS = {
    "entity_type": pl.String,
    "entity_code": pl.String,
    "node": pl.String,
    "year": pl.Int32,
    "points": pl.Float64,
    "growth_yoy": pl.Float64,
    "share": pl.Float64,
    "rank": pl.Int32,
}
WEIGHTS = {"node": pl.String, "child": pl.String, "year": pl.Int32, "omega": pl.Float64}


def levels(points: dict[str, float], *, year: int = 2019) -> pl.DataFrame:
    """Cities of these points, ranked."""
    order = sorted(points.values(), reverse=True)
    rows = [("city", code, "root", year, p, 0.1, p / 100, order.index(p) + 1) for code, p in points.items()]
    return pl.DataFrame(rows, schema=LEVELS, orient="row")


def weights(omega: dict[str, float]) -> pl.DataFrame:
    return pl.DataFrame([("root", child, 2019, w) for child, w in omega.items()], schema=WEIGHTS, orient="row")


BEFORE = {"a": 50.0, "b": 30.0, "c": 20.0}
AFTER = {"a": 40.0, "b": 15.0, "c": 45.0}


def test_what_moves_stands_beside_what_was() -> None:
    beside = side_by_side(levels(BEFORE), levels(AFTER))
    rows = beside.select("entity_code", "points_change", "rank_before", "rank_after", "rank_change").rows()
    assert rows == [("a", -10.0, 1, 2, -1), ("b", -15.0, 2, 3, -1), ("c", 25.0, 3, 1, 2)]
    assert not nothing_moves(beside, effective_weights(weights({"x": 1.0}), weights({"x": 1.0})))


def test_equal_definitions_move_nothing() -> None:
    beside = side_by_side(levels(BEFORE), levels(BEFORE))
    same = effective_weights(weights({"x": 0.25, "y": 0.75}), weights({"x": 0.25, "y": 0.75}))
    assert nothing_moves(beside, same)
    assert largest(beside, "points_change", count=9).is_empty()
    assert ranks(beside, types=["city"]).row(0)[3:] == (3, 0, 0, pytest.approx(1.0), pytest.approx(1.0))
    assert not nothing_moves(beside, effective_weights(weights({"x": 0.25}), weights({"x": 0.2500000001})))


def test_what_one_of_them_alone_has_is_kept_and_moves() -> None:
    beside = side_by_side(levels(BEFORE), levels({"a": 50.0, "b": 30.0}))
    only = beside.filter(pl.col("entity_code") == "c")
    assert only.select("points_before", "points_after", "points_change").row(0) == (20.0, None, None)
    assert not nothing_moves(beside, effective_weights(weights({}), weights({})))
    gone = effective_weights(weights({"x": 0.4, "y": 0.6}), weights({"x": 1.0}))
    assert gone.select("child", "omega_before", "omega_after", "omega_change").rows() == [
        ("x", 0.4, 1.0, 0.6),
        ("y", 0.6, None, None),
    ]
    # A row that has no value on either side, but is there on one alone, is a difference too.
    empty = levels({"d": 1.0}).with_columns(points=None, growth_yoy=None, share=None, rank=None).cast(LEVELS)  # type: ignore[arg-type]
    assert not nothing_moves(side_by_side(levels(BEFORE), pl.concat([levels(BEFORE), empty])), gone.clear())


def test_the_largest_come_first_of_every_year() -> None:
    both = pl.concat([side_by_side(levels(BEFORE, year=y), levels(AFTER, year=y)) for y in (2018, 2019)])
    found = largest(both, "points_change", count=2).select("year", "entity_code").rows()
    assert found == [(2018, "c"), (2018, "b"), (2019, "c"), (2019, "b")]
    ties = largest(both, "rank_change", count=2).filter(pl.col("year") == 2019)
    assert ties.get_column("entity_code").to_list() == ["c", "a"]


def test_ranks_that_turn_round_agree_by_minus_one() -> None:
    beside = side_by_side(levels({"a": 3.0, "b": 2.0, "c": 1.0}), levels({"a": 1.0, "b": 2.0, "c": 3.0}))
    assert ranks(beside, types=["city"]).row(0) == (2019, "root", "city", 3, 2, 2, pytest.approx(-1), pytest.approx(-1))
    assert ranks(beside, types=["province"]).is_empty()


def test_one_entity_has_no_order() -> None:
    beside = side_by_side(levels({"a": 3.0}), levels({"a": 2.0}))
    assert ranks(beside, types=["city"]).row(0)[3:] == (1, 0, 0, None, None)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=30))
def test_agreement_is_what_scipy_says(pairs: list[tuple[int, int]]) -> None:
    codes = [str(number).zfill(2) for number in range(len(pairs))]
    first, second = ([float(pair[side]) for pair in pairs] for side in (0, 1))
    beside = side_by_side(levels(dict(zip(codes, first, strict=True))), levels(dict(zip(codes, second, strict=True))))
    spearman, kendall = ranks(beside, types=["city"]).row(0)[-2:]
    if len(set(first)) < 2 or len(set(second)) < 2:
        assert (spearman, kendall) == (None, None)
    else:
        assert spearman == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-12)
        assert kendall == pytest.approx(stats.kendalltau(first, second).statistic, abs=1e-12)


def test_every_order_of_three_is_counted() -> None:
    found = set()
    for order in itertools.permutations((1.0, 2.0, 3.0)):
        beside = side_by_side(
            levels(dict(zip("abc", (1.0, 2.0, 3.0), strict=True))), levels(dict(zip("abc", order, strict=True)))
        )
        found.add(ranks(beside, types=["city"]).select("moved", "largest_rank_change").row(0))
    assert found == {(0, 0), (2, 1), (3, 2), (2, 2)}
