"""inequality_year: how unevenly the points of the cities of every scope lie, and how they converge."""

from __future__ import annotations

from typing import Any

from dci_pipeline_tests.recomputed.sources import Connection

MEASURES = """
    CREATE TABLE city_points AS
    SELECT span.key, member.entity_type AS scope_type, member.entity_code AS scope_code, node, place,
           home.entity_code AS home, now AS x, first AS x0
    FROM (SELECT DISTINCT key, ends FROM span_month WHERE role = 'now' AND cadence = 'year') AS span
    JOIN member USING (ends)
    JOIN (SELECT ends, place, entity_code FROM member WHERE entity_type = '$groups') AS home USING (ends, place)
    JOIN compared ON compared.cadence = 'year' AND compared.key = span.key
         AND compared.entity_type = 'city' AND compared.entity_code = place
    WHERE member.city AND member.entity_type NOT IN ('city', 'residual');

    -- A scope has parts when it holds every city of each of its two or more provinces.
    CREATE TABLE parted AS
    WITH here AS (
        SELECT key, scope_type, scope_code, home, count(DISTINCT place) AS cities FROM city_points GROUP BY ALL
    ),
    whole AS (SELECT key, scope_code AS home, cities AS all_cities FROM here WHERE scope_type = '$groups')
    SELECT key, scope_type, scope_code FROM here JOIN whole USING (key, home) GROUP BY ALL
    HAVING count(*) >= 2 AND bool_and(cities = all_cities);

    CREATE TABLE inequality_wide AS
    WITH placed AS (
        SELECT *, row_number() OVER (same ORDER BY x) AS i, count(x) OVER same AS n, sum(x) OVER same AS total,
               row_number() OVER (same ORDER BY x DESC) AS from_top
        FROM city_points WHERE x IS NOT NULL
        WINDOW same AS (PARTITION BY key, scope_type, scope_code, node)
    ),
    home AS (
        SELECT key, scope_type, scope_code, node, home, count(*) AS n_g, sum(x) AS x_g, any_value(n) AS n,
               any_value(total) AS total, avg(x) AS mean_g
        FROM placed GROUP BY ALL
    ),
    inside AS (
        SELECT key, scope_type, scope_code, node, home,
               avg(CASE WHEN x > 0 THEN x / mean_g * ln(x / mean_g) ELSE 0 END) AS theil_g
        FROM placed JOIN home USING (key, scope_type, scope_code, node, home) GROUP BY ALL
    ),
    parts AS (
        SELECT key, scope_type, scope_code, node,
               sum(CASE WHEN x_g > 0 THEN x_g / total * theil_g ELSE 0 END) AS theil_within,
               sum(CASE WHEN x_g > 0 THEN x_g / total * ln(x_g / total / (n_g / n)) ELSE 0 END) AS theil_between,
               any_value(total) > 0 AS defined
        FROM home JOIN inside USING (key, scope_type, scope_code, node, home)
        SEMI JOIN parted USING (key, scope_type, scope_code) GROUP BY ALL
    ),
    single AS (
        SELECT key, scope_type, scope_code, node,
               (max(x) - min(x)) / nullif(avg(x), 0) AS range_over_mean, avg(x) / nullif(min(x), 0) AS mean_over_min,
               quantile_cont(x, 0.5) / nullif(quantile_cont(x, 0.1), 0) AS p50_p10,
               quantile_cont(x, 0.75) / nullif(quantile_cont(x, 0.25), 0) AS p75_p25,
               quantile_cont(x, 0.8) / nullif(quantile_cont(x, 0.2), 0) AS p80_p20,
               quantile_cont(x, 0.9) / nullif(quantile_cont(x, 0.1), 0) AS p90_p10,
               max(x) / nullif(quantile_cont(x, 0.5), 0) AS max_median,
               stddev_pop(x) / nullif(avg(x), 0) AS cv,
               sum((2 * i - n - 1) * x) / nullif(any_value(n) * sum(x), 0) AS gini,
               CASE WHEN sum(x) > 0 THEN
                   sum(CASE WHEN x > 0 THEN x / (total / n) * ln(x / (total / n)) ELSE 0 END)
                   / any_value(n) END AS theil,
               sum(x * x) / nullif(sum(x) * sum(x), 0) AS hhi,
               sum(x) FILTER (from_top <= 10) / nullif(sum(x), 0) AS top10_share,
               sum(x) FILTER (from_top <= 100) / nullif(sum(x), 0) AS top100_share,
               quantile_cont(x, 0.5) AS median, min(x) AS min, max(x) AS max, avg(x) AS mean,
               stddev_pop(ln(x)) FILTER (x > 0) AS sigma_log,
               CASE WHEN count(DISTINCT x0) FILTER (x > 0 AND x0 > 0) > 1
                    THEN regr_slope(ln(x / x0) / $years, ln(x0)) FILTER (x > 0 AND x0 > 0) END AS beta
        FROM placed GROUP BY ALL
    )
    SELECT scope.key, scope_type, scope_code, node, single.* EXCLUDE (key, scope_type, scope_code, node),
           CASE WHEN defined THEN theil_within END AS theil_within,
           CASE WHEN defined THEN theil_between END AS theil_between,
           $divide AS divide
    FROM (SELECT DISTINCT key, scope_type, scope_code, node FROM city_points) AS scope
    LEFT JOIN single USING (key, scope_type, scope_code, node)
    LEFT JOIN parts USING (key, scope_type, scope_code, node);

    CREATE TABLE inequality_rows AS
    SELECT scope_type, scope_code, node, key::INT AS year, measure, value,
           obs_status, conf_status, maturity, imputed_share
    FROM (FROM inequality_wide UNPIVOT INCLUDE NULLS (
        value FOR measure IN (COLUMNS(* EXCLUDE (key, scope_type, scope_code, node)))))
    JOIN (SELECT key, entity_type AS scope_type, entity_code AS scope_code, node, obs_status, conf_status, maturity,
                 imputed_share
          FROM index_rows WHERE cadence = 'year') AS own USING (key, scope_type, scope_code, node)
"""


def inequality(con: Connection, index: dict[str, Any]) -> None:
    """inequality_rows: the columns of the published table under the same names."""
    years = "(key::INT - (SELECT min(year(period)) FROM span_month WHERE role = 'first'))"
    text = MEASURES.replace("$years", years).replace("$divide", index["divide"]["measure"])
    con.execute(text.replace("$groups", index["divide"]["theil_groups"]))
