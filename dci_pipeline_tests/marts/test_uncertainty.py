"""Standard errors of points: the closed form in fractions for one question, and the tree against small nudges."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.marts.uncertainty import Part, points_errors, uncertainty_year
from dci_pipeline.weight.scores import Question
from dci_pipeline_tests.index.worked import EXAMPLE

TREE = {"root": ("a", "inner"), "inner": ("b", "c", "d")}
Scores = Mapping[str, Sequence[Sequence[int]]]  # node → one row of scores for each expert


def question(node: str, children: tuple[str, ...], scores: Sequence[Sequence[int]]) -> Question:
    given = {f"e{i:02}": dict(zip(children, row, strict=True)) for i, row in enumerate(scores)}
    return Question("w", node, children, given)


def alpha(scores: Sequence[Sequence[int]], nudge: Sequence[Fraction] | None = None) -> list[Fraction]:
    """Alphas with every expert counted (1 + nudge) times."""
    counts = [1 + (nudge[i] if nudge else Fraction(0)) for i in range(len(scores))]
    sums = [
        sum((n * row[j] for n, row in zip(counts, scores, strict=True)), start=Fraction(0))
        for j in range(len(scores[0]))
    ]
    return [part / sum(sums) for part in sums]


def value(node: str, scores: Scores, z: Mapping[str, Fraction], nudge: Sequence[Fraction] | None = None) -> Fraction:
    if node not in TREE:
        return z[node]
    pairs = zip(alpha(scores[node], nudge), TREE[node], strict=True)
    return sum((a * value(child, scores, z, nudge) for a, child in pairs), start=Fraction(0))


def beta(scores: Scores) -> dict[str, float]:
    root, inner = alpha(scores["root"]), alpha(scores["inner"])
    found = {"root": Fraction(1), "a": root[0], "inner": root[1]}
    found |= {leaf: root[1] * inner[i] for i, leaf in enumerate(TREE["inner"])}
    return {node: float(b) for node, b in found.items()}


def part(
    scores: Scores,
    z: Mapping[str, Fraction],
    *,
    scale: float = 1.0,
    wave: str = "w",
    periods: int = 1,
    withheld: str = "",
) -> Part:
    """The nation, with z of every leaf in the root's scale; the inner node's own scale is `scale` times that."""
    weights = beta(scores)
    rows = [
        {
            "entity_type": "nation",
            "entity_code": "X",
            "node": node,
            "points": float(value(node, scores, z)) * (scale if node == "inner" else 1.0),
            "composite_points": None if node == withheld else float(value(node, scores, z)) * weights[node],
        }
        for node in weights
    ]
    questions = {node: question(node, TREE[node], scores[node]) for node in TREE}
    return Part(periods, wave, pl.DataFrame(rows), weights, questions)


def errors(*parts: Part) -> dict[str, float | None]:
    return dict(points_errors(parts).select("node", "points_se").iter_rows())


def nudged(node: str, scores: Scores, z: Mapping[str, Fraction]) -> list[float]:
    """phi_i: n times the derivative of the node's value by the weight of expert i, by a nudge of 10^-12."""
    n, step = len(scores["root"]), Fraction(1, 10**12)
    middle = value(node, scores, z)
    return [
        float(n * (value(node, scores, z, [step if i == j else Fraction(0) for j in range(n)]) - middle) / step)
        for i in range(n)
    ]


def closed(moved: Sequence[float]) -> float:
    n = len(moved)
    return math.sqrt(math.fsum(x**2 for x in moved) / (n * (n - 1)))


CASE = EXAMPLE["extra"]["experts"]["scores"]


def test_one_question_is_the_formula_of_the_page() -> None:
    """SE² = Σ (u_i − y v_i)² / (n (n−1) v̄²), on the experts of the worked example."""
    children, z = ("p", "q", "r", "s"), [Fraction(x) for x in (120, 80, 100, 310)]
    u = [sum(a * x for a, x in zip(row, z, strict=True)) for row in CASE]
    v = [sum(row) for row in CASE]
    n, y = len(CASE), sum(u) / Fraction(sum(v))
    squares = sum((u[i] - y * v[i]) ** 2 for i in range(n)) / (n * (n - 1) * Fraction(sum(v), n) ** 2)
    alphas = alpha(CASE)
    weights = {"root": 1.0} | {child: float(a) for child, a in zip(children, alphas, strict=True)}
    rows = [("nation", "X", "root", float(y), float(y))]
    rows += [("nation", "X", child, float(x), float(a * x)) for child, a, x in zip(children, alphas, z, strict=True)]
    schema = ["entity_type", "entity_code", "node", "points", "composite_points"]
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    found = errors(Part(1, "w", frame, weights, {"root": question("root", children, CASE)}))
    assert found == {"root": pytest.approx(math.sqrt(squares), rel=1e-12)}


