"""A real daemon over a real warehouse: its schedules, sensors and run queue, in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
import pytest

from dci_pipeline.defs.launch import ensure_home
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import PROJECT

PATIENCE = 480.0


def environment(work: Work, **more: str) -> dict[str, str]:
    return os.environ | {
        "DAGSTER_HOME": str(ensure_home(work.settings)),
        "DCI_WAREHOUSE": str(work.settings.warehouse),
        "DCI_CONTRACTS": str(work.settings.contracts),
        "DCI_AUTOMATION": "on",
        **more,
    }


@contextmanager
def daemon(work: Work, folder: Path, **more: str) -> Iterator[Callable[[], str]]:
    """Runs while the block does; gives what it has printed."""
    log = folder / "daemon.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster._daemon", "run", "-m", "dci_pipeline.definitions"],
            cwd=PROJECT,
            env=environment(work, **more),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield lambda: log.read_text(encoding="utf-8", errors="replace")[-4000:]
        finally:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=30)
            # Its children too: code servers and runs.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(what: str, happened: Callable[[], bool], said: Callable[[], str]) -> None:
    """Waits until it has happened. Fails with what the daemon printed."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen:\n{said()}")
        time.sleep(0.5)


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
