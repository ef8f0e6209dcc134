"""Values over periods: levels as bars or a line, growth beneath them on a scale of its own."""

from __future__ import annotations

from typing import Any

from dci_pipeline.report.exhibits.block import MINUS_SIGNED, Block, Request, axis_format, records, spec


def series(request: Request) -> Block:
    """Options: level, growth: columns, drawn one above the other. One row per period; a few are labelled."""
    chosen = [request.option(name) for name in ("level", "growth")]
    panels = [
        _panel(request, column, first=at == 0) for at, column in enumerate(chosen) if column and _any(request, column)
    ]
    if not panels:
        return Block("")
    return Block(request.chart({**spec([]), "vconcat": panels, "spacing": 18}))


def _any(request: Request, column: str) -> bool:
    return column in request.frame.columns and request.frame[column].is_not_null().any()


def _panel(request: Request, column: str, *, first: bool) -> dict[str, Any]:
    write, form = request.writes(column), axis_format(request.unit(column))
    rows = [row | {"said": write(row[column])} for row in records(request.frame, "period", column)]
    few = len(rows) <= 13
    every = request.frame["period"].to_list()
    x: dict[str, Any] = {"field": "period", "type": "ordinal", "title": None, "scale": {"domain": every}}
    x["axis"] = {"labelAngle": 0, "labelOverlap": "greedy"}
    y: dict[str, Any] = {"field": column, "type": "quantitative", "title": None}
    y["axis"] = {"format": form, "tickCount": 4, "labelExpr": MINUS_SIGNED}
    mark: Any = {"type": "bar", "width": {"band": 0.62}} if first and few else {"type": "line", "point": few}
    layers: list[dict[str, Any]] = [{"mark": mark, "encoding": {"x": x, "y": y}}]
    if few:
        text = {"type": "text", "dy": -9, "fontSize": 12}
        layers.append({"mark": text, "encoding": {"x": x, "y": y, "text": {"field": "said"}}})
    return {
        "data": {"values": rows},
        "title": {"text": request.head(column), "fontSize": 12, "offset": 8},
        "width": request.wide(620, 300),
        "height": 190 if first else 110,
        "layer": layers,
    }
