"""A level and a position put together again from facts, indicator by indicator, over one period or a span.

The steps are those of METHOD sections 2 to 4 and 8 with every term kept. Links that both of two compared spans have
passed cancel, so only those since the first of `stretches` are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dci_pipeline.trail.facts import Basket, Moment, Stretch


@dataclass(frozen=True)
class Level:
    """A span of one entity and node. None where it is undefined, or where the node is in no basket of the span.

    parts, composite_parts: what each indicator adds to `points` and to `composite_points`; links, composite_links: what
    links had moved each by; periods: periods in which the node is in the basket.
    """

    points: float | None
    composite_points: float | None
    share: float | None
    imputed_share: float | None
    chained_points: float | None
    chain_breaks: int | None
    periods: int
    parts: Mapping[str, float]
    composite_parts: Mapping[str, float]
    links: Mapping[str, float]
    composite_links: Mapping[str, float]


def points_of(moment: Moment, basket: Basket | None) -> dict[str, float | None]:
    """Points of the node's own level in one period, by indicator: scale × weight in the node × relative."""
    if basket is None:
        return {}
    return {
        name: _times(basket.scale * leaf.weight_in_node, moment.cells[name].relative)
        for name, leaf in basket.leaves.items()
    }


def level(moments: Sequence[Moment], stretches: Sequence[Stretch]) -> Level:
    """The span these periods make. `stretches`: the links in order, from the first that either span touches."""
    by_link = {stretch.link: number for number, stretch in enumerate(stretches)}
    own, composite = _Sums(), _Sums()
    moved, composite_moved = _Sums(), _Sums()
    chained: list[float | None] = []
    breaks: set[int] = set()
    covered = 0
    for moment in moments:
        passed = stretches[: by_link[moment.link] + 1]
        basket = passed[-1].basket
        composite_moved.add(_moved(passed, composite=True))
        if basket is None:
            continue
        covered += 1
        found = points_of(moment, basket)
        own.add(found)
        composite.add(
            {
                name: _times(basket.composite_scale * leaf.weight, moment.cells[name].relative)
                for name, leaf in basket.leaves.items()
            }
        )
        moved.add(_moved(passed, composite=False))
        factor, broken = bridge(passed)
        breaks.add(broken)
        whole = total(found.values())
        chained.append(None if whole is None else whole * factor)
    unbroken = len(breaks) == 1
    whole_span = len(moments)
    share, imputed = _position(moments, stretches)
    sum_of_chain = total(chained) if unbroken else None
    return Level(
        points=own.mean(covered),
        composite_points=composite.mean(whole_span) if covered else None,
        share=share if covered else None,
        imputed_share=imputed if covered else None,
        chained_points=None if sum_of_chain is None or not covered else sum_of_chain / covered,
        chain_breaks=breaks.pop() if unbroken else None,
        periods=covered,
        parts=own.means(covered),
        composite_parts=composite.means(whole_span),
        links=moved.means(covered),
        composite_links=composite_moved.means(whole_span),
    )


def bridge(passed: Sequence[Stretch]) -> tuple[float, int]:
    """The product of before ÷ after over the links passed, and the number of links that cannot be crossed."""
    factor, broken = 1.0, 0
    for old, new in pairwise(passed):
        before, after = reference_points(old, new)
        if before is not None and after is not None and before > 0.0 and after > 0.0:
            factor *= before / after
        else:
            broken += 1
    return factor, broken


def reference_points(old: Stretch, new: Stretch) -> tuple[float | None, float | None]:
    """The node's own points over the reference of `new`, under the basket before and under its own."""
    before = _reference(old.basket, new.before, composite=False)
    after = _reference(new.basket, new.after, composite=False)
    return math.fsum(before.values()) if before else None, math.fsum(after.values()) if after else None


def growth(now: Level, base: Level) -> float | None:
    """Like for like: chained points ÷ those of the base − 1; None on a base of zero and across a broken chain."""
    if now.chain_breaks is None or now.chain_breaks != base.chain_breaks:
        return None
    if now.chained_points is None or not base.chained_points:
        return None
    return now.chained_points / base.chained_points - 1.0


