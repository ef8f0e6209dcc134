"""Monthly cells as records: for each feed the combinations of its dimensions, their partner and their measures.

A block is one combination at many places through all months. Values are whole numbers from here on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dci_pipeline.contracts import Column, FeedContract
from dci_pipeline.feeds.draws import generator
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Records of one partner: `places` positions, a value of each dimension (one for all, or one a place), measures
    [place, month] of the whole calendar."""

    partner: str
    places: Ints
    dimensions: Mapping[str, str | Sequence[str]]
    measures: Mapping[str, Ints]


def split(values: Floats, shares: Floats) -> list[Ints]:
    """Whole parts [place, month] whose sum is the rounded value; `shares` [place, part] sum to 1."""
    whole = np.rint(values).astype(np.int64)
    parts = [np.floor(whole * shares[:, [number]]).astype(np.int64) for number in range(shares.shape[1] - 1)]
    return [*parts, whole - sum(parts, np.zeros_like(whole))]


def with_late_places(made: Sequence[Block], first: int, late: int, part: float) -> list[Block]:
    """The blocks with `late` places more, from position `first` on: a small part of the mean of the others' measures.

    A place that enters late would break the months before it in two; so small, it moves no printed digit.
    """
    found: list[Block] = []
    for block in made:
        more = np.arange(first, first + late)
        measures = {
            name: np.concatenate([values, np.tile(np.rint(values.mean(axis=0) * part).astype(np.int64) + 1, (late, 1))])
            for name, values in block.measures.items()
        }
        dimensions = {
            name: value if isinstance(value, str) else [*value, *[value[0]] * late]
            for name, value in block.dimensions.items()
        }
        found.append(Block(block.partner, np.concatenate([block.places, more]), dimensions, measures))
    return found


def delivery(
    contract: FeedContract,
    blocks: Sequence[Block],
    *,
    month: int,
    period: Period,
    partner: str,
    names: Sequence[str],
    valid: NDArray[np.bool_],
    seed: int,
) -> pl.DataFrame:
    """One partner's file of a month: [columns of the contract] in the order of a shuffle drawn with the seed.

    `names` are the places' names as written, `valid` the places there are in the month. Raises Finding for a record
    past the contract's maximum.
    """
    own = [block for block in blocks if block.partner == partner]
    kept = [block.places[valid[block.places]] for block in own]
    inside = [np.flatnonzero(valid[block.places]) for block in own]
    total = int(sum(len(at) for at in kept))
    order = generator(seed, contract.feed, partner, period.key, "order").permutation(total)
    columns: dict[str, pl.Series] = {}
    for column in contract.columns:
        if column.role == "measure":
            values = np.concatenate(
                [block.measures[column.name][at, month] for block, at in zip(own, inside, strict=True)]
            )[order]
            columns[column.source] = _sent(values, column, contract)
        elif column.role == "dimension":
            texts = [
                value
                for block, at in zip(own, inside, strict=True)
                for value in _texts(block.dimensions[column.name], at)
            ]
            columns[column.source] = pl.Series(texts, dtype=pl.String).gather(pl.Series(order))
        elif column.role == "place":
            texts = [names[at] for places in kept for at in places]
            columns[column.source] = pl.Series(texts, dtype=pl.String).gather(pl.Series(order))
        elif column.role == "partner":
            columns[column.source] = pl.Series([partner]).new_from_index(0, total)
        elif column.role == "period":
            columns[column.source] = pl.Series([period.key]).new_from_index(0, total)
        elif column.role == "record_id":
            head = f"{partner}-{period.key.replace('-', '')}-"
            number = pl.int_range(1, total + 1, dtype=pl.Int64).cast(pl.String).str.zfill(8)
            columns[column.source] = pl.select(head + number).to_series()
        else:
            columns[column.source] = _days(column, contract, partner=partner, period=period, total=total, seed=seed)
    for name, value in contract.row_filter.items():
        columns[name] = pl.Series([value]).new_from_index(0, total)
    return pl.DataFrame(columns)


def _texts(value: str | Sequence[str], at: Ints) -> list[str]:
    if isinstance(value, str):
        return [value for _ in at]
    return [value[int(place)] for place in at]


def _days(column: Column, contract: FeedContract, *, partner: str, period: Period, total: int, seed: int) -> pl.Series:
    days: list[date] = [period.start + timedelta(days=day) for day in range((period.end - period.start).days)]
    draw = generator(seed, contract.feed, partner, period.key, "days").integers(0, len(days), total)
    texts = [day.strftime(column.format or "%Y-%m-%d") for day in days]
    return pl.Series(texts, dtype=pl.String).gather(pl.Series(draw))


def _sent(values: Ints, column: Column, contract: FeedContract) -> pl.Series:
    """Within the contract's limits, and in the partner's own unit where the contract multiplies."""
    if column.maximum is not None and len(values) and values.max() > column.maximum:
        raise Finding(
            "a calibrated record past its maximum",
            where=f"feed {contract.feed}",
            found=f"{column.name} {values.max():,}",
            expected=f"at most {column.maximum:,}",
            todo="lower the scale of the feed in the calibration file, or the divisor of the tracker",
        )
    series = pl.Series(column.source, np.maximum(values, int(column.minimum or 0)))
    return series / column.multiplier if column.multiplier else series
