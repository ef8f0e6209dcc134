"""`dci gc` lists what nothing needs, removes it when told to, refuses while anybody works; deliveries stay."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from dci_pipeline.warehouse.layout import Layout
from dci_pipeline.warehouse.places import place
from dci_pipeline_tests.cli.conftest import MONTH, Dci, rows, write


def files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def work_on(root: Path, ready: Any, stop: Any) -> None:
    with place(Layout(root, "dci")):
        ready.set()
        stop.wait(60)


@pytest.fixture
def old(dci: Dci, home: Path) -> Path:
    """A warehouse with a delivery, a release, a slice that belongs, and things no contract names any more."""
    path = write(home / "a.csv", rows(50))
    assert dci("land", path, "--feed", "transactions", "--partner", "pay_a", "--month", MONTH).code == 0
    root = home / "warehouse"
    month = f"year={MONTH[:4]}/month={MONTH[5:]}"
    for name in (
        f"dci/validation/transactions_sums/{month}/partner=pay_a/part.parquet",
        f"dci/validation/transactions_sums/{month}/partner=gone/part.parquet",
        f"dci/validation/no_feed_sums/{month}/partner=pay_a/part.parquet",
        "dci/marts/no_table/part.parquet",
        "dci/marts/city/part.parquet",
        "dci/index/links/year=1999/month=01/part.parquet",
        "dci/releases/2018/index.csv",
        "dci/normalise/shares/.part.parquet.1.ab.tmp",
    ):
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"12345")
    return root


def test_a_dry_run_changes_nothing_and_deleting_keeps_what_counts(dci: Dci, old: Path) -> None:
    before = files(old)
    shown = dci("gc")
    assert shown.code == 0 and "Nothing was changed" in shown.out
    for word in ("partner=gone", "no_feed_sums", "no_table", "year=1999", "killed process", "nobody holds"):
        assert word in shown.out, word
    assert files(old) == before
    assert dci("gc", "--delete").code == 0
    gone = {name for name in before - files(old) if not name.startswith("locks/")}
    assert {name.split("/")[-2] for name in gone} == {"partner=gone", "partner=pay_a", "no_table", "month=01", "shares"}
    assert not any("feeds" in name or "releases" in name or "transactions_sums/" in name for name in gone - {
        f"dci/validation/transactions_sums/year={MONTH[:4]}/month={MONTH[5:]}/partner=gone/part.parquet"
    })  # fmt: skip
    assert "Nothing to take away" in dci("gc").out


def test_nothing_is_taken_away_while_a_process_works(dci: Dci, old: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    worker = context.Process(target=work_on, args=(old, ready, stop))
    worker.start()
    assert ready.wait(60)
    before = files(old)
    refused = dci("gc", "--delete")
    assert refused.code == 3
    assert f"process {worker.pid}" in refused.err
    assert files(old) == before
    worker.kill()
    worker.join()
    assert dci("gc", "--delete").code == 0
    assert not (old / "dci/marts/no_table").exists()
