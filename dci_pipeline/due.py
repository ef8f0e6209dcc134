"""When deliveries are due, which have come, which are late, and what a period does without them.

The contract's expected day counts from the end of a period: day 8 of 2019-04 is 8 May. A delivery is on time until the
end of that day, by the clock of the time zone that the settings name. Exact, by period and partner; the engine's own
freshness looks at the last materialisation of an asset, whichever period it was of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from dci_pipeline import refresh
from dci_pipeline.contracts import FeedContract
from dci_pipeline.periods import MONTHS_IN, Period, span
from dci_pipeline.settings import timezone
from dci_pipeline.work import Work

_SHORTEST = {"month": 28, "quarter": 90}


@dataclass(frozen=True)
class Due:
    """One partner's delivery for one feed and period; `received` is when it came, None when it has not."""

    feed: str
    partner: str
    period: Period
    expected: date
    received: datetime | None
    days_late: int

    @property
    def overdue(self) -> bool:
        return self.received is None and self.days_late > 0

    @property
    def days_left(self) -> int:
        """Days from today to the last one on which it is on time; negative once it is late."""
        return -self.days_late

    @property
    def says(self) -> str:
        """What there is to say of it, in a few words."""
        if self.received is not None:
            return f"came {self.received:%Y-%m-%d}"
        if self.days_late > 0:
            return f"{_days(self.days_late)} late"
        return f"due in {_days(self.days_left)}" if self.days_left else "due today"


@dataclass(frozen=True)
class Reminder:
    """What is sent of one feed that is overdue, once a day: `key` is the same for the whole day."""

    index: str
    feed: str
    key: str
    subject: str
    text: str


def today(now: datetime) -> date:
    """The day it is where the periods end. `now` knows its time zone."""
    return now.astimezone(ZoneInfo(timezone())).date()


def expected(contract: FeedContract, period: Period) -> date:
    """The last day on which a delivery for a period is on time."""
    return period.end + timedelta(days=contract.expected_day - 1)


def last_ended(cadence: str, day: date) -> Period:
    """The last period that is over on a day."""
    length = MONTHS_IN[cadence]
    return Period(date(day.year, (day.month - 1) // length * length + 1, 1), cadence).shift(-1)


def calendar(work: Work, periods: Iterable[Period], now: datetime) -> list[Due]:
    """Every delivery the contracts expect for `periods`, come or not, in the order of periods, feeds and partners."""
    from dci_pipeline.warehouse import deliveries

    day, zone = today(now), ZoneInfo(timezone())
    found: list[Due] = []
    for period in sorted(set(periods)):
        for feed in _feeds(work):
            contract = work.framework.versions[feed].in_force(period)
            if contract is None:
                # A feed is not missed before its first contract.
                continue
            here = deliveries.current(work.warehouse.layout, feed, period)
            for partner in contract.partners:
                last, received = expected(contract, period), None
                if partner in here:
                    received = datetime.fromisoformat(here[partner].received).astimezone(zone)
                found.append(Due(feed, partner, period, last, received, (day - last).days))
    return found


def watched(work: Work, now: datetime) -> list[Period]:
    """The periods deliveries are expected for: from the first that anything was delivered for to the last one over."""
    from dci_pipeline.warehouse import deliveries

    last = last_ended(work.framework.cadence, today(now))
    begun = [
        found[0]
        for feed in _feeds(work)
        if (found := deliveries.periods_delivered(work.warehouse.layout, feed, work.framework.cadence))
    ]
    return span(min(begun), last) if begun and min(begun) <= last else [last]


def overdue(work: Work, now: datetime) -> list[Due]:
    """Every delivery that should be here and is not, oldest period first."""
    return [item for item in calendar(work, watched(work, now), now) if item.overdue]


def prospects(work: Work, periods: Sequence[Period]) -> dict[Period, str]:
    """What each period does with what has come: it is complete, goes on provisionally, or waits, and for what."""
    ready, waiting = refresh.delivered_periods(work, list(periods))
    found: dict[Period, str] = {}
    for period in sorted(periods):
        if period in waiting:
            found[period] = waiting[period]
            continue
        late = [feed for feed in _feeds(work) if _lacking(work, feed, period)]
        found[period] = "complete" if not late else "goes on, provisional, without " + ", ".join(late)
    assert set(ready) | set(waiting) == set(periods)
    return found


def reminders(work: Work, now: datetime) -> list[Reminder]:
    """One message a day for each feed that is overdue: what is missing, since when, what its periods do meanwhile."""
    late: dict[str, list[Due]] = {}
    for item in overdue(work, now):
        late.setdefault(item.feed, []).append(item)
    found: list[Reminder] = []
    for feed, items in late.items():
        newest = items[-1].period
        now_late = [item for item in items if item.period == newest]
        earlier = len({item.period for item in items}) - 1
        lines = [f"{item.partner} for {newest}: expected by {item.expected}, {item.says}" for item in now_late]
        if earlier:
            plural = "s" if earlier > 1 else ""
            lines.append(f"and {earlier} earlier {work.framework.cadence}{plural}, from {items[0].period} on")
        lines.append(f"{newest}: {prospects(work, [newest])[newest]}")
        lines.append(f"Look: dci due --index {work.index}. Ask the partner, or land what it has sent.")
        subject = f"{work.index}: {feed} for {newest} is {_days(max(item.days_late for item in now_late))} late"
        found.append(Reminder(work.index, feed, f"{work.index}/{feed}/{today(now)}", subject, "\n".join(lines)))
    return found


def deadline(contract: FeedContract, cadence: str) -> tuple[str, timedelta]:
    """The deadline as a cron line, the midnight after the expected day, and how long before it a delivery may come.

    Months differ in length, so where the expected day lies in a later month the line is that of the latest: it never
    comes before a delivery is late.
    """
    length, days = MONTHS_IN[cadence], contract.expected_day
    ends = [date(year, month, 1) for year in (2023, 2024) for month in range(1, 13, length)]
    later = days // 30
    day = 1 + max((end + timedelta(days=days) - _months_on(end, later)).days for end in ends)
    if day > 28:
        later, day = later + 1, 1
    months = ",".join(str(month) for month in sorted({_months_on(end, later).month for end in ends}))
    return f"0 0 {day} {'*' if length == 1 else months} *", timedelta(days=min(days, _SHORTEST[cadence] - 1))


def _months_on(day: date, months: int) -> date:
    return Period(day, "month").shift(months).start


def _feeds(work: Work) -> list[str]:
    return sorted({str(leaf.feed) for leaf in work.framework.indicators})


def _lacking(work: Work, feed: str, period: Period) -> list[str]:
    from dci_pipeline.warehouse import deliveries

    here = deliveries.current(work.warehouse.layout, feed, period)
    contract = work.framework.versions[feed].in_force(period)
    return [partner for partner in contract.partners if partner not in here] if contract is not None else []


def _days(number: int) -> str:
    return f"{number} day" if number == 1 else f"{number} days"
