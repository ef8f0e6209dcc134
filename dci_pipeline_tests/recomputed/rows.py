"""From the deliveries that count to the rows that count: every rule of a feed's contract in one WHERE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dci_pipeline_tests.recomputed.sources import Connection, read


def accepted(con: Connection, warehouse: Path, contracts: Path) -> None:
    """delivery (the current ones) and, for each feed, rows_<feed>: period, place and the feed's own columns."""
    con.execute(f"""
        CREATE TABLE delivery AS
        WITH every AS (
            SELECT feed, strptime(period, '%Y-%m')::DATE AS period, partner, sha256, supersedes,
                   replace(filename, 'delivery.json', 'typed.parquet') AS file
            FROM read_json('{warehouse}/feeds/*/*/*/*/*/delivery.json', filename = true, columns = {{
                feed: 'TEXT', period: 'TEXT', partner: 'TEXT', sha256: 'TEXT', supersedes: 'TEXT'}})
        )
        FROM every AS now WHERE NOT EXISTS (
            FROM every AS later WHERE later.feed = now.feed AND later.period = now.period
            AND later.partner = now.partner AND starts_with(now.sha256, left(later.supersedes, 12)))
    """)
    con.execute("""
        CREATE TABLE frame AS
        SELECT DISTINCT period, place, type FROM delivery JOIN place
        ON valid_from < period + INTERVAL 1 MONTH AND valid_to > period
    """)
    con.execute("""
        CREATE TABLE named AS
        SELECT period, alias, any_value(alias.place) AS place
        FROM (SELECT DISTINCT period FROM delivery) JOIN alias
        ON NOT ambiguous AND valid_from < period + INTERVAL 1 MONTH AND valid_to > period
        GROUP BY ALL HAVING count(DISTINCT alias.place) = 1
    """)
    for path in sorted((contracts / "feeds").glob("*.yaml")):
        feed(con, read(path))


def coverage(contracts: Path) -> dict[str, float]:
    """The least part of the places that a feed must name, by feed."""
    found: dict[str, float] = {}
    for path in sorted((contracts / "feeds").glob("*.yaml")):
        contract = read(path)
        limits = {item["property"]: item["value"] for item in contract["customProperties"]}
        found[contract["schema"][0]["name"]] = limits["thresholds"]["coverage"]["at_least"] / 100
    return found


def role(column: dict[str, Any]) -> str | None:
    found = {item["property"]: item["value"] for item in column.get("customProperties", [])}
    return found.get("role")


def feed(con: Connection, contract: dict[str, Any]) -> None:
    schema = contract["schema"][0]
    name, columns = schema["name"], schema["properties"]
    by_role = {role(column): column["name"] for column in columns}
    files = [file for (file,) in con.execute("SELECT file FROM delivery WHERE feed = ? ORDER BY 1", [name]).fetchall()]
    if not files:
        return
    own = ", ".join(f'delivered."{column["name"]}"' for column in columns)
    tests = " AND ".join(test for column in columns for test in tests_of(column))
    con.execute(f"""
        CREATE TABLE rows_{name} AS
        WITH typed AS (
            SELECT delivery.period, delivery.partner AS sender, delivered.* EXCLUDE (filename),
                   row({own}, delivered.unparsed) AS said
            FROM read_parquet({files!r}, filename = true, hive_partitioning = false) AS delivered
            JOIN delivery ON delivery.file = delivered.filename
        ),
        known AS (
            SELECT typed.*, named.place,
                   count(DISTINCT said) OVER same AS says,
                   row_number() OVER (same ORDER BY file, file_row) AS nth
            FROM typed LEFT JOIN named ON named.period = typed.period AND named.alias = typed."{by_role["place"]}"
            WINDOW same AS (PARTITION BY typed.period, sender, "{by_role["record_id"]}")
        )
        SELECT known.* EXCLUDE (said, sender, says, nth, file, file_row, unparsed)
        FROM known JOIN frame USING (period, place)
        WHERE unparsed IS NULL AND says = 1 AND nth = 1 AND "{by_role["partner"]}" = sender
        AND date_trunc('month', "{by_role["date"]}") = known.period AND {tests}
    """)


def tests_of(column: dict[str, Any]) -> list[str]:
    """The rules of one column as conditions."""
    name, options = f'"{column["name"]}"', column.get("logicalTypeOptions", {})
    tests = [f"{name} IS NOT NULL"] if column.get("required") else ["true"]
    if "minimum" in options:
        tests.append(f"{name} >= {options['minimum']}")
    if "maximum" in options:
        tests.append(f"{name} <= {options['maximum']}")
    if "pattern" in options:
        tests.append(f"regexp_matches({name}, '{options['pattern']}')")
    for rule in column.get("quality", []):
        listed = ", ".join(f"'{value}'" for value in rule["arguments"]["validValues"])
        tests.append(f"{name} IN ({listed})")
    return [f"coalesce({test}, false)" if not column.get("required") else test for test in tests]
