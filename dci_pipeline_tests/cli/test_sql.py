"""`dci sql`: questions to the published file, in every form of answer, and nothing but questions."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import duckdb
import polars as pl
import pytest

from dci_pipeline_tests.cli.conftest import Dci


@pytest.fixture
def published(home: Path) -> Path:
    path = home / "warehouse" / "dci.duckdb"
    path.parent.mkdir()
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE numbers (n BIGINT NOT NULL, x DOUBLE, name VARCHAR, day DATE)")
        connection.execute("COMMENT ON TABLE numbers IS 'Numbers and their names.'")
        connection.execute("COMMENT ON COLUMN numbers.x IS 'A third. Unit: thirds.'")
        connection.execute("INSERT INTO numbers VALUES (1, 1/3, '一,\"x\"', DATE '2019-01-01'), (2, NULL, NULL, NULL)")
    return path


@pytest.mark.usefixtures("published")
def test_without_a_query_the_tables_and_what_they_hold(dci: Dci) -> None:
    result = dci("sql")
    assert result.code == 0
    assert "Numbers and their names." in result.out
    described = dci("sql", "--describe", "numbers")
    assert "A third. Unit: thirds." in described.out
    assert "BIGINT" in described.out


@pytest.mark.usefixtures("published")
def test_every_form_of_answer(dci: Dci, home: Path) -> None:
    query = "SELECT * FROM numbers ORDER BY n"
    table = dci("sql", query)
    assert "0.333333" in table.out
    assert "∅" in table.out
    rows = list(csv.reader(io.StringIO(dci("sql", query, "--csv").out)))
    assert rows == [["n", "x", "name", "day"], ["1", repr(1 / 3), '一,"x"', "2019-01-01"], ["2", "", "", ""]]
    assert json.loads(dci("sql", query, "--json").out)[0] == {"n": 1, "x": 1 / 3, "name": '一,"x"', "day": "2019-01-01"}
    assert dci("sql", query, "--parquet", home / "out.parquet").code == 0
    assert pl.read_parquet(home / "out.parquet")["x"].to_list() == [1 / 3, None]
    assert dci("sql", "-", "--csv", stdin="SELECT 7 AS seven").out == "seven\n7\n"
    assert json.loads(dci("sql", "SELECT 'NaN'::DOUBLE AS x", "--json").out) == [{"x": None}]


@pytest.mark.usefixtures("published")
def test_a_long_answer_says_that_there_is_more(dci: Dci) -> None:
    result = dci("sql", "SELECT * FROM range(500)", "--limit", "3")
    assert "The first 3 rows" in result.err
    assert dci("sql", "SELECT * FROM range(3)", "--limit", "3").err == ""


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("SELEC",), ("the query fails", "syntax error")),
        (("SELECT * FROM nothing",), ("nothing",)),
        (("DELETE FROM numbers",), ("read-only",)),
        (("CREATE TABLE t (x INT)",), ("read-only",)),
        (("--describe", "nothing"), ("no such table", "numbers", "do next")),
        (("SELECT 1; SELECT 2",), ("more than one statement", "2 statements")),
        (("/* nothing asked */",), ("no statement",)),
        (("SELECT 1", "--csv", "--json"), ("one of them",)),
        (("SELECT 1", "--parquet", "no/such/folder/x.parquet"), ("no such folder",)),
    ],
)
def test_what_fails(dci: Dci, args: tuple[str, ...], says: tuple[str, ...]) -> None:
    result = dci("sql", *args)
    assert result.code == 2
    assert all(word in result.err for word in says), result.err


@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1) TO '{home}/copy.csv'",
        "COPY (SELECT 1) TO '{published}' (FORMAT csv, USE_TMP_FILE false)",
        "COPY (SELECT 1) TO '{published}.wal' (FORMAT csv, USE_TMP_FILE false)",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{published}' (FORMAT csv, USE_TMP_FILE false)",
        "COPY (PIVOT numbers ON name USING count(*)) TO '{published}' (FORMAT csv, USE_TMP_FILE false)",
        "EXPORT DATABASE '{published}.tmp'",
        "ATTACH '{home}/other.duckdb'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('{published}')",
    ],
)
def test_a_query_touches_no_file(dci: Dci, home: Path, published: Path, query: str) -> None:
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    for form in ((), ("--csv",), ("--parquet", home / "out.parquet")):
        result = dci("sql", query.format(home=home, published=published), *form)
        assert (result.code, "a query may not touch files" in result.err) == (2, True), result.err
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("published")
def test_files_cannot_be_opened_up_again(dci: Dci) -> None:
    for setting in ("enable_external_access = true", "disabled_filesystems = ''"):
        assert dci("sql", f"SET {setting}").code == 2


@pytest.mark.usefixtures("published")
def test_a_pivot_is_one_statement(dci: Dci) -> None:
    assert dci("sql", "PIVOT numbers ON n USING count(*) GROUP BY name;", "--csv").out.startswith("name,1,2\n")


def test_nothing_published_yet(dci: Dci, home: Path) -> None:
    result = dci("sql", "SELECT 1")
    assert result.code == 2
    assert "dci run" in result.err
    (home / "warehouse").mkdir()
    (home / "warehouse" / "dci.duckdb").write_bytes(b"not a database" * 100)
    damaged = dci("sql", "SELECT 1")
    assert (damaged.code, "does not open" in damaged.err) == (2, True)


@pytest.mark.usefixtures("published")
def test_values_cannot_steer_the_terminal(dci: Dci) -> None:
    result = dci("sql", "SELECT chr(27) || '[2J[red]x[/red]' AS evil")
    assert "\x1b" not in result.all
    assert "\\x1b[2J[red]x[/red]" in result.out
