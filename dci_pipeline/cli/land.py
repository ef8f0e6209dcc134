"""`dci land`: take in what a partner sent. Kept as received, by content; a later delivery supersedes, none is lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dci_pipeline.cli import options, screen

if TYPE_CHECKING:
    from dci_pipeline.warehouse.deliveries import Landing
    from dci_pipeline.work import Work

EXAMPLES = (
    "Example: dci land transactions_*.csv.gz --feed transactions --partner pay_a --month 2019-04"
    "\n\nThe same bytes a second time change nothing. Look before you land: dci check FILE --feed FEED"
)

Partner = Annotated[
    str, typer.Option("--partner", metavar="PARTNER", help="Who sent the files, as the contract lists them.")
]


def land(
    files: options.Files,
    *,
    feed: options.Feed,
    partner: Partner,
    month: options.Month = None,
    index: options.Index = None,
) -> None:
    """Take in one delivery: a feed's files of one partner for one period.

    The files are kept as received, named by their content, and typed by the contract: one bad value costs one row,
    never the file. A later delivery for the same feed, period and partner supersedes the earlier one; both are kept.
    A feed whose files have a period column needs no period: each of its periods becomes a delivery.
    """
    work = options.open_work(index)
    landed = take_in(work, files, feed=feed, partner=partner, month=month)
    described(landed)
    for line in state_of_periods(work, landed):
        screen.say(line)


def take_in(work: Work, files: Sequence[Path], *, feed: str, partner: str, month: str | None) -> list[Landing]:
    """Land one delivery; one Landing per period it covers."""
    from dci_pipeline.warehouse import deliveries

    versions = options.feed_versions(work.framework, feed)
    period = options.named_period(work.framework, month, where=options.MONTH_OPTIONS) if month is not None else None
    return deliveries.land(
        work.warehouse.layout, files, contract=versions, cadence=work.framework.cadence, partner=partner, period=period
    )


def described(landed: Sequence[Landing]) -> None:
    """The table of what landing did."""
    rows: list[list[object]] = []
    for landing in landed:
        delivery = landing.delivery
        if not landing.new:
            state = "already there"
        elif delivery.supersedes:
            state = f"supersedes {delivery.supersedes[:12]}"
        else:
            state = "new"
        rows.append(
            [
                delivery.feed,
                str(delivery.period),
                delivery.partner,
                delivery.sha256[:12],
                len(delivery.parts),
                f"{delivery.rows:,}",
                screen.mark(state),
            ]
        )
    screen.show(
        "Deliveries", ("feed", "period", "partner", "sha256", "files", "rows", "state"), rows, right=("files", "rows")
    )


def state_of_periods(work: Work, landed: Sequence[Landing]) -> list[str]:
    """Which of the periods just landed are complete now, and what the others still wait for."""
    from dci_pipeline import refresh

    periods = sorted({landing.delivery.period for landing in landed})
    ready, waiting = refresh.delivered_periods(work, periods)
    said: list[str] = []
    if ready:
        verb = "is" if len(ready) == 1 else "are"
        said.append(
            f"{screen.ranges(ready)} {verb} complete: every partner of every feed has delivered. "
            f"Next: dci run --index {work.index}"
        )
    for reason in dict.fromkeys(waiting.values()):
        late = [period for period, why in waiting.items() if why == reason]
        said.append(f"{screen.ranges(late)} {reason}" if len(late) == 1 else f"{screen.ranges(late)}: each {reason}")
    return said
