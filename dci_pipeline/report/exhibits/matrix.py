"""A matrix: a row per scope, a column per rank, in each cell who stands there; the first is set off."""

from __future__ import annotations

from html import escape

from dci_pipeline.report.exhibits.block import Block, Request


def matrix(request: Request) -> Block:
    """Options: value: the column of ranks 1…n; value `row` and `entity` are the row and who is in the cell.

    across: rows become columns, for many ranks and few scopes; head: what the rows are called.
    """
    column = str(request.option("value"))
    frame = request.frame.drop_nulls(column).sort(column)
    names = request.frame["row"].unique(maintain_order=True).to_list()
    ranks = sorted({round(value) for value in frame[column]})
    cells: dict[tuple[str, int], list[str]] = {}
    for row in frame.iter_rows(named=True):
        cells.setdefault((row["row"], round(row[column])), []).append(str(row["entity"]))
    head = str(request.says(*request.option("head", ("范围", "scope"))))
    rank = request.title(column)
    if request.option("across"):
        body = [(str(at), [cells.get((name, at), []) for name in names], at == 1) for at in ranks]
        heads, corner = names, rank
    else:
        body = [(name, [cells.get((name, at), []) for at in ranks], False) for name in names]
        heads, corner = [str(at) for at in ranks], f"{head} \\ {rank}"
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    rows = "".join(
        f'<tr{" class=first" if first else ""}><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(request.says('、', ', ').join(inside)) or '–'}</td>" for inside in found)
        + "</tr>"
        for name, found, first in body
    )
    named = f'aria-label="{escape(request.label, quote=True)}"'
    kind = "matrix across" if request.option("across") else "matrix"
    head_row = f'<thead><tr><th scope="col">{escape(corner)}</th>{top}</tr></thead>'
    laid = f'<table class="{kind}">{head_row}<tbody>{rows}</tbody></table>'
    return Block(f'<div class="scroll" role="group" tabindex="0" {named}>{laid}</div>', tabled=True)
