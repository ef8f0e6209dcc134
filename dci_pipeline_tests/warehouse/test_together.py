"""Processes at work at once: readers during publishing, and a computation overtaken by another's commit."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from dci_pipeline.findings import Conflict
from dci_pipeline.steps.commits import Overtaken, commit, latest, versions_of
from dci_pipeline.warehouse import catalogue
from dci_pipeline.warehouse.locks import lock, remove_unheld
from dci_pipeline.warehouse.store import Warehouse
from dci_pipeline.work import Work
from dci_pipeline_tests.commands import warm
from dci_pipeline_tests.conftest import MONTHS, Build
from dci_pipeline_tests.warehouse.test_kills import TABLES, framework, generation

READERS, PUBLISHES = 8, 20


def read_on(path: Path, stop: Any, found: Any, keep: bool) -> None:
    """Query every table again and again; with `keep` over one connection, which stays with the file it opened."""
    seen: list[int] = []
    held = duckdb.connect(str(path), read_only=True) if keep else None
    query = " UNION ALL ".join(f"SELECT {'node' if name == 'node' else 'wave'} FROM {name}" for name in TABLES)
    try:
        while not stop.is_set():
            if held is not None:
                rows = held.cursor().sql(query).fetchall()
            else:
                with duckdb.connect(str(path), read_only=True) as connection:
                    rows = connection.sql(query).fetchall()
            if len(set(rows)) != 1:
                found.put(("mixed", rows))
                return
            seen.append(int(rows[0][0].removeprefix("g")))
        found.put(("seen", seen))
    except Exception as error:
        found.put(("error", repr(error)))


@pytest.mark.slow
def test_eight_readers_during_twenty_publishes_see_no_error_and_no_mixture(tmp_path: Path) -> None:
    known, warehouse = framework(), Warehouse(tmp_path, "dci")

    def publish(number: int) -> None:
        for name in TABLES:
            warehouse.commit("marts", name, generation(name, number, known), stamp=warehouse.stamp({"g": str(number)}))
        assert catalogue.build(warehouse, known).changed

    publish(0)
    context = warm(__name__)
    stop, found = context.Event(), context.Queue()
    readers = [
        context.Process(target=read_on, args=(warehouse.layout.catalogue, stop, found, number % 4 == 0))
        for number in range(READERS)
    ]
    for reader in readers:
        reader.start()
    for number in range(1, PUBLISHES + 1):
        publish(number)
    stop.set()
    answers = [found.get(timeout=60) for _ in readers]
    for reader in readers:
        reader.join(60)
    assert [answer for answer in answers if answer[0] != "seen"] == []
    for _, seen in answers:
        assert seen == sorted(seen)
    assert sum(len(seen) for _, seen in answers) > PUBLISHES


def test_rows_of_older_inputs_never_replace_newer_ones(tmp_path: Path, build_narrow: Build) -> None:
    work = build_narrow(tmp_path, months=MONTHS[:1]).work
    other = Work(work.settings, work.index)
    month, key = MONTHS[0], ("index", "copied")

    def put(of: Work, number: int) -> None:
        stamp = of.warehouse.stamp({"n": str(number)})
        of.warehouse.commit("index", "source", pl.DataFrame({"n": [number]}), stamp=stamp, period=month)

    def copy(of: Work, meanwhile: Any = None) -> Any:
        inputs = versions_of(of, "index", "source", [month])

        def compute() -> pl.DataFrame:
            rows = of.warehouse.read("index", "source", month)
            if meanwhile is not None:
                meanwhile()
            return rows

        return commit(of, key, month, inputs, "", compute)

    def overtake() -> None:
        if calls:
            return
        calls.append(1)
        put(other, 2)
        latest(other, lambda: copy(other))

    calls: list[int] = []
    put(work, 1)
    # Without a second look the older rows would be written over the newer ones.
    with work.warehouse.watching(), pytest.raises(Overtaken):
        copy(work, overtake)
    assert work.warehouse.read(*key, month)["n"].to_list() == [2]
    calls.clear()
    put(work, 1)
    latest(work, lambda: copy(work, overtake))
    assert work.warehouse.read(*key, month)["n"].to_list() == [2]
    assert latest(work, lambda: copy(work)).state == "unchanged"
    assert issubclass(Overtaken, Conflict)


def test_a_process_never_waits_for_a_lock_while_it_holds_one(tmp_path: Path) -> None:
    with lock(tmp_path, "a"), pytest.raises(RuntimeError, match="could wait for each other"), lock(tmp_path, "b"):
        pass


def test_a_held_lock_stays_and_says_who_holds_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with lock(tmp_path, "free"):
        pass
    ready, stop = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(tmp_path, ready, stop))
    holder.start()
    assert ready.wait(60)
    assert [path.name for path in remove_unheld(tmp_path)] == ["free.lock"]
    with pytest.raises(Conflict, match=f"process {holder.pid} on "), lock(tmp_path, "held", wait_seconds=0.1):
        pass
    stop.set()
    holder.join(60)


def hold(folder: Path, ready: Any, stop: Any) -> None:
    with lock(folder, "held"):
        ready.set()
        stop.wait(60)
