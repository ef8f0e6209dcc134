"""Exports read back by programs of others: the workbook by openpyxl, the CSV files by frictionless and by polars."""

from __future__ import annotations

import csv
import gc
import hashlib
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import frictionless
import openpyxl
import polars as pl
import pytest

from dci_pipeline.contracts import TableContract
from dci_pipeline.framework_files import read_framework
from dci_pipeline.report.cells import restored
from dci_pipeline_tests.cli.conftest import Dci
from dci_pipeline_tests.conftest import CONTRACTS, World

INDEXES = {path.parent.name: path for path in sorted(CONTRACTS.glob("*/index.yaml"))}
OF = {index: read_framework(CONTRACTS, index).tables for index in INDEXES}
TABLES = OF["dci"]
KINDS = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "date": "DATE", "boolean": "BOOLEAN"}
MONTHS = [date(2018, 1, 1), date(2018, 2, 1), date(2019, 1, 1)]
FORMULAS = ['=HYPERLINK("x")', "+1", "-1", "@SUM(1)", "'=1", 'a "quoted", text', "two\nlines", "成都"]


def value(name: str, kind: str, row: int, *, required: bool) -> object:
    """A value of a column, another one in every row; empty in the last where it may be."""
    if name == "half":
        return f"{MONTHS[row % 3].year}H1"
    if name == "year":
        return MONTHS[row % 3].year
    if name == "period":
        return f"{MONTHS[row % 3]:%Y-%m}"
    if name == "quarter":
        return date(MONTHS[row % 3].year, 1 + 3 * (row % 2), 1)
    if kind == "date":
        return MONTHS[row % 3]
    if not required and row == len(FORMULAS) - 1:
        return None
    if kind == "string":
        return FORMULAS[row]
    return {"integer": row - 3, "number": (row - 3) / 7, "boolean": row % 2 == 0}[kind]


@pytest.fixture
def published(home: Path) -> Path:
    """A published file of every index with every table of the contracts, eight rows in each."""
    (home / "warehouse").mkdir()
    for index, tables in OF.items():
        with duckdb.connect(str(home / "warehouse" / f"{index}.duckdb")) as connection:
            for table in tables.values():
                fill(connection, table)
    return home


def fill(connection: duckdb.DuckDBPyConnection, table: TableContract) -> None:
    columns = ", ".join(f'"{column.name}" {KINDS[column.type]}' for column in table.columns)
    connection.execute(f'CREATE TABLE "{table.table}" ({columns})')
    marks = ", ".join("?" for _ in table.columns)
    for row in range(len(FORMULAS)):
        values = [
            value(column.name, column.type, row, required=column.required or column.key) for column in table.columns
        ]
        connection.execute(f'INSERT INTO "{table.table}" VALUES ({marks})', values)


def rows_of(home: Path, table: TableContract) -> list[tuple[Any, ...]]:
    order = ", ".join(f'"{name}"' for name in table.key)
    with duckdb.connect(str(home / "warehouse" / "dci.duckdb"), read_only=True) as connection:
        return connection.execute(f'SELECT * FROM "{table.table}" ORDER BY {order}').fetchall()


def sheet(path: Path, name: str) -> list[tuple[Any, ...]]:
    return list(openpyxl.load_workbook(path)[name].iter_rows(values_only=True))


def read_back(cell: object) -> object:
    if isinstance(cell, datetime):
        return cell.date()
    return restored(cell) if isinstance(cell, str) else cell


def test_a_workbook_has_a_sheet_of_notes_and_one_per_table(dci: Dci, published: Path) -> None:
    result = dci("export", "xlsx", "--out", published / "all.xlsx")
    assert result.code == 0, result.all
    book = openpyxl.load_workbook(published / "all.xlsx")
    assert book.sheetnames == ["notes", *sorted(TABLES)]
    for name, table in TABLES.items():
        header, *rows = book[name].iter_rows(values_only=True)
        assert header == tuple(column.name for column in table.columns)
        assert book[name].freeze_panes == "A2"
        expected = rows_of(published, table)
        assert len(rows) == len(expected)
        for found, wanted in zip(rows, expected, strict=True):
            for cell, original in zip(map(read_back, found), wanted, strict=True):
                same = pytest.approx(original, rel=1e-15) if isinstance(original, float) else original
                assert cell == same, name
    noted = [row for row in book["notes"].iter_rows(values_only=True) if row[1] in ("points", "obs_status")]
    assert noted


def test_no_cell_of_a_workbook_is_a_formula_and_no_text_a_link(dci: Dci, published: Path) -> None:
    assert dci("export", "xlsx", "--out", published / "a.xlsx", "--table", "alias").code == 0
    cells = [cell for row in openpyxl.load_workbook(published / "a.xlsx")["alias"].iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"s", "inlineStr", "d", "n", "b"}
    assert not any(cell.hyperlink for cell in cells)
    texts = [str(cell.value) for cell in cells if cell.data_type == "s"]
    assert "'" + FORMULAS[0] in texts
    assert not any(text.startswith(("=", "+", "-", "@")) for text in texts)


