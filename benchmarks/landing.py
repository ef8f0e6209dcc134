"""Landing a text file against the engines' own readers writing Parquet: CPU, wall and memory, as ratios.

    python benchmarks/landing.py --rows 5000000 --rounds 5 --out landing.json

One file of `cloud_usage`, as CSV in UTF-8 and gzipped. The floors read it with the contract's types and write Parquet
with the number of each row, one failing value failing the file; landing copies and hashes the file, types value by
value with a reason for each that fails, refuses another month's or partner's file, and leaves a delivery. Each
measurement is a process of its own, imports included; rounds are interleaved. All must give the same values.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from heavy_stage import PARTNER, generate, inputs
from measuring import keep, rounds, summary, tell, used

GOAL = 1.5
WAYS = {
    f"{way}, {form}": (way, form) for form in ("csv", "csv.gz") for way in ("bare duckdb", "bare polars", "landing")
}
_DUCKDB = {"string": "VARCHAR", "integer": "BIGINT", "date": "DATE"}


def files(folder: Path, rows: int) -> None:
    """A faultless delivery as a partner would send it, plain and gzipped."""
    import polars as pl

    contract, *_ = inputs()
    typed = folder / "typed.parquet"
    generate(typed, rows)
    names = {column.name: column.source for column in contract.columns}
    good = pl.scan_parquet(typed).filter(
        pl.col("unparsed").is_null(), pl.col("usage_units") >= 0, pl.col("partner") == PARTNER
    )
    good.select(pl.col(name).alias(source) for name, source in names.items()).sink_csv(folder / "cloud_usage.csv")
    with (
        (folder / "cloud_usage.csv").open("rb") as plain,
        gzip.open(folder / "cloud_usage.csv.gz", "wb", compresslevel=6) as packed,
    ):
        shutil.copyfileobj(plain, packed, 1 << 20)
    typed.unlink()


def landing(path: Path, folder: Path) -> Path:
    from dci_pipeline.warehouse import deliveries
    from dci_pipeline.warehouse.layout import Layout

    contract, period, *_ = inputs()
    (landed,) = deliveries.land(
        Layout(folder / "warehouse", "dci"), [path], contract=contract, cadence="month", partner=PARTNER, period=period
    )
    return landed.delivery.typed


def bare_duckdb(path: Path, folder: Path) -> Path:
    import duckdb

    contract, *_ = inputs()
    columns = ", ".join(f"'{column.source}': '{_DUCKDB[column.type]}'" for column in contract.columns)
    duckdb.sql(
        f"COPY (SELECT *, row_number() OVER () AS file_row FROM read_csv('{path}', header = true, "
        f"columns = {{{columns}}})) TO '{folder / 'typed.parquet'}' (FORMAT parquet, COMPRESSION zstd)"
    )
    return folder / "typed.parquet"


def bare_polars(path: Path, folder: Path) -> Path:
    import polars as pl

    contract, *_ = inputs()
    types = {"string": pl.String, "integer": pl.Int64, "date": pl.Date}
    schema = {column.source: types[column.type] for column in contract.columns}
    rows = pl.scan_csv(path, schema=schema, row_index_name="file_row", row_index_offset=1)
    rows.sink_parquet(folder / "typed.parquet", compression="zstd")
    return folder / "typed.parquet"


def one(way: str, folder: Path) -> dict[str, Any]:
    import polars as pl

    how, form = WAYS[way]
    contract, *_ = inputs()
    with tempfile.TemporaryDirectory(dir=folder) as own:
        call = {"landing": landing, "bare duckdb": bare_duckdb, "bare polars": bare_polars}[how]
        typed = call(folder / f"cloud_usage.{form}", Path(own))
        spent = used()
        renamed = {column.source: column.name for column in contract.columns if column.source != column.name}
        rows = pl.scan_parquet(typed).rename(renamed, strict=False)
        figures = [pl.len(), pl.col("usage_units").sum(), pl.col("event_date").max(), pl.col("file_row").max()]
        found = rows.select(*figures, pl.col("record_id", "city").n_unique()).collect()
        return spent | {"found": found.select(pl.all().cast(pl.String)).row(0)}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=5_000_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--out", type=Path, help="write the figures of every run as JSON")
    options.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        print(json.dumps(one(given.one[0], Path(given.one[1]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        files(Path(folder), given.rows)
        runs = rounds(__file__, {way: [way, folder] for way in WAYS}, given.rounds)
    for form in ("csv", "csv.gz"):
        if len({json.dumps(run["found"]) for way in WAYS if WAYS[way][1] == form for run in runs[way]}) > 1:
            raise SystemExit(f"{form}: the ways read different values")
    floors = {way: [f"{bare}, {form}" for bare in ("bare duckdb", "bare polars")] for way, (_, form) in WAYS.items()}
    table = summary(runs, floors)
    tell(table, goal=GOAL)
    if given.out:
        keep(given.out, runs, table, rows=given.rows)


if __name__ == "__main__":
    main()
