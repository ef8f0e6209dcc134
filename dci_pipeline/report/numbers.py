"""How numbers read: one form per kind of unit, in Chinese and in English, for tables, sentences, axes and the explorer.

The forms are data (`FORMATS`), so that a page written in another language words the same numbers the same way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

LANGUAGES = ("zh", "en")
# Does not exist; and: exists, but is not known (yet), such as the rank a year before the first.
MISSING = "–"
NOT_YET = "…"
MINUS = "−"
UP, DOWN = "▲", "▼"
_NBSP = "\u00a0"

Found = TypeVar("Found")


@dataclass(frozen=True)
class Form:
    """One way to write a number: value x scale, with so many decimals, and what stands after it.

    `decimals` None: as many as the size asks for (`decimals_for`). `after` by language: in tables; `said` by language:
    in sentences, where it differs. `d3` is the same form for axes and tooltips of Vega-Lite, without what stands after.
    """

    form: str
    scale: float = 1.0
    decimals: int | None = None
    after: dict[str, str] = field(default_factory=dict[str, str])
    said: dict[str, str] = field(default_factory=dict[str, str])
    d3: str = ",.1f"


FORMATS: dict[str, Form] = {
    made.form: made
    for made in (
        Form("points", said={"zh": "点", "en": f"{_NBSP}points"}, d3=",.1f"),
        Form("fraction", 100.0, 1, {"zh": "%", "en": f"{_NBSP}%"}, d3=".1%"),
        # A difference of two fractions, and the same already in hundredths.
        Form("fraction_points", 100.0, 1, {"zh": "", "en": ""}, {"zh": "个百分点", "en": f"{_NBSP}pp"}, d3=",.1f"),
        Form("percentage_points", 1.0, 1, {"zh": "", "en": ""}, {"zh": "个百分点", "en": f"{_NBSP}pp"}, d3=",.1f"),
        Form("percent", 1.0, 1, {"zh": "%", "en": f"{_NBSP}%"}, d3=",.1f"),
        Form("rank", decimals=0, d3="d"),
        Form("places", decimals=0, d3="+d"),
        Form("count", decimals=0, d3=",d"),
        Form("year", decimals=0, d3="d"),
        Form("month", decimals=0, after={"zh": "月", "en": ""}, d3="d"),
        Form("times", decimals=2, after={"zh": "倍", "en": f"{_NBSP}×"}, d3=".2f"),
        Form("ratio", decimals=2, d3=".2f"),
        Form("correlation", decimals=3, d3=".3f"),
        Form("hours", decimals=2, said={"zh": "小时", "en": f"{_NBSP}hours"}, d3=".2f"),
        Form("amount", d3="~s"),
        Form("quadrant", decimals=0, d3="d"),
        Form("flag", decimals=0, d3="d"),
        Form("sign", decimals=0, d3="+d"),
    )
}
# Units of the published tables and of the exhibits, by how they begin: the longest beginning counts.
_UNITS = {
    "points": "points",
    "fraction": "fraction",
    "fraction (pp": "fraction_points",
    "percentage points": "percentage_points",
    "percent": "percent",
    "rank": "rank",
    "ranks": "places",
    "places": "places",
    "count": "count",
    "year": "year",
    "month": "month",
    "times": "times",
    "ratio": "ratio",
    "correlation": "correlation",
    "hours per user and day": "hours",
    "quadrant": "quadrant",
    "flag": "flag",
    "sign": "sign",
}
# The unit in words, for the head of a column or an axis.
_WORDS = {
    "points": ("点", "points"),
    "fraction": ("%", "%"),
    "fraction (pp": ("百分点", "percentage points"),
    "percentage points": ("百分点", "percentage points"),
    "places": ("位", "places"),
    "times": ("倍", "times"),
    "hours per user and day": ("小时/人·日", "hours per user and day"),
    "100m GB": ("亿GB", "100m GB"),
    "100m persons": ("亿人", "100m persons"),
    "10^12 hours": ("万亿小时", "10¹² hours"),
    "GB per subscriber": ("GB/户", "GB per subscriber"),
}


def form_of(unit: str) -> Form:
    """The form of a unit; an amount in any other unit is written as large as it is."""
    return FORMATS[_longest(unit, _UNITS) or "amount"]


def column_unit(unit: str, kind: str = "number") -> str:
    """The unit of a contract's column as the functions here know it: there, places are counted and ranks gained."""
    if unit == "places" or (kind == "integer" and form_of(unit).form == "amount"):
        return "count"
    return unit


def unit_label(unit: str, lang: str) -> str:
    """The unit in words, for the head of a column or an axis; empty for ranks, counts and the like."""
    said = _longest(unit, _WORDS)
    if said is None:
        return unit if form_of(unit).form == "amount" else ""
    return said[LANGUAGES.index(lang)]


def number(
    value: float | None, unit: str, lang: str, *, decimals: int | None = None, signed: bool = False, said: bool = False
) -> str:
    """One number as it stands in a table or, with `said`, in a sentence: 1,087.1 · 73.2% · 3.4 个百分点 · ▲3.

    `value` in `unit` (a fraction of 1, points, a rank, …); None and NaN are written MISSING. `signed`: + before what is
    above zero. `decimals`: instead of those of the form, such as those of a column (`decimals_for`).
    """
    form = form_of(unit)
    if value is None or math.isnan(value):
        return NOT_YET if form.form == "places" else MISSING
    if form.form == "places":
        return rank_change(round(value))
    scaled = value * form.scale
    places = decimals if decimals is not None else form.decimals
    if places is None:
        places = _decimals(abs(scaled))
    text = f"{abs(scaled):.{places}f}" if form.form == "year" else f"{abs(scaled):,.{places}f}"
    zero = not any(digit in "123456789" for digit in text)
    sign = "" if zero else MINUS if scaled < 0 else "+" if signed else ""
    after = form.said if said and form.said else form.after
    return f"{sign}{text}{after.get(lang, '')}"


def decimals_for(values: Iterable[float | None], unit: str) -> int:
    """The decimals a column of values is written with, all alike: what its largest needs to be told apart."""
    form = form_of(unit)
    if form.decimals is not None:
        return form.decimals
    return _decimals(max((abs(value) * form.scale for value in values if value is not None), default=0.0))


def rank_change(places: int | None) -> str:
    """Places gained (▲3) or lost (▼2); MISSING for none, NOT_YET where there is no rank to compare with."""
    if places is None:
        return NOT_YET
    return MISSING if places == 0 else f"{UP if places > 0 else DOWN}{abs(places)}"


def ordinal(rank: int | None, lang: str) -> str:
    """A rank in a sentence: 第3位, 3rd."""
    if rank is None:
        return MISSING
    if lang == "zh":
        return f"第{rank}位"
    teen = 10 <= rank % 100 <= 20
    return f"{rank}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(rank % 10, 'th')}"


def _decimals(size: float) -> int:
    """Four figures or so: 1,087.1 · 53.21 · 0.653 · 0.0102."""
    if size >= 100 or size == 0:
        return 1
    return 2 if size >= 10 else 3 if size >= 0.1 else 4


def _longest(unit: str, table: Mapping[str, Found]) -> Found | None:
    begins = [known for known in table if unit.startswith(known)]
    return table[max(begins, key=len)] if begins else None
