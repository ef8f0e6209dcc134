"""The small stages against dense NumPy for the same numbers: CPU over 66 months, as ratios, table by table.

    python benchmarks/small_stages.py --rounds 3 --out small_stages.json

A computed warehouse of the report profile is made again from its validated deliveries on, twice over: by the steps,
from indicators to marts and the catalogue, which read, check, compute, stamp and commit every partition; and, for the
tables of `dense_tables.py`, by NumPy over arrays of every month at once (`dense.py`), which writes as many Parquet
files. All figures of both must agree on every row before anything is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
from dense import INDEX, Dense, Table, spent_on, work
from dense_tables import TABLES
from measuring import ROOT, keep, rounds, summary, tell, used

GOAL = 2.0
LATE = ("indicators", "normalise", "weight", "index", "marts")
WAYS = {"files": "dense NumPy, written", "steps": "the steps"}
TOLERANCE = 1e-9


def linked(warehouse: Path, copy: Path, *, without: tuple[str, ...] = ()) -> Path:
    """A copy that shares its files: what is committed is put in their place, not written into them."""
    for item in (warehouse / INDEX).iterdir():
        if item.is_dir() and item.name not in without:
            shutil.copytree(item, copy / INDEX / item.name, copy_function=os.link)
    shutil.copy2(warehouse / "format.json", copy)
    return copy


def run(warehouse: Path, *, moved: Callable[..., None] | None = None) -> Any:
    """Every step over every month."""
    from dci_pipeline import refresh

    found = work(warehouse)
    report = refresh.run_direct(found, refresh.delivered_periods(found)[0], progress=moved)
    if report.held:
        raise SystemExit(f"{len(report.held)} months held: {next(iter(report.held.values()))}")
    return report


def steps(warehouse: Path, folder: Path) -> dict[str, float]:
    """CPU seconds of every table from indicators to marts, made in one process."""
    copy = linked(warehouse, folder / "warehouse", without=LATE)
    spent: dict[str, float] = {}
    begun = 0.0

    def moved(step: Any, _: Any, outcome: Any) -> None:
        nonlocal begun
        if outcome is None:
            begun = used()["cpu_s"]
        elif step.key[0] in LATE:
            name = "/".join(step.key)
            spent[name] = spent.get(name, 0.0) + used()["cpu_s"] - begun

    report = run(copy, moved=moved)
    if any(outcome.state not in ("written", "unchanged") for outcome in report.outcomes):
        raise SystemExit("not every table was made anew")
    return spent


def arrays(warehouse: Path, folder: Path) -> dict[str, float]:
    """CPU seconds of the same by NumPy, by table; `reading` is the inputs of all."""
    spent: dict[str, float] = {}
    spent["reading"], dense = spent_on(lambda: Dense(warehouse))
    for name, make in TABLES.items():
        spent[name], files = spent_on(lambda make=make: make(dense).write(folder))
        there = len(list((warehouse / INDEX / name).rglob("part.parquet")))
        if files != there:
            raise SystemExit(f"{name}: {files} files, {there} partitions")
    return spent


def agree(warehouse: Path) -> None:
    """Raises SystemExit unless every figure of every table is the same in both."""
    dense = Dense(warehouse)
    for name, make in TABLES.items():
        table = make(dense)
        rows, figures = _published(warehouse, name, table)
        off = {key: _differ(*pair) for key, pair in figures.items()}
        known = sum(int((~np.isnan(theirs)).sum()) for theirs, _ in figures.values())
        print(f"{name}: {rows:,} rows, {known:,} figures, {sum(off.values()):,} differ", file=sys.stderr)
        if any(off.values()) or not known:
            raise SystemExit(f"{name}: " + ", ".join(f"{key} {number:,}" for key, number in off.items() if number))


def _published(warehouse: Path, name: str, table: Table) -> tuple[int, dict[str, tuple[Any, Any]]]:
    """Of every figure the published column, and the floor's in the same order of rows."""
    import polars as pl

    spans = [pl.DataFrame({**table.keys, **{key: values[number].reshape(-1) for key, values in table.figures.items()}})
             .filter(table.there[number].reshape(-1)) for number in range(len(table.partitions))]  # fmt: skip
    key = list(table.keys)
    parts = sorted((warehouse / INDEX / name).rglob("part.parquet"))
    frames = [pl.read_parquet(part, hive_partitioning=False) for part in parts]
    order = [column for column in ("period", "month", "half", "year") if column in frames[0].columns][:1]
    theirs = pl.concat(frames, how="vertical_relaxed").sort(*order, *key)
    ours = pl.concat([frame.with_columns(span=number) for number, frame in enumerate(spans)]).sort("span", *key)
    if theirs.height != ours.height or not theirs.select(key).equals(ours.select(key)):
        raise SystemExit(f"{name}: {theirs.height:,} rows, {ours.height:,} by NumPy")
    return theirs.height, {
        figure: (theirs[figure].cast(pl.Float64).fill_null(np.nan).to_numpy(), ours[figure].to_numpy())
        for figure in table.figures
    }


