"""Every entity of the published tables with its names, and what finds it: one list, in whose order numbers are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from dci_pipeline.framework import EntityType

# Reads some columns of a published table; an absent column is left out.
Read = Callable[[str, Sequence[str]], pl.DataFrame]

_NAMES = ("code", "name_zh", "name_en", "short_zh", "level", "lon", "lat")


@dataclass(frozen=True)
class Places:
    """Entities in their order, and the position of each by type and code."""

    rows: tuple[dict[str, Any], ...]
    position: Mapping[tuple[str, str], int]

    @property
    def frame(self) -> pl.DataFrame:
        """[entity_type, entity_code, entity: position]."""
        keys = list(self.position)
        return pl.DataFrame(
            {
                "entity_type": [kind for kind, _ in keys],
                "entity_code": [code for _, code in keys],
                "entity": pl.Series(list(self.position.values()), dtype=pl.Int64),
            }
        )


def places(
    read: Read, nation: Mapping[str, str], types: Sequence[EntityType], there: Iterable[tuple[str, str]]
) -> Places:
    """The entities that any published row is about, ordered by type as the index lists them, then by code.

    `there`: type and code of each. Each gets names (zh, en, and what a table of places says besides), `groups` (the
    positions of the groups it is in) and `also` (further spellings). One without a name is called by its code.
    """
    kinds = ["nation", *dict.fromkeys(kind.type for kind in types if kind.is_group), *(k.type for k in types)]
    rank = {kind: at for at, kind in reversed(list(enumerate(kinds)))}
    keys = sorted(set(there), key=lambda key: (rank.get(key[0], len(rank)), key))
    position = {key: at for at, key in enumerate(keys)}
    named = _named(read, nation, types)
    groups, spellings = _groups(read, position), _spellings(read)
    rows: list[dict[str, Any]] = []
    for kind, code in keys:
        row: dict[str, Any] = {"type": kind, "code": code, **named.get((kind, code), named.get(("", code), {}))}
        row.setdefault("zh", row.get("en", code))
        row.setdefault("en", row.get("zh", code))
        if inside := groups.get((kind, code)):
            row["groups"] = inside
        told = {str(value) for value in row.values()}
        if also := [text for text in spellings.get(code, ()) if _tells_more(text, code, told)]:
            row["also"] = also
        rows.append(row)
    return Places(tuple(rows), position)


def _named(read: Read, nation: Mapping[str, str], types: Sequence[EntityType]) -> dict[tuple[str, str], dict[str, Any]]:
    """Names and position on the map by type and code; groups without a table of their own from `unit_group`."""
    called = {"name_zh": "zh", "name_en": "en", "short_zh": "short"}
    found: dict[tuple[str, str], dict[str, Any]] = {
        ("nation", nation["code"]): {"zh": nation["name_zh"], "en": nation["name_en"]}
    }
    for row in read("unit_group", ("group_type", "group_code", "name_zh", "name_en")).unique().iter_rows(named=True):
        found[row["group_type"], row["group_code"]] = {
            called[column]: row[column] for column in ("name_zh", "name_en") if row[column]
        }
    for kind in types:
        if kind.table is None:
            continue
        for row in read(kind.table, _NAMES).iter_rows(named=True):
            facts = {called.get(column, column): value for column, value in row.items() if value not in (None, "")}
            facts.pop("code")
            found[kind.type, row["code"]] = facts
    return found


def _groups(read: Read, position: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], list[int]]:
    """Positions of the groups that a place is in now, by type and code of the place."""
    rows = read("unit_group", ("group_type", "group_code", "place", "valid_to"))
    grouped: dict[str, list[int]] = {}
    for row in rows.filter(pl.col("valid_to").is_null()).iter_rows(named=True):
        at = position.get((row["group_type"], row["group_code"]))
        if at is not None:
            grouped.setdefault(row["place"], []).append(at)
    kinds = {kind for kind, _ in position}
    return {
        (kind, code): sorted(set(inside))
        for code, inside in grouped.items()
        for kind in kinds
        if (kind, code) in position and position[kind, code] not in inside
    }


def _spellings(read: Read) -> dict[str, list[str]]:
    rows = read("alias", ("alias", "place", "ambiguous"))
    grouped: dict[str, list[str]] = {}
    if rows.is_empty():
        return grouped
    for text, place in (
        rows.filter(~pl.col("ambiguous")).select("alias", "place").unique().sort("alias", "place").iter_rows()
    ):
        grouped.setdefault(place, []).append(text)
    return grouped


def _tells_more(text: str, code: str, told: set[str]) -> bool:
    """Whether a spelling finds what the code and the names do not find already."""
    return text not in told and not text.startswith(code) and not code.startswith(text)
