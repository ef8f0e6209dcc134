"""Entities compared: a bar for the level and, beside it, a dot for the growth, on scales of their own and one order."""

from __future__ import annotations

from typing import Any

from dci_pipeline.report.exhibits.block import Block, Request, axis_format, records, spec
from dci_pipeline.report.numbers import unit_label
from dci_pipeline.report.style import LIGHT

_ROW = 26


def bars(request: Request) -> Block:
    """Options: level: bars; growth: dots; sort: the column of the order, largest first, `none` for that of the rows."""
    shown = [(name, str(column)) for name in ("level", "growth") if (column := request.option(name))]
    shown = [(name, column) for name, column in shown if column in request.frame.columns]
    shown = [(name, column) for name, column in shown if request.frame[column].is_not_null().any()]
    by = request.option("sort", shown[0][1] if shown else None)
    frame = request.frame
    if by and by != "none":
        frame = frame.sort(by, "source_name", descending=[True, False], nulls_last=True)
    order = frame["entity"].to_list()
    width = 400 if len(shown) == 1 else 260
    panels = [_panel(request, name, column, order, width, first=at == 0) for at, (name, column) in enumerate(shown)]
    return Block(request.chart({**spec([]), "hconcat": panels, "spacing": 24}))


def _panel(request: Request, name: str, column: str, order: list[str], width: int, *, first: bool) -> dict[str, Any]:
    write, form = request.writes(column), axis_format(request.unit(column))
    rows = [row | {"said": write(row[column])} for row in records(request.frame, "entity", column)]
    unit = unit_label(request.unit(column), request.language)
    title = request.title(column) + (f" ({unit})" if unit else "")
    axis: Any = {"labelLimit": 190, "labelColor": LIGHT.ink} if first else None
    y = {"field": "entity", "type": "nominal", "sort": order, "title": None, "axis": axis}
    y["scale"] = {"domain": order}
    x: dict[str, Any] = {"field": column, "type": "quantitative", "title": None}
    x["axis"] = {"format": form, "tickCount": 3, "grid": True, "domain": False}
    x["scale"] = {"padding": 34}
    values = [row[column] for row in rows]
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
        "title": {"text": title, "fontSize": 12, "offset": 6},
        "width": width,
        "height": _ROW * len(order),
        "layer": layers,
    }
