"""The table `index_year`: the mean level of a year's periods, the position of summed volumes (METHOD sections 4, 8).

A running year is compared with the same periods of the year before; CAGR is for whole years only.
"""

from __future__ import annotations

import polars as pl

from dci_pipeline.marts import growth
from dci_pipeline.marts.entities import KEY


def index_year(
    now: pl.DataFrame,
    *,
    same_periods_before: pl.DataFrame | None,
    first: tuple[int, pl.DataFrame] | None,
    two_before: pl.DataFrame | None,
    year: int,
    covered: int,
    whole: int,
    covered_column: str,
    members: pl.DataFrame,
    types: pl.DataFrame,
    nation: str,
) -> pl.DataFrame:
    """One year's partition.

    now, same_periods_before, two_before: `ranked_entities` of spans (same_periods_before: the year before, over the
    periods this year has; two_before: the whole year two years before); first: the first whole year of the index and
    its entities; covered of `whole` periods are there. Out: the contract's columns, sorted by entity_type,
    entity_code, node.
    """
    frame = growth.growth_on(now, same_periods_before, name="growth_yoy")
    frame = growth.members_growth(
        frame, members=members, types=types, nation=nation, growth="growth_yoy", name="growth_members_mean"
    )
    frame = growth.change_on(frame, same_periods_before, column="rank", name="rank_change", reverse=True)
    frame = growth.change_on(
        frame, same_periods_before, column="points_share", name="points_share_change_pp", scale=100.0
    )
    complete = covered == whole
    frame = _cagr(frame, first if complete and first and first[0] < year else None, year=year, name="cagr")
    frame = _cagr(
        frame, (year - 2, two_before) if complete and two_before is not None else None, year=year, name="cagr_2y"
    )
    return (
        frame.with_columns(
            year=pl.lit(year, dtype=pl.Int32),
            link_effect_points=pl.when(pl.col("growth_yoy").is_not_null()).then(0.0),
            conf_status=pl.lit("F"),
            maturity=pl.lit("final" if complete else "provisional"),
        )
        .with_columns(pl.lit(covered, dtype=pl.Int32).alias(covered_column))
        .sort(KEY)
    )


def _cagr(frame: pl.DataFrame, base: tuple[int, pl.DataFrame] | None, *, year: int, name: str) -> pl.DataFrame:
    """Adds `name`: (points ÷ base points)^(1 ÷ years) − 1; null without a base or with a base of zero."""
    if base is None:
        return frame.with_columns(pl.lit(None, dtype=pl.Float64).alias(name))
    grown = growth.growth_on(frame, base[1], name=name)
    return grown.with_columns(((pl.col(name) + 1.0) ** (1.0 / (year - base[0])) - 1.0).alias(name))
