"""`dci collect` and `dci due`: what was landed, refused, waits; what is late, and what a month does meanwhile."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from dci_pipeline import due
from dci_pipeline.framework_files import read_framework
from dci_pipeline.periods import parse
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests.cli.conftest import MONTH, Dci, rows, write
from dci_pipeline_tests.conftest import CONTRACTS

NAME = f"transactions_pay_a_{MONTH}.csv"


@pytest.fixture
def folder(home: Path) -> Path:
    found = home / "warehouse" / "drop" / "dci"
    found.mkdir(parents=True)
    return found


def test_what_lies_there_is_taken_in_and_what_cannot_be_is_said(dci: Dci, folder: Path) -> None:
    write(folder / NAME, rows(50))
    write(folder / "holiday.csv", rows(5))
    write(folder / f"transactions_pay_b_{MONTH}_1of2.csv", rows(5, partner="pay_b"))
    dry = dci("collect", "--dry-run")
    assert dry.code == 0 and "would be landed" in dry.out and "would be refused" in dry.out
    assert len(list(folder.iterdir())) == 3
    done = dci("collect", "--settle", 0)
    assert done.code == 1
    assert "landed" in done.out and "waits for part 2 of 2" in done.out and "transactions from pay_b" in done.out
    assert "a file name no contract knows" in done.err and "holiday.csv" in done.err
    assert (folder / "refused" / "holiday.csv.why.txt").is_file() and not (folder / NAME).exists()
    assert len(list((folder.parents[1] / "dci").rglob("delivery.json"))) == 1


def test_the_command_waits_until_files_have_settled(dci: Dci, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCI_DROP_SETTLE", "0.5")
    write(folder / NAME, rows(5))
    done = dci("collect")
    assert (done.code, "landed" in done.out, "Waiting 0.5 s" in done.err) == (0, True, True)
    assert (dci("collect").code, "Nothing in" in dci("collect").out) == (0, True)


def test_a_drop_folder_that_is_not_there(dci: Dci, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCI_DROP", str(home / "share"))
    assert (dci("collect").code, "DCI_DROP: no such folder" in dci("collect").err) == (2, True)


def test_what_is_due_and_late(dci: Dci, home: Path) -> None:
    dci("land", write(home / "a.csv", rows(5)), "--feed", "transactions", "--partner", "pay_a", "--month", MONTH)
    done = dci("due", "--months", MONTH)
    assert done.code == 1
    assert "came" in done.out and "late" in done.out and "2018-04-08" in done.out and "waits for" in done.out
    every = dci("due")
    assert every.code == 1 and "Earlier, and never came" in every.out and f"{MONTH} to" in every.out
    later = dci("due", "--months", "2199-01")
    assert later.code == 0 and "due in" in later.out and "Nothing is overdue" in later.out


def test_days_are_counted_where_the_periods_end(home: Path) -> None:
    work = Work(Settings(home / "warehouse", CONTRACTS, "polars"), "dci")
    period = parse("2019-04", "month")
    assert due.expected(work.framework.feeds["transactions"], period) == date(2019, 5, 8)
    # 8 May, 23:30 in Shanghai, is still in time; half an hour later it is not.
    evening = datetime(2019, 5, 8, 15, 30, tzinfo=UTC)
    for now, late in ((evening, 0), (evening + timedelta(minutes=30), 1)):
        (item,) = (
            item for item in due.calendar(work, [period], now) if (item.feed, item.partner) == ("transactions", "pay_a")
        )
        assert (item.days_late, item.overdue) == (late, late > 0)


def test_one_reminder_a_day_for_each_feed_that_is_late(home: Path) -> None:
    work = Work(Settings(home / "warehouse", CONTRACTS, "polars"), "dci")
    now = datetime(2019, 5, 9, 4, tzinfo=UTC)
    found = due.reminders(work, now)
    assert {"transactions", "mobile_traffic"} <= {item.feed for item in found}
    assert "app_usage" not in {item.feed for item in found}
    (sales,) = (item for item in found if item.feed == "transactions")
    assert sales.subject == "dci: transactions for 2019-04 is 1 day late" and sales.key == "dci/transactions/2019-05-09"
    assert "pay_a for 2019-04: expected by 2019-05-08, 1 day late" in sales.text and "waits for" in sales.text
    assert due.reminders(work, now + timedelta(hours=1)) == found
    assert due.reminders(work, datetime(2019, 5, 3, tzinfo=UTC)) == []


def test_the_engine_s_deadline_never_comes_before_a_delivery_is_late() -> None:
    for index in ("dci", "pulse"):
        framework = read_framework(CONTRACTS, index)
        for contract in framework.feeds.values():
            cron, before = due.deadline(contract, framework.cadence)
            _, hour, day, months, _ = cron.split()
            assert hour == "0" and before.days <= contract.expected_day
            for period in [
                parse("2019Q1" if index == "pulse" else "2019-01", framework.cadence).shift(n) for n in range(8)
            ]:
                late = due.expected(contract, period) + timedelta(days=1)
                assert late.day <= int(day)
                assert months == "*" or str(late.month) in months.split(",")
