"""Reference periods: months, quarters, halves and years, as values with an order, a name and a folder.

A period is known by its cadence and its first day; the index file says which cadence it lives in (METHOD section 8).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from dci_pipeline.findings import Finding

MONTHS_IN = {"month": 1, "quarter": 3, "half": 6, "year": 12}

_FORMS = {
    "month": re.compile(r"^(\d{4})-(\d{2})(?:-01)?$"),
    "quarter": re.compile(r"^(\d{4})-?Q([1-4])$"),
    "half": re.compile(r"^(\d{4})-?H([12])$"),
    "year": re.compile(r"^(\d{4})$"),
}
# The years statistics are kept for; outside them a year is a slip of the pen, and date arithmetic ends.
_YEARS = range(1900, 3000)
_EXAMPLES = {"month": "2019-01", "quarter": "2019Q1", "half": "2019H1", "year": "2019"}


@dataclass(frozen=True, order=True)
class Period:
    """One period of a cadence; `start` is its first day and orders it."""

    start: date
    cadence: str

    @property
    def months(self) -> int:
        return MONTHS_IN[self.cadence]

    @property
    def end(self) -> date:
        """First day after the period."""
        return self.shift(1).start

    @property
    def number(self) -> int:
        """Place of the period within its year, from 1."""
        return (self.start.month - 1) // self.months + 1

    @property
    def key(self) -> str:
        year = f"{self.start.year:04d}"
        if self.cadence == "month":
            return f"{year}-{self.start.month:02d}"
        if self.cadence == "quarter":
            return f"{year}Q{self.number}"
        if self.cadence == "half":
            return f"{year}H{self.number}"
        return year

    @property
    def path(self) -> str:
        """Folder of the period in the warehouse."""
        year = f"year={self.start.year:04d}"
        if self.cadence == "month":
            return f"{year}/month={self.start.month:02d}"
        if self.cadence == "year":
            return year
        return f"{year}/{self.cadence}={self.number}"

    @property
    def per_year(self) -> int:
        return 12 // self.months

    def shift(self, steps: int) -> Period:
        """The period `steps` later (earlier when negative)."""
        total = self.start.year * 12 + self.start.month - 1 + steps * self.months
        return Period(date(total // 12, total % 12 + 1, 1), self.cadence)

    def year_before(self) -> Period:
        """The same period of the year before."""
        return self.shift(-self.per_year)

    def year(self) -> Period:
        return Period(date(self.start.year, 1, 1), "year")

    def parts(self, cadence: str) -> list[Period]:
        """The periods of a finer cadence that make up this one, in order."""
        first = Period(self.start, cadence)
        return [first.shift(step) for step in range(self.months // MONTHS_IN[cadence])]

    def __str__(self) -> str:
        return self.key


def parse(text: str, cadence: str, *, where: str = "") -> Period:
    """The period that `text` names in `cadence`; a month's form ('2019-04') also names the quarter or half it opens.

    Raises Finding when the text names no period of that cadence.
    """
    text = str(text).strip()
    match = _FORMS[cadence].match(text)
    if match:
        number = int(match.group(2)) if match.lastindex == 2 else 1
        month = (number - 1) * MONTHS_IN[cadence] + 1
        if 1 <= month <= 12 and int(match.group(1)) in _YEARS:
            return Period(date(int(match.group(1)), month, 1), cadence)
    opening = _FORMS["month"].match(text)
    if opening and int(opening.group(1)) in _YEARS:
        month = int(opening.group(2))
        if 1 <= month <= 12 and (month - 1) % MONTHS_IN[cadence] == 0:
            return Period(date(int(opening.group(1)), month, 1), cadence)
    raise Finding(
        f"not a {cadence}",
        where=where,
        found=repr(text),
        expected=f"a {cadence} such as {_EXAMPLES[cadence]}",
        todo="write the period in that form",
    )


def of_folder(parts: Iterable[str], cadence: str) -> Period | None:
    """The period whose `path` ends these folders' names; None where they have none."""
    named = dict(part.split("=", 1) for part in parts if "=" in part)
    if "year" not in named or (cadence != "year" and cadence not in named):
        return None
    number = int(named[cadence]) if cadence != "year" else 1
    return Period(date(int(named["year"]), (number - 1) * MONTHS_IN[cadence] + 1, 1), cadence)


def span(first: Period, last: Period) -> list[Period]:
    """Every period from `first` to `last`, both included."""
    return list(_walk(first, last))


def _walk(first: Period, last: Period) -> Iterator[Period]:
    if last.start < first.start:
        raise Finding(
            "a range that ends before it begins",
            found=f"{first} to {last}",
            expected="first <= last",
            todo="swap the two",
        )
    current = first
    while current.start <= last.start:
        yield current
        current = current.shift(1)


def parse_span(text: str, cadence: str, *, where: str = "") -> list[Period]:
    """'2018-01:2018-12' or a single period, as the list of its periods."""
    first, _, last = text.partition(":")
    return span(parse(first, cadence, where=where), parse(last or first, cadence, where=where))


def stretches(periods: Iterable[Period]) -> Iterator[list[Period]]:
    """Unbroken stretches of the periods, each once, in order: what one run over a range of partitions can take."""
    stretch: list[Period] = []
    for period in sorted(set(periods)):
        if stretch and period != stretch[-1].shift(1):
            yield stretch
            stretch = []
        stretch.append(period)
    if stretch:
        yield stretch
