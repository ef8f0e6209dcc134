"""`dci due`: what is due, what has come, what is late, and what each period does meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from dci_pipeline.cli import options, screen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dci_pipeline.due import Due
    from dci_pipeline.work import Work

EXAMPLES = (
    "Example: dci due\n\nA year in full: dci due --months 2019-01:2019-12\n\nExit code 1 when anything is overdue."
)


def due(
    *,
    first: options.First = None,
    last: options.Last = None,
    months: options.Months = None,
    index: options.Index = None,
) -> None:
    """Show what partners have delivered and what is late, by the expected day of each contract.

    The last period that is over is shown in full, with those named; of earlier ones only what never came. A delivery is
    on time until the end of its day in the time zone DCI_TIMEZONE names.
    """
    from dci_pipeline import due as dates

    work = options.open_work(index)
    now = datetime.now(UTC)
    named = options.chosen_periods(work.framework, first, last, months)
    watched = named or dates.watched(work, now)
    items = dates.calendar(work, watched, now)
    full = named or watched[-1:]
    _shown(work, [item for item in items if item.period in full])
    earlier = [item for item in items if item.period not in full and item.overdue]
    if earlier:
        _never_came(earlier)
    said = dates.prospects(work, watched)
    reasons: dict[str, list[object]] = {}
    for period, reason in said.items():
        if period in full or reason != "complete":
            reasons.setdefault(reason, []).append(period)
    screen.show(
        f"What the {work.framework.cadence}s do",
        (f"{work.framework.cadence}s", "with what has come"),
        [[screen.ranges([period for period in said if said[period] == reason]), reason] for reason in reasons],
    )
    late = [item for item in items if item.overdue]
    if late:
        feeds = len({(item.feed, item.partner) for item in late})
        screen.say(
            f"Overdue: {screen.count(len(late), 'delivery')} of {screen.count(feeds, 'partner feed')}.", style="yellow"
        )
        raise typer.Exit(1)
    screen.say("Nothing is overdue.", style="green")


def _shown(work: Work, items: Sequence[Due]) -> None:
    screen.show(
        f"{work.index}: deliveries",
        (work.framework.cadence, "feed", "partner", "expected by", "state"),
        [
            [
                item.period,
                item.feed,
                item.partner,
                item.expected,
                screen.mark(f"late: {item.says}" if item.overdue else item.says),
            ]
            for item in items
        ],
    )


def _never_came(items: Sequence[Due]) -> None:
    by_partner: dict[tuple[str, str], list[Due]] = {}
    for item in items:
        by_partner.setdefault((item.feed, item.partner), []).append(item)
    screen.show(
        "Earlier, and never came",
        ("feed", "partner", "periods", "the first expected by"),
        [
            [feed, partner, screen.ranges(item.period for item in found), found[0].expected]
            for (feed, partner), found in by_partner.items()
        ],
    )
