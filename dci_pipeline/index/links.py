"""The links of a chained index: which reference period answers for which periods (METHOD section 3).

`fixed_base` has one link until the basket or the weights change; `annual_overlap` has a link every year on the year
before. Chaining by month is not offered. Baskets and weights belong to the caller.
"""

from datetime import date

import polars as pl

MONTHS = {"month": 1, "quarter": 3, "half": 6, "year": 12}
SCHEMA: dict[str, pl.DataType] = {
    "link": pl.Int64(),
    "reference_start": pl.Date(),
    "reference_end": pl.Date(),
    "start": pl.Date(),
    "end": pl.Date(),
}


def links(
    chaining: str,
    *,
    reference_start: date,
    reference_end: date,
    start: date | None = None,
    end: date,
    cadence: str = "month",
) -> pl.DataFrame:
    """List the links in order.

    All dates are first days of periods and both ends are included. `reference_start`, `reference_end`: the first
    reference period, one year of periods for `annual_overlap`; `start`: first period of the index (default:
    `reference_start`). Out: [link Int64 from 0, reference_start, reference_end, start, end] sorted by link.
    Raises ValueError for an unknown chaining or cadence, dates out of order, and a first link that is not one year
    long.
    """
    if cadence not in MONTHS:
        raise ValueError(f"cadence {cadence!r}; expected one of {sorted(MONTHS)}")
    first = reference_start if start is None else start
    for name, day in (
        ("reference_start", reference_start),
        ("reference_end", reference_end),
        ("start", first),
        ("end", end),
    ):
        if day.day != 1 or (day.month - 1) % MONTHS[cadence]:
            raise ValueError(f"{name} {day} is not the first day of a {cadence}")
    if reference_end < reference_start or end < first:
        raise ValueError(
            f"reference {reference_start} to {reference_end}, link {first} to {end}: an end comes before its start"
        )
    if chaining == "fixed_base":
        rows = [(0, reference_start, reference_end, first, end)]
    elif chaining == "annual_overlap":
        rows = _annual(reference_start, reference_end, first, end, MONTHS[cadence])
    else:
        raise ValueError(f"chaining {chaining!r}; expected 'fixed_base' or 'annual_overlap'")
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _annual(
    reference_start: date, reference_end: date, first: date, end: date, step: int
) -> list[tuple[int, date, date, date, date]]:
    if _years_on(reference_start, 1) != _months_on(reference_end, step):
        raise ValueError(
            f"reference {reference_start} to {reference_end}: annual_overlap chains on one year of periods; "
            f"expected a reference_end of {_months_on(_years_on(reference_start, 1), -step)}"
        )
    if first != reference_start:
        raise ValueError(
            f"start {first}: the first year of annual_overlap is its own reference, expected {reference_start}"
        )
    rows = [(0, reference_start, reference_end, first, min(reference_end, end))]
    while (begin := _years_on(reference_start, len(rows))) <= end:
        link, last = len(rows), _years_on(reference_end, len(rows))
        rows.append((link, _years_on(begin, -1), _years_on(last, -1), begin, min(last, end)))
    return rows


def _months_on(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    return date(day.year + years, month + 1, 1)


def _years_on(day: date, years: int) -> date:
    return _months_on(day, 12 * years)
