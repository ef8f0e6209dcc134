"""An index's partitions: its own periods and its years, and how a declared read maps one partition to others.

A period exists once it has ended; the running year exists from its first day, because its table is refreshed all year.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import dagster as dg

from dci_pipeline import periods
from dci_pipeline.framework import Framework
from dci_pipeline.periods import Period
from dci_pipeline.reads import Back, History, Reading, Reference, Whole
from dci_pipeline.settings import timezone
from dci_pipeline.work import Step

__all__ = ["Partitions", "timezone"]

# Years back that reach before any index.
_EVER = 200
_RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
_CRON = {"month": "0 0 1 * *", "quarter": "0 0 1 1,4,7,10 *"}


@dataclass(frozen=True)
class Partitions:
    """The partitions of one index."""

    framework: Framework
    timezone: str

    @property
    def first(self) -> Period:
        """The first period anything is computed for: a link's first, or its reference's when that opens earlier."""
        return min(min(link.reference[0], link.start) for link in self.framework.links)

    @cached_property
    def periods(self) -> dg.TimeWindowPartitionsDefinition:
        return dg.TimeWindowPartitionsDefinition(
            start=self.key(self.first), fmt="%Y-%m", cron_schedule=_CRON[self.framework.cadence], timezone=self.timezone
        )

    @cached_property
    def years(self) -> dg.TimeWindowPartitionsDefinition:
        return dg.TimeWindowPartitionsDefinition(
            start=self.key(self.first.year()), fmt="%Y", cron_schedule="0 0 1 1 *", timezone=self.timezone, end_offset=1
        )

    def of(self, step: Step) -> dg.TimeWindowPartitionsDefinition | None:
        return {"period": self.periods, "year": self.years}.get(step.scope)

    def key(self, period: Period) -> str:
        """The partition key of a period: the year, or the month it opens with."""
        return period.start.strftime("%Y" if period.cadence == "year" else "%Y-%m")

    def period(self, key: str, scope: str) -> Period:
        """The period a partition key of a step's scope names."""
        return periods.parse(key, "year") if scope == "year" else self.framework.period(key)

    def mapping(self, reading: Reading) -> dg.PartitionMapping:
        """The partitions of an input that one partition of a step reads, as far as the engine can say it exactly.

        It knows stretches up to the partition itself. What would have to be widened is left out: a partition shown as
        out of date that is not would never become fresh. `dci impact` knows the rest.
        """
        if isinstance(reading, Back):
            return _offset(-next(step for step in range(len(reading.steps)) if step + 1 not in reading.steps), 0)
        if (
            isinstance(reading, Reference)
            and self.framework.chaining == "fixed_base"
            and len(self.framework.links) == 1
        ):
            return dg.SpecificPartitionsPartitionMapping([self.key(item) for item in self.framework.links[0].reference])
        if isinstance(reading, History):
            # Offsets count partitions of the reader.
            return _offset(-_EVER, 0)
        return dg.AllPartitionMapping() if isinstance(reading, Whole) else _offset(0, 0)


def _offset(start: int, end: int) -> dg.TimeWindowPartitionMapping:
    return dg.TimeWindowPartitionMapping(start_offset=start, end_offset=end, allow_nonexistent_upstream_partitions=True)


def range_tags(partitions: Partitions, stretch: Sequence[Period]) -> dict[str, str]:
    """The tags of a run over more than one partition."""
    if len(stretch) < 2:
        return {}
    first, last = partitions.key(stretch[0]), partitions.key(stretch[-1])
    # The third is for people: the engine's own two are not shown in the list of runs.
    return {_RANGE[0]: first, _RANGE[1]: last, f"{stretch[0].cadence}s": f"{stretch[0]}...{stretch[-1]}"}
