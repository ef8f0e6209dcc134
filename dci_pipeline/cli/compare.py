"""`dci compare-methods`: two definitions of an index on the same feeds, and what moves between them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dci_pipeline.cli import options, screen
from dci_pipeline.cli.compare_shown import document, show
from dci_pipeline.findings import Finding

if TYPE_CHECKING:
    from dci_pipeline.periods import Period
    from dci_pipeline.settings import Settings
    from dci_pipeline.trial import Trial
    from dci_pipeline.work import Work

EXAMPLES = (
    "Example: dci compare-methods --with trial/dci"
    "\n\nA copy to change: cp -r data_contracts/dci trial/dci, then edit trial/dci/weights or trial/dci/index.yaml"
    "\n\nAll of it, for a program: dci compare-methods --with trial/dci --from 2019-01 --to 2019-12 --json"
)

With = Annotated[
    Path,
    typer.Option(
        "--with", metavar="DIR", help="The other definition: a folder like data_contracts/INDEX, or above it."
    ),
]
Top = Annotated[int, typer.Option("--top", min=1, help="How many of the largest movements are shown.")]
AsJson = Annotated[bool, typer.Option("--json", help="Every node and year, as JSON.")]


def compare_methods(
    *,
    other: With,
    first: options.First = None,
    last: options.Last = None,
    months: options.Months = None,
    top: Top = 10,
    as_json: AsJson = False,
    index: options.Index = None,
) -> None:
    """Compute another definition of the index on the same feeds, and show what moves: levels, ranks, weights.

    Other scores, baskets, links or policies. Both definitions are computed beside the warehouse; what is validated
    already is used as it is. Nothing is published and nothing is left.
    """
    from dci_pipeline.report import methods
    from dci_pipeline.trial import TABLES
    from dci_pipeline.warehouse.apart import apart

    work = options.open_work(index)
    wanted = options.chosen_periods(work.framework, first, last, months)
    for table in TABLES:
        work.framework.table(table)
    ready = _periods(work, wanted)
    with apart(work.warehouse.layout, ("before", "after"), tables=TABLES) as roots:
        definitions = [_opened(work, roots[0], work.framework.folder), _opened(work, roots[1], other)]
        if definitions[1].framework.cadence != work.framework.cadence:
            raise Finding(
                "another cadence",
                where=f"{other} cadence",
                found=definitions[1].framework.cadence,
                expected=work.framework.cadence,
            )
        periods = [ready, _periods(definitions[1], wanted)]
        years = _years(wanted or [*periods[0], *periods[1]])
        before, after = (_tried(item, of, years) for item, of in zip(definitions, periods, strict=True))
        beside = methods.side_by_side(before.levels, after.levels)
        weights = methods.effective_weights(before.weights, after.weights)
        if as_json:
            said = document(definitions, (before, after), beside, weights, other=other, top=top)
            typer.echo(json.dumps(said, ensure_ascii=False, indent=1))
        else:
            show(definitions, (before, after), beside, weights, folders=(work.framework.folder, other), top=top)


def _opened(work: Work, root: Path, folder: Path) -> Work:
    """A definition of the index, to be computed in a warehouse of its own. Raises Finding naming the folder."""
    from dci_pipeline.warehouse.apart import under_its_name
    from dci_pipeline.work import Work

    within = folder / work.index
    found = within if (within / "index.yaml").is_file() else folder
    if not (found / "index.yaml").is_file():
        raise Finding(
            "no definition of an index",
            where="--with",
            found=f"no {folder}/index.yaml" if folder.is_dir() else f"no folder {folder}",
            expected=f"a folder like {work.framework.folder}",
            todo="copy that one and change the copy",
        )
    settings: Settings = replace(work.settings, warehouse=root, contracts=under_its_name(root, work.index, found))
    opened = Work(settings, work.index)
    with _named(folder):
        _ = opened.framework, opened.geography
    return opened


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    """What is wrong with a definition, said with the folder it lies in."""
    try:
        yield
    except Finding as wrong:
        where = f"{folder}: {wrong.where}" if wrong.where else str(folder)
        raise Finding(
            wrong.problem, where=where, found=wrong.found, expected=wrong.expected, todo=wrong.todo
        ) from wrong


def _periods(work: Work, wanted: Sequence[Period] | None) -> list[Period]:
    """The periods with every delivery a definition needs, up to the last that is wanted. Raises Finding without any."""
    from dci_pipeline import refresh

    ready, waiting = refresh.delivered_periods(work)
    found = [period for period in ready if wanted is None or period.start <= wanted[-1].start]
    if not found:
        raise Finding(
            "no period is complete",
            where=f"{work.index}/feeds",
            found=next((f"{period} {reason}" for period, reason in waiting.items()), "no delivery"),
            expected="deliveries of every feed and partner",
            todo=f"dci due --index {work.index} says what is missing",
        )
    return found


def _years(periods: Sequence[Period]) -> list[Period]:
    return sorted({period.year() for period in periods})


def _tried(work: Work, periods: Sequence[Period], years: Sequence[Period]) -> Trial:
    from dci_pipeline.trial import tried

    with screen.progress() as bar:
        task = bar.add_task("starting", total=None)
        return tried(
            work,
            periods,
            years,
            told=lambda step, at: bar.update(task, description=f"{'/'.join(step.key)} {at or ''}"[:44].ljust(44)),
        )
