"""Tables that come in frames: the same bytes however they come, sealed like any other, and read from the top."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dci_pipeline.findings import Finding
from dci_pipeline.periods import parse
from dci_pipeline.warehouse import large, seals
from dci_pipeline.warehouse.stamps import Stamp
from dci_pipeline.warehouse.store import Commit, Warehouse

PERIOD = parse("2019-04", "month")
STAMP = Stamp({"delivery": "a"}, "c" * 64, "e" * 12)


def rows(number: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"file_row": range(number), "rules": [f"rule{n % 7}" if n % 5 else None for n in range(number)]}
    )


def cut(frame: pl.DataFrame, length: int) -> Iterator[pl.DataFrame]:
    yield frame.head(0)
    for start in range(0, frame.height, length):
        yield frame.slice(start, length)


def commit(warehouse: Warehouse, frame: pl.DataFrame, length: int, stamp: Stamp = STAMP) -> Commit:
    return warehouse.commit_frames(
        "validation", "set_aside", cut(frame, length), stamp=stamp, period=PERIOD, partner="p"
    )


@pytest.mark.parametrize("number", [0, 1, 300, 2 * large.GROUP_ROWS, 2 * large.GROUP_ROWS + 3])
def test_the_bytes_do_not_show_how_the_rows_came(number: int, tmp_path: Path) -> None:
    frame = rows(number)
    found = {
        commit(Warehouse(tmp_path / str(length), "dci"), frame, length).path.read_bytes()
        for length in (97_001, large.GROUP_ROWS, 600_000)
    }
    assert len(found) == 1
    assert seals.difference(found.pop()) is None


def test_it_is_read_like_any_other_and_from_the_top(tmp_path: Path) -> None:
    warehouse, frame = Warehouse(tmp_path, "dci"), rows(1000)
    done = commit(warehouse, frame, 130)
    assert (done.rows, done.changed) == (1000, True)
    assert warehouse.data_version("validation", "set_aside", PERIOD, partner="p") == done.data_version
    assert warehouse.fresh("validation", "set_aside", PERIOD, STAMP, partner="p")
    assert_frame_equal(warehouse.read("validation", "set_aside", PERIOD, partner="p"), frame)
    assert_frame_equal(warehouse.head("validation", "set_aside", PERIOD, partner="p", rows=10), frame.head(10))


def test_what_is_there_already_is_left_and_what_differs_or_is_damaged_is_written(tmp_path: Path) -> None:
    warehouse, frame = Warehouse(tmp_path, "dci"), rows(1000)
    first = commit(warehouse, frame, 130)
    before = first.path.stat().st_ino
    assert not commit(warehouse, frame, 70).changed and first.path.stat().st_ino == before
    other = commit(warehouse, frame.with_columns(rules=pl.lit("x")), 130)
    assert other.changed and other.data_version != first.data_version
    assert commit(warehouse, frame, 999).data_version == first.data_version
    content = bytearray(first.path.read_bytes())
    content[40] ^= 1
    first.path.write_bytes(content)
    with pytest.raises(Finding, match="a damaged table"):
        Warehouse(tmp_path, "dci").head("validation", "set_aside", PERIOD, partner="p", rows=1)
    commit(Warehouse(tmp_path, "dci"), frame, 130)
    assert_frame_equal(Warehouse(tmp_path, "dci").head("validation", "set_aside", PERIOD, partner="p", rows=5), rows(5))


def test_other_code_writes_it_again_with_the_same_version(tmp_path: Path) -> None:
    warehouse, frame = Warehouse(tmp_path, "dci"), rows(1000)
    first = commit(warehouse, frame, 130)
    was = first.path.read_bytes()
    again = commit(warehouse, frame, 130, Stamp(STAMP.inputs, STAMP.contract, "f" * 12))
    assert not again.changed and again.data_version == first.data_version
    assert again.path.read_bytes() != was and seals.difference(again.path.read_bytes()) is None
