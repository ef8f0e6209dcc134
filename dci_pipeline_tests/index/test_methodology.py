"""The method page's example runs as it is printed, and gives what the page says."""

import re
from pathlib import Path
from typing import Any

import pytest

from dci_pipeline.index import Index
from dci_pipeline_tests.index.exact import lookup

PAGE = Path(__file__).parents[2] / "METHODOLOGY.md"


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    found: dict[str, Any] = {}
    exec(compile(block, str(PAGE), "exec"), found)
    return found


def test_the_weights_of_the_page(names: dict[str, Any]) -> None:
    assert names["weights"].select("indicator", "alpha").rows() == [("orders", 0.6), ("parcels", 0.4)]


def test_the_index_of_the_page(names: dict[str, Any]) -> None:
    index, (first, second) = names["index"], names["years"]
    assert isinstance(index, Index)
    assert index.national.get_column("level").to_list() == pytest.approx([100, 154])
    for place, points in {"north": [56, 67.2], "south": [44, 86.8]}.items():
        found = [lookup(index.places, "points", period=year, place=place) for year in (first, second)]
        assert found == pytest.approx(points)
    assert lookup(index.places, "growth_yoy", period=second, place="north") == pytest.approx(0.2)
    parts = {("north", "orders"): 7.2, ("south", "orders"): 22.8, ("north", "parcels"): 4, ("south", "parcels"): 20}
    for (place, indicator), part in parts.items():
        found = lookup(index.contributions, "contribution_points", place=place, indicator=indicator)
        assert found == pytest.approx(part)


def test_the_example_is_short() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [line for line in block.splitlines() if line and not line.startswith(("from", "import"))]
    assert len(lines) <= 10
