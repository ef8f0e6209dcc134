"""`dci simulate`: the same request, the same bytes; every planted fault is what `dci check` finds, row by row."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from dci_pipeline_tests.cli.conftest import Dci

SMALL = ("--months", "2018-03", "--rows", "800", "--feed", "transactions", "--partner", "pay_a")


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*.csv*"))}


def test_equal_requests_give_equal_bytes_and_nothing_new(dci: Dci, home: Path) -> None:
    first = dci("simulate", *SMALL)
    assert first.code == 0
    assert "1 new" in first.out
    before = digests(home / "deliveries")
    again = dci("simulate", *SMALL)
    assert "0 new, 1 already there" in again.out
    assert digests(home / "deliveries") == before
    other = dci("simulate", *SMALL, "--seed", "8", "--out", home / "other", "--no-land")
    assert other.code == 0
    assert digests(home / "other") != before


def test_files_lie_by_feed_and_partner(dci: Dci, home: Path) -> None:
    dci(
        "simulate",
        "--from",
        "2018-03",
        "--to",
        "2018-04",
        "--rows",
        "400",
        "--feed",
        "transactions",
        "--form",
        "csv",
        "--no-land",
    )
    folder = home / "deliveries/dci"
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.csv"))
    assert found == [
        f"transactions/{partner}/transactions_{partner}_{month}.csv"
        for partner in ("pay_a", "pay_b")
        for month in ("2018-03", "2018-04")
    ]
    assert not (home / "warehouse").exists()


@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet"])
def test_every_form_passes_the_check(dci: Dci, home: Path, form: str) -> None:
    assert dci("simulate", *SMALL, "--form", form, "--no-land").code == 0
    path = home / f"deliveries/dci/transactions/pay_a/transactions_pay_a_2018-03.{form}"
    assert dci("check", path, "--feed", "transactions").code == 0


def test_planted_faults_are_found_row_by_row(dci: Dci, home: Path) -> None:
    faults = ("city.known:3", "key.unique:1", "row.shape:1", "amount_fen.range:2", "missing_places:2")
    result = dci("simulate", *SMALL, *[word for fault in faults for word in ("--fault", fault)])
    assert result.code == 0
    truth = json.loads((home / "deliveries/dci/faults.json").read_text("utf-8"))
    assert {entry["file"] for entry in truth} == {"transactions/pay_a/transactions_pay_a_2018-03.csv.gz"}
    path = home / "deliveries/dci" / truth[0]["file"]
    found = json.loads(dci("check", path, "--feed", "transactions", "--json").out)["periods"][0]
    counted = {rule["rule"]: rule["unexpected"] for rule in found["rules"] if rule["unexpected"]}
    assert counted == {entry["fault"]: entry["count"] for entry in truth if entry["rows"]}
    rejected = {(row["rules"], row["file_row"]) for row in found["first_rejected"]}
    assert rejected == {(entry["fault"], row) for entry in truth for row in entry["rows"]}
    places = next(entry["places"] for entry in truth if entry["fault"] == "missing_places")
    assert len(places) == 2
    assert found["coverage"][0]["places"] <= found["coverage"][0]["expected"]


def test_truths_of_other_files_are_kept_and_of_the_same_file_replaced(dci: Dci, home: Path) -> None:
    dci("simulate", *SMALL, "--fault", "city.known:3", "--no-land")
    dci(
        "simulate",
        "--months",
        "2018-04",
        "--rows",
        "400",
        "--feed",
        "transactions",
        "--partner",
        "pay_a",
        "--fault",
        "key.unique",
        "--no-land",
    )
    path = home / "deliveries/dci/faults.json"
    assert [entry["fault"] for entry in json.loads(path.read_text("utf-8"))] == ["city.known", "key.unique"]
    dci("simulate", *SMALL, "--no-land")
    assert [(entry["fault"], entry["count"]) for entry in json.loads(path.read_text("utf-8"))] == [("key.unique", 5)]


@pytest.mark.parametrize(
    "fault", ["unknown_column", "missing_column", "empty_file", "wrong_month", "truncated", "wrong_encoding"]
)
def test_a_file_broken_as_a_whole_is_refused_and_said_so(dci: Dci, home: Path, fault: str) -> None:
    result = dci("simulate", *SMALL, "--fault", fault)
    assert result.code == 0
    assert "1 refused" in result.out
    assert "Refused on landing" in result.out
    assert not list((home / "warehouse").rglob("delivery.json"))


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--fault", "nonsense"), ("no such fault", "city.known")),
        (("--fault", "city.known:many"), ("city.known:many",)),
        (("--fault", "missing_places:400"), ("more places to leave out", "missing_places:400", "at most")),
        (("--fault", "truncated", "--fault", "city.known"), ("stands alone",)),
        (("--fault", "city.known", "--fault-month", "2019-01"), ("no such delivery",)),
        (("--partner", "nobody"), ("no such partner",)),
        (("--form", "xlsx"), ("csv.gz", "parquet")),
        (("--months", "2018-05:2018-04"), ("ends before it begins",)),
        (("--from", "2018-05"), ("half a range",)),
    ],
)
def test_what_cannot_be_simulated(dci: Dci, args: tuple[str, ...], says: tuple[str, ...]) -> None:
    base = SMALL[2:] if args[0] in ("--months", "--from") else SMALL
    base = (*base[:-2],) if args[0] == "--partner" else base
    result = dci("simulate", *base, *args, "--no-land")
    assert result.code == 2
    assert all(word in result.err for word in says), result.err


def test_an_index_of_real_data_has_no_simulation(dci: Dci) -> None:
    result = dci("simulate", "--index", "pulse", "--months", "2018Q1")
    assert result.code == 2
    assert "pulse/simulation.yaml" in result.err
    assert "dci land" in result.err


def test_faults_are_listed_and_explained(dci: Dci) -> None:
    out = dci("simulate", "--list-faults", "--feed", "transactions").out
    assert all(name in out for name in ("sector.one_of", "key.unique.conflict", "missing_places", "truncated"))
