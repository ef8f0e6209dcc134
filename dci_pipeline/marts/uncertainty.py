"""The table `uncertainty_year`: standard errors of points from the experts' scores alone (METHOD section 9).

A tree's value is a chain of ratios of sums over experts, one question per node; expert i moves it by phi_i over all
questions. Closed form for complete scores; what has none stays null until the bootstrap is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from dci_pipeline.index.dense import Floats, floats, nullable
from dci_pipeline.marts.entities import KEY, NATION
from dci_pipeline.marts.index_span import maturity
from dci_pipeline.weight.scores import Question

Influence = tuple[tuple[str, ...], Floats]


@dataclass(frozen=True)
class Part:
    """One tree over the periods of a span that one link publishes: how many, its entities, weights and questions.

    entities [entity_type, entity_code, node, points, composite_points, …]; beta: node → its weight in the root;
    questions: inner node → the experts' scores of its children in the basket.
    """

    periods: int
    wave: str
    entities: pl.DataFrame
    beta: Mapping[str, float]
    questions: Mapping[str, Question]


def points_errors(parts: Sequence[Part]) -> pl.DataFrame:
    """Standard error of the own level of every entity × inner node of one tree.

    Waves are independent surveys: parts of one wave add before squaring, different waves after. The weights of earlier
    links are taken as given. Out, sorted: [entity_type, entity_code, node, points_se]; null where
    scores are incomplete, with fewer than two experts, or where a child is withheld.
    """
    keys = pl.concat([part.entities for part in parts]).select(*KEY[:2]).unique().sort(*KEY[:2])
    frames = [keys.with_columns(node=pl.lit(""), points_se=pl.lit(None, dtype=pl.Float64)).clear()]
    for node in sorted({node for part in parts for node in part.questions}):
        there = [part for part in parts if node in part.questions]
        error = nullable(_error(node, there, keys))
        frames.append(keys.with_columns(node=pl.lit(node), points_se=error))
    return pl.concat(frames).sort(KEY)


def uncertainty_year(errors: pl.DataFrame, *, entities: pl.DataFrame, year: int, whole: bool) -> pl.DataFrame:
    """One year's partition.

    errors: `points_errors` of every tree; entities: those of the year [entity_type, entity_code, node, points,
    obs_status, imputed_share]. Out, sorted by entity_type, entity_code, node: these, year, points_se, rank_low Int64,
    rank_high Int64, p_top10 (the last three null: they need the bootstrap), obs_status, conf_status, maturity,
    imputed_share.
    """
    return (
        entities.select(*KEY, "points", "obs_status", "imputed_share")
        .join(errors, on=list(KEY), how="inner")
        .with_columns(
            year=pl.lit(year, dtype=pl.Int32),
            points_se=pl.when(pl.col("points").is_not_null()).then("points_se"),
            rank_low=pl.lit(None, dtype=pl.Int64),
            rank_high=pl.lit(None, dtype=pl.Int64),
            p_top10=pl.lit(None, dtype=pl.Float64),
            conf_status=pl.lit("F"),
            maturity=maturity(whole=whole),
        )
        .drop("points")
        .sort(KEY)
    )


def _error(node: str, parts: Sequence[Part], keys: pl.DataFrame) -> Floats:
    covered = sum(part.periods for part in parts)
    waves: dict[str, Influence] = {}
    for part in parts:
        found = _influence(node, part, keys)
        if found is None:
            return np.full(keys.height, np.nan)
        experts, moved = found[0], found[1] * (part.periods / covered)
        if part.wave in waves:
            if waves[part.wave][0] != experts:
                return np.full(keys.height, np.nan)
            moved = moved + waves[part.wave][1]
        waves[part.wave] = (experts, moved)
    squares: Floats = np.zeros(keys.height)
    for experts, moved in waves.values():
        n = len(experts)
        for column in range(n):
            squares += moved[:, column] ** 2 / (n * (n - 1))
    return np.sqrt(squares)


def _influence(node: str, part: Part, keys: pl.DataFrame) -> Influence | None:
    """phi of every entity (rows) and expert (columns): how far each expert moves the node's own level."""
    asked = [part.questions[below] for below in _below(node, part.questions) if len(part.questions[below].children) > 1]
    if not asked:
        return ("", " "), np.zeros((keys.height, 2))
    experts = tuple(sorted(asked[0].scores))
    if len(experts) < 2 or any(not one.complete or tuple(sorted(one.scores)) != experts for one in asked):
        return None
    levels = _levels(part, keys)
    moved: Floats = np.zeros((keys.height, len(experts)))
    for question in asked:
        scores = np.array([[question.scores[expert][child] for child in question.children] for expert in experts])
        given = scores.sum(axis=1).astype(np.float64)
        value, y = np.zeros_like(moved), np.zeros(keys.height)
        for position, child in enumerate(question.children):
            value += levels[child][:, None] * scores[:, position]
            y += levels[child] * (scores[:, position].sum() / scores.sum())
        path = part.beta[question.node] / part.beta[node]
        moved += path * (value - y[:, None] * given) / given.mean()
    return experts, moved * _own_scale(node, part)


def _below(node: str, questions: Mapping[str, Question]) -> list[str]:
    """The node and every inner node under it, each before those below it."""
    if node not in questions:
        return []
    return [node, *(below for child in questions[node].children for below in _below(child, questions))]


def _levels(part: Part, keys: pl.DataFrame) -> dict[str, Floats]:
    """Every node's level in the scale of the root: composite points ÷ weight in the root; NaN where withheld."""
    entity = keys.select(pl.concat_str(*KEY[:2], separator="\n").alias("entity")).to_series()
    nodes = pl.Series(sorted(part.beta), dtype=pl.String)
    rows = part.entities.filter(pl.col("node").is_in(nodes.implode())).with_columns(
        entity=pl.concat_str(*KEY[:2], separator="\n")
    )
    cube = floats(rows, "composite_points", (("entity", entity), ("node", nodes)))
    return {node: cube[:, position] / part.beta[node] for position, node in enumerate(nodes)}


def _own_scale(node: str, part: Part) -> float:
    """Own points of a node for one of its composite points ÷ beta, the same for every entity; NaN without a level."""
    nation = part.entities.filter((pl.col("entity_type") == NATION) & (pl.col("node") == node))
    own, composite = nation.select("points", "composite_points").row(0)
    return float(own * part.beta[node] / composite) if own is not None and composite else float("nan")
