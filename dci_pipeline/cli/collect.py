"""`dci collect`: take in what lies in the drop folder, without the engine; say what was landed, refused, what waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from dci_pipeline.cli import land, options, screen
from dci_pipeline.findings import Finding

if TYPE_CHECKING:
    from dci_pipeline.warehouse.drop_look import Look
    from dci_pipeline.work import Work

EXAMPLES = (
    "Example: dci collect"
    "\n\nWhat would happen: dci collect --dry-run. Every ten minutes, from cron: dci collect && dci run"
    "\n\nExit code 1 when a file was refused, 2 when the system refused something."
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen to every file, and do nothing.")]
Settle = Annotated[
    float | None,
    typer.Option(
        "--settle",
        metavar="SECONDS",
        min=0,
        show_default=False,
        help="How long a file must be left alone to be whole. Default: DCI_DROP_SETTLE, else 60.",
    ),
]


def collect(*, dry_run: DryRun = False, settle: Settle = None, index: options.Index = None) -> None:
    """Take in the files that partners have put into the drop folder: DCI_DROP/INDEX, else drop/INDEX in the warehouse.

    Feed, partner and period are read from a file's name, as the feed's contract says (fileName). A file is whole when
    it was left alone for a while, which this command waits for, or when NAME.sha256 lies beside it and agrees. What is
    landed leaves the folder; what cannot be placed or read is moved to refused/ with the reason beside it.
    """
    from dci_pipeline.warehouse import drop

    work = options.open_work(index)
    settings, framework = work.settings, work.framework
    layout = work.warehouse.layout
    if dry_run:
        look = drop.foresee(layout, settings.drop_of(work.index), feeds=framework.feeds, cadence=framework.cadence)
        said(work, look, dry=True)
        return
    folder = drop.folder_of(settings, work.index)
    wait = settings.settle if settle is None else settle
    first = drop.collect(
        layout,
        folder,
        feeds=framework.feeds,
        versions=framework.versions,
        cadence=framework.cadence,
        seen={},
        now=time.monotonic(),
        settle=wait,
    )
    look = first
    if first.settling and wait:
        screen.say(f"Waiting {wait:g} s to see that no file changes any more.", stderr=True)
        time.sleep(wait)
        look = drop.collect(
            layout,
            folder,
            feeds=framework.feeds,
            versions=framework.versions,
            cadence=framework.cadence,
            seen=first.seen,
            now=time.monotonic(),
            settle=wait,
        )
        look.landed, look.refused = [*first.landed, *look.landed], [*first.refused, *look.refused]
        look.trouble = {name: why for name, why in first.trouble.items() if name not in look.seen} | look.trouble
    said(work, look, dry=False)
    landed = [landing for item in look.landed for landing in item.landings]
    if landed:
        for line in land.state_of_periods(work, landed):
            screen.say(line)
    if look.trouble:
        raise typer.Exit(2)
    if look.refused:
        raise typer.Exit(1)


def said(work: Work, look: Look, *, dry: bool) -> None:
    """The table of every file and what became of it; the reasons in full."""
    from dci_pipeline.feeds.file_names import shown

    rows: list[list[object]] = []
    for bundle in look.ready:
        place = bundle.place
        rows.append([bundle.names, place.feed, place.partner, place.period or "by its rows", "would be landed"])
    for item in look.landed:
        place = item.bundle.place
        new = any(landing.new for landing in item.landings)
        periods = screen.ranges(landing.delivery.period for landing in item.landings)
        rows.append([item.bundle.names, place.feed, place.partner, periods, "landed" if new else "already there"])
    for item in look.refused:
        rows.append([item.names, "", "", "", screen.mark("would be refused" if dry else "refused")])
    for name, why in look.waiting.items():
        rows.append([shown(name), "", "", "", f"waits: {why}"])
    for name in look.trouble:
        rows.append([shown(name), "", "", "", screen.mark("fail")])
    folder = work.settings.drop_of(work.index)
    if not rows:
        screen.say(f"Nothing in {folder}.", style="green")
        return
    screen.show(f"Files in {folder}", ("file", "feed", "partner", "period", "state"), rows)
    if look.more:
        screen.say(f"{screen.count(look.more, 'more file')} not looked at yet.")
    for item in look.refused:
        screen.block(item.finding)
        if item.place is not None:
            screen.say(f"Moved to {item.place}", stderr=True)
    for name, why in look.trouble.items():
        screen.block(
            Finding(
                "left where it is",
                where=shown(name),
                found=why,
                expected="room on the disk, and permission to read and to move the file",
                todo="see to it; the file is taken in at the next look",
            )
        )
