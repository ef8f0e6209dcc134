"""A whole index from plain frames: levels, positions, growth and contributions across links (METHOD section 2 to 4).

The public door for a reader with a data frame. Values are complete: imputation belongs to `normalise`, weights to
`weight`. Arrays are period x place x indicator, sums of integers before any division, added in sorted order.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from dci_pipeline.index.change import Change, Way
from dci_pipeline.index.dense import Floats, nullable
from dci_pipeline.index.panel import Segment, read
from dci_pipeline.index.position import position

BASE = 100.0


@dataclass(frozen=True)
class Index:
    """The result of `compute`, every frame sorted by its key columns.

    national       [period, level]
    places         [period, place, points, share, growth_yoy, link_effect_points]
    contributions  [period, base_period, place, indicator, contribution_points], year on year
    link_effects   [link, place, link_effect_points], for every link after the first
    """

    national: pl.DataFrame
    places: pl.DataFrame
    contributions: pl.DataFrame
    link_effects: pl.DataFrame


def compute(values: pl.DataFrame, weights: pl.DataFrame, links: pl.DataFrame) -> Index:
    """Compute an index.

    values [period Date (first day), place, indicator, value integer >= 0 in minor units]: for every link, every place
    and every indicator of the basket, a row in each period of the link and of its reference, zeros included; other
    indicators and periods outside every link are ignored; periods have no gap, the smallest step between them is the
    cadence. weights [link, indicator, alpha]: weight of each leaf of the link's basket in the root, 1 in sum per link.
    links [link, reference_start, reference_end, start, end]: as made by `links`, ends included, null `end` = open; a
    later link's reference lies inside the link before, and a period that two links claim belongs to the earlier one.

    The level is 100 in the first reference period and does not move at a link. growth_yoy is on the same period a year
    before, like for like across links, null without a base or on a zero one. link_effect_points is the sum of lambda
    over the links between the two periods (0 inside a link, null without a base), so that the change of a place's
    points is the sum of its contributions plus link_effect_points. share is the position S; indicators without any
    volume in a period leave it and the other weights are scaled up, null when none has any.
    Raises ValueError, saying what was found, what was expected and what to do, for every breach of the above.
    """
    segments = read(values, weights, links, base=BASE)
    way = Way(segments)
    changes = {
        day: way.change(day, date(day.year - 1, day.month, 1)) for segment in segments for day in segment.link.published
    }
    national = [(day, segment.level([day])) for segment in segments for day in segment.link.published]
    return Index(
        national=pl.DataFrame(national, schema={"period": pl.Date, "level": pl.Float64}, orient="row").sort("period"),
        places=pl.concat(
            [_places(segment, day, changes[day]) for segment in segments for day in segment.link.published]
        ).sort("period", "place"),
        contributions=_contributions(segments[0].places, [change for change in changes.values() if change]),
        link_effects=_link_effects(way, links.schema["link"]),
    )


def _places(segment: Segment, day: date, change: Change | None) -> pl.DataFrame:
    volume, total = segment.volume(day), segment.national[segment.periods.index(day)].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = volume / total
    none: Floats = np.zeros(volume.shape)
    s = position(share, none, none > 0.0, total, segment.weights[:, None]).share
    nothing = np.full(len(volume), np.nan)
    return pl.DataFrame(
        {
            "place": segment.places,
            "points": nullable(segment.scale * segment.relative(volume)),
            "share": nullable(s),
            "growth_yoy": nullable(nothing if change is None else change.growth),
            "link_effect_points": nullable(nothing if change is None else change.link_effect),
        }
    ).select(pl.lit(day, pl.Date).alias("period"), pl.all())


def _contributions(places: pl.Series, changes: list[Change]) -> pl.DataFrame:
    names = {"period": pl.Date, "base_period": pl.Date, "place": pl.String, "indicator": pl.String}
    frames = [pl.DataFrame(schema={**names, "contribution_points": pl.Float64})]
    for change in changes:
        grid = pl.DataFrame({"place": places}).join(pl.DataFrame({"indicator": change.indicators}), how="cross")
        dates = (
            pl.lit(change.period, pl.Date).alias("period"),
            pl.lit(change.base_period, pl.Date).alias("base_period"),
        )
        points = nullable(change.contributions).alias("contribution_points")
        frames.append(grid.sort("place", "indicator").select(*dates, "place", "indicator", points))
    return pl.concat(frames).sort("period", "base_period", "place", "indicator")


def _link_effects(way: Way, label: pl.DataType) -> pl.DataFrame:
    frames = [pl.DataFrame(schema={"link": label, "place": pl.String, "link_effect_points": pl.Float64})]
    for k, segment in enumerate(way.segments[1:], start=1):
        effect = pl.DataFrame({"place": segment.places, "link_effect_points": nullable(way.link_effect(k))})
        frames.append(effect.select(pl.lit(segment.link.label, label).alias("link"), pl.all()))
    return pl.concat(frames)
