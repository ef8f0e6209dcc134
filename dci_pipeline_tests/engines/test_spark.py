"""Spark, on a real cluster of two workers: the figures and bytes of the engines in this process, or a clear end."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dci_pipeline import contract_files, engines
from dci_pipeline.contracts import FeedContract
from dci_pipeline.findings import Finding
from dci_pipeline.settings import Settings
from dci_pipeline.steps import validation
from dci_pipeline.validation.scan import Scan, scan
from dci_pipeline.work import Work
from dci_pipeline_tests import shapes
from dci_pipeline_tests import test_faults as planting
from dci_pipeline_tests.engines import cluster
from dci_pipeline_tests.engines.cluster import LOOPBACK, Cluster
from dci_pipeline_tests.validation.deliveries import ALIASES, PARTNER, PERIOD, RATED, SPLITS, contract, frame, row

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas")]

SECRET = "s3cret-of-the-test"
BOUND = 30.0  # seconds within which an engine that does not answer ends a run


@pytest.fixture(scope="module")
def client() -> Iterator[None]:
    """pyspark on the path of these tests and of no others: Great Expectations imports it where it finds it."""
    reason = cluster.missing()
    if reason is not None:
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch:
        folder = str(cluster.packages())
        patch.setattr("sys.path", [*__import__("sys").path, folder])
        yield


@pytest.fixture(scope="module")
def spark(client: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster.cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


def judged(engine: str, paths: list[Path], folder: Path, of: FeedContract, aliases: pl.DataFrame = ALIASES) -> Scan:
    """A scan, its quarantine written to `folder`/rejected-….parquet by the engine and read back into one file there."""
    with engines.engine(engine, temp_directory=folder) as opened:
        found = scan(
            opened,
            opened.scan(paths),
            contract=of,
            period=PERIOD,
            partner=PARTNER,
            aliases=aliases,
            leaves=RATED,
            splits=SPLITS,
        )
        for number, part in enumerate(found.quarantine):
            written = opened.sink(part, folder / f"rejected-{engine[:2]}-{number}")
            pl.read_parquet(written, glob=False).write_parquet(folder / f"{engine[:2]}.parquet")
    return found


def assert_all_agree(
    spark: str, parts: list[pl.DataFrame], folder: Path, of: FeedContract, aliases: pl.DataFrame = ALIASES
) -> Scan:
    """Counts, sums, members and quarantine of the three engines are equal; polars' are returned."""
    # A path that Spark would take for a pattern, and for a partition.
    home = folder / "partner=elsewhere" / "rows [1] {a,b} * of 100 %"
    home.mkdir(parents=True)
    paths = [home / f"{number}.parquet" for number in range(len(parts))]
    for part, path in zip(parts, paths, strict=True):
        part.write_parquet(path)
    first = judged("polars", paths, folder, of, aliases)
    for engine in ("duckdb", spark):
        other = judged(engine, paths, folder, of, aliases)
        assert (other.rows, other.rejected) == (first.rows, first.rejected), engine
        for table in ("counts", "sums", "members"):
            assert_frame_equal(getattr(other, table), getattr(first, table))
        assert len(other.quarantine) == len(first.quarantine)
        if first.quarantine:
            ours, theirs = (pl.read_parquet(folder / f"{name}.parquet") for name in ("po", engine[:2]))
            assert_frame_equal(theirs, ours)
            assert theirs.height == first.rejected
    return first


def test_both_workers_work_on_many_small_files(spark: Cluster, tmp_path: Path) -> None:
    assert spark.registered() == 2
    executors = spark.executors()
    assert len(executors) == 2 and set(executors.values()) == set(spark.workers), "one of each worker"
    before = spark.tasks()
    rows = [row(number, town="AB"[number % 10 == 0], visits=number % 1100) for number in range(1, 2001)]
    parts = [frame([item | {"file": at} for item in rows[at * 50 : at * 50 + 50]]) for at in range(40)]
    found = assert_all_agree(spark.address, parts, tmp_path, contract(tmp_path))
    assert (found.rows, found.rejected) == (2000, 99)
    worked = {name for name, tasks in spark.tasks().items() if tasks > before.get(name, 0)}
    assert len({name.split("/")[0] for name in worked}) == 2, worked
    assert spark.executors() == executors, "those two and no others"


