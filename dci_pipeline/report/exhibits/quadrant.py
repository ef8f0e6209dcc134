"""Two values of every entity on a plane, parted where high meets low; those that stand out are named."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from dci_pipeline.report.exhibits.block import Block, Request, axis_format, spec
from dci_pipeline.report.numbers import unit_label
from dci_pipeline.report.style import LIGHT

_WIDTH, _HEIGHT, _NAMED = 560, 380, 16


def quadrant(request: Request) -> Block:
    """Options: x, y: columns; parts: the column of the quadrant; named: how many are named; log: x by its logarithm.

    The lines lie between the largest value of a low quadrant and the smallest of a high one.
    """
    x, y, parts = (str(request.option(name)) for name in ("x", "y", "parts"))
    frame = request.frame.drop_nulls([x, y])
    if parts in frame.columns:
        frame = frame.drop_nulls(parts)
    named = _outstanding(frame, x, y, int(request.option("named", _NAMED)))
    rows = [
        {"x": row[x], "y": row[y], "part": str(round(row[parts])) if parts in row else "", "name": row["entity"]}
        | {"said": row["entity"] if row["entity"] in named else ""}
        for row in frame.iter_rows(named=True)
    ]
    log = bool(request.option("log"))
    encoding = {
        "x": _axis(
            request, "x", x, {"type": "log", "nice": False, "padding": 14} if log else {"zero": False, "padding": 14}
        ),
        "y": _axis(request, "y", y, {"zero": False, "padding": 14}),
    }
    colour = {
        "field": "part",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": ["1", "2", "3", "4"], "range": [LIGHT.categorical[at] for at in (0, 2, 6, 1)]},
    }
    small = frame.height > 100
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": [{"at": at}]},
            "mark": {"type": "rule", "strokeDash": [4, 4], "color": LIGHT.muted},
            "encoding": {axis: {"field": "at", "type": "quantitative"}},
        }
        for axis, at in (("x", _between(frame, x, parts, {1, 4})), ("y", _between(frame, y, parts, {1, 2})))
        if at is not None
    ]
    point = {"type": "point", "filled": True, "size": 26 if small else 64, "opacity": 0.75 if small else 0.95}
    layers.append(
        {
            "mark": point,
            "encoding": {**encoding, "color": colour if parts in frame.columns else {"value": LIGHT.accent}},
        }
    )
    layers.append(
        {"mark": {"type": "text", "dy": -9, "fontSize": 11}, "encoding": {**encoding, "text": {"field": "said"}}}
    )
    return Block(request.chart(spec(rows, width=_WIDTH, height=_HEIGHT, layer=layers)))


def _axis(request: Request, axis: str, column: str, scale: dict[str, Any]) -> dict[str, Any]:
    unit = unit_label(request.unit(column), request.language)
    title = request.title(column) + (f" ({unit})" if unit else "")
    form = axis_format(request.unit(column))
    made: dict[str, Any] = {"field": axis, "type": "quantitative", "title": title, "scale": scale}
    made["axis"] = {"format": form if scale.get("type") != "log" else "~g", "tickCount": 6, "grid": True}
    return made


def _outstanding(frame: pl.DataFrame, x: str, y: str, count: int) -> set[str]:
    """The entities furthest from the middle, each axis measured in its own spread; of the rest no name is drawn."""
    if frame.height <= count:
        return set(frame["entity"].to_list())

    def spread(column: str) -> tuple[float, float]:
        values = sorted(float(value) for value in frame[column])
        middle = values[len(values) // 2]
        width = values[(len(values) * 9) // 10] - values[len(values) // 10]
        return middle, width or 1.0

    (x0, dx), (y0, dy) = spread(x), spread(y)
    ordered = sorted(
        frame.iter_rows(named=True),
        key=lambda row: (-math.hypot((row[x] - x0) / dx, (row[y] - y0) / dy), row["source_name"]),
    )
    return {row["entity"] for row in ordered[:count]}


def _between(frame: pl.DataFrame, column: str, parts: str, high: set[int]) -> float | None:
    """Where the line between low and high lies: halfway between the values on either side."""
    if parts not in frame.columns:
        return None
    above = frame.filter(pl.col(parts).is_in([float(part) for part in high]))[column]
    below = frame.filter(~pl.col(parts).is_in([float(part) for part in high]))[column]
    if above.is_empty() or below.is_empty():
        return None
    return (float(min(above)) + float(max(below))) / 2
