"""Mistakes in a file of corrections, one by one: each is refused by a Finding with file and key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from dci_pipeline.correction_files import read_corrections
from dci_pipeline.findings import Finding
from dci_pipeline.framework_files import read_framework
from dci_pipeline.periods import parse
from dci_pipeline_tests.conftest import CONTRACTS

APRIL = parse("2019-04", "month")
VERSIONS = read_framework(CONTRACTS, "dci").versions
Raw = dict[str, Any]


def good() -> Raw:
    return {
        "id": "one",
        "partner": "pay_a",
        "reason": "Known.",
        "reporter": "Somebody",
        "status": "active",
        "since": date(2019, 6, 3),
        "action": "override",
        "where": {"record_id": "r1", "event_date": "2019-04-03"},
        "set": {"sector": "零售"},
        "expect": {"2019-04": {"rows": 1, "values": {"sector": "金融"}, "sum": {"amount_fen": 12}}},
    }


def read(folder: Path, content: object, name: str = "transactions.yaml"):
    path = folder / "dci" / "corrections" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else yaml.safe_dump(content, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
    return read_corrections([path], cadence="month", versions=VERSIONS)


def test_a_correction_is_read_as_its_columns_hold_values(tmp_path: Path) -> None:
    (found,) = read(tmp_path, {"corrections": [good()]})["transactions"]
    assert found.matching == {"record_id": ("r1",), "event_date": (date(2019, 4, 3),)}
    assert found.set == {"sector": "零售"}
    assert found.expect[APRIL].values == {"sector": ("金融",)}
    assert (found.active, found.since) == (True, "2019-06-03")


def test_one_withdrawn_is_a_record_and_may_name_what_is_no_more(tmp_path: Path) -> None:
    (found,) = read(tmp_path, {"corrections": [good() | {"status": "withdrawn", "set": {"gone": 1}}]})["transactions"]
    assert not found.active


def scaled(raw: Raw, **scale: object) -> None:
    del raw["set"]
    raw |= {"action": "scale", "scale": {"column": "amount_fen"} | scale}


def guard(raw: Raw, **given: object) -> None:
    raw["expect"] = {"2019-04": given}


MISTAKES: dict[str, tuple[Callable[[Raw], object], str, str]] = {
    # what is written, where it is found, what is said
    "an unknown key": (lambda raw: raw.update(reson="x"), "", "reson"),
    "no reason": (lambda raw: raw.pop("reason"), "correction 'one'", "reason"),
    "an empty reporter": (lambda raw: raw.update(reporter=" "), "correction 'one' reporter", "empty"),
    "no guard": (lambda raw: raw.pop("expect"), "correction 'one'", "expect"),
    "an id with a blank": (lambda raw: raw.update(id="a b"), "id", "not an id"),
    "an unknown status": (lambda raw: raw.update(status="done"), "correction 'one' status", "active, withdrawn"),
    "no day": (lambda raw: raw.update(since="yesterday"), "correction 'one' since", "not a date"),
    "an unknown action": (lambda raw: raw.update(action="guess"), "correction 'one' action", "drop, override"),
    "an unknown partner": (lambda raw: raw.update(partner="pay_z"), "correction 'one' partner", "pay_a, pay_b"),
    "an unknown column": (lambda raw: raw.update(set={"sectr": "x"}), "correction 'one' set.sectr", "sector"),
    "an unknown condition": (lambda raw: raw.update(where={"x": 1}), "correction 'one' where.x", "record_id"),
    "a number for a text": (
        lambda raw: raw.update(where={"record_id": 1}),
        "correction 'one' where.record_id",
        "quotes",
    ),
    "an empty list": (
        lambda raw: raw.update(where={"record_id": []}),
        "correction 'one' where.record_id",
        "matches nothing",
    ),
    "no conditions": (lambda raw: raw.update(where={}), "correction 'one' where", "not a mapping"),
    "a word for all": (lambda raw: raw.update(where="every"), "correction 'one' where", "not a mapping"),
    "a value of another type": (
        lambda raw: raw.update(set={"amount_fen": "12"}),
        "correction 'one' set.amount_fen",
        "integer",
    ),
    "true for a number": (
        lambda raw: raw.update(set={"amount_fen": True}),
        "correction 'one' set.amount_fen",
        "integer",
    ),
    "an integer past 64 bits": (
        lambda raw: raw.update(set={"amount_fen": 2**63}),
        "correction 'one' set.amount_fen",
        "integer",
    ),
    "no day of the calendar": (
        lambda raw: raw.update(set={"event_date": "2019-04-31"}),
        "correction 'one' set.event_date",
        "date",
    ),
    "set without override": (
        lambda raw: raw.update(action="drop"),
        "correction 'one' set",
        "belongs to the action override",
    ),
    "scale by nothing": (scaled, "correction 'one' scale", "exactly one"),
    "scale by both": (lambda raw: scaled(raw, multiply=2, divide=2), "correction 'one' scale", "exactly one"),
    "scale by one and a half": (lambda raw: scaled(raw, multiply=1.5), "correction 'one' scale", "whole number"),
    "scale by one": (lambda raw: scaled(raw, divide=1), "correction 'one' scale.divide", "2 to"),
    "scale of a text": (
        lambda raw: scaled(raw, divide=2, column="sector"),
        "correction 'one' scale.column",
        "not a measure",
    ),
    "a guard without the changed column": (
        lambda raw: guard(raw, rows=1, sum={"amount_fen": 1}),
        "correction 'one' expect.2019-04",
        "sector",
    ),
    "a guard of rows alone": (lambda raw: guard(raw, rows=1), "correction 'one' expect.2019-04", "would not see"),
    "a guard for no row": (lambda raw: guard(raw, rows=0), "correction 'one' expect.2019-04", "1 or more"),
    "a sum of a text": (
        lambda raw: guard(raw, rows=1, sum={"sector": 1}),
        "correction 'one' expect.2019-04.sum",
        "not a measure",
    ),
    "a sum that is a text": (
        lambda raw: guard(raw, rows=1, sum={"amount_fen": "12"}),
        "correction 'one' expect.2019-04.sum",
        "not a number",
    ),
    "another key in a guard": (lambda raw: guard(raw, rows=1, mean=2), "correction 'one' expect.2019-04", "mean"),
    "no month": (lambda raw: raw.update(expect={"2019-13": {"rows": 1}}), "correction 'one' expect", "not a month"),
    "a month before the contract": (
        lambda raw: raw.update(expect={"2014-12": {"rows": 1}}),
        "correction 'one' expect.2014-12",
        "contract",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_names_file_and_key(mistake: str, tmp_path: Path) -> None:
    change, where, says = MISTAKES[mistake]
    raw = good()
    change(raw)
    with pytest.raises(Finding, match=f"(?s){says}") as refused:
        read(tmp_path, {"corrections": [raw]})
    assert refused.value.where.startswith(f"dci/corrections/transactions.yaml {where}".strip())


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        ("corrections: [", "transactions.yaml", "not valid YAML"),
        ("- 1", "transactions.yaml", "not a mapping"),
        ("corrections: x", "transactions.yaml", "not a list"),
        ("corrections: [x]", "transactions.yaml", "not a mapping|mapping"),
        ({"corrections": [good(), good()]}, "transactions.yaml", "listed twice.*one"),
        ({"corrections": []}, "transaction.yaml", "unknown feed.*transactions"),
        ("corrections: [{&a id: *a}]", "transactions.yaml", "corrections/transactions.yaml"),
        ("!!python/object/apply:os.system [ls]", "transactions.yaml", "not valid YAML"),
    ],
)
def test_a_hostile_file_is_named(content: object, name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(Finding, match=f"(?s){says}") as refused:
        read(tmp_path, content, name)
    assert f"dci/corrections/{name}" in refused.value.where
