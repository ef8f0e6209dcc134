"""index_month, index_year, contribution_year and ranking_year, from the sums over entities."""

from __future__ import annotations

from typing import Any

from dci_pipeline_tests.recomputed.sources import Connection

# What is ranked: places that are not withheld, and groups. A rank before is among the entities there are now.
SHOWN = """
    CREATE TABLE shown AS
    SELECT *, CASE WHEN NOT withheld THEN points END AS level,
           entity_type NOT IN ('nation', 'residual') AS ranked
    FROM entity;

    CREATE TABLE compared AS
    WITH levels AS (
        PIVOT (SELECT cadence, key, entity_type, entity_code, node, ranked, role, level FROM shown)
        ON role IN ('now', 'yoy', 'mom', 'first', 'two', 'yoy2') USING any_value(level)
    )
    SELECT levels.*, now / nullif(yoy, 0) - 1 AS growth, now / nullif(mom, 0) - 1 AS growth_mom,
           yoy / nullif(yoy2, 0) - 1 AS growth_before
    FROM levels SEMI JOIN (SELECT * FROM shown WHERE role = 'now')
    USING (cadence, key, entity_type, entity_code, node)
"""

INDEX = """
    CREATE TABLE index_rows AS
    WITH base AS (SELECT cadence, key, entity_type, entity_code, node FROM entity WHERE role = 'yoy'),
    covered AS (SELECT cadence, key, count(*) AS months FROM span_month WHERE role = 'now' GROUP BY ALL),
    ranks AS (
        SELECT *, CASE WHEN ranked AND now IS NOT NULL
                    THEN rank() OVER (same ORDER BY digits(now) DESC NULLS LAST) END AS rank,
               CASE WHEN ranked AND now IS NOT NULL AND yoy IS NOT NULL
                    THEN rank() OVER (same ORDER BY digits(yoy) DESC NULLS LAST) END AS rank_before
        FROM compared WINDOW same AS (PARTITION BY cadence, key, entity_type, node)
    ),
    nation AS (
        SELECT cadence, key, node, now AS nation_now, yoy AS nation_yoy FROM compared WHERE entity_type = 'nation'
    ),
    whole AS (SELECT min(key::INT) AS year FROM covered WHERE months = 12 AND cadence = 'year'),
    means AS (
        SELECT city.cadence, city.key, member.entity_type, member.entity_code, city.node, avg(growth) AS growth_mean
        FROM compared AS city
        JOIN (SELECT DISTINCT cadence, key, ends FROM span_month WHERE role = 'now') AS span USING (cadence, key)
        JOIN member ON member.ends = span.ends AND member.place = city.entity_code AND member.city
        WHERE city.entity_type = 'city' GROUP BY ALL
    )
    SELECT shown.cadence, shown.key, entity_type, entity_code, node,
           now AS points, CASE WHEN NOT withheld THEN composite END AS composite_points,
           CASE WHEN NOT withheld THEN share END AS share, now / nullif(nation_now, 0) AS points_share,
           100 * (now / nullif(nation_now, 0) - yoy / nullif(nation_yoy, 0)) AS points_share_change_pp,
           CASE WHEN NOT is_place AND cities > 0 THEN city_points / cities END AS mean_points,
           CASE WHEN NOT is_place THEN cities END AS n_members,
           CASE WHEN NOT is_place THEN 'city' END AS member_type,
           rank, rank_before - rank AS rank_change, growth_mom, growth,
           CASE WHEN NOT is_place THEN growth_mean END AS growth_mean,
           CASE WHEN first > 0 THEN pow(now / first, 1.0 / (key[:4]::INT - (SELECT year FROM whole))) - 1 END AS cagr,
           CASE WHEN two > 0 THEN pow(now / two, 0.5) - 1 END AS cagr_2y,
           CASE WHEN base.node IS NOT NULL THEN 0.0 END AS link_effect_points,
           months AS months_covered, obs_status, 'F' AS conf_status,
           CASE WHEN cadence = 'year' AND months < 12 THEN 'provisional' ELSE 'final' END AS maturity,
           imputed_share
    FROM shown JOIN ranks USING (cadence, key, entity_type, entity_code, node)
    JOIN nation USING (cadence, key, node) JOIN covered USING (cadence, key)
    LEFT JOIN base USING (cadence, key, entity_type, entity_code, node)
    LEFT JOIN means USING (cadence, key, entity_type, entity_code, node)
    WHERE shown.role = 'now'
"""

