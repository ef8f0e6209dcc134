"""The drop folder, with real files: whole ones are landed, others wait or are set aside; none is lost or followed."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dci_pipeline.findings import Conflict, Finding
from dci_pipeline.framework_files import read_framework
from dci_pipeline.periods import Period, parse
from dci_pipeline.settings import Settings, read_settings
from dci_pipeline.warehouse import arrived, deliveries, drop
from dci_pipeline.warehouse.deliveries import Delivery
from dci_pipeline.warehouse.drop_look import MOST, Look, Memory
from dci_pipeline.warehouse.layout import Layout
from dci_pipeline.warehouse.locks import lock
from dci_pipeline_tests.conftest import CONTRACTS, PROJECT

FRAMEWORK = read_framework(CONTRACTS, "dci")
APRIL = parse("2019-04", "month")
NAME = "transactions_pay_a_2019-04.csv"
HEADER = "partner,record_id,event_date,city,sector,transaction_count,amount_fen\n"
SETTLE = 60.0


def content(count: int = 3, *, partner: str = "pay_a", month: str = "2019-04", amount: int = 100) -> bytes:
    rows = (f"{partner},r{number},{month}-0{number % 9 + 1},成都,金融,5,{amount}\n" for number in range(count))
    return (HEADER + "".join(rows)).encode("gb18030")


@dataclass
class Post:
    """A drop folder, its warehouse, a clock, and what the last look remembered."""

    root: Path
    now: float = 1000.0
    seen: Memory = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.root / "drop" / "dci"

    @property
    def layout(self) -> Layout:
        return Layout(self.root / "warehouse", "dci")

    def put(self, name: str, data: bytes | None = None) -> Path:
        path = self.folder / name
        path.write_bytes(content() if data is None else data)
        return path

    def look(self, *, after: float = 0.0, notes: bool = False, seconds: float = float("inf")) -> Look:
        self.now += after
        found = drop.collect(
            self.layout,
            self.folder,
            feeds=FRAMEWORK.feeds,
            cadence="month",
            seen=self.seen,
            now=self.now,
            settle=SETTLE,
            notes=notes,
            seconds=seconds,
        )
        self.seen = found.seen
        return found

    def settled(self, **how: bool) -> Look:
        """Two looks, with the settling time between."""
        self.look()
        return self.look(after=SETTLE, **how)

    def landed(self, feed: str = "transactions", period: Period = APRIL) -> dict[str, Delivery]:
        return deliveries.current(self.layout, feed, period)

    def left(self) -> list[str]:
        """Names in the folder, but for what was refused."""
        return sorted(path.name for path in self.folder.iterdir() if path.name not in ("refused", ".taken"))

    def refused(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "refused").glob("*"))

    def why(self, name: str) -> str:
        return (self.folder / "refused" / f"{name}.why.txt").read_text(encoding="utf-8")


@pytest.fixture
def post(tmp_path: Path) -> Post:
    made = Post(tmp_path)
    made.folder.mkdir(parents=True)
    return made


def checksum(path: Path, *, of: bytes | None = None) -> Path:
    digest = hashlib.sha256(path.read_bytes() if of is None else of).hexdigest()
    beside = path.with_name(path.name + ".sha256")
    beside.write_text(f"{digest}  {path.name}\n", encoding="utf-8")
    return beside


def test_a_file_left_alone_is_landed_as_received_and_gone(post: Post) -> None:
    data = gzip.compress(content(), mtime=0)
    post.put(f"{NAME}.gz", data)
    first = post.look()
    assert "unchanged for 0 of 60 s" in first.waiting[f"{NAME}.gz"] and first.settling
    assert "unchanged for 59" in post.look(after=59).waiting[f"{NAME}.gz"]
    assert post.landed() == {}
    (done,) = post.look(after=1).landed
    delivery = done.landings[0].delivery
    assert (delivery.feed, delivery.partner, delivery.period) == ("transactions", "pay_a", APRIL)
    assert (delivery.folder / f"{NAME}.gz").read_bytes() == data
    assert post.left() == [] and post.seen == {}


def test_a_file_that_grows_waits_whatever_its_times_say(post: Post) -> None:
    path = post.put(NAME, content(2))
    os.utime(path, (10**9, 10**9))
    post.look()
    with path.open("ab") as file:
        file.write(content(5)[len(content(2)) :])
    os.utime(path, (10**9, 10**9))
    assert post.look(after=SETTLE).landed == []
    assert [item.landings[0].delivery.rows for item in post.look(after=SETTLE).landed] == [5]


def test_a_sender_s_clock_means_nothing(post: Post) -> None:
    for name, time in ((NAME, 4 * 10**9), (NAME.replace("pay_a", "pay_b"), 0)):
        os.utime(post.put(name, content(partner=name[13:18])), (time, time))
    post.look()
    assert len(post.look(after=SETTLE).landed) == 2


def test_our_own_clock_set_back_only_costs_time(post: Post) -> None:
    post.put(NAME)
    post.look()
    post.now -= 10_000
    assert post.look().landed == []
    assert len(post.look(after=SETTLE).landed) == 1


def test_a_checksum_that_agrees_makes_a_file_whole_at_once(post: Post) -> None:
    checksum(post.put(NAME))
    assert len(post.look().landed) == 1
    assert post.left() == []


def test_a_checksum_that_comes_first_is_no_reason_to_refuse(post: Post) -> None:
    checksum(post.put(NAME, content(2)), of=content(4))
    assert "does not agree yet" in post.look().waiting[NAME]
    post.put(NAME, content(4))
    assert "does not agree yet" in post.look(after=5).waiting[NAME]
    assert [item.landings[0].delivery.rows for item in post.look(after=5).landed] == [4]
    (post.folder / f"{NAME}.sha256").write_text("x", encoding="utf-8")
    assert post.look().waiting == {f"{NAME}.sha256": "a checksum whose file is not here"}


@pytest.mark.parametrize("says", ["wrong", "", "0" * 64 + "  other.csv", "0" * 63 + f"  {NAME}", "\x00\xff"])
def test_a_checksum_that_disagrees_sets_the_file_aside(post: Post, says: str) -> None:
    post.put(NAME)
    beside = post.folder / f"{NAME}.sha256"
    if says == "wrong":
        checksum(post.folder / NAME, of=b"another")
    else:
        beside.write_bytes(says.encode("latin-1"))
    assert post.look().refused == []
    (found,) = post.look(after=SETTLE).refused
    assert found.place is not None and found.place.read_bytes() == content()
    assert post.left() == [] and post.landed() == {}
    assert post.refused() == sorted([NAME, f"{NAME}.why.txt", f"{NAME}.2.{NAME}.sha256"])
    assert "sum" in post.why(NAME) and "do next" in post.why(NAME)


@pytest.mark.parametrize("form", ["{hash}", "{hash} *{name}", "\ufeff{hash}  ./{name}\r\n", "{HASH}  {name}\n"])
def test_forms_of_a_checksum(post: Post, form: str) -> None:
    digest = hashlib.sha256(content()).hexdigest()
    text = form.format(hash=digest, HASH=digest.upper(), name=NAME)
    (post.folder / f"{NAME}.sha256").write_bytes(text.encode())
    post.put(NAME)
    assert len(post.look().landed) == 1


@pytest.mark.parametrize("name", [f"{NAME}.part", f"{NAME}.filepart", "x.TMP", f"{NAME}.partial"])
def test_uploads_that_are_not_finished_wait(post: Post, name: str) -> None:
    post.put(name)
    found = post.settled()
    assert found.waiting == {name: "an upload that is not finished, by its name"}
    (post.folder / name).rename(post.folder / NAME)
    assert len(post.settled().landed) == 1


def test_hidden_files_are_left_alone(post: Post) -> None:
    post.put(f".{NAME}.Xy12")
    found = post.settled()
    assert (found.waiting, found.refused, post.left()) == ({}, [], [f".{NAME}.Xy12"])


def test_a_delivery_in_parts_waits_for_all_of_them(post: Post) -> None:
    parts = [NAME.replace(".csv", f"_{number}of3.csv") for number in (1, 2, 3)]
    for number in (0, 2):
        post.put(parts[number], content(2, amount=number + 1))
    found = post.settled()
    assert found.waiting == {parts[0]: "waits for part 2 of 3", parts[2]: "waits for part 2 of 3"}
    checksum(post.put(parts[1], content(2, amount=50)))
    (done,) = post.look().landed
    assert [part.name for part in done.landings[0].delivery.parts] == parts
    assert done.landings[0].delivery.rows == 6 and post.left() == []


def test_a_part_that_is_there_twice_is_set_aside_with_the_other(post: Post) -> None:
    one, again = NAME.replace(".csv", "_1of2.csv"), NAME.replace(".csv", "_01of2.csv")
    post.put(one)
    post.put(again)
    (found,) = post.settled().refused
    assert "part 1 more than once" in str(found.finding)
    assert post.left() == [] and len(post.refused()) == 3


REFUSED = {
    "holiday.jpeg": (b"\xff\xd8", "a file name no contract knows"),
    "transactions_pay_x_2019-04.csv": (content(), "a file name no contract knows"),
    "transactions_pay_a_2019-14.csv": (content(), "not a month"),
    NAME: (b"", "empty"),
    f"{NAME}.gz": (gzip.compress(content(5000), mtime=0)[:200], NAME),
    "transactions_pay_b_2019-04.csv": (content(), "rows of another partner"),
    "transactions_pay_a_2019-05.csv": (content(), "dates of another month"),
    "transactions_pay_a_2019-06.parquet": (b"PAR1 no PAR1", "2019-06"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_placed_or_landed_is_set_aside_with_the_reason(post: Post, name: str) -> None:
    data, says = REFUSED[name]
    post.put(name, data)
    assert post.look().refused == []
    (found,) = post.look(after=SETTLE).refused
    assert (
        found.place is not None and found.place == post.folder / "refused" / name and found.place.read_bytes() == data
    )
    assert says in post.why(name) and str(found.finding) in post.why(name)
    assert post.left() == [] and not list(post.layout.root.rglob("delivery.json"))


def test_an_earlier_refused_file_is_never_overwritten(post: Post) -> None:
    for number in range(3):
        post.put("what.csv", bytes([number]))
        post.settled()
    names = ["what.csv", "2-what.csv", "3-what.csv"]
    assert [(post.folder / "refused" / name).read_bytes() for name in names] == [b"\0", b"\1", b"\2"]
    assert len(post.refused()) == 6
    (post.folder / "refused" / "4-what.csv.why.txt").write_text("mine", encoding="utf-8")
    post.put("what.csv", b"\3")
    post.settled()
    assert post.why("4-what.csv") == "mine" and (post.folder / "refused" / "5-what.csv").read_bytes() == b"\3"


@pytest.mark.parametrize(
    "name", [b"\xff\xfe.csv", b"a\nb\x1b[2J.csv", "数".encode() * 84, b"n" * 255, b"a b;c'd\"e.csv", b"-rf"]
)
def test_any_name_a_file_system_has_can_be_set_aside(post: Post, name: bytes) -> None:
    (post.folder / os.fsdecode(name)).write_bytes(b"x")
    (found,) = post.settled().refused
    assert found.place is not None and found.place.read_bytes() == b"x"
    assert post.left() == []
    text = found.place.with_name(found.place.name + ".why.txt").read_text(encoding="utf-8")
    assert all(char.isprintable() or char == "\n" for char in text)


def test_links_folders_and_devices_are_set_aside_and_never_followed(post: Post, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_bytes(content())
    month = "transactions_pay_a_2019-0{}.csv"
    (post.folder / month.format(1)).symlink_to(secret)
    (post.folder / month.format(2)).mkdir()
    (post.folder / month.format(2) / "inside.csv").write_bytes(content())
    os.mkfifo(post.folder / month.format(3))
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(post.folder)  # the address of a socket is short
        listener.bind(month.format(4))
        os.chdir(here)
        found = post.settled()
    assert sorted(item.names for item in found.refused) == [month.format(number) for number in (1, 2, 3, 4)]
    assert all("not an ordinary file" in str(item.finding) for item in found.refused)
    assert (post.folder / "refused" / month.format(1)).is_symlink() and secret.read_bytes() == content()
    assert (post.folder / "refused" / month.format(2) / "inside.csv").is_file()
    assert post.left() == [] and not list(post.layout.root.rglob("delivery.json"))


def test_a_checksum_that_is_a_link_is_not_read(post: Post, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    post.put(NAME)
    (post.folder / f"{NAME}.sha256").symlink_to(tmp_path / "secret")
    found = post.settled()
    assert len(found.landed) == 1
    assert "secret" not in "".join(path.read_text() for path in (post.folder / "refused").glob("*.why.txt"))


def test_folders_of_ours_that_somebody_else_made_are_not_used(post: Post, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (post.folder / "refused").symlink_to(elsewhere)
    post.put("what.csv")
    found = post.settled()
    assert "not a folder made by this program" in found.trouble["what.csv"]
    assert post.left() == ["what.csv"] and not list(elsewhere.iterdir())
    (post.folder / "refused").unlink()
    (post.folder / ".taken").rmdir()
    (post.folder / ".taken").symlink_to(elsewhere)
    with pytest.raises(OSError, match="not a folder made by this program"):
        post.look()


def test_several_deliveries_of_a_month_supersede_in_the_order_they_were_sent(post: Post) -> None:
    later, earlier = post.put(NAME, content(4)), post.put(f"{NAME}.gz", gzip.compress(content(2), mtime=0))
    os.utime(earlier, (1000, 1000))
    os.utime(later, (2000, 2000))
    assert len(post.settled().landed) == 2
    assert (post.landed()["pay_a"].rows, post.landed()["pay_a"].number) == (4, 2)


def test_a_file_sent_twice_is_one_delivery(post: Post) -> None:
    for new in (True, False):
        post.put(NAME)
        (done,) = post.settled().landed
        assert [landing.new for landing in done.landings] == [new]
    assert post.landed()["pay_a"].number == 1 and post.left() == []


def test_a_refused_file_that_is_mended_and_put_back_is_landed(post: Post) -> None:
    post.put(NAME, content(month="2019-05"))
    post.settled()
    shutil.copy(post.folder / "refused" / NAME, post.folder / NAME)
    assert len(post.settled().refused) == 1
    post.put(NAME)
    assert len(post.settled().landed) == 1
    assert "2-" + NAME in post.refused()


def test_notes_say_what_was_landed_until_it_is_told(post: Post) -> None:
    post.put(NAME)
    post.settled(notes=True)
    first = arrived.notes(post.layout, "month")
    assert first == {("transactions", APRIL): arrived.state(post.layout, "transactions", APRIL)}
    post.put(NAME, content(9))
    post.settled(notes=True)
    arrived.told(post.layout, first)
    second = arrived.notes(post.layout, "month")
    assert second and second != first
    arrived.told(post.layout, second)
    assert arrived.notes(post.layout, "month") == {}
    # The first one again is a third delivery, and not what was told of before.
    post.put(NAME)
    post.settled(notes=True)
    assert arrived.notes(post.layout, "month") not in ({}, first, second)


def test_a_look_ends_in_time_and_the_next_goes_on(post: Post) -> None:
    for month in range(1, 4):
        post.put(f"transactions_pay_a_2019-0{month}.csv", content(month=f"2019-0{month}"))
    post.look()
    found = post.look(after=SETTLE, seconds=-1)
    assert found.landed == [] and set(found.waiting.values()) == {"whole; its turn comes next"}
    assert len(post.look().landed) == 3


def test_more_files_than_a_look_remembers_come_in_turn(post: Post) -> None:
    for number in range(MOST + 1):
        post.put(f"{number:05}.tmp", b"")
    post.put("00000.csv", b"x")
    assert post.look().more == 2
    assert len(post.seen) == MOST


def test_one_look_at_a_time(post: Post) -> None:
    post.put(NAME)
    post.look()
    with lock(post.layout.locks, "dci-collect", wait_seconds=0), pytest.raises(Conflict, match="another look"):
        post.look(after=SETTLE)
    assert post.left() == [NAME] and len(post.look(after=SETTLE).landed) == 1


def test_foreseeing_changes_nothing(post: Post) -> None:
    for name in (NAME, "what.csv", "x.part"):
        post.put(name)
    before = sorted(path.relative_to(post.root) for path in post.root.rglob("*"))
    found = drop.foresee(post.layout, post.folder, feeds=FRAMEWORK.feeds, cadence="month")
    assert [bundle.names for bundle in found.ready] == [NAME]
    assert [(item.names, item.place) for item in found.refused] == [("what.csv", None)]
    assert sorted(path.relative_to(post.root) for path in post.root.rglob("*")) == before


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_said_and_leaves_the_file(post: Post, mounted: Path) -> None:
    post.layout.root.symlink_to(mounted)
    (mounted / "ballast").write_bytes(bytes(900_000))
    post.put(NAME, content(20_000))
    small = NAME.replace("pay_a", "pay_b")
    post.put(small, content(2, partner="pay_b"))
    found = post.settled()
    assert "No space left" in found.trouble[NAME]
    assert [item.bundle.names for item in found.landed] == [small]
    assert post.left() == [NAME] and not post.layout.work.exists()
    (mounted / "ballast").unlink()
    assert [item.bundle.names for item in post.look().landed] == [NAME]


def test_a_folder_that_cannot_be_written_is_said_and_leaves_the_files(tmp_path: Path, mounted: Path) -> None:
    post = Post(tmp_path)
    post.folder.parent.mkdir(parents=True)
    post.folder.symlink_to(mounted)
    post.put(NAME)
    post.put("what.csv")
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    found = post.settled()
    assert set(found.trouble) == {NAME, "what.csv"}
    assert all("Read-only file system" in said for said in found.trouble.values())
    assert post.left() == [NAME, "what.csv"]
    subprocess.run(["mount", "-o", "remount,rw", str(mounted)], check=True)
    found = post.look()
    assert (len(found.landed), len(found.refused), found.trouble) == (1, 1, {})


KILLED = """
import os, sys
from pathlib import Path
from dci_pipeline.warehouse import {module}
real = {module}.{name}
def fatal(*given, **named):
    if {after}:
        real(*given, **named)
    os.kill(os.getpid(), 9)
{module}.{name} = fatal
from dci_pipeline_tests.warehouse.test_drop import Post
post = Post(Path(sys.argv[1]))
post.look(notes=True)
post.look(after=60, notes=True)
"""
INSTANTS = {
    "before it is taken": ("drop_folder.DropFolder", "take", False),
    "taken": ("drop_folder.DropFolder", "take", True),
    "landed": ("deliveries", "land", True),
    "before the note": ("arrived", "note", False),
    "after the note": ("arrived", "note", True),
    "deleted": ("drop_folder.DropFolder", "remove", True),
}


@pytest.mark.slow
@pytest.mark.parametrize("instant", INSTANTS)
def test_a_kill_at_any_instant_loses_nothing(post: Post, instant: str) -> None:
    module, name, after = INSTANTS[instant]
    holder = module.split(".", maxsplit=1)[0]
    code = KILLED.format(module=module, name=name, after=after).replace(f"import {module}", f"import {holder}")
    post.put(NAME)
    post.put("what.csv")
    done = subprocess.run([sys.executable, "-c", code, str(post.root)], cwd=PROJECT, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    post.settled(notes=True)
    assert post.left() == [] and not list((post.folder / ".taken").glob("*"))
    assert post.landed()["pay_a"].number == 1 and len(list(post.layout.root.rglob("delivery.json"))) == 1
    assert [(feed, period) for feed, period in arrived.notes(post.layout, "month")] == [("transactions", APRIL)]
    assert [path for path in post.refused() if path.endswith("what.csv")] == ["what.csv"]


def test_a_file_sent_again_while_the_first_was_taken_is_not_lost(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender writes a new file of the name at the moment the first one has been taken; then that one fails."""

    def fails(*_: object, **__: object) -> None:
        post.put(NAME, content(7))
        raise OSError(5, "Input/output error")

    post.put(NAME)
    post.look()
    with monkeypatch.context() as patch:
        patch.setattr(deliveries, "land", fails)
        assert "Input/output error" in post.look(after=SETTLE).trouble[NAME]
    assert "replaced before it could be taken in" in post.why(NAME)
    assert [item.landings[0].delivery.rows for item in post.settled().landed] == [7]


