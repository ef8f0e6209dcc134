"""From expert scores to the weights of a node's children (METHOD section 1).

Expert i gives child j an integer score a_ij from 1 to 5; m_j is the mean of the scores given and alpha_j = m_j /
sum(m). With complete scores that is the child's sum of scores over the sum of all scores. Fractions until the last
step, so the weights of one node sum to 1 exactly. Leaf weights (products along the path) belong to `tree`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import polars as pl

LOWEST, HIGHEST = 1, 5
KEYS = ("wave", "expert", "node", "child")


@dataclass(frozen=True)
class Question:
    """One node in one wave: the experts' scores of its children, as given (an absent pair is a score not given)."""

    wave: str
    node: str
    children: tuple[str, ...]
    scores: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    """expert -> child -> score"""

    @property
    def complete(self) -> bool:
        """Every expert has scored every child, and there is at least one expert."""
        return bool(self.scores) and all(len(given) == len(self.children) for given in self.scores.values())

    def given(self, child: str) -> list[int]:
        """The scores the child was given, experts in order."""
        return [self.scores[expert][child] for expert in sorted(self.scores) if child in self.scores[expert]]


def alphas(scores: pl.DataFrame, *, children: Mapping[str, Sequence[str]] | None = None) -> pl.DataFrame:
    """Weigh the children of every node.

    In: [wave (optional, then ""), expert, node, child, score integer or null (not given)]; `children` names the
    children of each node that count. A child outside it is left out before any sum is formed, and so is a node outside
    it; every wave in the frame answers for every node in it.
    Out: [wave, node, child, alpha Float64, n_experts Int64 (experts who scored the child), assumption Boolean], sorted.
    Nobody scored any child of a node: equal weights with `assumption` true.
    Raises ValueError when a score is not an integer from 1 to 5, when (wave, expert, node, child) comes twice, and when
    some children of a node were scored and others by nobody (equal weights would then mix an opinion with an
    assumption).
    """
    rows: list[tuple[str, str, str, float, int, bool]] = []
    for question in questions(scores, children=children):
        weights = _weigh(question)
        for child in question.children:
            n_experts = len(question.given(child))
            rows.append((question.wave, question.node, child, float(weights[child]), n_experts, not question.scores))
    schema = {
        "wave": pl.String,
        "node": pl.String,
        "child": pl.String,
        "alpha": pl.Float64,
        "n_experts": pl.Int64,
        "assumption": pl.Boolean,
    }
    return pl.DataFrame(rows, schema=schema, orient="row").sort("wave", "node", "child")


def exact_alphas(
    scores: pl.DataFrame, *, children: Mapping[str, Sequence[str]] | None = None
) -> dict[tuple[str, str, str], Fraction]:
    """The same weights as fractions, by (wave, node, child); columns, rules and errors as in `alphas`."""
    return {
        (question.wave, question.node, child): weight
        for question in questions(scores, children=children)
        for child, weight in _weigh(question).items()
    }


def questions(scores: pl.DataFrame, *, children: Mapping[str, Sequence[str]] | None = None) -> list[Question]:
    """Read the scores as one question per wave and node, sorted; checked as in `alphas`."""
    answers = _checked(scores)
    if children is not None:
        for node, names in children.items():
            if not names or len(set(names)) != len(names):
                raise ValueError(f"children of node {node!r}: found {list(names)}, expected at least one, each once")
    asked: dict[tuple[str, str], set[str]] = defaultdict(set)
    given: dict[tuple[str, str], dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    waves: set[str] = set()
    for wave, expert, node, child, score in answers:
        waves.add(wave)
        if children is not None and child not in children.get(node, ()):
            continue
        asked[wave, node].add(child)
        if score is not None:
            given[wave, node][expert][child] = score
    if children is not None:
        asked = {(wave, node): set(names) for wave in (waves or {""}) for node, names in children.items()}
    return [Question(wave, node, tuple(sorted(asked[wave, node])), given[wave, node]) for wave, node in sorted(asked)]


def _weigh(question: Question) -> dict[str, Fraction]:
    if not question.scores:
        return dict.fromkeys(question.children, Fraction(1, len(question.children)))
    unscored = [child for child in question.children if not question.given(child)]
    if unscored:
        raise ValueError(
            f"wave {question.wave!r}, node {question.node!r}: nobody scored {unscored}, but other children were "
            "scored; expected scores for all children or for none. Ask the experts for the missing scores, or take "
            "the child out of the basket until the next wave."
        )
    means = {child: Fraction(sum(given := question.given(child)), len(given)) for child in question.children}
    total = sum(means.values(), start=Fraction(0))
    return {child: mean / total for child, mean in means.items()}


def _checked(scores: pl.DataFrame) -> list[tuple[str, str, str, str, int | None]]:
    lacking = [name for name in (*KEYS[1:], "score") if name not in scores.columns]
    if lacking:
        raise ValueError(
            f"scores: columns {scores.columns} lack {lacking}; expected wave (optional), expert, node, child, score"
        )
    frame = scores if "wave" in scores.columns else scores.with_columns(wave=pl.lit(""))
    if not (frame.schema["score"].is_integer() or frame.schema["score"] == pl.Null):
        raise ValueError(
            f"scores: score has type {frame.schema['score']}; expected integers from {LOWEST} to {HIGHEST}"
        )
    frame = frame.select(*(pl.col(name).cast(pl.String) for name in KEYS), pl.col("score").cast(pl.Int64)).sort(KEYS)
    blank = frame.filter(pl.any_horizontal(pl.col(KEYS).is_null()))
    if not blank.is_empty():
        raise ValueError(
            f"scores: wave, expert, node and child must be given on every row; found {blank.row(0, named=True)}"
        )
    outside = frame.filter(~pl.col("score").is_between(LOWEST, HIGHEST))
    if not outside.is_empty():
        raise ValueError(
            f"scores: {outside.height} outside {LOWEST} to {HIGHEST}, first {outside.row(0, named=True)}; "
            "correct the score, or leave it empty if the expert gave none"
        )
    twice = frame.filter(pl.struct(KEYS).is_duplicated())
    if not twice.is_empty():
        raise ValueError(f"scores: an expert scores a child once per wave; found twice {twice.row(0, named=True)}")
    return frame.rows()
