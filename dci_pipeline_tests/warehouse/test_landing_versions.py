"""Files of many periods under a contract with versions: each period is read by the version in force, or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from dci_pipeline.contracts import FeedContract, Versions
from dci_pipeline.findings import Finding
from dci_pipeline.framework_files import read_framework
from dci_pipeline.warehouse import deliveries
from dci_pipeline.warehouse.layout import Layout
from dci_pipeline_tests.conftest import CONTRACTS

FEED = "transactions"


@pytest.fixture(scope="module")
def first() -> FeedContract:
    return read_framework(CONTRACTS, "pulse").feeds[FEED]


def later(first: FeedContract, **changes: object) -> Versions:
    """The contract and a version from 2019Q1 on that reads the amount from `amount`, in paise."""
    columns = tuple(
        replace(column, source="amount", multiplier=None, rounds=False) if column.name == "amount_paise" else column
        for column in first.columns
    )
    second = replace(first, version="2.0.0", valid_from="2019Q1", columns=columns, **changes)
    return Versions((first, second))


def file(folder: Path, name: str, periods: dict[str, int], *amounts: str) -> Path:
    """One state's row for each period: `txn_amount_inr` in rupees, `amount` in paise."""
    header = ["region", "period", "category", "instrument", "txn_count", *amounts, "feed", "level", "year", "quarter"]
    lines = [",".join(header)]
    for period, rupees in periods.items():
        given = [str(rupees) if amount == "txn_amount_inr" else str(rupees * 100) for amount in amounts]
        lines.append(",".join(["goa", period, "Others", "TOTAL", "7", *given, "transaction", "state", "0", "0"]))
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def land(folder: Path, versions: FeedContract | Versions, *files: Path) -> dict[str, tuple[str, int]]:
    """Period -> (version, amount in paise) of what was landed."""
    done = deliveries.land(
        Layout(folder / "warehouse", "pulse"),
        files,
        contract=versions,
        cadence="quarter",
        partner="phonepe",
        period=None,
    )
    return {
        landing.delivery.period.key: (
            landing.delivery.contract_version,
            pl.read_parquet(landing.delivery.typed)["amount_paise"].item(),
        )
        for landing in done
    }


@pytest.mark.parametrize(
    ("periods", "amount", "expected"),
    [
        ({"2018Q3": 5, "2018Q4": 6}, "txn_amount_inr", {"2018Q3": ("1.0.0", 500), "2018Q4": ("1.0.0", 600)}),
        ({"2019Q1": 7, "2019Q2": 8}, "amount", {"2019Q1": ("2.0.0", 700), "2019Q2": ("2.0.0", 800)}),
    ],
)
def test_a_file_of_one_version_is_read_by_it(
    first: FeedContract, tmp_path: Path, periods: dict[str, int], amount: str, expected: dict[str, tuple[str, int]]
) -> None:
    assert land(tmp_path, later(first), file(tmp_path, "a.csv", periods, amount)) == expected


def test_a_file_that_fits_both_is_read_by_each_for_its_own_periods(first: FeedContract, tmp_path: Path) -> None:
    """Read again under the other version: the amount is in rupees before 2019, in paise after, under one name."""
    versions = later(first, row_filter=first.row_filter, ignored=(*first.ignored, "txn_amount_inr"))
    old = replace(first, ignored=(*first.ignored, "amount"))
    both = Versions((old, versions.newest))
    found = land(tmp_path, both, file(tmp_path, "a.csv", {"2018Q4": 6, "2019Q1": 7}, "txn_amount_inr", "amount"))
    assert found == {"2018Q4": ("1.0.0", 600), "2019Q1": ("2.0.0", 700)}


@pytest.mark.parametrize("amount", ["txn_amount_inr", "amount"])
def test_a_file_that_spans_the_change_in_one_form_is_refused_whole(
    first: FeedContract, tmp_path: Path, amount: str
) -> None:
    path = file(tmp_path, "a.csv", {"2018Q4": 6, "2019Q1": 7}, amount)
    lost = "2019Q1" if amount == "txn_amount_inr" else "2018Q4"
    with pytest.raises(Finding, match=f"(?s)a.csv: a file that spans.*{lost}.*missing column.*one file for each"):
        land(tmp_path, later(first), path)
    assert not list((tmp_path / "warehouse").rglob("delivery.json"))


def test_what_no_version_reads_and_what_lies_before_the_first(first: FeedContract, tmp_path: Path) -> None:
    with pytest.raises(Finding, match=r"(?s)missing column 'amount'.*unknown column 'sum'"):
        land(tmp_path, later(first), file(tmp_path, "a.csv", {"2019Q1": 7}, "sum"))
    with pytest.raises(Finding, match=r"(?s)no contract is in force yet.*2018Q1"):
        land(tmp_path, later(first), file(tmp_path, "b.csv", {"2017Q4": 7, "2018Q1": 7}, "txn_amount_inr"))


def test_a_version_without_a_period_column_takes_no_file_of_many(first: FeedContract, tmp_path: Path) -> None:
    versions = later(first)
    plain = replace(
        versions.newest,
        columns=tuple(column for column in versions.newest.columns if column.role != "period"),
        ignored=(*first.ignored, "period", "txn_amount_inr"),
    )
    both = Versions((replace(first, ignored=(*first.ignored, "amount")), plain))
    with pytest.raises(Finding, match=r"(?s)spans.*2019Q1.*no period column"):
        land(tmp_path, both, file(tmp_path, "a.csv", {"2018Q4": 6, "2019Q1": 7}, "txn_amount_inr", "amount"))
    with pytest.raises(Finding, match="no period given"):
        land(tmp_path, plain, file(tmp_path, "b.csv", {"2019Q1": 7}, "amount"))


READ_BY: dict[str, Callable[[FeedContract], FeedContract]] = {
    "a source": lambda old: later(old).newest,
    "a delimiter": lambda old: replace(old, delimiter=";"),
    "an encoding": lambda old: replace(old, encoding="latin-1"),
    "a row filter": lambda old: replace(old, row_filter={"feed": "transaction"}),
    "a column less": lambda old: replace(old, columns=old.columns[:-1]),
}


@pytest.mark.parametrize("change", READ_BY)
def test_what_is_read_otherwise_has_another_reading(first: FeedContract, change: str) -> None:
    assert READ_BY[change](first).reading != first.reading


def test_what_is_judged_otherwise_has_the_same_reading(first: FeedContract) -> None:
    judged = replace(
        first,
        version="9",
        rules=(),
        partners={},
        max_bytes=1,
        columns=tuple(replace(column, maximum=1, required=False, description="x") for column in first.columns),
    )
    assert judged.reading == first.reading