def test_a_workbook_made_again_is_the_same_and_takes_the_place_of_the_first(dci: Dci, published: Path) -> None:
    found: list[bytes] = []
    for _ in range(2):
        assert dci("export", "xlsx", "--out", published / "a.xlsx", "--table", "node").code == 0
        found.append((published / "a.xlsx").read_bytes())
    assert found[0] == found[1]
    assert sorted(path.name for path in published.iterdir()) == ["a.xlsx", "warehouse"]


@pytest.mark.parametrize("index", INDEXES)
def test_csv_files_are_valid_by_their_datapackage(dci: Dci, published: Path, index: str) -> None:
    result = dci("export", "csv", "--out", published / "out", "--index", index)
    assert result.code == 0, result.all
    package = json.loads((published / "out" / "datapackage.json").read_text(encoding="utf-8"))
    assert [item["name"] for item in package["resources"]] == sorted(OF[index])
    report = frictionless.validate(str(published / "out" / "datapackage.json"))
    # Only the key is made up here: eight rows of the same few values are no rows of a table.
    assert {row[0] for row in report.flatten(["type"])} <= {"primary-key"}
    for item in package["resources"]:
        content = (published / "out" / item["path"]).read_bytes()
        assert item["bytes"] == len(content)
        assert item["hash"] == "sha256:" + hashlib.sha256(content).hexdigest()
        assert content.count(b"\r\n") == len(FORMULAS) + 1
        table = OF[index][item["name"]]
        assert item["schema"]["primaryKey"] == list(table.key)
        fields = {field["name"]: field for field in item["schema"]["fields"]}
        for column in table.columns:
            assert fields[column.name]["description"] == column.description
            assert fields[column.name].get("unit", "") == column.unit


def test_csv_holds_every_digit_and_every_text(dci: Dci, published: Path) -> None:
    assert dci("export", "csv", "--out", published / "out", "--table", "index_year", "--table", "alias").code == 0
    assert sorted(path.name for path in (published / "out").iterdir()) == [
        "alias.csv",
        "datapackage.json",
        "index_year.csv",
    ]
    for name in ("index_year", "alias"):
        table = TABLES[name]
        kinds = {"string": pl.String, "integer": pl.Int64, "number": pl.Float64, "date": pl.Date, "boolean": pl.Boolean}
        schema = {column.name: kinds[column.type] for column in table.columns}
        rows = pl.read_csv(published / "out" / f"{name}.csv", schema=schema).rows()
        restore = [tuple(restored(cell) if isinstance(cell, str) else cell for cell in row) for row in rows]
        assert restore == rows_of(published, table)


def test_a_changed_byte_is_seen_by_the_datapackage(dci: Dci, published: Path) -> None:
    assert dci("export", "csv", "--out", published / "out", "--table", "node").code == 0
    path = published / "out" / "node.csv"
    path.write_bytes(path.read_bytes().replace("成都".encode(), "成部".encode(), 1))
    report = frictionless.validate(str(published / "out" / "datapackage.json"))
    assert "hash-count" in {row[0] for row in report.flatten(["type"])}


def test_a_range_takes_the_spans_that_touch_it(dci: Dci, published: Path) -> None:
    tables = ("index_month", "index_half", "index_year", "exhibit_values", "node")
    chosen = [part for name in tables for part in ("--table", name)]
    result = dci("export", "csv", "--out", published / "out", "--from", "2018-02", "--to", "2018-03", *chosen)
    assert result.code == 0, result.all
    found = {name: list(csv.DictReader((published / "out" / f"{name}.csv").open(encoding="utf-8"))) for name in tables}
    assert {row["month"] for row in found["index_month"]} == {"2018-02-01"}
    assert {row["half"] for row in found["index_half"]} == {"2018H1"}
    assert {row["year"] for row in found["index_year"]} == {"2018"}
    assert {row["period"] for row in found["exhibit_values"]} == {"2018-02"}
    assert len(found["node"]) == len(FORMULAS)
    nothing = dci("export", "csv", "--out", published / "none", "--months", "2030-01", "--table", "index_month")
    assert nothing.code == 0, nothing.all
    assert (published / "none" / "index_month.csv").read_text(encoding="utf-8").count("\n") == 1


def test_a_range_of_quarters_takes_what_touches_it(dci: Dci, published: Path) -> None:
    chosen = ("--index", "pulse", "--table", "index_quarter", "--table", "index_half")
    result = dci("export", "csv", "--out", published / "out", "--months", "2018Q1", *chosen)
    assert result.code == 0, result.all
    found = list(csv.DictReader((published / "out" / "index_quarter.csv").open(encoding="utf-8")))
    assert {row["quarter"] for row in found} == {"2018-01-01"}
    assert (published / "out" / "index_half.csv").read_text(encoding="utf-8").count("2018H1") == 6


