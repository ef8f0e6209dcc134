"""The structure of an index: every node under its parent, with the weight it has there as a bar and in numbers."""

from __future__ import annotations

from html import escape
from typing import Any

from dci_pipeline.report.exhibits.block import Block, Request


def tree(request: Request) -> Block:
    """Rows [source_name (the node), parent, entity, weight]; options: root, beside: a column of text."""
    rows = request.frame.to_dicts()
    nodes = {row["source_name"] for row in rows}
    root = request.option("root")
    tops = (
        [row for row in rows if row["parent"] == root] if root else [row for row in rows if row["parent"] not in nodes]
    )
    return Block(f'<ul class="tree">{"".join(_node(request, row, rows) for row in tops)}</ul>', tabled=True)


def _node(request: Request, row: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    below = "".join(_node(request, one, rows) for one in rows if one["parent"] == row["source_name"])
    weight, beside = row.get("weight"), row.get(str(request.option("beside")))
    said = escape(str(row["entity"]))
    if beside:
        said += f'<span class="beside">{escape(str(beside))}</span>'
    if weight is not None:
        said += f'<span class="part" style="--part:{weight:.4f}">{request.writes("weight")(weight)}</span>'
    return f'<li><span class="node">{said}</span>{f"<ul>{below}</ul>" if below else ""}</li>'
