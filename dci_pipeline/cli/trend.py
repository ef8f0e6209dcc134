"""`dci trend`: one place, group or the nation over all periods there are."""

from __future__ import annotations

from typing import Annotated

import typer

from dci_pipeline.cli import figures, options, screen
from dci_pipeline.findings import Finding

EXAMPLES = (
    "Example: dci trend 成都"
    "\n\nBy month, on one node: dci trend chengdu --node culture --by month"
    "\n\nA province or a group: dci trend province:440000 --by half; dci trend cluster:prd --json"
)

Place = Annotated[
    str,
    typer.Argument(
        metavar="PLACE",
        show_default=False,
        help="A place, province or group, or the nation: Chinese name, alias, pinyin, English name, or code.",
    ),
]
By = Annotated[
    str, typer.Option("--by", metavar="SPAN", help="year, half, or the index's own periods: month or quarter.")
]
Kind = Annotated[
    str | None, typer.Option("--type", metavar="TYPE", help="The entity type, where a name is of several.")
]


def trend(
    place: Place,
    *,
    node: figures.NodeName = None,
    by: By = "year",
    kind: Kind = None,
    as_json: figures.AsJson = False,
    index: options.Index = None,
) -> None:
    """Show how a place went: points, rank, share and growth of every period, and the whole course in one line."""
    from dci_pipeline.report.sparkline import sparkline

    work = options.open_work(index, looking=True)
    spans = ("year", "half", work.framework.cadence)
    if by not in spans:
        raise Finding("no such span", where="--by", found=by, expected=" or ".join(spans), todo="name one of these")
    with figures.figures(work) as found:
        wanted, named = found.node(node), found.register.find(place, kind=kind)
        rows = found.course(wanted.node, named, by)
        whole = rows if by == work.framework.cadence else found.course(wanted.node, named, work.framework.cadence)
    if not rows:
        raise Finding(
            "no figures of this place",
            where=f"{work.index} index_{by}",
            found=f"{named} on {wanted.node}",
            expected="an entity that has figures on this node",
            todo="try another --node, or --by",
        )
    if as_json:
        entity = {"type": named.type, "code": named.code, "name_zh": named.name_zh, "name_en": named.name_en}
        figures.as_json(
            {"index": work.index, "node": wanted.node, "table": f"index_{by}", "entity": entity, "rows": rows}
        )
        return
    screen.say(figures.title(wanted, f"{named.name_zh} {named.name_en} ({named.type} {named.code})", by), style="bold")
    line = sparkline([row["points"] for row in whole], width=screen.out().width - 30)
    screen.say(f"points by {work.framework.cadence}, {_shown(whole[0]['period'], work.framework.cadence)} on: {line}")
    highest = max((row["points"] or 0.0 for row in rows), default=0.0)
    decimals = figures.decimals(rows)
    lines: list[list[object]] = []
    for row in rows:
        said = figures.words(row, decimals=decimals)
        lines.append([
            _shown(row["period"], by), said["points"], _bar(row["points"], highest), said["growth"], said["share"],
            said["rank"], figures.arrow(said["change"]), said["status"],
        ])  # fmt: skip
    columns = (by, "points", "", "growth", "share", "rank", "Δ", "")
    screen.show("", columns, lines, right=("points", "growth", "share", "rank", "Δ"))
    figures.maturity(rows)


def _shown(period: object, by: str) -> str:
    """A period as it is written: a month or quarter without its day."""
    text = str(period)
    return text[:7] if by in ("month", "quarter") else text


def _bar(value: float | None, highest: float) -> str:
    return "" if not value or highest <= 0 else "█" * max(round(value / highest * 24), 1)
