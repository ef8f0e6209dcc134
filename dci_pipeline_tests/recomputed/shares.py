"""From rows to values, and from values to shares: missing places keep the share they were last observed with."""

from __future__ import annotations

from typing import Any

from dci_pipeline_tests.recomputed.sources import Connection, leaves, table


def values(con: Connection, index: dict[str, Any]) -> None:
    """value (period, leaf, place, x): whole numbers, only where a place has a row; member_value by column value."""
    con.execute("CREATE TABLE value (period DATE, leaf TEXT, place TEXT, x HUGEINT)")
    con.execute('CREATE TABLE member_value (period DATE, leaf TEXT, place TEXT, "column" TEXT, "of" TEXT, x HUGEINT)')
    columns = con.execute("""
        SELECT DISTINCT below.leaf, "column" FROM part JOIN below USING (node) WHERE "column" IS NOT NULL
    """).fetchall()
    for leaf in leaves(index):
        volume, quality = f'"{leaf["measure"]}"', leaf.get("quality")
        if quality:
            volume += f' * abs("{quality["column"]}" - {quality["worst"]})'
        con.execute(f"""
            INSERT INTO value SELECT period, '{leaf["node"]}', place, sum(({volume})::HUGEINT)
            FROM rows_{leaf["feed"]} WHERE {where(leaf["where"])} GROUP BY ALL
        """)
        for column in (column for node, column in columns if node == leaf["node"]):
            # A total that stands in the same column is split over the other values of it.
            rest = {key: value for key, value in leaf["where"].items() if key != column}
            pinned = f""" AND "{column}" <> '{leaf["where"][column]}'""" if column in leaf["where"] else ""
            con.execute(f"""
                INSERT INTO member_value
                SELECT period, '{leaf["node"]}', place, '{column}', "{column}", sum(({volume})::HUGEINT)
                FROM rows_{leaf["feed"]} WHERE {where(rest)}{pinned} GROUP BY ALL
            """)


def held(con: Connection, coverage: dict[str, float]) -> None:
    """Months in which a leaf has rows of too few places come into nothing: `frame` forgets them.

    coverage: the least part of the places, per leaf.
    """
    table(con, "least", "leaf TEXT, part DOUBLE", list(coverage.items()))
    con.execute("""
        DELETE FROM frame WHERE period IN (
            SELECT city.period FROM (FROM frame WHERE type = 'city') AS city CROSS JOIN least
            LEFT JOIN value ON value.period = city.period AND value.leaf = least.leaf AND value.place = city.place
            GROUP BY city.period, least.leaf HAVING count(value.place) < any_value(part) * count(*)
        )
    """)


def where(conditions: dict[str, str]) -> str:
    return " AND ".join([f"\"{key}\" = '{value}'" for key, value in conditions.items()] or ["true"])


def shares(con: Connection) -> None:
    """share (period, leaf, place, x, estimate, s, away): month by month, as each reads the one before.

    estimate: x, or what stands in for it. s: part of the national total. away: months since the place was last
    observed, 0 for an observed one, null for one never observed up to then.
    """
    con.execute(
        "CREATE TABLE share (period DATE, leaf TEXT, place TEXT, x HUGEINT, estimate DOUBLE, s DOUBLE, away INT)"
    )
    months = con.execute("SELECT DISTINCT period FROM frame ORDER BY 1").fetchall()
    for (month,) in months:
        con.execute(
            """
            INSERT INTO share
            WITH here AS (
                SELECT frame.period, basket.leaf, frame.place, value.x, carried.s AS last, carried.away AS was,
                       value.x IS NULL AS gone
                FROM frame CROSS JOIN basket
                LEFT JOIN value ON value.period = frame.period AND value.leaf = basket.leaf
                     AND value.place = frame.place
                LEFT JOIN share AS carried ON carried.period = (SELECT max(period) FROM share)
                     AND carried.leaf = basket.leaf AND carried.place = frame.place
                WHERE frame.period = ?
            ),
            totals AS (
                SELECT leaf, sum(x)::DOUBLE AS seen, coalesce(sum(last) FILTER (gone), 0) AS lost FROM here GROUP BY ALL
            ),
            filled AS (
                SELECT here.*, CASE WHEN gone THEN coalesce(last, 0) / (1 - lost) * seen ELSE x::DOUBLE END AS estimate
                FROM here JOIN totals USING (leaf)
            )
            SELECT period, leaf, place, x, estimate, estimate / nullif(sum(estimate) OVER (PARTITION BY leaf), 0),
                   CASE WHEN gone THEN was + 1 ELSE 0 END
            FROM filled
            """,
            [month],
        )
    con.execute("CREATE TABLE total AS SELECT period, leaf, sum(estimate) AS total FROM share GROUP BY ALL")


def published(con: Connection, limit: float) -> None:
    """month (period): those of which not too much of the nation is imputed, in any tree."""
    con.execute(
        """
        CREATE TABLE month AS
        WITH imputed AS (
            SELECT period, root, sum(w * s) FILTER (x IS NULL) AS part
            FROM share JOIN weight USING (leaf) JOIN root_of ON root_of.node = leaf GROUP BY ALL
        )
        SELECT period FROM imputed GROUP BY period HAVING max(coalesce(part, 0)) <= ?
        """,
        [limit],
    )
