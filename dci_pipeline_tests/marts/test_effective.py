"""Effective weights by node and child: the worked example, sums to 1, and what asks for a new link."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.index import drifted
from dci_pipeline.marts.effective import effective_children, effective_leaves, effective_weights_year, span_totals
from dci_pipeline.weight import node_weights
from dci_pipeline_tests.index.worked import EXAMPLE, FRACTIONS, main_case

CHILDREN = {"root": ["a", "inner"], "inner": ["b", "c"]}
ALPHAS = {("root", "a"): 3, ("root", "inner"): 2, ("inner", "b"): 1, ("inner", "c"): 4}


def weights(alphas: dict[tuple[str, str], int] = ALPHAS) -> pl.DataFrame:
    whole = {node: sum(a for (other, _), a in alphas.items() if other == node) for node, _ in alphas}
    rows = [(node, child, a / whole[node]) for (node, child), a in alphas.items()]
    return node_weights(pl.DataFrame(rows, schema=["node", "child", "alpha"], orient="row"), root="root")


def totals(given: dict[str, float | None], name: str = "total") -> pl.DataFrame:
    return pl.DataFrame({"indicator": list(given), name: list(given.values())}, schema_overrides={name: pl.Float64})


def children(
    now: dict[str, float | None], means: dict[str, float | None]
) -> dict[tuple[str, str], tuple[float, float]]:
    frame = effective_children(
        totals(now), reference_means=totals(means, "mean_total"), node_weights=weights(), children=CHILDREN
    )
    return {(node, child): (omega, spread) for node, child, omega, spread in frame.iter_rows()}


@pytest.mark.parametrize("link", [0, 1])
def test_the_end_of_each_link_of_the_worked_example(link: int) -> None:
    case = main_case()
    part = case.links[link]
    alphas = pl.DataFrame(
        [("root", j, float(w)) for j, w in part.weights.items()], schema=["node", "child", "alpha"], orient="row"
    )
    day = part.published[-1]
    now = {j: float(sum(case.x[day, place, j] for place in case.places)) for j in part.weights}
    means = {j: float(case.mean_total(j, part.reference)) for j in part.weights}
    frame = effective_children(
        totals(now),
        reference_means=totals(means, "mean_total"),
        node_weights=node_weights(alphas, root="root"),
        children={"root": list(part.weights)},
    )
    for _, child, omega, _ in frame.iter_rows():
        assert omega == pytest.approx(float(FRACTIONS[f"main.effective_weights_end_of_link.{link}.{child}"]), rel=1e-12)


def test_by_hand() -> None:
    found = children({"a": 20.0, "b": 10.0, "c": 30.0}, {"a": 10.0, "b": 10.0, "c": 10.0})
    # w = 3/5, 2/25, 8/25, moved by 2, 1, 3
    whole = Fraction(6, 5) + Fraction(2, 25) + Fraction(24, 25)
    assert found["root", "a"][0] == pytest.approx(float(Fraction(6, 5) / whole), rel=1e-14)
    assert found["root", "inner"][0] == pytest.approx(float(Fraction(26, 25) / whole), rel=1e-14)
    assert found["inner", "b"][0] == pytest.approx(1 / 13, rel=1e-14)
    assert found["inner", "c"][0] == pytest.approx(12 / 13, rel=1e-14)
    squares = sum(x**2 for x in (Fraction(6, 5) / whole, Fraction(2, 25) / whole, Fraction(24, 25) / whole))
    assert found["root", "a"][1] == found["root", "inner"][1] == pytest.approx(float(1 / squares), rel=1e-14)
    assert found["inner", "b"][1] == pytest.approx(float(1 / (Fraction(1, 169) + Fraction(144, 169))), rel=1e-14)


volumes = st.integers(0, 10**9)


@given(volumes, volumes, volumes, st.integers(1, 10**6))
def test_the_children_of_a_node_add_to_one(a: int, b: int, c: int, mean: int) -> None:
    found = children(
        {"a": float(a), "b": float(b), "c": float(c)}, {"a": float(mean), "b": mean / 2, "c": float(3 * mean)}
    )
    for node, moved in (("root", a + b + c), ("inner", b + c)):
        omegas = [omega for (other, _), (omega, _) in found.items() if other == node]
        spreads = {spread for (other, _), (_, spread) in found.items() if other == node}
        if moved == 0:
            assert omegas == [None, None]
            assert spreads == {None}
        else:
            assert sum(omegas) == pytest.approx(1, rel=1e-12)
            assert 1 - 1e-12 <= spreads.pop() <= (3 if node == "root" else 2) + 1e-12


def test_in_the_reference_the_weights_are_those_of_the_experts() -> None:
    found = children({"a": 7.0, "b": 5.0, "c": 3.0}, {"a": 7.0, "b": 5.0, "c": 3.0})
    expected = {("root", "a"): 0.6, ("root", "inner"): 0.4, ("inner", "b"): 0.2, ("inner", "c"): 0.8}
    assert {key: omega for key, (omega, _) in found.items()} == pytest.approx(expected, rel=1e-14)


def test_an_undefined_total_leaves_what_stands_on_it_undefined() -> None:
    found = children({"a": 7.0, "b": None, "c": 3.0}, {"a": 7.0, "b": 5.0, "c": 3.0})
    assert {omega for omega, _ in found.values()} == {None}
    found = children({"a": None, "b": 5.0, "c": 3.0}, {"a": 7.0, "b": 5.0, "c": 3.0})
    assert found["inner", "b"][0] == pytest.approx(0.2)
    assert found["root", "a"] == (None, None)


def test_totals_of_a_span_are_sums() -> None:
    rows = [(date(2020, m, 1), "a", float(m)) for m in (1, 2, 3)] + [(date(2020, m, 1), "b", None) for m in (1, 2)]
    frame = span_totals(pl.DataFrame(rows, schema=["period", "indicator", "total"], orient="row"))
    assert frame.rows() == [("a", 6.0), ("b", None)]


def test_a_small_indicator_that_outgrew_its_weight_is_named() -> None:
    drift = EXAMPLE["extra"]["weight_drift"]
    tree = weights({("root", "fast"): 1, ("root", "slow"): 49})
    for step in drift["fixed_base"]:
        now = {"fast": float(drift["growth_fast"] ** step["t"]), "slow": float(drift["growth_slow"] ** step["t"])}
        leaves = effective_leaves(
            totals(now),
            reference_means=totals({"fast": 1.0, "slow": 1.0}, "mean_total"),
            node_weights=tree.filter(pl.col("node") == "root"),
            root="root",
        )
        found = dict(leaves.select("indicator", "omega").iter_rows())["fast"]
        assert found == pytest.approx(step["eff_weight_fast"]["float"], rel=1e-12)
        named = drifted(leaves, node_weights=tree)["indicator"].to_list()
        assert named == (["fast"] if found > 0.04 else [])


def test_a_row_takes_the_status_of_the_child() -> None:
    frame = effective_children(
        totals({"a": 7.0, "b": 5.0, "c": 3.0}),
        reference_means=totals({"a": 7.0, "b": 5.0, "c": 3.0}, "mean_total"),
        node_weights=weights(),
        children=CHILDREN,
    )
    nation = pl.DataFrame(
        {"node": ["a", "b", "c", "inner"], "obs_status": ["E", "A", "A", "A"], "imputed_share": [0.01, 0.0, 0.0, 0.0]}
    )
    table = effective_weights_year(frame, nation=nation, year=2020, whole=True)
    assert table.select("node", "child", "obs_status").rows() == [
        ("inner", "b", "A"),
        ("inner", "c", "A"),
        ("root", "a", "E"),
        ("root", "inner", "A"),
    ]
