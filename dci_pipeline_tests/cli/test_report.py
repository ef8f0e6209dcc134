"""`dci report` over a computed world: what each period shows, its queries run again, the same bytes, no network."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import duckdb
import polars as pl
import pytest

from dci_pipeline.cli.report_made import Written, written
from dci_pipeline.periods import parse
from dci_pipeline.report.writing import writing
from dci_pipeline.report_files import read_report
from dci_pipeline_tests.cli.conftest import Dci
from dci_pipeline_tests.conftest import World

pytestmark = pytest.mark.slow

YEAR = parse("2018", "year")


@pytest.fixture(scope="module")
def connection(world: World) -> Iterator[duckdb.DuckDBPyConnection]:
    opened = duckdb.connect(str(world.work.warehouse.layout.catalogue), read_only=True)
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=["zh", "en"])
def page(request: pytest.FixtureRequest, world: World, connection: duckdb.DuckDBPyConnection) -> Written:
    return made(world, connection, request.param)


def made(world: World, connection: duckdb.DuckDBPyConnection, language: str, period: str = "2018") -> Written:
    work = world.work
    wanted = parse(period, "year" if len(period) == 4 else "half" if "H" in period else "month")
    declared = read_report(work.framework.folder, work.index)
    return written(work, declared, connection, wanted, language, None, told=lambda *_: None)


def test_a_year_has_all_parts_and_nearly_all_exhibits(page: Written) -> None:
    assert page.parts == 7
    # What compares with a year before has no value in the first year.
    assert page.shown > 75 and page.absent < 35


def test_a_page_needs_nothing_outside_it(page: Written) -> None:
    outside = re.sub(r"http://www\.w3\.org/[\w/]*", "", page.html)
    assert not re.search(r"https?://|<link|<img|src=|@import|url\((?!#)", outside)
    assert len(page.html.encode()) < 6_000_000
    assert page.html.count("<!DOCTYPE html>") == 1


def test_every_query_that_is_printed_gives_the_rows_that_are_shown(
    page: Written, connection: duckdb.DuckDBPyConnection
) -> None:
    printed = [html.unescape(text) for text in re.findall(r"<code>(.*?)</code>", page.html, re.DOTALL)]
    assert len(printed) >= page.shown
    assert set(printed) == {query for item in page.made for query in item.queries}
    for item in page.made:
        shown = [frame for frame in item.frames if not frame.is_empty()]
        for query in item.queries:
            again = cast("pl.DataFrame", pl.from_arrow(connection.sql(query).to_arrow_table()))
            assert any(_same(again, frame) for frame in shown), f"{item.exhibit}\n{query}"


def test_the_published_tables_give_the_same_values(page: Written, connection: duckdb.DuckDBPyConnection) -> None:
    """Every column that a query over a published table gives is a measure of the exhibit, value for value."""
    printed = [
        html.unescape(text) for text in re.findall(r'<code class="published">(.*?)</code>', page.html, re.DOTALL)
    ]
    assert len(printed) > 60
    for item in page.made:
        kept = connection.execute("SELECT value FROM exhibit_values WHERE exhibit_id = ?", [item.exhibit]).fetchall()
        known = {value for (value,) in kept}
        for query in item.published:
            again = cast("pl.DataFrame", pl.from_arrow(connection.sql(query).to_arrow_table()))
            numbers = [name for name in again.columns if again[name].dtype.is_numeric()]
            scaled = {value * 0.01 for name in numbers if name.endswith("_pp") for value in again[name].drop_nulls()}
            plain = {float(v) for name in numbers if not name.endswith("_pp") for v in again[name].drop_nulls()}
            assert plain | scaled <= known, f"{item.exhibit}\n{query}"
            assert again.height, f"{item.exhibit}\n{query}"


def _same(again: pl.DataFrame, frame: pl.DataFrame) -> bool:
    """Whether the rows drawn are those of the query that have any value, number for number and name for name."""
    numbers = [name for name in again.columns if again[name].dtype.is_numeric() and name in frame.columns]
    values = again.select(pl.col(numbers).cast(pl.Float64))
    names = again["entity"] if "entity" in again.columns else None
    texts = [
        name for name in again.columns if name not in ("entity", "row", "key", "code", "period", "parent", *numbers)
    ]
    if numbers:
        kept = again.select(
            pl.any_horizontal(*(pl.col(name).is_not_null() for name in (*numbers, *texts))).alias("kept")
        )["kept"]
        values = values.filter(kept)
        names = names.filter(kept) if names is not None else None
    return (
        values.height == frame.height
        and values.equals(frame.select(numbers))
        and (names is None or names.to_list() == frame["source_name"].to_list())
    )


def test_every_exhibit_says_where_it_comes_from(page: Written) -> None:
    known = set(re.findall(r'data-exhibit="(\w+)"', page.html))
    assert known == {item.exhibit for item in page.made}
    for item in page.made:
        assert item.sources and item.queries and item.periods, item.exhibit
    assert page.html.count("index_year") > 50


def test_cards_of_third_parties_are_listed_and_not_shown(page: Written) -> None:
    assert 'data-exhibit="E033"' not in page.html
    assert "E033" in page.html and "E120" in page.html


def test_numbers_of_sentences_stand_in_their_rows(page: Written, world: World) -> None:
    declared = read_report(world.work.framework.folder, world.work.index)
    says = {item.exhibit: item.says for part in declared.parts for item in part.exhibits}
    lost: list[str] = []
    said = 0
    for item in page.made:
        template = says[item.exhibit]
        if not item.sentence or template is None:
            continue
        said += 1
        # What the template itself says, such as 'the first ten', and how many rows there are.
        known = {text for words in (template.zh, template.en) for text in _numbers(re.sub(r"[<{].*?[>}]", "", words))}
        for frame in item.frames:
            known |= {str(at) for at in range(frame.height + 1)}
            known |= _numbers(" ".join(frame["entity"].to_list())) if "entity" in frame.columns else set()
            for name in set(frame.columns) & set(declared.columns):
                for language in ("zh", "en"):
                    write = writing(declared.columns[name].unit, frame[name].to_list(), language, said=True)
                    known |= {text for value in frame[name] for text in _numbers(write(value))}
        lost += [f"{item.exhibit} {text}: {item.sentence}" for text in _numbers(item.sentence) - known]
    assert lost == []
    assert said > 40


def _numbers(text: str) -> set[str]:
    return set(re.findall(r"\d[\d,]*(?:\.\d+)?", text))


def test_the_same_tables_give_the_same_bytes(world: World, connection: duckdb.DuckDBPyConnection) -> None:
    assert made(world, connection, "en").html == made(world, connection, "en").html


@pytest.mark.parametrize(("period", "least"), [("2018H1", 10), ("2018-12", 8), ("2019-03", 8)])
def test_a_half_and_a_month_show_what_they_have(
    world: World, connection: duckdb.DuckDBPyConnection, period: str, least: int
) -> None:
    page = made(world, connection, "en", period)
    assert page.shown >= least
    assert "five_indicators" in page.html
    assert 'data-exhibit="E005"' not in page.html  # of a year alone


def test_the_command_writes_the_file_and_says_what_is_in_it(
    dci: Dci, world: World, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCI_WAREHOUSE", str(world.work.settings.warehouse))
    monkeypatch.setenv("DCI_CONTRACTS", str(world.work.settings.contracts))
    result = dci("report", "--period", "2018-12", "--lang", "en")
    assert result.code == 0, result.all
    assert "report_dci_2018-12_en.html" in result.out and "exhibits in" in result.out
    assert "December 2018" in (home / "report_dci_2018-12_en.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--period", "2030"), "2018 to"),
        (("--period", "soon"), "such as 2019, 2020H1, 2020Q1 or 2020-06"),
        (("--period", "2018", "--lang", "fr"), "zh or en"),
        (("--period", "2018", "--release", "2018-12"), "no such release"),
        (("--period", "2018", "--out", "nowhere/report.html"), "no such folder"),
    ],
)
def test_what_is_not_there_says_what_is(
    dci: Dci, world: World, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("DCI_WAREHOUSE", str(world.work.settings.warehouse))
    monkeypatch.setenv("DCI_CONTRACTS", str(world.work.settings.contracts))
    result = dci("report", *words)
    assert result.code == 2
    assert said in result.all
