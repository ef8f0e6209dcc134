"""Ranks over periods: one trail per entity, the first at the top; those that moved most are drawn out."""

from __future__ import annotations

from typing import Any

import polars as pl

from dci_pipeline.report.exhibits.block import Block, Request, spec
from dci_pipeline.report.style import LIGHT


def trails(request: Request) -> Block:
    """Options: value: the column of ranks; marked: how many of those that moved most are coloured."""
    column = str(request.option("value"))
    frame = request.frame.drop_nulls(column)
    if frame.is_empty():
        return Block("")
    every = sorted(frame["period"].unique())
    ends = (
        frame.filter(pl.col("period").is_in([every[0], every[-1]]))
        .group_by("entity")
        .agg(
            moved=pl.col(column).sort_by("period").first() - pl.col(column).sort_by("period").last(),
            last=pl.col(column).sort_by("period").last(),
        )
    )
    most = ends.filter(pl.col("moved") != 0).sort(pl.col("moved").abs(), "last", descending=[True, False])
    colour_of = {
        row["entity"]: LIGHT.rise if row["moved"] > 0 else LIGHT.fall
        for row in most.head(int(request.option("marked", 6))).iter_rows(named=True)
    }
    rows: list[dict[str, Any]] = [
        {"period": row["period"], "rank": row[column], "name": row["entity"]}
        | {"colour": colour_of.get(row["entity"], LIGHT.line)}
        | {"said": f"{row[column]:.0f}  {row['entity']}"}
        for row in frame.sort("period", column).iter_rows(named=True)
    ]
    x: dict[str, Any] = {"field": "period", "type": "ordinal", "title": None, "scale": {"padding": 0.1}}
    x["axis"] = {"orient": "top", "labelAngle": 0, "domain": False, "ticks": False}
    y: dict[str, Any] = {
        "field": "rank",
        "type": "quantitative",
        "axis": None,
        "scale": {"reverse": True, "zero": False},
    }
    colour = {"field": "colour", "type": "nominal", "scale": None}
    detail = {"field": "name"}
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "line", "strokeWidth": 2}, "encoding": {"x": x, "y": y, "detail": detail, "color": colour}},
        {"mark": {"type": "point", "size": 40}, "encoding": {"x": x, "y": y, "color": colour}},
    ]
    for end, align, dx in ((every[0], "right", -10), (every[-1], "left", 10)):
        text = {"type": "text", "align": align, "dx": dx, "fontSize": 11.5}
        layers.append(
            {
                "transform": [{"filter": f"datum.period == '{end}'"}],
                "mark": text,
                "encoding": {"x": x, "y": y, "text": {"field": "said"}},
            }
        )
    height = 17 * frame["entity"].n_unique()
    return Block(request.chart(spec(rows, width=request.wide(440, 200), height=height, layer=layers)))
