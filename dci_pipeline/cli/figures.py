"""What the commands that show figures share: the index tables of the published file, names, and how a figure is worded.

DuckDB alone reads the published file; names come from the geography, so any of them may be typed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dci_pipeline.cli import screen
from dci_pipeline.findings import Held

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from dci_pipeline.framework import Node
    from dci_pipeline.periods import Period
    from dci_pipeline.trail.names import Named, Register
    from dci_pipeline.work import Work

FORMAT = 1
LANG = "en"
# How many periods back a line of blocks goes at most.
BACK = 24

NodeName = Annotated[
    str | None,
    typer.Option(
        "--node", metavar="NODE", help="A node of a tree, by id or name. Default: the root of the largest tree."
    ),
]
PeriodName = Annotated[
    str | None,
    typer.Option(
        "--period",
        metavar="PERIOD",
        help="2019, 2020H1, or a period such as 2019-06. Default: the last whole year.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="The same as JSON, with every digit.")]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Figures:
    """The published index tables of one index, open to be asked."""

    work: Work
    connection: DuckDBPyConnection

    @property
    def register(self) -> Register:
        from dci_pipeline.steps.trail import register

        return register(self.work)

    def node(self, name: str | None) -> Node:
        from dci_pipeline.steps.trail import named_node

        return named_node(self.work, name)

    def period(self, text: str | None) -> Period:
        """The period named; else the last year that is as long as any. Raises Held when nothing is published."""
        from dci_pipeline import periods
        from dci_pipeline.steps.trail_span import named_period

        if text is not None:
            return named_period(self.work, text)
        covered = next(name for name in self.columns("index_year") if name.endswith("_covered"))
        found = self._rows("index_year", f"arg_max(year, ({covered}, year)) AS year", "true")
        if found[0]["year"] is None:
            raise self._nothing("index_year")
        return periods.parse(str(found[0]["year"]), "year")

    def columns(self, table: str) -> list[str]:
        """The columns of a table. Raises Held when it is not published."""
        found = self._ask("SELECT column_name FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index", table)
        if not found:
            raise self._nothing(table)
        return [row["column_name"] for row in found]

    def leading(self, node: str, kind: str, period: Period, count: int) -> list[Row]:
        """The `count` best ranked entities of a type: [entity_code and what `_measures` has], by rank."""
        table = table_of(period)
        return self._rows(
            table,
            f"entity_code, {self._measures(table)}",
            f"node = ? AND entity_type = ? AND {period.cadence} = ? AND rank <= ? ORDER BY rank, entity_code",
            node, kind, value_of(period), count,
        )  # fmt: skip

    def course(self, node: str, named: Named, cadence: str) -> list[Row]:
        """Every period of one entity: [period and what `_measures` has], in order."""
        table = f"index_{cadence}"
        return self._rows(
            table,
            f"{cadence} AS period, {self._measures(table)}",
            "node = ? AND entity_type = ? AND entity_code = ? ORDER BY 1",
            node, named.type, named.code,
        )  # fmt: skip

    def at(self, nodes: Sequence[str], named: Named, period: Period) -> dict[str, Row]:
        """One period of one entity by node: [node and what `_measures` has]."""
        table = table_of(period)
        rows = self._rows(
            table,
            f"node, {self._measures(table)}",
            f"entity_type = ? AND entity_code = ? AND {period.cadence} = ? AND node IN ?",
            named.type, named.code, value_of(period), list(nodes),
        )  # fmt: skip
        return {row["node"]: row for row in rows}

    def points_before(
        self, node: str, kind: str, codes: Sequence[str], period: Period
    ) -> dict[str, list[float | None]]:
        """The points of entities up to a period, by code; None where one has none."""
        table, column = table_of(period), period.cadence
        rows = self._rows(
            table,
            f"entity_code, {column} AS period, points",
            f"node = ? AND entity_type = ? AND entity_code IN ? AND {column} <= ? ORDER BY 2",
            node, kind, list(codes), value_of(period),
        )  # fmt: skip
        when = list(dict.fromkeys(row["period"] for row in rows))[-BACK:]
        points = {(row["entity_code"], row["period"]): row["points"] for row in rows}
        return {code: [points.get((code, at)) for at in when] for code in codes}

    def ranked(self, node: str, kind: str, period: Period) -> int:
        """How many entities of a type are ranked."""
        table = table_of(period)
        where = f"node = ? AND entity_type = ? AND {period.cadence} = ?"
        rows = self._rows(table, "count(rank) AS ranked", where, node, kind, value_of(period))
        return int(rows[0]["ranked"])

    def not_published(self, period: Period) -> Held:
        return self._nothing(table_of(period), f"nothing for {period}")

    def _measures(self, table: str) -> str:
        change = next(name for name in self.columns(table) if name.startswith("rank_change"))
        return f"points, share, growth_yoy, rank, {change} AS rank_change, obs_status, maturity"

    def _nothing(self, table: str, found: str = "no rows") -> Held:
        return Held(
            "not published",
            where=f"{self.work.index} {table}",
            found=found,
            expected="figures of the period asked for",
            todo=f"dci sql --index {self.work.index} lists what there is; dci run computes it",
        )

    def _rows(self, table: str, what: str, where: str, *values: object) -> list[Row]:
        self.columns(table)
        return self._ask(f"SELECT {what} FROM {table} WHERE {where}", *values)  # noqa: S608 - names are our own

    def _ask(self, query: str, *values: object) -> list[Row]:
        self.connection.execute(query, list(values))
        names = [str(column[0]) for column in self.connection.description or ()]
        return [dict(zip(names, row, strict=True)) for row in self.connection.fetchall()]


@contextmanager
def figures(work: Work) -> Iterator[Figures]:
    """The published file, open. Raises Finding when there is none, or it has not the index tables."""
    from dci_pipeline.cli import sql
    from dci_pipeline.warehouse.layout import Layout

    layout = Layout(work.settings.warehouse, work.index)
    with sql.connected(sql.published_file(layout), work.index) as connection, sql.understood():
        yield Figures(work, connection)


def table_of(period: Period) -> str:
    return f"index_{period.cadence}"


def value_of(period: Period) -> object:
    """A period as its column in the published tables has it."""
    if period.cadence == "year":
        return period.start.year
    return period.key if period.cadence == "half" else period.start


def words(row: Row | None, *, decimals: int | None = None) -> dict[str, str]:
    """The measures of one row as they are shown, points with so many decimals; MISSING throughout for none."""
    from dci_pipeline.report.numbers import MISSING, number, rank_change

    if row is None:
        return dict.fromkeys(("points", "share", "growth", "rank", "change", "status"), MISSING)
    return {
        "points": number(row["points"], "points", LANG, decimals=decimals),
        "share": number(row["share"], "fraction", LANG, decimals=2),
        "growth": number(row["growth_yoy"], "fraction", LANG, signed=True),
        "rank": number(row["rank"], "rank", LANG),
        "change": rank_change(row["rank_change"]) if row["rank"] is not None else MISSING,
        "status": "" if row["obs_status"] == "A" else str(row["obs_status"]),
    }


def decimals(rows: Sequence[Row]) -> int:
    """The decimals that the points of these rows are written with, all alike."""
    from dci_pipeline.report.numbers import decimals_for

    return decimals_for([row["points"] for row in rows], "points")


def arrow(text: str) -> object:
    """A change of rank in its colour: the report's, as near as a terminal has them."""
    from rich.text import Text

    from dci_pipeline.report.numbers import DOWN, UP

    return Text(text, style="red" if text.startswith(UP) else "blue" if text.startswith(DOWN) else "")


def title(node: Node, about: str, period: str) -> str:
    return f"{node.name_zh} {node.name_en} ({node.node}) · {about} · {period}"


def as_json(document: Mapping[str, object]) -> None:
    typer.echo(json.dumps({"format": FORMAT, **document}, ensure_ascii=False, indent=1, allow_nan=False, default=str))


def maturity(rows: Sequence[Row]) -> None:
    """Says when figures are not final, or not all observed."""
    open_ones = sorted({str(row["maturity"]) for row in rows if row["maturity"] not in (None, "final")})
    if open_ones:
        screen.say(f"Not final: {', '.join(open_ones)}.", style="yellow")
    if any(row["obs_status"] not in (None, "A") for row in rows):
        screen.say("Status: E holds an estimate, P is provisional, M is withheld.", style="yellow")
