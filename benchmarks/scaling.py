"""The heavy stage over sizes of a delivery: rows per CPU second, memory, what the checks cost, and where time goes.

    python benchmarks/scaling.py --rows 10,50,200 --rounds 5 --out scaling.json --pictures docs/pictures

Millions of rows in one delivery, made as heavy_stage.py makes them and judged by every rule but repeated keys; its
floors, beside the floors' sums without any check. Rows per CPU second leave out what a thousand rows cost: imports, the
contract and plans. The split of time is one process over the smallest size, with repeated keys and quarantine: seconds
of the process's CPU between the steps of the stage. Reading is measured apart, as the cost of looking at every column
the stage needs, and taken out of what follows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import heavy_stage
from measuring import keep, rounds, summary, tell, used

COUNTS = ("bare duckdb", "bare polars", "ours on polars", "ours on duckdb")
SUMS = ("bare duckdb, sums alone", "bare polars, sums alone")
SPLITS = ("split on polars", "split on duckdb")
OURS = ("ours on polars", "ours on duckdb")
STEPS = ("start-up", "reading", "rules and sums", "repeated keys", "quarantine", "the rest")


def sums_alone(engine: str, path: Path) -> int:
    """Sums by place and the dimensions of leaves and splits, without any check; their number."""
    aliases = heavy_stage.inputs()[2]
    if engine == "duckdb":
        import duckdb

        connection = duckdb.connect()
        connection.execute("SET preserve_insertion_order = false")
        connection.register("aliases", aliases.to_arrow())
        return len(
            connection.execute(
                "SELECT place, layer, service, sector, sum(usage_units)::BIGINT, count(usage_units) "
                f"FROM read_parquet('{path}') JOIN aliases ON city = alias GROUP BY ALL"
            ).fetchall()
        )
    import polars as pl

    found = (
        pl.scan_parquet(path)
        .join(aliases.lazy(), left_on="city", right_on="alias")
        .group_by("place", "layer", "service", "sector")
        .agg(value=pl.col("usage_units").sum(), records=pl.col("usage_units").count())
    )
    return found.collect(engine="streaming").height


def split(engine: str, path: Path) -> dict[str, float]:
    """CPU seconds of each of STEPS, in this process."""
    import narwhals.stable.v2 as nw

    from dci_pipeline import engines
    from dci_pipeline.validation import scan as stage

    spent = dict.fromkeys(STEPS, 0.0)
    contract, period, aliases, leaves, splits = heavy_stage.inputs()

    def timed(step: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            started = time.process_time()
            try:
                return work(*arguments, **named)
            finally:
                spent[step] += time.process_time() - started

        return run

    grouped = stage._Work.grouped
    # The rows of repeated keys are grouped once more, to be taken out again.
    turns = iter(("rules and sums", "repeated keys"))

    def grouped_in_turn(work: Any, rows: Any) -> Any:
        return timed(next(turns), grouped)(work, rows)

    stage._Work.grouped = grouped_in_turn  # type: ignore[method-assign]
    stage.repeated_keys = timed("repeated keys", stage.repeated_keys)
    with engines.engine(engine, temp_directory=path.parent) as opened:
        rows = opened.scan([path])
        spent["start-up"] = time.process_time()
        looked = [nw.col(column.name).max() for column in contract.columns]
        timed("reading", opened.collect)(rows.select(*looked, nw.col("unparsed").max(), nw.col("file_row").max()))
        begun = time.process_time()
        found = stage.scan(
            opened,
            rows,
            contract=contract,
            period=period,
            partner=heavy_stage.PARTNER,
            aliases=aliases,
            leaves=leaves,
            splits=splits,
        )
        for number, part in enumerate(found.quarantine):
            timed("quarantine", opened.sink)(part, path.with_name(f"set-aside-{engine}-{number}.parquet"))
        whole = time.process_time() - begun
    known = ("rules and sums", "repeated keys", "quarantine")
    spent["the rest"] = whole - sum(spent[step] for step in known)
    spent["rules and sums"] -= spent["reading"]
    return spent


def one(way: str, path: Path) -> dict[str, Any]:
    if way in SPLITS:
        spent = split(way.rsplit(maxsplit=1)[-1], path)
        return used() | {"split": spent}
    if way in SUMS:
        groups = sums_alone(way.split()[1].strip(","), path)
        return used() | {"groups": groups}
    return heavy_stage.one(way, path)


def told(found: Mapping[int, Mapping[str, Mapping[str, float]]], fixed: Mapping[str, Mapping[str, float]]) -> None:
    """Rows per CPU second of the stage at each size, and its checks beside the sums."""
    print("\nmillion rows a CPU second, what a thousand rows cost left out")
    for way in OURS:
        speeds = {size: size / (table[way]["cpu_s"] - fixed[way]["cpu_s"]) for size, table in found.items()}
        apart = max(speeds.values()) / min(speeds.values()) - 1.0
        line = "  ".join(f"{size} M rows {speed:.2f}" for size, speed in speeds.items())
        print(f"{way:30} {line}  (apart by {apart:.0%})")
    print("\nwhat the checks cost on top of the sums, CPU seconds")
    for size, table in found.items():
        for engine in ("duckdb", "polars"):
            alone, checked, ours = (
                table[way]["cpu_s"] for way in (f"bare {engine}, sums alone", f"bare {engine}", f"ours on {engine}")
            )
            print(f"{size:4} M rows, {engine}: sums {alone:.1f}, with checks bare {checked:.1f}, the stage {ours:.1f}")


def pictures(found: Mapping[int, Mapping[str, Mapping[str, float]]], parts: Mapping[str, Any], folder: Path) -> None:
    """scaling.svg: CPU and memory over rows; time_split.svg: seconds by step."""
    import altair as alt

    lines = [
        {"rows": size, "way": way, "ns": 1e3 * table[way]["cpu_s"] / size, "peak": table[way]["peak_mb"]}
        for size, table in found.items()
        for way in COUNTS
    ]
    base = (
        alt.Chart(alt.Data(values=lines))
        .mark_line(point=True)
        .encode(
            x=alt.X("rows:Q", scale=alt.Scale(type="log", nice=False), title="million rows in one delivery"),
            color=alt.Color("way:N", title=None, sort=list(COUNTS)),
            strokeDash=alt.StrokeDash("way:N", legend=None, sort=list(COUNTS)),
        )
        .properties(width=300, height=220)
    )
    cpu = base.encode(y=alt.Y("ns:Q", title="CPU ns a row", scale=alt.Scale(zero=True)))
    memory = base.encode(y=alt.Y("peak:Q", title="peak MB", scale=alt.Scale(type="log")))
    folder.mkdir(parents=True, exist_ok=True)
    (cpu.properties(title="CPU, imports included") | memory.properties(title="Memory")).save(folder / "scaling.svg")
    bars = [
        {"way": way.replace("split ", ""), "step": step, "place": place, "seconds": parts[way][step]}
        for way in SPLITS
        for place, step in enumerate(STEPS)
    ]
    alt.Chart(
        alt.Data(values=bars), width=480, height=90, title="Where the time of one delivery goes"
    ).mark_bar().encode(
        x=alt.X("seconds:Q", title="CPU seconds"),
        y=alt.Y("way:N", title=None),
        color=alt.Color("step:N", title=None, sort=list(STEPS)),
        order=alt.Order("place:Q"),
    ).save(folder / "time_split.svg")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", default="10,50,200", help="sizes in millions of rows, smallest first")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--out", type=Path, help="write the figures of every run as JSON")
    options.add_argument("--pictures", type=Path, help="draw into this folder")
    options.add_argument("--data", type=Path, help="a folder that keeps the deliveries; a temporary one otherwise")
    options.add_argument("--one", help=argparse.SUPPRESS)
    options.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        print(json.dumps(one(given.one, given.file)))
        return
    sizes = [int(size) for size in given.rows.split(",")]
    tables: dict[int, dict[str, Any]] = {}
    runs: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.data or Path(temporary)
        few = Path(temporary) / "few.parquet"
        heavy_stage.generate(few, 1000)
        runs |= rounds(__file__, {way: [way, "--file", str(few)] for way in COUNTS}, given.rounds)
        fixed = summary(runs, {})
        print("a thousand rows")
        tell(fixed)
        runs = {f"1000, {way}": found for way, found in runs.items()}
        for size in sizes:
            path = folder / f"{size}.parquet"
            if not path.exists():
                print(f"making {size} million rows", file=sys.stderr)
                heavy_stage.generate(path, size * 1_000_000)
            ways = [*COUNTS, *SUMS, *(SPLITS if size == sizes[0] else ())]
            measured = rounds(__file__, {way: [way, "--file", str(path)] for way in ways}, given.rounds)
            hashes = {run["hash"] for way in COUNTS for run in measured[way]}
            hashes |= {run["groups"] for way in SUMS for run in measured[way]}
            if len(hashes) != 2:
                raise SystemExit(f"{size} million rows: the figures differ between ways")
            floors = dict.fromkeys(OURS, COUNTS[:2])
            tables[size] = summary(measured, floors)
            print(f"\n{size} million rows")
            tell(tables[size], goal=heavy_stage.GOAL)
            runs |= {f"{size} M, {way}": found for way, found in measured.items()}
            if given.data is None:
                path.unlink()
    parts = {
        way: {step: statistics.median(run["split"][step] for run in runs[f"{sizes[0]} M, {way}"]) for step in STEPS}
        for way in SPLITS
    }
    told(tables, fixed)
    print("\nwhere the time goes, CPU seconds")
    for way in SPLITS:
        print(f"{way:30} " + "  ".join(f"{step} {seconds:.1f}" for step, seconds in parts[way].items()))
    if given.pictures:
        pictures(tables, parts, given.pictures)
    if given.out:
        flat = {f"1000, {way}": line for way, line in fixed.items()}
        flat |= {f"{size} M, {way}": line for size, table in tables.items() for way, line in table.items()}
        keep(given.out, runs, flat, split=parts)


if __name__ == "__main__":
    main()
