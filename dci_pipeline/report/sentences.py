"""A sentence made of a template and the values found for it; it says no more than these values.

    {fact}                   the value as it is written
    <fact|up {}|flat|down {}> one of three by the sign of the value as written; {} is its size without a sign
    [clause]                 left out when a value in it is missing

A template that misses a value outside a clause gives no sentence at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_FIELD = re.compile(r"\{(\w+)\}|<(\w+)\|([^|>]*)\|([^|>]*)\|([^|>]*)>")
_CLAUSE = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True)
class Value:
    """A value as a sentence writes it: with its sign, without, and which sign it is (of what is written)."""

    text: str
    size: str = ""
    sign: int = 0


def fields_of(template: str) -> tuple[str, ...]:
    """The facts a template names, each once, in order."""
    return tuple(dict.fromkeys(plain or chosen for plain, chosen, *_ in _FIELD.findall(template)))


def said(template: str, values: Mapping[str, Value]) -> str:
    """The sentence; empty where a value outside every clause is missing. What is not known is not in `values`."""

    def clause(found: re.Match[str]) -> str:
        return "" if _missing(found[1], values) else found[1]

    kept = _CLAUSE.sub(clause, template)
    if _missing(kept, values):
        return ""
    return _FIELD.sub(lambda field: _filled(field, values), kept).strip()


def _missing(text: str, values: Mapping[str, Value]) -> bool:
    return any(name not in values for name in fields_of(text))


def _filled(field: re.Match[str], values: Mapping[str, Value]) -> str:
    if field[1]:
        return values[field[1]].text
    value = values[field[2]]
    rising, level, falling = field[3], field[4], field[5]
    return {1: rising, 0: level, -1: falling}[value.sign].replace("{}", value.size)
