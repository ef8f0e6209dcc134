"""A warehouse on object storage, against a real server: the same bytes as on a disk, kills, leases, refusals."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from dci_pipeline import plan, refresh
from dci_pipeline.defs.launch import run_in_process
from dci_pipeline.findings import Conflict, Finding
from dci_pipeline.settings import Settings, read_settings
from dci_pipeline.warehouse import audit, catalogue, deliveries, gc, leases, mending, objects, published
from dci_pipeline.warehouse.layout import PART, RECEIPT, Layout
from dci_pipeline.warehouse.locks import lock
from dci_pipeline.warehouse.receipts import is_whole
from dci_pipeline.warehouse.store import Warehouse
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import MONTHS, PROJECT, Build, Deliveries, World, land
from dci_pipeline_tests.test_restatement import LEAF, doubled, land_again
from dci_pipeline_tests.warehouse import test_kills as writer
from dci_pipeline_tests.warehouse.conftest import KEY

pytestmark = pytest.mark.slow

FOUR = MONTHS[:4]
KILLS, SEED = 6, 20261124


def files(root: Path, stage: str) -> dict[str, bytes]:
    home = root / "dci" / stage
    found = [path for path in home.rglob("*") if path.name.endswith((".parquet", ".json")) and path.is_file()]
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in found}


def state(root: objects.ObjectPath) -> dict[str, tuple[Any, Any]]:
    """ETag and time of every committed partition."""
    heads = {path: path.head() for path in (root / "dci").rglob(PART)}
    return {
        path.relative_to(root / "dci").as_posix(): (head["e_tag"], head["last_modified"])
        for path, head in heads.items()
    }


def command(address: str, contracts: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dci_pipeline.cli", *words],
        cwd=PROJECT,
        env={**os.environ, "DCI_WAREHOUSE": address, "DCI_CONTRACTS": str(contracts)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(("engine", "through_engine"), [("polars", True), ("duckdb", False)])
def test_landed_run_published_and_restated_as_on_a_disk(
    bucket: str, narrow: Deliveries, build_narrow: Build, tmp_path: Path, engine: str, through_engine: bool
) -> None:
    on_disk = build_narrow(tmp_path / "disk", months=FOUR)
    contracts, sent = narrow
    root = objects.at(bucket)
    work = Work(Settings(root, contracts, engine), "dci")
    land(work, [item for item in sent if item.period in FOUR])
    run = run_in_process if through_engine else refresh.run_direct
    assert not run(work, FOUR).held
    for stage in ("validation", "indicators", "normalise", "index", "marts"):
        assert files(root, stage) == files(tmp_path / "disk", stage), stage
    assert {item.state for item in refresh.run_direct(Work(work.settings, "dci"), FOUR).outcomes} == {"unchanged"}

    before, month = state(root), FOUR[3]
    time.sleep(1.1)  # an object's time is in whole seconds
    partner = next(iter(work.framework.feeds[LEAF].partners))
    for world in (World(work, FOUR, on_disk.report), on_disk):
        (tmp_path / str(world is on_disk)).mkdir()
        land_again(world, LEAF, partner, month, tmp_path / str(world is on_disk), doubled)
    touched = plan.impact(work, LEAF, month, FOUR)
    done = run(work, FOUR)
    refresh.run_direct(on_disk.work, FOUR)
    listed = {(key, period) for key, periods in touched.items() for period in periods}
    computed = {(item.key, item.period) for item in done.outcomes if item.state in ("written", "same")}
    assert computed and computed <= listed
    after = state(root)
    changed = {name for name in after if after[name] != before.get(name)}
    folders = {
        (Layout(Path("/"), "dci").table(key[0], key[1], period).parent.relative_to("/dci").as_posix())
        for key, period in listed
        if key[0] != "validation"
    }
    for name in changed:
        if name.startswith("validation/"):
            assert name.startswith(f"validation/{LEAF}_") and month.path in name
        else:
            assert name.rpartition("/")[0] in folders, f"{name} was written and is not listed"
    assert any(name.startswith("marts/index_month/") for name in changed)
    assert not any(FOUR[0].path in name for name in changed if name.startswith(("indicators/", "marts/index_month")))
    for stage in ("validation", "indicators", "normalise", "index", "marts"):
        assert files(root, stage) == files(tmp_path / "disk", stage), stage

    asked = command(bucket, contracts, "sql", "--csv", "SELECT count(*) AS n FROM index_month")
    assert asked.returncode == 0, asked.stderr
    with duckdb.connect(str(on_disk.work.warehouse.layout.catalogue), read_only=True) as connection:
        assert asked.stdout.split() == ["n", str(connection.sql("SELECT count(*) FROM index_month").fetchall()[0][0])]
    looked = command(bucket, contracts, "doctor")
    assert looked.returncode == 0, looked.stdout + looked.stderr
    said = command(bucket, contracts, "doctor", "--mend")
    assert said.returncode != 0 and "mending is not done on object storage" in said.stderr + said.stdout
    for text in (asked.stdout + asked.stderr, looked.stdout + looked.stderr, said.stdout + said.stderr):
        assert KEY not in text
    assert not list(Path(work.settings.dagster_home).parent.glob("dci/.work/*")), "left behind on this machine"


def short_leases() -> None:
    leases.LASTS, leases.WRITES, leases.RENEWED, leases._POLL = 4.0, 2.5, 0.5, 0.1


def write(address: str, sent: Path, first: int, last: int, log: Path, ready: Any) -> None:
    short_leases()
    writer.work(objects.at(address), sent, first, last, log, writer.framework(), ready)  # type: ignore[arg-type]


def test_a_killed_writer_leaves_a_warehouse_that_the_next_finishes(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("LASTS", 4.0), ("WRITES", 2.5), ("RENEWED", 0.5)):
        monkeypatch.setattr(leases, name, value)
    context = multiprocessing.get_context("spawn")
    root, sent, log, known = objects.at(bucket), tmp_path / "sent", tmp_path / "log", writer.framework()
    sent.mkdir()
    chance, landings = random.Random(SEED), 0
    for kill in range(KILLS):
        heard, ready = context.Pipe(duplex=False)
        first = writer.reported(log, "published") + 1
        process = context.Process(target=write, args=(bucket, sent, first, first + 1000, log, ready))
        process.start()
        assert heard.poll(120) and heard.recv()
        # Its first request is behind it once it is at work on the server; then at any instant.
        until = time.monotonic() + 60
        seen = len(list(root.rglob("*")))
        while kill == 0 and len(list(root.rglob("*"))) == seen and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 1.5))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        landings += consistent(root, log, known)
    assert landings, "no kill met a process at work"
    last = writer.reported(log, "published") + 1
    writer.work(root, sent, last, last + 1, log, known)
    consistent(root, log, known)
    assert not audit.audit_tables(Layout(root, "dci")).damaged
    assert catalogue.is_as_published(Layout(root, "dci"))


def consistent(root: Path, log: Path, known: Any) -> int:
    """Everything reported is there and whole; what is there without having been reported is whole too."""
    warehouse, held = Warehouse(root, "dci"), set[str]()
    for number in range(writer.MONTHS):
        month = writer.parse(f"2019-{number + 1:02d}", "month")
        for item in deliveries.history(warehouse.layout, writer.FEED, month, writer.PARTNER):
            assert all(is_whole(item.folder / part.name, part.sha256) for part in item.parts)
            assert deliveries.typed_is_whole(item)
            held |= {part.name for part in item.parts}
    assert held >= {f"d{number}.csv" for number in range(writer.reported(log, "landed") + 1)}
    done = writer.reported(log, "committed")
    for name in writer.TABLES:
        if done >= 0:
            rows = warehouse.read("marts", name)
            assert int(rows.select(pl.col(pl.String).first()).row(0)[0].removeprefix("g")) in (done, done + 1)
    if writer.reported(log, "published") >= 0:
        with duckdb.connect(str(published.opened(warehouse.layout)), read_only=True) as connection:
            assert len({writer._shown(connection, name) for name in writer.TABLES}) == 1
    return len(held)


def count_up(address: str, times: int) -> None:
    warehouse = Warehouse(objects.at(address), "dci")
    for _ in range(times):
        with warehouse.lock("count"):
            had = warehouse.read("index", "count")["n"][0] if warehouse.partitions("index", "count") else 0
            warehouse.commit("index", "count", pl.DataFrame({"n": [had + 1]}), stamp=warehouse.stamp({"n": str(had)}))


def test_two_processes_that_commit_the_same_partition_lose_no_update(bucket: str) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=count_up, args=(bucket, 8)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(240)
        assert process.exitcode == 0
    assert Warehouse(objects.at(bucket), "dci").read("index", "count")["n"].to_list() == [16]
    assert list((objects.at(bucket) / "locks").glob("*")) == [], "a lease was not given back"


def hold(address: str, ready: Any) -> None:
    with lock(objects.at(address) / "locks", "held"):
        ready.send(True)
        time.sleep(600)


def test_a_lease_is_kept_while_its_holder_lives_and_taken_over_once_it_is_killed(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = multiprocessing.get_context("spawn")
    heard, ready = context.Pipe(duplex=False)
    holder = context.Process(target=hold, args=(bucket, ready))
    holder.start()
    assert heard.poll(120)
    # It is renewed every few seconds: longer than that without anything new means that nobody holds it.
    monkeypatch.setattr(leases, "LASTS", leases.RENEWED * 3)
    folder = objects.at(bucket) / "locks"
    with (
        pytest.raises(Conflict, match=f"process {holder.pid} on "),
        lock(folder, "held", wait_seconds=leases.LASTS + 2),
    ):
        pass
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    # Who does not wait gets it as well, once it is old by the store's clock.
    until, taken = time.monotonic() + 120, False
    while not taken and time.monotonic() < until:
        try:
            with lock(folder, "held", wait_seconds=0):
                taken = str(os.getpid()) in leases.holder(folder / "held.lock")
        except Conflict:
            time.sleep(1)
    assert taken and list(folder.glob("*")) == []


def test_a_killed_holder_is_waited_for(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LASTS", 3.0)
    path = objects.at(bucket) / "locks" / "held.lock"
    path.put(b"{}")  # as left by a holder that was killed just now
    with lock(path.parent, "held", wait_seconds=120):
        assert str(os.getpid()) in leases.holder(path)


def test_a_holder_whose_lease_was_taken_over_writes_no_more(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEWED", 0.2)
    warehouse = Warehouse(objects.at(bucket), "dci")
    stamp = warehouse.stamp({})
    with warehouse.lock("mine"):
        warehouse.commit("index", "n", pl.DataFrame({"n": [1]}), stamp=stamp)
        (warehouse.layout.locks / "dci-mine.lock").put(b"another's")  # type: ignore[attr-defined]
        until = time.monotonic() + 60
        while not leases._lease.get().lapsed and time.monotonic() < until:  # type: ignore[union-attr]
            time.sleep(0.1)
        with pytest.raises(Conflict, match="lapsed"):
            warehouse.commit("index", "n", pl.DataFrame({"n": [2]}), stamp=stamp)
    assert warehouse.read("index", "n")["n"].to_list() == [1]
    assert (warehouse.layout.locks / "dci-mine.lock").read_bytes() == b"another's"


def test_an_unfinished_landing_is_no_delivery_and_is_landed_again(bucket: str, narrow: Deliveries) -> None:
    contracts, sent = narrow
    work, item = Work(Settings(objects.at(bucket), contracts, "polars"), "dci"), sent[0]
    land(work, [item])
    folder = deliveries.current(work.warehouse.layout, item.feed, item.period)[item.partner].folder
    for receipt in folder.glob("delivery*.json"):
        receipt.unlink()
    assert deliveries.current(work.warehouse.layout, item.feed, item.period) == {}
    assert deliveries.marks(work.warehouse.layout, [item.feed], [item.period]) == {item.period: ""}
    assert audit.audit_deliveries(work.warehouse.layout, work.framework).deliveries == 0
    land(work, [item])
    assert (folder / RECEIPT).is_file()
    assert audit.audit_deliveries(work.warehouse.layout, work.framework).deliveries == 1


def test_what_is_not_done_on_object_storage_is_refused(bucket: str, narrow: Deliveries) -> None:
    work = Work(Settings(objects.at(bucket), narrow[0], "polars"), "dci")
    for refused in (
        lambda: gc.remove(work.warehouse.layout, []),
        lambda: mending.mend(work.warehouse.layout, work.framework),
        lambda: (objects.at(bucket) / "x").rename(Path("y")),
        lambda: (objects.at(bucket) / "x").write_bytes(b""),
    ):
        with pytest.raises(Finding, match="object storage"):
            refused()
    assert work.settings.drop_of("dci").is_relative_to(os.environ["DCI_SCRATCH"])
    with pytest.raises(TypeError, match="no file of it"):
        os.fspath(objects.at(bucket))


@pytest.mark.parametrize(
    "address",
    ["s3://key:secret@bucket/x", "s3://bucket/x?secret=1", "gs://bucket", "s3://", "s3://bucket/../x", "s3://b b/x"],
)
def test_an_address_with_anything_else_in_it_is_refused_and_not_repeated(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCI_WAREHOUSE", address)
    with pytest.raises(Finding, match="not an address") as caught:
        read_settings()
    assert "secret" not in str(caught.value)


def test_a_warehouse_on_a_disk_loads_no_library_for_object_storage(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from dci_pipeline.warehouse.store import Warehouse; import polars as pl;"
        "w = Warehouse(Path(sys.argv[1]), 'dci'); w.commit('index', 'n', pl.DataFrame({'n': [1]}), stamp=w.stamp({}));"
        "print('obstore' in sys.modules, 'dci_pipeline.warehouse.leases' in sys.modules)"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    said = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert said.stdout.split() == ["False", "False"], said.stderr
