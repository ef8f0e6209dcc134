"""Uncertainty of the expert weights, one node at a time (METHOD section 9), and the experts' agreement.

Closed forms for complete scores only; incomplete ones need the bootstrap, which does not belong here.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction

import polars as pl

from dci_pipeline.weight.scores import Question, questions


def kendall(scores: pl.DataFrame, *, children: Mapping[str, Sequence[str]] | None = None) -> pl.DataFrame:
    """Kendall's W of each node with mid-ranks and the correction for ties.

    In: as `alphas`. Out: [wave, node, kendall_w, chi2, n_experts Int64], sorted; W and chi2 = n(k-1)W are null when
    scores are incomplete, with fewer than two experts or children, or when every expert ties all children.
    """
    rows: list[tuple[str, str, float | None, float | None, int]] = []
    for question in questions(scores, children=children):
        w, n, k = _concordance(question), len(question.scores), len(question.children)
        chi2 = None if w is None else float(n * (k - 1) * w)
        rows.append((question.wave, question.node, None if w is None else float(w), chi2, n))
    schema = {"wave": pl.String, "node": pl.String, "kendall_w": pl.Float64, "chi2": pl.Float64, "n_experts": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("wave", "node")


def alpha_se(scores: pl.DataFrame, *, children: Mapping[str, Sequence[str]] | None = None) -> pl.DataFrame:
    """Standard error of each alpha, a ratio of sums over experts.

    SE^2 = sum_i (a_ij - alpha_j v_i)^2 / (n (n-1) mean(v)^2) with v_i the expert's sum of scores.
    In: as `alphas`. Out: [wave, node, child, se Float64], sorted; null when scores are incomplete or n < 2.
    """
    rows = [
        (question.wave, question.node, child, _standard_error(question, child))
        for question in questions(scores, children=children)
        for child in question.children
    ]
    schema = {"wave": pl.String, "node": pl.String, "child": pl.String, "se": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("wave", "node", "child")


def _concordance(question: Question) -> Fraction | None:
    n, k = len(question.scores), len(question.children)
    if not question.complete or n < 2 or k < 2:
        return None
    rank_sums = dict.fromkeys(question.children, Fraction(0))
    ties = 0
    for given in question.scores.values():
        counts = Counter(given.values())
        ties += sum(tied**3 - tied for tied in counts.values())
        for child, score in given.items():
            below = sum(count for other, count in counts.items() if other < score)
            rank_sums[child] += below + Fraction(counts[score] + 1, 2)
    mean = Fraction(n * (k + 1), 2)
    spread = sum(((total - mean) ** 2 for total in rank_sums.values()), start=Fraction(0))
    largest = n**2 * (k**3 - k) - n * ties
    return 12 * spread / largest if largest else None


def _standard_error(question: Question, child: str) -> float | None:
    n = len(question.scores)
    if not question.complete or n < 2:
        return None
    pairs = [(given[child], sum(given.values())) for given in question.scores.values()]
    total = sum(v for _, v in pairs)
    y = Fraction(sum(u for u, _ in pairs), total)
    squares = sum(((u - y * v) ** 2 for u, v in pairs), start=Fraction(0))
    return math.sqrt(squares / (n * (n - 1) * Fraction(total, n) ** 2))
