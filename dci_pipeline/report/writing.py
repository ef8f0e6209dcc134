"""How the values of one column are written, in its table and in sentences: by unit, all with the same decimals.

Forms are those of `report.numbers`; here is what a value stands for in words (a quadrant, a flag, a sign, a month).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from dci_pipeline.report.numbers import MINUS, MISSING, decimals_for, form_of, number

Writing = Callable[[object], str]

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_WORDS = {
    "quadrant": {
        1: ("高 · 高", "high · high"),
        2: ("低 · 高", "low · high"),
        3: ("低 · 低", "low · low"),
        4: ("高 · 低", "high · low"),
    },
    "flag": {1: ("是", "yes"), 0: ("否", "no")},
    "sign": {1: ("正", "positive"), 0: ("零", "zero"), -1: ("负", "negative")},
    "month": {at: (f"{at}月", name) for at, name in enumerate(_MONTHS, start=1)},
}


def writing(unit: str, values: Iterable[object], language: str, *, said: bool = False) -> Writing:
    """What writes a value of a column; `said`: as a sentence does, with what stands after the number there."""
    numbers = [float(value) for value in values if isinstance(value, int | float) and math.isfinite(value)]
    places = decimals_for(numbers, unit)
    words = _WORDS.get(form_of(unit).form)

    def write(value: object) -> str:
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return number(None, unit, language)
        if not isinstance(value, int | float):
            return str(value)
        if words is not None:
            return words[round(value)][0 if language == "zh" else 1]
        if said and form_of(unit).form == "places":
            return number(value, "count", language)
        return number(value, unit, language, decimals=places, said=said)

    return write


def sign_of(text: str) -> int:
    """The sign of what is written: 0 where every digit is, and where nothing is."""
    if text == MISSING or not any(digit in "123456789" for digit in text):
        return 0
    return -1 if text.startswith(MINUS) else 1
