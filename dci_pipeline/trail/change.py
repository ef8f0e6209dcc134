"""What moved a level between two spans, split over the indicators and the nodes above them (METHOD sections 3 and 4).

ΔI = Σ contributions + link effect. In the node's own points, and in points of its root, as the contribution tables have
them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dci_pipeline.trail.levels import Level

# What the arithmetic may leave: a few units in the last place of the largest number added.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Split:
    """A change and its parts by indicator. `remainder` is what the parts leave of it: rounding, or it is said."""

    now: float
    base: float
    contributions: Mapping[str, float]
    link_effects: Mapping[str, float]

    @property
    def change(self) -> float:
        return self.now - self.base

    @property
    def link_effect(self) -> float:
        return math.fsum(self.link_effects.values()) + 0.0

    @property
    def remainder(self) -> float:
        return math.fsum((self.now, -self.base, *_negative(self.contributions), -self.link_effect)) + 0.0

    @property
    def exact(self) -> bool:
        return abs(self.remainder) <= ROUNDING * max(abs(self.now), abs(self.base), 1.0)

    def over(self, indicators: Iterable[str]) -> tuple[float, float]:
        """What some indicators together contribute, and what links moved them by."""
        wanted = list(indicators)
        return (
            math.fsum(self.contributions.get(name, 0.0) for name in wanted),
            math.fsum(self.link_effects.get(name, 0.0) for name in wanted) + 0.0,
        )


def own_split(now: Level, base: Level, *, published: float | None, published_base: float | None) -> Split | None:
    """The change of the node's own points; None where one of the published levels is not there."""
    if published is None or published_base is None:
        return None
    return _split(published, published_base, now.parts, base.parts, now.links, base.links)


def composite_split(now: Level, base: Level, *, published: float | None, published_base: float | None) -> Split | None:
    """The change in points of the root, to which a node outside the basket adds 0; None for a withheld level."""
    if published is None or published_base is None:
        return None
    return _split(
        published, published_base, now.composite_parts, base.composite_parts, now.composite_links, base.composite_links
    )


def _split(
    now: float,
    base: float,
    parts: Mapping[str, float],
    base_parts: Mapping[str, float],
    links: Mapping[str, float],
    base_links: Mapping[str, float],
) -> Split:
    names: Sequence[str] = sorted({*parts, *base_parts, *links, *base_links})
    moved = {name: links.get(name, 0.0) - base_links.get(name, 0.0) for name in names}
    contributed = {
        name: math.fsum(
            (parts.get(name, 0.0), -base_parts.get(name, 0.0), -links.get(name, 0.0), base_links.get(name, 0.0))
        )
        for name in names
    }
    return Split(now, base, contributed, moved)


def _negative(values: Mapping[str, float]) -> list[float]:
    return [-value for value in values.values()]
