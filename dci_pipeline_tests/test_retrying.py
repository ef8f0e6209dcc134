"""Faults of the disk that pass are tried again, for one period and step alone; verdicts and lasting faults are not.

The faults are the kernel's own: reading a link to /proc/self/mem gives EIO, writing to /dev/full gives ENOSPC.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import polars as pl
import pytest

from dci_pipeline import refresh
from dci_pipeline.findings import Conflict, Finding, Held
from dci_pipeline.path import path
from dci_pipeline.periods import Period, parse
from dci_pipeline.retrying import WAITS, is_transient, run_step
from dci_pipeline.settings import Settings
from dci_pipeline.work import Outcome, Step, Work
from dci_pipeline_tests.conftest import Build, World
from dci_pipeline_tests.defs.test_launch import parts

MONTHS = [parse(f"2018-0{month}", "month") for month in (1, 2, 3)]
UNREADABLE = Path("/proc/self/mem")


@pytest.fixture(scope="module")
def computed(build_narrow: Build, tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_narrow(tmp_path_factory.mktemp("computed"), months=MONTHS)


@dataclass
class Broken:
    """A file whose reading fails in the kernel until it is mended; `waits` are the pauses made meanwhile."""

    file: Path
    until: int
    waits: list[float] = field(default_factory=list[float])

    def __enter__(self) -> Broken:
        self.file.rename(self.file.with_name("aside"))
        self.file.symlink_to(UNREADABLE)
        return self

    def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        if len(self.waits) == self.until:
            self.mend()

    def mend(self) -> None:
        self.file.unlink()
        self.file.with_name("aside").rename(self.file)

    def __exit__(self, *_: object) -> None:
        if self.file.is_symlink():
            self.mend()


def shares_unreadable(computed: World) -> tuple[Step, Broken]:
    """The step of the shares of the last month, which finds out from a stamp that cannot be read what is to be done."""
    layout = computed.work.warehouse.layout
    (step,) = [step for step in path(computed.work.framework) if step.key == ("normalise", "shares")]
    return step, Broken(layout.stamp(layout.table("normalise", "shares", MONTHS[-1])), until=2)


def test_a_read_that_fails_for_a_while_is_tried_again(computed: World) -> None:
    before = parts(computed.work)
    step, broken = shares_unreadable(computed)
    said: list[str] = []
    with broken:
        outcome = run_step(step, computed.work, MONTHS[-1], say=said.append, pause=broken.pause)
    assert outcome.rows > 0
    assert len(broken.waits) == 2 and len(said) == 2
    assert said[0].startswith("dci/normalise/shares 2018-03: Input/output error")
    assert 0.5 <= broken.waits[0] <= 1.5 and 2 <= broken.waits[1] <= 6
    assert parts(computed.work) == before


def test_a_read_that_fails_for_good_is_raised_as_it_was(computed: World) -> None:
    step, broken = shares_unreadable(computed)
    broken.until = 99
    with broken, pytest.raises(OSError) as raised:
        run_step(step, computed.work, MONTHS[-1], say=str, pause=broken.pause)
    assert raised.value.errno == errno.EIO
    assert len(broken.waits) == len(WAITS)


def test_a_refresh_says_what_it_met_and_counts_every_outcome_once(
    computed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, broken = shares_unreadable(computed)
    monkeypatch.setattr(run_step, "__kwdefaults__", {"pause": broken.pause})
    with broken:
        report = refresh.run_direct(computed.work, MONTHS)
    assert len(report.retried) == 2
    keys = [(outcome.key, outcome.period) for outcome in report.outcomes]
    assert len(keys) == len(set(keys)) and (step.key, MONTHS[-1]) in keys


def test_a_refresh_through_the_engine_tries_again_within_the_step(
    computed: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import dagster as dg

    from dci_pipeline.defs.launch import run_in_process

    seen: list[tuple[Step, Period | None, Outcome | None]] = []
    step, broken = shares_unreadable(computed)
    monkeypatch.setattr(run_step, "__kwdefaults__", {"pause": broken.pause})
    with broken:
        report = run_in_process(computed.work, MONTHS, progress=lambda *call: seen.append(call))
    assert len(report.retried) == 2 and report.held == {}
    after = [(step.key, period) for step, period, outcome in seen if outcome is not None]
    assert len(after) == len(set(after)) == len(report.outcomes)
    with dg.DagsterInstance.from_config(str(computed.work.settings.dagster_home)) as instance:
        (run,) = instance.get_runs(filters=dg.RunsFilter(job_name="dci_periods"))
        assert run.status is dg.DagsterRunStatus.SUCCESS
        warnings = [entry.user_message for entry in instance.all_logs(run.run_id) if entry.level == 30]
        assert [text for text in warnings if "tried again after" in text] == report.retried
        materialised = instance.fetch_materializations(dg.AssetKey(["dci", *step.key]), limit=20).records
    assert sorted(record.partition_key for record in materialised) == [period.key for period in MONTHS]


def _raises(error: Exception) -> Step:
    def run(work: Work, period: Period | None) -> Outcome:
        calls.append(error)
        raise error

    calls.clear()
    return Step(("normalise", "shares"), "period", run, (), "")


calls: list[Exception] = []


@pytest.mark.parametrize(
    "error",
    [
        Finding("the file is damaged"),
        Held("a blocking check failed", found="Input/output error (os error 5)"),
        Conflict("somebody else is at it"),
        ZeroDivisionError("(os error 5)"),
        OSError(errno.ENOSPC, "No space left on device"),
        PermissionError(errno.EACCES, "Permission denied"),
        OSError(errno.EROFS, "Read-only file system"),
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        OSError("No space left on device (os error 28)"),
    ],
    ids=lambda error: f"{type(error).__name__}-{getattr(error, 'errno', None)}",
)
def test_what_does_not_pass_is_never_tried_again(tmp_path: Path, error: Exception) -> None:
    work = Work(Settings(tmp_path, tmp_path, "polars"), "any")
    with pytest.raises(type(error)) as raised:
        run_step(_raises(error), work, MONTHS[0], say=pytest.fail, pause=pytest.fail)
    assert raised.value is error and calls == [error]


def _sink(path: Path) -> Callable[[], object]:
    return lambda: pl.LazyFrame({"a": list(range(1000))}).sink_parquet(path)


@pytest.mark.parametrize(
    ("fault", "transient"),
    [
        (UNREADABLE.read_bytes, True),
        (_sink(UNREADABLE), True),
        (_sink(Path("/dev/full")), False),
        (lambda: duckdb.sql("COPY (SELECT 1) TO '/dev/full' (FORMAT parquet)"), False),
        (lambda: pl.read_parquet("/nowhere/x.parquet"), False),
    ],
    ids=["python", "polars", "polars, full disk", "duckdb, full disk", "polars, no file"],
)
def test_the_kernel_s_own_errors_are_told_apart(fault: Callable[[], object], transient: bool) -> None:
    with pytest.raises(Exception) as raised:
        fault()
    assert is_transient(raised.value) == transient, raised.value


def test_a_refused_connection_passes() -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ConnectionRefusedError) as raised:
        socket.create_connection(("127.0.0.1", port), timeout=5)
    assert is_transient(raised.value)
    assert not is_transient(OSError(os.strerror(errno.EIO)))
