"""`dci corrections`: the known errors of partners, and whether what is done about them still fits their deliveries."""

from __future__ import annotations

import typer

from dci_pipeline.cli import options, screen

EXAMPLES = (
    "Example: dci corrections"
    "\n\nExit code 1 when a guard does not hold: the partner has mended its file, or sent other rows."
)

_MARKS = {"holds": "ok", "does not hold": "fail"}


def corrections(index: options.Index = None) -> None:
    """List the corrections of an index, with the state of each guard.

    They stand in data_contracts/INDEX/corrections, one file a feed. Every guard is held against the current delivery;
    nothing is changed. A correction that waits applies as soon as its delivery is landed.
    """
    from dci_pipeline.steps.corrections import FAILS, HOLDS, look

    work = options.open_work(index)
    found = list(look(work))
    if not found:
        screen.say(f"{work.index} has no corrections.")
        return
    screen.show(
        f"Corrections of {work.index}",
        ("correction", "feed", "partner", "period", "action", "guard", "found", "in the sums"),
        [
            [
                item.correction.id,
                item.correction.feed,
                item.correction.partner,
                str(item.period),
                item.correction.action,
                screen.mark(_MARKS[item.state]) if item.state in _MARKS else item.state,
                item.found,
                ("yes" if item.in_sums else "dci run") if item.state == HOLDS else "",
            ]
            for item in found
        ],
    )
    failing = [item for item in found if item.state == FAILS]
    for item in failing:
        screen.say(
            f"{item.correction.id} does not fit {item.period}: if {item.correction.partner} has mended its file, set "
            f"status: withdrawn and since: today, in {item.correction.where}"
        )
    if failing:
        raise typer.Exit(1)