def work_on(engine: str, folder: Path, parameters: str = "") -> Work:
    return Work(Settings(folder, planting.CONTRACTS, engine, engine_parameters=parameters), "dci")


# Every feed of the index once, and every shape: a session costs ten seconds and more, however few the rows are.
DELIVERED = {
    "transactions": "even",
    "government_services": "even",
    "mobile_traffic": "few cities",
    "culture_usage": "one large partner",
    "app_usage": "all rejected",
    "platform_activity": "many copies",
    "cloud_usage": "many parts",
}


@pytest.mark.parametrize("feed", DELIVERED)
def test_every_table_of_a_faulty_delivery_has_the_same_bytes(spark: Cluster, feed: str, tmp_path: Path) -> None:
    sent = shapes.shaped(DELIVERED[feed], feed, 4000)
    made: dict[str, dict[str, bytes]] = {}
    for engine in ("polars", "duckdb", spark.address):
        work = work_on(engine, tmp_path / engine[:2])
        for delivery in sent:
            shapes.land(work, feed, delivery, tmp_path / "files" / delivery.partner)
        validation.validate(work, shapes.PERIOD, feed=feed)
        for delivery in sent:
            shapes.check(work, feed, delivery)
        made[engine] = shapes.committed(work)
    assert len(made["polars"]) > 6
    assert made[spark.address] == made["duckdb"] == made["polars"]


def test_every_feed_and_every_shape_is_delivered() -> None:
    assert sorted(DELIVERED) == planting.FEEDS and set(DELIVERED.values()) == set(shapes.SHAPES)


def _aliases(*names: tuple[str, str]) -> pl.DataFrame:
    extra = pl.DataFrame({"alias": [a for a, _ in names], "place": [p for _, p in names], "scope": "in"})
    return pl.concat([ALIASES, extra])


ODD = ("Q'uo\"te`", "line\nbreak", "😀城", "ß", "e\u0301", "\u00e9", "tab\tend ", "back\\slash%_*", "A\u0000B")
EDGES: list[dict[str, Any]] = [
    *({"town": name} for name in (*ODD, "a", "ALPHA", "A ", " A", "A\u00a0", "", "SS", "line\r\nbreak", None)),
    *({"kind": name} for name in ("all ", "All", "ALL", "", "all\n", "ＡＬＬ", None)),
    *({"partner": name} for name in ("North", "north ", "", None)),
    *({"grade": number} for number in (None, 0, -1, -7, 2**63 - 1, -(2**63), 2**53 + 1)),
    *({"bytes": n} for n in (None, 0, -1, 9 * 10**18, 9 * 10**18 + 1, 2**63 - 1, -(2**63), 2**32, 2**53 + 1)),
    *({"visits": number} for number in (0, 1000, 1001, -1, -(2**63), 2**63 - 1, None)),
    *({"stars": number} for number in (None, 0, 1, 5, 6, -(2**63))),
    *({"event_date": day} for day in (date(2019, 3, 31), date(2019, 4, 1), date(2019, 4, 30), date(2019, 5, 1), None)),
    *({"event_date": day} for day in (date(1, 1, 1), date(1582, 10, 10), date(1900, 1, 1), date(9999, 12, 31))),
    *({"record_id": text} for text in ("ab\n", "ab\r", "AB", "é", "a b", "", "0123456789", "٣", "\u2028", None, "ok")),
    *({"ratio": number} for number in (None, -0.0, 0.0, 1.0, 1.0000000000000002, float("nan"), float("inf"), -1e-300)),
]
# Rows that share a key, two by two: what differs between them.
PAIRS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"ratio": float("nan")}, {"ratio": float("nan")}),
    ({"ratio": float("nan")}, {"ratio": 0.5}),
    ({"ratio": -0.0}, {"ratio": 0.0}),
    ({"ratio": None}, {"ratio": float("nan")}),
    ({"ratio": None}, {"ratio": None}),
    ({"grade": None}, {"grade": 0}),
    ({"kind": "all"}, {"kind": "ALL"}),
    ({"kind": "all"}, {"kind": "all "}),
    ({"town": "A"}, {"town": "Alpha"}),
    ({"town": "é"}, {"town": "e\u0301"}),
]


