"""Two values of every entity on a plane, parted where high meets low; those that stand out are named."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from dci_pipeline.report.exhibits.block import MINUS_SIGNED, Block, Request, axis_format, spec
from dci_pipeline.report.exhibits.placing import Named, along, placed
from dci_pipeline.report.style import LIGHT

_HIGH, _NAMED, _MANY = 400, 20, 100
_HIGH_X, _HIGH_Y = (1.0, 4.0), (1.0, 2.0)


def quadrant(request: Request) -> Block:
    """Options: x, y: columns; parts: the column of the quadrant; named: how many are named; log: x by its logarithm.

    The lines lie between the largest value of a low quadrant and the smallest of a high one.
    """
    x, y, parts = (str(request.option(name)) for name in ("x", "y", "parts"))
    frame = request.frame.drop_nulls([x, y, *([parts] if parts in request.frame.columns else [])])
    if frame.is_empty():
        return Block("")
    log, wide = bool(request.option("log")), request.wide(660, 320)
    names = _names(frame, x, y, int(request.option("named", _NAMED)), wide, log=log)
    rows = [
        {"x": row[x], "y": row[y], "part": str(round(row[parts])) if parts in row else "", "name": row["entity"]}
        for row in frame.iter_rows(named=True)
    ]
    scale: dict[str, Any] = {"zero": False, "nice": False, "padding": 14}
    encoding = {
        "x": _axis(request, "x", x, scale | ({"type": "log"} if log else {})),
        "y": _axis(request, "y", y, scale),
    }
    layers = [
        _line(axis, at)
        for axis, at in (("x", _between(frame, x, parts, _HIGH_X)), ("y", _between(frame, y, parts, _HIGH_Y)))
        if at is not None
    ]
    many = frame.height > _MANY
    point = {"type": "point", "filled": True, "size": 26 if many else 64, "opacity": 0.75 if many else 0.95}
    layers.append({"mark": point, "encoding": encoding | {"color": _colour(parts in frame.columns)}})
    layers += [_text(name, rows, encoding) for name in names.values()]
    return Block(request.chart(spec(rows, width=wide, height=_HIGH, layer=layers)))


def _axis(request: Request, axis: str, column: str, scale: dict[str, Any]) -> dict[str, Any]:
    form = "~g" if scale.get("type") == "log" else axis_format(request.unit(column))
    labels = {"format": form, "tickCount": 6, "grid": True, "labelExpr": MINUS_SIGNED}
    return {"field": axis, "type": "quantitative", "title": request.head(column), "scale": scale, "axis": labels}


def _colour(parted: bool) -> dict[str, Any]:
    if not parted:
        return {"value": LIGHT.accent}
    colours = [LIGHT.categorical[at] for at in (0, 2, 6, 1)]
    scale = {"domain": ["1", "2", "3", "4"], "range": colours}
    return {"field": "part", "type": "nominal", "legend": None, "scale": scale}


def _line(axis: str, at: float) -> dict[str, Any]:
    rule = {"type": "rule", "strokeDash": [4, 4], "color": LIGHT.muted}
    return {"data": {"values": [{"at": at}]}, "mark": rule, "encoding": {axis: {"field": "at", "type": "quantitative"}}}


def _text(named: Named, rows: list[dict[str, Any]], encoding: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "text", "dx": named.dx, "dy": named.dy, "align": named.align, "baseline": "middle", "fontSize": 11}
    own = [row for row in rows if row["name"] == named.name]
    return {"data": {"values": own}, "mark": text, "encoding": encoding | {"text": {"field": "name"}}}


def _names(frame: pl.DataFrame, x: str, y: str, count: int, wide: float, *, log: bool) -> dict[str, Named]:
    """The names of the entities furthest from the middle, each axis measured in its own spread, where there is room."""
    (x0, dx), (y0, dy) = _spread(frame, x, log=log), _spread(frame, y)
    ordered = sorted(
        frame.iter_rows(named=True),
        key=lambda row: (-math.hypot((_at(row[x], log) - x0) / dx, (row[y] - y0) / dy), row["source_name"]),
    )
    xs, ys = [float(value) for value in frame[x]], [float(value) for value in frame[y]]
    points = [
        (
            str(row["entity"]),
            along(row[x], min(xs), max(xs), wide, log=log),
            _HIGH - along(row[y], min(ys), max(ys), _HIGH),
        )
        for row in ordered[:count]
    ]
    return placed(points, wide, _HIGH)


def _at(value: float, log: bool) -> float:
    return math.log(value) if log else value


def _spread(frame: pl.DataFrame, column: str, *, log: bool = False) -> tuple[float, float]:
    """The middle of a column and the width of its inner four fifths."""
    values = sorted(_at(float(value), log) for value in frame[column])
    width = values[(len(values) * 9) // 10] - values[len(values) // 10]
    return values[len(values) // 2], width or 1.0


def _between(frame: pl.DataFrame, column: str, parts: str, high: tuple[float, ...]) -> float | None:
    """Where the line between low and high lies: halfway between the values on either side."""
    if parts not in frame.columns:
        return None
    above = [float(value) for value in frame.filter(pl.col(parts).is_in(high))[column]]
    below = [float(value) for value in frame.filter(~pl.col(parts).is_in(high))[column]]
    return (min(above) + max(below)) / 2 if above and below else None
