"""A disk that is really full and one that is really read-only; both are said, and what was there stays whole."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from dci_pipeline.findings import Finding
from dci_pipeline.framework_files import read_framework
from dci_pipeline.periods import parse
from dci_pipeline.warehouse import deliveries, places
from dci_pipeline.warehouse.store import Warehouse
from dci_pipeline_tests.conftest import CONTRACTS
from dci_pipeline_tests.warehouse.test_kills import FEED, PARTNER, delivery_of


def mounted(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no mounting here: {done.stderr.strip() or 'mount failed'}")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    if os.getuid() != 0:
        pytest.skip("a real small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk))
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_loses_nothing_and_the_next_run_goes_on(small: Path, tmp_path: Path) -> None:
    warehouse = Warehouse(small / "warehouse", "dci")
    frame = pl.DataFrame({"a": [1]})
    warehouse.commit("index", "points", frame, stamp=warehouse.stamp({"a": "1"}))
    contract = read_framework(CONTRACTS, "dci").feeds[FEED]
    path, month = delivery_of(tmp_path, 0)

    def land() -> list[deliveries.Landing]:
        return deliveries.land(
            warehouse.layout, [path], contract=contract, cadence="month", partner=PARTNER, period=month
        )

    filler = small / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"x" * 4096)
    with pytest.raises(Finding, match=r"(?s)the disk is full.*bytes free.*make room"):
        warehouse.commit("index", "points", pl.DataFrame({"a": list(range(9999))}), stamp=warehouse.stamp({"a": "2"}))
    with pytest.raises(Finding, match="the disk is full"):
        land()
    assert warehouse.read("index", "points").equals(frame)
    assert deliveries.current(warehouse.layout, FEED, month) == {}
    filler.unlink()
    assert not places.leftovers(warehouse.layout)
    assert land()[0].new
    assert not warehouse.layout.work.exists()


def test_a_read_only_disk_is_said_and_stays_readable(small: Path, tmp_path: Path) -> None:
    warehouse = Warehouse(small / "warehouse", "dci")
    frame = pl.DataFrame({"a": [1]})
    warehouse.commit("index", "points", frame, stamp=warehouse.stamp({"a": "1"}))
    mounted("-o", "remount,ro", str(small))
    with pytest.raises(Finding, match=r"(?s)cannot be written to.*Read-only file system.*mount it for writing"):
        warehouse.commit("index", "points", frame.head(0), stamp=warehouse.stamp({"a": "2"}))
    with pytest.raises(Finding, match="cannot be written to"), warehouse.lock("work"):
        pass
    path, month = delivery_of(tmp_path, 0)
    with pytest.raises(Finding, match="cannot be written to"):
        deliveries.land(
            warehouse.layout,
            [path],
            contract=read_framework(CONTRACTS, "dci").feeds[FEED],
            cadence="month",
            partner=PARTNER,
            period=month,
        )
    assert warehouse.read("index", "points").equals(frame)
    mounted("-o", "remount,rw", str(small))
    assert warehouse.commit("index", "points", frame.head(0), stamp=warehouse.stamp({"a": "2"})).changed
    assert parse("2019-01", "month") == month
