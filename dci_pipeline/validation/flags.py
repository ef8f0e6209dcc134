"""The rules that one row can break by itself, as expressions: shape, type, presence, range, pattern, list, period.

Rules about a place's name or a repeated key need other tables and are not here. A null value breaks only `not_null`;
a value that could not be read breaks only `type`; a ragged row only `shape`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import narwhals.stable.v2 as nw

from dci_pipeline.contracts import Column, FeedContract
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period

# What Rust's regex, RE2 and Java read differently, so that a count would depend on the engine: classes and anchors by
# letter (Unicode against ASCII; ends of lines), flags, sets within classes. Escaped signs and \n \r \t mean the same.
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_SET_IN_CLASS = re.compile(r"\[|&&|--|~~")
_GROUP = re.compile(r"\((\?(?!:)[^)]?)")


# How many terms of one kind stand side by side: an engine may chain them, and a chain that is sent elsewhere is taken
# apart no deeper than a hundred.
_SIDE_BY_SIDE = 8
ANY = partial(nw.any_horizontal, ignore_nulls=False)
ALL = partial(nw.all_horizontal, ignore_nulls=False)
ANY_KNOWN = partial(nw.any_horizontal, ignore_nulls=True)


def combined(how: Callable[..., nw.Expr], terms: Sequence[nw.Expr]) -> nw.Expr:
    """One expression of any number of terms, where the order in which they are put together does not matter."""
    while len(terms) > _SIDE_BY_SIDE:
        terms = [how(*terms[at : at + _SIDE_BY_SIDE]) for at in range(0, len(terms), _SIDE_BY_SIDE)]
    return how(*terms)


def row_flags(contract: FeedContract, *, period: Period, partner: str, readable: bool) -> dict[str, nw.Expr]:
    """Rule id -> expression, true where the row breaks the rule; null counts as false. In contract order.

    `readable` rows have `unparsed` null: for them shape and type need no text search, which costs more than the rest.
    """
    unread = (
        {}
        if readable
        else {column.name: mentions(column.name) & nw.col(column.name).is_null() for column in contract.columns}
    )
    # Whatever landing could not read, and no column owns, is a fault of the whole row: it is never accepted.
    ragged: nw.Expr | None = None
    if not readable:
        ragged = ~nw.col("unparsed").is_null() & ~combined(ANY, list(unread.values()))
    flags: dict[str, nw.Expr] = {}
    for rule in contract.rules:
        if rule.kind == "shape":
            flag = ragged
        elif rule.kind == "type":
            flag = unread.get(rule.column)
        elif rule.kind == "not_null":
            flag = nw.col(rule.column).is_null()
            if ragged is not None:
                flag = flag & ~unread[rule.column] & ~ragged
        else:
            flag = _value_flag(rule.kind, contract.by_name.get(rule.column), period, partner)
        if flag is not None:
            flags[rule.id] = flag
    return flags


def _value_flag(kind: str, column: Column | None, period: Period, partner: str) -> nw.Expr | None:
    if column is None:
        return None
    value = nw.col(column.name)
    if kind == "range":
        bounds = [value < column.minimum] if column.minimum is not None else []
        bounds += [value > column.maximum] if column.maximum is not None else []
        return nw.any_horizontal(*bounds, ignore_nulls=False)
    if kind == "pattern":
        return ~value.str.contains(portable(column))
    if kind == "one_of":
        return ~value.is_in(_listed(column))
    if kind == "partner":
        return value != partner
    if kind == "in_period":
        return (value < period.start) | (value >= period.end)
    return None


def portable(column: Column) -> str:
    """The column's pattern, when every engine reads it the same way. Raises Finding otherwise."""
    pattern = column.pattern or ""
    inner = pattern[1:-1]
    bare = _ESCAPE.sub("", _CLASS.sub("", inner))
    found = next((sign for sign in _unportable(inner, bare) if sign), None)
    if found or not (pattern.startswith("^") and pattern.endswith("$")):
        raise Finding(
            "a pattern that engines read differently",
            where=f"property {column.name!r}",
            found=pattern,
            expected="^…$ and explicit classes such as [0-9] or [A-Za-z_]",
            todo=f"write a class in place of {found}" if found else "add ^ and $",
        )
    # Java's $ matches before a last line break as well, and its dot stops at other line breaks than the line feed.
    any_sign = "".join(
        piece if piece.startswith(("[", "\\")) else piece.replace(".", r"[^\n]") for piece in _pieces(inner)
    )
    return f"^{any_sign}\\z"


def _unportable(inner: str, bare: str) -> Iterator[str]:
    """What engines read differently in a pattern without its anchors; `bare`: what is in no class and not escaped."""
    yield from (f"\\{sign}" for sign in _ESCAPE.findall(inner) if sign.isalnum() and sign not in "nrt")
    yield from (sign for sign in "^$" if sign in bare)
    yield from (found[1] for found in _GROUP.finditer(bare))
    for found in _CLASS.findall(inner):
        yield from _SET_IN_CLASS.findall(_ESCAPE.sub("", found)[1:])


def _pieces(inner: str) -> list[str]:
    """A pattern cut into classes, escapes and what is between them."""
    return re.findall(r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\.|[^\[\\]+", inner, re.DOTALL)


def _listed(column: Column) -> list[str] | list[int]:
    if column.type == "string":
        return list(column.values)
    if column.type == "integer":
        return [int(value) for value in column.values]
    raise Finding(
        "a list of values on a column that is neither text nor integer",
        where=f"property {column.name!r}",
        found=column.type,
        expected="logicalType: string or integer",
    )


def mentions(column: str) -> nw.Expr:
    """`unparsed` gives a reason for this column; its form is 'col: reason; col: reason'."""
    return nw.col("unparsed").str.contains(f"(?:^|; ){re.escape(column)}: ").fill_null(False)


def flag_words(flags: Mapping[str, nw.Expr], order: list[str]) -> list[nw.Expr]:
    """The flags as bits of 64-bit words: rule number k is bit k % 62 of word k // 62."""
    words: list[nw.Expr] = []
    for word in range(word_count(len(order))):
        bits = [
            nw.when(flags[rule]).then(nw.lit(1 << bit, nw.Int64)).otherwise(nw.lit(0, nw.Int64))
            for bit, rule in enumerate(order[word * 62 : (word + 1) * 62])
            if rule in flags
        ]
        words.append(combined(nw.sum_horizontal, bits) if bits else nw.lit(0, nw.Int64))
    return words


def word_count(rules: int) -> int:
    return (rules + 61) // 62
