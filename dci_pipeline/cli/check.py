"""`dci check`: what validation would say of a delivery, before it is sent. Nothing is kept."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dci_pipeline.cli import options, screen
from dci_pipeline.findings import Finding

if TYPE_CHECKING:
    from dci_pipeline.cli.checking import Checked, Slice

EXAMPLES = (
    "Example: dci check transactions_2019-04.csv --feed transactions"
    "\n\nExit code: 0 it would be accepted, 1 it would be rejected, 2 it cannot be read."
)

Partner = Annotated[
    str | None,
    typer.Option(
        "--partner",
        metavar="PARTNER",
        show_default=False,
        help="Who sends the files. Default: what their partner column says.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="The verdict as JSON, for a machine.")]


def check(
    files: options.Files,
    *,
    feed: options.Feed,
    partner: Partner = None,
    month: options.Month = None,
    as_json: AsJson = False,
    index: options.Index = None,
) -> None:
    """Check files against a feed's contract, as a partner does before sending.

    The same reading, rules and thresholds as after landing: rule by rule how many rows break it and whether that is
    too many, and the first ten such rows. Several files are parts of one delivery. The period, if not given, is the one
    the dates lie in. Nothing is kept.
    """
    from dci_pipeline.cli.checking import check_delivery

    try:
        work = options.open_work(index)
        with TemporaryDirectory(prefix="dci-check-") as folder:
            checked = check_delivery(work, files, feed=feed, partner=partner, month=month, folder=Path(folder))
    except Finding as finding:
        if as_json:
            typer.echo(
                _json(
                    {
                        "accepted": False,
                        "error": {
                            "problem": finding.problem,
                            "where": finding.where,
                            "found": _text(finding.found),
                            "expected": _text(finding.expected),
                            "todo": finding.todo,
                        },
                    }
                )
            )
        raise
    if as_json:
        typer.echo(_json(checked.as_data()))
    else:
        _show(checked)
    if not checked.accepted:
        raise typer.Exit(1)


def _show(checked: Checked) -> None:
    for note in checked.notes:
        screen.say(note)
    if len(checked.slices) > 1:
        screen.show(
            "Periods",
            ("period", "rows", "rejected rows", "verdict"),
            [[item.period, f"{item.rows:,}", f"{item.rejected:,}", _verdict(item.accepted)] for item in checked.slices],
            right=("rows", "rejected rows"),
        )
    shown = checked.slices if len(checked.slices) == 1 else [item for item in checked.slices if not item.accepted]
    for item in shown:
        _show_slice(checked, item)
    if checked.accepted:
        screen.say(f"Accepted: {checked.feed} of {checked.partner}, {checked.periods}.", style="bold green")
    else:
        screen.say(
            f"Rejected: {checked.feed} of {checked.partner}, {checked.periods}. A rule is broken by more rows "
            "than its threshold allows.",
            style="bold red",
        )


def _show_slice(checked: Checked, item: Slice) -> None:
    rules = [
        [
            row["rule"],
            row["says"],
            f"{row['unexpected']:,}",
            f"{row['percent']:.3g} %",
            f"{row['threshold']:g} %",
            screen.mark("pass" if row["passed"] else "fail" if row["severity"] == "error" else "warn"),
        ]
        for row in item.verdict.iter_rows(named=True)
    ]
    screen.show(
        f"{checked.feed} {checked.partner} {item.period}: {item.rows:,} rows, {item.rejected:,} rejected",
        ("rule", "it says", "rows broken", "share", "at most", "verdict"),
        rules,
        right=("rows broken", "share", "at most"),
    )
    if item.offending:
        screen.show(
            f"First {len(item.offending)} of the rejected rows (row 1 is the first after the header)",
            ("file", "row", "rule", "reason"),
            [
                [row["file"], row["file_row"], row["rules"].replace(";", "\n"), "\n".join(row["reasons"])]
                for row in item.offending
            ],
            right=("row",),
        )
    for note in item.coverage_notes:
        screen.say(note)


def _verdict(accepted: bool) -> object:
    return screen.mark("pass" if accepted else "fail")


def _json(data: dict[str, Any]) -> str:
    # ASCII, so that no byte of a partner's file reaches a terminal as it stands.
    return json.dumps(data, ensure_ascii=True, indent=1, default=str)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
