"""The tables `tracker_month`, `tracker_half`, `tracker_year`: the key indicators one by one (METHOD sections 8, 11).

An indicator is followed as index points, as an amount in a unit (published for the nation alone, and only where the
feed's contract declares the total public), or as a ratio of two indicators. Growth, shares and ranks are for everyone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from dci_pipeline.framework import Tracked
from dci_pipeline.index.dense import Flags, Floats, nullable
from dci_pipeline.marts.entities import KEY, NATION, keyed
from dci_pipeline.marts.growth import comparable_values, competition_ranks
from dci_pipeline.marts.index_span import maturity
from dci_pipeline.marts.laid import STATUS, Laid, laid
from dci_pipeline.marts.volumes import STOCK
from dci_pipeline.normalise.statuses import STATUSES

INDEX, ABSOLUTE = "index", "absolute"
COLUMNS = ("value", "unit", "growth_yoy", "growth_end_over_begin", "share_of_nation", "rank")


@dataclass(frozen=True)
class Span:
    """A span's `volumes.entity_amounts` and its number of days."""

    amounts: pl.DataFrame
    days: int

    @cached_property
    def laid(self) -> Laid:
        """The amounts as arrays, made once for every table that the span is part of."""
        return laid(self.amounts, ("amount", STATUS, "imputed_share"))


@dataclass(frozen=True)
class _Measured:
    """By entity × key indicator: what is measured, its status, how much of it is imputed, and which rows there are."""

    amount: Floats
    status: Floats
    imputed: Floats

    @property
    def there(self) -> Flags:
        return ~np.isnan(self.status)


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
    items = sorted(tracked, key=lambda item: item.tracked)
    keys = now.laid.keys
    own = _measured(now, items, keys)
    nothing: Floats = np.full(own.amount.shape, np.nan)
    base = _measured(before, items, keys).amount if before else nothing
    first, last = (_measured(end, items, keys).amount for end in ends) if ends else (nothing, nothing)
    kind_of = np.array([kind for kind, _ in keys], dtype=object)
    level = laid(points.filter(pl.col("node").is_in({item.node for item in items})), ["points"])
    level_of = level.values["points"][np.ix_(level.entities(keys), level.columns(item.node for item in items))]
    value, share = _valued(own, level_of, items, kinds, public, part, nation=kind_of == NATION)
    status = np.nan_to_num(own.status).astype(np.int64).reshape(-1)
    frame = keyed([(kind, code) for kind, code in keys], pl.Series([item.tracked for item in items], dtype=pl.String))
    columns = {
        "value": nullable(value),
        "unit": pl.Series([item.unit for item in items] * len(keys), dtype=pl.String),
        "growth_yoy": nullable(_ratio(own.amount, base) - 1.0),
        "growth_end_over_begin": nullable(_ratio(last, first) - 1.0),
        "share_of_nation": nullable(share),
        "rank": nullable(_ranks(own.amount, kind_of, ranked)).cast(pl.Int64),
        "obs_status": pl.Series(STATUSES, dtype=pl.String).gather(status),
        "conf_status": pl.lit("F"),
        "imputed_share": nullable(own.imputed),
    }
    there = frame.with_columns(**columns).filter(pl.Series(own.there.reshape(-1)))
    return there.with_columns(maturity=maturity(whole=whole)).select(
        *KEY, *COLUMNS, "obs_status", "conf_status", "maturity", "imputed_share"
    )


def _measured(span: Span, items: Sequence[Tracked], keys: Sequence[tuple[str, ...]]) -> _Measured:
    """Every key indicator of a span for these entities."""
    rows, values = span.laid.entities(keys), span.laid.values
    columns = span.laid.columns(item.node for item in items)
    amount, status, imputed = (values[name][np.ix_(rows, columns)] for name in ("amount", STATUS, "imputed_share"))
    for number, item in enumerate(items):
        if item.per is None:
            continue
        (other,) = span.laid.columns([item.per])
        days = float(span.days) if item.per_day else 1.0
        amount[:, number] = _per(_per(_ratio(amount[:, number], values["amount"][rows, other]), item.divisor), days)
        # Where either is not there, its status is NaN, and so is what is made of both.
        status[:, number] = np.maximum(status[:, number], values[STATUS][rows, other])
        imputed[:, number] = np.fmax(imputed[:, number], values["imputed_share"][rows, other])
    return _Measured(amount, status, imputed)


def _valued(
    own: _Measured,
    points: Floats,
    items: Sequence[Tracked],
    kinds: Mapping[str, str],
    public: Collection[str],
    part: float,
    *,
    nation: Flags,
) -> tuple[Floats, Floats]:
    """Values and shares of the nation."""
    value, share = np.full(points.shape, np.nan), np.full(points.shape, np.nan)
    for number, item in enumerate(items):
        measured = own.amount[:, number]
        if item.form == INDEX:
            value[:, number] = points[:, number] if kinds[item.node] == STOCK else points[:, number] * part
        elif item.form == ABSOLUTE:
            value[:, number] = np.where(nation & (item.node in public), _per(measured, item.divisor), np.nan)
        else:
            value[:, number] = measured
            continue
        for whole in measured[nation & own.there[:, number]]:
            share[:, number] = _per(measured, float(whole)) if whole != 0.0 else np.nan
    return value, share


def _ranks(values: Floats, kind_of: npt.NDArray[np.object_], ranked: Collection[str]) -> Floats:
    """Ranks of each key indicator among entities of a type that has any, descending."""
    found: Floats = np.full(values.shape, np.nan)
    for kind in ranked:
        rows = np.flatnonzero(kind_of == kind)
        found[rows] = competition_ranks(comparable_values(values[rows].T)).T
    return found


def _ratio(part: Floats, whole: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole != 0.0, part / whole, np.nan)


def _per(values: Floats, number: float) -> Floats:
    """The values divided by one number, by its inverse: as the engine does it, whose last digit these tables have."""
    return values * (1.0 / number)
