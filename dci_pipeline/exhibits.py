"""The exhibits of an index as declarations: which rows of the published tables each reads, and what it makes of them.

Structure only: `exhibit_files` makes these from an index's exhibits.yaml, `marts.exhibits` computes their values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GRAINS = ("year", "half", "month")
LIMITS = ("at_least", "at_most", "above", "below")
STATISTICS = ("mean", "median")
REDUCTIONS = ("sum", "mean", "minimum", "maximum", "count", "proportion")
OPERATORS = (
    "value",
    "rank",
    "position",
    "ratio_to",
    "gap_to",
    "growth_on",
    "argmax",
    "argmin",
    "quadrant",
    "both_high",
    "correlation",
    "structure",
)
# What an operator needs beside the rows themselves.
RELATIONS = ("ratio_to", "gap_to", "growth_on")
PLANES = ("quadrant", "both_high", "correlation")
COUNTED = (
    "entities",
    "children",
    "leaf_children",
    "leaves",
    "members",
    "partners",
    "experts",
    "questions",
    "weights",
    "listed",
    "first_year",
)


@dataclass(frozen=True)
class Condition:
    """What a column must be: one of `values` (none of them when `negated`), and within every limit.

    A limit is one of LIMITS and a number, or the name of a statistic of the rows there are. A value may hold period
    fields, as in '{two_years_before}'.
    """

    column: str
    values: tuple[str, ...] = ()
    negated: bool = False
    limits: tuple[tuple[str, float | str], ...] = ()


@dataclass(frozen=True)
class Selection:
    """Rows of a published table and one column of them, as one value per row or reduced to one per key in `per`.

    within: (group type, codes): only places in one of these groups, of every type; named, but: only, or all but, the
    entities of these names; among: only entities that another selection has; by: reduce by groups of a type, or by
    members of a wider breakdown; lag: how many years back; years: how many of them, up to then.
    """

    table: str
    column: str
    where: tuple[Condition, ...] = ()
    within: tuple[tuple[str, tuple[str, ...]], ...] = ()
    named: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    among: Selection | None = None
    lag: int = 0
    years: int = 1
    scale: float = 1.0
    reduce: str | None = None
    per: tuple[str, ...] = ()
    test: tuple[Condition, ...] = ()
    by: str | None = None


Split = float | str | Selection


@dataclass(frozen=True)
class Counts:
    """A count of the index's own structure: what is counted, of which node or type of entity, in which breakdown."""

    what: str
    of: str = ""
    dimension: str = ""
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """One measure of an exhibit, under one or more names; texts in braces are filled from the row or the period."""

    exhibit: str
    subject: str
    entity_type: str
    measures: Mapping[str, str]
    operator: str
    grain: str
    period: str
    label: str
    labels: Mapping[str, str]
    read: Selection | None = None
    to: Selection | None = None
    x: Selection | None = None
    y: Selection | None = None
    split_x: Split | None = None
    split_y: Split | None = None
    months: tuple[int, ...] = ()
    order: str = "descending"
    top: int | None = None
    then: str | None = None
    counts: Counts | None = None

    @property
    def selections(self) -> tuple[Selection, ...]:
        """Every selection the item reads, those inside others as well."""
        found: list[Selection] = []
        outer = (self.read, self.to, self.x, self.y, self.split_x, self.split_y)
        todo = [part for part in outer if isinstance(part, Selection)]
        while todo:
            selection = todo.pop()
            found.append(selection)
            if selection.among is not None:
                todo.append(selection.among)
        return tuple(found)


@dataclass(frozen=True)
class Exhibit:
    """One figure, table or claim; one that is external has no items."""

    exhibit: str
    part: str
    title_zh: str
    title_en: str
    kind: str
    reading: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Exhibits:
    """Every exhibit of an index, and the content hash of their file."""

    exhibits: tuple[Exhibit, ...]
    sha256: str

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(item for exhibit in self.exhibits for item in exhibit.items)
