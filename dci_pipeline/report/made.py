"""An exhibit made: its rows asked for, its sentence said, its drawings drawn. Nothing here knows an exhibit.

What asks, what draws and what maps is given from outside: this is the same for a warehouse, a release and a test.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from dci_pipeline.exhibits import Exhibit
from dci_pipeline.periods import Period
from dci_pipeline.report import facts, flags, moments, queries
from dci_pipeline.report.declared import Declared, Drawing, Shown
from dci_pipeline.report.exhibits.block import Block, Request
from dci_pipeline.report.exhibits.kinds import RENDERERS
from dci_pipeline.report.exhibits.table import laid
from dci_pipeline.report.naming import Names
from dci_pipeline.report.sentences import said
from dci_pipeline.report.sourced import sourced

_NAMED = ("row", "entity", "member")
# Rows of the table that stands for a drawing to those who do not see it.
_TABLED, _TOLD = 40, 10


@dataclass(frozen=True)
class Surroundings:
    """What an exhibit is made from.

    exhibits: those of the index, by id; there: the periods that each has values of; columns: those of every published
    table; ask: a query to its rows; chart: a specification, a prefix for its ids and what it shows to HTML; mapped:
    rows, places, unit, prefix and what it shows to a map, None without geometry.
    """

    period: Period
    language: str
    declared: Declared
    exhibits: Mapping[str, Exhibit]
    there: Mapping[str, Collection[str]]
    first_year: int
    names: Names
    ask: Callable[[str], pl.DataFrame]
    chart: Callable[[dict[str, Any], str, str], str]
    columns: Mapping[str, Collection[str]] = field(default_factory=dict[str, Collection[str]])
    mapped: Callable[[pl.DataFrame, str, str, str, str], str] | None = None
    source: str = ""


@dataclass(frozen=True)
class Made:
    """An exhibit as the page shows it; every text is in the report's language, `blocks` and `table` are HTML.

    queries: those whose rows are drawn; published: the same rows of the published tables themselves, where an exhibit
    only selects them. dated: whether any of its values is of the report's period, and not of the index as such.
    """

    exhibit: str
    number: str
    title: str
    sentence: str
    blocks: tuple[str, ...]
    table: str
    note: str
    periods: str
    flag: str
    provisional: bool
    sources: tuple[str, ...]
    queries: tuple[str, ...]
    published: tuple[str, ...]
    half: bool
    dated: bool
    frames: tuple[pl.DataFrame, ...] = ()


def made(shown: Shown, about: Surroundings, number: str) -> Made | None:
    """The exhibit for the report's period; None where it has no value then."""
    asked = [_asked(drawing, shown, about) for drawing in shown.drawings]
    if all(frame.is_empty() for _, _, frame in asked):
        return None
    frames = [frame for _, _, frame in asked]
    title = shown.title.of(about.language)
    exhibit = about.exhibits.get(shown.exhibit)
    tables = _tables(exhibit, [sql for sql, _, _ in asked])
    sentence, provisional, flag = _said(shown, frames, [sql for sql, _, _ in asked], about)
    blocks, tabled = _drawn(
        shown, asked, about, f"{title}。{sentence}" if about.language == "zh" else f"{title}. {sentence}"
    )
    return Made(
        exhibit=shown.exhibit,
        number=number,
        title=title,
        sentence=sentence,
        blocks=tuple(blocks),
        table="".join(tabled),
        note=_note(shown, exhibit, about.language),
        periods=moments.listed((text for _, texts, _ in asked for text in texts), about.language),
        flag=flag,
        provisional=provisional,
        sources=tuple(tables),
        queries=tuple(dict.fromkeys(sql for sql, _, frame in asked if not frame.is_empty())),
        published=tuple(
            sourced(
                exhibit,
                about.period,
                about.first_year,
                {text for _, texts, _ in asked for text in texts},
                about.columns,
            )
            if exhibit
            else ()
        ),
        half=shown.half,
        dated=any(
            not frame.is_empty()
            and any(str(about.period.start.year) in text for text in texts)
            and (drawing.rows is not None or any("{" in sql for sql in drawing.sql.values()))
            for drawing, (_, texts, frame) in zip(shown.drawings, asked, strict=True)
        ),
        frames=tuple(frames),
    )


def _tables(exhibit: Exhibit | None, asked: Iterable[str]) -> list[str]:
    """The published tables the values come from: those that the table of exhibit values was made of, not itself."""
    found = sorted({selection.table for item in exhibit.items for selection in item.selections}) if exhibit else []
    found += [table for sql in asked for table in queries.tables_of(sql)]
    others = [table for table in dict.fromkeys(found) if table != queries.TABLE]
    return others or [queries.TABLE]


_Asked = tuple[str, list[str], pl.DataFrame]


