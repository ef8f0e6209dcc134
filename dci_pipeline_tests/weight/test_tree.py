"""Weights of every node of a tree."""

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.weight import node_weights

Edges = list[tuple[str, str, float]]
TREE: Edges = [("root", "g", 0.25), ("root", "c", 0.75), ("g", "a", 0.5), ("g", "b", 0.5)]


def frame(edges: Edges) -> pl.DataFrame:
    return pl.DataFrame(edges, schema={"node": pl.String, "child": pl.String, "alpha": pl.Float64}, orient="row")


def test_every_node_with_every_leaf_under_it() -> None:
    found = node_weights(frame(TREE), root="root")
    assert found.columns == ["node", "indicator", "weight", "beta", "root_weight"]
    assert found.rows() == [
        ("a", "a", 1.0, 0.125, 0.125),
        ("b", "b", 1.0, 0.125, 0.125),
        ("c", "c", 1.0, 0.75, 0.75),
        ("g", "a", 0.5, 0.25, 0.125),
        ("g", "b", 0.5, 0.25, 0.125),
        ("root", "a", 0.125, 1.0, 0.125),
        ("root", "b", 0.125, 1.0, 0.125),
        ("root", "c", 0.75, 1.0, 0.75),
    ]


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        pytest.param([*TREE, ("x", "y", 1.0)], "'x' hangs on nothing and is not the root 'root'", id="orphan"),
        pytest.param(
            [*TREE, ("x", "y", 1.0), ("y", "x", 1.0)], "cycle in the tree: x -> y -> x|y -> x -> y", id="cycle"
        ),
        pytest.param([*TREE[:2], ("g", "root", 1.0)], "root 'root' hangs on 'g'", id="cycle through the root"),
        pytest.param([*TREE, ("c", "a", 1.0)], "'a' hangs on 'c' and on 'g'", id="two parents"),
        pytest.param([("root", "a", 0.5), ("root", "b", 0.4)], "sum to 0.9; expected 1", id="weights short of 1"),
        pytest.param([("root", "a", 1.5), ("root", "b", -0.5)], "alpha of 'b'.*is -0.5", id="a negative weight"),
        pytest.param([("other", "a", 1.0)], "'other' hangs on nothing", id="another root"),
        pytest.param([], "no children", id="nothing"),
    ],
)
def test_what_is_refused(edges: Edges, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        node_weights(frame(edges), root="root")


def test_a_tree_of_its_own_can_stand_in_the_same_frame() -> None:
    both = frame([*TREE, ("other", "x", 1.0)])
    assert node_weights(both, root="root", other_roots=["other"]).equals(node_weights(frame(TREE), root="root"))


def test_a_tree_ends_in_its_basket() -> None:
    assert node_weights(frame(TREE), root="root", leaves={"a", "b", "c"}).height == 8
    with pytest.raises(ValueError, match=r"ends in \['c'\] outside the basket and lacks \['d'\]"):
        node_weights(frame(TREE), root="root", leaves={"a", "b", "d"})


def test_waves_are_never_mixed() -> None:
    waves = pl.Series("wave", ["w1", "w1", "w2", "w2"])
    with pytest.raises(ValueError, match=r"found waves \['w1', 'w2'\]"):
        node_weights(frame(TREE).with_columns(waves), root="root")


@given(
    st.integers(1, 4).flatmap(
        lambda k: st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=6), min_size=k, max_size=k)
    )
)
def test_law_the_leaves_under_every_node_sum_to_one(groups: list[list[int]]) -> None:
    edges: Edges = [("root", f"g{i}", 1 / len(groups)) for i in range(len(groups))]
    edges += [
        (f"g{i}", f"g{i}x{j}", score / sum(group)) for i, group in enumerate(groups) for j, score in enumerate(group)
    ]
    found = node_weights(frame(edges), root="root")
    for _, weights, beta, root_weights in (
        found.group_by("node").agg("weight", pl.col("beta").first(), "root_weight").iter_rows()
    ):
        assert math.fsum(weights) == pytest.approx(1, abs=1e-12)
        assert math.fsum(root_weights) == pytest.approx(beta, rel=1e-12)
        assert [w * beta for w in weights] == pytest.approx(root_weights, rel=1e-12)
