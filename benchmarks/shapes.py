"""The heavy stage on deliveries of other shapes against its floors, and many part files against one: CPU and memory.

    python benchmarks/shapes.py --rows 10000000 --rounds 2 --out shapes.json

few: nine rows of ten in three cities. partner: two deliveries, one with 95 % of the rows. rejected: every row breaks a
rule, so that the whole delivery is set aside. duplicates: one row in ten repeats an earlier key, every other of them
with other values. parts: a delivery of --files files of --file-rows rows each, landed, beside the same rows in one
file. large: one file of --large-rows rows, only where --shapes names it.

The rows, floors and figures are those of heavy_stage.py, and all ways of a task give the same figures, or the run
stops: rule counts, sums, sums by member; where rows are set aside, each of them with the rules it breaks. Repeated keys
are looked for in tasks of their own, and rows set aside likewise, by the floors too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import heavy_stage
from measuring import keep, rounds, summary, tell, used

ENGINES = ("duckdb", "polars")
CALLS = {"bare duckdb": heavy_stage.bare_duckdb, "bare polars": heavy_stage.bare_polars}
# Shape -> its tasks: rules and sums; repeated keys as well; rows set aside as well, without and with repeated keys.
TASKS = {
    "few": ("counts",),
    "partner": ("counts",),
    "rejected": ("counts", "counts aside"),
    "duplicates": ("counts", "keys", "keys aside"),
    "parts": ("landing", "landing in one file", "counts", "keys", "counts in one file", "keys in one file"),
    "large": ("counts",),
}
SECOND = "cloud_b"


def few(rows: Any, draw: Any) -> Any:
    import numpy as np
    import polars as pl

    cities = pl.Series(rows["city"].drop_nulls().unique().sort().head(3)).gather(draw.integers(0, 3, rows.height))
    return rows.with_columns(
        city=pl.when(pl.Series(np.asarray(draw.random(rows.height)) < 0.9)).then(cities).otherwise("city")
    )


def rejected(rows: Any, draw: Any) -> Any:
    """Every row breaks one rule, of six; a sixth of them one that landing found."""
    import polars as pl

    period = heavy_stage.inputs()[1]
    fault = pl.Series(draw.integers(0, 6, rows.height))
    value = pl.when(fault == 0).then(-5).when(fault != 1).then("usage_units")
    return rows.with_columns(
        usage_units=value,
        unparsed=pl.when(fault == 1).then(pl.lit("usage_units: not an integer 'x'")),
        sector=pl.when(fault == 2).then(pl.lit("?")).otherwise("sector"),
        event_date=pl.when(fault == 3).then(period.end).otherwise("event_date"),
        city=pl.when(fault == 4).then(pl.lit("nowhere")).otherwise("city"),
        partner=pl.when(fault == 5).then(pl.lit("other")).otherwise("partner"),
    )


def duplicates(rows: Any, draw: Any) -> Any:
    """One row in twenty is a copy of one up to a hundred thousand rows before it; one in twenty has its key alone."""
    import numpy as np
    import polars as pl

    here, kind = np.arange(rows.height), draw.random(rows.height)
    before = np.maximum(here - draw.integers(1, 100_000, rows.height), 0)
    whole, key = (pl.Series(np.where(kind < share, before, here)) for share in (0.05, 0.1))
    own = rows.select("file", "file_row")
    return rows[whole].with_columns(own["file"], own["file_row"], record_id=rows["record_id"].gather(key))


SHAPED: dict[str, Callable[[Any, Any], Any]] = {"few": few, "rejected": rejected, "duplicates": duplicates}


def make(shape: str, folder: Path, given: argparse.Namespace) -> None:
    """The shape's typed deliveries as `folder`/<partner>.parquet; of parts the files as a partner sends them."""
    first = folder / f"{heavy_stage.PARTNER}.parquet"
    if shape == "parts":
        heavy_stage.generate(first, given.files * given.file_rows)
        sent(first, folder, given.files)
    elif shape == "partner":
        small = given.rows // 20
        heavy_stage.generate(first, given.rows - small)
        heavy_stage.generate(
            folder / f"{SECOND}.parquet", small, shaped=lambda rows, _: rows.with_columns(partner=_other(rows))
        )
    else:
        heavy_stage.generate(first, given.large_rows if shape == "large" else given.rows, shaped=SHAPED.get(shape))


