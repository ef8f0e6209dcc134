"""An explanation of one number against importing the two libraries it rests on.

    python benchmarks/explain.py --warehouse DIR --rounds 9 --out explain.json

The whole command, interpreter and output included, as a person calls it, over a computed warehouse; without one, two
years are simulated and computed first. Rounds are interleaved. Goal: three times `import duckdb, polars`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import ROOT, keep, summary, tell

GOAL = 3.0
INDEX = "dci"
FLOOR = "import duckdb, polars"


def ways(place: str, node: str, period: str) -> dict[str, list[str]]:
    """What is run, by name."""
    asked = ["-m", "dci_pipeline.cli", "explain", place, "--node", node, "--period", period, "--index", INDEX]
    return {FLOOR: ["-c", FLOOR], "printed": asked, "as JSON": [*asked, "--json"]}


def measured(command: list[str], warehouse: Path) -> dict[str, float]:
    """CPU and wall seconds of one process, start and end of the interpreter included, and its greatest size."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT), "DCI_WAREHOUSE": str(warehouse)},
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if status:
        sys.exit(f"failed: {' '.join(command)}")
    return {"cpu_s": used.ru_utime + used.ru_stime, "wall_s": wall, "peak_mb": used.ru_maxrss / 1024}


def prepared(folder: Path) -> Path:
    """A warehouse of two computed years."""
    warehouse = folder / "warehouse"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DCI_WAREHOUSE": str(warehouse)}
    for command in (["simulate", "--months", "2015-01:2016-12", "--out", str(folder / "files")], ["run"]):
        subprocess.run(
            [sys.executable, "-m", "dci_pipeline.cli", *command, "--index", INDEX],
            cwd=ROOT,
            env=environment,
            check=command[0] != "run",  # a warning of the experts' disagreement ends a run with 1
            stdout=subprocess.DEVNULL,
        )
    return warehouse


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--warehouse", type=Path, help="a computed warehouse; default: two years are made")
    options.add_argument("--place", default="成都")
    options.add_argument("--node", default=INDEX)
    options.add_argument("--period", help="default: 2016")
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        warehouse = given.warehouse or prepared(Path(folder))
        commands = ways(given.place, given.node, given.period or "2016")
        runs: dict[str, list[dict[str, float]]] = {way: [] for way in commands}
        for turn in range(given.rounds + 1):
            for way in commands if turn % 2 == 0 else reversed(list(commands)):
                found = measured(commands[way], warehouse.resolve())
                # The first round fills the system's caches.
                if turn:
                    runs[way].append(found)
    table = summary(runs, {way: [FLOOR] for way in runs if way != FLOOR})
    tell(table, goal=GOAL)
    if given.out:
        keep(given.out, runs, table, rounds=given.rounds, place=given.place, node=given.node)


if __name__ == "__main__":
    main()
