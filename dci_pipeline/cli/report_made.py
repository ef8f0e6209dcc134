"""The report of one period put together: what the published tables are asked, what draws, and the page it becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dci_pipeline.findings import Finding

if TYPE_CHECKING:
    import polars as pl
    from duckdb import DuckDBPyConnection

    from dci_pipeline.exhibits import Exhibit
    from dci_pipeline.periods import Period
    from dci_pipeline.report.declared import Declared
    from dci_pipeline.report.made import Made, Surroundings
    from dci_pipeline.report.naming import Names
    from dci_pipeline.report.page import Section
    from dci_pipeline.warehouse.release_files import Release
    from dci_pipeline.work import Work

_FILES = Path(__file__).resolve().parent.parent / "report" / "page_files"
_VALUES = "exhibit_values"
# A chart is one picture with one label: what its parts are called would only make it larger.
_QUIET = {"aria": False, "background": None}
_MAP, _GRID = 600, 2
Told = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Written:
    """The page, how many exhibits and parts it has, and how many had no value."""

    html: str
    shown: int
    parts: int
    absent: int
    made: tuple[Made, ...]


def written(
    work: Work,
    declared: Declared,
    connection: DuckDBPyConnection,
    period: Period,
    language: str,
    release: Release | None,
    *,
    told: Told,
) -> Written:
    """The report's page. Raises Finding naming the periods there are when none of its exhibits has a value."""
    from dci_pipeline.report import page as pages
    from dci_pipeline.report.moments import worded
    from dci_pipeline.report.words import WORDS

    words = WORDS[language]
    about = surroundings(work, declared, connection, period, language)
    sections, absent = _sections(declared, about, told)
    made = tuple(shown for section in sections for shown in section.exhibits)
    if not any(shown.dated for shown in made):
        raise Finding(
            "no exhibit has a value for this period",
            where=f"{work.index} {period}",
            expected=_periods(connection, about, declared),
            todo="name one of these with --period",
        )
    whole = pages.About(
        language=language,
        index=work.framework.name_zh if language == "zh" else work.framework.name_en,
        title=declared.title.of(language),
        subtitle=declared.subtitle.of(language),
        period=worded(period.key, language),
        release=release.id if release is not None else words["warehouse"],
        made=release.vintage.isoformat() if release is not None else "",
        notice=declared.notice.of(language),
        places=_colophon(about, words, absent),
        findings=[shown for name in declared.findings for shown in made if shown.exhibit == name and shown.sentence],
    )
    html = pages.page(
        whole, sections, template=_text("page.html"), css=_text("page.css"), script=_text("page.js"), words=words
    )
    return Written(html, len(made), len(sections), len(absent), made)


def surroundings(
    work: Work, declared: Declared, connection: DuckDBPyConnection, period: Period, language: str
) -> Surroundings:
    """What the exhibits are made from: the published tables, the declarations, the names, what draws."""
    import duckdb
    import polars

    from dci_pipeline.exhibit_files import FILE, read_exhibits
    from dci_pipeline.map_files import read_maps
    from dci_pipeline.report.drawing import svg
    from dci_pipeline.report.legend import legend, without_legend
    from dci_pipeline.report.made import Surroundings
    from dci_pipeline.report.maps import bubbles, choropleth
    from dci_pipeline.report.page import chart_html
    from dci_pipeline.report_files import check_report
    from dci_pipeline.settings import map_approval

    @cache
    def ask(sql: str) -> pl.DataFrame:
        try:
            return cast("pl.DataFrame", polars.from_arrow(connection.sql(sql).to_arrow_table()))
        except duckdb.Error as error:
            raise Finding(
                "a query of the report fails",
                where=f"{work.index}/report",
                found=f"{str(error).splitlines()[0]}, in: {' '.join(sql.split())[:200]}",
                expected="a query on the published tables",
                todo="dci sql runs it; mend it in the part of the report that shows it, or compute the table it asks",
            ) from error

    def chart(spec: dict[str, Any], prefix: str, label: str) -> str:
        return chart_html(svg({**spec, "config": _QUIET}, prefix=prefix), label)

    def mapped(rows: pl.DataFrame, places: str, unit: str, prefix: str, label: str) -> str:
        assert maps is not None
        draw = {"unit": unit, "lang": language, "approval": map_approval(), "width": _MAP}
        if places not in maps.layers:
            return chart(bubbles(maps, rows, **draw), prefix, label)
        drawn = svg(
            {**without_legend(choropleth(maps, places, rows, **draw)), "config": _QUIET}, prefix=prefix, grid=_GRID
        )
        return chart_html(drawn, label) + legend(rows["value"].to_list(), unit, language, map_approval())

    maps = read_maps(work)

    found = read_exhibits(work.framework, work.geography).exhibits if (work.framework.folder / FILE).is_file() else ()
    exhibits: Mapping[str, Exhibit] = {exhibit.exhibit: exhibit for exhibit in found}
    check_report(declared, exhibits, f"{work.index}/report")
    return Surroundings(
        period=period,
        language=language,
        declared=declared,
        exhibits=exhibits,
        there=_there(connection) if exhibits else {},
        first_year=work.framework.links[0].start.start.year,
        names=_names(work, connection, declared),
        ask=ask,
        chart=chart,
        columns=_columns(connection),
        mapped=mapped if maps is not None else None,
        source=maps.source[language] if maps is not None and maps.layers else "",
    )


