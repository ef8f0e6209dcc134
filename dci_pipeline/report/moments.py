"""Which periods of its values an exhibit shows for the period of a report, and how periods are worded.

A value of a finer grain is shown for the last period within the report's that has one: the second half of a year, the
last month of a half. A value of a coarser grain is not shown: a month says nothing of its year.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from dci_pipeline.exhibits import Exhibit, Item
from dci_pipeline.marts.selections import Moment
from dci_pipeline.periods import MONTHS_IN, Period
from dci_pipeline.report.declared import GRAINS, Rows

_FORM = re.compile(r"(\d{4})(?:-(\d{2})|Q([1-4])|H([12]))?")
_YEARS = re.compile(r"\d{4}-\d{4}")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")
_ENGLISH = (*_MONTHS, "November", "December")


def shown(exhibit: Exhibit, rows: Rows, period: Period, first_year: int, there: Collection[str]) -> list[str]:
    """The periods, as the table of exhibit values names them, that a drawing shows; none where there is no value."""
    if rows.over:
        return _back(rows, period, there)
    found: list[str] = []
    for item in exhibit.items:
        if rows.at and item.grain != rows.at:
            continue
        texts = [item.period.format(**moment.fields) for moment in moments_within(item, period, first_year)]
        there_of = [text for text in texts if text in there]
        found += there_of[-1:]
    return list(dict.fromkeys(found))


def moments_within(item: Item, period: Period, first_year: int) -> Iterator[Moment]:
    """The moments of an item that lie within a period, in order; none of an item coarser than it."""
    if MONTHS_IN[item.grain] > period.months:
        return
    for part in period.parts(item.grain):
        if item.grain == "month" and item.months and part.number not in item.months:
            continue
        yield Moment(item.grain, part.start.year, part.number, first_year)


def _back(rows: Rows, period: Period, there: Collection[str]) -> list[str]:
    if MONTHS_IN[rows.over] > period.months:
        return []
    within = [part for part in period.parts(rows.over) if part.key in there]
    if not within:
        return []
    steps = range(rows.back - 1, -1, -1) if rows.back else range(0)
    earlier = [within[-1].shift(-step) for step in steps]
    return [part.key for part in (earlier or within) if part.key in there]


def grain_of(text: str) -> str:
    """Which grain a period as it is written is of."""
    found = _FORM.fullmatch(text)
    if found is None:
        return ""
    return "month" if found[2] else "quarter" if found[3] else "half" if found[4] else "year"


def worded(text: str, language: str) -> str:
    """A period, or a stretch of them ('2017-2019', '2020-01..2020-06'), in words."""
    first, dots, last = text.partition("..")
    if not dots and _YEARS.fullmatch(text):
        first, dots, last = text[:4], "..", text[5:]
    if dots:
        between = "至" if language == "zh" else " to "
        return worded(first, language) + between + worded(last, language)
    found = _FORM.fullmatch(text)
    if found is None:
        return text
    year, month, quarter, half = found.groups()
    if language == "zh":
        tail = f"{int(month)}月" if month else f"第{'一二三四'[int(quarter) - 1]}季度" if quarter else ""
        return f"{year}年{tail}" + ({"1": "上半年", "2": "下半年"}[half] if half else "")
    if month:
        return f"{_ENGLISH[int(month) - 1]} {year}"
    if quarter:
        return f"Q{quarter} {year}"
    return f"{'first' if half == '1' else 'second'} half of {year}" if half else year


def listed(texts: Iterable[str], language: str) -> str:
    """Several periods in words; a run of them as first and last."""
    ordered = sorted(set(texts), key=lambda text: (len(text), text))
    if len(ordered) <= 2:
        return ("、" if language == "zh" else ", ").join(worded(text, language) for text in ordered)
    ends = [_ends(text) for text in ordered]
    return worded(f"{min(first for first, _ in ends)}..{max(last for _, last in ends)}", language)


def _ends(text: str) -> tuple[str, str]:
    first, _, last = (f"{text[:4]}..{text[5:]}" if _YEARS.fullmatch(text) else text).partition("..")
    return first, last or first


def coarser(grain: str, than: str) -> bool:
    return GRAINS.index(grain) > GRAINS.index(than)
