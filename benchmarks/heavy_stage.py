"""The heavy stage against hand-written queries that give the same figures: CPU, wall and memory, as ratios.

    python benchmarks/heavy_stage.py --rows 10000000 --rounds 5 --out heavy_stage.json

Each measurement is a process of its own, imports included; rounds are interleaved, so that a busy machine is busy for
all. Floors: DuckDB SQL and Polars expressions written for this one feed, without contract, engine or quarantine. All
ways of a task give the same rule counts, sums of the leaves and sums by members of the breakdowns, or the run stops.
Repeated keys are looked for in a second set of measurements; the quarantine is written in a third, without a floor.
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

from measuring import ROOT, keep, rounds, summary, tell, used

INDEX, FEED, PARTNER, PERIOD = "dci", "cloud_usage", "cloud_a", "2019-04"
LAYERS = ("IaaS", "PaaS", "SaaS")
FAULTS = 0.0002
GOAL = 1.25
_BATCH = 5_000_000
WAYS = {
    "bare duckdb": ("bare_duckdb", "counts"),
    "bare polars": ("bare_polars", "counts"),
    "ours on polars": ("polars", "counts"),
    "ours on duckdb": ("duckdb", "counts"),
    "bare duckdb, keys": ("bare_duckdb", "keys"),
    "bare polars, keys": ("bare_polars", "keys"),
    "ours on polars, keys": ("polars", "keys"),
    "ours on duckdb, keys": ("duckdb", "keys"),
    "ours on polars, quarantine": ("polars", "quarantine"),
    "ours on duckdb, quarantine": ("duckdb", "quarantine"),
}


def inputs() -> tuple[Any, Any, Any, Any, Any]:
    """Contract, period, usable names, leaves and splits of the feed, as a step of the pipeline would have them."""
    from dci_pipeline import contract_files, framework_files, geography, periods

    folder = ROOT / "data_contracts" / INDEX
    contract = contract_files.read_feed(folder / "feeds" / f"{FEED}.yaml", index=INDEX)
    period = periods.parse(PERIOD, "month")
    aliases = geography.read_geography(folder).aliases_at(period)
    framework = framework_files.read_framework(folder.parent, INDEX)
    return contract, period, aliases, framework.leaves_of(FEED), framework.splits_of(FEED)


def generate(path: Path, rows: int, *, shuffled: bool = False, shaped: Callable[[Any, Any], Any] | None = None) -> None:
    """A typed delivery: names of every kind, a few faults of each kind, a few repeated keys; in order, or shuffled.

    `shaped` makes rows of another shape of each batch, with the draws it is given.
    """
    import numpy as np
    import pyarrow.parquet as pq

    order = np.random.default_rng(7).permutation(rows) + 1 if shuffled else np.arange(1, rows + 1)
    writer = None
    for start in range(0, rows, _BATCH):
        batch = _batch(order[start : start + _BATCH], start)
        if shaped is not None:
            batch = shaped(batch, np.random.default_rng([20190402, start]))
        table = batch.to_arrow()
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=250_000)
    if writer is not None:
        writer.close()


def _batch(numbers: Any, start: int) -> Any:
    """Rows of these record numbers, the first of which is row `start` + 1; the same for the same start."""
    import numpy as np
    import polars as pl

    contract, period, aliases, *_ = inputs()
    draw, rows = np.random.default_rng([20190401, start]), len(numbers)

    def pick(values: list[str]) -> pl.Series:
        return pl.Series(values, dtype=pl.String).gather(draw.integers(0, len(values), rows))

    def fault() -> pl.Series:
        return pl.Series(draw.random(rows) < FAULTS)

    names = aliases.filter(pl.col("scope") == "in")["alias"].to_list()
    outside = aliases.filter(pl.col("scope") == "out")["alias"][0]
    number = pl.Series(numbers)
    unread, copied = fault(), fault()
    return (
        pl.DataFrame(
            {
                "partner": pl.select(pl.when(fault()).then(pl.lit("other")).otherwise(pl.lit(PARTNER)).alias("p"))["p"],
                "record_id": number,
                "day": draw.integers(0, (period.end - period.start).days, rows),
                "city": pick(names),
                "service": pick(list(contract.by_name["service"].values)),
                "layer": pick(list(contract.by_name["layer"].values)),
                "sector": pick(list(contract.by_name["sector"].values)),
                "usage_units": np.minimum(draw.lognormal(8, 2, rows), 1e12).astype("int64"),
            }
        )
        .select(
            "partner",
            pl.when(copied)
            .then(pl.col("record_id") - 1)
            .otherwise("record_id")
            .cast(pl.String)
            .str.zfill(12)
            .str.replace("^", f"{PARTNER}-")
            .alias("record_id"),
            pl.when(fault())
            .then(period.end)
            .otherwise(pl.lit(period.start) + pl.duration(days="day"))
            .cast(pl.Date)
            .alias("event_date"),
            pl.when(fault())
            .then(pl.lit("nowhere"))
            .when(fault())
            .then(pl.lit(outside))
            .otherwise("city")
            .alias("city"),
            "service",
            "layer",
            pl.when(fault()).then(pl.lit("?")).otherwise("sector").alias("sector"),
            pl.when(unread)
            .then(None)
            .when(fault())
            .then(-5)
            .when(fault())
            .then(None)
            .otherwise("usage_units")
            .alias("usage_units"),
            pl.lit(0, dtype=pl.Int32).alias("file"),
            pl.Series(np.arange(start + 1, start + rows + 1)).alias("file_row"),
            pl.when(unread).then(pl.lit("usage_units: not an integer 'x'")).alias("unparsed"),
        )
        .with_columns(record_id=pl.when(fault()).then(pl.lit("no id ") + pl.col("record_id")).otherwise("record_id"))
    )


def ours(
    engine: str, task: str, path: Path, *, partner: str = PARTNER, aside: Path | None = None
) -> tuple[dict[str, int], list[Any]]:
    """Rule counts, sums and sums by member; with an `aside`, the rejected rows are written there."""
    from dci_pipeline import engines
    from dci_pipeline.validation import scan as stage

    contract, period, aliases, leaves, splits = inputs()
    if task == "counts":
        # The rule has no switch in the product: a delivery is always judged by every rule.
        stage.repeated_keys = lambda *_: None
    with engines.engine(engine, temp_directory=path.parent) as opened:
        found = stage.scan(
            opened,
            opened.scan([path]),
            contract=contract,
            period=period,
            partner=partner,
            aliases=aliases,
            leaves=leaves,
            splits=splits,
        )
        if aside is not None:
            aside.mkdir()
            for number, part in enumerate(found.quarantine):
                opened.sink(part, aside / f"{number}.parquet")
    counts = {rule: number for rule, number in found.counts.select("rule", "unexpected").iter_rows() if number}
    members = found.members.select("place", "indicator", "column", "member", "value", "records")
    return counts, [*found.sums.select("place", "indicator", "value", "records").rows(), *members.rows()]


def bare_duckdb(
    task: str, path: Path, *, partner: str = PARTNER, aside: Path | None = None
) -> tuple[dict[str, int], list[Any]]:
    import duckdb

    contract, period, aliases, *_ = inputs()
    names = [column.name for column in contract.columns]
    flags = {"row.shape": "unparsed IS NOT NULL AND unparsed LIKE 'row:%'"}
    flags |= {f"{name}.type": f"unparsed IS NOT NULL AND regexp_matches(unparsed, '(^|; ){name}: ')" for name in names}
    flags |= {f"{name}.not_null": f"{name} IS NULL AND unparsed IS NULL" for name in names}
    measure = contract.by_name["usage_units"]
    flags["usage_units.range"] = f"usage_units < {measure.minimum} OR usage_units > {measure.maximum}"
    flags["record_id.pattern"] = f"NOT regexp_matches(record_id, '{contract.by_name['record_id'].pattern}')"
    for name in ("service", "layer", "sector"):
        listed = ", ".join(f"'{value}'" for value in contract.by_name[name].values)
        flags[f"{name}.one_of"] = f"{name} NOT IN ({listed})"
    flags["partner.matches"] = f"partner <> '{partner}'"
    flags["event_date.in_period"] = f"event_date < DATE '{period.start}' OR event_date >= DATE '{period.end}'"
    if task == "keys":
        flags["key.unique"] = "d.record_id IS NOT NULL AND NOT (d.alike AND d.first = file_row)"
    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = false")
    connection.register("aliases", aliases.to_arrow())
    source = f"read_parquet('{path}') t"
    if task == "keys":
        connection.execute(
            f"CREATE TEMP TABLE again AS SELECT record_id FROM {source} WHERE record_id IS NOT NULL GROUP BY 1 "
            "HAVING count(*) > 1"
        )
        others = ", ".join(f"{name} := {name}" for name in names)
        connection.execute(
            f"CREATE TEMP TABLE doubled AS SELECT record_id, min(file_row) AS first, count(DISTINCT "
            f"struct_pack({others})) = 1 AS alike FROM {source} SEMI JOIN again USING (record_id) GROUP BY 1"
        )
        source += " LEFT JOIN doubled d USING (record_id)"
    flags["city.known"] = "city IS NOT NULL AND scope IS NULL"
    flags["city.in_scope"] = "scope = 'out'"
    bits = " + ".join(f"CASE WHEN {sql} THEN {1 << number} ELSE 0 END" for number, sql in enumerate(flags.values()))
    connection.execute(
        f"CREATE TEMP TABLE g AS SELECT place, layer, service, sector, {bits} AS bits, count(*) AS n, "
        f"sum(usage_units) AS value, count(usage_units) AS records FROM {source} LEFT JOIN aliases ON city = alias "
        "GROUP BY ALL"
    )
    totals = ", ".join(f"sum(n) FILTER (bits & {1 << number} > 0)::BIGINT" for number in range(len(flags)))
    row = connection.sql(f"SELECT {totals}, (sum(n) FILTER (bits > 0))::BIGINT FROM g").fetchall()[0]
    counts = dict(zip([*flags, "any"], row, strict=True))
    figures = "sum(value)::BIGINT AS value, sum(records)::BIGINT AS records FROM g WHERE bits = 0"
    whole = [("cloud_usage_volume", "true"), *((name.lower(), f"layer = '{name}'") for name in LAYERS)]
    sums = " UNION ALL ".join(
        f"SELECT place, '{leaf}' AS leaf, {figures} AND {rows} GROUP BY ALL" for leaf, rows in whole
    )
    members = " UNION ALL ".join(
        f"SELECT place, '{name.lower()}' AS leaf, '{column}' AS by, {column} AS member, {figures} AND layer = '{name}' "
        "GROUP BY ALL"
        for name in LAYERS
        for column in ("sector", "service")
    )
    found = connection.sql(f"SELECT * FROM ({sums}) WHERE records > 0 ORDER BY ALL").fetchall()
    found += connection.sql(f"SELECT * FROM ({members}) WHERE records > 0 ORDER BY ALL").fetchall()
    if aside is not None:
        aside.mkdir()
        rules = ", ".join(
            f"CASE WHEN {flags[rule.id]} THEN '{rule.id}' END" for rule in contract.rules if rule.id in flags
        )
        connection.execute(
            f"COPY (SELECT file, file_row, concat_ws(';', {rules}) AS rules, unparsed, {', '.join(names)} "
            f"FROM {source} LEFT JOIN aliases ON city = alias WHERE {bits} > 0 ORDER BY file, file_row) "
            f"TO '{aside / '0.parquet'}' (FORMAT parquet, COMPRESSION zstd)"
        )
    return {rule: number for rule, number in counts.items() if number}, found


def bare_polars(
    task: str, path: Path, *, partner: str = PARTNER, aside: Path | None = None
) -> tuple[dict[str, int], list[Any]]:
    import polars as pl

    contract, period, aliases, *_ = inputs()
    names = [column.name for column in contract.columns]
    col = pl.col
    measure = contract.by_name["usage_units"]
    flags = {f"{name}.not_null": col(name).is_null() & col("unparsed").is_null() for name in names}
    flags["usage_units.range"] = (col("usage_units") < measure.minimum) | (col("usage_units") > measure.maximum)
    flags["record_id.pattern"] = ~col("record_id").str.contains(contract.by_name["record_id"].pattern)
    for name in ("service", "layer", "sector"):
        flags[f"{name}.one_of"] = ~col(name).is_in(list(contract.by_name[name].values))
    flags["partner.matches"] = col("partner") != partner
    flags["event_date.in_period"] = (col("event_date") < period.start) | (col("event_date") >= period.end)
    flags["unread"] = col("unparsed").is_not_null()
    rows = pl.scan_parquet(path)
    if task == "keys":
        keyed = rows.filter(col("record_id").is_not_null())
        again = keyed.group_by("record_id").len().filter(col("len") > 1).select("record_id").collect()
        doubled = (
            keyed.join(again.lazy(), on="record_id", how="semi")
            .collect()
            .group_by("record_id")
            .agg(first=col("file_row").min(), alike=pl.struct(names).n_unique() == 1)
        )
        rows = rows.join(doubled.lazy(), on="record_id", how="left")
        flags["key.unique"] = col("first").is_not_null() & ~(col("alike") & (col("first") == col("file_row")))
    rows = rows.join(aliases.lazy(), left_on="city", right_on="alias", how="left")
    flags["city.known"] = col("city").is_not_null() & col("scope").is_null()
    flags["city.in_scope"] = col("scope") == "out"
    bits = pl.sum_horizontal(
        pl.when(flag).then(pl.lit(1 << number, pl.Int64)).otherwise(0) for number, flag in enumerate(flags.values())
    )
    g = (
        rows.group_by("place", "layer", "service", "sector", bits.alias("bits"))
        .agg(n=pl.len().cast(pl.Int64), value=col("usage_units").sum(), records=col("usage_units").count())
        .collect(engine="streaming")
    )
    counts = {rule: int(g.filter(col("bits") & (1 << number) > 0)["n"].sum()) for number, rule in enumerate(flags)}
    if counts.pop("unread"):
        reasons = (
            pl.scan_parquet(path)
            .filter(col("unparsed").is_not_null())
            .select(
                [col("unparsed").str.contains(f"(?:^|; ){name}: ").sum().alias(f"{name}.type") for name in names]
                + [col("unparsed").str.starts_with("row:").sum().alias("row.shape")]
            )
            .collect()
        )
        counts |= reasons.row(0, named=True)
    counts["any"] = int(g.filter(col("bits") > 0)["n"].sum())
    clean = g.filter(col("bits") == 0)
    layers = [(name.lower(), clean.filter(col("layer") == name)) for name in LAYERS]
    figures = [col("value").sum(), col("records").sum().cast(pl.Int64)]
    sums = [
        frame.group_by("place", pl.lit(leaf).alias("leaf")).agg(figures)
        for leaf, frame in [("cloud_usage_volume", clean), *layers]
    ]
    members = [
        frame.group_by(
            "place", pl.lit(leaf).alias("leaf"), pl.lit(column).alias("by"), col(column).alias("member")
        ).agg(figures)
        for leaf, frame in layers
        for column in ("sector", "service")
    ]
    found = [row for parts in (sums, members) for row in sorted(pl.concat(parts).filter(col("records") > 0).rows())]
    if aside is not None:
        aside.mkdir()
        told = flags | {f"{name}.type": col("unparsed").str.contains(f"(?:^|; ){name}: ") for name in names}
        told["row.shape"] = col("unparsed").str.starts_with("row:")
        rules = [pl.when(told[rule.id]).then(pl.lit(rule.id)) for rule in contract.rules if rule.id in told]
        (
            rows.filter(pl.any_horizontal(flags.values()))
            .select(
                "file",
                "file_row",
                pl.concat_str(rules, separator=";", ignore_nulls=True).alias("rules"),
                "unparsed",
                *names,
            )
            .sort("file", "file_row")
            .sink_parquet(aside / "0.parquet", compression="zstd")
        )
    return {rule: number for rule, number in counts.items() if number}, found


def one(way: str, path: Path) -> dict[str, Any]:
    how, task = WAYS[way]
    bare = {"bare_duckdb": bare_duckdb, "bare_polars": bare_polars}
    with tempfile.TemporaryDirectory(dir=path.parent) as own:
        aside = Path(own) / "aside" if task == "quarantine" else None
        found = bare[how](task, path) if how in bare else ours(how, task, path, aside=aside)
    text = json.dumps([sorted(found[0].items()), [list(row) for row in found[1]]])
    return used() | {"any": found[0].get("any", 0), "hash": hashlib.sha256(text.encode()).hexdigest()}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--out", type=Path, help="write the figures of every run as JSON")
    options.add_argument("--shuffled", action="store_true", help="record ids in no order")
    options.add_argument("--only", default="", help="ways separated by semicolons; all of them otherwise")
    options.add_argument("--data", type=Path, help="a typed delivery made before; generated otherwise")
    options.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        print(json.dumps(one(given.one, given.data)))
        return
    ways = [way.strip() for way in given.only.split(";") if way.strip()] or list(WAYS)
    with tempfile.TemporaryDirectory() as folder:
        path = given.data or Path(folder) / "typed.parquet"
        if not path.exists():
            generate(path, given.rows, shuffled=given.shuffled)
        runs = rounds(__file__, {way: [way, "--data", str(path)] for way in ways}, given.rounds)
    for task in ("counts", "keys"):
        hashes = {run["hash"] for way, found in runs.items() if WAYS[way][1] == task for run in found}
        if len(hashes) > 1:
            raise SystemExit(f"{task}: the figures differ between ways")
    floors = {
        way: [
            other
            for other in ways
            if WAYS[way][0] in ("polars", "duckdb") and WAYS[other][0].startswith("bare") and WAYS[other][1] == task
        ]
        for way in ways
        for task in [WAYS[way][1]]
    }
    table = summary(runs, floors)
    tell(table, goal=GOAL)
    if given.out:
        keep(given.out, runs, table, rows=given.rows)


if __name__ == "__main__":
    main()