def _sections(declared: Declared, about: Surroundings, told: Told) -> tuple[list[Section], list[str]]:
    """The parts that have something to show, and the titles of exhibits that have no value."""
    from dci_pipeline.report.made import made
    from dci_pipeline.report.page import Section

    total = sum(len(part.exhibits) for part in declared.parts)
    sections: list[Section] = []
    absent: list[str] = []
    done = 0
    for part in declared.parts:
        shown: list[Made] = []
        for item in part.exhibits:
            told(done, total, item.exhibit)
            found = made(item, about, f"{len(sections) + 1}.{len(shown) + 1}")
            done += 1
            if found is None:
                absent.append(f"{item.exhibit} {item.title.of(about.language)}")
            else:
                shown.append(found)
        if shown:
            title, intro = part.title.of(about.language), part.intro.of(about.language)
            sections.append(Section(part.part, len(sections) + 1, title, intro, tuple(shown)))
    return sections, absent


def _there(connection: DuckDBPyConnection) -> dict[str, set[str]]:
    """The periods that every exhibit has values of."""
    found: dict[str, set[str]] = {}
    for exhibit, period in connection.execute(f"SELECT DISTINCT exhibit_id, period FROM {_VALUES}").fetchall():  # noqa: S608
        found.setdefault(exhibit, set()).add(period)
    return found


def _columns(connection: DuckDBPyConnection) -> dict[str, set[str]]:
    """The columns of every published table."""
    found: dict[str, set[str]] = {}
    asked = "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal"
    for table, column in connection.execute(asked).fetchall():
        found.setdefault(table, set()).add(column)
    return found


def _names(work: Work, connection: DuckDBPyConnection, declared: Declared) -> Names:
    """Names from every published table that has them in both languages, and from the index file."""
    from dci_pipeline.report.naming import gathered

    tables = connection.execute(
        "SELECT table_name, bool_or(column_name = 'node'), bool_or(column_name = 'member') FROM duckdb_columns() "
        "WHERE NOT internal AND column_name IN ('node', 'member', 'name_zh', 'name_en') GROUP BY 1 "
        "HAVING bool_or(column_name = 'name_zh') AND bool_or(column_name = 'name_en') ORDER BY 1"
    ).fetchall()
    rows: list[tuple[str, str, str]] = [("", work.framework.nation["name_zh"], work.framework.nation["name_en"])]
    for table, nodes, members in tables:
        code = "node" if nodes and not members else "''"
        asked = f"SELECT DISTINCT {code}, name_zh, name_en FROM {table} WHERE name_en IS NOT NULL ORDER BY ALL"  # noqa: S608
        rows += connection.execute(asked).fetchall()
    rows += [(item.tracked, item.name_zh, item.name_en) for item in work.framework.tracker]
    rows = [(code, said.zh, said.en) for code, said in declared.codes.items()] + rows
    return gathered(rows, declared.names)


def _periods(connection: DuckDBPyConnection, about: Surroundings, declared: Declared) -> str:
    """The periods there are values of, as few words."""
    from dci_pipeline.report.moments import grain_of
    from dci_pipeline.report.queries import tables_of

    texts = {text for of in about.there.values() for text in of if grain_of(text)}
    drawn = [drawing for part in declared.parts for shown in part.exhibits for drawing in shown.drawings]
    grains = ("month", "quarter", "half", "year")
    asked = [sql.replace("{grain}", grain) for drawing in drawn for sql in drawing.sql.values() for grain in grains]
    tables = {table for sql in asked for table in tables_of(sql)}
    known = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    for table in sorted(tables & known):
        column = table.rpartition("_")[2]
        if column in ("month", "quarter", "half", "year"):
            texts |= set(_keys(connection, table, column))
    by_grain: dict[str, list[str]] = {}
    for text in sorted(texts):
        by_grain.setdefault(grain_of(text), []).append(text)
    return (
        "; ".join(f"{found[0]} to {found[-1]}" for found in by_grain.values()) or "a period; nothing is published yet"
    )


def _keys(connection: DuckDBPyConnection, table: str, column: str) -> Iterable[str]:
    from datetime import date

    from dci_pipeline.periods import Period

    for (value,) in connection.execute(f"SELECT DISTINCT {column} FROM {table}").fetchall():  # noqa: S608
        yield Period(value, column).key if isinstance(value, date) else str(value)


def _colophon(about: Surroundings, words: Mapping[str, str], absent: list[str]) -> list[tuple[str, str]]:
    from dci_pipeline.settings import map_approval

    found: list[tuple[str, str]] = []
    external = [exhibit for exhibit in about.exhibits.values() if not exhibit.items]
    if external:
        titles = [f"{item.exhibit} {item.title_zh if about.language == 'zh' else item.title_en}" for item in external]
        found.append(
            (
                words["external"],
                f"{words['external_says']} {'；'.join(titles) if about.language == 'zh' else '; '.join(titles)}",
            )
        )
    if absent:
        joined = "；".join(absent) if about.language == "zh" else "; ".join(absent)
        found.append((words["absent"], f"{words['absent_says']} {joined}"))
    none = words["no_map"] if about.mapped is None else words["no_geometry"]
    found.append((words["map"], about.source or none))
    if about.mapped is not None:
        found.append((words["approval"], map_approval() or words["no_approval"]))
    found.append((words["queries"], words["queries_says"]))
    found.append((words["font"], words["font_says"]))
    return found


def _text(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")
