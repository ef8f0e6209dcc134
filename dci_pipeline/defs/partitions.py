"""An index's partitions: its own periods and its years, and how a declared read maps one partition to others.

A period exists once it has ended; the running year exists from its first day, because its table is refreshed all year.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import dagster as dg

from dci_pipeline import periods
from dci_pipeline.findings import Finding
from dci_pipeline.framework import Framework
from dci_pipeline.periods import Period
from dci_pipeline.work import Step

# Years back that reach before any index.
_EVER = 200
_CRON = {"month": "0 0 1 * *", "quarter": "0 0 1 1,4,7,10 *"}


def timezone() -> str:
    """Whose midnight ends a period and whose clock the schedules go by. Raises Finding for an unknown name."""
    name = os.environ.get("DCI_TIMEZONE", "Asia/Shanghai")
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Finding(
            "unknown time zone",
            where="DCI_TIMEZONE",
            found=name,
            expected="an IANA name",
            todo="set DCI_TIMEZONE to one such as UTC, or unset it",
        ) from error
    return name


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

    def mapping(self, how: str) -> dg.PartitionMapping:
        """The partitions of an input that one partition of a step reads, as Step.reads declares it."""
        year = Period(self.first.start, self.framework.cadence).per_year
        if how == "same":
            return dg.TimeWindowPartitionMapping()
        if how == "previous":
            return _offset(-1, -1)
        if how == "stand_in":
            return _offset(-year - 1, -1)
        if how == "window":
            return _offset(-year, 0)
        if how == "two_years":
            return _offset(-2 * year, 0)
        if how == "reference":
            if self.framework.chaining == "annual_overlap":
                # The reference is the year before; the first year is its own.
                return _offset(-2 * year + 1, year - 1)
            return dg.SpecificPartitionsPartitionMapping(
                [self.key(item) for item in sorted({item for link in self.framework.links for item in link.reference})]
            )
        if how == "history":
            # Offsets count partitions of the reader: a year reads its own periods and, for growth, all before them.
            return _offset(-_EVER, 0)
        if how == "all":
            return dg.AllPartitionMapping()
        raise Finding(
            "an unknown way of reading",
            where="path",
            found=how,
            expected="same, previous, stand_in, window, two_years, reference, history or all",
        )


def _offset(start: int, end: int) -> dg.TimeWindowPartitionMapping:
    return dg.TimeWindowPartitionMapping(start_offset=start, end_offset=end, allow_nonexistent_upstream_partitions=True)
