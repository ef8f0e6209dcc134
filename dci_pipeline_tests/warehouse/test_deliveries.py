"""Deliveries are append-only and by content: the same bytes are a no-op, later ones supersede."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import polars as pl
import pytest

from dci_pipeline.contracts import FeedContract
from dci_pipeline.findings import Finding
from dci_pipeline.framework_files import read_framework
from dci_pipeline.periods import parse
from dci_pipeline.warehouse import deliveries
from dci_pipeline.warehouse.layout import Layout, checked_partner
from dci_pipeline_tests.conftest import CONTRACTS

PERIOD = parse("2019-05", "month")
HEADER = "partner,record_id,event_date,city,sector,transaction_count,amount_fen\n"


@pytest.fixture(scope="module")
def contract() -> FeedContract:
    return read_framework(CONTRACTS, "dci").feeds["transactions"]


def write(folder: Path, name: str, *rows: str, packed: bool = False) -> Path:
    content = (HEADER + "".join(f"{row}\n" for row in rows)).encode("gb18030")
    path = folder / name
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    return path


def row(number: int, *, city: str = "成都", count: object = 5) -> str:
    return f"pay_a,r{number},2019-05-0{number % 9 + 1},{city},金融,{count},{100 * number}"


def land(folder: Path, contract: FeedContract, *files: Path) -> deliveries.Landing:
    done = deliveries.land(
        Layout(folder / "warehouse", "dci"), files, contract=contract, cadence="month", partner="pay_a", period=PERIOD
    )
    assert len(done) == 1
    return done[0]


def test_a_delivery_keeps_the_bytes_and_a_receipt(tmp_path: Path, contract: FeedContract) -> None:
    path = write(tmp_path, "五月.csv", row(1), row(2))
    delivery = land(tmp_path, contract, path).delivery
    kept = delivery.folder / "五月.csv"
    assert kept.read_bytes() == path.read_bytes()
    receipt = json.loads((delivery.folder / "delivery.json").read_text(encoding="utf-8"))
    assert receipt["parts"] == [
        {"name": "五月.csv", "bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    ]
    assert (receipt["rows"], receipt["number"], receipt["supersedes"]) == (2, 1, None)
    assert delivery.folder.parent.name == "partner=pay_a"
    assert delivery.folder.name == delivery.sha256[:12]


def test_one_bad_value_costs_one_row(tmp_path: Path, contract: FeedContract) -> None:
    delivery = land(
        tmp_path, contract, write(tmp_path, "a.csv", row(1), row(2, count="many"), row(3) + ",x", row(4))
    ).delivery
    typed = pl.read_parquet(delivery.typed)
    assert typed.select("file_row", "transaction_count").rows() == [(1, 5), (2, None), (3, None), (4, 5)]
    assert [text and text.split(":")[0] for text in typed["unparsed"]] == [None, "transaction_count", "row", None]


def test_the_same_bytes_twice_are_a_no_op(tmp_path: Path, contract: FeedContract) -> None:
    path = write(tmp_path, "a.csv", row(1))
    assert land(tmp_path, contract, path).new
    before = sorted((tmp_path / "warehouse").rglob("*"))
    assert not land(tmp_path, contract, path).new
    assert sorted((tmp_path / "warehouse").rglob("*")) == before


def test_a_later_delivery_supersedes_and_overwrites_nothing(tmp_path: Path, contract: FeedContract) -> None:
    first = land(tmp_path, contract, write(tmp_path, "a.csv", row(1))).delivery
    second = land(tmp_path, contract, write(tmp_path, "a.csv", row(1), row(2))).delivery
    layout = Layout(tmp_path / "warehouse", "dci")
    assert deliveries.current(layout, "transactions", PERIOD)["pay_a"] == second
    assert second.supersedes == first.sha256
    assert [item.number for item in deliveries.history(layout, "transactions", PERIOD, "pay_a")] == [1, 2]
    assert (first.folder / "a.csv").is_file()


def test_the_first_delivery_sent_again_becomes_current_again(tmp_path: Path, contract: FeedContract) -> None:
    first = land(tmp_path, contract, write(tmp_path, "a.csv", row(1))).delivery
    land(tmp_path, contract, write(tmp_path, "b.csv", row(2)))
    again = land(tmp_path, contract, write(tmp_path, "a.csv", row(1)))
    assert (again.new, again.delivery.sha256, again.delivery.number) == (True, first.sha256, 3)


def test_part_files_make_one_delivery_in_any_order(tmp_path: Path, contract: FeedContract) -> None:
    one, two = write(tmp_path, "1.csv", row(1)), write(tmp_path, "2.csv.gz", row(2), row(3), packed=True)
    assert land(tmp_path, contract, two, one).new
    again = land(tmp_path, contract, one, two)
    assert not again.new
    assert [part.name for part in again.delivery.parts] == ["1.csv", "2.csv.gz"]
    assert pl.read_parquet(again.delivery.typed).select("file", "file_row").rows() == [(0, 1), (1, 1), (1, 2)]


def test_two_part_files_of_one_name_are_both_kept(tmp_path: Path, contract: FeedContract) -> None:
    (tmp_path / "x").mkdir()
    one, two = write(tmp_path, "a.csv", row(1)), write(tmp_path / "x", "a.csv", row(2))
    delivery = land(tmp_path, contract, one, two).delivery
    assert {(delivery.folder / part.name).read_bytes() for part in delivery.parts} == {
        one.read_bytes(),
        two.read_bytes(),
    }


@pytest.mark.parametrize("name", ["delivery.json", "typed.parquet"])
def test_a_part_file_cannot_take_the_place_of_what_the_warehouse_writes(
    tmp_path: Path, contract: FeedContract, name: str
) -> None:
    path = write(tmp_path, name, row(1))
    if name.endswith(".parquet"):
        pl.read_csv(path.read_bytes().decode("gb18030").encode(), infer_schema=False).write_parquet(path)
    delivery = land(tmp_path, contract, path).delivery
    assert delivery.rows == 1
    assert delivery.parts[0].name not in {"delivery.json", "typed.parquet"}


def test_an_unexpected_partner_is_refused(tmp_path: Path, contract: FeedContract) -> None:
    with pytest.raises(Finding, match="one of pay_a, pay_b"):
        deliveries.land(
            Layout(tmp_path, "dci"),
            [write(tmp_path, "a.csv", row(1))],
            contract=contract,
            cadence="month",
            partner="pay_z",
            period=PERIOD,
        )


def test_a_month_is_needed_where_the_file_does_not_tell(tmp_path: Path, contract: FeedContract) -> None:
    with pytest.raises(Finding, match="no period given"):
        deliveries.land(
            Layout(tmp_path, "dci"),
            [write(tmp_path, "a.csv", row(1))],
            contract=contract,
            cadence="month",
            partner="pay_a",
            period=None,
        )


def test_a_file_of_another_partner_is_refused(tmp_path: Path, contract: FeedContract) -> None:
    other = [row(number).replace("pay_a", "pay_b") for number in range(1, 4)]
    with pytest.raises(Finding) as found:
        land(tmp_path, contract, write(tmp_path, "a.csv", row(1)), write(tmp_path, "b.csv", *other))
    assert str(found.value).splitlines()[:3] == [
        "b.csv: rows of another partner",
        "  found:    pay_b in column partner",
        "  expected: pay_a",
    ]
    assert not list(tmp_path.rglob("delivery.json"))
    assert land(tmp_path, contract, write(tmp_path, "mixed.csv", *other, row(9))).new, "single rows are a rule's matter"
    unnamed = write(tmp_path, "unnamed.csv", row(1).removeprefix("pay_a"))
    assert land(tmp_path, contract, unnamed).new, "empty partners are a rule's matter"


def test_what_is_no_file_is_said(tmp_path: Path, contract: FeedContract) -> None:
    for path, says in ((tmp_path, "a directory"), (tmp_path / "nowhere.csv", "nothing")):
        with pytest.raises(Finding) as found:
            land(tmp_path, contract, path)
        assert (found.value.found, found.value.expected, bool(found.value.todo)) == (says, "a file", True)


@pytest.mark.parametrize("partner", ["../x", "", "a b", "x" * 65])
def test_a_partner_that_cannot_name_a_folder_is_refused_with_advice(partner: str) -> None:
    with pytest.raises(Finding, match="not a partner's id") as found:
        checked_partner(partner)
    assert "check --partner" in found.value.todo
