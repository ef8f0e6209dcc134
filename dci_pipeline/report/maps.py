"""A choropleth or a map of circles as a Vega-Lite specification, from the map of an index and one value per place.

The territory is always drawn whole: what has no value is grey, with an outline, and stands in the legend.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from dci_pipeline.report.classes import METHODS, classes
from dci_pipeline.report.layers import Maps
from dci_pipeline.report.numbers import decimals_for, form_of, number, unit_label
from dci_pipeline.report.style import FONT, LIGHT, Theme

_WIDTH, _ROOM = 760, 520
_NO_DATA = {"zh": "无数据", "en": "no data"}
_NO_APPROVAL = {"zh": "未提供审图号", "en": "No map approval number given"}


def approval_text(approval: str | None, lang: str) -> str:
    """What stands in a map's slot for its approval number (审图号)."""
    if approval is None:
        return _NO_APPROVAL[lang]
    return f"审图号：{approval}" if lang == "zh" else f"Map approval number: {approval}"


def method_text(method: str, lang: str) -> str:
    """How the classes of a map are made, in words."""
    return METHODS[method][0 if lang == "zh" else 1]


def choropleth(
    maps: Maps,
    entity_type: str,
    rows: pl.DataFrame,
    *,
    unit: str,
    lang: str,
    title: str = "",
    subtitle: str = "",
    approval: str | None = None,
    count: int = 7,
    method: str = "quantiles",
    middle: float | None = None,
    theme: Theme = LIGHT,
    width: int = _WIDTH,
) -> dict[str, Any]:
    """The areas of one type of entity coloured by class of value.

    rows [code, name, value]: codes without an area are not drawn, areas without a value are shown as having none.
    `unit`: that of the values; `middle`: see `classes`. Raises KeyError for a type that the map has no layer of
    (`maps.layers`): draw `bubbles` then.
    """
    layer = maps.layers[entity_type]
    made = classes(rows["value"].to_list(), unit, lang, theme, count=count, method=method, middle=middle)
    drawn = _rows(rows, unit, lang)
    for row in drawn:
        row["class"] = _NO_DATA[lang] if row["value"] is None else made.label_of(row["value"])
    known = {row["code"] for row in drawn}
    codes = [area["properties"]["code"] for area in layer["objects"]["areas"]["geometries"]]
    drawn += [
        {
            "code": code,
            "name": maps.outside.get(code, ""),
            "value": None,
            "said": _NO_DATA[lang],
            "class": _NO_DATA[lang],
        }
        for code in codes
        if code not in known
    ]
    height = round(width * maps.height / maps.width)
    fill: dict[str, Any] = {
        "field": "class",
        "type": "nominal",
        "scale": {
            "domain": [*reversed(made.labels), _NO_DATA[lang]],
            "range": [*reversed(made.colours), theme.no_data],
        },
        "legend": _legend("" if form_of(unit).after.get(lang) else unit_label(unit, lang), theme, width),
    }
    areas = {
        "data": _feature(layer, "areas"),
        "transform": [
            {
                "lookup": "properties.code",
                "from": {"data": {"values": drawn}, "key": "code", "fields": ["name", "said", "class"]},
            }
        ],
        "mark": {"type": "geoshape", "stroke": None},
        "encoding": {"fill": fill, "tooltip": _tooltip(unit_label(unit, lang), lang)},
    }
    layers = [areas, *_borders(layer, theme, width), *_notes(maps, width, lang, approval, theme)]
    return _spec(layers, title, subtitle, width, height)


def bubbles(
    maps: Maps,
    rows: pl.DataFrame,
    *,
    unit: str,
    lang: str,
    title: str = "",
    subtitle: str = "",
    approval: str | None = None,
    largest: float = 900.0,
    theme: Theme = LIGHT,
    width: int = _WIDTH,
) -> dict[str, Any]:
    """Circles on the centres of places, their area in proportion to the value; over the territory where it is known.

    rows [code, name, value]: a place without a centre, or with a value that is not above zero, has no circle.
    """
    drawn = [
        {**row, "x": maps.centres[row["code"]][0], "y": maps.centres[row["code"]][1]}
        for row in sorted(_rows(rows, unit, lang), key=lambda row: -(row["value"] or 0.0))
        if row["code"] in maps.centres and (row["value"] or 0.0) > 0
    ]
    height = round(width * maps.height / maps.width)
    layer = next(iter(maps.layers.values()), None)
    under: list[dict[str, Any]] = []
    if layer is None and maps.inset is not None:
        frame = {"values": [{"type": "LineString", "coordinates": maps.inset["box"]}]}
        line = {"type": "geoshape", "fill": None, "stroke": theme.muted, "strokeWidth": 0.8}
        under = [{"data": frame, "mark": line}]
    if layer is not None:
        ground = {"type": "geoshape", "fill": theme.no_data, "stroke": None}
        under = [{"data": _feature(layer, "areas"), "mark": ground}, *_borders(layer, theme, width)]
    size: dict[str, Any] = {
        "field": "value",
        "type": "quantitative",
        "scale": {"type": "linear", "domainMin": 0, "range": [0, largest]},
        "legend": {**_legend(unit_label(unit, lang), theme, width), "symbolType": "circle"},
    }
    circles = {
        "data": {"values": drawn},
        "mark": {
            "type": "circle",
            "fill": theme.accent,
            "fillOpacity": 0.6,
            "stroke": theme.surface,
            "strokeWidth": 0.6,
        },
        "encoding": {**_at("x", "y"), "size": size, "tooltip": _tooltip(unit_label(unit, lang), lang)},
    }
    corners = {
        "data": {"values": [{"x": 0, "y": 0}, {"x": maps.width, "y": maps.height}]},
        "mark": {"type": "point", "opacity": 0},
        "encoding": _at("x", "y"),
    }
    layers = [*under, corners, circles, *_notes(maps, width, lang, approval, theme)]
    return _spec(layers, title, subtitle, width, height)


