"""Commits are atomic, stamped and the same bytes for the same rows; readers refuse a mix."""

from __future__ import annotations

import hashlib
import multiprocessing
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from dci_pipeline.findings import Conflict, Finding
from dci_pipeline.periods import Period
from dci_pipeline.warehouse.layout import Layout, safe_name
from dci_pipeline.warehouse.locks import lock
from dci_pipeline.warehouse.seals import UNSEALED, difference, seal
from dci_pipeline.warehouse.stamps import Stamp
from dci_pipeline.warehouse.store import Warehouse

MAY = Period(date(2019, 5, 1), "month")
JUNE = MAY.shift(1)
FRAME = pl.DataFrame({"place": ["A", "B", None], "value": [1, None, 3], "share": [0.25, None, 0.75]})


def stamp(**inputs: str) -> Stamp:
    return Stamp(inputs=inputs, contract="c", code="1")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path, "some_index")


def test_a_commit_can_be_read_back(warehouse: Warehouse) -> None:
    done = warehouse.commit("index", "points", FRAME, stamp=stamp(a="1"), period=MAY)
    assert done.changed
    assert warehouse.read("index", "points", MAY).equals(FRAME, null_equal=True)
    assert done.path == warehouse.layout.home / "index/points/year=2019/month=05/part.parquet"
    assert warehouse.fresh("index", "points", MAY, stamp(a="1"))
    assert not warehouse.fresh("index", "points", MAY, stamp(a="2"))


def test_equal_rows_give_equal_bytes_whatever_made_them(tmp_path: Path) -> None:
    first, second = Warehouse(tmp_path / "1", "i"), Warehouse(tmp_path / "2", "i")
    chunked = pl.concat([FRAME[:1], FRAME[1:]], rechunk=False)
    # A null slot may hold anything underneath: here a value is masked away instead of never having been there.
    masked = chunked.with_columns(value=pl.when(pl.col("place") == "B").then(None).otherwise(pl.col("value")))
    one = first.commit("index", "points", FRAME, stamp=stamp(a="1"), period=MAY)
    two = second.commit("index", "points", masked, stamp=stamp(a="1"), period=MAY)
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.data_version == two.data_version


def test_the_same_rows_from_other_inputs_keep_their_data_version(warehouse: Warehouse) -> None:
    before = warehouse.commit("index", "points", FRAME, stamp=stamp(a="1"), period=MAY)
    file = before.path.stat()
    after = warehouse.commit("index", "points", FRAME, stamp=stamp(a="2"), period=MAY)
    assert (after.changed, after.data_version) == (False, before.data_version)
    assert warehouse.fresh("index", "points", MAY, stamp(a="2"))
    assert not warehouse.fresh("index", "points", MAY, stamp(a="1"))
    assert warehouse.inputs("index", "points", MAY) == {"a": "2"}
    # Not written again: what reads the file's bytes, or copies what is new, finds nothing new.
    assert (before.path.stat().st_ino, before.path.stat().st_mtime_ns) == (file.st_ino, file.st_mtime_ns)


def test_a_damaged_partition_is_written_again_though_its_rows_are_the_same(warehouse: Warehouse) -> None:
    path = warehouse.commit("index", "points", FRAME, stamp=stamp(a="1"), period=MAY).path
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 1
    path.write_bytes(content)
    warehouse.commit("index", "points", FRAME, stamp=stamp(a="2"), period=MAY)
    assert warehouse.read("index", "points", MAY).equals(FRAME, null_equal=True)


def test_a_stamp_of_other_rows_vouches_for_nothing(warehouse: Warehouse) -> None:
    path = warehouse.commit("index", "points", FRAME, stamp=stamp(a="1"), period=MAY).path
    kept = warehouse.layout.stamp(path).read_bytes()
    warehouse.commit("index", "points", FRAME.head(1), stamp=stamp(a="2"), period=MAY)
    # As if the process had died after the rows and before the stamp.
    warehouse.layout.stamp(path).write_bytes(kept)
    assert not warehouse.fresh("index", "points", MAY, stamp(a="1"))
    assert not warehouse.fresh("index", "points", MAY, stamp(a="2"))
    for broken in (b"", b"{", b"\xff"):
        warehouse.layout.stamp(path).write_bytes(broken)
        assert not warehouse.fresh("index", "points", MAY, stamp(a="2"))
        assert warehouse.inputs("index", "points", MAY) == {}


