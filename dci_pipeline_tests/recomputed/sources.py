"""The data files of an index as tables: its tree, links and breakdowns, its places, groups, names, experts' scores.

Nothing of the package is imported here or in the stages that follow: what they know they read from files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import yaml

Connection = duckdb.DuckDBPyConnection


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def connect(contracts: Path) -> tuple[Connection, dict[str, Any]]:
    """A database in memory with the tables below, and the index file (contracts = data_contracts/<index>)."""
    con = duckdb.connect()
    # Fewer threads than cores are asked for; the order in which they add up moves digits far behind the tolerance.
    con.execute("SET threads = 2")
    # Levels are compared for ranks in 12 significant digits.
    con.execute("CREATE MACRO digits(value) AS format('{:.11e}', value::DOUBLE)::DOUBLE")
    index = read(contracts / "index.yaml")
    geography(con, contracts / "geography")
    tree(con, index)
    breakdowns(con, index)
    weights(con, contracts / "weights", index)
    return con, index


def table(con: Connection, name: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
    con.execute(f"CREATE TABLE {name} ({columns})")
    if rows:
        con.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)


def geography(con: Connection, folder: Path) -> None:
    for name in ("places", "aliases", "membership"):
        con.execute(
            f"CREATE TABLE {name}_text AS FROM read_csv('{folder / name}.csv', all_varchar = true, header = true)"
        )
    dates = (
        "coalesce(valid_from::DATE, DATE '0001-01-01') AS valid_from, "
        "coalesce(valid_to::DATE, DATE '9999-12-31') AS valid_to"
    )
    con.execute(f"CREATE TABLE place AS SELECT code AS place, type, {dates} FROM places_text")
    con.execute(f"CREATE TABLE alias AS SELECT alias, place, ambiguous = '1' AS ambiguous, {dates} FROM aliases_text")
    con.execute(f"""
        CREATE TABLE membership AS
        SELECT place, group_type, "group" AS entity_code, {dates} FROM membership_text WHERE "primary" = '1'
    """)


def tree(con: Connection, index: dict[str, Any]) -> None:
    """node (node, parent, leaf, distinct_users), link, basket and below (node, leaf), root_of (node, root)."""
    link = index["links"][0]
    rows = [
        (n["node"], n["parent"], "feed" in n, n.get("kind") == "stock" and bool(n["where"])) for n in index["nodes"]
    ]
    table(con, "node", "node TEXT, parent TEXT, leaf BOOL, persons BOOL", rows)
    table(con, "basket", "leaf TEXT", [(leaf,) for leaves in link["basket"].values() for leaf in leaves])
    start, end = (f"{link[key]}-01" for key in ("reference_start", "reference_end"))
    table(con, "link", "reference_start DATE, reference_end DATE", [(start, end)])
    con.execute("""
        CREATE TABLE path AS WITH RECURSIVE up AS (
            SELECT node AS below, node AS above FROM node
            UNION ALL SELECT up.below, node.parent FROM up JOIN node ON node.node = up.above
            WHERE node.parent IS NOT NULL
        ) FROM up
    """)
    con.execute(
        "CREATE TABLE below AS SELECT above AS node, below AS leaf FROM path JOIN basket ON basket.leaf = path.below"
    )
    con.execute("""
        CREATE TABLE root_of AS
        SELECT path.below AS node, path.above AS root
        FROM path JOIN node ON node.node = path.above WHERE node.parent IS NULL
    """)


def breakdowns(con: Connection, index: dict[str, Any]) -> None:
    """part (node, dimension, by_column, member, of): `of` is a value of the column, or a child node."""
    rows: list[tuple[Any, ...]] = []
    for item in index["breakdowns"]:
        for member in item["members"]:
            rows += [
                (item["node"], item["dimension"], item["column"], member["member"], of)
                for of in member.get("of", [member["member"]])
            ]
    table(con, "part", 'node TEXT, dimension TEXT, "column" TEXT, member TEXT, "of" TEXT', rows)


def weights(con: Connection, folder: Path, index: dict[str, Any]) -> None:
    """weight (leaf, root, w), beta (node, beta): products of the mean scores' shares along the path."""
    waves = sorted(set(index["links"][0]["wave"].values()))
    con.execute("CREATE TABLE score (wave TEXT, expert TEXT, node TEXT, child TEXT, score INT)")
    for wave in waves:
        con.execute(f"INSERT INTO score FROM read_csv('{folder / wave}.csv', header = true)")
    con.execute("""
        CREATE TABLE alpha AS
        WITH inside AS (SELECT DISTINCT node FROM below),
        mean AS (
            SELECT node.parent, node.node AS child, avg(score.score) AS m
            FROM node JOIN inside USING (node) LEFT JOIN score ON score.child = node.node AND score.node = node.parent
            WHERE node.parent IS NOT NULL GROUP BY ALL
        )
        -- Where nobody scored any child they weigh the same.
        SELECT parent, child, coalesce(m, 1) / sum(coalesce(m, 1)) OVER (PARTITION BY parent) AS alpha FROM mean
    """)
    con.execute("""
        CREATE TABLE weight AS
        SELECT path.below AS leaf, product(coalesce(alpha.alpha, 1)) AS w
        FROM basket JOIN path ON path.below = basket.leaf LEFT JOIN alpha ON alpha.child = path.above GROUP BY ALL
    """)
    con.execute("CREATE TABLE beta AS SELECT node, sum(w) AS beta FROM below JOIN weight USING (leaf) GROUP BY ALL")


def leaves(index: dict[str, Any]) -> Iterator[dict[str, Any]]:
    basket = {leaf for leaves in index["links"][0]["basket"].values() for leaf in leaves}
    yield from (node for node in index["nodes"] if node["node"] in basket)
