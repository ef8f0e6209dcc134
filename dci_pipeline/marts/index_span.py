"""The index tables: one period, January with February, a half, a year (METHOD sections 4 and 8).

Each takes spans as frames of entities with `chained_points` and `link_points` and sets them beside the same months a
year before. A running half or year is compared with the months it has; compound growth is for whole years only.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from dci_pipeline.marts.entities import in_order, members_mean
from dci_pipeline.marts.growth import CHAIN, beside, compound, growth_on, like_for_like, rank_of


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
    """The table of one period (`index_month`, `index_quarter`).

    now; before, year_before: the period before it and the same one a year before, None where there is none. Out: the
    columns of the contract but for their order, sorted by entity_type, entity_code, node.
    """
    frame = _compared(
        now, year_before, members=members, types=types, nation=nation, members_growth="growth_members_mean_yoy"
    )
    frame = growth_on(frame, before, name=before_column)
    frame = frame.rename({"rank_change": "rank_change_yoy"}).drop("points_share_change_pp")
    return _published(frame, whole=True).with_columns(pl.lit(period, dtype=pl.Date).alias(period_column))


def index_span(
    now: pl.DataFrame,
    *,
    year_before: pl.DataFrame | None,
    span: pl.Expr,
    covered: int,
    whole: bool,
    covered_column: str,
    members: pl.DataFrame,
    types: pl.DataFrame,
    nation: str,
) -> pl.DataFrame:
    """A span of some periods (`index_janfeb`, `index_half`).

    now; year_before: the periods it has, a year before; span: its key as a named literal; covered periods are there,
    all of them when `whole`. Out: as `index_period`.
    """
    frame = _compared(
        now, year_before, members=members, types=types, nation=nation, members_growth="growth_members_mean"
    )
    return _published(frame, whole=whole).with_columns(span, pl.lit(covered, dtype=pl.Int32).alias(covered_column))


def index_year(
    now: pl.DataFrame,
    *,
    year_before: pl.DataFrame | None,
    first: tuple[int, pl.DataFrame] | None,
    two_before: pl.DataFrame | None,
    year: int,
    covered: int,
    whole: bool,
    covered_column: str,
    members: pl.DataFrame,
    types: pl.DataFrame,
    nation: str,
) -> pl.DataFrame:
    """One year (`index_year`): a span with compound growth.

    first: the first whole year of the index and its entities; two_before: the whole year two years before. Both are
    used for whole years only. Out: as `index_period`.
    """
    frame = _compared(
        now, year_before, members=members, types=types, nation=nation, members_growth="growth_members_mean"
    )
    since, base = first if first is not None and whole and first[0] < year else (year - 1, None)
    frame = compound(frame, base, years=year - since, name="cagr")
    frame = compound(frame, two_before if whole else None, years=2, name="cagr_2y")
    return _published(frame, whole=whole).with_columns(
        pl.lit(year, dtype=pl.Int32).alias("year"), pl.lit(covered, dtype=pl.Int32).alias(covered_column)
    )


def _compared(
    now: pl.DataFrame,
    base: pl.DataFrame | None,
    *,
    members: pl.DataFrame,
    types: pl.DataFrame,
    nation: str,
    members_growth: str,
) -> pl.DataFrame:
    """Adds growth_yoy, the mean of the members' growth, rank_change, points_share_change_pp and link_effect_points.

    The rank before is taken among the entities there are now: one frame of places for both.
    """
    columns = ("points", "points_share", "link_points", *CHAIN)
    frame = beside(now, base, columns=columns, suffix="_base")
    frame = frame.with_columns(
        growth_yoy=like_for_like("_base"),
        rank_change=rank_of("points_base", ("entity_type", "node")) - pl.col("rank"),
        points_share_change_pp=100.0 * (pl.col("points_share") - pl.col("points_share_base")),
        link_effect_points=pl.col("link_points") - pl.col("link_points_base"),
    ).drop(f"{name}_base" for name in columns)
    return members_mean(frame, members=members, types=types, nation=nation, column="growth_yoy", name=members_growth)


def _published(frame: pl.DataFrame, *, whole: bool) -> pl.DataFrame:
    """The columns of a published row: without those that chain, with how it may be used and how final it is."""
    published = frame.with_columns(conf_status=pl.lit("F"), maturity=maturity(whole=whole))
    return in_order(published.drop(*CHAIN, "link_points", "composite_link_points"))


def maturity(*, whole: bool) -> pl.Expr:
    """'provisional' for a span that is not whole, and for a node while a late feed stands in anywhere under it (P).

    An estimate for the place itself (E) is stronger than P and hides it, but a late feed is late for every place.
    """
    late = (pl.col("obs_status") == "P").any().over("node")
    return pl.when(late | pl.lit(not whole)).then(pl.lit("provisional")).otherwise(pl.lit("final"))
