"""The declared reports: every exhibit is in one, and what cannot be shown is refused with file and exhibit named."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dci_pipeline.exhibit_files import FILE, read_exhibits
from dci_pipeline.findings import Finding
from dci_pipeline.report_files import check_report, read_report
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import CONTRACTS

INDEXES = sorted(path.parent.name for path in CONTRACTS.glob("*/report"))


@pytest.mark.parametrize("index", INDEXES)
def test_a_report_shows_every_exhibit_that_is_computed(index: str, tmp_path: Path) -> None:
    work = Work(Settings(tmp_path, CONTRACTS, "polars"), index)
    declared = read_report(work.framework.folder, index)
    shown = [item.exhibit for part in declared.parts for item in part.exhibits]
    has = (work.framework.folder / FILE).is_file()
    computed = (
        {item.exhibit for item in read_exhibits(work.framework, work.geography).exhibits if item.items}
        if has
        else set()
    )
    assert computed <= set(shown)
    for part in declared.parts:
        for item in part.exhibits:
            # What is read by measure has to be an exhibit; a query of its own may be of any.
            assert item.exhibit in computed or all(drawing.rows is None for drawing in item.drawings), item.exhibit
            assert item.title.zh and item.title.en


@pytest.mark.parametrize("index", INDEXES)
def test_what_is_read_of_an_exhibit_is_a_measure_of_it(index: str, tmp_path: Path) -> None:
    work = Work(Settings(tmp_path, CONTRACTS, "polars"), index)
    has = (work.framework.folder / FILE).is_file()
    found = read_exhibits(work.framework, work.geography).exhibits if has else ()
    exhibits = {item.exhibit: item for item in found}
    declared = read_report(work.framework.folder, index)
    check_report(declared, exhibits, "x")
    if not has:
        return
    with pytest.raises(Finding, match="not declared"):
        check_report(declared, {name: item for name, item in exhibits.items() if name != "E005"}, "x")
    other = replace(exhibits["E005"], items=exhibits["E013"].items)
    with pytest.raises(Finding, match="no such measure"):
        check_report(declared, {**exhibits, "E005": other}, "x")


@pytest.mark.parametrize(
    ("change", "problem", "names"),
    [
        (("draw: figures", "draw: pie"), "unknown value", "'pie'"),
        (("points: index_points", "size: index_points"), "unknown value", "'size'"),
        (("{points}", "{size}"), "a fact that is not declared", "size"),
        (("facts: {points: points,", "facts: {points: points, more: growth,"), "a fact that no sentence names", "more"),
        (("    draw: figures", "    draws: figures"), "unknown key 'draws'", "draws"),
        (("exhibit: E004", "exhibit: E002"), "shown twice", "E002"),
        (("    rows: {", "    sql: SELECT 1\n    rows: {"), "a drawing has rows", ""),
        (("exhibit: R01\n    grains: [month, half]", "exhibit: R01\n    grains: [week]"), "unknown value", "'week'"),
    ],
)
def test_what_cannot_be_shown_is_refused(tmp_path: Path, change: tuple[str, str], problem: str, names: str) -> None:
    shutil.copytree(CONTRACTS / "dci" / "report", tmp_path / "report")
    path = tmp_path / "report" / "1_overview.yaml"
    text = path.read_text(encoding="utf-8")
    assert change[0] in text
    path.write_text(text.replace(*change, 1), encoding="utf-8")
    with pytest.raises(Finding) as caught:
        read_report(tmp_path, "dci")
    assert problem in str(caught.value.problem) or problem in str(caught.value)
    assert names in str(caught.value.found) or names in str(caught.value)


def test_an_index_without_a_report_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(Finding) as caught:
        read_report(tmp_path, "dci")
    assert "docs/report.md" in str(caught.value.todo)