def total(values: Iterable[float | None]) -> float | None:
    """The correctly rounded sum; None as soon as one value is."""
    found = list(values)
    return None if any(value is None for value in found) else math.fsum(value for value in found if value is not None)


class _Sums:
    """Terms by indicator; the mean of all and of each."""

    def __init__(self) -> None:
        self.terms: dict[str, list[float | None]] = {}

    def add(self, values: Mapping[str, float | None]) -> None:
        for name, value in values.items():
            self.terms.setdefault(name, []).append(value)

    def mean(self, periods: int) -> float | None:
        whole = total(value for values in self.terms.values() for value in values)
        return None if whole is None or not periods else whole / periods

    def means(self, periods: int) -> dict[str, float]:
        found = {name: total(values) for name, values in sorted(self.terms.items())}
        return {name: value / periods for name, value in found.items() if value is not None and periods}


def _moved(passed: Sequence[Stretch], *, composite: bool) -> dict[str, float | None]:
    """What the links passed have moved each indicator by: after − before, in points of the node or of the root.

    A node that a link brings in starts there on its own level; in points of the root it comes from 0.
    """
    found: dict[str, list[float]] = {}
    for old, new in pairwise(passed):
        after = _reference(new.basket, new.after, composite=composite)
        before = _reference(old.basket, new.before, composite=composite)
        if not composite and not (before and after):
            continue
        for name in sorted({*after, *before}):
            found.setdefault(name, []).extend((after.get(name, 0.0), -before.get(name, 0.0)))
    return {name: math.fsum(values) for name, values in found.items()}


def _reference(basket: Basket | None, relatives: Mapping[str, float], *, composite: bool) -> dict[str, float]:
    """Points over a reference by indicator; empty where the node is in no basket or the entity was not there."""
    if basket is None or not relatives:
        return {}
    return {
        name: (basket.composite_scale * leaf.weight if composite else basket.scale * leaf.weight_in_node)
        * relatives[name]
        for name, leaf in basket.leaves.items()
    }


def _position(moments: Sequence[Moment], stretches: Sequence[Stretch]) -> tuple[float | None, float | None]:
    """S over the span and the imputed part of it: each link's summed volumes, weighing as many periods as it covers."""
    shares: list[float | None] = []
    imputed: list[float | None] = []
    alone: float | None = None
    for stretch in stretches:
        inside = [moment for moment in moments if moment.link == stretch.link]
        if not inside or stretch.basket is None:
            continue
        share, part = _position_inside(inside, stretch.basket)
        shares.append(_times(len(inside) / len(moments), share))
        imputed.append(None if share is None or part is None else len(inside) / len(moments) * share * part)
        alone = part if len(inside) == len(moments) else None
    whole, estimated = total(shares), total(imputed)
    if whole is None or estimated is None:
        return whole, None
    return whole, alone if alone is not None else estimated / whole if whole > 0.0 else 0.0


def _position_inside(moments: Sequence[Moment], basket: Basket | None) -> tuple[float | None, float | None]:
    """Σ w s over the indicators whose national total is above 0, their weights scaled up to 1; its imputed part."""
    assert basket is not None
    terms: list[float] = []
    parts: list[float] = []
    used: list[float] = []
    touched = False
    for name, leaf in basket.leaves.items():
        cells = [moment.cells[name] for moment in moments]
        nation = total(cell.national_relative for cell in cells)
        if nation is None:
            return None, None
        touched = touched or any(cell.obs_status in ("E", "M") for cell in cells)
        if nation == 0.0:
            continue
        used.append(leaf.weight_in_node)
        volume = math.fsum((cell.share or 0.0) * (cell.national_relative or 0.0) for cell in cells)
        estimated = math.fsum((cell.imputed_share or 0.0) * (cell.national_relative or 0.0) for cell in cells)
        terms.append(leaf.weight_in_node * (volume / nation))
        parts.append(leaf.weight_in_node * (estimated / nation))
    left = 1.0 if len(used) == len(basket.leaves) else math.fsum(used)
    if left == 0.0:
        return None, None
    whole = math.fsum(terms)
    imputed = math.fsum(parts) / whole if whole > 0.0 else (1.0 if touched else 0.0)
    return whole / left, imputed


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value