def _other(rows: Any) -> Any:
    import polars as pl

    return rows.select(pl.col("partner").replace(heavy_stage.PARTNER, SECOND))["partner"]


def sent(typed: Path, folder: Path, number: int) -> None:
    """The rows as CSV, in one file and in `number` files, and both landed; what was not read is an empty field."""
    import polars as pl

    contract = heavy_stage.inputs()[0]
    rows = pl.read_parquet(typed)
    rows = rows.select(pl.col(column.name).alias(column.source) for column in contract.columns)
    (folder / "one").mkdir()
    (folder / "many").mkdir()
    rows.write_csv(folder / "one" / "cloud_usage.csv")
    for at, part in enumerate(rows.iter_slices(-(-rows.height // number))):
        part.write_csv(folder / "many" / f"cloud_usage_{at:05}.csv")
    for name in ("one", "many"):
        # Away from folders that say partner=, which a reader would take for a column.
        landed(folder / name, folder / f"{name}.warehouse").rename(folder / f"{name}.typed")
    typed.unlink()


def landed(files: Path, warehouse: Path) -> Path:
    from dci_pipeline.warehouse import deliveries
    from dci_pipeline.warehouse.layout import Layout

    contract, period, *_ = heavy_stage.inputs()
    (landing,) = deliveries.land(
        Layout(warehouse, heavy_stage.INDEX),
        sorted(files.iterdir()),
        contract=contract,
        cadence="month",
        partner=heavy_stage.PARTNER,
        period=period,
    )
    return landing.delivery.typed


def bare_landing(engine: str, files: Path, out: Path) -> Path:
    """The files read by the engine's own reader with the contract's types, written as Parquet with each row's file."""
    contract = heavy_stage.inputs()[0]
    if engine == "duckdb":
        import duckdb

        types = {"string": "VARCHAR", "integer": "BIGINT", "date": "DATE"}
        columns = ", ".join(f"'{column.source}': '{types[column.type]}'" for column in contract.columns)
        duckdb.sql(
            f"COPY (SELECT * FROM read_csv('{files}/*.csv', header = true, filename = true, columns = {{{columns}}})) "
            f"TO '{out}' (FORMAT parquet, COMPRESSION zstd)"
        )
        return out
    import polars as pl

    to = {"string": pl.String, "integer": pl.Int64, "date": pl.Date}
    schema = {column.source: to[column.type] for column in contract.columns}
    pl.scan_csv(files / "*.csv", schema=schema, include_file_paths="file").sink_parquet(out, compression="zstd")
    return out


def one(way: str, folder: Path) -> dict[str, Any]:
    how, _, task = way.partition(", ")
    with tempfile.TemporaryDirectory(dir=folder) as own:
        return (landing if task.startswith("landing") else judging)(how, task, folder, Path(own))


def landing(how: str, task: str, folder: Path, own: Path) -> dict[str, Any]:
    import polars as pl

    files = folder / ("one" if "one file" in task else "many")
    typed = landed(files, own) if how == "ours" else bare_landing(how.split()[1], files, own / "typed.parquet")
    spent = used()
    figures = [
        pl.len(),
        pl.col("usage_units").sum(),
        pl.col("event_date").max(),
        pl.col("record_id", "city").n_unique(),
    ]
    return spent | {"hash": str(pl.scan_parquet(typed).select(figures).collect().row(0))}


def judging(how: str, task: str, folder: Path, own: Path) -> dict[str, Any]:
    paths = sorted(folder.glob("*.parquet")) or [folder / ("one.typed" if "one file" in task else "many.typed")]
    rules = task.split(maxsplit=1)[0]
    said: list[Any] = []
    for number, path in enumerate(paths):
        partner = path.stem if path.suffix == ".parquet" else heavy_stage.PARTNER
        aside = own / str(number) if task.endswith("aside") else None
        if how in CALLS:
            found = CALLS[how](rules, path, partner=partner, aside=aside)
        else:
            found = heavy_stage.ours(how.rsplit(maxsplit=1)[-1], rules, path, partner=partner, aside=aside)
        said.append([sorted(found[0].items()), [list(row) for row in found[1]]])
    spent = used()
    apart = sorted(own.glob("*/*.parquet"))
    if task.endswith("aside"):
        said.append(set_aside(apart))
    text = json.dumps(said)
    return spent | {
        "any": [dict(counts)["any"] for counts, *_ in said[: len(paths)]],
        "hash": hashlib.sha256(text.encode()).hexdigest(),
    }


def set_aside(files: list[Path]) -> list[Any]:
    """What tells the rejected rows, in order: their number, and a hash of place, rules and values."""
    import polars as pl

    digest, rows, last = hashlib.sha256(), 0, (-1, -1)
    for file in files:
        for part in pl.read_parquet(file).iter_slices(1_000_000):
            places = part.select("file", "file_row").rows()
            if places != sorted(places) or (last >= places[0] and last != (-1, -1)):
                raise SystemExit(f"{file.name}: rows out of order")
            last, rows = places[-1], rows + part.height
            digest.update(part.hash_rows(seed=1).to_numpy().tobytes())
    return [rows, digest.hexdigest()]


def ways(shape: str) -> list[str]:
    found: list[str] = []
    for task in TASKS[shape]:
        found += [f"bare {engine}, {task}" for engine in ENGINES]
        found += (
            [f"ours, {task}"] if task.startswith("landing") else [f"ours on {engine}, {task}" for engine in ENGINES]
        )
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--out", type=Path, help="write the figures of every run as JSON")
    options.add_argument("--shapes", default="few,partner,rejected,duplicates,parts", help="separated by commas")
    options.add_argument("--files", type=int, default=1000)
    options.add_argument("--file-rows", type=int, default=1000)
    options.add_argument("--large-rows", type=int, default=100_000_000)
    options.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        print(json.dumps(one(given.one[0], Path(given.one[1]))))
        return
    runs: dict[str, Any] = {}
    table: dict[str, Any] = {}
    for shape in given.shapes.split(","):
        with tempfile.TemporaryDirectory() as folder:
            make(shape, Path(folder), given)
            measured = rounds(__file__, {way: [way, folder] for way in ways(shape)}, given.rounds)
        for task in TASKS[shape]:
            if len({run["hash"] for way in measured for run in measured[way] if way.partition(", ")[2] == task}) > 1:
                raise SystemExit(f"{shape}, {task}: the figures differ between ways")
        floors = {
            way: [f"bare {engine}, {way.partition(', ')[2]}" for engine in ENGINES] for way in measured if "ours" in way
        }
        found = summary(measured, floors)
        print(f"\n{shape}")
        tell(found, goal=heavy_stage.GOAL)
        if shape == "parts":
            per_file(found, given.files)
        runs |= {f"{shape}: {way}": those for way, those in measured.items()}
        table |= {f"{shape}: {way}": line for way, line in found.items()}
    if given.out:
        keep(given.out, runs, table, rows=given.rows, files=given.files, file_rows=given.file_rows)


def per_file(table: dict[str, Any], files: int) -> None:
    """What a file more costs landing, and how many of them one CPU second takes."""
    many, alone = table["ours, landing"]["cpu_s"], table["ours, landing in one file"]["cpu_s"]
    print(
        f"landing {files} files: {files / many:.0f} a CPU second, {1e3 * (many - alone) / files:.2f} ms each beyond one"
    )


if __name__ == "__main__":
    main()
