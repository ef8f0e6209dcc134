"""What the engine costs: one month through Dagster against the same steps called directly, and importing definitions.

    python benchmarks/orchestration.py --rounds 5 --out orchestration.json

Each measurement is a process of its own, imports included, on a fresh copy of one prepared warehouse (the reference
period computed, the month landed); rounds are interleaved, so that a busy machine is busy for all. The record of runs
is on disk as in use, with the runs of the reference period in it. CPU is the figure to trust.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
INDEX = "dci"
GOALS = {"one month": 2.5, "import": 1.6}
IMPORTS = {"import dagster": "import dagster", "import definitions": "import dci_pipeline.definitions"}


def work(warehouse: Path) -> Any:
    from dci_pipeline.settings import Settings
    from dci_pipeline.work import Work

    return Work(Settings(warehouse, ROOT / "data_contracts", "polars"), INDEX)


def prepare(warehouse: Path, rows: int) -> str:
    """Reference period landed and computed, the month after it landed; returns that month."""
    from dci_pipeline.defs.launch import run_in_process

    prepared = work(warehouse)
    reference = prepared.framework.links[0].reference
    month = reference[-1].shift(1)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "dci_pipeline.cli",
            "simulate",
            "--index",
            INDEX,
            "--from",
            reference[0].key,
            "--to",
            month.key,
            "--rows",
            str(rows),
            "--out",
            str(warehouse.parent / "files"),
        ],
        check=True,
        cwd=ROOT,
        env=os.environ | {"DCI_WAREHOUSE": str(warehouse)},
        stdout=subprocess.DEVNULL,
    )
    report = run_in_process(prepared, reference)
    assert not report.held, report.held
    return month.key


def run(way: str, warehouse: Path, month: str) -> None:
    """One month, in this process; fails when it did not do all of it."""
    ours = work(warehouse)
    periods = [ours.framework.period(month)]
    if way == "dagster":
        from dci_pipeline.defs.launch import run_in_process as refresh_by
    else:
        from dci_pipeline.refresh import run_direct as refresh_by
    report = refresh_by(ours, periods)
    assert not report.held, report.held
    assert report.count("written") > 1


def measured(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a fresh process and its children."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - start


def rounds(prepared: Path, month: str, folder: Path, count: int) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ("direct", "dagster", *IMPORTS)}
    for number in range(count):
        for way, seconds in found.items():
            if way in IMPORTS:
                seconds.append(measured(["-c", IMPORTS[way]]))
                continue
            copy = folder / f"{way}-{number}"
            shutil.copytree(prepared, copy)
            seconds.append(measured([__file__, "--run", way, "--warehouse", str(copy), "--month", month]))
            shutil.rmtree(copy)
    return found


def summary(found: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    median = {way: [statistics.median(pair[at] for pair in pairs) for at in (0, 1)] for way, pairs in found.items()}
    ratios = {}
    for name, (above, floor) in {
        "one month": ("dagster", "direct"),
        "import": ("import definitions", "import dagster"),
    }.items():
        ratios[name] = round(median[above][0] / median[floor][0], 3)
    return {"seconds": {way: {"cpu": cpu, "wall": wall} for way, (cpu, wall) in median.items()}, "ratios": ratios}


def show(result: dict[str, Any]) -> None:
    print(f"{'median of fresh processes':<28}{'CPU s':>8}{'wall s':>8}")
    for way, seconds in result["seconds"].items():
        print(f"{way:<28}{seconds['cpu']:>8.2f}{seconds['wall']:>8.2f}")
    print(f"\n{'ratio':<28}{'CPU':>8}{'goal':>8}")
    for name, ratio in result["ratios"].items():
        kept = "" if ratio <= GOALS[name] else "  above the goal"
        print(f"{name:<28}{ratio:>8.2f}{GOALS[name]:>8.1f}{kept}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=6000, help="records of a delivery, about")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--run", choices=["direct", "dagster"], help=argparse.SUPPRESS)
    parser.add_argument("--warehouse", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--month", help=argparse.SUPPRESS)
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if given.run:
        run(given.run, given.warehouse, given.month)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        month = prepare(folder / "warehouse", given.rows)
        found = rounds(folder / "warehouse", month, folder, given.rounds)
    result = summary(found) | {
        "rounds": given.rounds,
        "rows": given.rows,
        "month": month,
        "index": INDEX,
        "measured": found,
    }
    show(result)
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
