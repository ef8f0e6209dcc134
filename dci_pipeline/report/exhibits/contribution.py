"""Contributions to a change: a bar per part, up or down, and the whole they add up to."""

from __future__ import annotations

from typing import Any

from dci_pipeline.report.exhibits.block import Block, Request, axis_format, spec
from dci_pipeline.report.style import LIGHT


def contribution(request: Request) -> Block:
    """Options: value: the column, one row per part; the bars follow one another from nothing to the whole."""
    column = str(request.option("value"))
    write, form = request.writes(column), axis_format(request.unit(column))
    frame = request.frame.drop_nulls(column).sort(column, "source_name", descending=[True, False])
    if frame.is_empty():
        return Block("")
    rows: list[dict[str, Any]] = []
    start = 0.0
    for row in frame.iter_rows(named=True):
        end = start + row[column]
        rows.append({"name": row["entity"], "from": start, "to": end, "value": row[column], "said": write(row[column])})
        start = end
    if request.option("total", True):
        total = request.says("合计", "total")
        rows.append({"name": total, "from": 0.0, "to": start, "value": start, "said": write(start), "total": True})
    order = [row["name"] for row in rows]
    y = {
        "field": "name",
        "type": "nominal",
        "sort": order,
        "title": None,
        "axis": {"labelColor": LIGHT.ink, "labelLimit": 200},
    }
    x: dict[str, Any] = {"field": "from", "type": "quantitative", "title": request.head(column)}
    x |= {"axis": {"format": form, "tickCount": 6, "grid": True}, "scale": {"domain": _domain(rows), "nice": False}}
    rising = {"test": "datum.value < 0", "value": LIGHT.fall}
    total_colour = {"test": "datum.total", "value": LIGHT.muted}
    colour = {"condition": [total_colour, rising], "value": LIGHT.accent}
    bar = {"type": "bar", "height": {"band": 0.6}, "cornerRadiusEnd": 0}
    text = {"type": "text", "align": "left", "dx": 6, "fontSize": 12}
    layers: list[dict[str, Any]] = [
        {"mark": bar, "encoding": {"x": x, "x2": {"field": "to"}, "y": y, "color": colour}},
        {"mark": text, "encoding": {"x": {**x, "field": "to"}, "y": y, "text": {"field": "said"}}},
    ]
    return Block(request.chart(spec(rows, width=request.wide(520, 220), height=34 * len(rows), layer=layers)))


def _domain(rows: list[dict[str, Any]]) -> list[float]:
    """From the least to the most that a bar reaches, with room for a number after it."""
    ends = [0.0, *(float(row[end]) for row in rows for end in ("from", "to"))]
    low, high = min(ends), max(ends)
    return [low, high + 0.12 * ((high - low) or 1.0)]