@pytest.fixture
def of(tmp_path: Path) -> FeedContract:
    """The contract of the folder's tests with a number besides, as the contracts of the project have none."""
    contract(tmp_path)
    text = (tmp_path / "visits.yaml").read_text(encoding="utf-8") + (
        "      - {name: ratio, logicalType: number, logicalTypeOptions: {minimum: 0.0, maximum: 1.0},"
        " customProperties: [{property: role, value: dimension}]}\n"
    )
    (tmp_path / "visits.yaml").write_text(text, encoding="utf-8")
    return contract_files.read_feed(tmp_path / "visits.yaml", index="test")


def test_the_edges_of_every_type_agree(spark: Cluster, of: FeedContract, tmp_path: Path) -> None:
    changes = [{"ratio": 0.5} | change for change in EDGES]
    rows = [row(number) | change for number, change in enumerate(changes, start=1)]
    for number, pair in enumerate(PAIRS, start=1000):
        for place, change in enumerate(pair):
            rows.append(row(1, record_id=f"p{number}", file_row=2 * number + place) | {"ratio": 0.5} | change)
    # All of a place's values of one measure are null; of another place none is accepted.
    rows += [row(5000, town="B", bytes=None) | {"ratio": 0.5}, row(5001, town="Beta", visits=-1) | {"ratio": 0.5}]
    table = frame(rows).with_columns(pl.Series("ratio", [item["ratio"] for item in rows], dtype=pl.Float64))
    aliases = _aliases(*((name, f"place {number}\n😀'\"") for number, name in enumerate(ODD)))
    found = assert_all_agree(spark.address, [table, table.head(0)], tmp_path, of, aliases)
    rejected = pl.read_parquet(tmp_path / "sc.parquet")
    broken = dict(rejected.select("file_row", "rules").iter_rows())
    said = {number: broken.get(number) for number in range(1, len(EDGES) + 1)}
    odd = {number: rules for number, rules in said.items() if EDGES[number - 1].get("town") in ODD}
    assert set(odd.values()) == {None}, "a name is a name, whatever its letters"
    assert broken[len(ODD) + 1] == "town.known", "the case of a name counts"
    for number, change in enumerate(EDGES, start=1):
        if change.get("record_id", "ok") != "ok" or change == {"record_id": None}:
            assert said[number] in ("record_id.pattern", "record_id.not_null"), change
    repeated = {number for number, rules in broken.items() if "key.unique" in rules}
    pairs = [(2 * number in repeated, 2 * number + 1 in repeated) for number in range(1000, 1000 + len(PAIRS))]
    same, other = (False, True), (True, True)
    assert pairs == [same, other, same, other, same, *[other] * 5]
    assert found.sums.filter((pl.col("place") == "B") & (pl.col("indicator") == "traffic")).is_empty()


