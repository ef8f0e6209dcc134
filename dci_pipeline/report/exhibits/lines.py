"""Several series over the same periods: one line each, told apart by colour, mark and the name at its end."""

from __future__ import annotations

from typing import Any

import polars as pl

from dci_pipeline.report.exhibits.block import MINUS_SIGNED, Block, Request, axis_format, spec
from dci_pipeline.report.style import LIGHT


def lines(request: Request) -> Block:
    """Options: value: the column drawn; by: the column of names (entity by default); zero: a rule at 0."""
    column, by = str(request.option("value")), str(request.option("by", "entity"))
    write, form = request.writes(column), axis_format(request.unit(column))
    frame = request.frame.drop_nulls(column)
    if frame.is_empty():
        return Block("")
    rows = [row | {"said": write(row[column])} for row in frame.select("period", by, column).iter_rows(named=True)]
    names = frame[by].unique(maintain_order=True).to_list()
    every = sorted(frame["period"].unique())
    colour: dict[str, Any] = {
        "field": by,
        "type": "nominal",
        "title": None,
        "scale": {"domain": names, "range": list(LIGHT.categorical[: len(names)])},
        "legend": None,
    }
    x: dict[str, Any] = {"field": "period", "type": "ordinal", "title": None, "scale": {"domain": every}}
    x["axis"] = {"labelAngle": 0, "labelOverlap": "greedy"}
    y = {
        "field": column,
        "type": "quantitative",
        "title": None,
        "axis": {"format": form, "tickCount": 5, "labelExpr": MINUS_SIGNED},
    }
    last = frame.sort("period").unique(by, keep="last", maintain_order=True).sort(column, by)
    ends = _apart(last, column, by)
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "line", "point": len(every) <= 13}, "encoding": {"x": x, "y": y, "color": colour}},
        {
            "data": {"values": ends},
            "mark": {"type": "text", "align": "left", "dx": 10, "fontSize": 12},
            "encoding": {
                "x": {"field": "period", "type": "ordinal"},
                "y": {"field": "at", "type": "quantitative"},
                "text": {"field": "name"},
                "color": {**colour, "field": "series"},
            },
        },
    ]
    return Block(
        request.chart(
            spec(
                rows,
                title={"text": request.head(column), "fontSize": 12, "offset": 8},
                width=request.wide(500, 240),
                height=280,
                layer=layers,
            )
        )
    )


def _apart(last: pl.DataFrame, column: str, by: str) -> list[dict[str, Any]]:
    """Where the names at the ends of the lines stand: at the value, moved up where two would touch."""
    values = last[column].to_list()
    if not values:
        return []
    step = 0.075 * ((max(values) - min(*values, 0.0)) or 1.0)
    at: list[float] = []
    for value in values:
        at.append(value if not at else max(value, at[-1] + step))
    rows = zip(at, last[by].to_list(), last["period"].to_list(), strict=True)
    return [{"at": place, "name": name, "series": name, "period": period} for place, name, period in rows]
