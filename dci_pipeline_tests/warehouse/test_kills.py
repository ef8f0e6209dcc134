"""A process that lands, commits and publishes, killed at random instants: nothing reported is lost, nothing is partial.

The instants come from a seed that a failure prints.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from dci_pipeline.framework import Framework
from dci_pipeline.framework_files import read_framework
from dci_pipeline.marts.promise import promised
from dci_pipeline.periods import parse
from dci_pipeline.warehouse import catalogue, deliveries, places
from dci_pipeline.warehouse.layout import RECEIPT, RECEIPT_COPY, Layout
from dci_pipeline.warehouse.receipts import is_whole, receipt_is_whole
from dci_pipeline.warehouse.store import Warehouse
from dci_pipeline_tests.commands import warm
from dci_pipeline_tests.conftest import CONTRACTS

KILLS, SEED = 200, 20260508
TABLES = ("node", "weights")
FEED, PARTNER, MONTHS = "transactions", "pay_a", 4
HEADER = "partner,record_id,event_date,city,sector,transaction_count,amount_fen\n"


def framework() -> Framework:
    whole = read_framework(CONTRACTS, "dci")
    return replace(whole, tables={name: whole.tables[name] for name in TABLES})


def delivery_of(folder: Path, number: int) -> tuple[Path, Any]:
    month = parse(f"2019-{number % MONTHS + 1:02d}", "month")
    path = folder / f"sent-{os.getpid()}-{number % 3}.csv"
    rows = [f"{PARTNER},r{row},{month.start},成都,金融,{number + 1},{row}\n" for row in range(40)]
    path.write_bytes((HEADER + "".join(rows)).encode("gb18030"))
    return path.rename(folder / f"d{number}.csv"), month


def generation(name: str, number: int, framework: Framework) -> pl.DataFrame:
    """One row of which every text says the generation."""
    kinds: dict[str, Any] = {
        "string": pl.String,
        "boolean": pl.Boolean,
        "number": pl.Float64,
        "integer": pl.Int64,
        "date": pl.Date,
    }
    values: dict[str, Any] = {"string": f"g{number}", "boolean": False, "number": 1.0, "integer": 1, "date": None}
    columns = framework.tables[name].columns
    row = {column.name: values[column.type] for column in columns}
    row |= {column.name: parse("2019-01", "month").start for column in columns if column.type == "date"}
    return promised(pl.DataFrame([row], schema={c.name: kinds[c.type] for c in columns}), framework.tables[name])


def work(root: Path, sent: Path, first: int, last: int, log: Path | None, known: Framework, ready: Any = None) -> None:
    """Land, commit every table, publish; say in the log what has been done, after it has been done."""
    warehouse = Warehouse(root, "dci")
    if ready is not None:
        ready.send(True)
    for number in range(first, last):
        path, month = delivery_of(sent, number)
        deliveries.land(
            warehouse.layout, [path], contract=known.feeds[FEED], cadence="month", partner=PARTNER, period=month
        )
        said(log, "landed", number)
        for name in TABLES:
            frame = generation(name, number, known)
            warehouse.commit("marts", name, frame, stamp=warehouse.stamp({"generation": str(number)}))
        said(log, "committed", number)
        catalogue.build(warehouse, known)
        said(log, "published", number)


def said(log: Path | None, what: str, number: int) -> None:
    if log is not None:
        with log.open("a", encoding="ascii") as file:
            file.write(f"{what} {number}\n")


def reported(log: Path, what: str) -> int:
    lines = log.read_text("ascii").splitlines() if log.exists() else []
    return max((int(line.split()[1]) for line in lines if line.startswith(what)), default=-1)


def check(root: Path, sent: Path, log: Path, known: Framework) -> None:
    warehouse = Warehouse(root, "dci")
    layout = warehouse.layout
    held: dict[str, Any] = {}
    for path in sorted((layout.home / "feeds").rglob("typed.parquet")):
        if ".work" not in path.parts:
            assert (path.parent / RECEIPT).is_file(), f"{path.parent} is partial"
    for number in range(MONTHS):
        month = parse(f"2019-{number + 1:02d}", "month")
        for item in deliveries.history(layout, FEED, month, PARTNER):
            assert receipt_is_whole(item.folder / RECEIPT_COPY)
            for part in item.parts:
                assert is_whole(item.folder / part.name, part.sha256)
                held[part.name] = item
            assert deliveries.typed_is_whole(item)
    for number in range(reported(log, "landed") + 1):
        assert f"d{number}.csv" in held, f"delivery {number} was reported and is lost"
    done = reported(log, "committed")
    for name in TABLES:
        if done >= 0 or warehouse.partitions("marts", name):
            rows = warehouse.read("marts", name)
            seen = int(rows.select(pl.col(pl.String).first()).row(0)[0].removeprefix("g"))
            assert seen in (done, done + 1)
    published = reported(log, "published")
    if published >= 0 or layout.catalogue.is_file():
        with duckdb.connect(str(layout.catalogue), read_only=True) as connection:
            shown = {_shown(connection, name) for name in TABLES}
        assert len(shown) == 1, f"mixed: {shown}"
        assert shown <= {published, published + 1}


def _shown(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    column = "node" if name == "node" else "wave"
    return int(connection.sql(f"SELECT {column} FROM {name}").fetchall()[0][0].removeprefix("g"))


def content(root: Path) -> dict[str, object]:
    """Every file by name; of receipts what does not depend on the clock, of the catalogue its rows."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not path.is_file() or name.startswith("locks/") or name in ("dci/catalogue.json",):
            continue
        if path.name in (RECEIPT, RECEIPT_COPY):
            receipt = json.loads(path.read_bytes())
            found[name] = {key: receipt[key] for key in receipt if key not in ("received", "seal")}
        elif path.suffix == ".duckdb":
            with duckdb.connect(str(path), read_only=True) as connection:
                found[name] = [connection.sql(f"SELECT * FROM {table}").fetchall() for table in TABLES]
        else:
            found[name] = path.read_bytes()
    return found


@pytest.mark.slow
def test_nothing_is_lost_or_partial_after_two_hundred_kills(tmp_path: Path) -> None:
    context = warm(__name__)
    root, sent, log = tmp_path / "warehouse", tmp_path / "sent", tmp_path / "log"
    sent.mkdir()
    known, chance = framework(), random.Random(SEED)
    in_work = 0
    for kill in range(KILLS):
        first = reported(log, "published") + 1
        heard, ready = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(root, sent, first, first + 1000, log, known, ready))
        process.start()
        assert heard.poll(60) and heard.recv()
        wait = chance.uniform(0, 0.3)
        time.sleep(wait)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        in_work += bool(places.leftovers(Layout(root, "dci")))
        try:
            check(root, sent, log, known)
        except AssertionError as error:
            raise AssertionError(f"seed {SEED}, kill {kill}, after {wait:.4f} s: {error}") from error
    last = reported(log, "published") + 2
    assert in_work > KILLS / 20 and last > KILLS / 10, "hardly any kill met a process at work"
    work(root, sent, reported(log, "published") + 1, last, None, known)
    alone, again = tmp_path / "alone", tmp_path / "again"
    again.mkdir()
    work(alone, again, 0, last, None, known)
    assert content(root) == content(alone)
    assert not places.leftovers(Layout(root, "dci")) and not Layout(root, "dci").work.exists()
    print(f"{KILLS} kills, {in_work} of them amid unfinished work, {last} generations")