def test_the_same_expressions_give_the_same_values(spark: Cluster) -> None:
    import narwhals.stable.v2 as nw

    from dci_pipeline.contracts import Column
    from dci_pipeline.validation.flags import portable
    from dci_pipeline.validation.halves import HALF, divided, halves

    numbers = [
        0,
        1,
        -1,
        7 * (2**59 + 1),
        -7 * (2**58 + 3),
        HALF,
        -HALF,
        HALF - 1,
        2**53 + 1,
        -(2**53) - 1,
        2**63 - 1,
        -(2**63),
        None,
    ]
    texts = ["a", "A", "a ", "a\n", "a\r", "\u0085", "é", "😀", "", "a.b", "٣", None, "a\\b"]
    patterns = ["^a$", "^.$", "^[^a]{1,2}$", r"^a\.b$", "^(?:a|A) ?$", "^[0-9]*$", r"^a\\b$", "^[.]?a$", r"^a[\n]$"]
    table = pl.DataFrame({"n": numbers, "t": texts, "x": [float("nan"), -0.0, 0.0, None, *[1.5] * 9]})
    high, low = halves(nw.col("n"))
    results: list[pl.DataFrame] = []
    for name in (*engines.NAMES, spark.address):
        with engines.engine(name) as engine:
            lazy = engine.small(table.with_row_index("at").with_columns(pl.col("at").cast(pl.Int64)))
            checked = [
                nw.col("t")
                .str.contains(portable(Column("t", "string", "attribute", "t", pattern=pattern)))
                .alias(pattern)
                for pattern in patterns
            ]
            sevenths = nw.when(nw.col("n") % 7 == 0, nw.col("n").abs() < 2**62).then(divided(nw.col("n"), 7))
            results.append(
                engine.collect(
                    lazy.select(
                        "at",
                        high.alias("high"),
                        low.alias("low"),
                        sevenths.alias("sevenths"),
                        nw.col("t").is_in(["a", "A", ""]).alias("in"),
                        (nw.col("x") == 0).alias("zero"),
                        nw.col("x").is_nan().alias("nan"),
                        (nw.col("x") > 1).alias("more"),
                        *checked,
                    ).sort("at")
                )
            )
            empty = engine.collect(
                lazy.filter(nw.col("n") > 10, nw.col("n") < 10).select(nw.len().alias("rows"), nw.col("n").count())
            )
            assert empty.row(0) == (0, 0)
            missing = engine.collect(lazy.group_by("t").agg(nw.col("n").count(), nw.col("n").min().alias("least")))
            assert missing.height == len(texts), "null is a group, and letters of another case are another"
    for other in results[1:]:
        assert_frame_equal(other, results[0])
    for number, upper, lower in zip(numbers, results[0]["high"], results[0]["low"], strict=True):
        assert (upper, lower) == (None, None) if number is None else upper * HALF + lower == number
    assert results[0]["sevenths"].to_list()[:5] == [0, None, None, 2**59 + 1, -(2**58) - 3]


def test_overflow_is_refused(spark: Cluster, tmp_path: Path) -> None:
    import narwhals.stable.v2 as nw

    rows = [row(1, bytes=2**62), row(2, bytes=2**62)]
    path = tmp_path / "rows.parquet"
    frame(rows).write_parquet(path)
    said: set[str] = set()
    for engine in ("polars", "duckdb", spark.address):
        with pytest.raises(Finding, match=f"traffic of A: {2**63}") as error:
            judged(engine, [path], tmp_path, contract(tmp_path))
        said.add(str(error.value))
    assert len(said) == 1
    with engines.engine(spark.address) as engine, pytest.raises(Finding, match="an integer beyond 64 bits"):
        engine.collect(engine.scan([path]).select(nw.col("bytes").sum()))


def test_a_killed_executor_changes_nothing(spark: Cluster, tmp_path: Path) -> None:
    number = pl.Series("n", range(1, 240_001), dtype=pl.Int64)
    table = pl.concat([frame([row(1)])] * number.len()).with_columns(
        record_id=pl.lit("r") + (number - (number % 1000 == 0).cast(pl.Int64)).cast(pl.String),
        visits=number % 1100,
        town=pl.when(number % 3 == 0).then(pl.lit("Beta")).otherwise(pl.lit("A")),
        file_row=number,
    )
    paths = [tmp_path / f"{at}.parquet" for at in range(6)]
    for at, path in enumerate(paths):
        table.slice(at * 40_000, 40_000).with_columns(file=pl.lit(at, dtype=pl.Int32)).write_parquet(path)
    of = contract(tmp_path)
    expected = judged("polars", paths, tmp_path, of)
    before, victims = spark.tasks(), spark.executors()
    done, killed = threading.Event(), []

    def kill() -> None:
        # Once both have begun new tasks of this run, and before it ends.
        while not done.is_set():
            began = {name.split("/")[0] for name, tasks in spark.tasks().items() if tasks > before.get(name, 0) + 2}
            if len(began) == 2:
                victim = next(iter(victims))
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)
                return
            time.sleep(0.05)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        found = judged(spark.address, paths, tmp_path, of)
    finally:
        done.set()
        killer.join()
    assert killed, "the run was over before anything could be killed"
    assert (found.rows, found.rejected) == (expected.rows, expected.rejected)
    for name in ("counts", "sums", "members"):
        assert_frame_equal(getattr(found, name), getattr(expected, name))
    assert_frame_equal(pl.read_parquet(tmp_path / "sc.parquet"), pl.read_parquet(tmp_path / "po.parquet"))
    cluster.wait(lambda: len(spark.executors()) == 2, "an executor in the place of the one killed")
    assert killed[0] not in spark.executors()


