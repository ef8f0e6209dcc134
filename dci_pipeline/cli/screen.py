"""What the commands print: tables, lines, progress bars, and the block that says what is wrong.

Text may come from a partner's file, so control characters are shown, never sent, and nothing is read as markup.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dci_pipeline.findings import Conflict, Finding, Held
from dci_pipeline.periods import Period
from dci_pipeline.plain_text import lines, plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

_WIDTH_OF_A_FILE = 160


def out() -> Console:
    return _console(stderr=False)


def err() -> Console:
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDTH_OF_A_FILE
    return console


def say(text: object = "", *, style: str = "", stderr: bool = False) -> None:
    """One line, whole: a path or a command can be copied from it."""
    (err() if stderr else out()).print(lines(text), style=style or None, soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> Table:
    """A table of text; the columns named in `right` are numbers. A cell may be a rich Text, kept as it is."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    made = Table(
        title=Text(plain(title), style="bold") if title else None,
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_header=any(columns),
    )
    for column in columns:
        made.add_column(Text(column), justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*[cell if isinstance(cell, Text) else Text(lines("" if cell is None else cell)) for cell in row])
    return made


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    out().print(table(title, columns, rows, right=right))


def mark(state: str) -> object:
    """A verdict's word in its colour."""
    from rich.text import Text

    colours = {
        "ok": "green",
        "pass": "green",
        "new": "green",
        "written": "green",
        "warn": "yellow",
        "late": "yellow",
        "fail": "bold red",
    }
    return Text(state, style=colours.get(state, ""))


def block(finding: Finding) -> None:
    """What is wrong, where, what was found and expected, and what to do next: red, on standard error."""
    from rich.text import Text

    word, style = "error", "red"
    if isinstance(finding, Held):
        word, style = "held", "yellow"
    elif isinstance(finding, Conflict):
        word = "conflict"
    console = err()
    head = f"{finding.where}: {finding.problem}" if finding.where else finding.problem
    said: list[tuple[str, object]] = [(word, head)]
    beside = (("found", finding.found), ("expected", finding.expected), ("do next", finding.todo or None))
    said += [(name, value) for name, value in beside if value is not None]
    for number, (name, value) in enumerate(said):
        text = Text("┃ ", style=style)
        text.append(f"{name:<9}", style=f"bold {style}")
        text.append(plain(value), style=style if number == 0 else "")
        console.print(text, soft_wrap=True)


def progress() -> Progress:
    """A bar with what is being done, how far and how long; on standard error, gone when done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err(),
        transient=True,
    )


def ranges(periods: Iterable[Period]) -> str:
    """Periods as few words: '2018-01 to 2018-12, 2019-03'."""
    runs: list[list[Period]] = []
    for period in sorted(set(periods)):
        if runs and runs[-1][-1].shift(1) == period:
            runs[-1].append(period)
        else:
            runs.append([period])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def count(number: int, word: str) -> str:
    """'1 month', '2 months', '3 deliveries'."""
    if number == 1:
        return f"1 {word}"
    plural = f"{word[:-1]}ies" if word.endswith("y") and word[-2] not in "aeiou" else f"{word}s"
    return f"{number:,} {plural}"
