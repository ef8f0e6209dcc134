"""Charts drawn: the same bytes for the same chart, text that is text, and Chinese letters that are drawn."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from typing import Any
from xml.etree import ElementTree

import pytest

from dci_pipeline.findings import Finding
from dci_pipeline.report import drawing
from dci_pipeline.report.style import DARK, LIGHT


def chart(title: str = "数字中国指数", **config: Any) -> dict[str, Any]:
    return {
        "title": title,
        "width": 200,
        "height": 120,
        "data": {"values": [{"place": "成都", "points": 3.0}, {"place": "广州", "points": 2.0}]},
        "mark": {"type": "line", "clip": True, "point": True},
        "encoding": {"x": {"field": "place", "type": "nominal"}, "y": {"field": "points", "type": "quantitative"}},
        **({"config": config} if config else {}),
    }


def test_the_same_chart_is_the_same_bytes_whatever_was_drawn_before() -> None:
    first, picture = drawing.svg(chart()), drawing.png(chart())
    drawing.svg(chart("另一张"), DARK)
    assert drawing.svg(chart()) == first
    assert drawing.png(chart()) == picture
    assert 'id="clip0"' in first


def test_another_process_draws_the_same_bytes() -> None:
    script = (
        "import hashlib\n"
        "from dci_pipeline.report import drawing\n"
        "from dci_pipeline_tests.report.test_drawing import chart\n"
        "drawn = drawing.svg(chart()).encode() + drawing.png(chart())\n"
        "print(hashlib.sha256(drawn).hexdigest())\n"
    )
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    assert made == hashlib.sha256(drawing.svg(chart()).encode() + drawing.png(chart())).hexdigest()


def test_text_stays_text_and_ids_take_a_prefix() -> None:
    drawn = drawing.svg(chart(), prefix="E005-")
    texts = [node.text for node in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert {"数字中国指数", "成都", "广州"} <= set(texts)
    ids = re.findall(r'\bid="([^"]+)"', drawn)
    assert ids and all(found.startswith("E005-") for found in ids)
    assert set(re.findall(r"url\(#([^)]+)\)", drawn)) <= set(ids)


def test_chinese_letters_are_drawn_not_boxes() -> None:
    """A font without the letters draws the same empty box for each of them."""
    pictures = {drawing.png(chart(title)) for title in ("成都市", "广州市", "杭州市")}
    assert len(pictures) == 3


def test_the_theme_is_below_what_the_chart_says_itself() -> None:
    assert LIGHT.surface in drawing.svg(chart()) and DARK.surface in drawing.svg(chart(), DARK)
    own = drawing.themed(chart(axis={"labelFontSize": 9}), DARK)["config"]
    assert own["axis"]["labelFontSize"] == 9
    assert own["axis"]["labelColor"] == DARK.muted


def test_charts_of_altair_are_drawn_as_they_are() -> None:
    import altair

    made = altair.Chart(altair.Data(values=[{"x": 1, "y": 2}])).mark_point().encode(x="x:Q", y="y:Q")
    assert "<svg" in drawing.svg(made)


@pytest.mark.parametrize("grid", [2, 10])
def test_paths_are_shortened_and_stay_where_they_were(grid: int) -> None:
    drawn = drawing._short("M10.04,20L30.26,-5.5L30.261,-5.5L0,0ZM1,1L2.5,2.5Z", grid)
    x = y = 0.0
    points: list[tuple[float, float]] = []
    for command, first, second in re.findall(r"([Mlz])(?:(-?[\d.]+),(-?[\d.]+))?", drawn):
        if command != "z":
            x, y = (0.0, 0.0) if command == "M" else (x, y)
            x, y = x + float(first), y + float(second)
            points.append((x, y))
    expected = [(10.04, 20), (30.26, -5.5), (0, 0), (1, 1), (2.5, 2.5)]
    assert [pytest.approx(point, abs=0.51 / grid) for point in expected] == points
    assert drawn.count("z") == 2


def test_a_chart_that_cannot_be_drawn_says_so() -> None:
    with pytest.raises(Finding, match="cannot be drawn"):
        drawing.svg({"mark": "nonsense", "data": {"values": []}})


def test_nothing_is_fetched() -> None:
    with pytest.raises(Finding, match="cannot be drawn"):
        drawing.svg({**chart(), "data": {"url": "https://example.invalid/data.json"}})


def test_a_font_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "FONT_PACKAGE", "no_such_package_of_fonts")
    with pytest.raises(Finding, match=r"dci_pipeline\[report\]"):
        drawing.font_folder()
