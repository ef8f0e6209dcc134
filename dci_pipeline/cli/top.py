"""`dci top`: the leading places or groups of one period, each with where it came from and how it went."""

from __future__ import annotations

from typing import Annotated

import typer

from dci_pipeline.cli import figures, options, screen
from dci_pipeline.findings import Finding

EXAMPLES = (
    "Example: dci top"
    "\n\nProvinces, on one indicator: dci top --type province --node cloud_usage --period 2019 --n 15"
    "\n\nA month, as JSON: dci top --period 2019-06 --json > leading.json"
)

Kind = Annotated[
    str | None,
    typer.Option(
        "--type", metavar="TYPE", help="The type of entity: city, province, cluster, … Default: the index's places."
    ),
]
Count = Annotated[int, typer.Option("--n", min=1, max=1000, help="How many ranks are shown.")]


def top(
    *,
    node: figures.NodeName = None,
    period: figures.PeriodName = None,
    kind: Kind = None,
    count: Count = 10,
    as_json: figures.AsJson = False,
    index: options.Index = None,
) -> None:
    """Show who leads: rank and its change, points, share, growth, and the course up to then as a line of blocks."""
    from dci_pipeline.report.sparkline import sparkline

    work = options.open_work(index, looking=True)
    ranked = [entity.type for entity in work.framework.entities if entity.ranked]
    kind = kind or ranked[0]
    if kind not in ranked:
        raise Finding(
            "no such type of entity",
            where="--type",
            found=kind,
            expected="one of " + ", ".join(ranked),
            todo="name a type that is ranked",
        )
    with figures.figures(work) as found:
        wanted, when = found.node(node), found.period(period)
        rows = found.leading(wanted.node, kind, when, count)
        if not rows:
            raise found.not_published(when)
        codes = [row["entity_code"] for row in rows]
        before = found.points_before(wanted.node, kind, codes, when)
        of = found.ranked(wanted.node, kind, when)
        names = {(named.type, named.code): named for named in found.register.every()}
    if as_json:
        figures.as_json(
            {
                "index": work.index,
                "node": wanted.node,
                "period": when.key,
                "table": figures.table_of(when),
                "entity_type": kind,
                "ranked": of,
                "rows": [
                    {**row, "name_zh": names[kind, row["entity_code"]].name_zh,
                     "name_en": names[kind, row["entity_code"]].name_en, "course": before[row["entity_code"]]}
                    for row in rows
                ],
            }
        )  # fmt: skip
        return
    decimals = figures.decimals(rows)
    lines: list[list[object]] = []
    for row in rows:
        said, named = figures.words(row, decimals=decimals), names[kind, row["entity_code"]]
        lines.append([
            said["rank"], figures.arrow(said["change"]), named.name_zh, named.name_en, said["points"], said["share"],
            said["growth"], sparkline(before[row["entity_code"]]), said["status"],
        ])  # fmt: skip
    columns = ("rank", "Δ", "name", "", "points", "share", "growth", f"by {when.cadence}", "")
    about = f"{kind}, first {count} of {of}"
    screen.show(
        figures.title(wanted, about, when.key), columns, lines, right=("rank", "Δ", "points", "share", "growth")
    )
    figures.maturity(rows)
