"""The tables `tracker_month`, `tracker_half`, `tracker_year`: the key indicators one by one (METHOD sections 8, 11).

An indicator is followed as index points, as an amount in a unit (published for the nation alone, and only where the
feed's contract declares the total public), or as a ratio of two indicators. Growth, shares and ranks are for everyone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from dci_pipeline.framework import Tracked
from dci_pipeline.marts.entities import KEY, NATION
from dci_pipeline.marts.growth import beside, growth, rank_of, ratio
from dci_pipeline.marts.index_span import maturity
from dci_pipeline.marts.volumes import STOCK
from dci_pipeline.normalise.statuses import STATUSES

INDEX, ABSOLUTE = "index", "absolute"
COLUMNS = ("value", "unit", "growth_yoy", "growth_end_over_begin", "share_of_nation", "rank")


@dataclass(frozen=True)
class Span:
    """A span's `volumes.entity_amounts` and its number of days."""

    amounts: pl.DataFrame
    days: int


def tracker(
    now: Span,
    *,
    before: Span | None,
    ends: tuple[Span, Span] | None,
    points: pl.DataFrame,
    tracked: Sequence[Tracked],
    kinds: Mapping[str, str],
    public: Collection[str],
    ranked: Collection[str],
    part: float,
    whole: bool,
) -> pl.DataFrame:
    """One span's rows, without the period's own column.

    before: the same periods a year before; ends: first and last period of the span, None when it has one only; points:
    the span's entities [entity_type, entity_code, node, points]; kinds: indicator → 'flow' or 'stock'; public:
    indicators whose national total may be published; ranked: entity types with ranks; part: |P| ÷ |r| with |r| a year.
    Out, sorted by entity_type, entity_code, node (the tracked id): these and
    value                   index: T = part × points for a flow, points for a stock; absolute: amount ÷ divisor, for
                            the nation where it is public; ratio: amount ÷ amount per ÷ divisor, also ÷ days when
                            per_day
    unit, growth_yoy        of what `value` stands for, published or not
    growth_end_over_begin   last period ÷ first − 1
    share_of_nation         null for a ratio
    rank                    descending, competition; null for types without ranking
    obs_status, conf_status, maturity, imputed_share
    """
    frames: list[pl.DataFrame] = []
    for item in tracked:
        frame = _measured(now, item)
        frame = _growth(frame, _measured(before, item) if before else None, "growth_yoy")
        first, last = (_measured(end, item) for end in ends) if ends else (None, None)
        frame = _growth_between(frame, first, last)
        frames.append(_valued(frame, points, item, kinds[item.node], public, part))
    found = pl.concat(frames)
    return (
        found.with_columns(
            rank=pl.when(pl.col("entity_type").is_in(sorted(ranked))).then(
                rank_of("measured", ("entity_type", "node"))
            ),
            conf_status=pl.lit("F"),
            maturity=maturity(whole=whole),
        )
        .select(*KEY, *COLUMNS, "obs_status", "conf_status", "maturity", "imputed_share")
        .sort(KEY)
    )


def _measured(span: Span, item: Tracked) -> pl.DataFrame:
    """[entity_type, entity_code, node = the tracked id, measured, obs_status, imputed_share] of one key indicator."""
    own = span.amounts.filter(pl.col("node") == item.node).with_columns(measured="amount")
    if item.per is not None:
        other = span.amounts.filter(pl.col("node") == item.per)
        both = own.join(other, on=list(KEY[:2]), how="inner", suffix="_per", maintain_order="left")
        order = list(STATUSES)
        stronger = pl.max_horizontal(
            pl.col(name).replace_strict(order, range(len(order)), return_dtype=pl.Int64)
            for name in ("obs_status", "obs_status_per")
        )
        days = float(span.days) if item.per_day else 1.0
        own = both.with_columns(
            measured=ratio(pl.col("amount"), pl.col("amount_per")) / item.divisor / days,
            obs_status=stronger.replace_strict(range(len(order)), order, return_dtype=pl.String),
            imputed_share=pl.max_horizontal("imputed_share", "imputed_share_per"),
        )
    return own.select(*KEY[:2], pl.lit(item.tracked).alias("node"), "measured", "obs_status", "imputed_share")


def _valued(
    frame: pl.DataFrame, points: pl.DataFrame, item: Tracked, kind: str, public: Collection[str], part: float
) -> pl.DataFrame:
    """Adds value, unit and share_of_nation."""
    nation = frame.filter(pl.col("entity_type") == NATION)["measured"]
    share = ratio(pl.col("measured"), pl.lit(nation.item() if len(nation) else None, dtype=pl.Float64))
    if item.form == INDEX:
        own = points.filter(pl.col("node") == item.node).select(*KEY[:2], "points")
        frame = frame.join(own, on=list(KEY[:2]), how="left", maintain_order="left")
        value = pl.col("points") if kind == STOCK else pl.col("points") * part
    elif item.form == ABSOLUTE:
        shown = (pl.col("entity_type") == NATION) & pl.lit(item.node in public)
        value = pl.when(shown).then(pl.col("measured") / item.divisor)
    else:
        value, share = pl.col("measured"), pl.lit(None, dtype=pl.Float64)
    return frame.with_columns(value=value, unit=pl.lit(item.unit), share_of_nation=share).drop("points", strict=False)


def _growth(frame: pl.DataFrame, base: pl.DataFrame | None, name: str) -> pl.DataFrame:
    grown = beside(frame, base, columns=["measured"], suffix="_base")
    return grown.with_columns(growth("measured", "measured_base").alias(name)).drop("measured_base")


def _growth_between(frame: pl.DataFrame, first: pl.DataFrame | None, last: pl.DataFrame | None) -> pl.DataFrame:
    grown = beside(frame, first, columns=["measured"], suffix="_first")
    grown = beside(grown, last, columns=["measured"], suffix="_last")
    return grown.with_columns(growth_end_over_begin=growth("measured_last", "measured_first")).drop(
        "measured_first", "measured_last"
    )
