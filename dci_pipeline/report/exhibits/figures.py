"""A few numbers, large: what an exhibit that is a claim or a count of the index's structure shows."""

from __future__ import annotations

from html import escape
from typing import Any

from dci_pipeline.report.exhibits.block import Block, Request
from dci_pipeline.report.numbers import form_of, unit_label


def figures(request: Request) -> Block:
    """One tile per value, named by its column and, where there are several rows, by its entity.

    Options: columns; beside: a column whose value stands under each of the others; small: for many of them.
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
            alone = sum(row[name] is not None for name in columns) == 1
            name = head if not many else str(row["entity"]) if alone else f"{row['entity']} · {head}"
            said = _said(request, row, column) + _beside(request, row, beside)
            tiles.append(f"<div><dt>{escape(name)}</dt><dd>{said}</dd></div>")
    size = " small" if request.option("small") else ""
    return Block(f'<dl class="figures{size}">{"".join(tiles)}</dl>', tabled=not many or len(columns) == 1)


def _said(request: Request, row: dict[str, Any], column: str) -> str:
    unit = unit_label(request.unit(column), request.language)
    carried = form_of(request.unit(column)).after.get(request.language)
    after = f" <small>{escape(unit)}</small>" if unit and not carried else ""
    return escape(request.writes(column)(row[column])) + after


def _beside(request: Request, row: dict[str, Any], column: str | None) -> str:
    if column is None or row.get(column) is None:
        return ""
    return f'<span class="under">{escape(request.head(column))} {escape(request.writes(column)(row[column]))}</span>'
