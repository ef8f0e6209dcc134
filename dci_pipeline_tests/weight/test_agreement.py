"""Kendall's W and the standard errors: worked fractions and cases known by construction."""

import math
from fractions import Fraction

import pytest

from dci_pipeline.weight import alpha_se, kendall
from dci_pipeline_tests.weight.test_scores import matrix

THREE = [[5, 3, 4, 1], [4, 3, 5, 2], [5, 2, 4, 2]]


@pytest.mark.parametrize(
    ("scores", "w", "chi2"),
    [
        pytest.param(THREE, Fraction(77, 87), Fraction(231, 29), id="three experts, one tie"),
        pytest.param([[1, 3, 5], [2, 3, 4]], Fraction(1), Fraction(4), id="two who agree on the order"),
        pytest.param([[1, 3, 5], [5, 3, 1]], Fraction(0), Fraction(0), id="two opposites"),
        pytest.param([[3, 3], [3, 3]], None, None, id="all ties"),
        pytest.param([[1, 3, 5]], None, None, id="one expert"),
        pytest.param([[1], [2]], None, None, id="one child"),
        pytest.param([[1, 3], [2, None]], None, None, id="a score missing"),
    ],
)
def test_kendall(scores: list[list[int | None]], w: Fraction | None, chi2: Fraction | None) -> None:
    expected = (None if w is None else float(w), None if chi2 is None else float(chi2))
    assert kendall(matrix(scores)).rows() == [("w1", "root", *expected, len(scores))]


def test_standard_error_of_equal_experts_is_zero() -> None:
    assert alpha_se(matrix([[4, 2], [4, 2], [2, 1]])).get_column("se").to_list() == [0.0, 0.0]


def test_standard_error_by_hand() -> None:
    # u = 3, 1; v = 4, 4; y = 1/2: SE^2 = (1 + 1) / (2 * 1 * 16) = 1/16
    found = alpha_se(matrix([[3, 1], [1, 3]]))
    assert found.rows() == [("w1", "root", "a", 0.25), ("w1", "root", "b", 0.25)]


def test_standard_error_of_the_worked_experts() -> None:
    # child a: u = 5, 4, 5; v = 13, 14, 13; y = 7/20
    residuals = [
        Fraction(5) - Fraction(7 * 13, 20),
        Fraction(4) - Fraction(7 * 14, 20),
        Fraction(5) - Fraction(7 * 13, 20),
    ]
    squared = sum(r * r for r in residuals) / (3 * 2 * Fraction(40, 3) ** 2)
    assert alpha_se(matrix(THREE)).row(0)[3] == pytest.approx(math.sqrt(squared), rel=1e-15)


@pytest.mark.parametrize("scores", [[[3, 1]], [[3, 1], [1, None]], [[None, None]]])
def test_no_standard_error_without_two_complete_experts(scores: list[list[int | None]]) -> None:
    assert alpha_se(matrix(scores)).get_column("se").to_list() == [None, None]
