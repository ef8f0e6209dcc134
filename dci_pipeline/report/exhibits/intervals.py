"""Ranks with how far they are certain: a dot for the rank, a line from the lowest to the highest it may have."""

from __future__ import annotations

from typing import Any

from dci_pipeline.report.exhibits.block import Block, Request, axis_format, spec
from dci_pipeline.report.style import LIGHT


def intervals(request: Request) -> Block:
    """Options: value, low, high: columns of one unit. Rows in their order."""
    value, low, high = (str(request.option(name)) for name in ("value", "low", "high"))
    frame = request.frame.drop_nulls([value, low, high])
    if frame.is_empty():
        return Block("")
    rows = [
        {"name": row["entity"], "at": row[value], "low": row[low], "high": row[high]}
        for row in frame.iter_rows(named=True)
    ]
    order = [row["name"] for row in rows]
    y = {
        "field": "name",
        "type": "nominal",
        "sort": order,
        "title": None,
        "axis": {"labelColor": LIGHT.ink, "labelLimit": 200},
    }
    x: dict[str, Any] = {"field": "at", "type": "quantitative", "title": request.head(value), "scale": {"zero": False}}
    x["axis"] = {"format": axis_format(request.unit(value)), "grid": True, "tickCount": 8}
    line = {"type": "rule", "strokeWidth": 5, "opacity": 0.3, "color": LIGHT.accent, "strokeCap": "round"}
    layers: list[dict[str, Any]] = [
        {"mark": line, "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y}},
        {"mark": {"type": "point", "size": 70}, "encoding": {"x": x, "y": y}},
    ]
    return Block(request.chart(spec(rows, width=request.wide(560, 240), height=22 * len(rows), layer=layers)))
