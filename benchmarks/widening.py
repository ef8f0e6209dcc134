"""What a month costs in a wider index: CPU per feed row with every feed against four feeds, run directly.

Both indexes run the same code over the same simulated months: deliveries to published tables of the last month, its
half-years and years, and the catalogue. The floor is the index with the first tree and its four feeds alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parent.parent
TREE = "digital_first"
MONTHS = 14


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds, the two in turn (3)")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--one", choices=("all", "four"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        _one(given.folder / given.one)
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in ("all", "four"):
            _prepare(Path(folder) / name, narrow=name == "four")
        found: dict[str, list[tuple[float, int]]] = {"all": [], "four": []}
        for _ in range(given.rounds):
            for name, costs in found.items():
                costs.append(_measured(Path(folder), name))
    per_row = {name: statistics.median(cpu / rows for cpu, rows in costs) for name, costs in found.items()}
    for name, costs in found.items():
        cpu = statistics.median(cpu for cpu, _ in costs)
        print(f"{name:5} {costs[0][1]:>9,} rows {cpu:6.2f} CPU s {1e6 * per_row[name]:7.1f} µs a row")
    ratio = per_row["all"] / per_row["four"]
    print(f"ratio {ratio:.2f}  (goal: at most 1.5)")
    if given.out:
        figures = {"ratios": {"seven feeds": round(ratio, 3)}, "costs": found}
        given.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _work(folder: Path):
    from dci_pipeline.settings import Settings
    from dci_pipeline.work import Work

    return Work(Settings(folder / "warehouse", folder / "data_contracts", "polars"), "dci")


def _prepare(folder: Path, *, narrow: bool) -> None:
    """Contracts, and every month but the last computed, so that the last one has a year before it."""
    from dci_pipeline import refresh

    shutil.copytree(PROJECT / "data_contracts", folder / "data_contracts")
    path = folder / "data_contracts/dci/index.yaml"
    index = yaml.safe_load(path.read_text(encoding="utf-8"))
    link = index["links"][0]
    link["reference_start"], link["reference_end"], link["start"] = "2015-01", "2015-03", "2015-01"
    if narrow:
        _narrow(index, folder / "data_contracts/dci")
    path.write_text(yaml.safe_dump(index, allow_unicode=True, sort_keys=False), encoding="utf-8")
    work = _work(folder)
    months = _months(work)
    for number, month in enumerate(months):
        _deliver(work, folder, month, rows=None if number == len(months) - 1 else 400)
    refresh.run_direct(work, months[:-1])


def _narrow(index: dict[str, object], folder: Path) -> None:
    nodes = [node for node in index["nodes"] if TREE in (node["node"], node["parent"])]  # type: ignore[index,union-attr]
    kept = {node["node"] for node in nodes}
    used = {node.get("feed") for node in nodes}
    index["nodes"] = nodes
    index["breakdowns"] = [item for item in index["breakdowns"] if item["node"] in kept]  # type: ignore[index,union-attr]
    for link in index["links"]:  # type: ignore[union-attr]
        link["basket"] = {TREE: link["basket"][TREE]}
        link["wave"] = {TREE: link["wave"][TREE]}
    for feed in (folder / "feeds").glob("*.yaml"):
        if feed.stem not in used:
            feed.unlink()
    (folder / "marts/exhibit_values.yaml").unlink()


def _months(work):
    from dci_pipeline.periods import parse, span

    first = parse("2015-01", "month")
    return span(first, first.shift(MONTHS - 1))


def _deliver(work, folder: Path, month, *, rows: int | None) -> None:
    import polars as pl

    from dci_pipeline.data_files import read_yaml
    from dci_pipeline.feeds import encoding, simulation
    from dci_pipeline.warehouse import deliveries

    profile = simulation.read_profile(read_yaml(work.framework.folder / "simulation.yaml"), "simulation.yaml")
    for feed, contract in work.framework.feeds.items():
        for partner in contract.partners:
            there = work.geography.places_at(month)["code"].implode()
            frame = simulation.simulate(
                contract, cadence="month", period=month, partner=partner, seed=7, rows=rows, profile=profile,
                places=work.geography.places.filter(pl.col("code").is_in(there)),
                aliases=work.geography.aliases_at(month),
            )  # fmt: skip
            path = folder / f"{feed}_{partner}_{month.key}.parquet"
            path.write_bytes(encoding.encode(frame, contract, form="parquet"))
            deliveries.land(
                work.warehouse.layout, [path], contract=contract, cadence="month", partner=partner, period=month
            )
            path.unlink()


def _measured(folder: Path, name: str) -> tuple[float, int]:
    """CPU seconds of the last month in a process of its own, on a copy of the warehouse, and the feed rows it holds."""
    copy = folder / f"{name}-copy"
    shutil.copytree(folder / name, copy)
    try:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, __file__, "--one", copy.name.removesuffix("-copy"), "--folder", str(_renamed(copy))],
            check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    finally:
        shutil.rmtree(folder / f"{name}-run", ignore_errors=True)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, int(done.stdout.split()[-1])


def _renamed(copy: Path) -> Path:
    """The copy under the name its own process looks for: a folder <name>-run/<name>."""
    name = copy.name.removesuffix("-copy")
    home = copy.parent / f"{name}-run"
    home.mkdir()
    copy.rename(home / name)
    return home


def _one(folder: Path) -> None:
    from dci_pipeline import refresh
    from dci_pipeline.warehouse import deliveries

    work = _work(folder)
    month = _months(work)[-1]
    report = refresh.run_direct(work, [month])
    if report.held:
        raise SystemExit(str(report.held))
    layout = work.warehouse.layout
    print(sum(item.rows for feed in work.framework.feeds for item in deliveries.current(layout, feed, month).values()))


if __name__ == "__main__":
    main()
