"""How values are spread: how many entities lie in each class, and where the middle one lies."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from dci_pipeline.report.exhibits.block import Block, Request, spec
from dci_pipeline.report.style import LIGHT


def distribution(request: Request) -> Block:
    """Options: value: the column. Classes are of equal width on the logarithm, as sizes of places spread over it."""
    column = str(request.option("value"))
    values = sorted(float(value) for value in request.frame[column] if value is not None and value > 0)
    if not values:
        return Block("")
    edges = _edges(values[0], values[-1])
    rows = [
        {"from": low, "to": high, "count": sum(low <= value < high for value in values)}
        for low, high in pairwise(edges)
    ]
    middle = (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
    write = request.writes(column)
    title = request.head(column)
    x: dict[str, Any] = {
        "field": "from",
        "type": "quantitative",
        "title": title,
        "scale": {"type": "log", "nice": False},
    }
    x["axis"] = {"format": "~g", "values": edges[::2], "grid": False}
    y = {"field": "count", "type": "quantitative", "title": request.says("城市数", "number of places")}
    said = request.says("中位数 ", "median ") + write(middle)
    bar = {"type": "rect", "stroke": LIGHT.surface}
    layers: list[dict[str, Any]] = [
        {"mark": bar, "encoding": {"x": x, "x2": {"field": "to"}, "y": y, "y2": {"datum": 0}}},
        {
            "mark": {"type": "rule", "color": LIGHT.categorical[1], "strokeWidth": 2},
            "encoding": {"x": {"datum": middle}},
        },
        {
            "mark": {"type": "text", "align": "left", "dx": 6, "y": 8, "fontSize": 12},
            "encoding": {"x": {"datum": middle}, "text": {"value": said}},
        },
    ]
    return Block(request.chart(spec(rows, width=request.wide(640, 300), height=240, layer=layers)))


def _edges(least: float, most: float) -> list[float]:
    """Class borders from below the least to above the most: four to every power of ten, at 1, 1.8, 3.2, 5.6."""
    first = math.floor(math.log10(least) * 4)
    last = math.ceil(math.log10(most * 1.0001) * 4)
    return [float(f"{10 ** (step / 4):.2g}") for step in range(first, last + 1)]
