"""breakdown_year: a node by the values of a column or by its children, in points of the node's own level."""

from __future__ import annotations

from dci_pipeline_tests.recomputed.sources import Connection

UNALLOCATED = "unallocated"

# Points of every member at every place; what stands in for a missing place is in no value of a column.
MEMBERS = f"""
    CREATE TABLE split_leaf AS
    WITH held AS (
        SELECT period, leaf, place, node, dimension, member, sum(m.x) AS x
        FROM (SELECT DISTINCT * FROM part WHERE "column" IS NOT NULL) AS part JOIN below USING (node)
        JOIN member_value AS m USING (leaf, "column", "of") JOIN share USING (period, leaf, place)
        -- Rows of a place whose total is missing are left out, but for persons, who have no total to be split.
        WHERE share.x IS NOT NULL OR node IN (SELECT node FROM node WHERE persons)
        GROUP BY ALL
    ),
    split AS (SELECT DISTINCT node, dimension FROM part WHERE "column" IS NOT NULL),
    rest AS (
        SELECT period, leaf, place, node, dimension, share.x - coalesce(h.x, 0) AS x,
               CASE WHEN share.x IS NULL THEN estimate ELSE 0 END AS estimate
        FROM split JOIN below USING (node) JOIN share USING (leaf)
        LEFT JOIN (SELECT period, leaf, place, node, dimension, sum(x) AS x FROM held GROUP BY ALL) AS h
             USING (period, leaf, place, node, dimension)
        WHERE node NOT IN (SELECT node FROM node WHERE persons)
    )
    SELECT period, leaf, place, node, dimension, member, x, 0.0 AS estimate FROM held
    UNION ALL SELECT period, leaf, place, node, dimension, '{UNALLOCATED}', coalesce(x, 0), estimate FROM rest;

    CREATE TABLE split_place AS
    WITH size AS (SELECT key, role, count(*) AS months FROM span_month WHERE cadence = 'year' GROUP BY ALL),
    spans AS (FROM span_month WHERE cadence = 'year' AND role IN ('now', 'yoy', 'yoy2')),
    whole AS (
        SELECT key, role, ends, leaf, place, node, dimension, member, sum(x) AS x, sum(estimate) AS estimate
        FROM spans JOIN split_leaf USING (period) GROUP BY ALL
    ),
    columns AS (
        SELECT key, role, ends, place, node, dimension, member,
               sum(100 * w / beta * (x::DOUBLE + estimate) / mean / months) AS points
        FROM whole JOIN weight USING (leaf) JOIN beta USING (node) JOIN reference USING (leaf)
        JOIN size USING (key, role)
        GROUP BY ALL
    ),
    own AS (
        SELECT key, role, ends, place, node, withheld, filled, share, imputed FROM withheld WHERE cadence = 'year'
    ),
    -- A place has every member in a span in which it was observed at all, and none in another.
    grid AS (
        SELECT DISTINCT key, role, ends, place, node, dimension, member
        FROM spans JOIN share USING (period) JOIN below USING (leaf)
        JOIN (SELECT DISTINCT node, dimension, member FROM part WHERE "column" IS NOT NULL) USING (node)
        WHERE x IS NOT NULL
        UNION
        -- Persons of any category are a sign of the place too, without a row of the total.
        SELECT key, role, ends, place, node, dimension, part.member
        FROM columns AS seen JOIN (SELECT DISTINCT node, dimension, member FROM part) AS part USING (node, dimension)
        WHERE node IN (SELECT node FROM node WHERE persons)
    )
    SELECT key, role, ends, place, node, dimension, member, coalesce(points, 0) AS points,
           withheld, filled, share, imputed, false AS children
    FROM (FROM grid FULL JOIN columns USING (key, role, ends, place, node, dimension, member))
    JOIN own USING (key, role, ends, place, node)
    UNION ALL
    SELECT child.key, child.role, child.ends, child.place, part.node, dimension, member,
           sum(child.composite) / any_value(beta.beta), bool_or(child.withheld), bool_or(child.filled),
           sum(child.share * c.beta), sum(child.imputed * c.beta), true
    FROM (FROM withheld WHERE cadence = 'year' AND role IN ('now', 'yoy', 'yoy2')) AS child
    JOIN part ON "column" IS NULL AND "of" = child.node JOIN beta ON beta.node = part.node
    JOIN beta AS c ON c.node = child.node
    JOIN own ON own.key = child.key AND own.role = child.role AND own.place = child.place AND own.node = part.node
    GROUP BY ALL
"""