@contextmanager
def listening() -> Iterator[int]:
    """A port on which connections are taken and never answered."""
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        server.listen(16)
        yield int(server.getsockname()[1])


@pytest.mark.parametrize("parameters", ["", f"use_ssl=true;token={SECRET}"])
@pytest.mark.parametrize("taken", [False, True], ids=["nobody there", "no answer"])
def test_an_engine_out_of_reach_ends_the_run(client: None, taken: bool, parameters: str, tmp_path: Path) -> None:
    with listening() as port:
        address = f"sc://{LOOPBACK}:{port if taken else cluster.free()}"
        work = work_on(address, tmp_path / "warehouse", parameters)
        planting.land(work, "transactions", planting.planted("transactions")[0], tmp_path)
        began = time.monotonic()
        with pytest.raises(Finding, match="the engine cannot be reached") as error:
            validation.validate(work, planting.PERIOD, feed="transactions")
        assert time.monotonic() - began < BOUND
    assert address in str(error.value) and "DCI_ENGINE" in error.value.todo
    assert SECRET not in repr((error.value, error.value.__context__, work.settings))
    assert not list((tmp_path / "warehouse").rglob("validation/*/part.parquet")), "no other engine did its work"
    assert shapes.committed(work) == {}


def test_a_server_lost_on_the_way_ends_the_run(spark: Cluster, tmp_path: Path) -> None:
    import narwhals.stable.v2 as nw

    with forwarded(spark.port) as (port, cut), engines.engine(f"sc://{LOOPBACK}:{port}") as engine:
        lazy = engine.small(pl.DataFrame({"n": [1, 2]})).select(nw.col("n").sum())
        assert engine.collect(lazy).item() == 3
        cut()
        began = time.monotonic()
        with pytest.raises(Finding, match="the engine cannot be reached"):
            engine.collect(lazy)
        assert time.monotonic() - began < 2 * BOUND


@contextmanager
def forwarded(target: int) -> Iterator[tuple[int, Callable[[], None]]]:
    """A port that leads to another until it is cut."""
    server = socket.create_server((LOOPBACK, 0))
    open_: list[socket.socket] = [server]

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass

    def accept() -> None:
        try:
            while True:
                near, _ = server.accept()
                far = socket.create_connection((LOOPBACK, target))
                open_.extend((near, far))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()
        except OSError:
            pass

    def cut() -> None:
        for item in open_:
            with suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
            item.close()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(server.getsockname()[1]), cut
    finally:
        cut()


def test_a_file_the_server_cannot_see_is_said(spark: Cluster, tmp_path: Path) -> None:
    with engines.engine(spark.address) as engine, pytest.raises(Finding, match="cannot read a file of the warehouse"):
        engine.scan([tmp_path / "nowhere.parquet"])


def test_parameters_are_told_to_nobody(spark: Cluster, tmp_path: Path) -> None:
    # A name of the user is no secret, but it is a parameter; the server repeats it in what it says.
    with engines.engine(spark.address, parameters=f"user_id={SECRET}") as engine:
        assert SECRET not in repr(engine)
        with pytest.raises(Finding) as error:
            engine.scan([tmp_path / SECRET / "nowhere.parquet"])
        assert SECRET not in str(error.value) and "…" in str(error.value)
