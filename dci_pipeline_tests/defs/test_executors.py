"""Slices in processes of their own: the same bytes and records as in one process, nothing lost or made twice.

Every run is a real `dci run` in a process of its own, into a real record of runs.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import dagster as dg
import pytest

from dci_pipeline.defs.failures import failure_of
from dci_pipeline.defs.launch import open_instance
from dci_pipeline.findings import Finding
from dci_pipeline.path import path
from dci_pipeline.settings import Settings, read_settings
from dci_pipeline.warehouse import deliveries as landed_ones
from dci_pipeline.work import Work
from dci_pipeline_tests import commands
from dci_pipeline_tests.commands import Command
from dci_pipeline_tests.conftest import PROJECT, Simulated, land
from dci_pipeline_tests.defs.conftest import BROKEN, MONTHS

THREE = MONTHS[:3]
FEED, ONE, OTHER = "cloud_usage", "cloud_a", "cloud_b"
MONTH = THREE[0]
PATIENCE = 120.0
T = TypeVar("T")


@dataclass(frozen=True)
class Ran:
    """A warehouse after a `dci run` over it."""

    work: Work
    code: int
    said: str


RUN = ("run", "--index", "dci")


def environment(work: Work, executor: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("DCI_")},
        "DCI_WAREHOUSE": str(work.settings.warehouse),
        "DCI_CONTRACTS": str(work.settings.contracts),
        "DCI_EXECUTOR": executor,
        "DCI_WORKERS": "2",
        "COLUMNS": "500",
    }


def run(work: Work, executor: str = "multiprocess") -> Ran:
    return Ran(work, *commands.run(*RUN, environment=environment(work, executor)))


def running(work: Work) -> AbstractContextManager[Command]:
    return commands.running(*RUN, environment=environment(work, "multiprocess"))


def until(met: Callable[[], T], what: str) -> T:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := met():
            return found
        time.sleep(0.5)
    raise AssertionError(f"waited in vain for {what}")


def files(work: Work) -> dict[str, bytes]:
    """Every table, stamp, suite and result, by its path; a DuckDB file has other bytes each time."""
    home = work.warehouse.layout.home
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and path.relative_to(home).parts[0] not in ("feeds", ".work", "catalogue.json")
    }


@dataclass(frozen=True)
class Slice:
    """One slice's step in one run: the process it was given to and how it ended."""

    name: str
    worker: int
    state: str | None


def slices(work: Work) -> list[Slice]:
    """The slices that all runs on record have sent to processes, the oldest run first."""
    found: list[Slice] = []
    # Opened without the lock on the record, which a test that holds a slice's lock may not ask for.
    with dg.DagsterInstance.from_config(str(work.settings.dagster_home)) as instance:
        for item in reversed(instance.get_runs()):
            pids: dict[str, int] = {}
            states: dict[str, str] = {}
            for entry in instance.all_logs(item.run_id):
                event = entry.dagster_event
                if event is None or event.step_key is None:
                    continue
                if event.event_type is dg.DagsterEventType.STEP_WORKER_STARTING:
                    pids[event.step_key] = int(str(event.engine_event_data.metadata["pid"].value))
                if event.event_type is dg.DagsterEventType.STEP_OUTPUT and event.step_key in pids:
                    told = event.step_output_data.metadata
                    assert str(told["worker"].value).startswith(f"process {pids[event.step_key]} on ")
                    states[event.step_key] = str(told["state"].value)
            found += [Slice(re.sub(r".*\[(.*)\]", r"\1", key), pid, states.get(key)) for key, pid in pids.items()]
    return found


Landed = tuple[Path, list[Simulated], Simulated, list[int]]


