"""A whole `dci run` killed at random instants: the next one finishes the work, and no run stays shown as running."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from dci_pipeline.settings import Settings
from dci_pipeline.warehouse import places
from dci_pipeline.work import Work
from dci_pipeline_tests.cli.conftest import Dci
from dci_pipeline_tests.commands import Command

SEED, KILLS = 4711, 10


def tables(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted((root / "dci").rglob("*"))
        if path.is_file() and "feeds" not in path.parts and path.name != "catalogue.json"
    }


def started(root: Path, *options: str) -> Command:
    return Command(("run", *options), {**os.environ, "DCI_WAREHOUSE": str(root)})


def begun(process: Command, work: Work) -> None:
    """Waits until the command is at work in the warehouse, or has ended."""
    until = time.monotonic() + 120
    while process.code is None and not places.live(work.warehouse.layout) and time.monotonic() < until:
        time.sleep(0.02)


@pytest.mark.slow
def test_ten_kills_of_a_whole_run(dci: Dci, home: Path, short_reference: Path) -> None:
    import dagster as dg

    from dci_pipeline.defs.launch import open_instance

    dci("simulate", "--months", "2018-01:2018-02", "--rows", "800")
    alone = home / "alone"
    shutil.copytree(home / "warehouse", alone)
    undisturbed = started(alone)
    begun(undisturbed, Work(Settings(alone, short_reference, "polars"), "dci"))
    since = time.monotonic()
    code, said = undisturbed.ended(300)
    assert code == 0, said
    # As long as it takes on this machine beside its other work: the ten waits together are half as long again.
    whole = time.monotonic() - since

    work = Work(Settings(home / "warehouse", short_reference, "polars"), "dci")
    chance, met = random.Random(SEED), 0
    for kill in range(KILLS):
        process = started(work.settings.warehouse)
        begun(process, work)
        wait = chance.uniform(0, 0.25) * whole
        time.sleep(wait)
        process.send(signal.SIGKILL)
        code, said = process.ended(60)
        met += code == -signal.SIGKILL
        assert code in (0, -signal.SIGKILL), f"seed {SEED}, kill {kill} after {wait:.2f} s: {said}"
    code, said = started(work.settings.warehouse).ended(300)
    assert code == 0, said
    assert tables(work.settings.warehouse) == tables(alone)
    assert not places.leftovers(work.warehouse.layout) and not work.warehouse.layout.work.exists()
    with open_instance(work) as instance:
        from dci_pipeline.defs.launch import fail_dead_runs

        fail_dead_runs(work, instance)
        runs = instance.get_runs()
        assert {run.status for run in runs} <= {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}
        failed = [run for run in runs if run.status == dg.DagsterRunStatus.FAILURE]
        # A run that was killed says so.
        for run in failed:
            messages = [entry.user_message or entry.message for entry in instance.all_logs(run.run_id)]
            assert any("was killed" in message for message in messages), messages
    print(f"{met} of {KILLS} kills met a run, {len(failed)} runs marked as failed")
    assert met and failed


@pytest.mark.slow
@pytest.mark.parametrize("second", ["2018-04", "2018-03"], ids=["another month", "the same month"])
def test_two_runs_at_once_end_as_one_after_the_other(dci: Dci, home: Path, short_reference: Path, second: str) -> None:
    dci("simulate", "--months", "2018-01:2018-02", "--rows", "800")
    assert dci("run", "--direct").code == 0
    dci("simulate", "--months", "2018-03:2018-04", "--rows", "800")
    root, alone = home / "warehouse", home / "alone"
    shutil.copytree(root, alone)
    for month in ("2018-03", second):
        # 1: the other month has been delivered, is not among those asked for and is said to be held back.
        code, said = started(alone, "--months", month).ended(300)
        assert code in (0, 1), said
    both = [started(root, "--months", month) for month in ("2018-03", second)]
    for process in both:
        code, said = process.ended(300)
        assert code in (0, 1), said
    # Annual tables and what is published read both months: a last look has at most those left to do.
    for at in (alone, root):
        code, said = started(at).ended(300)
        assert code == 0, said
    assert tables(root) == tables(alone)
    assert not Work(Settings(root, short_reference, "polars"), "dci").warehouse.layout.work.exists()
