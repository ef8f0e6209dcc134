"""What the explorer shows of the published tables, each with the decimals it is carried at.

A fraction carried at 4 decimals is shown as a percentage with one: what is sorted is finer than what is read.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A column of a published table, the decimals kept, and the tables it may stand in (begin of the name)."""

    column: str
    decimals: int
    table: str = "index"
    # Left out of a node's file where it says nothing: all of it zero.
    only_where_not_zero: bool = False


MEASURES = (
    Measure("points", 4),
    Measure("mean_points", 4),
    Measure("rank", 0),
    Measure("rank_change", 0),
    Measure("rank_change_yoy", 0),
    Measure("growth_yoy", 4),
    Measure("growth_mom", 4),
    Measure("growth_qoq", 4),
    Measure("cagr", 4),
    Measure("imputed_share", 4, only_where_not_zero=True),
    Measure("contribution_pp", 4, "contribution"),
    Measure("points_se", 4, "uncertainty"),
    Measure("rank_low", 0, "uncertainty"),
    Measure("rank_high", 0, "uncertainty"),
    Measure("p_top10", 4, "uncertainty"),
)
# The parts of a change, in points of the root.
CONTRIBUTION = Measure("contribution_points", 4, "contribution")
LINK_EFFECT = Measure("link_effect_points", 4, "contribution", only_where_not_zero=True)
STATUSES = ("obs_status", "conf_status", "maturity")


def of_table(table: str) -> tuple[Measure, ...]:
    """The measures that a table such as `index_year` may hold."""
    return tuple(measure for measure in MEASURES if measure.table == table.partition("_")[0])
