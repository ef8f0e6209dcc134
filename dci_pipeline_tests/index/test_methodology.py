"""The method page's examples: the code runs as it is printed, and every number is the one that is worked out anew."""

import re
from fractions import Fraction
from typing import Any

import polars as pl
import pytest

from dci_pipeline.index import Index
from dci_pipeline_tests.index.exact import lookup
from dci_pipeline_tests.index.worked import DAYS, FRACTIONS, main_case
from dci_pipeline_tests.index.worked_page import BEGIN, END, PAGE, section, written
from dci_pipeline_tests.index.worked_stages import PLACES


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    found: dict[str, Any] = {}
    exec(compile(block, str(PAGE), "exec"), found)
    return found


def text() -> str:
    return PAGE.read_text(encoding="utf-8")


def number(value: float) -> str:
    """A computed number as the page prints it: short, for it has few digits but for the arithmetic's last."""
    return f"{value:.6g}"


def test_the_numbers_beside_the_code_are_those_it_computes(names: dict[str, Any]) -> None:
    index, (first, second) = names["index"], names["years"]
    assert isinstance(index, Index)
    alphas = [Fraction(alpha).limit_denominator(100) for alpha in names["weights"].get_column("alpha")]
    assert names["weights"].get_column("alpha").to_list() == [float(alpha) for alpha in alphas]
    levels = index.national.get_column("level").to_list()
    at = {
        (place, year): number(lookup(index.places, "points", period=year, place=place))
        for place in ("north", "south")
        for year in (first, second)
    }
    parts = {
        (place, indicator): number(lookup(index.contributions, "contribution_points", place=place, indicator=indicator))
        for place in ("north", "south")
        for indicator in ("orders", "parcels")
    }
    said = (
        f"`alphas` gives orders {alphas[0]} and parcels {alphas[1]}. `index.national` has the levels "
        f"{number(levels[0])} and {number(levels[1])}; `index.places` has north at {at['north', first]} and "
        f"{at['north', second]} points, growth "
        f"{number(lookup(index.places, 'growth_yoy', period=second, place='north'))}, and south at "
        f"{at['south', first]} and {at['south', second]}. `index.contributions` splits the "
        f"{number(levels[1] - levels[0])} points: orders {parts['north', 'orders']} in the north and "
        f"{parts['south', 'orders']} in the south, parcels {parts['north', 'parcels']} and "
        f"{parts['south', 'parcels']}."
    )
    assert said in " ".join(text().split())


def test_the_worked_example_is_worked_out_anew() -> None:
    """Every number of the section, from the formulas in fractions."""
    found = text().partition(BEGIN)[2].partition(END)[0]
    assert found == section(), "run: python -m dci_pipeline_tests.index.worked_page"


def test_a_stale_number_is_put_right_and_nothing_else_is_touched() -> None:
    stale = text().replace("1463/30", "1464/30")
    assert stale != text()
    assert written(stale) == text()


def tables() -> dict[str, list[float]]:
    """Lines of the tables as they stand in the page, by table and line."""
    found: dict[str, list[float]] = {}
    for block in re.findall(r"(?:^\|.*\n)+", text().partition(BEGIN)[2].partition(END)[0], flags=re.MULTILINE):
        head, _, *lines = ([cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines())
        for name, *cells in lines:
            numbers = [float(Fraction(cell.partition(" (")[0].replace("−", "-"))) for cell in cells]
            found[f"{head[0]}: {name}".removeprefix(": ")] = numbers
    return found


def test_the_package_computes_what_is_printed() -> None:
    """What stands in the page against the public door: points, growth, link effects, contributions."""
    index, page = main_case().compute(), tables()
    for t in range(3):
        printed = page[f"points: period {t}"]
        found = [lookup(index.places, "points", period=DAYS[t], place=place) for place in PLACES]
        assert [*found, lookup(index.national, "level", period=DAYS[t])] == pytest.approx(printed)
    effects = [lookup(index.link_effects, "link_effect_points", place=place) for place in PLACES]
    assert effects == pytest.approx(page["λ"][:3])
    for t in (1, 2):
        growth = [lookup(index.places, "growth_yoy", period=DAYS[t], place=place) for place in PLACES]
        assert growth == pytest.approx(page[f"growth: period {t - 1} to {t}"])
    summed = index.contributions.group_by("place", "indicator").agg(pl.col("contribution_points").sum())
    for j in ("1", "2", "3"):
        parts = [lookup(summed, "contribution_points", place=place, indicator=j) for place in PLACES]
        assert parts == pytest.approx(page[f"points: indicator {j}"][:3])
    moved = zip(*(page[f"points: indicator {j}"] for j in ("1", "2", "3")), page["λ"], strict=True)
    assert [sum(parts) for parts in moved] == pytest.approx(page["points: change of points"])


def test_what_skipping_would_sum_to() -> None:
    (skipped,) = [value for name, value in FRACTIONS.items() if name == "extra.na_skip_breaks_additivity.sum"]
    assert f"(in the worked example they sum to {skipped})" in " ".join(text().split())


def test_the_example_is_short() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [line for line in block.splitlines() if line and not line.startswith(("from", "import"))]
    assert len(lines) <= 10
