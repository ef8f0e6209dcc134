"""What the benchmarks share: a process for each measurement, interleaved rounds, medians and ratios to a floor."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Libraries are compiled when they are installed; what is measured is too, by its first round, wherever the environment
# would have every process compile it anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
ROOT = Path(__file__).resolve().parents[1]
FIGURES = ("cpu_s", "wall_s", "peak_mb")


def used() -> dict[str, float]:
    """CPU seconds of this process so far, and its greatest size."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    # ru_maxrss of a child begins at its parent's size; the kernel's own high-water mark begins at exec.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {"cpu_s": spent.ru_utime + spent.ru_stime, "peak_mb": int(status["VmHWM"].split()[0]) / 1024}


def rounds(script: str, ways: Mapping[str, Sequence[str]], number: int) -> dict[str, list[dict[str, Any]]]:
    """Every way in turn, `number` times, forwards and backwards: `script --one …` prints what it used as JSON."""
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for turn in range(number):
        for way in ways if turn % 2 == 0 else reversed(list(ways)):
            started = time.perf_counter()
            done = subprocess.run(
                [sys.executable, script, "--one", *ways[way]],
                check=True,
                text=True,
                stdout=subprocess.PIPE,
                # The checkout the script lies in, whatever is installed.
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
            said = json.loads(done.stdout.splitlines()[-1])
            found[way].append({"wall_s": time.perf_counter() - started, **said})
    return found


def summary(runs: Mapping[str, list[dict[str, Any]]], floors: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Medians of each way, and its CPU against the cheapest of its floors."""
    table: dict[str, dict[str, float]] = {
        way: {key: round(statistics.median(run[key] for run in found), 3) for key in FIGURES}
        for way, found in runs.items()
    }
    for way, line in table.items():
        if floors.get(way):
            line["cpu_ratio"] = round(line["cpu_s"] / min(table[floor]["cpu_s"] for floor in floors[way]), 3)
    return table


def tell(table: Mapping[str, Mapping[str, float]], *, goal: float | None = None) -> None:
    """The figures as lines."""
    for way, line in table.items():
        ratio = f"  ÷ cheaper floor {line['cpu_ratio']:.2f}" if "cpu_ratio" in line else ""
        over = "  OVER THE GOAL" if goal is not None and line.get("cpu_ratio", 0.0) > goal else ""
        print(
            f"{way:30} cpu {line['cpu_s']:7.2f} s  wall {line['wall_s']:7.2f} s  peak {line['peak_mb']:6.0f} MB"
            f"{ratio}{over}"
        )


def keep(out: Path, runs: Mapping[str, Any], table: Mapping[str, Mapping[str, float]], **about: object) -> None:
    """Every run, the medians and the ratios, as JSON."""
    ratios = {way: line["cpu_ratio"] for way, line in table.items() if "cpu_ratio" in line}
    said = {**about, "machine": machine(), "ratios": ratios, "median": table, "runs": runs}
    out.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def machine() -> str:
    """Processor, cores, memory and versions: what the figures were measured on."""
    import importlib.metadata as versions

    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = [f"Python {platform.python_version()}"]
    parts += [f"{name} {versions.version(name)}" for name in ("polars", "duckdb", "dagster")]
    lines = (line.partition(":") for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines())
    model = next((value.strip() for name, _, value in lines if name.strip() == "model name"), platform.machine())
    return f"{model}, {os.cpu_count()} cores, {gigabytes:.0f} GiB, " + ", ".join(parts)