def _rows(rows: pl.DataFrame, unit: str, lang: str) -> list[dict[str, Any]]:
    decimals = decimals_for(rows["value"].to_list(), unit)
    return [
        {"code": code, "name": name, "value": value, "said": number(value, unit, lang, decimals=decimals)}
        for code, name, value in rows.select("code", "name", "value").iter_rows()
    ]


def _feature(layer: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One object of a layer, with the arcs it needs and no other object."""
    reduced = {**layer, "objects": {name: layer["objects"][name]}}
    return {"values": reduced, "format": {"type": "topojson", "feature": name}}


def _borders(layer: Mapping[str, Any], theme: Theme, width: int) -> list[dict[str, Any]]:
    """Borders of areas, over them those of groups, the outline of the territory, its lines and the inset's frame."""
    lines = [("areas_borders", theme.border, 0.5), ("groups_borders", theme.muted, 0.7)]
    outline = "groups_outline" if "groups_outline" in layer["objects"] else "areas_outline"
    lines += [(outline, theme.muted, 0.6), ("lines", theme.muted, 1.2), ("frame", theme.muted, 0.8)]
    return [
        {
            "data": _feature(layer, name),
            "mark": {"type": "geoshape", "fill": None, "stroke": colour, "strokeWidth": size * _fine(width)},
        }
        for name, colour, size in lines
        if name in layer["objects"]
    ]


def _fine(width: int) -> float:
    """How much finer lines and lettering are in a small map than in one of the usual width."""
    return min(1.0, max(width / _WIDTH, 0.6))


def _notes(maps: Maps, width: int, lang: str, approval: str | None, theme: Theme) -> list[dict[str, Any]]:
    """The inset's title and the slot for the approval number."""
    height = round(width * maps.height / maps.width)
    text = {"type": "text", "align": "left", "baseline": "bottom", "font": FONT, "color": theme.muted}
    slot = {
        "data": {"values": [{"said": approval_text(approval, lang)}]},
        "mark": {**text, "fontSize": 10},
        "encoding": {"text": {"field": "said"}, "x": {"value": 0}, "y": {"value": height}},
    }
    if maps.inset is None:
        return [slot]
    said = maps.inset[lang]
    size = 8.5 * _fine(width)
    titled = {
        "data": {"values": [{"x": maps.inset["x"], "y": maps.inset["y"], "said": said}]},
        "mark": {**text, "fontSize": size, "lineHeight": size, "lineBreak": "\n", "dy": -size * said.count("\n")},
        "encoding": {"text": {"field": "said"}, **_at("x", "y")},
    }
    return [slot, titled]


def _at(x: str, y: str) -> dict[str, Any]:
    return {"longitude": {"field": x, "type": "quantitative"}, "latitude": {"field": y, "type": "quantitative"}}


def _legend(title: str, theme: Theme, width: int) -> dict[str, Any]:
    """In the empty corner of a map that has room for it, else below."""
    inside: dict[str, Any] = {"orient": "bottom-left", "direction": "vertical", "offset": 22}
    below: dict[str, Any] = {"orient": "bottom", "columns": max(width // 110, 2), "offset": 8}
    return {
        "title": title or None,
        **(inside if width >= _ROOM else below),
        "symbolType": "square",
        "symbolStrokeColor": theme.line,
        "symbolStrokeWidth": 0.5,
        "symbolOpacity": 1,
    }


def _tooltip(value: str, lang: str) -> list[dict[str, Any]]:
    name = "名称" if lang == "zh" else "Name"
    return [
        {"field": "name", "type": "nominal", "title": name},
        {"field": "said", "type": "nominal", "title": value or ("数值" if lang == "zh" else "Value")},
    ]


def _spec(layers: list[dict[str, Any]], title: str, subtitle: str, width: int, height: int) -> dict[str, Any]:
    said = {"title": {"text": title, **({"subtitle": subtitle} if subtitle else {})}} if title else {}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        **said,
        "width": width,
        "height": height,
        "projection": {"type": "identity"},
        "layer": layers,
    }
