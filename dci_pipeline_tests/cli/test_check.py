"""`dci check`: verdict, rows and reasons; what it infers; and a clear word on files that cannot be read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from dci_pipeline_tests.cli.conftest import HEADER, MONTH, Dci, rows, write
from dci_pipeline_tests.conftest import PULSE_FILES

FEED = ("--feed", "transactions")


def test_a_good_file_is_accepted_and_says_what_it_inferred(dci: Dci, home: Path) -> None:
    result = dci("check", write(home / "good.csv", rows()), *FEED)
    assert result.code == 0
    assert f"every date lies in {MONTH}" in result.out
    assert "the files say pay_a" in result.out
    assert "Accepted" in result.out


def test_a_bad_file_is_rejected_with_rule_row_and_reason(dci: Dci, home: Path) -> None:
    records = rows(100)
    records[4][3] = "Atlantis"
    records[9][5] = "-7"
    records[19][6] = "many"
    result = dci("check", write(home / "bad.csv", records), *FEED, "--month", MONTH, "--partner", "pay_a", "--json")
    assert result.code == 0  # one row in a hundred each: at the threshold, not past it
    records[5][3] = "Atlantis"
    path = write(home / "bad.csv", records)
    assert dci("check", path, *FEED).code == 1
    data = json.loads(dci("check", path, *FEED, "--json").out)
    period = data["periods"][0]
    broken = {rule["rule"]: rule["unexpected"] for rule in period["rules"] if rule["unexpected"]}
    assert broken == {"city.known": 2, "transaction_count.range": 1, "amount_fen.type": 1}
    assert [rule["rule"] for rule in period["rules"] if not rule["passed"]] == ["city.known"]
    assert [(row["file_row"], row["rules"]) for row in period["first_rejected"]] == [
        (5, "city.known"),
        (6, "city.known"),
        (10, "transaction_count.range"),
        (20, "amount_fen.type"),
    ]
    assert "Atlantis" in period["first_rejected"][0]["reasons"][0]
    assert (data["accepted"], period["rows"], period["rejected"]) == (False, 100, 4)


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_both_engines_say_the_same(dci: Dci, home: Path, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    records = [*rows(50), *rows(3)]
    path = write(home / "repeats.csv", records)
    monkeypatch.setenv("DCI_ENGINE", engine)
    result = dci("check", path, *FEED, "--json")
    period = json.loads(result.out)["periods"][0]
    assert [row["file_row"] for row in period["first_rejected"]] == [51, 52, 53]  # the copies, not the originals
    assert result.code == 1


def test_several_files_are_one_delivery(dci: Dci, home: Path) -> None:
    first, second = write(home / "b.csv", rows(20)), write(home / "a.csv", rows(20))
    result = dci("check", first, second, *FEED, "--json")
    period = json.loads(result.out)["periods"][0]
    assert period["rows"] == 40
    assert {row["file"] for row in period["first_rejected"]} == {"b.csv"}  # the copy in the later name goes
    assert json.loads(result.out)["files"] == ["a.csv", "b.csv"]


def test_only_ten_rows_are_shown(dci: Dci, home: Path) -> None:
    records = [[*row[:3], "nowhere", *row[4:]] for row in rows(50)]
    result = dci("check", write(home / "bad.csv", records), *FEED)
    assert result.code == 1
    assert "First 10 of the rejected rows" in result.out
    assert result.out.count("'nowhere'") == 10


def test_text_of_a_file_cannot_steer_the_terminal(dci: Dci, home: Path) -> None:
    records = rows(30)
    records[0][3] = "\x1b[2J\x1b]0;owned\x07[bold red]x[/]\u202egnp"
    for row in records:
        row[1] += "\x9b31m"
    result = dci("check", write(home / "evil\x1b[31m.csv", records), *FEED)
    assert result.code == 1
    for sign in ("\x1b", "\x07", "\x9b", "\u202e"):
        assert sign not in result.all
    assert "\\x1b[2J" in result.out
    assert "[bold red]x[/]" in result.out


def _bytes(records: list[list[str]], encoding: str = "gb18030", header: list[str] | None = None) -> bytes:
    lines = [",".join(row) for row in [HEADER if header is None else header, *records]]
    return ("\n".join(lines) + "\n").encode(encoding)


UNREADABLE: dict[str, tuple[str, bytes, tuple[str, ...]]] = {
    "empty": ("empty.csv", b"", ("empty.csv", "no rows")),
    "header alone": ("head.csv", _bytes([]), ("head.csv", "no rows")),
    "unknown column": (
        "more.csv",
        _bytes([[*row, "x"] for row in rows(3)], header=[*HEADER, "surprise"]),
        ("more.csv", "surprise", "record_id"),
    ),
    "missing column": (
        "less.csv",
        _bytes([row[:-1] for row in rows(3)], header=HEADER[:-1]),
        ("less.csv", "missing column 'amount_fen'"),
    ),
    "wrong encoding": ("utf16.csv", _bytes(rows(3), "utf-16"), ("utf16.csv", "utf-16", "gb18030")),
    "truncated parquet": ("cut.parquet", b"PAR1" + bytes(40), ("cut.parquet", "Parquet")),
    "no parquet": ("not.parquet", _bytes(rows(3)), ("not.parquet", "Parquet")),
    "truncated gzip": ("cut.csv.gz", gzip.compress(_bytes(rows(3000)))[:400], ("cut.csv.gz",)),
}


@pytest.mark.parametrize("case", list(UNREADABLE))
def test_a_file_that_cannot_be_read_is_named_with_what_was_found(dci: Dci, home: Path, case: str) -> None:
    name, content, says = UNREADABLE[case]
    (home / name).write_bytes(content)
    result = dci("check", home / name, *FEED, "--month", MONTH, "--partner", "pay_a")
    assert result.code == 2
    assert all(word in result.err for word in says), result.err
    assert "found" in result.err
    as_json = dci("check", home / name, *FEED, "--month", MONTH, "--partner", "pay_a", "--json")
    assert as_json.code == 2
    assert json.loads(as_json.out)["accepted"] is False


def test_a_file_above_the_limit(dci: Dci, home: Path, short_reference: Path) -> None:
    contract = short_reference / "dci/feeds/transactions.yaml"
    contract.write_text(contract.read_text("utf-8").replace("maxBytes: 2000000000", "maxBytes: 1000"), "utf-8")
    packed = home / "big.csv.gz"
    packed.write_bytes(gzip.compress(_bytes(rows(200))))
    for path in (write(home / "big.csv", rows(200)), packed):
        result = dci("check", path, *FEED)
        assert result.code == 2
        assert path.name in result.err
        assert "1,000" in result.err


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("--month", "2018-05"), 2, ("dates of another month", "2018-05", "event_date")),
        (("--month", "2018-13"), 2, ("--month", "'2018-13'", "a month such as 2019-01")),
        (("--month", "0000-01"), 2, ("--month",)),
        (("--month", "9999-12"), 2, ("--month",)),
        (("--partner", "nobody"), 2, ("nobody", "pay_a, pay_b")),
        (("--partner", "pay_b"), 2, ("rows of another partner", "pay_a", "pay_b")),
        (("--feed", "nothing"), 2, ("no such feed", "transactions")),
        (("--index", "nothing"), 2, ("no such index", "dci")),
    ],
)
def test_what_is_asked_for_and_cannot_be(
    dci: Dci, home: Path, args: tuple[str, ...], code: int, says: tuple[str, ...]
) -> None:
    feed = () if "--feed" in args else FEED
    result = dci("check", write(home / "good.csv", rows()), *feed, *args)
    assert result.code == code
    assert all(word in result.all for word in says), result.all


def test_what_cannot_be_inferred_is_asked_for(dci: Dci, home: Path) -> None:
    two_months = write(home / "two.csv", [*rows(5), *rows(5, month="2018-04")])
    result = dci("check", two_months, *FEED)
    assert result.code == 2
    assert "2018-03 (5 rows)" in result.err
    assert "add --month" in result.err
    two_partners = write(home / "partners.csv", [*rows(5), *rows(5, partner="pay_b")])
    result = dci("check", two_partners, *FEED)
    assert result.code == 2
    assert "add --partner" in result.err
    stranger = write(home / "stranger.csv", rows(5, partner="stranger"))
    assert dci("check", stranger, *FEED).code == 2
    no_dates = write(home / "undated.csv", [[*row[:2], "soon", *row[3:]] for row in rows(5)])
    result = dci("check", no_dates, *FEED)
    assert result.code == 2
    assert "no date that can be read" in result.err


def test_nothing_is_kept(dci: Dci, home: Path) -> None:
    dci("check", write(home / "good.csv", rows()), *FEED)
    assert sorted(path.name for path in home.iterdir()) == ["good.csv"]


@pytest.mark.realdata
def test_a_file_of_many_periods_is_judged_period_by_period(dci: Dci, pulse_source: Path) -> None:
    path = pulse_source / PULSE_FILES["transactions"]
    result = dci("check", path, "--index", "pulse", "--feed", "transactions", "--json")
    assert result.code == 0
    data = json.loads(result.out)
    assert len(data["periods"]) == 28
    assert data["periods"][0]["coverage"][0] == {"indicator": "transaction_count", "places": 36, "expected": 36}
    one = dci("check", path, "--index", "pulse", "--feed", "transactions", "--quarter", "2024Q4", "--json")
    assert [period["period"] for period in json.loads(one.out)["periods"]] == ["2024Q4"]