def test_a_file_that_is_written_while_it_is_landed_is_landed_again(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    real = deliveries.land
    path = post.put(NAME, content(2))
    with path.open("ab") as upload:

        def meanwhile(*given: object, **named: object) -> object:
            landed = real(*given, **named)  # pyright: ignore[reportArgumentType]
            upload.write(content(4)[len(content(2)) :])
            upload.flush()
            return landed

        post.look()
        with monkeypatch.context() as patch:
            patch.setattr(deliveries, "land", meanwhile)
            found = post.look(after=SETTLE)
    assert found.landed == [] and found.waiting == {NAME: "somebody is writing it"} and post.left() == [NAME]
    post.settled()
    assert post.landed()["pay_a"].rows == 4 and post.left() == []


def test_an_error_of_the_program_keeps_no_other_file_waiting(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    real = deliveries.land

    def breaks(layout: Layout, files: list[Path], **named: object) -> object:
        if files[0].name == NAME:
            raise ZeroDivisionError("x")
        return real(layout, files, **named)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(deliveries, "land", breaks)
    post.put(NAME)
    post.put(NAME.replace("pay_a", "pay_b"), content(partner="pay_b"))
    found = post.settled()
    assert found.trouble == {NAME: "an error in the program: ZeroDivisionError: x"}
    assert len(found.landed) == 1 and post.left() == [NAME]


def test_uploads_and_looks_at_once_lose_nothing(post: Post) -> None:
    """A sender puts forty months in place by renaming, while looks go on; every one is landed once."""
    months = [parse("2016-01", "month").shift(step).key for step in range(40)]

    def send() -> None:
        for month in months:
            name = f"transactions_pay_a_{month}.csv"
            part = post.put(f"{name}.part", content(month=month))
            checksum(post.folder / f"{name}.part").rename(post.folder / f"{name}.sha256")
            digest = hashlib.sha256(content(month=month)).hexdigest()
            (post.folder / f"{name}.sha256").write_text(f"{digest}  {name}\n", encoding="utf-8")
            part.rename(post.folder / name)

    sender = threading.Thread(target=send)
    sender.start()
    landed: list[str] = []
    refused: list[str] = []
    while sender.is_alive() or (len(landed) < len(months) and not refused):
        found = post.look(after=1)
        landed += [str(item.bundle.place.period) for item in found.landed]
        refused += [item.names for item in found.refused]
    sender.join()
    assert refused == [] and sorted(landed) == months
    assert deliveries.periods_delivered(post.layout, "transactions", "month") == [parse(m, "month") for m in months]


def test_where_the_folder_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCI_CONTRACTS", str(CONTRACTS))
    monkeypatch.setenv("DCI_WAREHOUSE", str(tmp_path / "w"))
    monkeypatch.delenv("DCI_DROP", raising=False)
    assert drop.folder_of(read_settings(), "dci") == tmp_path / "w" / "drop" / "dci"
    monkeypatch.setenv("DCI_DROP", str(tmp_path / "share"))
    with pytest.raises(Finding, match="DCI_DROP: no such folder"):
        drop.folder_of(read_settings(), "dci")
    (tmp_path / "share").mkdir()
    assert drop.folder_of(read_settings(), "dci").is_dir()
    for wrong in ("soon", "-1", "inf", "nan"):
        monkeypatch.setenv("DCI_DROP_SETTLE", wrong)
        with pytest.raises(Finding, match="DCI_DROP_SETTLE: not a length of time"):
            read_settings()
    monkeypatch.setenv("DCI_DROP_SETTLE", "2.5")
    assert read_settings().settle == 2.5
    assert Settings(tmp_path, CONTRACTS, "polars").settle == 60
