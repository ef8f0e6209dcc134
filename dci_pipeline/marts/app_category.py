"""The tables `app_category_month` and `app_category_half`: reach of every app category and time spent in it.

Distinct users do not add over categories, so every ratio is within one. Nothing is estimated: a ratio counts the
place × period pairs with both of its parts, growth those seen in both years. Whole numbers until the one division.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl

from dci_pipeline.index.dense import Flags, Integers, axis, positions
from dci_pipeline.marts.entities import NATION
from dci_pipeline.marts.growth import ratio
from dci_pipeline.marts.index_span import maturity

ROW = ("entity_type", "entity_code", "member")
SECONDS_PER_HOUR = 3600
_PAIR = ("period", "place", "member")


@dataclass(frozen=True)
class Scopes:
    """Which places an entity is made of: memberships [group_type, group, place], types [place, type], the nation."""

    members: pl.DataFrame
    types: pl.DataFrame
    nation: str

    @cached_property
    def places(self) -> pl.Series:
        return axis(self.types, "place")

    @cached_property
    def _belongs(self) -> pl.DataFrame:
        """[entity_type, entity_code, place], sorted."""
        found = pl.concat(
            [
                self.types.select(entity_type="type", entity_code="place", place="place"),
                self.members.select(entity_type="group_type", entity_code="group", place="place"),
                self.types.select(entity_type=pl.lit(NATION), entity_code=pl.lit(self.nation), place="place"),
            ]
        )
        return found.filter(pl.col("place").is_in(self.places.implode())).sort("entity_type", "entity_code", "place")

    @cached_property
    def entities(self) -> pl.DataFrame:
        """[entity_type, entity_code], sorted; those that have a place."""
        return self._belongs.select("entity_type", "entity_code").unique(maintain_order=True)

    @cached_property
    def inside(self) -> tuple[Integers, Integers]:
        """Where on `places` those of each entity are, one entity after the other, and where each begins."""
        at = positions(self._belongs, (("place", self.places),))[0]
        sizes = self._belongs.select(pl.struct("entity_type", "entity_code").rle_id().alias("entity"))
        return at, np.unique(sizes.get_column("entity").to_numpy(), return_index=True)[1].astype(np.int64)


def pairs(
    members: pl.DataFrame,
    values: pl.DataFrame,
    *,
    column: str,
    users: tuple[str, Mapping[str, str]],
    seconds: tuple[str, Mapping[str, str]],
    absent_is_zero: bool,
) -> pl.DataFrame:
    """What was observed of every period × place × category.

    members [period, place, indicator, column, member, value] and values [period, place, indicator, value] of a span;
    users and seconds: the indicator and its categories, value of the column → member. Out, sorted: [period, place,
    member, users, seconds, everyone], Int64: users and seconds are null where no row was sent, or 0 when an absent row
    means zero; everyone, the de-duplicated total of users, is there on every row.
    """
    everyone = (
        values.filter((pl.col("indicator") == users[0]) & pl.col("value").is_not_null())
        .select("period", "place", everyone="value")
        .sort("period", "place")
    )
    categories = pl.DataFrame({"member": sorted(set(users[1].values()))}, schema={"member": pl.String})
    grid = everyone.join(categories, how="cross")
    for name, (indicator, of) in (("users", users), ("seconds", seconds)):
        sent = members.filter(
            (pl.col("indicator") == indicator) & (pl.col("column") == column) & pl.col("member").is_in(sorted(of))
        ).select("period", "place", pl.col("member").replace_strict(dict(of), return_dtype=pl.String), value="value")
        grid = grid.join(sent.rename({"value": name}), on=list(_PAIR), how="left", maintain_order="left")
    if absent_is_zero:
        grid = grid.with_columns(pl.col("users", "seconds").fill_null(0))
    return grid.select(*_PAIR, "users", "seconds", "everyone").sort(_PAIR)


def app_category(
    now: pl.DataFrame,
    *,
    year_before: pl.DataFrame | None,
    change: tuple[date, pl.DataFrame, pl.DataFrame] | None,
    status: pl.DataFrame,
    scopes: Scopes,
    whole: bool,
) -> pl.DataFrame:
    """One span's rows, without the period's own column.

    now, year_before: `pairs` of the span and of the same periods a year before; change: the base period, and `pairs` of
    it and of the period it is compared with; status: entities' own rows for users [entity_type, entity_code,
    obs_status, imputed_share]. Out, sorted by entity_type, entity_code, member: these and
    penetration             users of the category ÷ users of any, over the periods
    base_period, penetration_change_pp   change of the penetration since the base period, × 100
    daily_hours_per_user    seconds ÷ 3600 ÷ (users × days), over the periods
    growth_users, growth_hours   on the same periods a year before, over place × period pairs observed in both
    growth_daily_hours      of daily_hours_per_user
    obs_status (M where nothing was observed), conf_status, maturity, imputed_share
    """
    frame = _ratios(now, scopes)
    if year_before is not None:
        before = _ratios(year_before, scopes).select(*ROW, hours_before="daily_hours_per_user")
        frame = frame.join(before, on=list(ROW), how="left", maintain_order="left")
        base = year_before.with_columns(pl.col("period").dt.offset_by("1y"))
        both = now.join(base, on=list(_PAIR), suffix="_base")
        for name in ("users", "seconds"):
            matched = _matched(both, name, scopes)
            frame = frame.join(matched, on=list(ROW), how="left", maintain_order="left")
    else:
        nothing = pl.lit(None, dtype=pl.Float64)
        frame = frame.with_columns(hours_before=nothing, growth_users=nothing, growth_seconds=nothing)
    frame = _changed(frame, change, scopes, own=(now, frame))
    there = pl.col("penetration").is_not_null() | pl.col("daily_hours_per_user").is_not_null()
    return (
        status.select("entity_type", "entity_code", "obs_status", "imputed_share")
        .join(frame.select("member").unique(), how="cross")
        .join(frame, on=list(ROW), how="left")
        .with_columns(
            obs_status=pl.when(there).then("obs_status").otherwise(pl.lit("M")),
            growth_hours="growth_seconds",
            growth_daily_hours=ratio(pl.col("daily_hours_per_user"), pl.col("hours_before")) - 1.0,
        )
        .with_columns(conf_status=pl.lit("F"), node=pl.lit("users"))
        .with_columns(maturity=maturity(whole=whole))
        .drop("hours_before", "growth_seconds", "node")
        .sort(ROW)
    )


def _ratios(found: pl.DataFrame, scopes: Scopes) -> pl.DataFrame:
    """[entity_type, entity_code, member, penetration, daily_hours_per_user] over the pairs of a span."""
    days = pl.col("period").dt.month_end().dt.day().cast(pl.Int64)
    reached, timed = pl.col("users").is_not_null(), pl.col("users").is_not_null() & pl.col("seconds").is_not_null()
    sums = _sums(
        found.with_columns(
            reached=pl.when(reached).then("users"),
            of=pl.when(reached).then("everyone"),
            spent=pl.when(timed).then("seconds"),
            user_days=pl.when(timed).then(pl.col("users") * days),
        ),
        ("reached", "of", "spent", "user_days"),
        scopes,
    )
    return sums.select(
        *ROW,
        penetration=ratio(pl.col("reached"), pl.col("of")),
        daily_hours_per_user=ratio(pl.col("spent") / SECONDS_PER_HOUR, pl.col("user_days")),
    )


def _matched(both: pl.DataFrame, name: str, scopes: Scopes) -> pl.DataFrame:
    """[entity_type, entity_code, member, growth_<name>] over the pairs that both years observed."""
    base = f"{name}_base"
    sums = _sums(both.drop_nulls([name, base]), (name, base), scopes)
    return sums.select(*ROW, (ratio(pl.col(name), pl.col(base)) - 1.0).alias(f"growth_{name}"))


def _changed(
    frame: pl.DataFrame,
    change: tuple[date, pl.DataFrame, pl.DataFrame] | None,
    scopes: Scopes,
    *,
    own: tuple[pl.DataFrame, pl.DataFrame],
) -> pl.DataFrame:
    """Adds base_period and penetration_change_pp; `own`: the pairs whose ratios are known, and these."""
    if change is None:
        return frame.with_columns(
            base_period=pl.lit(None, dtype=pl.Date), penetration_change_pp=pl.lit(None, dtype=pl.Float64)
        )
    base_period, first, last = change
    for name, found in (("first", first), ("last", last)):
        ratios = own[1] if found is own[0] else _ratios(found, scopes)
        part = ratios.select(*ROW, pl.col("penetration").alias(name))
        frame = frame.join(part, on=list(ROW), how="left", maintain_order="left")
    return frame.with_columns(
        base_period=pl.lit(base_period, dtype=pl.Date), penetration_change_pp=(pl.col("last") - pl.col("first")) * 100.0
    ).drop("first", "last")


def _sums(rows: pl.DataFrame, names: tuple[str, ...], scopes: Scopes) -> pl.DataFrame:
    """Whole-number sums by entity × member, as Float64; places, groups and the nation."""
    axes = (("place", scopes.places), ("member", axis(rows, "member")))
    inside = rows.filter(pl.col("place").is_in(scopes.places.implode()))
    at = positions(inside, axes)
    shape = [len(values) for _, values in axes]
    given: Flags = np.zeros(shape, dtype=np.bool_)
    given[at] = True
    places, starts = scopes.inside
    there = np.logical_or.reduceat(given[places], starts, axis=0)
    number, member = np.nonzero(there)
    sums: dict[str, pl.Series] = {}
    for name in names:
        values = inside.get_column(name).fill_null(0).to_numpy()
        # Beyond 64 bits Python's integers go on.
        whole = np.zeros(shape, dtype=np.int64 if np.abs(values.astype(np.float64)).sum() < 2.0**62 else object)
        np.add.at(whole, at, values)
        summed = np.add.reduceat(whole[places], starts, axis=0)
        sums[name] = pl.Series(summed[there].astype(np.float64), dtype=pl.Float64)
    return scopes.entities[number].with_columns(member=axes[1][1].gather(member), **sums)
