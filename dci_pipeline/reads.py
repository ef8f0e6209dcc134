"""How a table's partitions read those of its inputs: said once with each step, asked by the refresh and by Dagster.

What is declared here is what a partition may read. What a committed one has really read stands in its stamp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dci_pipeline.framework import Framework
from dci_pipeline.periods import Period


@dataclass(frozen=True)
class Back:
    """The partitions of an input so many periods before the reader's own, years for a table by year; 0 is its own.

    `first`: also those of the first whole year, on which growth since the beginning rests.
    """

    steps: tuple[int, ...] = (0,)
    first: bool = False


@dataclass(frozen=True)
class Before:
    """Periods whose shares stand in for what is missing: the last observed, and those a late feed is estimated from."""


@dataclass(frozen=True)
class Reference:
    """The reference of the link a period lies in; for the links themselves, that of each."""


@dataclass(frozen=True)
class History:
    """The reader's own year and any before it."""


@dataclass(frozen=True)
class Whole:
    """An input without periods, or every partition of one that has them."""


Reading = Back | Before | Reference | History | Whole

SAME, BEFORE, REFERENCE, HISTORY, WHOLE = Back(), Before(), Reference(), History(), Whole()


def may_read(framework: Framework, period: Period | None, reading: Reading, other: Period | None) -> bool:
    """Whether a reader's partition `period` may read the partition `other` of an input, as declared."""
    if period is None or other is None or isinstance(reading, Whole):
        return True
    if isinstance(reading, Back):
        return _back(period, reading, other)
    if isinstance(reading, History):
        return other.start.year <= period.start.year
    if isinstance(reading, Before):
        return period.year_before().shift(-1).start <= other.start < period.start
    link = framework.link_at(period)
    return link is not None and other in link.reference


def _back(period: Period, reading: Back, other: Period) -> bool:
    if period.cadence != "year":
        return any(other == period.shift(-step) for step in reading.steps)
    # Which year is the first whole one depends on what has been delivered; the reader's stamp says which it was.
    return other.start.year in {period.start.year - step for step in reading.steps} or (
        reading.first and other.start.year <= period.start.year
    )


def links_after(framework: Framework, changed: Sequence[Period], last: Period) -> list[Period]:
    """Starts of the links that change with periods of their references, and of those that go on from them, in order."""
    link = framework.link_at(last)
    chain = framework.chain(link) if link is not None else ()
    first = next((number for number, item in enumerate(chain) if any(one in item.reference for one in changed)), None)
    return [] if first is None else [item.start for item in chain[first:]]
