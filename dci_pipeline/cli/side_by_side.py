"""`dci compare`: up to six places, groups or the nation beside each other in one period."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from dci_pipeline.cli import figures, options, screen
from dci_pipeline.findings import Finding

if TYPE_CHECKING:
    from dci_pipeline.trail.names import Named

EXAMPLES = (
    "Example: dci compare 成都 chongqing 610100"
    "\n\nGroups, in a half-year: dci compare cluster:prd cluster:yrd --period 2020H1"
    "\n\nAs JSON: dci compare 北京 上海 --node industry --json"
)
MOST = 6

Places = Annotated[
    list[str],
    typer.Argument(
        metavar="PLACE...", show_default=False, help="Two to six places or groups, by any name, pinyin or code."
    ),
]


def compare(
    places: Places,
    *,
    node: figures.NodeName = None,
    period: figures.PeriodName = None,
    as_json: figures.AsJson = False,
    index: options.Index = None,
) -> None:
    """Put places beside each other: points, share, growth, rank and course, and the points of every node below."""
    from dci_pipeline.report.numbers import decimals_for, number
    from dci_pipeline.report.sparkline import sparkline

    if not 2 <= len(places) <= MOST:
        raise Finding(
            "not a number of places that stand side by side",
            where="PLACE",
            found=screen.count(len(places), "place"),
            expected=f"2 to {MOST}",
            todo="dci trend shows one, dci top as many as you like",
        )
    work = options.open_work(index, looking=True)
    with figures.figures(work) as found:
        wanted, when = found.node(node), found.period(period)
        register = found.register
        named = [register.find(place) for place in places]
        _refuse_twice(named, places)
        below = list(work.framework.children(wanted.node))
        rows = [found.at([wanted.node, *below], entity, when) for entity in named]
        if not any(rows):
            raise found.not_published(when)
        courses = [found.points_before(wanted.node, entity.type, [entity.code], when)[entity.code] for entity in named]
    if as_json:
        figures.as_json(
            {
                "index": work.index,
                "node": wanted.node,
                "period": when.key,
                "table": figures.table_of(when),
                "entities": [
                    {"type": entity.type, "code": entity.code, "name_zh": entity.name_zh, "name_en": entity.name_en,
                     "nodes": row, "course": course}
                    for entity, row, course in zip(named, rows, courses, strict=True)
                ],
            }
        )  # fmt: skip
        return
    shown = [row.get(wanted.node) for row in rows]
    decimals = figures.decimals([row for row in shown if row is not None])
    said = [figures.words(row, decimals=decimals) for row in shown]
    lines: list[list[object]] = [[name, *(entry[name] for entry in said)] for name in ("points", "share", "growth")]
    lines += [["rank", *(entry["rank"] for entry in said)], ["Δ rank", *(figures.arrow(one["change"]) for one in said)]]
    lines.append([f"by {when.cadence}", *(sparkline(course) for course in courses)])
    for child in below:
        points = [row[child]["points"] if child in row else None for row in rows]
        name = work.framework.by_node[child]
        alike = decimals_for(points, "points")
        cells = (number(value, "points", figures.LANG, decimals=alike) for value in points)
        lines.append([f"  {name.name_zh} {child}", *cells])
    if any(entry["status"] for entry in said):
        lines.append(["status", *(entry["status"] for entry in said)])
    heads = [f"{entity.name_zh or entity.name_en}\n{entity.type}" for entity in named]
    screen.show(figures.title(wanted, "side by side", when.key), ("", *heads), lines, right=heads)
    figures.maturity([row[wanted.node] for row in rows if wanted.node in row])
    if len({entity.type for entity in named}) > 1:
        screen.say("Ranks are among entities of one type.")


def _refuse_twice(named: Sequence[Named], places: Sequence[str]) -> None:
    """Raises Finding for two names of one entity."""
    seen: dict[tuple[str, str], str] = {}
    for entity, place in zip(named, places, strict=True):
        before = seen.setdefault((entity.type, entity.code), place)
        if before != place or places.count(place) > 1:
            raise Finding("the same place twice", where="PLACE", found=f"{before} and {place}, both {entity}")
