"""Maps as specifications: classes that mean what their legend says, areas without data shown, circles by area."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.report import drawing
from dci_pipeline.report.classes import METHODS, classes
from dci_pipeline.report.geometry import Inset
from dci_pipeline.report.layers import Maps, centres_alone, make_maps
from dci_pipeline.report.maps import approval_text, bubbles, choropleth, method_text
from dci_pipeline.report.style import DARK, LIGHT
from dci_pipeline_tests.report.test_layers import EAST, WEST, box, outlines, plan


def maps() -> Maps:
    centres = {"w": (102.5, 32.5), "e": (107.5, 32.5)}
    return make_maps(plan(), outlines({"w": [WEST], "e": [EAST], "x": [box(110, 30, 112, 35)]}), centres)


def rows(**values: float | None) -> pl.DataFrame:
    return pl.DataFrame(
        {"code": list(values), "name": [f"名{code}" for code in values], "value": list(values.values())},
        schema_overrides={"value": pl.Float64},
    )


def drawn_rows(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    values = spec["layer"][0]["transform"][0]["from"]["data"]["values"]
    return {row["code"]: row for row in values}


@pytest.mark.parametrize("method", METHODS)
@given(values=st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=60), count=st.integers(1, 9))
def test_every_value_is_in_the_class_its_legend_names(method: str, values: list[float], count: int) -> None:
    made = classes(values, "points", "en", LIGHT, count=count, method=method)
    assert len(made.labels) == len(made.colours) == len(made.bounds) + 1 <= max(count, 1)
    assert list(made.bounds) == sorted(set(made.bounds))
    for value in values:
        at = made.labels.index(made.label_of(value))
        assert at == 0 or value >= made.bounds[at - 1]
        assert at == len(made.bounds) or value < made.bounds[at]
    assert {made.label_of(value) for value in values} >= {made.labels[0], made.labels[-1]}


def test_quantiles_hold_about_as_many_each() -> None:
    values = [float(value) for value in np.random.default_rng(7).lognormal(size=350)]
    made = classes(values, "points", "zh", LIGHT, count=7)
    counts = [sum(made.label_of(value) == label for value in values) for label in made.labels]
    assert max(counts) - min(counts) <= 4


def test_natural_breaks_are_the_best_there_are() -> None:
    values = [1.0, 1.2, 1.1, 5.0, 5.3, 5.1, 9.0, 9.4]
    assert classes(values, "points", "zh", LIGHT, count=3, method="natural").bounds == (5.0, 9.0)


def test_a_middle_parts_the_colours() -> None:
    made = classes([-9.0, -7.0, -4.0, -3.0, -1.0, 2.0, 6.0, 8.0, 11.0], "places", "zh", LIGHT, count=5, middle=0.0)
    assert 0 in made.bounds
    at = made.bounds.index(0) + 1
    warm = [int(colour[1:3], 16) > int(colour[5:7], 16) for colour in made.colours]
    assert warm == [place < at for place in range(len(warm))]
    assert made.labels[0].startswith("< −") and made.labels[-1].startswith("≥ +")


def test_areas_without_a_value_are_shown_as_such() -> None:
    spec = choropleth(maps(), "town", rows(w=3.0, e=None), unit="points", lang="zh", title="图")
    found = drawn_rows(spec)
    assert found["e"]["class"] == found["x"]["class"] == "无数据"
    assert found["x"]["name"] == "外"
    assert found["w"]["said"] == "3.000"
    scale = spec["layer"][0]["encoding"]["fill"]["scale"]
    assert (scale["domain"][-1], scale["range"][-1]) == ("无数据", LIGHT.no_data)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_a_choropleth_is_drawn_with_its_legend_and_slot(theme) -> None:
    spec = choropleth(
        maps(), "town", rows(w=0.2, e=0.4), unit="fraction", lang="en", approval="GS(2019)1", theme=theme, width=300
    )
    drawn = drawing.svg(spec, theme)
    texts = re.findall(r">([^<>]+)</text>", drawn)
    assert {"< 40.0\u00a0%", "≥ 40.0\u00a0%", "no data", "Map approval number: GS(2019)1"} <= {
        text.replace("&lt;", "<") for text in texts
    }
    used = re.findall(r'fill="(#[0-9A-Fa-f]{6})"', drawn)
    assert {theme.sequential[0], theme.sequential[-1], theme.no_data} <= set(used)


def test_the_slot_says_when_no_number_was_given() -> None:
    assert approval_text(None, "zh") == "未提供审图号"
    spec = choropleth(maps(), "land", rows(g=1.0), unit="points", lang="zh")
    assert "未提供审图号" in drawing.svg(spec)


def test_a_type_without_a_layer_is_refused() -> None:
    with pytest.raises(KeyError):
        choropleth(maps(), "county", rows(w=1.0), unit="points", lang="zh")


@pytest.mark.parametrize("outlined", [True, False], ids=["over the territory", "without outlines"])
def test_circles_grow_with_the_value(outlined: bool) -> None:
    made = maps() if outlined else centres_alone(plan(), {"w": (102.5, 32.5), "e": (107.5, 32.5)})
    spec = bubbles(made, rows(w=1.0, e=4.0, unknown=9.0, x=None), unit="points", lang="en", width=300)
    drawn = drawing.svg(spec)
    circles = re.findall(r'aria-label="[^"]*Name: (\S+?);[^"]*"[^>]* d="M([-\d.]+)', drawn)
    assert [name for name, _ in circles] == ["名e", "名w"], "the largest is below the others"
    large, small = (abs(float(radius)) for _, radius in circles)
    assert large == pytest.approx(2 * small, rel=0.05)


def test_a_narrow_map_has_its_legend_below_and_finer_lines() -> None:
    wide, narrow = (
        choropleth(maps(), "town", rows(w=1.0, e=2.0), unit="points", lang="zh", width=width) for width in (760, 340)
    )
    legends = [spec["layer"][0]["encoding"]["fill"]["legend"]["orient"] for spec in (wide, narrow)]
    assert legends == ["bottom-left", "bottom"]
    strokes = [spec["layer"][1]["mark"]["strokeWidth"] for spec in (wide, narrow)]
    assert strokes[1] < strokes[0]
    assert "无数据" in drawing.svg(narrow)


def test_without_outlines_the_box_of_the_south_is_still_there() -> None:
    inset = Inset(above=28.0, west=104.0, east=110.0, south=15.0, north=29.0, scale=0.2)
    made = centres_alone(plan(inset), {"w": (102.5, 32.5), "e": (107.5, 18.0)})
    assert made.inset is not None
    (x0, y0), _, (x1, y1), *_ = made.inset["box"]
    x, y = made.centres["e"]
    assert x0 < x < x1 and y1 < y < y0
    drawn = drawing.svg(bubbles(made, rows(w=1.0, e=4.0), unit="points", lang="en", width=300))
    assert ">South<" in drawn


def test_methods_are_said_in_words() -> None:
    said = {method_text(method, lang) for method in METHODS for lang in ("zh", "en")}
    assert len(said) == 2 * len(METHODS)


def test_bounds_of_neighbouring_classes_meet() -> None:
    made = classes(range(40), "count", "en", LIGHT, count=4)
    inner = [label.split(" – ") for label in made.labels[1:-1]]
    assert all(before[1] == after[0] for before, after in pairwise(inner))
