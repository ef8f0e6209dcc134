"""A release as others meet it: every changed byte is named, two lines of DuckDB open it, a validator accepts it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dci_pipeline import refresh
from dci_pipeline.periods import parse_span
from dci_pipeline.warehouse import release_files
from dci_pipeline_tests.cli.conftest import Dci
from dci_pipeline_tests.conftest import PROJECT
from dci_pipeline_tests.small_worlds import FIRST, INDEX, Towns, drawn, land

QUARTERS = parse_span("2018Q1:2019Q4", "quarter")
ID = "2019Q4"
# Beside the environment, as `make test` puts it there, or where it is said to be.
OLDER = Path(os.environ.get("DCI_DUCKDB1") or PROJECT / ".venv" / "duckdb1")
KINDS = [
    "tables/index_year.parquet", "tables/revisions.parquet", f"{INDEX}.duckdb", "datapackage.json", "diff.json",
    "CHANGES.md", "SHA256SUMS", f"method/{INDEX}/index.yaml", f"method/{INDEX}/weights/wave_first.csv",
]  # fmt: skip


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("computed")
    values = drawn(QUARTERS)
    work = Towns([FIRST], QUARTERS, values).write(folder)
    land(work, folder / "sent", values, QUARTERS)
    refresh.run_direct(work, QUARTERS)
    return folder


@pytest.fixture
def release(computed: Path, dci: Dci, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a release, in a warehouse that is otherwise as it should be."""
    monkeypatch.setenv("COLUMNS", "400")
    shutil.copytree(computed, home, dirs_exist_ok=True)
    monkeypatch.setenv("DCI_CONTRACTS", str(home / "contracts"))
    assert dci("release", "--period", ID, "--date", "2020-01-20").code == 0
    return home / "warehouse" / INDEX / "releases" / ID


def named(dci: Dci, name: str, what: str) -> None:
    """Both commands name the file and fail; the one that computes does not begin to."""
    for call in (("verify", ID), ("verify", "current", "--json"), ("doctor",)):
        told = dci(*call)
        assert told.code == 1, told.all
        assert f"{ID}/{name} {what}" in told.all, told.all


@pytest.mark.parametrize("name", KINDS)
def test_one_changed_byte_is_named_by_verify_and_by_doctor(dci: Dci, release: Path, name: str) -> None:
    path = release / name
    path.chmod(0o644)
    good = path.read_bytes()
    at = len(good) // 3
    path.write_bytes(good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :])
    named(dci, name, "has changed")
    path.write_bytes(good)
    assert dci("doctor").code == 0


@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_is_gone_is_named(dci: Dci, release: Path, name: str) -> None:
    (release / name).unlink()
    named(dci, name, "is gone")


@pytest.mark.parametrize("name", ["more.txt", "tables/index_day.parquet", f"method/{INDEX}/marts/more.yaml"])
def test_a_file_more_is_named(dci: Dci, release: Path, name: str) -> None:
    (release / name).write_text("x", encoding="utf-8")
    named(dci, name, "was not released")


def test_sums_written_anew_over_a_changed_table_do_not_hide_it(dci: Dci, release: Path) -> None:
    """The description has the hash as well; who forges that too is found by computing again."""
    path = release / "tables" / "index_year.parquet"
    path.chmod(0o644)
    pl.read_parquet(path).with_columns(points=pl.col("points") * 2).write_parquet(path)
    (release / "SHA256SUMS").chmod(0o644)
    (release / "SHA256SUMS").write_bytes(release_files.sums(release))
    named(dci, "tables/index_year.parquet", "is not the file that datapackage.json describes")
    package = release / "datapackage.json"
    package.chmod(0o644)
    said = json.loads(package.read_text("utf-8"))
    item = next(item for item in said["resources"] if item["name"] == "index_year")
    item |= {"bytes": path.stat().st_size, "hash": f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"}
    package.write_text(json.dumps(said, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (release / "SHA256SUMS").write_bytes(release_files.sums(release))
    told = dci("verify", ID)
    assert told.code == 1 and "First difference: table index_year" in told.out, told.all


READ = """
import duckdb, json, sys
with duckdb.connect(sys.argv[1], read_only=True) as con:
    tables = con.execute("SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal ORDER BY 1").fetchall()
    columns = con.execute("SELECT count(*) FROM duckdb_columns() WHERE NOT internal AND comment IS NULL").fetchone()[0]
    counts = {name: con.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name, _ in tables}
    rows = con.execute("SELECT entity_code, node, year, points, rank FROM index_year ORDER BY ALL").fetchall()
print(json.dumps([duckdb.__version__, dict(tables), columns, counts, rows]))
"""


def as_read(database: Path, *, library: Path | None) -> list[Any]:
    """What a process with nothing but DuckDB says of the file; `library`: where it is to be taken from."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", READ, str(database)],
        env=environment | ({"PYTHONPATH": str(library)} if library else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def test_the_file_is_in_the_oldest_storage_format_and_this_duckdb_opens_it(release: Path) -> None:
    content = (release / f"{INDEX}.duckdb").read_bytes()
    assert content[8:12] == b"DUCK" and int.from_bytes(content[12:20], "little") == 64
    version, tables, silent, counts, rows = as_read(release / f"{INDEX}.duckdb", library=None)
    assert int(version.split(".")[0]) >= 2 and silent == 0 and all(tables.values()) and rows
    package = json.loads((release / "datapackage.json").read_text("utf-8"))
    assert counts == {item["name"]: item["rowCount"] for item in package["resources"]}


@pytest.mark.skipif(not (OLDER / "duckdb").is_dir(), reason="no DuckDB 1: make .venv/duckdb1/.ready")
def test_the_duckdb_of_the_line_before_reads_the_same(release: Path) -> None:
    version, *older = as_read(release / f"{INDEX}.duckdb", library=OLDER)
    assert version.startswith("1.")
    assert older == as_read(release / f"{INDEX}.duckdb", library=None)[1:]
    # What analysts open between releases as well.
    assert as_read(release.parents[2] / f"{INDEX}.duckdb", library=OLDER)[0] == version


def test_a_validator_of_data_packages_accepts_it_and_sees_a_changed_byte(release: Path) -> None:
    frictionless = pytest.importorskip("frictionless", reason="the library frictionless is not installed")
    report = frictionless.validate(str(release / "datapackage.json"))
    assert report.valid, report.to_summary()
    assert len(report.tasks) == len(json.loads((release / "datapackage.json").read_text("utf-8"))["resources"])
    path = release / "tables" / "contribution_year.parquet"
    path.chmod(0o644)
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    wrong = [task.name for task in frictionless.validate(str(release / "datapackage.json")).tasks if not task.valid]
    assert wrong == ["contribution_year"]
