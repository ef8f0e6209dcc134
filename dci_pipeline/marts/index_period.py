"""The table of one period (`index_month`, `index_quarter`): points, position, ranks and growth by entity × node.

Formulas of METHOD sections 2 and 4 inside one link; column names and units are the table contract's.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import polars as pl

from dci_pipeline.marts import growth
from dci_pipeline.marts.entities import KEY, entities


def ranked_entities(
    places: pl.DataFrame, *, members: pl.DataFrame, types: pl.DataFrame, nation: str, ranked: Collection[str]
) -> pl.DataFrame:
    """Entities of one period with rank and points_share: what a period is and what later ones compare with."""
    frame = entities(places, members=members, types=types, nation=nation)
    frame = growth.with_ranks(frame, ranked=ranked)
    return growth.with_points_share(frame, nation=nation)


def index_period(
    now: pl.DataFrame,
    *,
    before: pl.DataFrame | None,
    year_before: pl.DataFrame | None,
    period: date,
    period_column: str,
    before_column: str,
    members: pl.DataFrame,
    types: pl.DataFrame,
    nation: str,
) -> pl.DataFrame:
    """One partition of the table.

    now, before, year_before: `ranked_entities` of the period, of the one before it and of the same one a year before
    (None where there is none). Out: the columns of the contract but for their order, sorted by entity_type,
    entity_code, node.
    """
    frame = growth.growth_on(now, before, name=before_column)
    frame = growth.growth_on(frame, year_before, name="growth_yoy")
    frame = growth.members_growth(
        frame, members=members, types=types, nation=nation, growth="growth_yoy", name="growth_members_mean_yoy"
    )
    frame = growth.change_on(frame, year_before, column="rank", name="rank_change_yoy", reverse=True)
    return frame.with_columns(
        pl.lit(period, dtype=pl.Date).alias(period_column),
        # Inside one link nothing is rebased, so growth carries no link effect.
        link_effect_points=pl.when(pl.col("growth_yoy").is_not_null()).then(0.0),
        conf_status=pl.lit("F"),
        maturity=maturity(),
    ).sort(KEY)


def maturity() -> pl.Expr:
    """'provisional' while a late feed stands in (P), else 'final'."""
    return pl.when(pl.col("obs_status") == "P").then(pl.lit("provisional")).otherwise(pl.lit("final"))
