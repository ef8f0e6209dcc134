"""`dci land`: one delivery per feed, period and partner; equal bytes are one; a period says what it waits for."""

from __future__ import annotations

from pathlib import Path

import pytest

from dci_pipeline_tests.cli.conftest import MONTH, Dci, rows, write
from dci_pipeline_tests.conftest import PULSE_FILES

ARGS = ("--feed", "transactions", "--partner", "pay_a", "--month", MONTH)


def test_new_already_there_superseded(dci: Dci, home: Path) -> None:
    path = write(home / "a.csv", rows(50))
    first = dci("land", path, *ARGS)
    assert first.code == 0
    assert "new" in first.out
    assert "transactions from pay_b" in first.out
    again = dci("land", path, *ARGS)
    assert (again.code, "already there" in again.out) == (0, True)
    later = dci("land", write(home / "b.csv", rows(60)), *ARGS)
    assert "supersedes" in later.out
    kept = list((home / "warehouse").rglob("delivery.json"))
    assert len(kept) == 2


def test_aliases_of_the_month_option(dci: Dci, home: Path) -> None:
    path = write(home / "a.csv", rows(50))
    for option in ("--month", "--period", "--quarter"):
        assert dci("land", path, "--feed", "transactions", "--partner", "pay_a", option, MONTH).code == 0


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--feed", "transactions", "--partner", "pay_a"), ("no period given", "add --month")),
        (("--feed", "transactions", "--partner", "pay_x", "--month", MONTH), ("pay_x", "pay_a, pay_b")),
        (("--feed", "transactions", "--partner", "pay_a", "--month", "2018-04"), ("dates of another month", "a.csv")),
        (("--feed", "transactions", "--partner", "pay_a", "--month", "soon"), ("--month", "'soon'", "2019-01")),
        (
            ("--feed", "transactions", "--partner", "pay_a", "--quarter", "2019Q2"),
            ("--month/--quarter/--period: not a month", "'2019Q2'"),
        ),
        (("--feed", "transactions", "--partner", "pay_b", "--month", MONTH), ("a.csv", "another partner", "pay_a")),
        (("--feed", "none", "--partner", "pay_a", "--month", MONTH), ("no such feed", "transactions")),
    ],
)
def test_what_is_refused_lands_nothing(dci: Dci, home: Path, args: tuple[str, ...], says: tuple[str, ...]) -> None:
    result = dci("land", write(home / "a.csv", rows(5)), *args)
    assert result.code == 2
    assert all(word in result.err for word in says), result.err
    assert not list((home / "warehouse").rglob("delivery.json"))


def test_a_warehouse_that_is_a_file(dci: Dci, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(home / "a.csv", rows(5))
    for given in (path, path / "below"):
        monkeypatch.setenv("DCI_WAREHOUSE", str(given))
        result = dci("land", path, *ARGS)
        assert result.code == 2
        assert all(word in result.err for word in ("DCI_WAREHOUSE: not a folder", "a.csv, a file", "do next")), (
            result.err
        )


def test_a_file_that_is_not_there(dci: Dci) -> None:
    result = dci("land", "nowhere.csv", *ARGS)
    assert (result.code, "nowhere.csv" in result.err) == (2, True)


def test_one_bad_value_costs_one_row(dci: Dci, home: Path) -> None:
    records = rows(50)
    records[7][5] = "many"
    result = dci("land", write(home / "a.csv", records), *ARGS)
    assert result.code == 0
    assert "50" in result.out


@pytest.mark.realdata
def test_one_file_of_many_periods_becomes_a_delivery_for_each(dci: Dci, pulse_source: Path) -> None:
    result = dci(
        "land",
        pulse_source / PULSE_FILES["transactions"],
        "--index",
        "pulse",
        "--feed",
        "transactions",
        "--partner",
        "phonepe",
    )
    assert result.code == 0
    assert result.out.count(" new") == 28
    assert "2018Q1 to 2024Q4: each waits for app_usage from phonepe; district_app_usage from phonepe" in result.out
    for feed in ("app_usage", "district_transactions", "district_app_usage"):
        done = dci("land", pulse_source / PULSE_FILES[feed], "--index", "pulse", "--feed", feed, "--partner", "phonepe")
    assert "2018Q1 to 2024Q4 are complete" in done.out