def _differ(theirs: Any, ours: Any) -> int:
    known = ~np.isnan(theirs)
    off = np.abs(theirs - ours)[known] > TOLERANCE * np.maximum(1.0, np.abs(theirs[known]))
    return int(off.sum()) + int((known != ~np.isnan(ours)).sum())


def simulated(warehouse: Path) -> Path:
    """The deliveries of the report profile, 66 months, computed."""
    environment = os.environ | {"DCI_WAREHOUSE": str(warehouse), "DCI_CONTRACTS": str(ROOT / "data_contracts")}
    for command in (["simulate", "--profile", "report"], ["run", "--direct"]):
        subprocess.run(
            [sys.executable, "-m", "dci_pipeline.cli", *command],
            cwd=ROOT,
            check=True,
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
        )
    return warehouse


def one(way: str, warehouse: Path) -> dict[str, Any]:
    """What one way used; of the steps only those the floor has count as `cpu_s`, all of them are in `tables`."""
    with tempfile.TemporaryDirectory(dir=warehouse.parent) as folder:
        spent = steps(warehouse, Path(folder)) if way == "steps" else arrays(warehouse, Path(folder))
    same = sum(seconds for name, seconds in spent.items() if way == "files" or name in TABLES)
    return used() | {"cpu_s": same, "tables": spent}


def by_table(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians of the CPU seconds by table, of both ways, and of everything from indicators to marts."""
    ours, floor = (
        {name: float(np.median([run["tables"][name] for run in runs[way]])) for name in runs[way][0]["tables"]}
        for way in (WAYS["steps"], WAYS["files"])
    )
    tables = {name: {"steps": ours[name], "floor": floor[name], "ratio": ours[name] / floor[name]} for name in TABLES}
    catalogue = ours["marts/catalogue"]
    return {
        "tables": tables,
        "reading": floor["reading"],
        "others": {name: seconds for name, seconds in ours.items() if name not in TABLES},
        "indicators_to_marts": {"all": sum(ours.values()) - catalogue, "catalogue": catalogue},
    }


def said(found: dict[str, Any]) -> None:
    """The figures by table as lines."""
    print(f"{'':28} steps   floor  ratio")
    for name, line in sorted(found["tables"].items(), key=lambda item: -item[1]["steps"]):
        print(f"{name:28} {line['steps']:6.2f} {line['floor']:6.2f}  {line['ratio']:5.2f}")
    print(f"{'reading, once for all':28} {'':6} {found['reading']:6.2f}")
    for name, seconds in sorted(found["others"].items(), key=lambda item: -item[1]):
        if seconds >= 0.1:
            print(f"{name:28} {seconds:6.2f}")
    whole = found["indicators_to_marts"]
    print(f"indicators to marts {whole['all']:.1f} s, and the catalogue {whole['catalogue']:.1f}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--warehouse",
        type=Path,
        help="a computed warehouse of the report profile, left as it is; otherwise one is simulated and computed",
    )
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--out", type=Path, help="write the figures of every run as JSON")
    options.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        print(json.dumps(one(given.one[0], Path(given.one[1]))))
        return
    with tempfile.TemporaryDirectory(dir=given.warehouse.parent if given.warehouse else None) as folder:
        if given.warehouse:
            warehouse = linked(given.warehouse, Path(folder) / "computed")
            run(warehouse)
        else:
            warehouse = simulated(Path(folder) / "computed")
        agree(warehouse)
        runs = rounds(__file__, {name: [way, str(warehouse)] for way, name in WAYS.items()}, given.rounds)
    table, tables = summary(runs, {WAYS["steps"]: [WAYS["files"]]}), by_table(runs)
    tell(table, goal=GOAL)
    said(tables)
    if given.out:
        keep(given.out, runs, table, **tables)


if __name__ == "__main__":
    main()