@pytest.fixture(scope="module")
def in_process(deliveries: Landed, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    contracts, sent, *_ = deliveries
    work = Work(Settings(tmp_path_factory.mktemp("one") / "warehouse", contracts, "polars"), "dci")
    land(work, [item for item in sent if item.period in THREE])
    shutil.copytree(work.settings.warehouse, work.settings.warehouse.with_name("landed"))
    return run(work, "in_process")


def beside(ran: Ran, name: str, folder: Path) -> Work:
    """A copy of a warehouse as it was landed, or as it is."""
    shutil.copytree(ran.work.settings.warehouse.with_name(name), folder)
    return Work(Settings(folder, ran.work.settings.contracts, "polars"), "dci")


@pytest.fixture(scope="module")
def fanned_out(in_process: Ran, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run(beside(in_process, "landed", tmp_path_factory.mktemp("many") / "warehouse"))


def without(work: Work, *partners: str) -> Work:
    """The warehouse with the slices of these partners to be made again."""
    for partner in partners:
        work.warehouse.remove("validation", f"{FEED}_verdict", MONTH, partner=partner)
    return work


@pytest.mark.slow
def test_every_table_slice_and_document_has_the_bytes_of_one_process(in_process: Ran, fanned_out: Ran) -> None:
    assert (fanned_out.code, in_process.code) == (1, 1), fanned_out.said
    expected = files(in_process.work)
    assert len([name for name in expected if name.startswith(f"validation/{FEED}_sums/") and "part." in name]) == 6
    assert files(fanned_out.work) == expected
    assert "60 of" in fanned_out.said and str(BROKEN) in fanned_out.said


@pytest.mark.slow
def test_slices_are_made_in_processes_of_their_own(fanned_out: Ran) -> None:
    made = slices(fanned_out.work)
    partners = sum(len(contract.partners) for contract in fanned_out.work.framework.feeds.values())
    assert len(made) == len(THREE) * partners
    assert {item.state for item in made} == {"written"}
    assert len({item.worker for item in made}) == len(made)


def recorded(ran: Ran) -> dict[str, object]:
    """What the UI shows of every table and period: metadata, data version, checks with their rows."""
    root = str(ran.work.settings.warehouse)
    found: dict[str, object] = {}
    with open_instance(ran.work) as instance:
        for step in path(ran.work.framework):
            key = dg.AssetKey(["dci", *step.key])
            for record in instance.fetch_materializations(key, limit=20).records:
                told = record.asset_materialization
                assert told is not None
                found[f"{key.to_user_string()} {told.partition}"] = (
                    {name: str(value.value).replace(root, "") for name, value in told.metadata.items()},
                    {
                        name: value
                        for name, value in (told.tags or {}).items()
                        if not name.startswith("dagster/input_event_pointer")
                    },
                )
            for check, _ in step.checks:
                history = instance.event_log_storage.get_asset_check_execution_history(
                    dg.AssetCheckKey(key, check), limit=20
                )
                for record in history:
                    event = record.event.dagster_event if record.event else None
                    if event is None or event.event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                        continue
                    said = event.asset_check_evaluation_data
                    found[f"{key.to_user_string()} {check} {said.partition}"] = (
                        said.passed,
                        said.severity,
                        said.blocking,
                        said.description,
                        said.metadata,
                        said.target_materialization_data is not None,
                    )
        found["runs"] = [(item.job_name, item.status) for item in instance.get_runs()]
        failures = [
            (event.step_key, event.step_failure_data.user_failure_data.description)
            for item in instance.get_runs()
            for entry in instance.all_logs(item.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
            if (event := entry.dagster_event) is not None
        ]
        found["failures"] = sorted(failures)
    return found


@pytest.mark.slow
def test_the_record_shows_the_same_of_every_table_and_check(in_process: Ran, fanned_out: Ran) -> None:
    expected, found = recorded(in_process), recorded(fanned_out)
    assert len([name for name in expected if "validation/" in name and "contract_rules" in name]) == len(THREE) * 4
    for name in sorted({*expected, *found}):
        assert found.get(name) == expected.get(name), name


@pytest.mark.slow
def test_a_killed_process_fails_the_run_and_the_next_makes_only_what_is_missing(
    in_process: Ran, tmp_path: Path
) -> None:
    expected = files(in_process.work)
    work = without(beside(in_process, "warehouse", tmp_path / "copy"), ONE, OTHER)
    # The process that is to be killed is kept at the lock of its slice.
    with work.warehouse.lock(f"{FEED}-{MONTH}-{ONE}"), running(work) as process:
        names = {ONE: f"{MONTH.key.replace('-', '_')}_{ONE}", OTHER: f"{MONTH.key.replace('-', '_')}_{OTHER}"}
        until(
            lambda: (
                {(item.name, item.state) for item in slices(work)} == {(names[ONE], None), (names[OTHER], "written")}
            ),
            "one slice made and the other begun",
        )
        (waiting,) = (item for item in slices(work) if item.state is None)
        os.kill(waiting.worker, signal.SIGKILL)
        code, said = process.ended(120)
        assert code == 2, said
        assert f"process {waiting.worker} was killed by signal 9" in said
        assert "Traceback" not in said
    with open_instance(work) as instance:
        (failed,) = instance.get_runs(limit=1)
        assert failed.status is dg.DagsterRunStatus.FAILURE
        message = failure_of(instance, failed, work, None)
        assert [(step.table, step.kind) for step in message.steps] == [(f"validation/{FEED}", "error")]
        assert "was killed by signal 9" in message.steps[0].says
    again = run(work)
    assert again.code == 1, again.said  # a month is held back, as before
    assert [(item.name, item.state) for item in slices(work)[2:]] == [(names[ONE], "written")]
    with open_instance(work) as instance:
        (last,) = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(["dci", "validation", FEED]), asset_partitions=[MONTH.key]), 1
        ).records
    # Its sums came out as they were; that rows were made anew is said all the same, as in one process.
    assert last.asset_materialization is not None
    assert last.asset_materialization.metadata["state"].value == "written"
    assert files(work) == expected


@pytest.mark.slow
def test_two_runs_make_a_slice_once(in_process: Ran, tmp_path: Path) -> None:
    expected = files(in_process.work)
    work = without(beside(in_process, "warehouse", tmp_path / "copy"), ONE)
    with running(work) as first, running(work) as second:
        with work.warehouse.lock(f"{FEED}-{MONTH}-{ONE}"):
            until(lambda: [item.state for item in slices(work)] == [None, None], "both runs at the slice")
        for process in (first, second):
            code, said = process.ended(120)
            assert code == 1, said
    assert sorted(str(item.state) for item in slices(work)) == ["unchanged", "written"]
    assert files(work) == expected


@pytest.mark.slow
def test_a_finding_of_a_slice_is_told_as_in_one_process(in_process: Ran, tmp_path: Path) -> None:
    told: dict[str, str] = {}
    for executor in ("in_process", "multiprocess"):
        work = without(beside(in_process, "warehouse", tmp_path / executor), ONE)
        delivery = landed_ones.current(work.warehouse.layout, FEED, MONTH)[ONE]
        (part,) = delivery.parts
        (delivery.folder / part.name).write_bytes(b"")
        delivery.typed.write_bytes(delivery.typed.read_bytes()[:-9])
        ran = run(work, executor)
        assert ran.code == 2, ran.said
        told[executor] = ran.said[ran.said.index(FEED) :].replace(str(work.settings.warehouse), "")
        with open_instance(work) as instance:
            (failed,) = instance.get_runs(limit=1)
            message = failure_of(instance, failed, work, None)
        assert [(step.table, step.kind) for step in message.steps] == [(f"validation/{FEED}", "finding")]
        assert f"dci/validation/{FEED} {MONTH}" in message.steps[0].says
    assert told["multiprocess"] == told["in_process"]


def test_processes_share_the_memory_and_the_cores() -> None:
    code = (
        "import os; from dci_pipeline.engines import engine\n"
        "with engine('duckdb') as opened:\n"
        "    print(opened._connection.sql(\"SELECT current_setting('threads')\").fetchall()[0][0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n"
    from dci_pipeline.defs.processes import Processes

    share = Processes(workers=2, memory=700_000_000)._share
    assert share["DCI_ENGINE_MEMORY"] == "350"
    assert int(share["POLARS_MAX_THREADS"]) == max(len(os.sched_getaffinity(0)) // 2, 1)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"DCI_EXECUTOR": "celery"}, "unknown executor"),
        ({"DCI_EXECUTOR": "multiprocess", "DCI_WORKERS": "0"}, "not a number of processes"),
        ({"DCI_EXECUTOR": "multiprocess", "DCI_WORKERS": "8"}, "1 to 7: each gets its share"),
        ({"DCI_EXECUTOR": "k8s"}, "a warehouse that pods do not share"),
        ({"DCI_EXECUTOR": "k8s", "DCI_WAREHOUSE_SHARED": "yes"}, "neither on nor off"),
        ({"DCI_EXECUTOR": "k8s", "DCI_WAREHOUSE_SHARED": "on", "DCI_EXECUTOR_CONFIG": "x"}, "no such file"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    given: dict[str, str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCI_WAREHOUSE", str(tmp_path))
    for name in ("DCI_ENGINE_MEMORY", "DCI_WORKERS", "DCI_ENGINE", "DCI_WAREHOUSE_SHARED", "DCI_EXECUTOR_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Finding, match=says):
        read_settings()


def test_the_library_for_pods_is_not_loaded_without_need() -> None:
    code = "import sys, dci_pipeline.definitions; print('dagster_k8s' in sys.modules, 'kubernetes' in sys.modules)"
    for executor in ("in_process", "multiprocess"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=PROJECT,
            env={**os.environ, "DCI_EXECUTOR": executor},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "False False\n"
