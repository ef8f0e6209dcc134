"""Which periods a link publishes and which it refers to, checked against the periods there are (METHOD section 3).

Dates only: no value and no weight belongs here. `links` makes such a frame; this reads any.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import polars as pl

COLUMNS = ("link", "reference_start", "reference_end", "start", "end")


@dataclass(frozen=True)
class Link:
    """A link by its name, with the periods it publishes and those of its reference, in order."""

    name: str
    label: object
    published: tuple[date, ...]
    reference: tuple[date, ...]


def order(links: pl.DataFrame, periods: Sequence[date]) -> list[Link]:
    """Put the links in order and give each its periods; rules and errors as in `compute`."""
    step = _step(periods)
    rows = _checked(links)
    chain: list[Link] = []
    taken: set[date] = set()
    for k, (label, reference_start, reference_end, start, end) in enumerate(rows):
        name = str(label)
        reference = tuple(day for day in periods if reference_start <= day <= reference_end)
        if not reference or reference[0] != reference_start or _month(reference_end) >= _month(periods[-1]) + step:
            raise ValueError(
                f"link {name}: its reference is {reference_start} to {reference_end}, values cover {periods[0]} to "
                f"{periods[-1]}; expected values in every period of the reference, deliver them or move the reference"
            )
        before_next = rows[k + 1][3] if k + 1 < len(rows) else date.max
        last = end if end is not None else date.max
        published = tuple(
            day
            for day in periods
            if start <= day <= last and day not in taken and (end is not None or day < before_next)
        )
        if not published:
            raise ValueError(
                f"link {name}: no period with values from {start} to {end or 'the end'} is left to it; values cover "
                f"{periods[0]} to {periods[-1]}, expected at least one period"
            )
        taken.update(published)
        chain.append(Link(name, label, published, reference))
    for before, link in pairwise(chain):
        if not set(link.reference) <= set(before.published):
            raise ValueError(
                f"link {link.name}: its reference {link.reference[0]} to {link.reference[-1]} is not inside link "
                f"{before.name}, published {before.published[0]} to {before.published[-1]}; the reference of a "
                "later link is computed under both baskets, choose one inside the link before"
            )
    bare = [day for day in periods if chain[0].published[0] <= day <= chain[-1].published[-1] and day not in taken]
    if bare:
        raise ValueError(
            f"links: period {bare[0]} lies between two links; expected each link to start where the last one ends"
        )
    return chain


def _checked(links: pl.DataFrame) -> list[tuple[object, date, date, date, date | None]]:
    lacking = [name for name in COLUMNS if name not in links.columns]
    if lacking:
        raise ValueError(f"links: columns {links.columns} lack {lacking}; expected {', '.join(COLUMNS)}")
    if links.is_empty():
        raise ValueError("links: found none; expected at least one link with its reference period")
    rows: list[tuple[object, date, date, date, date | None]] = []
    for row in links.select(COLUMNS).sort("start", "reference_start").iter_rows():
        label, reference_start, reference_end, start, end = row
        days = (reference_start, reference_end, start)
        if (
            label is None
            or not all(isinstance(day, date) for day in days)
            or not (end is None or isinstance(end, date))
        ):
            raise ValueError(f"link {label}: found {row[1:]}; expected dates, only the end may be open")
        if reference_end < reference_start or (end is not None and end < start):
            raise ValueError(f"link {label}: found {row[1:]}; an end comes before its start")
        if any(str(other[0]) == str(label) for other in rows):
            raise ValueError(f"links: link {label} comes twice; expected one row per link")
        rows.append((label, reference_start, reference_end, start, end))
    return rows


def _step(periods: Sequence[date]) -> int:
    """Months from one period to the next; values have no gap."""
    if not periods:
        raise ValueError("values: found no rows; expected values of at least the reference period")
    inside = [day for day in periods if day.day != 1]
    if inside:
        raise ValueError(f"values: period {inside[0]} is not the first day of a period")
    steps = [_month(after) - _month(before) for before, after in pairwise(periods)]
    step = min(steps, default=1)
    for (before, after), found in zip(pairwise(periods), steps, strict=True):
        if found != step:
            raise ValueError(
                f"values: nothing between {before} and {after}, but periods come every {step} months; expected no gap, "
                "complete the periods between"
            )
    return step


def _month(day: date) -> int:
    return 12 * day.year + day.month
