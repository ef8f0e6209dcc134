"""Expert scores to weights: worked fractions, scenarios, laws."""

from collections.abc import Sequence
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.weight import alphas, exact_alphas

SCHEMA = {"wave": pl.String, "expert": pl.String, "node": pl.String, "child": pl.String, "score": pl.Int64}


def matrix(scores: Sequence[Sequence[int | None]], *, node: str = "root", wave: str = "w1") -> pl.DataFrame:
    """Experts by row, children a, b, c … by column."""
    rows = [
        (wave, f"expert {i}", node, "abcdefgh"[j], score)
        for i, given in enumerate(scores)
        for j, score in enumerate(given)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def fractions(frame: pl.DataFrame, *, children: dict[str, list[str]] | None = None) -> dict[str, Fraction]:
    return {child: alpha for (_, _, child), alpha in exact_alphas(frame, children=children).items()}


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        pytest.param([[5, 3, 4, 1], [4, 3, 5, 2], [5, 2, 4, 2]], ["7/20", "1/5", "13/40", "1/8"], id="three experts"),
        pytest.param([[4, 2], [5, 4]], ["3/5", "2/5"], id="two experts"),
        pytest.param([[3]], ["1"], id="an only child"),
        pytest.param([[4, 2], [5, None]], ["9/13", "4/13"], id="a score missing: means, 9/2 to 2"),
        pytest.param([[None, None], [5, 3]], ["5/8", "3/8"], id="an expert who gave none"),
        pytest.param([[None, None], [None, None]], ["1/2", "1/2"], id="nobody scored: equal"),
    ],
)
def test_the_weights_of_a_node(scores: list[list[int | None]], expected: list[str]) -> None:
    assert list(fractions(matrix(scores)).values()) == [Fraction(text) for text in expected]
    assert alphas(matrix(scores)).get_column("alpha").to_list() == [float(Fraction(text)) for text in expected]


def test_columns_and_what_is_told_beside_the_weight() -> None:
    found = alphas(matrix([[4, 2], [5, None]]), children={"root": ["a", "b"], "group": ["c", "d"]})
    assert found.rows() == [
        ("w1", "group", "c", 0.5, 0, True),
        ("w1", "group", "d", 0.5, 0, True),
        ("w1", "root", "a", float(Fraction(9, 13)), 2, False),
        ("w1", "root", "b", float(Fraction(4, 13)), 1, False),
    ]
    assert found.schema == {
        "wave": pl.String,
        "node": pl.String,
        "child": pl.String,
        "alpha": pl.Float64,
        "n_experts": pl.Int64,
        "assumption": pl.Boolean,
    }


def test_a_child_outside_the_basket_is_left_out_before_sums_are_formed() -> None:
    scores = [[5, 3, 4, 1], [4, 3, 5, 2], [5, 2, 4, 2]]
    inside = fractions(matrix(scores), children={"root": ["a", "c"]})
    assert inside == {"a": Fraction(14, 27), "c": Fraction(13, 27)}
    assert inside == fractions(
        matrix([[row[0], row[2]] for row in scores]).with_columns(pl.col("child").replace("b", "c"))
    )


def test_without_a_wave_column_the_wave_is_empty_and_with_it_waves_stay_apart() -> None:
    one, two = matrix([[4, 2]]), matrix([[1, 2]], wave="w2")
    assert alphas(one.drop("wave")).get_column("wave").to_list() == ["", ""]
    both = alphas(pl.concat([two, one]))
    assert both.select("wave", "alpha").rows() == [("w1", 2 / 3), ("w1", 1 / 3), ("w2", 1 / 3), ("w2", 2 / 3)]


def test_no_scores_at_all_give_equal_weights_by_assumption() -> None:
    found = alphas(pl.DataFrame(schema=SCHEMA), children={"root": ["a", "b", "c"]})
    assert found.select("wave", "alpha", "assumption").rows() == [("", 1 / 3, True)] * 3


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        pytest.param(matrix([[4, 6]]), r"outside 1 to 5.*'score': 6", id="a score of 6"),
        pytest.param(matrix([[0, 4]]), "outside 1 to 5", id="a score of 0"),
        pytest.param(matrix([[4, 2]]).with_columns(pl.col("score").cast(pl.Float64)), "type Float64", id="no integers"),
        pytest.param(
            pl.concat([matrix([[4, 2]])] * 2), r"found twice .*'expert 0'", id="an expert scores a child twice"
        ),
        pytest.param(matrix([[4, None], [5, None]]), r"node 'root': nobody scored \['b'\]", id="one child unscored"),
        pytest.param(matrix([[4, 2]]).drop("expert"), r"lack \['expert'\]", id="a column is absent"),
        pytest.param(matrix([[4, 2]]).with_columns(expert=pl.lit(None, pl.String)), "must be given", id="no expert"),
    ],
)
def test_what_is_refused(frame: pl.DataFrame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        alphas(frame)


@pytest.mark.parametrize("names", [[], ["a", "a"]])
def test_children_must_be_named_once(names: list[str]) -> None:
    with pytest.raises(ValueError, match="children of node 'root'"):
        alphas(matrix([[4, 2]]), children={"root": names})


scores_of_a_node = st.integers(1, 5).flatmap(
    lambda k: st.lists(st.lists(st.integers(1, 5), min_size=k, max_size=k), min_size=1, max_size=6)
)


@given(scores_of_a_node)
def test_law_the_weights_of_a_node_sum_to_one_exactly(scores: list[list[int]]) -> None:
    exact = fractions(matrix(scores))
    assert sum(exact.values()) == 1
    total = sum(sum(row) for row in scores)
    assert list(exact.values()) == [Fraction(sum(column), total) for column in zip(*scores, strict=True)]


@given(scores_of_a_node, st.randoms(use_true_random=False))
def test_law_the_order_of_rows_is_irrelevant(scores: list[list[int]], random: object) -> None:
    frame = matrix(scores)
    assert alphas(frame.sample(fraction=1, shuffle=True, seed=7)).equals(alphas(frame))
