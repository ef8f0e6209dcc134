"""`dci report --release`: the tables and the declarations of the release, whatever has become of them since."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from dci_pipeline import refresh
from dci_pipeline.periods import parse_span
from dci_pipeline_tests.cli.conftest import Dci
from dci_pipeline_tests.small_worlds import FIRST, INDEX, Towns, drawn, land

QUARTERS = parse_span("2018Q1:2019Q4", "quarter")
WHOLE = """\
title: {zh: 城镇报告, en: Report on towns}
subtitle: {zh: 说明, en: What it is}
columns:
  points: {zh: 指数, en: Index, unit: points}
  growth: {zh: 增速, en: Growth, unit: fraction}
"""
PART = """\
part: overview
title: {zh: 概览, en: Overview}
exhibits:
  - exhibit: T1
    title: {zh: 指数, en: The index}
    says:
      zh: "指数<growth|增长{}|持平|下降{}>，为{points}。"
      en: "The index is <growth|up {}|unchanged|down {}>, at {points}."
    facts: {points: points, growth: growth}
    draw: figures
    sql: |
      SELECT entity_code AS entity, points, growth_yoy AS growth
      FROM index_{grain}
      WHERE {when} AND entity_type = 'nation' AND node = 'total'
"""


@pytest.fixture
def towns(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A computed and released index with a report of one exhibit; the folder of its declarations."""
    values = drawn(QUARTERS)
    work = Towns([FIRST], QUARTERS, values).write(home)
    folder = home / "contracts" / INDEX / "report"
    folder.mkdir()
    (folder / "report.yaml").write_text(WHOLE, encoding="utf-8")
    (folder / "1.yaml").write_text(PART, encoding="utf-8")
    land(work, home / "sent", values, QUARTERS)
    refresh.run_direct(work, QUARTERS)
    monkeypatch.setenv("DCI_CONTRACTS", str(home / "contracts"))
    return folder


def test_a_query_that_fails_is_named(dci: Dci, towns: Path) -> None:
    (towns / "1.yaml").write_text(PART.replace("growth_yoy", "growth_of_all"), encoding="utf-8")
    result = dci("report", "--period", "2019", "--out", "report.html")
    assert result.code == 2
    assert "a query of the report fails" in result.all and "growth_of_all" in result.all and "dci sql" in result.all


def test_a_period_without_rows_says_which_there_are(dci: Dci, towns: Path) -> None:
    result = dci("report", "--period", "2031Q1")
    assert result.code == 2 and "2018Q1 to 2019Q4" in result.all


def test_a_release_has_the_report_that_was_declared_with_it(dci: Dci, towns: Path, home: Path) -> None:
    assert dci("release", "--period", "2019Q4", "--date", "2020-01-20").code == 0
    (towns / "report.yaml").write_text(WHOLE.replace("Report on towns", "Another report"), encoding="utf-8")
    for name, words in (("release", ("--release", "current")), ("again", ("--release", "2019Q4")), ("now", ())):
        result = dci("report", "--period", "2019", "--lang", "en", "--out", f"{name}.html", *words)
        assert result.code == 0, result.all
    released, again, now = ((home / f"{name}.html").read_text(encoding="utf-8") for name in ("release", "again", "now"))
    assert released == again
    assert "<h1>Report on towns</h1>" in released and "2020-01-20" in released and "2019Q4" in released
    assert "<h1>Another report</h1>" in now and "the warehouse as it stands, not a release" in now
    assert "This index has no map." in now
    # Wording is no method: a release that has another differs in nothing that is told.
    assert "no difference" in dci("release", "--period", "2019Q4", "--date", "2020-02-20").out
    assert "no such release" in dci("report", "--period", "2019", "--release", "2018Q1").all


def test_what_is_provisional_is_said_beside_it_and_in_its_sentence(dci: Dci, towns: Path, home: Path) -> None:
    with duckdb.connect(str(home / "warehouse" / f"{INDEX}.duckdb")) as connection:
        connection.execute("UPDATE index_year SET maturity = 'provisional' WHERE year = 2019")
    pages = {year: home / f"{year}.html" for year in ("2018", "2019")}
    for year, path in pages.items():
        assert dci("report", "--period", year, "--lang", "en", "--out", path.name).code == 0
    final, provisional = (path.read_text(encoding="utf-8") for path in pages.values())
    assert '<strong class="flag">' not in final and "· final ·" in final
    assert '<strong class="flag">provisional</strong>' in provisional and "(Provisional.)" in provisional
