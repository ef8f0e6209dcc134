"""`dci impact`: what a new delivery of a feed for a period would change, before it is computed."""

from __future__ import annotations

from typing import Annotated

import typer

from dci_pipeline.cli import options, screen
from dci_pipeline.cli.run import partitions

EXAMPLES = (
    "Example: dci impact transactions 2019-04"
    "\n\nOnce the delivery has landed, dci run computes exactly these. What comes out the same is not written again."
)

FeedName = Annotated[str, typer.Argument(metavar="FEED", help="The feed that is sent again.", show_default=False)]
PeriodName = Annotated[
    str, typer.Argument(metavar="PERIOD", help="The period it is for, such as 2019-04.", show_default=False)
]


def impact(feed: FeedName, period: PeriodName, *, index: options.Index = None) -> None:
    """List every partition that rests on a feed's delivery for a period.

    Its own tables, the half-year and year, growth on it in later periods, shares carried from it, and the whole link
    when the period lies in a reference.
    """
    from dci_pipeline import plan, refresh

    work = options.open_work(index)
    options.feed_contract(work.framework, feed)
    wanted = options.named_period(work.framework, period, where="PERIOD")
    ready, _ = refresh.delivered_periods(work)
    found = plan.impact(work, feed, wanted, ready)
    partitions(f"{work.index}: what {feed} {wanted} touches", found)
    total = sum(map(len, found.values()))
    screen.say(f"{screen.count(total, 'partition')} of {screen.count(len(found), 'table')}.")