score = st.integers(1, 5)
experts = st.integers(2, 6)


@st.composite
def surveys(draw: st.DrawFn) -> Scores:
    n = draw(experts)
    return {node: [[draw(score) for _ in kids] for _ in range(n)] for node, kids in TREE.items()}


leaves = st.fixed_dictionaries({leaf: st.fractions(0, 1000, max_denominator=50) for leaf in "abcd"})


@given(surveys(), leaves, st.floats(0.1, 10))
def test_the_tree_is_moved_by_every_question(scores: Scores, z: Mapping[str, Fraction], scale: float) -> None:
    if not any(z.values()) or not any(z[leaf] for leaf in "bcd"):
        return
    found = errors(part(scores, z, scale=scale))
    assert found["root"] == pytest.approx(closed(nudged("root", scores, z)), rel=1e-6, abs=1e-7)
    assert found["inner"] == pytest.approx(scale * closed(nudged("inner", scores, z)), rel=1e-6, abs=1e-6)


SCORES: Scores = {"root": [[5, 3], [4, 4], [2, 5]], "inner": [[1, 2, 3], [3, 3, 3], [5, 1, 2]]}
Z = {leaf: Fraction(x) for leaf, x in zip("abcd", (120, 80, 100, 310), strict=True)}


def test_experts_of_one_mind_leave_no_error() -> None:
    same: Scores = {"root": [[4, 2]] * 3, "inner": [[1, 2, 3]] * 3}
    assert errors(part(same, Z)) == {"root": pytest.approx(0, abs=1e-12), "inner": pytest.approx(0, abs=1e-12)}


def test_incomplete_scores_have_no_closed_form() -> None:
    lacking = part(SCORES, Z)
    given = {expert: dict(row) for expert, row in lacking.questions["inner"].scores.items()}
    del given["e00"]["b"]
    questions = {**lacking.questions, "inner": Question("w", "inner", TREE["inner"], given)}
    assert errors(Part(1, "w", lacking.entities, lacking.beta, questions)) == {"root": None, "inner": None}
    # A question of other experts: both have their own error, the root has none.
    other = question("inner", TREE["inner"], SCORES["inner"][:2])
    found = errors(Part(1, "w", lacking.entities, lacking.beta, {**lacking.questions, "inner": other}))
    assert found["root"] is None
    assert found["inner"] is not None
    alone = {node: question(node, TREE[node], SCORES[node][:1]) for node in TREE}
    assert errors(Part(1, "w", lacking.entities, lacking.beta, alone)) == {"root": None, "inner": None}


def test_a_withheld_child_leaves_the_nodes_above_without() -> None:
    found = errors(part(SCORES, Z, withheld="b"))
    assert found == {"root": None, "inner": None}
    found = errors(part(SCORES, Z, withheld="a"))
    assert found["root"] is None
    assert found["inner"] is not None


def test_links_of_one_wave_add_before_squaring_and_those_of_two_after() -> None:
    one = errors(part(SCORES, Z))["root"]
    assert one is not None
    halves = [part(SCORES, Z, periods=6), part(SCORES, Z, periods=6)]
    assert errors(*halves)["root"] == pytest.approx(one, rel=1e-12)
    waves = [part(SCORES, Z, periods=3, wave="w1"), part(SCORES, Z, periods=9, wave="w2")]
    assert errors(*waves)["root"] == pytest.approx(one * math.sqrt((1 / 4) ** 2 + (3 / 4) ** 2), rel=1e-12)


def test_the_table() -> None:
    found = part(SCORES, Z)
    entities = found.entities.with_columns(obs_status=pl.lit("A"), imputed_share=pl.lit(0.0))
    table = uncertainty_year(points_errors([found]), entities=entities, year=2020, whole=True)
    assert table.select("node", "rank_low", "rank_high", "p_top10", "maturity").rows() == [
        ("inner", None, None, None, "final"),
        ("root", None, None, None, "final"),
    ]
    hidden = entities.with_columns(points=pl.lit(None, dtype=pl.Float64))
    assert (
        uncertainty_year(points_errors([found]), entities=hidden, year=2020, whole=True)["points_se"].null_count() == 2
    )
