"""Weights of every node of a tree (METHOD section 1): products of the alphas along the path.

w_j is the product from the root to leaf j, beta of a node the product from the root to it, and w_j / beta the leaf's
weight inside the node. No scores here: `scores` makes the alphas.
"""

import math
from collections.abc import Collection, Sequence

import polars as pl

TOLERANCE = 1e-12


def node_weights(
    alphas: pl.DataFrame, *, root: str, leaves: Collection[str] | None = None, other_roots: Sequence[str] = ()
) -> pl.DataFrame:
    """Spread the alphas of a tree over its leaves, seen from every node.

    In: [wave (optional), node, child, alpha] of one wave; `leaves`, when given, is the basket the tree must end in;
    `other_roots` are trees in the same frame to leave aside.
    Out: [node, indicator, weight, beta, root_weight] sorted by node, indicator: for every node, leaves included (weight
    1), every leaf under it. weight = w_j / beta (sums to 1 per node), beta = weight of the node in the root,
    root_weight = w_j. Raises ValueError on a second wave, a second parent, a cycle, a node that hangs on nothing, a
    tree that does not end in `leaves`, and weights that do not sum to 1.
    """
    tree = _tree(alphas, [root, *other_roots])
    beta, above = _descend(tree, root)
    ends = sorted(node for node in beta if node not in tree)
    if leaves is not None and set(leaves) != set(ends):
        raise ValueError(
            f"tree {root!r}: ends in {sorted(set(ends) - set(leaves))} outside the basket and lacks "
            f"{sorted(set(leaves) - set(ends))} of it; give every basket leaf a parent and every other node children"
        )
    rows: list[tuple[str, str, float, float, float]] = []
    for leaf in ends:
        # from the leaf up, so that one pass gives the product of the alphas below each ancestor
        node, weight = leaf, 1.0
        rows.append((leaf, leaf, 1.0, beta[leaf], beta[leaf]))
        while node != root:
            parent = above[node]
            weight *= dict(tree[parent])[node]
            rows.append((parent, leaf, weight, beta[parent], beta[leaf]))
            node = parent
    schema = {
        "node": pl.String,
        "indicator": pl.String,
        "weight": pl.Float64,
        "beta": pl.Float64,
        "root_weight": pl.Float64,
    }
    frame = pl.DataFrame(rows, schema=schema, orient="row").sort("node", "indicator")
    for node, weights in frame.group_by("node", maintain_order=True).agg("weight").iter_rows():
        _sums_to_one(str(node), [float(weight) for weight in weights])
    return frame


def _tree(alphas: pl.DataFrame, roots: Sequence[str]) -> dict[str, list[tuple[str, float]]]:
    lacking = [name for name in ("node", "child", "alpha") if name not in alphas.columns]
    if lacking:
        raise ValueError(f"alphas: columns {alphas.columns} lack {lacking}; expected the frame made by weight.alphas")
    waves = alphas.get_column("wave").unique().sort().to_list() if "wave" in alphas.columns else [""]
    if len(waves) > 1:
        raise ValueError(
            f"tree {roots[0]!r}: found waves {waves}; waves are never mixed, choose one before weighing a tree"
        )
    tree: dict[str, list[tuple[str, float]]] = {}
    parents: dict[str, str] = {}
    for node, child, alpha in alphas.select("node", "child", "alpha").sort("node", "child").iter_rows():
        if child in parents:
            raise ValueError(f"node {child!r} hangs on {parents[child]!r} and on {node!r}; expected one parent")
        if alpha is None or not alpha > 0:
            raise ValueError(f"alpha of {child!r} under {node!r} is {alpha}; expected a number above 0")
        parents[child] = node
        tree.setdefault(node, []).append((child, float(alpha)))
    for root in roots:
        if root in parents:
            raise ValueError(f"root {root!r} hangs on {parents[root]!r}: a cycle, or not a root")
    for node, kids in tree.items():
        _sums_to_one(node, [alpha for _, alpha in kids])
        _rooted(node, parents, roots)
    return tree


def _rooted(node: str, parents: dict[str, str], roots: Sequence[str]) -> None:
    walked = [node]
    while walked[-1] in parents:
        walked.append(parents[walked[-1]])
        if walked[-1] in walked[:-1]:
            raise ValueError(f"cycle in the tree: {' -> '.join(reversed(walked))}")
    if walked[-1] not in roots:
        raise ValueError(
            f"node {walked[-1]!r} hangs on nothing and is not the root {roots[0]!r}; give it a parent, correct its "
            "name, or name it in other_roots when it is a tree of its own"
        )


def _descend(tree: dict[str, list[tuple[str, float]]], root: str) -> tuple[dict[str, float], dict[str, str]]:
    if root not in tree:
        raise ValueError(f"tree {root!r} has no children in the alphas; found nodes {sorted(tree)}")
    beta, above, waiting = {root: 1.0}, dict[str, str](), [root]
    while waiting:
        node = waiting.pop()
        for child, alpha in tree.get(node, ()):
            beta[child] = beta[node] * alpha
            above[child] = node
            waiting.append(child)
    return beta, above


def _sums_to_one(node: str, weights: Sequence[float]) -> None:
    total = math.fsum(weights)
    if abs(total - 1) > TOLERANCE:
        raise ValueError(f"weights under node {node!r} sum to {total!r}; expected 1 within {TOLERANCE}")
