"""Parts of a whole: one bar in as many pieces, and what is left of the whole where the parts do not make it up."""

from __future__ import annotations

from typing import Any

from dci_pipeline.report.exhibits.block import Block, Request, spec
from dci_pipeline.report.style import LIGHT, steps

_MOST = 8


def shares(request: Request) -> Block:
    """Options: value: the column; whole: 1 where the parts are of one whole, so that the rest is drawn as such."""
    column = str(request.option("value"))
    write = request.writes(column)
    frame = request.frame.drop_nulls(column).sort(column, "source_name", descending=[True, False])
    if frame.height > _MOST or (frame[column] < 0).any() or frame[column].sum() > 1.0001:
        return _ranked(request, column)
    colours = steps(LIGHT.sequential[1:], max(frame.height, 2))[::-1]
    dark = [name for name, colour in zip(frame["entity"], colours, strict=False) if _dark(colour)]
    rows: list[dict[str, Any]] = [
        {"name": row["entity"], "value": row[column], "said": write(row[column]), "at": at}
        for at, row in enumerate(frame.iter_rows(named=True))
    ]
    rest = 1.0 - float(frame[column].sum())
    domain, scheme = [row["name"] for row in rows], list(colours[: len(rows)])
    if request.option("whole") and rest > 0.0005:
        other = request.says("其余", "the rest")
        rows.append({"name": other, "value": rest, "said": "", "at": len(rows)})
        domain, scheme = [*domain, other], [*scheme, LIGHT.no_data]
    x: dict[str, Any] = {"field": "value", "type": "quantitative", "stack": "zero", "title": None, "axis": None}
    order = {"field": "at", "type": "ordinal"}
    legend = {"orient": "bottom", "columns": 4, "labelLimit": 160}
    colour = {
        "field": "name",
        "type": "nominal",
        "title": None,
        "scale": {"domain": domain, "range": scheme},
        "legend": legend,
    }
    condition = {"test": f"indexof({dark!r}, datum.name) >= 0", "value": LIGHT.surface}
    text = {"x": {**x, "bandPosition": 0.5}, "order": order, "text": {"field": "said"}}
    text["color"] = {"condition": condition, "value": LIGHT.ink}
    wide = {"filter": "datum.value >= 0.055"}
    return Block(
        request.chart(
            spec(
                rows,
                width=560,
                height=46,
                layer=[
                    {
                        "mark": {"type": "bar", "stroke": LIGHT.surface},
                        "encoding": {"x": x, "color": colour, "order": order},
                    },
                    {"transform": [wide] if False else [], "mark": {"type": "text", "fontSize": 12}, "encoding": text},
                ],
            )
        )
    )


def _ranked(request: Request, column: str) -> Block:
    from dci_pipeline.report.exhibits.bars import bars

    options = {**request.options, "level": column, "growth": request.option("growth")}
    return bars(Request(**{**request.__dict__, "options": options}))


def _dark(colour: str) -> bool:
    """Whether a text on this colour has to be light."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return 0.299 * channels[0] + 0.587 * channels[1] + 0.114 * channels[2] < 0.55
