"""The report of an index as declarations: its parts, what each exhibit reads, how it is drawn and what is said of it.

Structure only: `report_files` makes these from the folder `report` of an index; nothing here knows an exhibit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LANGUAGES = ("zh", "en")
GRAINS = ("month", "quarter", "half", "year")
DRAWINGS = (
    "figures",
    "tree",
    "map",
    "series",
    "lines",
    "ranking",
    "bars",
    "shares",
    "contribution",
    "quadrant",
    "matrix",
    "distribution",
    "concentration",
    "trails",
    "scatter",
    "intervals",
    "table",
)


@dataclass(frozen=True)
class Words:
    """A text in both languages."""

    zh: str
    en: str

    def of(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True)
class Column:
    """A column of an exhibit's rows: what it is called, and the unit of its values (as `report.numbers` knows it)."""

    column: str
    label: Words
    unit: str


@dataclass(frozen=True)
class Rows:
    """Rows of the table of exhibit values, one column per measure: what `queries.compiled` makes a query of.

    measures: column → measure, or several of them of which a row has one. name, row: which part of a name such as
    'scope|entity' names the entity, and which the row of a matrix. at: only periods of this grain; over: one row per
    period of that grain, `back` of them at most. needs: columns without which a row is none; units: column → unit its
    measure must be in. places: the table of the
    codes of entities.
    """

    measures: Mapping[str, tuple[str, ...]]
    entity_type: str = ""
    subject: str = ""
    name: str = ""
    row: str = ""
    series: bool = False
    at: str = ""
    over: str = ""
    back: int = 0
    where: str = ""
    places: str = ""
    needs: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict[str, str])
    order: str = ""
    limit: int = 0


@dataclass(frozen=True)
class Drawing:
    """One drawing of an exhibit: its kind, the rows it shows, and options that its kind knows.

    Rows come from a query that is made, or from one that is given: by grain of the report's period, or under '' for
    all; `at`: for the last period of this grain within the report's that has rows.
    """

    kind: str
    rows: Rows | None
    sql: Mapping[str, str]
    at: str = ""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Fact:
    """A value that a sentence names, found in the rows of a drawing.

    pick: last, first, largest or smallest by `by` (the column itself), or the row of the entity `named`; give: its
    value, its entity, the names of several, or the number of rows. Conditions (above, below) come first.
    """

    name: str
    column: str
    pick: str = "last"
    give: str = "value"
    named: str = ""
    above: float | None = None
    below: float | None = None
    drawing: int = 0
    by: str = ""


@dataclass(frozen=True)
class Shown:
    """One exhibit of the report."""

    exhibit: str
    title: Words
    drawings: tuple[Drawing, ...]
    facts: tuple[Fact, ...]
    says: Words | None
    note: Words | None
    grains: tuple[str, ...]
    half: bool = False


@dataclass(frozen=True)
class Part:
    """One part of the report, in its order."""

    part: str
    title: Words
    intro: Words
    exhibits: tuple[Shown, ...]
    external: bool = False


@dataclass(frozen=True)
class Declared:
    """The whole report of an index; findings: the exhibits whose sentences open it."""

    title: Words
    subtitle: Words
    notice: Words
    columns: Mapping[str, Column]
    names: Mapping[str, str]
    codes: Mapping[str, Words]
    parts: tuple[Part, ...]
    findings: tuple[str, ...] = ()
