"""A release made again from its deliveries: equal on every engine; what differs is named by table, key and column."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest

from dci_pipeline import refresh, releasing, verifying
from dci_pipeline.findings import Finding
from dci_pipeline.periods import parse_span
from dci_pipeline.warehouse import places, release_files
from dci_pipeline.warehouse.receipts import content_of
from dci_pipeline.warehouse.release_files import Release
from dci_pipeline.work import Work
from dci_pipeline_tests.small_worlds import FIRST, INDEX, Towns, drawn, land

QUARTERS = parse_span("2018Q1:2019Q4", "quarter")
VALUES = drawn(QUARTERS)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of a state that the warehouse has left behind; no test changes it."""
    folder = tmp_path_factory.mktemp("released")
    work = Towns([FIRST], QUARTERS, VALUES).write(folder)
    land(work, folder / "sent", VALUES, QUARTERS)
    refresh.run_direct(work, QUARTERS)
    releasing.release(work, QUARTERS[5], vintage=date(2019, 7, 20))
    # Later deliveries, and another definition: a release rests on its own.
    land(work, folder / "again", drawn(QUARTERS, seed=2), QUARTERS[2:4])
    scores = folder / "contracts" / INDEX / "weights" / "wave_first.csv"
    scores.write_text(scores.read_text("utf-8").replace("e0,total,visits,3", "e0,total,visits,5"), encoding="utf-8")
    return folder


@pytest.fixture
def work(released: Path, tmp_path: Path) -> Work:
    shutil.copytree(released, tmp_path / "towns", symlinks=True)
    from dci_pipeline.settings import Settings

    return Work(Settings(tmp_path / "towns/warehouse", tmp_path / "towns/contracts", "polars"), INDEX)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "locks" not in path.parts
    }


def counterfeit(release: Release, change: pl.Expr) -> None:
    """A table with another value, put in with all its sums set right."""
    path = release.table("index_year")
    path.chmod(0o644)
    frame = pl.read_parquet(path).with_columns(change)
    frame.write_parquet(path, compression="zstd", compression_level=3, statistics=True, row_group_size=250_000)
    package = release.folder / "datapackage.json"
    package.chmod(0o644)
    text = package.read_text("utf-8")
    item = next(item for item in release.package["resources"] if item["name"] == "index_year")
    held = content_of(path)
    text = text.replace(item["hash"], f"sha256:{held['sha256']}").replace(
        f'"bytes": {item["bytes"]},', f'"bytes": {held["bytes"]},'
    )
    package.write_text(text, encoding="utf-8")
    seal_again(release)


def seal_again(release: Release) -> None:
    listed = release.folder / "SHA256SUMS"
    listed.chmod(0o644)
    listed.write_bytes(release_files.sums(release.folder))
    assert release_files.differences(Release(release.folder)) == []


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_a_release_is_equal_to_itself_made_again(work: Work, engine: str) -> None:
    before = contents(work.settings.warehouse)
    verdict = verifying.verify(work, "2019Q2", engine=engine)
    assert verdict.equal and verdict.first is None, verdict
    assert [what for what, _, _ in verdict.looked_at] == [
        "files", "deliveries", "computed again", "tables, byte for byte", "DuckDB file, by content"
    ]  # fmt: skip
    assert engine in verdict.looked_at[2][2]
    assert contents(work.settings.warehouse) == before
    assert not places.leftovers(work.warehouse.layout)


@pytest.mark.slow
def test_with_another_number_of_threads_too(work: Work) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dci_pipeline.cli", "verify", "current", "--threads", "1", "--index", INDEX],
        env={
            **os.environ,
            "DCI_WAREHOUSE": str(work.settings.warehouse),
            "DCI_CONTRACTS": str(work.settings.contracts),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything is equal." in done.stdout


def test_a_changed_file_is_named_before_anything_is_computed(work: Work) -> None:
    release = release_files.named(work.warehouse.layout, "2019Q2")
    path = release.table("index_half")
    path.chmod(0o644)
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    shutil.rmtree(work.warehouse.layout.home / "feeds")
    verdict = verifying.verify(work, "2019Q2")
    assert not verdict.equal
    assert verdict.looked_at == (("files", False, "2019Q2/tables/index_half.parquet has changed"),)


def test_a_value_that_the_deliveries_do_not_give_is_named(work: Work) -> None:
    release = release_files.named(work.warehouse.layout, "2019Q2")
    frame = pl.read_parquet(release.table("index_year"))
    chosen = frame.with_row_index().filter(
        (pl.col("entity_code") == "T4") & (pl.col("node") == "pay") & (pl.col("year") == 2019)
    )
    row = chosen.row(0, named=True)
    here = pl.int_range(pl.len()) == row["index"]
    counterfeit(release, pl.when(here).then(pl.col("points") + 1.0).otherwise("points").alias("points"))
    verdict = verifying.verify(work, "2019Q2")
    assert not verdict.equal
    assert verdict.first == {
        "table": "index_year",
        "key": {"entity_type": "town", "entity_code": "T4", "node": "pay", "year": 2019},
        "column": "points",
        "from": row["points"] + 1.0,
        "to": row["points"],
    }
    # The other file still says what the deliveries give.
    assert [equal for _, equal, _ in verdict.looked_at] == [True, True, True, False, True]


@pytest.mark.parametrize(
    ("query", "table"),
    [
        ("UPDATE index_year SET rank = rank + 1", "index_year"),
        ("DELETE FROM node", "node"),
        ("DROP TABLE alias", "alias"),
        ("COMMENT ON TABLE unit_group IS 'other'", "unit_group"),
    ],
)
def test_a_database_that_says_otherwise_is_found(work: Work, query: str, table: str) -> None:
    release = release_files.named(work.warehouse.layout, "2019Q2")
    release.database.chmod(0o644)
    with duckdb.connect(str(release.database)) as connection:
        connection.execute(query)
    seal_again(release)
    verdict = verifying.verify(work, "2019Q2")
    assert [equal for _, equal, _ in verdict.looked_at] == [True, True, True, True, False]
    assert table in verdict.looked_at[-1][2]


def test_a_delivery_that_is_not_as_received_is_named(work: Work) -> None:
    release = release_files.named(work.warehouse.layout, "2019Q2")
    item = release.package["deliveries"][3]
    path = work.warehouse.layout.home / item["folder"] / item["parts"][0]["name"]
    path.write_bytes(b"x" + path.read_bytes())
    with pytest.raises(Finding, match="not as it was received") as raised:
        verifying.verify(work, "2019Q2")
    assert raised.value.where == item["folder"] and item["parts"][0]["name"] in str(raised.value.found)


def test_a_release_that_is_not_there_is_said_with_those_that_are(work: Work) -> None:
    with pytest.raises(Finding, match="no such release") as raised:
        verifying.verify(work, "2019Q3")
    assert raised.value.expected == "one of 2019Q2, current"
