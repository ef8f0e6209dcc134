"""What changes between two periods: like-for-like growth, contributions and link effects (METHOD section 3 and 4).

The way from t0 to t leads through the reference period of every link between them, each part under one basket. Which
pairs of periods are published belongs to `compute`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl

from dci_pipeline.index.dense import Floats
from dci_pipeline.index.panel import Segment


@dataclass(frozen=True)
class Change:
    """From `base_period` to `period`: arrays by place, contributions by place x indicator."""

    period: date
    base_period: date
    indicators: pl.Series
    growth: Floats
    contributions: Floats
    link_effect: Floats


@dataclass(frozen=True)
class Way:
    """All links of an index, able to walk from any published period to any later one."""

    segments: Sequence[Segment]

    @cached_property
    def _at(self) -> dict[date, int]:
        return {day: k for k, segment in enumerate(self.segments) for day in segment.link.published}

    @cached_property
    def _bridges(self) -> list[tuple[Floats, Floats]]:
        """Mean volumes over each later link's reference, under the link before and under its own basket."""
        return [
            (self.segments[k].mean_volume(link.link.reference), link.mean_volume(link.link.reference))
            for k, link in enumerate(self.segments[1:])
        ]

    def link_effect(self, k: int) -> Floats:
        """Lambda by place at the k-th link: I_cr new - I_cr old over its reference; it sums to 0."""
        old, new = self.segments[k - 1], self.segments[k]
        before, after = self._bridges[k - 1]
        return new.scale * new.relative(after) - old.scale * old.relative(before)

    def change(self, period: date, base_period: date) -> Change | None:
        """The change between two published periods; None when the base period is not published."""
        first, last = self._at.get(base_period), self._at.get(period)
        if first is None or last is None:
            return None
        passed = self.segments[first : last + 1]
        indicators = pl.concat([segment.indicators for segment in passed]).unique().sort()
        factor: Floats = np.ones(len(passed[0].places))
        contributions: Floats = np.zeros((len(factor), len(indicators)))
        effect: Floats = np.zeros(len(factor))
        start = passed[0].volume(base_period)
        for k, segment in enumerate(passed, start=first):
            end = segment.volume(period) if k == last else self._bridges[k][0]
            with np.errstate(divide="ignore", invalid="ignore"):
                # a zero base gives no growth
                factor *= np.where((base := segment.relative(start)) > 0, segment.relative(end) / base, np.nan)
            columns = indicators.search_sorted(segment.indicators).to_numpy()
            contributions[:, columns] += segment.scale * segment.weights * (end - start) / segment.means
            if k != last:
                effect += self.link_effect(k + 1)
                start = self._bridges[k][1]
        return Change(period, base_period, indicators, factor - 1.0, contributions, effect)
