"""`dci gc`: what the warehouse no longer needs, and how much room it takes; taken away only when told to."""

from __future__ import annotations

from typing import Annotated

import typer

from dci_pipeline.cli import options, screen

EXAMPLES = (
    "Example: dci gc\n\nTake it away: dci gc --delete\n\nDeliveries, releases and the published file are never touched."
)

Delete = Annotated[bool, typer.Option("--delete", help="Take it away. Without it nothing is changed.")]


def gc(delete: Delete = False, index: options.Index = None) -> None:
    """List what nothing needs any more: tables, slices and links no contract names, debris, locks nobody holds.

    With --delete it is taken away, unless a run or a landing is under way.
    """
    from dci_pipeline.path import path
    from dci_pipeline.warehouse import gc as housekeeping

    work = options.open_work(index)
    layout = work.warehouse.layout
    with screen.progress() as bar:
        task = bar.add_task("looking", total=None)
        found = housekeeping.superseded(
            layout,
            work.framework,
            {step.key for step in path(work.framework)},
            progress=lambda name: bar.update(task, description=name[:44].ljust(44)),
        )
        if delete and found:
            bar.update(task, total=len(found))
            housekeeping.remove(layout, found, progress=lambda _: bar.advance(task))
    if not found:
        screen.say("Nothing to take away.", style="green")
        return
    reasons = list(dict.fromkeys(item.why for item in found))
    screen.show(
        f"{work.index}: taken away" if delete else f"{work.index}: may go",
        ("what", "how many", "bytes", "such as"),
        [
            [why, len(items), f"{sum(item.bytes for item in items):,}", items[0].path.relative_to(layout.root)]
            for why in reasons
            for items in [[item for item in found if item.why == why]]
        ],
        right=("how many", "bytes"),
    )
    if not delete:
        screen.say("Nothing was changed. Take it away: dci gc --delete --index " + work.index)