def test_a_table_longer_than_a_sheet_is_cut_by_year(dci: Dci, published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dci_pipeline.report.workbook.sheets.__kwdefaults__", {"most": 7})
    result = dci("export", "xlsx", "--out", published / "a.xlsx", "--table", "index_month")
    assert result.code == 0, result.all
    assert "cut by year: index_month" in result.out
    book = openpyxl.load_workbook(published / "a.xlsx")
    assert book.sheetnames == ["notes", "index_month_2018", "index_month_2019"]
    assert [book[name].max_row - 1 for name in book.sheetnames[1:]] == [6, 2]
    refused = dci("export", "xlsx", "--out", published / "b.xlsx", "--table", "node")
    assert refused.code == 2
    assert "more rows than a sheet has" in refused.err
    assert not (published / "b.xlsx").exists()


def test_what_is_there_is_not_overwritten(dci: Dci, published: Path) -> None:
    (published / "out").mkdir()
    (published / "out" / "mine.txt").write_text("x", encoding="utf-8")
    result = dci("export", "csv", "--out", published / "out", "--table", "node")
    assert result.code == 2
    assert "there is something already" in result.err
    assert [path.name for path in (published / "out").iterdir()] == ["mine.txt"]


REFUSED = {
    "a table that is not": (("csv", "--out", "x", "--table", "nodes"), "no contract for this table"),
    "a workbook by another name": (("xlsx", "--out", "x.xls"), "not a workbook's name"),
    "a folder that is not": (("xlsx", "--out", "no/x.xlsx"), "no such folder"),
    "half a range": (("csv", "--out", "x", "--from", "2018-01"), "half a range"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_exported_is_said(dci: Dci, published: Path, case: str) -> None:
    args, said = REFUSED[case]
    result = dci("export", *args)
    assert result.code == 2
    assert said in result.err
    assert [path.name for path in published.iterdir()] == ["warehouse"]


def test_a_file_of_other_contracts_is_refused(dci: Dci, published: Path) -> None:
    with duckdb.connect(str(published / "warehouse" / "dci.duckdb")) as connection:
        connection.execute("ALTER TABLE node ADD COLUMN more VARCHAR")
    result = dci("export", "csv", "--out", published / "out", "--table", "node")
    assert result.code == 2
    assert "not the one the contracts describe" in result.err


def test_nothing_published_is_said(dci: Dci, home: Path) -> None:
    result = dci("export", "csv", "--out", home / "out")
    assert result.code == 2
    assert "nothing is published yet" in result.err


NO_CELL = {
    "a text longer than a cell": ("xlsx", "alias", "repeat('x', 40000)", "a text that is longer than a cell"),
    "a number that is none": ("xlsx", "index_year", "'nan'::DOUBLE", "a number that is none"),
    "one that has no end": ("csv", "index_year", "'inf'::DOUBLE", "a number that is none"),
}


@pytest.mark.parametrize("case", NO_CELL)
def test_a_value_that_cannot_be_written_stops_the_export(dci: Dci, published: Path, case: str) -> None:
    form, name, bad, said = NO_CELL[case]
    column = "points" if name == "index_year" else "alias"
    with duckdb.connect(str(published / "warehouse" / "dci.duckdb")) as connection:
        connection.execute(f'UPDATE "{name}" SET "{column}" = {bad}')
    result = dci("export", form, "--out", published / f"out{'.xlsx' if form == 'xlsx' else ''}", "--table", name)
    gc.collect()
    assert result.code == 2
    assert said in result.err
    assert f"{column}" in result.err
    assert [path.name for path in published.iterdir()] == ["warehouse"]


def test_a_damaged_file_is_said(dci: Dci, published: Path) -> None:
    (published / "warehouse" / "dci.duckdb").write_bytes(b"no database")
    result = dci("export", "csv", "--out", published / "out")
    assert result.code == 2
    assert "the published file does not open" in result.err


@pytest.mark.slow
def test_a_computed_index_is_exported_as_it_is_published(
    dci: Dci, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = world.work.settings
    monkeypatch.setenv("DCI_WAREHOUSE", str(settings.warehouse))
    monkeypatch.setenv("DCI_CONTRACTS", str(settings.contracts))
    period = ("--months", "2019-03")
    assert dci("export", "csv", "--out", tmp_path / "out", *period).code == 0
    report = frictionless.validate(str(tmp_path / "out" / "datapackage.json"))
    assert report.valid, report.flatten(["type", "note"])[:3]
    counts = {
        "index_month": "WHERE month = DATE '2019-03-01'",
        "quality_month": "WHERE month = DATE '2019-03-01'",
        "effective_weights_year": "WHERE year = 2019",
        "alias": "",
    }
    chosen = [part for name in counts for part in ("--table", name)]
    assert dci("export", "xlsx", "--out", tmp_path / "a.xlsx", *period, *chosen).code == 0
    book = openpyxl.load_workbook(tmp_path / "a.xlsx", read_only=True)
    with duckdb.connect(str(settings.warehouse / "dci.duckdb"), read_only=True) as connection:
        for name, where in counts.items():
            (counted,) = connection.execute(f'SELECT count(*) FROM "{name}" {where}').fetchall()[0]
            assert counted > 0
            assert sum(1 for _ in book[name].iter_rows()) == counted + 1
