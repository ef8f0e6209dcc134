"""What the number of one entity and node rests on, as plain values: baskets of links, volumes as shares and relatives.

No absolute volume is here (METHOD section 11): a share of the national total and a total relative to its mean over the
reference are enough to calculate everything again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Leaf:
    """One indicator under the node in one basket: its weight in the root and in the node, the alphas of its path."""

    indicator: str
    weight: float
    weight_in_node: float
    path: Sequence[tuple[str, str, float]]
    """(node, child, alpha) from the root down to the indicator"""


@dataclass(frozen=True)
class Basket:
    """The node in one link: its scales, its weight in the root (beta), and its leaves by indicator, sorted."""

    scale: float
    composite_scale: float
    beta: float
    leaves: Mapping[str, Leaf]


@dataclass(frozen=True)
class Stretch:
    """One link as the entity meets it; `basket` is None where the node is outside.

    scales: of the node and of every one under it that is in the basket, by node.
    before, after: the entity's mean volume over this link's reference, relative to the reference mean of the link
    before and of this one, by indicator. Both are empty for the first link that matters: nothing is carried across it.
    """

    link: str
    reference: tuple[str, str]
    basket: Basket | None
    scales: Mapping[str, float]
    before: Mapping[str, float]
    after: Mapping[str, float]


@dataclass(frozen=True)
class Cell:
    """One indicator in one period: the entity's share s = x/X, X relative to its reference mean, and their product.

    imputed_share is the part of `share` that is estimated for want of an observation. None where the total is
    undefined, `share` also where it is 0.
    """

    share: float | None
    national_relative: float | None
    relative: float | None
    imputed_share: float | None
    obs_status: str | None


@dataclass(frozen=True)
class Moment:
    """One period of a span, in its link, with a cell for every leaf of the node's basket."""

    period: str
    link: str
    cells: Mapping[str, Cell]
