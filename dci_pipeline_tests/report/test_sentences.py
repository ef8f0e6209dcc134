"""Sentences say no more than their values: clauses go, directions follow what is written, numbers are the rows'."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.report.declared import Column, Fact, Words
from dci_pipeline.report.facts import found
from dci_pipeline.report.sentences import Value, fields_of, said
from dci_pipeline.report.writing import writing

COLUMNS = {
    "points": Column("points", Words("指数", "Index"), "points"),
    "growth": Column("growth", Words("增速", "Growth"), "fraction"),
    "change": Column("change", Words("变化", "Change"), "places"),
}
TEMPLATE = "<growth|up {}|flat|down {}> to {points}[; {leader} leads with {most}][; {risers} moved up]"
FACTS = (
    Fact("growth", "growth"),
    Fact("points", "points"),
    Fact("leader", "points", pick="largest", give="entity"),
    Fact("most", "points", pick="largest"),
    Fact("risers", "change", above=0.0, give="names"),
)
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def frame(rows: list[tuple[str, float | None, float | None, float | None]]) -> pl.DataFrame:
    schema = {"entity": pl.String, "points": pl.Float64, "growth": pl.Float64, "change": pl.Float64}
    made = pl.DataFrame(rows, schema=schema, orient="row")
    return made.with_columns(source_name=pl.col("entity"))


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        ("a {x}.", {"x": Value("1")}, "a 1."),
        ("a {x}[, b {y}].", {"x": Value("1")}, "a 1."),
        ("a {x}[, b {y}].", {"x": Value("1"), "y": Value("2")}, "a 1, b 2."),
        ("a {x}.", {}, ""),
        ("[a {x}][b {y}]", {"y": Value("2")}, "b 2"),
        ("<x|up {}|flat|down {}>", {"x": Value("−3.1%", "3.1%", -1)}, "down 3.1%"),
        ("<x|up {}|flat|down {}>", {"x": Value("0.0%", "0.0%", 0)}, "flat"),
        ("[<x|up {}|flat|down {}>, ]done", {}, "done"),
    ],
)
def test_a_template_is_filled(template: str, values: dict[str, Value], expected: str) -> None:
    assert said(template, values) == expected


def test_the_facts_of_a_template_are_named_in_order() -> None:
    assert fields_of(TEMPLATE) == ("growth", "points", "leader", "most", "risers")


numbers = st.one_of(st.none(), st.floats(-4, 4), st.floats(-1e-5, 1e-5))
rows = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", "C", "D"]),
        st.one_of(st.none(), st.floats(0, 1e5)),
        numbers,
        st.one_of(st.none(), st.integers(-40, 40).map(float)),
    ),
    min_size=0,
    max_size=6,
    unique_by=lambda row: row[0],
)


@given(rows=rows, language=st.sampled_from(["zh", "en"]))
def test_every_number_of_a_sentence_is_one_of_the_rows(
    rows: list[tuple[str, float | None, float | None, float | None]], language: str
) -> None:
    made = frame(rows)
    sentence = said(TEMPLATE, found(FACTS, [made], COLUMNS, language))
    written = {
        text
        for column in ("points", "growth")
        for value in made[column]
        for text in NUMBER.findall(writing(COLUMNS[column].unit, made[column].to_list(), language, said=True)(value))
    }
    assert set(NUMBER.findall(sentence)) <= written


@given(rows=rows)
def test_a_direction_is_that_of_the_last_row_as_it_is_written(
    rows: list[tuple[str, float | None, float | None, float | None]],
) -> None:
    made = frame(rows)
    known = [row for row in rows if row[2] is not None]
    sentence = said("<growth|up {}|flat|down {}>", found(FACTS[:1], [made], COLUMNS, "en"))
    if not known:
        assert sentence == ""
        return
    rounded = round(abs(known[-1][2] or 0.0) * 100, 1)
    expected = "flat" if rounded == 0 else "up" if (known[-1][2] or 0.0) > 0 else "down"
    # Half of a tenth may be written either way by its binary digits.
    assert sentence.startswith(expected) or abs(abs(known[-1][2] or 0.0) * 1000 % 1 - 0.5) < 1e-6


@given(rows=rows)
def test_a_superlative_is_said_of_the_one_row_that_it_holds_for(
    rows: list[tuple[str, float | None, float | None, float | None]],
) -> None:
    made = frame(rows)
    leader = found(FACTS[2:3], [made], COLUMNS, "en").get("leader")
    values = [(row[1], row[0]) for row in rows if row[1] is not None]
    most = max((value for value, _ in values), default=None)
    holders = [name for value, name in values if value == most]
    assert (leader.text if leader else None) == (holders[0] if len(holders) == 1 else None)


def test_a_largest_by_another_column_and_a_row_that_is_named() -> None:
    made = frame([("A", 3.0, 0.1, 1.0), ("B", 5.0, -0.2, -1.0)])
    by = (Fact("x", "growth", pick="largest", by="points"), Fact("y", "growth", pick="named", named="A"))
    values = found(by, [made], COLUMNS, "zh")
    assert (values["x"].text, values["y"].text) == ("−20.0%", "10.0%")


def test_many_names_are_not_listed() -> None:
    made = frame([(name, 1.0, 0.0, 1.0) for name in "ABCDEF"])
    assert "risers" not in found(FACTS[4:], [made], COLUMNS, "en")
    assert found(FACTS[4:], [made.head(3)], COLUMNS, "en")["risers"].text == "A, B and C"
    assert found(FACTS[4:], [made.head(3)], COLUMNS, "zh")["risers"].text == "A、B和C"


def test_how_many_rows_lie_above() -> None:
    made = frame([("A", 3.0, 1.5, 1.0), ("B", 5.0, 0.2, -1.0), ("C", 1.0, None, 0.0)])
    assert found((Fact("n", "growth", above=1.0, give="count"),), [made], COLUMNS, "en")["n"].text == "1"
    assert found((Fact("n", "growth", below=0.0, give="count"),), [made], COLUMNS, "en")["n"].text == "0"
    assert found((Fact("n", "growth", give="count"),), [made.clear()], COLUMNS, "en") == {}
