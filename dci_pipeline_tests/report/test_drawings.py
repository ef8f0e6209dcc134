"""Every kind of drawing draws: from whole rows, from rows with gaps, and nothing from none."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from dci_pipeline.report.declared import DRAWINGS, Column, Words
from dci_pipeline.report.drawing import svg
from dci_pipeline.report.exhibits.block import Request
from dci_pipeline.report.exhibits.kinds import RENDERERS
from dci_pipeline.report.exhibits.placing import placed, width
from dci_pipeline.report.page import chart_html, shared

COLUMNS = {
    name: Column(name, Words(name, name), unit)
    for name, unit in (
        *(("points", "points"), ("growth", "fraction"), ("rank", "rank"), ("change", "places")),
        *(("share", "fraction"), ("part", "quadrant"), ("low", "points"), ("high", "points"), ("weight", "fraction")),
    )
}
OPTIONS: dict[str, dict[str, Any]] = {
    "figures": {"beside": "growth"},
    "tree": {"root": "r"},
    "map": {"value": "points", "places": "town"},
    "series": {"level": "points", "growth": "growth"},
    "lines": {"value": "points"},
    "ranking": {"bars": ["points"]},
    "bars": {"level": "points", "growth": "growth"},
    "shares": {"value": "share", "whole": 1},
    "contribution": {"value": "growth"},
    "quadrant": {"x": "points", "y": "growth", "parts": "part", "log": True},
    "matrix": {"value": "rank"},
    "distribution": {"value": "points"},
    "concentration": {"value": "points", "marks": [1, 2]},
    "trails": {"value": "rank"},
    "scatter": {"x": "points", "y": "growth"},
    "intervals": {"value": "points", "low": "low", "high": "high"},
    "table": {},
}


def rows(*, gaps: bool = False) -> pl.DataFrame:
    names = ["甲<市>", "乙市", "丙市", "丁市"]
    points = [40.0, 20.5, None if gaps else 9.0, 1.25]
    return pl.DataFrame(
        {
            "row": ["群一", "群一", "群二", "群二"],
            "period": ["2018", "2018", "2019", "2019"],
            "parent": ["r", "r", "乙市", "r"],
            "code": ["1", "2", "3", "4"],
            "entity": names,
            "source_name": names,
            "points": points,
            "growth": [0.25, -0.1, 0.5, None if gaps else 0.0],
            "rank": [1.0, 2.0, 1.0, 2.0],
            "change": [1.0, -2.0, 0.0, None],
            "share": [0.4, 0.3, 0.03, 0.02],
            "part": [1.0, 4.0, 2.0, 3.0],
            "low": [30.0, 19.0, 8.0, 1.0],
            "high": [50.0, 22.0, 10.0, 1.5],
            "weight": [0.5, 0.25, 1.0, 0.25],
        },
        schema_overrides={"points": pl.Float64, "growth": pl.Float64},
    )


def request_of(kind: str, frame: pl.DataFrame, *, narrow: bool = False, mapped: bool = True) -> Request:
    def chart(spec: dict[str, Any]) -> str:
        return chart_html(svg({**spec, "config": {"aria": False}}, prefix="x-"), "a <label>")

    return Request(
        frame=frame,
        columns=COLUMNS,
        options=OPTIONS[kind],
        language="en",
        name="x-0",
        label='a "label"',
        chart=chart,
        narrow=narrow,
        mapped=(lambda rows, places, unit: f"<map {places} {rows.height}>") if mapped else None,
    )


def test_every_kind_has_a_renderer() -> None:
    assert set(RENDERERS) == set(DRAWINGS) == set(OPTIONS)


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("kind", DRAWINGS)
def test_a_drawing_names_its_entities_and_is_the_same_again(kind: str, gaps: bool, narrow: bool) -> None:
    html = RENDERERS[kind](request_of(kind, rows(gaps=gaps), narrow=narrow)).html
    assert html == RENDERERS[kind](request_of(kind, rows(gaps=gaps), narrow=narrow)).html
    assert "<市>" not in html
    if kind not in ("series", "distribution", "concentration"):
        assert "甲&lt;市&gt;" in html
    assert "http://" not in html.replace("http://www.w3.org/", "")


@pytest.mark.parametrize("kind", DRAWINGS)
def test_of_values_that_are_all_missing_nothing_is_drawn(kind: str) -> None:
    frame = rows().with_columns(pl.lit(None, pl.Float64).alias(name) for name in COLUMNS)
    html = RENDERERS[kind](request_of(kind, frame)).html
    assert "<svg" not in html and "<map" not in html


def test_a_map_without_geometry_is_its_ranking() -> None:
    block = RENDERERS["map"](request_of("map", rows(), mapped=False))
    assert block.tabled and "<table" in block.html and "<map" not in block.html


def test_a_table_says_which_cells_belong_together_and_marks_changes() -> None:
    html = RENDERERS["ranking"](request_of("ranking", rows())).html
    assert html.count('scope="row"') == 4 and 'scope="col"' in html
    assert '<span class="rise">▲1</span>' in html and '<span class="fall">▼2</span>' in html
    assert "<style" not in html


def test_colours_of_a_chart_follow_the_theme_and_it_has_one_label() -> None:
    html = RENDERERS["bars"](request_of("bars", rows())).html
    assert "var(--x265e98)" in html and '"#265E98"' not in html
    assert html.count('role="img"') == 1 and "graphics-symbol" not in html
    assert 'aria-label="a &lt;label&gt;"' in html


def test_names_never_cover_each_other() -> None:
    points = [(f"name {at}", 100.0 + at % 3, 50.0 + at % 2) for at in range(12)]
    found = placed(points, 300, 100)
    assert 1 <= len(found) < 12
    boxes = []
    for name, x, y in points:
        if name in found:
            at = found[name]
            left = x + at.dx - {"left": 0.0, "right": width(name), "center": width(name) / 2}[at.align]
            boxes.append((left, y + at.dy - 5.5, left + width(name), y + at.dy + 5.5))
    for one in boxes:
        others = [box for box in boxes if box is not one]
        assert not any(one[0] < b[2] and b[0] < one[2] and one[1] < b[3] and b[1] < one[3] for b in others)


def test_an_outline_that_stands_twice_is_kept_once() -> None:
    outline = "M0,0" + "l1,1" * 60
    page = f'<!--outlines--><svg><path fill="a" d="{outline}"/></svg><svg><path fill="b" d="{outline}"/></svg>'
    made = shared(page)
    assert made.count(outline) == 1
    assert made.count("<use ") == 2 and 'fill="a"' in made and 'fill="b"' in made
    assert shared(page.replace(outline, "M0,0")) == page.replace(outline, "M0,0")
