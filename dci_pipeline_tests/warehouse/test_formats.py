"""A warehouse of another version: an older one is taken over with its deliveries, a newer one is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dci_pipeline.findings import Finding
from dci_pipeline.warehouse import formats
from dci_pipeline.warehouse.store import Warehouse
from dci_pipeline_tests.cli.conftest import Dci, dci, home, short_reference  # noqa: F401 - fixtures
from dci_pipeline_tests.conftest import PROJECT, small_contracts

BEFORE = "a694590"


def test_a_newer_warehouse_is_refused(tmp_path: Path) -> None:
    (tmp_path / "format.json").write_text('{"format": 99}', encoding="utf-8")
    with pytest.raises(Finding, match=r"(?s)newer version.*format 99.*update the package"):
        Warehouse(tmp_path, "dci")


def test_what_to_run_for_an_unclear_format_is_right(tmp_path: Path) -> None:
    (tmp_path / "format.json").write_text("{", encoding="utf-8")
    with pytest.raises(Finding, match="cannot be told") as info:
        Warehouse(tmp_path, "dci")
    command = info.value.todo.partition(": ")[2]
    subprocess.run(["sh", "-c", command], check=True)
    Warehouse(tmp_path, "dci")


@pytest.mark.slow
def test_a_warehouse_of_the_version_before_is_taken_over(
    dci: Dci,  # noqa: F811
    home: Path,  # noqa: F811
    short_reference: Path,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    old = home / "old"
    done = subprocess.run(
        ["git", "-C", str(PROJECT), "worktree", "add", "--detach", str(old), BEFORE],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"the history of the project is not here: {done.stderr.strip()}")
    try:
        of_then = home / "contracts_of_then"
        of_then.mkdir()
        contracts = small_contracts(
            of_then, reference=("2018-01", "2018-02"), narrow=True, source=old / "data_contracts"
        )
        for arguments in (("simulate", "--months", "2018-01:2018-02", "--rows", "800"), ("run", "--direct")):
            command = [sys.executable, "-m", "dci_pipeline.cli", *arguments]
            subprocess.run(
                command,
                cwd=old,
                env={**os.environ, "PYTHONPATH": str(old), "DCI_CONTRACTS": str(contracts)},
                check=True,
                capture_output=True,
            )
    finally:
        subprocess.run(["git", "-C", str(PROJECT), "worktree", "remove", "--force", str(old)], check=True)
    root = home / "warehouse"
    kept = {path: path.read_bytes() for path in (root / "dci/feeds").rglob("*") if path.is_file()}
    assert kept
    assert formats.held(root) == 1
    assert not list(root.rglob("stamp.json"))
    assert "of an older version" in dci("doctor").out
    assert formats.held(root) == 1
    assert dci("run", "--direct").code == 0
    assert sum("now of format 2" in record.getMessage() for record in caplog.records) == 1
    assert dci("run", "--direct").code == 0
    assert sum("now of format 2" in record.getMessage() for record in caplog.records) == 1
    assert formats.held(root) == 2
    assert {path: path.read_bytes() for path in kept} == kept
    assert dci("doctor").code == 0
    assert "Nothing to do" in dci("run").out
