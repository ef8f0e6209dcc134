"""The recomputed rows beside the published ones: the same rows, numbers to 1e-9 of the value, all else equal."""

from __future__ import annotations

from pathlib import Path

from dci_pipeline_tests.recomputed import breakdown, inequality, rows, shares, sources, spans, tables
from dci_pipeline_tests.recomputed.sources import Connection

INDEX_KEYS = "entity_type, entity_code, node"
# Published table: the recomputed rows under its names, and its key.
TABLES = {
    "index_month": (
        "SELECT *, strptime(key, '%Y-%m')::DATE AS month, rank_change AS rank_change_yoy, growth AS growth_yoy, "
        "growth_mean AS growth_members_mean_yoy FROM index_rows WHERE cadence = 'month'",
        f"{INDEX_KEYS}, month",
    ),
    "index_year": (
        "SELECT *, key::INT AS year, growth AS growth_yoy, growth_mean AS growth_members_mean "
        "FROM index_rows WHERE cadence = 'year'",
        f"{INDEX_KEYS}, year",
    ),
    "contribution_year": ("FROM contribution_rows", f"{INDEX_KEYS}, year"),
    "ranking_year": ("FROM ranking_rows", f"scope_type, scope_code, basis, {INDEX_KEYS}, year"),
    "breakdown_year": ("FROM breakdown_rows", f"{INDEX_KEYS}, dimension, member, year"),
    "inequality_year": ("FROM inequality_rows", "scope_type, scope_code, node, measure, year"),
}
# What is not compared: of several child nodes the imputed share is weighed by points (the contract says so), which is
# the part of the position only near the reference.
OPEN: dict[tuple[str, str], str] = {("breakdown_year", "imputed_share"): "a.dimension = 'board_group'"}


def recompute(contracts: Path, warehouse: Path) -> Connection:
    """Every table made again (contracts = data_contracts/<index>, warehouse = warehouse/<index>)."""
    con, index = sources.connect(contracts)
    rows.accepted(con, warehouse, contracts)
    shares.values(con, index)
    least = rows.coverage(contracts)
    shares.held(con, {leaf["node"]: least[leaf["feed"]] for leaf in sources.leaves(index)})
    shares.shares(con)
    shares.published(con, index["missing"]["nation_imputed_limit"])
    spans.spans(con, index)
    tables.tables(con, index)
    inequality.inequality(con, index)
    breakdown.breakdown(con)
    return con


def differences(con: Connection, warehouse: Path, table: str) -> list[str]:
    """What differs between the published table and the recomputed one, a line for each column with an example."""
    mine, keys = TABLES[table]
    parts = f"{warehouse}/marts/{table}/**/*.parquet"
    con.execute(f"CREATE OR REPLACE TABLE a AS FROM read_parquet('{parts}', hive_partitioning = false)")
    con.execute(f"CREATE OR REPLACE TABLE b AS {mine}")
    types = dict(con.execute("SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'a'").fetchall())
    found: list[str] = []
    for one, other in (("a", "b"), ("b", "a")):
        extra = con.execute(f"SELECT {keys} FROM {one} ANTI JOIN {other} USING ({keys}) LIMIT 3").fetchall()
        if extra:
            found.append(f"{table}: rows only {'published' if one == 'a' else 'recomputed'}, such as {extra}")
    for column, kind in types.items():
        if column in keys.split(", "):
            continue
        differs = f"a.{column} IS DISTINCT FROM b.{column}"
        if kind == "DOUBLE":
            near = f"abs(a.{column} - b.{column}) <= 1e-9 * abs(b.{column}) + 1e-12"
            differs += f" AND NOT coalesce({near}, false)"
        known = OPEN.get((table, column), "false")
        bad = con.execute(
            f"SELECT {keys}, a.{column}, b.{column}, count(*) OVER () FROM a JOIN b USING ({keys}) "
            f"WHERE {differs} AND NOT coalesce({known}, false) LIMIT 1"
        ).fetchone()
        if bad:
            found.append(
                f"{table}.{column}: {bad[-1]} rows differ, such as {bad[:-3]}: {bad[-3]}, recomputed {bad[-2]}"
            )
    return found