ENTITIES = f"""
    CREATE TABLE split AS
    WITH summed AS (
        SELECT key, role, entity_type, entity_code, entity_type IN ('city', 'residual') AS is_place, node, dimension,
               member, sum(points) AS points, bool_or(children) AS children,
               sum(points) FILTER (city) AS city_points, count(*) FILTER (city) AS cities,
               bool_or(withheld) AS withheld, bool_or(filled) AS filled, sum(share) AS share, sum(imputed) AS imputed
        FROM split_place JOIN member AS who (ends, place, entity_type, entity_code, city) USING (ends, place)
        GROUP BY ALL
    )
    SELECT * REPLACE (CASE WHEN NOT (withheld AND is_place) THEN points END AS points),
           CASE WHEN is_place AND withheld THEN 'M'
                WHEN withheld OR filled OR member = '{UNALLOCATED}' THEN 'E' ELSE 'A' END AS obs_status,
           CASE WHEN entity_type = 'nation' OR share > 0 THEN imputed / share
                WHEN filled THEN 1 ELSE 0 END AS imputed_share
    FROM summed WHERE member <> '{UNALLOCATED}' OR points <> 0;

    CREATE TABLE split_wide AS
    WITH whole AS (
        SELECT key, role, entity_type, entity_code, node, level FROM shown WHERE cadence = 'year'
    )
    SELECT now.*, yoy.points AS points_yoy, yoy2.points AS points_yoy2,
           now.points / nullif(own.level, 0) AS part, yoy.points / nullif(own_yoy.level, 0) AS part_yoy,
           CASE WHEN now.member <> '{UNALLOCATED}' THEN now.points / nullif(yoy.points, 0) - 1 END AS growth,
           CASE WHEN now.member <> '{UNALLOCATED}' THEN yoy.points / nullif(yoy2.points, 0) - 1 END AS growth_before
    FROM (FROM split WHERE role = 'now') AS now
    LEFT JOIN (FROM split WHERE role = 'yoy') AS yoy USING (key, entity_type, entity_code, node, dimension, member)
    LEFT JOIN (FROM split WHERE role = 'yoy2') AS yoy2 USING (key, entity_type, entity_code, node, dimension, member)
    LEFT JOIN (FROM whole WHERE role = 'now') AS own USING (key, entity_type, entity_code, node)
    LEFT JOIN (FROM whole WHERE role = 'yoy') AS own_yoy USING (key, entity_type, entity_code, node)
"""


def ranked(value: str, before: str, name: str, scope: str, condition: str) -> str:
    """A rank and its change; both among the rows there are now. Equal to 12 digits is equal."""
    by, by_before = (f"round({one}, 12)" if value == "growth" else f"digits({one})" for one in (value, before))
    window = f"OVER (PARTITION BY key, node, dimension, {scope}, member = '{UNALLOCATED}' ORDER BY"
    return f"""
        CASE WHEN {condition} AND {value} IS NOT NULL THEN rank() {window} {by} DESC NULLS LAST) END AS {name},
        CASE WHEN {condition} AND {value} IS NOT NULL AND {before} IS NOT NULL
             THEN rank() {window} {by_before} DESC NULLS LAST) - rank() {window} {by} DESC NULLS LAST)
        END AS {name}_change
    """


def breakdown(con: Connection) -> None:
    """breakdown_rows: the columns of the published table under the same names."""
    con.execute(MEMBERS)
    con.execute(ENTITIES)
    inside = f"member <> '{UNALLOCATED}'"
    among = f"{inside} AND entity_type NOT IN ('nation', 'residual')"
    con.execute(f"""
        CREATE TABLE breakdown_rows AS
        WITH means AS (
            SELECT city.key, who.entity_type, who.entity_code, node, dimension, city.member, avg(growth) AS growth_mean
            FROM split_wide AS city
            JOIN (SELECT DISTINCT key, ends FROM span_month WHERE role = 'now' AND cadence = 'year') AS span USING (key)
            JOIN member AS who ON who.ends = span.ends AND who.place = city.entity_code AND who.city
            WHERE city.entity_type = 'city' GROUP BY ALL
        )
        SELECT key::INT AS year, entity_type, entity_code, node, dimension, member, points,
               CASE WHEN NOT is_place AND {inside} AND cities > 0 THEN city_points / cities END AS mean_points,
               CASE WHEN NOT is_place AND {inside} THEN cities END AS n_members,
               part AS share_of_entity, 100 * (part - part_yoy) AS share_change_pp, growth AS growth_yoy,
               CASE WHEN NOT is_place THEN growth_mean END AS growth_members_mean,
               {ranked("points", "points_yoy", "rank_in_entity", "entity_type, entity_code", inside)},
               {ranked("points", "points_yoy", "rank_in_member", "entity_type, member", among)},
               {ranked("growth", "growth_before", "growth_rank_in_entity", "entity_type, entity_code", inside)},
               {ranked("growth", "growth_before", "growth_rank_in_member", "entity_type, member", among)},
               CASE WHEN children THEN split_wide.obs_status
                    WHEN {inside} THEN own.obs_status
                    ELSE greatest(own.obs_status, 'E') END AS obs_status,
               'F' AS conf_status, maturity,
               CASE WHEN children THEN split_wide.imputed_share ELSE own.imputed_share END AS imputed_share
        FROM split_wide JOIN (
            SELECT key, entity_type, entity_code, node, maturity, obs_status, imputed_share
            FROM index_rows WHERE cadence = 'year'
        ) AS own USING (key, entity_type, entity_code, node)
        LEFT JOIN means USING (key, entity_type, entity_code, node, dimension, member)
    """)