def test_readers_refuse_partitions_of_different_code(warehouse: Warehouse) -> None:
    warehouse.commit("index", "points", FRAME, stamp=stamp(a="1"), period=MAY)
    warehouse.commit("index", "points", FRAME, stamp=Stamp(inputs={"a": "1"}, contract="c", code="2"), period=JUNE)
    with pytest.raises(Finding, match="different code or contracts"):
        warehouse.read("index", "points", [MAY, JUNE])


def test_a_missing_partition_says_what_to_run(warehouse: Warehouse) -> None:
    with pytest.raises(Finding, match=r"dci run --index some_index --from 2019-05 --to 2019-05"):
        warehouse.read("index", "points", MAY)


def test_a_damaged_partition_names_the_file(warehouse: Warehouse) -> None:
    path = warehouse.commit("index", "points", FRAME, stamp=stamp(a="1"), period=MAY).path
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(Finding, match=r"part\.parquet: a damaged table"):
        warehouse.data_version("index", "points", MAY)


def test_no_byte_of_a_partition_can_change_unseen(warehouse: Warehouse) -> None:
    path = warehouse.commit("index", "points", FRAME, stamp=stamp(a="1"), period=MAY).path
    whole = path.read_bytes()
    assert difference(whole) is None
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x15
        assert difference(bytes(changed)) is not None, place
    for cut in (b"", whole[:-1], whole[: len(whole) // 2], whole + b"x"):
        assert difference(cut) is not None


def test_a_seal_is_the_hash_of_the_file_with_the_seal_s_place_blank() -> None:
    content = f"rows {UNSEALED} and more {UNSEALED} end".encode()
    digest = hashlib.sha256(content).hexdigest()
    assert seal(content) == f"rows {UNSEALED} and more dci:sha256:{digest} end".encode()


@pytest.mark.parametrize("use", ["read", "rows", "version_of"])
def test_damaged_rows_are_not_used(warehouse: Warehouse, use: str) -> None:
    path = warehouse.commit("index", "points", FRAME, stamp=stamp(a="1"), period=MAY).path
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 1
    path.write_bytes(content)
    uses = {
        "read": lambda: warehouse.read("index", "points", MAY),
        "rows": lambda: warehouse.rows("index", "points", MAY),
        "version_of": lambda: warehouse.version_of(path),
    }
    with pytest.raises(
        Finding, match=r"(?s)month=05/part\.parquet: a damaged table.*SHA-256.*delete this file"
    ) as info:
        uses[use]()
    assert info.value.found != info.value.expected


def test_a_failed_write_leaves_the_old_partition_and_no_debris(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = warehouse.commit("index", "points", FRAME, stamp=stamp(a="1"), period=MAY).path
    before = path.read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(Finding, match="the disk is full"):
        warehouse.commit("index", "points", FRAME.head(1), stamp=stamp(a="2"), period=MAY)
    assert path.read_bytes() == before
    assert sorted(item.name for item in path.parent.iterdir()) == ["part.parquet", "stamp.json"]


def _hold(folder: Path, ready: object) -> None:
    with lock(folder, "work"):
        ready.set()  # type: ignore[attr-defined]
        multiprocessing.Event().wait(60)


def test_a_lock_serialises_and_does_not_outlive_a_killed_holder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready))
    holder.start()
    assert ready.wait(30)
    with pytest.raises(Conflict, match="another process"), lock(tmp_path, "work", wait_seconds=0.2):
        pass
    holder.kill()
    holder.join()
    with lock(tmp_path, "work", wait_seconds=5):
        pass


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("流量 2019.csv", "流量_2019.csv"),
        ("../../etc/passwd", "passwd"),
        (r"C:\temp\a.csv", "a.csv"),
        (".hidden", "hidden"),
        ("", "part"),
        ("a\x00b\n.csv", "a_b_.csv"),
    ],
)
def test_a_partner_s_file_name_stays_in_its_folder(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("partner", ["../x", "a/b", "", ".x", "a..b", "x" * 65])
def test_a_partner_s_id_stays_in_its_folder(tmp_path: Path, partner: str) -> None:
    with pytest.raises(Finding, match="not a partner's id"):
        Layout(tmp_path, "i").deliveries("f", MAY, partner)
