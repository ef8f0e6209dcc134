"""The table `intensive_year`: rates and ratings behind volumes of quality, and what moved their level (METHOD 5).

A leaf with quality counts Σ measure × |q − worst|; its rate is that sum over Σ measure. No volume leaves this module.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from dci_pipeline.framework import Quality
from dci_pipeline.marts.entities import KEY, NATION
from dci_pipeline.marts.growth import beside, comparable, growth
from dci_pipeline.marts.index_span import maturity

_SUMS = {"value": pl.Int128, "volume": pl.Int128}


@dataclass(frozen=True)
class Span:
    """One span: its entities, and the observed value and volume of every place × leaf with quality."""

    entities: pl.DataFrame
    sums: pl.DataFrame


def place_sums(values: pl.DataFrame, *, leaves: Collection[str]) -> pl.DataFrame:
    """Value and volume of every place × leaf over the periods of a span, as integers.

    values: [period, place, indicator, value Int64, volume Int64]. Out, sorted by place, node: [place, node, value
    Int128, volume Int128]; a place without value or volume in a period adds nothing for it.
    """
    return (
        values.filter(pl.col("indicator").is_in(sorted(leaves)))
        .drop_nulls(["value", "volume"])
        .group_by("place", pl.col("indicator").alias("node"))
        .agg(pl.col(name).cast(dtype).sum() for name, dtype in _SUMS.items())
        .sort("place", "node")
    )


def intensive_year(
    now: Span,
    *,
    before: Span | None,
    qualities: Mapping[str, Quality],
    members: pl.DataFrame,
    types: pl.DataFrame,
    nation: str,
    ranked: Collection[str],
    year: int,
    whole: bool,
) -> pl.DataFrame:
    """One year's partition.

    now, before: entities [entity_type, entity_code, node, points, obs_status, imputed_share, …] and `place_sums` of the
    year and of the same periods a year before; qualities: leaf → quality; members [group_type, group, place]; types
    [place, type, member]; ranked: entity types with ranks. Out, sorted by entity_type, entity_code, node: these and
    year, rate, growth_yoy, rank (best first), volume_effect, quality_effect, obs_status, conf_status, maturity,
    imputed_share. A withheld row (without points) has no rate.

    The effects are Bennet's split of the change of the leaf's own points, V̂ = points ÷ |q̄ − worst| standing for the
    volume, and add to it exactly. A leaf's own points do not move at a link, so this holds across one. Null without
    points and rate in both years, and where a rate is the worst there is.
    """
    frame = _with_rate(now, qualities, members=members, types=types, nation=nation)
    base = _with_rate(before, qualities, members=members, types=types, nation=nation) if before else None
    frame = beside(frame, base, columns=["points", "rate", "distance"], suffix="_base")
    volume_effect, quality_effect = bennet("points", "distance", "points_base", "distance_base")
    best_first = pl.when(pl.col("rising")).then(-pl.col("rate")).otherwise(pl.col("rate"))
    return (
        frame.with_columns(
            rank=pl.when(pl.col("entity_type").is_in(sorted(ranked)))
            .then(comparable(best_first).rank("min").over("entity_type", "node"))
            .cast(pl.Int64),
            growth_yoy=growth("rate", "rate_base"),
            volume_effect=volume_effect,
            quality_effect=quality_effect,
            year=pl.lit(year, dtype=pl.Int32),
            conf_status=pl.lit("F"),
            maturity=maturity(whole=whole),
        )
        .select(
            *KEY,
            "year",
            "rate",
            "growth_yoy",
            "rank",
            "volume_effect",
            "quality_effect",
            "obs_status",
            "conf_status",
            "maturity",
            "imputed_share",
        )
        .sort(KEY)
    )


def bennet(level: str, rate: str, level_base: str, rate_base: str) -> tuple[pl.Expr, pl.Expr]:
    """Volume and quality effect of a change of level = volume × rate, named by columns; null where a rate is zero.

    (V₁ − V₀)(Q₀ + Q₁)/2 and (Q₁ − Q₀)(V₀ + V₁)/2 with V = level ÷ rate.
    """
    now, base = pl.col(level) / pl.col(rate), pl.col(level_base) / pl.col(rate_base)
    known = (pl.col(rate) != 0) & (pl.col(rate_base) != 0)
    volume = (now - base) * (pl.col(rate_base) + pl.col(rate)) / 2.0
    quality = (pl.col(rate) - pl.col(rate_base)) * (base + now) / 2.0
    return pl.when(known).then(volume), pl.when(known).then(quality)


def _with_rate(
    span: Span, qualities: Mapping[str, Quality], *, members: pl.DataFrame, types: pl.DataFrame, nation: str
) -> pl.DataFrame:
    """Entities of the leaves with `rate` in its published unit, `distance` from the worst, `rising`: more is better."""
    sums = _entity_sums(span.sums, members=members, types=types, nation=nation)
    rows: list[tuple[str, str, str, float, float]] = []
    for entity_type, entity_code, node, value, volume in sums.select(*KEY, "value", "volume").iter_rows():
        quality = qualities[node]
        towards = 1 if quality.best > quality.worst else -1
        # One division of whole numbers, correctly rounded.
        rate = (quality.worst * volume + towards * value) / (volume * quality.per)
        rows.append((entity_type, entity_code, node, rate, value / (volume * quality.per)))
    schema = {**dict.fromkeys(KEY, pl.String), "rate": pl.Float64, "distance": pl.Float64}
    rates = pl.DataFrame(rows, orient="row", schema=schema)
    rising = [node for node, quality in qualities.items() if quality.best > quality.worst]
    shown = pl.col("points").is_not_null()
    return (
        span.entities.filter(pl.col("node").is_in(sorted(qualities)))
        .select(*KEY, "points", "obs_status", "imputed_share")
        .join(rates, on=list(KEY), how="left", maintain_order="left")
        .with_columns(pl.when(shown).then(name).alias(name) for name in ("rate", "distance"))
        .with_columns(rising=pl.col("node").is_in(rising))
    )


def _entity_sums(sums: pl.DataFrame, *, members: pl.DataFrame, types: pl.DataFrame, nation: str) -> pl.DataFrame:
    """Whole sums of places, groups and the nation: [entity_type, entity_code, node, value, volume], volume above 0."""
    own = sums.join(types.select("place", "type"), on="place").select(
        entity_type="type", entity_code="place", node="node", value="value", volume="volume"
    )
    belongs = pl.concat(
        [
            members.select(entity_type="group_type", entity_code="group", place="place"),
            sums.select(pl.lit(NATION).alias("entity_type"), pl.lit(nation).alias("entity_code"), "place").unique(),
        ]
    )
    groups = belongs.join(sums, on="place").group_by(KEY).agg(pl.col(name).sum() for name in _SUMS).select(*KEY, *_SUMS)
    return pl.concat([own, groups]).filter(pl.col("volume") > 0).sort(KEY)
