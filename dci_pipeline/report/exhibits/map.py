"""A map of places by value, with the largest named beside it; without geometry the ranking stands alone."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from dci_pipeline.report.exhibits.block import Block, Request
from dci_pipeline.report.exhibits.table import laid

_BESIDE = 10


def map(request: Request) -> Block:
    """Options: value: the column of the colour; places: the type of places drawn; columns, beside: of the table."""
    column = str(request.option("value"))
    ranked = request.frame.drop_nulls(column).sort(column, "source_name", descending=[True, False])
    if ranked.is_empty():
        return Block("")
    beside = int(request.option("beside", _BESIDE))
    columns = [column, *request.option("columns", ())]
    table = laid(replace(request, frame=ranked), columns, limit=beside)
    if request.mapped is None:
        return Block(table, tabled=True)
    drawn = request.mapped(
        ranked.select("code", pl.col("entity").alias("name"), pl.col(column).alias("value")),
        str(request.option("places")),
        request.unit(column),
    )
    return Block(f'<div class="mapped"><div>{drawn}</div>{table}</div>')
