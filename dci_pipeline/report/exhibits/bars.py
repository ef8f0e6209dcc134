"""Entities compared: a bar for the level and, beside it, a dot for the growth, on scales of their own and one order."""

from __future__ import annotations

from typing import Any

from dci_pipeline.report.exhibits.block import MINUS_SIGNED, Block, Request, axis_format, records, spec
from dci_pipeline.report.style import LIGHT

_ROW, _LETTERING = 26, 52


def bars(request: Request) -> Block:
    """Options: level: bars; growth: dots; sort: the column of the order, largest first, `none` for that of the rows."""
    shown = [(name, str(column)) for name in ("level", "growth") if (column := request.option(name))]
    shown = [(name, column) for name, column in shown if column in request.frame.columns]
    shown = [(name, column) for name, column in shown if request.frame[column].is_not_null().any()]
    if not shown:
        return Block("")
    by = request.option("sort", shown[0][1])
    frame = request.frame
    if by != "none":
        frame = frame.sort(by, "source_name", descending=[True, False], nulls_last=True)
    order = frame["entity"].to_list()
    width = request.wide(520, 230) if len(shown) == 1 else request.wide(285, 130)
    panels = [_panel(request, name, column, order, width, first=at == 0) for at, (name, column) in enumerate(shown)]
    return Block(request.chart({**spec([]), "hconcat": panels, "spacing": 24}))


def _panel(request: Request, name: str, column: str, order: list[str], width: int, *, first: bool) -> dict[str, Any]:
    write, form = request.writes(column), axis_format(request.unit(column))
    by = request.plotted(column)
    rows = [
        {"entity": row["entity"], column: row[column] * by, "said": write(row[column])}
        for row in records(request.frame, "entity", column)
    ]
    axis: Any = {"labelLimit": 190, "labelColor": LIGHT.ink} if first else None
    y = {"field": "entity", "type": "nominal", "sort": order, "title": None, "axis": axis}
    y["scale"] = {"domain": order}
    x: dict[str, Any] = {"field": column, "type": "quantitative", "title": None}
    x["axis"] = {"format": form, "tickCount": 3, "labelExpr": MINUS_SIGNED, "grid": True, "domain": False}
    values = [float(row[column]) for row in rows]
    x["scale"] = {"domain": _domain(values, width), "nice": False}
    falls = min(values, default=0.0) < 0
    text: dict[str, Any] = {
        "type": "text",
        "fontSize": 12,
        "align": {"expr": f"datum['{column}'] < 0 ? 'right' : 'left'"},
    }
    text["dx"] = {"expr": f"(datum['{column}'] < 0 ? -1 : 1) * {9 if name == 'growth' else 6}"}
    mark: Any = {"type": "bar", "height": {"band": 0.62}}
    colour: dict[str, Any] = {}
    layers: list[dict[str, Any]] = []
    if name == "growth":
        mark = {"type": "point", "size": 70, "filled": True, "color": LIGHT.categorical[1]}
        stem = {"type": "rule", "strokeWidth": 2, "color": LIGHT.line}
        layers.append({"mark": stem, "encoding": {"x": x, "x2": {"datum": 0}, "y": y}})
    layers.append({"mark": mark, "encoding": {"x": x, "y": y, **colour}})
    layers.append({"mark": text, "encoding": {"x": x, "y": y, "text": {"field": "said"}}})
    if falls:
        layers.append({"mark": {"type": "rule", "color": LIGHT.muted}, "encoding": {"x": {"datum": 0}}})
    return {
        "data": {"values": rows},
        "title": {"text": request.head(column), "fontSize": 12, "offset": 6},
        "width": width,
        "height": _ROW * len(order),
        "layer": layers,
    }


def _domain(values: list[float], width: int) -> list[float]:
    """From nothing, or from the least below it, to the most, with room for the number at the end of every bar."""
    low, high = min(0.0, *values), max(0.0, *values)
    room = _LETTERING / (width - _LETTERING) * ((high - low) or 1.0)
    return [low - room if low < 0 else 0.0, high + room if high > 0 else 0.0]