def _asked(drawing: Drawing, shown: Shown, about: Surroundings) -> _Asked:
    """Query, periods and rows of one drawing, named in the language; without a query where there is no value."""
    if drawing.rows is not None:
        exhibit = about.exhibits[shown.exhibit]
        there = about.there.get(shown.exhibit, ())
        texts = moments.shown(exhibit, drawing.rows, about.period, about.first_year, there)
        if not texts:
            return "", [], pl.DataFrame()
        sql = queries.compiled(drawing.rows, shown.exhibit, texts)
    else:
        return _given(drawing, shown, about)
    return sql, texts, _named(about.ask(sql), about)


def _given(drawing: Drawing, shown: Shown, about: Surroundings) -> _Asked:
    """The same of a query that is given: for the report's period, or the last within it that has rows."""
    nothing = ("", list[str](), pl.DataFrame())
    declared = drawing.sql.get(about.period.cadence) or drawing.sql.get("")
    if declared is None or (shown.grains and about.period.cadence not in shown.grains):
        return nothing
    if drawing.at and moments.coarser(drawing.at, about.period.cadence):
        return nothing
    for period in reversed(about.period.parts(drawing.at)) if drawing.at else [about.period]:
        sql = queries.filled(declared, period)
        rows = about.ask(sql)
        # A series that ends before the period says nothing of it.
        if not rows.is_empty() and ("period" not in rows.columns or str(rows["period"].max()) == period.key):
            texts = [str(text) for text in rows["period"].unique().sort()] if "period" in rows.columns else [period.key]
            return sql, texts, _named(rows, about)
    return nothing


def _named(frame: pl.DataFrame, about: Surroundings) -> pl.DataFrame:
    """Rows with what they are about in the language; `source_name` keeps the entity as it is published."""
    values = [name for name in frame.columns if name in about.declared.columns]
    if values:
        frame = frame.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in values))
    numbers = [name for name in values if frame[name].dtype.is_numeric()]
    frame = frame.with_columns(pl.col(numbers).cast(pl.Float64))
    if "entity" not in frame.columns:
        frame = frame.with_columns(entity=pl.lit(""))
    frame = frame.with_columns(source_name=pl.col("entity"))
    for name in (*_NAMED, "key"):
        if name in frame.columns:
            texts = [about.names.of(text or "", about.language) for text in frame[name]]
            frame = frame.with_columns(pl.Series("series" if name == "key" else name, texts, dtype=pl.String))
    if "period" in frame.columns:
        frame = frame.with_columns(pl.col("period").cast(pl.String))
    return frame


def _said(shown: Shown, frames: list[pl.DataFrame], queried: list[str], about: Surroundings) -> tuple[str, bool, str]:
    """The sentence, whether any row it rests on is provisional, and what the rows are, in words."""
    exhibit = about.exhibits.get(shown.exhibit)
    asked = flags.questions(exhibit, about.period, about.first_year) if exhibit else []
    asked = asked or [one for sql in queried for one in flags.of_query(sql, about.period, about.columns)]
    answers = [row for question in asked for row in about.ask(question).iter_rows()]
    flag, provisional = flags.worded(answers, about.language)
    if shown.says is None:
        return "", provisional, flag
    values = facts.found(shown.facts, frames, about.declared.columns, about.language)
    sentence = said(shown.says.of(about.language), values)
    if sentence and provisional:
        sentence += "（初步数）" if about.language == "zh" else " (Provisional.)"
    return sentence, provisional, flag


def _drawn(shown: Shown, asked: Iterable[_Asked], about: Surroundings, label: str) -> tuple[list[str], list[str]]:
    """Every drawing as HTML, and for those that are no table the table that says the same."""
    blocks: list[str] = []
    tables: list[str] = []
    for at, (drawing, (_, _, frame)) in enumerate(zip(shown.drawings, asked, strict=True)):
        if frame.is_empty():
            continue
        request = _request(drawing, frame, f"{shown.exhibit}-{at}".lower(), label, about, narrow=shown.half)
        block: Block = RENDERERS[drawing.kind](request)
        if not block.html:
            # What cannot be drawn, as a plane without its second value, is still told.
            block = Block(laid(request, request.measures, limit=_TOLD), tabled=True)
        blocks.append(block.html)
        if not block.tabled:
            tables.append(laid(request, request.measures, limit=_TABLED))
    return blocks, tables


def _request(
    drawing: Drawing, frame: pl.DataFrame, name: str, label: str, about: Surroundings, *, narrow: bool
) -> Request:
    mapped = about.mapped

    def chart(spec: dict[str, Any]) -> str:
        return about.chart(spec, f"{name}-", label)

    return Request(
        frame=frame,
        columns=about.declared.columns,
        options=drawing.options,
        language=about.language,
        name=name,
        label=label,
        chart=chart,
        narrow=narrow,
        mapped=None if mapped is None else lambda rows, places, unit: mapped(rows, places, unit, f"{name}-", label),
    )


def _note(shown: Shown, exhibit: Exhibit | None, language: str) -> str:
    said = [shown.note.of(language)] if shown.note is not None else []
    if exhibit is not None and exhibit.reading and language == "en":
        said.append(exhibit.reading)
    return " ".join(said)
