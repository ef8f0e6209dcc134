"""`dci published`: what is reproduced, off, contradictory and not computed, and the exit code that says so."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from dci_pipeline.periods import parse
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests.cli.conftest import Dci
from dci_pipeline_tests.conftest import CONTRACTS

KEY = ("exhibit_id", "subject", "entity_type", "entity_zh", "period", "measure")

Commit = Callable[[pl.DataFrame], None]


@pytest.fixture
def printed() -> pl.DataFrame:
    values = pl.read_csv(CONTRACTS / "dci" / "published" / "values.csv", infer_schema=False)
    return values.filter(pl.col("subject") != "external")


@pytest.fixture
def commit(home: Path) -> Commit:
    """Puts rows into the warehouse as the exhibits of 2019."""
    work = Work(Settings(home / "warehouse", CONTRACTS, "polars"), "dci")

    def put(rows: pl.DataFrame) -> None:
        frame = rows.select(*KEY, pl.col("value").cast(pl.Float64), "unit").sort(KEY)
        stamp = work.warehouse.stamp({}, contract="")
        work.warehouse.commit("marts", "exhibit_values", frame, stamp=stamp, period=parse("2019", "year"))

    return put


def test_all_that_was_printed_is_reproduced(dci: Dci, commit: Commit, printed: pl.DataFrame) -> None:
    commit(printed)
    result = dci("published")
    assert result.code == 0, result.all
    assert "1,037 printed values: 1,037 reproduced, 0 off" in result.out
    assert "100 more are third parties'" in result.out
    assert "Sample feeds are invented" in result.out
    assert "profile `report`" in result.out


def test_a_contradiction_in_the_report_is_no_failure(dci: Dci, commit: Commit, printed: pl.DataFrame) -> None:
    peak = (pl.col("exhibit_id") == "E113") & (pl.col("subject") == "transactions")
    commit(printed.with_columns(value=pl.when(peak).then(pl.lit("5")).otherwise("value")))
    result = dci("published")
    assert result.code == 0
    assert "1 contradictory" in result.out
    assert "N15" in result.out


def test_what_is_off_and_what_is_missing(dci: Dci, commit: Commit, printed: pl.DataFrame, home: Path) -> None:
    shown = (pl.col("exhibit_id") == "E005") & (pl.col("measure") == "index_points")
    first = shown & (pl.col("entity_zh") == printed.filter(shown)["entity_zh"][0])
    second = shown & (pl.col("entity_zh") == printed.filter(shown)["entity_zh"][1])
    commit(printed.with_columns(value=pl.when(first).then(pl.lit("200")).otherwise("value")).filter(~second))
    result = dci("published")
    assert result.code == 1
    assert "1,035 reproduced, 2 off, 0 contradictory, 0 not computed" in result.out
    assert "200 for 159.1" in result.out
    rows = dci("published", "--exhibit", "E005")
    assert rows.code == 1
    assert "Province ranking Top10" in rows.out
    assert rows.out.count("reproduced") >= 29
    off = dci("published", "--off", "--csv", home / "off.csv")
    assert off.code == 1
    with (home / "off.csv").open(encoding="utf-8", newline="") as file:
        row, unseen = csv.DictReader(file)
    assert (row["exhibit_id"], row["printed"], row["computed"], row["verdict"]) == ("E005", "159.1", "200.0", "off")
    assert (unseen["verdict"], unseen["why"]) == ("off", "not among the entities the exhibit shows")
    assert dci("published", "--exhibit", "E006").code == 0


def test_an_exhibit_is_explained(dci: Dci, commit: Commit, printed: pl.DataFrame) -> None:
    commit(printed)
    assert "Read as: The last column is the change" in dci("published", "--exhibit", "E007").out
    nothing = dci("published", "--exhibit", "E062")
    assert nothing.code == 0
    assert "printed no number" in nothing.out
    unknown = dci("published", "--exhibit", "E999")
    assert unknown.code == 2
    assert "E001 to E124" in unknown.err


def test_nothing_to_compare(dci: Dci) -> None:
    empty = dci("published")
    assert (empty.code, "dci run" in empty.err) == (2, True)
    other = dci("published", "--index", "pulse")
    assert (other.code, "nothing printed" in other.err) == (2, True)


def test_an_export_needs_its_folder(dci: Dci, commit: Commit, printed: pl.DataFrame) -> None:
    commit(printed)
    assert dci("published", "--csv", "nowhere/off.csv").code == 2