CONTRIBUTION = """
    CREATE TABLE contribution_rows AS
    WITH base AS (SELECT DISTINCT cadence, key FROM span_month WHERE role = 'yoy'),
    root AS (
        SELECT cadence, key, node AS root, now, yoy FROM compared
        WHERE entity_type = 'nation' AND node IN (SELECT root FROM root_of)
    )
    SELECT shown.key::INT AS year, entity_type, entity_code, node, shown.key::INT - 1 AS base_period,
           CASE WHEN NOT shown.withheld AND NOT coalesce(before.withheld, false)
                THEN shown.composite - coalesce(before.composite, 0) END AS contribution_points,
           100 * contribution_points / nullif(root.yoy, 0) AS contribution_pp,
           CASE WHEN abs(root.now - root.yoy) >= 0.01 * root.yoy
                THEN contribution_points / (root.now - root.yoy) END AS contribution_rate,
           0.0 AS link_effect_points,
           greatest(shown.obs_status, coalesce(before.obs_status, 'A')) AS obs_status, 'F' AS conf_status,
           CASE WHEN covered.months < 12 THEN 'provisional' ELSE 'final' END AS maturity, shown.imputed_share
    FROM shown JOIN base USING (cadence, key)
    JOIN (SELECT cadence, key, count(*) AS months FROM span_month WHERE role = 'now' GROUP BY ALL) AS covered
         USING (cadence, key)
    JOIN root_of USING (node) JOIN root USING (cadence, key, root)
    LEFT JOIN (FROM shown WHERE role = 'yoy') AS before USING (cadence, key, entity_type, entity_code, node)
    WHERE shown.role = 'now' AND cadence = 'year'
"""

# One row per scope, basis and ranked entity; without a year before there are points alone.
RANKING = """
    CREATE TABLE scoped AS
    WITH base AS (SELECT DISTINCT key FROM span_month WHERE role = 'yoy' AND cadence = 'year'),
    scope AS (
        SELECT DISTINCT key, $nation AS scope_code, 'nation' AS scope_type, entity_type, entity_code
        FROM compared WHERE cadence = 'year' AND ranked
        UNION ALL
        SELECT span.key, member.entity_code, member.entity_type, 'city', member.place
        FROM (SELECT DISTINCT key, ends FROM span_month WHERE role = 'now' AND cadence = 'year') AS span
        JOIN member USING (ends)
        WHERE member.city AND member.entity_type IN ($scopes) AND member.entity_type <> 'nation'
    ),
    levels AS (
        SELECT scope.*, node, now, yoy, yoy2, growth, growth_before
        FROM scope JOIN compared ON compared.cadence = 'year' AND compared.key = scope.key
        AND compared.entity_type = scope.entity_type AND compared.entity_code = scope.entity_code
    ),
    placed AS (
        SELECT *, CASE WHEN now IS NOT NULL THEN rank() OVER (same ORDER BY digits(now) DESC NULLS LAST) END AS at_now,
               CASE WHEN yoy IS NOT NULL THEN rank() OVER (same ORDER BY digits(yoy) DESC NULLS LAST) END AS at_yoy,
               CASE WHEN yoy2 IS NOT NULL THEN rank() OVER (same ORDER BY digits(yoy2) DESC NULLS LAST) END AS at_yoy2
        FROM levels WINDOW same AS (PARTITION BY key, scope_type, scope_code, entity_type, node)
    ),
    based AS (
        SELECT *, 'points' AS basis, now AS value, yoy AS before,
               digits(now) AS compared_now, digits(yoy) AS compared_before
        FROM placed
        UNION ALL
        SELECT *, 'growth', growth, growth_before, round(growth, 12), round(growth_before, 12)
        FROM placed SEMI JOIN base USING (key)
        UNION ALL
        SELECT *, 'rank_gain', at_yoy - at_now, at_yoy2 - at_yoy, at_yoy - at_now, at_yoy2 - at_yoy
        FROM placed SEMI JOIN base USING (key)
    )
    SELECT *, CASE WHEN value IS NOT NULL THEN rank() OVER (same ORDER BY compared_now DESC NULLS LAST) END AS rank,
           CASE WHEN before IS NOT NULL THEN rank() OVER (same ORDER BY compared_before DESC NULLS LAST)
           END AS rank_before
    FROM based WINDOW same AS (PARTITION BY key, scope_type, scope_code, entity_type, node, basis);

    CREATE TABLE ranking_rows AS
    SELECT scope_type, scope_code, basis, entity_type, entity_code, node, key::INT AS year, value, rank, rank_before,
           rank_before - rank AS rank_change,
           CASE WHEN basis = 'points' THEN scoped.now / nullif(whole.now, 0) END AS share_of_scope,
           CASE WHEN basis = 'points'
                THEN 100 * (scoped.now / nullif(whole.now, 0) - scoped.yoy / nullif(whole.yoy, 0))
           END AS share_of_scope_change_pp,
           obs_status, conf_status, maturity, imputed_share
    FROM scoped
    JOIN (SELECT key, entity_type AS scope_type, entity_code AS scope_code, node, now, yoy
          FROM compared WHERE cadence = 'year') AS whole USING (key, scope_type, scope_code, node)
    JOIN (SELECT key, entity_type, entity_code, node, obs_status, conf_status, maturity, imputed_share
          FROM index_rows WHERE cadence = 'year') AS own USING (key, entity_type, entity_code, node)
"""


def tables(con: Connection, index: dict[str, Any]) -> None:
    """index_rows, contribution_rows, ranking_rows: the columns of the published tables under the same names."""
    con.execute(SHOWN)
    con.execute(INDEX)
    con.execute(CONTRIBUTION)
    scopes = ", ".join(f"'{scope}'" for scope in index["ranking"]["scopes"])
    con.execute(RANKING.replace("$nation", f"'{index['nation']['code']}'").replace("$scopes", scopes))
