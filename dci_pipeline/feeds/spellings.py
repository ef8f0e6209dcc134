"""Finite sets of spellings, such as the names a pattern stands for: as one expression, and what two have in common."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

# What a partner's file can be; the name ends with it.
FORMS = ("csv", "csv.gz", "parquet")

_DIGITS = frozenset("0123456789")


@dataclass(frozen=True)
class Choice:
    """Any of several sequences."""

    options: tuple[Letters, ...]


@dataclass(frozen=True)
class Named:
    """A sequence whose spelling is asked for by name."""

    name: str
    letters: Letters


# A sequence, each item one letter of a set, a choice, or a named part.
Letters = list[frozenset[str] | Choice | Named]


def text(characters: str) -> Letters:
    """One spelling."""
    return [frozenset(char) for char in characters]


def number(least: int, most: int) -> Letters:
    """Digits, at least and at most so many."""
    return [*([_DIGITS] * least), *([maybe([_DIGITS])] * (most - least))]


def maybe(letters: Letters) -> Choice:
    """These or nothing."""
    return Choice((letters, []))


def expression(letters: Letters) -> str:
    """A regular expression of exactly these spellings, with a group for each named part."""
    made: list[str] = []
    for item in letters:
        if isinstance(item, frozenset):
            made.append("[0-9]" if item == _DIGITS else re.escape(next(iter(item))))
        elif isinstance(item, Named):
            made.append(f"(?P<{item.name}>{expression(item.letters)})")
        else:
            made.append("(?:" + "|".join(map(expression, item.options)) + ")")
    return "".join(made)


def common(one: Letters, other: Letters) -> str | None:
    """A spelling that both sets have, or None: both are walked at once, a letter at a time."""
    first, second = _walk(one), _walk(other)
    seen = {(0, 0)}
    waiting = deque([((0, 0), "")])
    while waiting:
        (at, beside), spelled = waiting.popleft()
        if at == first.end and beside == second.end:
            return spelled
        steps = [((to, beside), "") for to in first.free.get(at, ())]
        steps += [((at, to), "") for to in second.free.get(beside, ())]
        steps += [
            ((to, along), min(letters & others))
            for letters, to in first.by_letter.get(at, ())
            for others, along in second.by_letter.get(beside, ())
            if letters & others
        ]
        for place, letter in steps:
            if place not in seen:
                seen.add(place)
                waiting.append((place, spelled + letter))
    return None


class _Walk:
    """Places 0 to `end`, with the steps from each: those that take a letter and those that take none."""

    def __init__(self) -> None:
        self.end = 0
        self.by_letter: dict[int, list[tuple[frozenset[str], int]]] = {}
        self.free: dict[int, list[int]] = {}

    def new(self) -> int:
        self.end += 1
        return self.end


def _walk(letters: Letters) -> _Walk:
    walk = _Walk()
    last = _add(walk, letters, 0)
    end = walk.new()
    walk.free.setdefault(last, []).append(end)
    return walk


def _add(walk: _Walk, letters: Letters, start: int) -> int:
    """Adds the steps from `start`; the place they lead to."""
    at = start
    for item in letters:
        if isinstance(item, frozenset):
            to = walk.new()
            walk.by_letter.setdefault(at, []).append((item, to))
            at = to
        elif isinstance(item, Named):
            at = _add(walk, item.letters, at)
        else:
            to = walk.new()
            for option in item.options:
                end = _add(walk, option, at)
                walk.free.setdefault(end, []).append(to)
            at = to
    return at
