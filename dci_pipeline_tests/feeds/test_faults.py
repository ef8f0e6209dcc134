"""Every fault breaks its own rule, on the records it says, and no other rule: judged by rules written out here anew."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date
from typing import Any

import polars as pl
import pytest

from dci_pipeline import periods
from dci_pipeline.contracts import FeedContract
from dci_pipeline.feeds import encoding, faults
from dci_pipeline.findings import Finding
from dci_pipeline_tests.feeds.conftest import column, contract_of, feed_contracts, read
from dci_pipeline_tests.feeds.test_simulation import GEOGRAPHY, simulate

PERIOD = periods.parse("2019-06", "month")
ALIASES = GEOGRAPHY.aliases_at(PERIOD)
KNOWN = set(ALIASES.filter(pl.col("scope") == "in")["alias"])
OUTSIDE = ALIASES.filter(pl.col("scope") == "out")["alias"].to_list()
FEEDS = feed_contracts("dci")
CASES = [(contract, rule) for contract in FEEDS for rule in faults.names(contract)]
ROW_CASES = [(contract, rule) for contract, rule in CASES if rule not in faults.FAULTS]


def violations(typed: pl.DataFrame, contract: FeedContract, partner: str) -> dict[str, list[int]]:
    """Records that break a rule, by rule: the contract's rules row by row, in plain Python."""
    found: dict[str, list[int]] = defaultdict(list)
    by_key: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in typed.iter_rows(named=True):
        number, reason = row["file_row"], row["unparsed"] or ""
        if reason.startswith("row: "):
            found["row.shape"].append(number)
            continue
        if all(row[name] is not None for name in contract.key):
            by_key[tuple(row[name] for name in contract.key)].append(row)
        for item in contract.columns:
            value, name = row[item.name], item.name
            if value is None:
                unparsed = any(part.startswith(f"{name}: ") for part in reason.split("; "))
                if unparsed or item.required:
                    found[f"{name}.type" if unparsed else f"{name}.not_null"].append(number)
                continue
            low, high = item.minimum, item.maximum
            broken = {
                f"{name}.range": (low is not None and value < low) or (high is not None and value > high),
                f"{name}.pattern": bool(item.pattern) and not re.search(item.pattern or "", str(value)),
                f"{name}.one_of": bool(item.values) and value not in item.values,
                f"{name}.matches": item.role == "partner" and value != partner,
                f"{name}.in_period": item.role == "date" and not PERIOD.start <= value < PERIOD.end,
                f"{name}.known": item.role == "place" and value not in KNOWN and value not in OUTSIDE,
                f"{name}.in_scope": item.role == "place" and value in OUTSIDE,
            }
            for rule, is_broken in broken.items():
                if is_broken:
                    found[rule].append(number)
    for rows in by_key.values():
        if len(rows) > 1:
            same = all(row[item.name] == rows[0][item.name] for row in rows for item in contract.columns)
            found["key.unique"] += [row["file_row"] for row in (rows[1:] if same else rows)]
    return {rule: sorted(rows) for rule, rows in found.items()}


def plant(frame: pl.DataFrame, contract: FeedContract, rule: str, count: int = 3, **options: Any) -> faults.Planted:
    return faults.plant(
        frame, contract, rule=rule, count=count, seed=7, period=PERIOD, outside=OUTSIDE, aliases=ALIASES, **options
    )


def partner_of(contract: FeedContract) -> str:
    return next(iter(contract.partners))


@pytest.fixture(scope="module")
def sent() -> dict[str, pl.DataFrame]:
    return {contract.feed: simulate(contract, rows=800) for contract in FEEDS}


@pytest.mark.parametrize("contract", FEEDS, ids=lambda item: item.feed)
def test_an_untouched_delivery_breaks_nothing(contract: FeedContract, sent: dict[str, pl.DataFrame]) -> None:
    assert (
        violations(read(encoding.encode(sent[contract.feed], contract), contract), contract, partner_of(contract)) == {}
    )


@pytest.mark.parametrize("contract", FEEDS, ids=lambda item: item.feed)
def test_every_rule_has_a_fault(contract: FeedContract) -> None:
    assert {rule.id for rule in contract.rules} <= set(faults.names(contract))


@pytest.mark.parametrize(("contract", "rule"), ROW_CASES, ids=[f"{item.feed}-{rule}" for item, rule in ROW_CASES])
def test_a_fault_breaks_its_rule_and_no_other(contract: FeedContract, rule: str, sent: dict[str, pl.DataFrame]) -> None:
    planted = plant(sent[contract.feed], contract, rule)
    typed = read(encoding.encode(planted.frame, contract), contract)
    assert violations(typed, contract, partner_of(contract)) == planted.rows
    hit = 6 if rule == "key.unique.conflict" else 3
    assert {name: len(rows) for name, rows in planted.rows.items()} == {
        "key.unique" if rule == "key.unique.conflict" else rule: hit
    }
    assert typed.height == planted.frame.height == sent[contract.feed].height + (3 if "unique" in rule else 0)


@pytest.mark.parametrize("contract", FEEDS, ids=lambda item: item.feed)
def test_faults_add_up_on_records_of_their_own(contract: FeedContract, sent: dict[str, pl.DataFrame]) -> None:
    frame, truth, hit = sent[contract.feed], {}, set[int]()
    for rule in [item.id for item in contract.rules]:
        planted = plant(frame, contract, rule, 5, avoid=hit)
        assert not hit & planted.hit
        frame, truth, hit = planted.frame, truth | planted.rows, hit | planted.hit
    typed = read(encoding.encode(frame, contract, form="csv.gz"), contract)
    assert violations(typed, contract, partner_of(contract)) == truth
    assert all(len(rows) == 5 for rows in truth.values())


