"""A ranking: a table in its order, with a bar behind the value that ranks and arrows where the rank changed."""

from __future__ import annotations

from dci_pipeline.report.exhibits.block import Block, Request
from dci_pipeline.report.exhibits.table import laid

_MOST = 35


def ranking(request: Request) -> Block:
    """Options: columns (all by default), bars, entity (what the names are called), limit (rows shown)."""
    columns = request.option("columns") or request.measures
    return Block(laid(request, columns, limit=int(request.option("limit", _MOST))), tabled=True)
