"""Concentration: which part of the whole the largest entities hold together, the largest first."""

from __future__ import annotations

from typing import Any, cast

from dci_pipeline.report.exhibits.block import Block, Request, spec
from dci_pipeline.report.style import LIGHT


def concentration(request: Request) -> Block:
    """Options: value: the column that adds up; marks: numbers of entities whose share is marked, such as 10 and 100."""
    column = str(request.option("value"))
    values = sorted((float(value) for value in request.frame[column] if value is not None), reverse=True)
    whole = sum(values)
    if not values or not whole:
        return Block("")
    shares, held = [0.0], 0.0
    for value in values:
        held += value
        shares.append(held / whole)
    rows = [{"at": at, "share": share} for at, share in enumerate(shares)]
    marked = [count for count in cast("list[int]", request.option("marks", [10, 100])) if count < len(values)]
    marks = [{"at": count, "share": shares[count], "said": f"TOP {count}: {shares[count]:.1%}"} for count in marked]
    x: dict[str, Any] = {"field": "at", "type": "quantitative", "scale": {"domain": [0, len(values)], "nice": False}}
    x["title"] = request.says("城市，按指数从大到小", "places, the largest first")
    y: dict[str, Any] = {"field": "share", "type": "quantitative", "scale": {"domain": [0, 1]}}
    y |= {"axis": {"format": ".0%", "tickCount": 5}, "title": request.says("累计占比", "share held together")}
    even = [{"at": 0, "share": 0}, {"at": len(values), "share": 1}]
    line = {"type": "line", "strokeWidth": 1, "strokeDash": [4, 4], "color": LIGHT.muted}
    layers: list[dict[str, Any]] = [
        {"data": {"values": even}, "mark": line, "encoding": {"x": x, "y": y}},
        {
            "mark": {"type": "area", "opacity": 0.16, "line": {"color": LIGHT.accent}, "color": LIGHT.accent},
            "encoding": {"x": x, "y": y},
        },
        {
            "data": {"values": marks},
            "mark": {"type": "point", "size": 70, "color": LIGHT.categorical[1]},
            "encoding": {"x": x, "y": y},
        },
        {
            "data": {"values": marks},
            "mark": {"type": "text", "align": "left", "dx": 10, "dy": 10, "fontSize": 12},
            "encoding": {"x": x, "y": y, "text": {"field": "said"}},
        },
    ]
    return Block(request.chart(spec(rows, width=request.wide(620, 300), height=300, layer=layers)))