def test_what_a_copy_was_made_of_is_left_alone(sent: dict[str, pl.DataFrame]) -> None:
    contract = FEEDS[0]
    frame = sent[contract.feed].head(20)
    doubled = plant(frame, contract, "key.unique", 10)
    ragged = plant(doubled.frame, contract, "row.shape", 10, avoid=doubled.hit)
    typed = read(encoding.encode(ragged.frame, contract), contract)
    assert violations(typed, contract, partner_of(contract)) == doubled.rows | ragged.rows


@pytest.mark.parametrize("contract", FEEDS, ids=lambda item: item.feed)
class TestWholeFile:
    @pytest.mark.parametrize(
        ("fault", "says"),
        [
            ("unknown_column", "unknown column 'surprise'"),
            ("missing_column", "missing column"),
            ("empty_file", "no rows"),
        ],
    )
    def test_frames_that_do_not_land(
        self, contract: FeedContract, sent: dict[str, pl.DataFrame], fault: str, says: str
    ) -> None:
        with pytest.raises(Finding, match=says):
            read(encoding.encode(plant(sent[contract.feed], contract, fault).frame, contract), contract)

    @pytest.mark.parametrize("form", encoding.FORMS)
    @pytest.mark.parametrize("fault", faults.BYTE_FAULTS)
    def test_bytes_that_do_not_land(
        self, contract: FeedContract, sent: dict[str, pl.DataFrame], tmp_path: Any, fault: str, form: str
    ) -> None:
        data = encoding.encode(sent[contract.feed], contract, form=form)
        if fault == "too_large":
            contract = contract_of(tmp_path, max_bytes=len(data) + 10)
        if fault == "wrong_encoding" and form != "csv":
            with pytest.raises(Finding, match="only plain text"):
                faults.spoil(data, contract, fault=fault)
            return
        says = {"truncated": "truncated|cut short|damaged", "wrong_encoding": "another encoding", "too_large": "larger"}
        with pytest.raises(Finding, match=says[fault]):
            read(faults.spoil(data, contract, fault=fault), contract)

    def test_wrong_month(self, contract: FeedContract, sent: dict[str, pl.DataFrame]) -> None:
        planted = plant(sent[contract.feed], contract, "wrong_month")
        typed = read(encoding.encode(planted.frame, contract), contract)
        assert violations(typed, contract, partner_of(contract)) == planted.rows
        (day,) = (item.name for item in contract.columns if item.role == "date")
        assert typed[day].is_between(date(2019, 5, 1), date(2019, 5, 31)).all()

    def test_missing_places(self, contract: FeedContract, sent: dict[str, pl.DataFrame]) -> None:
        planted = plant(sent[contract.feed], contract, "missing_places", 20)
        place = contract.place.source
        left = planted.frame.join(ALIASES, left_on=place, right_on="alias")["place"].unique()
        assert len(planted.places) == 20 and not set(planted.places) & set(left)
        assert len(left) == GEOGRAPHY.places_at(PERIOD).height - 20
        assert not planted.rows


class TestOddContracts:
    def test_a_measure_the_contract_multiplies(self, tmp_path: Any) -> None:
        contract = contract_of(
            tmp_path,
            [
                column("place", "string", "place"),
                column("id", "string", "record_id", key=True),
                column(
                    "paise",
                    "integer",
                    "measure",
                    minimum=0,
                    maximum=10**15,
                    custom={"multiplier": 100, "round": "half_even", "source": "rupees"},
                ),
            ],
        )
        frame = pl.DataFrame({"place": ["A", "B", "C"], "id": ["1", "2", "3"], "rupees": [1.5, 2.5, 3.5]})
        planted = plant(frame, contract, "paise.range", 2)
        typed = read(encoding.encode(planted.frame, contract), contract)
        wrong = typed.filter(~pl.col("paise").is_between(0, 10**15))
        assert wrong["file_row"].to_list() == planted.rows["paise.range"]
        assert sorted(wrong["paise"].to_list()) == [-1, 10**15 + 1]
        assert (
            read(encoding.encode(plant(frame, contract, "key.unique.conflict", 1).frame, contract), contract)[
                "paise"
            ].n_unique()
            == 4
        )

    def test_a_period_is_written_in_another_form(self, tmp_path: Any) -> None:
        contract = contract_of(
            tmp_path,
            [
                column("place", "string", "place", key=True),
                column("count", "integer", "measure", maximum=9),
                column("period", "string", "period", pattern="^20[0-9]{2}-[0-9]{2}$"),
            ],
        )
        frame = pl.DataFrame({"place": ["A", "B"], "count": [1, 2], "period": ["2019-06"] * 2})
        assert sorted(plant(frame, contract, "period.pattern", 1).frame["period"]) == ["2019-06", "2019-06-01"]

    def test_what_cannot_be_planted_is_said(self, tmp_path: Any) -> None:
        contract = contract_of(tmp_path)
        frame = pl.DataFrame({"region": ["A"], "id": ["1"], "day": ["2019-06-01"], "note": ["n"], "count": [1]})
        for rule, count, says in (("nothing.known", 1, "no such fault"), ("count.type", 2, "more faults than")):
            with pytest.raises(Finding, match=says):
                plant(frame, contract, rule, count)
        with pytest.raises(Finding, match="no names of units outside"):
            faults.plant(frame, contract, rule="place.in_scope", count=1, seed=1, period=PERIOD)
        with pytest.raises(Finding, match="no such fault"):
            faults.spoil(b"", contract, fault="fire")
        shaped = plant(frame, contract, "row.shape", 1)
        with pytest.raises(Finding, match="no rows of different length"):
            encoding.encode(shaped.frame, contract, form="parquet")
