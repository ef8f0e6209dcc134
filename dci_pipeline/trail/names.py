"""Which place or group a person means: by Chinese name, any alias, pinyin, English name or code.

Capitals, spaces, hyphens and apostrophes do not count. What is ambiguous is said, with what would tell apart.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from dci_pipeline.findings import Finding

_NEAREST = 6
_NAMES = ("name_zh", "name_en", "short_zh", "code")


@dataclass(frozen=True)
class Named:
    """A place, a group or the nation."""

    type: str
    code: str
    name_zh: str
    name_en: str

    def __str__(self) -> str:
        return f"{self.name_zh or self.name_en} ({self.type}:{self.code})"


@dataclass(frozen=True)
class Register:
    """Everything that has a name: places and groups [type, code, name_zh, name_en, short_zh], aliases [alias, place],
    names outside the index [alias, name_zh, reason], the nation, and which types are places."""

    places: pl.DataFrame
    groups: pl.DataFrame
    aliases: pl.DataFrame
    excluded: pl.DataFrame
    nation: Named
    place_types: Collection[str]

    def find(self, text: str, *, kind: str | None = None) -> Named:
        """The one that is meant; `kind` is a type that tells apart, as does writing 'type:code'.

        Raises Finding with the nearest names for one that is not known, with the candidates for one that is ambiguous,
        and with the reason for a name that is outside the index.
        """
        given = text.strip()
        head, colon, tail = given.partition(":")
        candidates = self._exactly(given)
        if colon and not candidates:
            candidates, kind = self._exactly(tail), kind or head
            given = tail
        chosen = [item for item in candidates if kind is None or item.type == kind]
        if not chosen and candidates:
            raise Finding(
                "not of that type",
                where="PLACE",
                found=f"{given}, {kind}",
                expected=" or ".join(map(str, candidates)),
                todo="correct --type",
            )
        if not chosen:
            raise self._unknown(given)
        places = [item for item in chosen if item.type in self.place_types]
        if len(chosen) > 1 and len(places) == 1 and len({item.code for item in chosen}) == 1:
            return places[0]  # one territory under two types: a municipality is a city and a province
        if len(chosen) > 1:
            raise Finding(
                "an ambiguous name",
                where="PLACE",
                found=text,
                expected=" or ".join(map(str, chosen)),
                todo="write it as type:code, " + ", ".join(f"{item.type}:{item.code}" for item in chosen),
            )
        return chosen[0]

    def every(self) -> list[Named]:
        """Everything that has a name."""
        return [*_rows(self.places), *_rows(self.groups), self.nation]

    def _exactly(self, text: str) -> list[Named]:
        wanted = plain(text)
        by_alias = self.aliases.filter(_plain_column("alias") == wanted)["place"].implode()
        found = [
            *_rows(self.places.filter(pl.col("code").is_in(by_alias) | _any_name(wanted))),
            *_rows(self.groups.filter(_any_name(wanted))),
        ]
        if wanted in {plain(name) for name in (self.nation.code, self.nation.name_zh, self.nation.name_en)}:
            found.append(self.nation)
        # A place of one tree may be a group of another, under one type and code: which is meant the node says.
        return list({(item.type, item.code): item for item in reversed(found)}.values())[::-1]

    def _unknown(self, text: str) -> Finding:
        wanted = plain(text)
        outside = self.excluded.filter(_plain_column("alias") == wanted)
        if not outside.is_empty():
            return Finding(
                "a place outside the index",
                where="PLACE",
                found=text,
                expected=str(outside["reason"][0]),
                todo="name a place of the index",
            )
        return Finding(
            "no such place",
            where="PLACE",
            found=text,
            expected=", ".join(self.nearest(text)) or "a name, alias or code of the index's geography",
            todo="name one of the nearest, or look it up: dci sql \"SELECT * FROM alias WHERE alias LIKE '…%'\"",
        )

    def nearest(self, text: str) -> list[str]:
        """The names most like this one, as they are written."""
        wanted = plain(text)
        known: dict[str, str] = {}
        for frame, columns in ((self.places, _NAMES), (self.groups, _NAMES), (self.aliases, ("alias",))):
            for column in columns:
                known |= {plain(name): name for name in frame[column].drop_nulls()}
        close = difflib.get_close_matches(wanted, known, n=_NEAREST, cutoff=0.5)
        # Of a short Chinese name one character right is half of it.
        close += sorted(name for name in known if wanted and wanted in name and name not in close)
        return [known[name] for name in close[:_NEAREST]]


def nearest_of(text: str, names: Iterable[str]) -> list[str]:
    """The names most like this one, for anything that has few of them."""
    known: dict[str, str] = {plain(name): name for name in names}
    return [known[name] for name in difflib.get_close_matches(plain(text), known, n=_NEAREST, cutoff=0.5)]


def plain(text: str) -> str:
    """A name without what people write differently."""
    return "".join(letter for letter in text.casefold() if letter not in " '’-_·")


def _plain_column(name: str) -> pl.Expr:
    return pl.col(name).str.to_lowercase().str.replace_all(r"[ '’\-_·]", "")


def _any_name(wanted: str) -> pl.Expr:
    return pl.any_horizontal(_plain_column(name) == wanted for name in _NAMES).fill_null(False)


def _rows(frame: pl.DataFrame) -> Sequence[Named]:
    columns = [pl.col(name).fill_null("") for name in ("type", "code", "name_zh", "name_en")]
    return [Named(*row) for row in frame.select(columns).unique().sort("type", "code").iter_rows()]
