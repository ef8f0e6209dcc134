"""A few numbers, large: what an exhibit that is a claim or a count of the index's structure shows."""

from __future__ import annotations

from html import escape
from typing import Any

from dci_pipeline.report.exhibits.block import Block, Request
from dci_pipeline.report.numbers import unit_label


def figures(request: Request) -> Block:
    """One tile per value, named by its column and, where there are several rows, by its entity.

    Options: columns; beside: a column whose value stands under each of the others.
    """
    beside = request.option("beside")
    columns = [name for name in request.option("columns") or request.measures if name != beside]
    tiles: list[str] = []
    many = request.frame.height > 1
    for row in request.frame.iter_rows(named=True):
        for column in columns:
            if row[column] is None:
                continue
            head = request.title(column)
            name = f"{row['entity']} · {head}" if many and len(columns) > 1 else str(row["entity"]) if many else head
            said = _said(request, row, column) + _beside(request, row, beside)
            tiles.append(f"<div><dt>{escape(name)}</dt><dd>{said}</dd></div>")
    return Block(f'<dl class="figures">{"".join(tiles)}</dl>', tabled=not many or len(columns) == 1)


def _said(request: Request, row: dict[str, Any], column: str) -> str:
    unit = unit_label(request.unit(column), request.language)
    after = f" <small>{escape(unit)}</small>" if unit not in ("", "%") else ""
    return escape(request.writes(column)(row[column])) + after


def _beside(request: Request, row: dict[str, Any], column: str | None) -> str:
    if column is None or row.get(column) is None:
        return ""
    return f'<span class="under">{escape(request.title(column))} {escape(request.writes(column)(row[column]))}</span>'
