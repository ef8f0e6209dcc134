"""Parts of a whole: one bar in as many pieces, and what is left of the whole where the parts do not make it up."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from dci_pipeline.report.exhibits.block import Block, Request, spec
from dci_pipeline.report.style import LIGHT, steps
from dci_pipeline.report.writing import Writing

_MOST, _NARROW = 8, 0.055


def shares(request: Request) -> Block:
    """Options: value: the column; whole: 1 where the parts are of one whole, so that the rest is drawn as such."""
    column = str(request.option("value"))
    write = request.writes(column)
    frame = request.frame.drop_nulls(column).sort(column, "source_name", descending=[True, False])
    if frame.is_empty():
        return Block("")
    if frame.height > _MOST or (frame[column] < 0).any() or frame[column].sum() > 1.0001:
        return _ranked(request, column)
    colours = steps(LIGHT.sequential[1:], max(frame.height, 2))[::-1]
    rows = [_piece(str(row["entity"]), row[column], write, at) for at, row in enumerate(frame.iter_rows(named=True))]
    dark = [row["name"] for row, colour in zip(rows, colours, strict=False) if _dark(colour)]
    rest = 1.0 - float(frame[column].sum())
    domain, scheme = [row["name"] for row in rows], list(colours[: len(rows)])
    if request.option("whole") and rest > 0.0005:
        rows.append(_piece(request.says("其余", "the rest"), rest, write, len(rows)))
        domain, scheme = [*domain, rows[-1]["name"]], [*scheme, LIGHT.no_data]
    x: dict[str, Any] = {"field": "value", "type": "quantitative", "stack": "zero", "title": None, "axis": None}
    order = {"field": "at", "type": "ordinal"}
    legend = {"orient": "bottom", "columns": request.wide(4, 2), "labelLimit": 160}
    colour = {
        "field": "name",
        "type": "nominal",
        "title": None,
        "scale": {"domain": domain, "range": scheme},
        "legend": legend,
    }
    condition = {"test": f"indexof({json.dumps(dark)}, datum.name) >= 0", "value": LIGHT.surface}
    text = {"x": {**x, "bandPosition": 0.5}, "order": order, "text": {"field": "said"}}
    text["color"] = {"condition": condition, "value": LIGHT.ink}
    return Block(
        request.chart(
            spec(
                rows,
                width=request.wide(700, 360),
                height=46,
                layer=[
                    {
                        "mark": {"type": "bar", "stroke": LIGHT.surface},
                        "encoding": {"x": x, "color": colour, "order": order},
                    },
                    {"mark": {"type": "text", "fontSize": 12}, "encoding": text},
                ],
            )
        )
    )


def _piece(name: str, value: float, write: Writing, at: int) -> dict[str, Any]:
    """One piece; a narrow one says its value in the legend alone."""
    said = write(value)
    return {"name": f"{name} {said}", "value": value, "said": said if value >= _NARROW else "", "at": at}


def _ranked(request: Request, column: str) -> Block:
    from dci_pipeline.report.exhibits.bars import bars

    options = {**request.options, "level": column, "growth": request.option("growth")}
    return bars(replace(request, options=options))


def _dark(colour: str) -> bool:
    """Whether a text on this colour has to be light."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return 0.299 * channels[0] + 0.587 * channels[1] + 0.114 * channels[2] < 0.55
