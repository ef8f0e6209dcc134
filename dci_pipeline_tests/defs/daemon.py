"""A real daemon over a real warehouse: its schedules, sensors and run queue, in processes of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import dagster as dg
import pytest

from dci_pipeline.defs.launch import ensure_home
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import PROJECT
from dci_pipeline_tests.receivers import free_port

SERVER = ("dagster", "api", "grpc", "--use-python-environment-entry-point", "-m", "dci_pipeline.definitions", "-p")
PATIENCE = 480.0
QUEUE = """
run_coordinator:
  module: dagster._core.run_coordinator
  class: QueuedRunCoordinator
  config: {dequeue_interval_seconds: 1}
"""


def environment(work: Work, **more: str) -> dict[str, str]:
    return os.environ | {
        "DAGSTER_HOME": str(ensure_home(work.settings)),
        "DCI_WAREHOUSE": str(work.settings.warehouse),
        "DCI_CONTRACTS": str(work.settings.contracts),
        "DCI_AUTOMATION": "on",
        "DCI_LOOKS_EVERY": "1",
        **more,
    }


@contextmanager
def daemon(work: Work, folder: Path, **more: str) -> Iterator[Callable[[], str]]:
    """Runs while the block does, with the code in a server beside it; gives what both have printed.

    A daemon that is given the code itself would load it anew every minute.
    """
    instance = ensure_home(work.settings) / "dagster.yaml"
    # The engine's usual queue, looked at more often.
    instance.write_text(instance.read_text(encoding="utf-8") + QUEUE, encoding="utf-8")
    log, port = folder / "daemon.log", str(free_port())
    given = environment(work, **more)
    with log.open("wb") as out, started(given, out, *SERVER, port) as server:
        _wait_until_up(int(port), server)
        with started(given, out, "dagster._daemon", "run", "--grpc-host", "localhost", "--grpc-port", port):
            yield lambda: log.read_text(encoding="utf-8", errors="replace")[-4000:]


@contextmanager
def started(given: dict[str, str], out: IO[bytes], module: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", module, *words],
        cwd=PROJECT,
        env=given,
        stdout=out,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        # Its children too: code servers and runs.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_up(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("localhost", port), timeout=5).close()
            return
        except OSError:
            assert server.poll() is None and time.monotonic() < deadline, "the code server does not start"
            time.sleep(0.3)


def wait_for(what: str, happened: Callable[[], bool], said: Callable[[], str]) -> None:
    """Waits until it has happened. Fails with what the daemon printed."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen:\n{said()}")
        time.sleep(1)


def at_rest(instance: dg.DagsterInstance, index: str = "dci") -> bool:
    """Whether the sensor has found, since the last run ended, that everything is up to date."""
    done = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
    records = instance.get_run_records()
    if any(record.dagster_run.status not in done for record in records):
        return False
    ended = max((record.end_time or 0.0 for record in records), default=0.0)
    for state in instance.all_instigator_state():
        if state.name == f"{index}_follows":
            ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
            return bool(ticks) and ticks[0].timestamp > ended and "is up to date" in (ticks[0].skip_reason or "")
    return False


def counts(instance: dg.DagsterInstance, keys: list[dg.AssetKey]) -> dict[tuple[str, str | None], int]:
    """How often each partition of the assets has been materialised."""
    found: dict[tuple[str, str | None], int] = {}
    for key in keys:
        records = instance.fetch_materializations(key, limit=10_000).records
        for record in records:
            place = ("/".join(key.path[1:]), record.partition_key)
            found[place] = found.get(place, 0) + 1
    return found
