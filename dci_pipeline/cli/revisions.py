"""`dci revisions`: how far releases revised what had been released, and one value's triangle of period and vintage."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from dci_pipeline.cli import options, screen
from dci_pipeline.findings import Finding

if TYPE_CHECKING:
    import polars as pl

    from dci_pipeline.warehouse.release_files import Release
    from dci_pipeline.work import Work

EXAMPLES = (
    "Example: dci revisions"
    "\n\nOne city's level by month as each release gave it: dci revisions --entity 510100"
    "\n\nIts rank by year: dci revisions --entity city:510100 --measure rank --by year"
)

Entity = Annotated[
    str | None,
    typer.Option(
        "--entity", metavar="CODE", show_default=False, help="The triangle of one place or group: CODE, or TYPE:CODE."
    ),
]
Of = Annotated[
    str | None, typer.Option("--node", metavar="NODE", show_default=False, help="Default: the first tree's root.")
]
Measure = Annotated[
    str, typer.Option("--measure", metavar="COLUMN", help="points, rank, growth_yoy or another growth of the table.")
]
By = Annotated[
    str | None, typer.Option("--by", metavar="SPAN", show_default=False, help="month, quarter, half or year.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, with every digit.")]


def revisions(
    *,
    entity: Entity = None,
    node: Of = None,
    measure: Measure = "points",
    by: By = None,
    json_: AsJson = False,
    index: options.Index = None,
) -> None:
    """Say how far releases revised what had been released before.

    Without --entity: how many revisions of each measure there are, how many of them are of values that had been final,
    their mean and mean absolute size. With it: the value of every period as each release gave it, the revision from the
    first to the last, the release since which it is final, and both means.
    """
    from dci_pipeline.warehouse import release_files

    work = options.open_work(index)
    found = release_files.releases(work.warehouse.layout)
    if not found:
        raise Finding(
            "nothing has been released",
            where=work.index,
            found="no release",
            expected="one or more",
            todo=f"dci release --index {work.index} --period PERIOD",
        )
    found.sort(key=lambda release: (release.vintage, release_files.order(release.id)))
    if entity is None:
        _summary(work, found, as_json=json_)
    else:
        _triangle(work, found, entity, node, measure, by, as_json=json_)


def _summary(work: Work, found: list[Release], *, as_json: bool) -> None:
    from dci_pipeline.releases import revisions as kept
    from dci_pipeline.warehouse import release_revisions

    rows = kept.summary(release_revisions.recorded(found, work.framework.table(kept.TABLE)))
    if as_json:
        typer.echo(json.dumps(rows.to_dicts(), ensure_ascii=False, indent=1))
        return
    if rows.is_empty():
        screen.say(f"{screen.count(len(found), 'release')}, and none revised another.", style="green")
        return
    screen.show(
        f"{work.index}: revisions by {screen.count(len(found), 'release')}",
        ("table", "measure", "revisions", "exceptional", "mean", "mean absolute"),
        [
            [table, name, f"{count:,}", f"{late:,}", f"{mean:.6g}", f"{size:.6g}"]
            for table, name, count, late, mean, size in rows.rows()
        ],
        right=("revisions", "exceptional", "mean", "mean absolute"),
    )
    screen.say("Exceptional: of values that had been final.")


def _triangle(
    work: Work, found: list[Release], entity: str, node: str | None, measure: str, by: str | None, *, as_json: bool
) -> None:
    from dci_pipeline.releases import revisions as kept
    from dci_pipeline.warehouse import release_revisions

    table = f"index_{by or work.framework.cadence}"
    of = node or work.framework.roots[0]
    kind, _, code = entity.rpartition(":")
    release_revisions.values(found[-1], table, measure, {"entity_code": code})
    kinds = [kind] if kind else release_revisions.kinds_of_entity(found[-1], table, code)
    if len(kinds) != 1:
        raise Finding(
            "no such entity" if not kinds else "more than one entity",
            where="--entity",
            found=entity,
            expected=" or ".join(f"{name}:{code}" for name in kinds) or "a code, as in the column entity_code",
            todo=f"dci sql --index {work.index} lists the tables; {table} has every code",
        )
    where = {"entity_type": kinds[0], "entity_code": code, "node": of}
    whole = kept.triangle([(release.id, release_revisions.values(release, table, measure, where)) for release in found])
    if whole.is_empty():
        raise Finding(
            "no values", where=table, found=", ".join(where.values()), expected="an entity and node that are released"
        )
    revised = whole["revision"].drop_nulls()
    means = {"mean": _mean(revised), "mean_absolute": _mean(revised.abs())}
    if as_json:
        said = {"table": table, **where, "measure": measure, "vintages": _vintages(found), "periods": whole.to_dicts()}
        typer.echo(json.dumps({**said, **means}, ensure_ascii=False, indent=1))
        return
    names = whole.columns
    screen.show(
        f"{measure} of {kinds[0]} {code}, node {of}, in {table}: by period, as each release gave it",
        names,
        [[row[0], *map(_cell, row[1:])] for row in whole.iter_rows()],
        right=names[1:-1],
    )
    for name, day in _vintages(found).items():
        screen.say(f"{name}: {day}")
    mean, size = ("none" if value is None else f"{value:.6g}" for value in means.values())
    screen.say(f"Revision from the first to the last release of a period: mean {mean}, mean absolute {size}.")


def _cell(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:.6g}"


def _vintages(found: list[Release]) -> dict[str, str]:
    return {release.id: release.vintage.isoformat() for release in found}


def _mean(values: pl.Series) -> float | None:
    mean = values.mean()
    return float(mean) if isinstance(mean, int | float) else None
