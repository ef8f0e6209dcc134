"""The file analysts open: whole or not there, readable by old and new tools, never blocking and never blocked."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pytest

from dci_pipeline.findings import Finding
from dci_pipeline.framework import Framework
from dci_pipeline.framework_files import read_framework
from dci_pipeline.marts.promise import promised
from dci_pipeline.warehouse import catalogue
from dci_pipeline.warehouse.store import Warehouse
from dci_pipeline_tests.conftest import CONTRACTS


@pytest.fixture(scope="module")
def framework() -> Framework:
    return read_framework(CONTRACTS, "dci")


def commit_nodes(warehouse: Warehouse, framework: Framework, name: str) -> None:
    contract = framework.tables["node"]
    kinds = {"string": pl.String, "boolean": pl.Boolean}
    row = {column.name: (False if column.type == "boolean" else name) for column in contract.columns}
    frame = pl.DataFrame([row], schema={column.name: kinds[column.type] for column in contract.columns})
    warehouse.commit("marts", "node", promised(frame, contract), stamp=warehouse.stamp({"name": name}))


def nodes(path: Path) -> list[str]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return [name for (name,) in connection.sql("SELECT node FROM node").fetchall()]


def test_tables_without_rows_are_there_and_empty(tmp_path: Path, framework: Framework) -> None:
    warehouse = Warehouse(tmp_path, "dci")
    built = catalogue.build(warehouse, framework)
    assert (built.tables, built.rows) == (len(framework.tables), 0)
    with duckdb.connect(str(built.path), read_only=True) as connection:
        assert {name for (name,) in connection.sql("SHOW TABLES").fetchall()} == set(framework.tables)


def test_the_same_tables_are_not_published_twice(tmp_path: Path, framework: Framework) -> None:
    warehouse = Warehouse(tmp_path, "dci")
    commit_nodes(warehouse, framework, "a")
    assert catalogue.build(warehouse, framework).changed
    assert not catalogue.build(warehouse, framework).changed
    commit_nodes(warehouse, framework, "b")
    assert catalogue.build(warehouse, framework).changed
    assert nodes(warehouse.layout.catalogue) == ["b"]


@pytest.mark.parametrize("damage", ["overwritten", "one byte", "another database"])
def test_a_published_file_that_is_not_the_one_built_is_built_again(
    tmp_path: Path, framework: Framework, damage: str
) -> None:
    warehouse = Warehouse(tmp_path, "dci")
    commit_nodes(warehouse, framework, "a")
    path = catalogue.build(warehouse, framework).path
    good = path.read_bytes()
    if damage == "another database":
        path.unlink()
        duckdb.connect(str(path)).close()
    else:
        path.write_bytes(b"not a database" if damage == "overwritten" else good[:-1] + bytes([good[-1] ^ 1]))
    assert not catalogue.up_to_date(warehouse, framework)
    assert catalogue.build(warehouse, framework).changed
    assert nodes(path) == ["a"]
    assert catalogue.up_to_date(warehouse, framework)


def test_an_open_reader_neither_blocks_nor_is_blocked(tmp_path: Path, framework: Framework) -> None:
    warehouse = Warehouse(tmp_path, "dci")
    commit_nodes(warehouse, framework, "before")
    path = catalogue.build(warehouse, framework).path
    with duckdb.connect(str(path), read_only=True) as reader:
        commit_nodes(warehouse, framework, "after")
        assert catalogue.build(warehouse, framework).changed
        assert reader.sql("SELECT node FROM node").fetchall() == [("before",)]
    assert nodes(path) == ["after"]


def test_a_failed_build_leaves_the_last_good_file(
    tmp_path: Path, framework: Framework, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = Warehouse(tmp_path, "dci")
    commit_nodes(warehouse, framework, "good")
    path = catalogue.build(warehouse, framework).path
    commit_nodes(warehouse, framework, "next")

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(Finding, match="the disk is full"):
        catalogue.build(warehouse, framework)
    assert nodes(path) == ["good"]
    assert [item.name for item in tmp_path.iterdir() if item.name.endswith(".tmp") or ".wal" in item.name] == []


def test_the_storage_format_is_one_that_duckdb_1_reads(tmp_path: Path, framework: Framework) -> None:
    content = catalogue.build(Warehouse(tmp_path, "dci"), framework).path.read_bytes()
    assert content[8:12] == b"DUCK"
    assert int.from_bytes(content[12:20], "little") == 64, "the storage version every DuckDB since 0.10 reads"
