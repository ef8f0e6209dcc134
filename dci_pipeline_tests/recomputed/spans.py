"""From shares to points: months, years and what each is compared with, for places and then for every entity."""

from __future__ import annotations

from typing import Any

from dci_pipeline_tests.recomputed.sources import Connection

# A span is a table's period ('2018-03', '2018') in a role: itself, or a period that it is compared with.
ROLES = """
    CREATE TABLE span_month AS
    WITH year AS (
        SELECT year(period)::TEXT AS key, min(period) AS first, max(period) AS last, count(*) AS months
        FROM month GROUP BY ALL
    ),
    own AS (
        SELECT 'month' AS cadence, strftime(period, '%Y-%m') AS key, period AS ends, period FROM month
        UNION ALL
        SELECT 'year', key, last, period FROM year JOIN month ON year(period)::TEXT = key
    ),
    moved AS (
        SELECT 'now' AS role, own.* FROM own
        UNION ALL
        SELECT 'yoy', cadence, key, ends, (period - INTERVAL 1 YEAR)::DATE FROM own
        UNION ALL
        SELECT 'mom', cadence, key, ends, (period - INTERVAL 1 MONTH)::DATE FROM own WHERE cadence = 'month'
        UNION ALL
        -- Compound growth: from whole years to whole years.
        SELECT 'first', 'year', year.key, year.last, month.period
        FROM year JOIN month ON year(month.period) = (SELECT min(key::INT) FROM year WHERE months = 12)
        WHERE year.months = 12 AND year.key::INT > year(month.period)
        UNION ALL
        SELECT 'two', 'year', year.key, year.last, month.period
        FROM year JOIN year AS base ON base.key::INT = year.key::INT - 2 AND base.months = 12
        JOIN month ON year(month.period)::TEXT = base.key WHERE year.months = 12
        UNION ALL
        -- What the year before is itself compared with, for ranks of growth.
        SELECT 'yoy2', cadence, key, ends, (period - INTERVAL 2 YEAR)::DATE FROM own
    ),
    whole AS (
        SELECT role, cadence, key FROM moved GROUP BY ALL
        HAVING bool_and(period IN (SELECT period FROM month))
    )
    SELECT cadence, key, role, ends, period FROM moved JOIN whole USING (role, cadence, key)
"""

POINTS = """
    CREATE TABLE reference AS
    SELECT leaf, avg(total) AS mean
    FROM total, link WHERE period BETWEEN reference_start AND reference_end GROUP BY ALL;

    -- A place × leaf in a span: mean points of the root, and its part of the volume of the span.
    CREATE TABLE span_leaf AS
    WITH size AS (SELECT cadence, key, role, count(*) AS months FROM span_month GROUP BY ALL)
    SELECT cadence, key, role, ends, leaf, place,
           100 * any_value(w) * sum(estimate) / any_value(mean) / any_value(months) AS composite,
           sum(estimate) AS estimate,
           coalesce(sum(estimate) FILTER (x IS NULL), 0) AS imputed,
           bool_or(x IS NULL) AS filled,
           bool_or(away IS NULL) AS never,
           -- A leaf is late in a span when every month of it is estimated and the last one too late.
           bool_and(x IS NULL) AND coalesce(arg_max(away, period) > $carry, false) AS late
    FROM span_month JOIN share USING (period) JOIN weight USING (leaf) JOIN reference USING (leaf)
    JOIN size USING (cadence, key, role)
    GROUP BY ALL;

    CREATE TABLE span_total AS
    SELECT cadence, key, role, leaf, sum(estimate) AS total FROM span_leaf GROUP BY ALL;

    CREATE TABLE span_place AS
    WITH alive AS (
        SELECT cadence, key, role, node, sum(w) FILTER (total > 0) AS w FROM span_total
        JOIN weight USING (leaf) JOIN below USING (leaf) GROUP BY ALL
    )
    SELECT cadence, key, role, ends, node, place,
           sum(composite) AS composite, sum(composite) / any_value(beta) AS points,
           sum(weight.w * estimate / nullif(total, 0)) / any_value(alive.w) AS share,
           sum(weight.w * imputed / nullif(total, 0)) / any_value(alive.w) AS imputed,
           bool_or(filled) AS filled, bool_or(never) AS never,
           bool_or(late AND node = leaf) AS late
    FROM span_leaf JOIN span_total USING (cadence, key, role, leaf) JOIN below USING (leaf)
    JOIN weight USING (leaf) JOIN beta USING (node) JOIN alive USING (cadence, key, role, node)
    GROUP BY ALL;

    CREATE TABLE withheld AS
    SELECT *, never OR late
           OR (node NOT IN (SELECT leaf FROM basket) AND share > 0 AND imputed / share > $most) AS withheld
    FROM span_place
"""

ENTITIES = """
    -- Who belongs where, in the last month of every span.
    CREATE TABLE member AS
    WITH ends AS (SELECT DISTINCT ends FROM span_month),
    valid AS (
        SELECT ends, place, group_type, entity_code FROM membership JOIN ends
        ON valid_from < ends + INTERVAL 1 MONTH AND valid_to > ends
    ),
    places AS (
        SELECT ends, place, type FROM place JOIN ends ON valid_from < ends + INTERVAL 1 MONTH AND valid_to > ends
    )
    SELECT ends, place, 'nation' AS entity_type, $nation AS entity_code, type = 'city' AS city FROM places
    UNION ALL SELECT ends, place, type, place, type = 'city' FROM places
    UNION ALL SELECT ends, place, group_type, entity_code, type = 'city' FROM valid JOIN places USING (ends, place)
    UNION ALL
    SELECT ends, place, 'cluster_tier', c.entity_code || ':' || regexp_replace(t.entity_code, '^[a-z]+', ''),
           type = 'city'
    FROM valid AS c JOIN valid AS t USING (ends, place) JOIN places USING (ends, place)
    WHERE c.group_type = 'cluster' AND t.group_type = 'tier';

    CREATE TABLE entity AS
    WITH summed AS (
        SELECT cadence, key, role, entity_type, entity_code, node,
               sum(composite) AS composite, sum(points) AS points, sum(share) AS share, sum(imputed) AS imputed,
               sum(points) FILTER (city) AS city_points, count(*) FILTER (city) AS cities,
               bool_or(filled) AS filled, bool_or(withheld) AS withheld
        FROM withheld JOIN member USING (ends, place) GROUP BY ALL
    )
    SELECT * REPLACE (withheld AND entity_type IN ('city', 'residual') AS withheld),
           entity_type IN ('city', 'residual') AS is_place,
           CASE WHEN entity_type = 'nation' THEN imputed WHEN share > 0 THEN imputed / share
                WHEN filled THEN 1 ELSE 0 END AS imputed_share,
           CASE WHEN withheld AND entity_type IN ('city', 'residual') THEN 'M'
                WHEN filled OR withheld THEN 'E' ELSE 'A' END AS obs_status
    FROM summed
"""


def spans(con: Connection, index: dict[str, Any]) -> None:
    """entity (cadence, key, role, entity_type, entity_code, node, …): the sums that every table starts from."""
    missing = index["missing"]
    con.execute(ROLES)
    most, carry, nation = missing["place_imputed_limit"], missing["carry_periods"], index["nation"]["code"]
    con.execute(POINTS.replace("$carry", str(carry)).replace("$most", str(most)))
    con.execute(ENTITIES.replace("$nation", f"'{nation}'"))
