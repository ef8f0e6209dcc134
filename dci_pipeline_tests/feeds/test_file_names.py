"""Names of partners' files: a pattern means what it says, a name belongs to one delivery or to none."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline import contract_files
from dci_pipeline.contracts import FeedContract
from dci_pipeline.feeds.encoding import FORMS
from dci_pipeline.feeds.file_names import USUAL, Names, Place, check_pattern, guessed, name_of
from dci_pipeline.findings import Finding
from dci_pipeline.framework_files import read_framework
from dci_pipeline.periods import parse, parse_span
from dci_pipeline_tests.conftest import CONTRACTS

FEED = read_framework(CONTRACTS, "dci").feeds["transactions"]
QUARTERLY = read_framework(CONTRACTS, "pulse")


def named(**patterns: str) -> Mapping[str, FeedContract]:
    """Feeds with one pattern each, whose partners are pay_a and pay_b."""
    return {
        feed: replace(FEED, feed=feed, file_names=dict.fromkeys(FEED.partners, pattern))
        for feed, pattern in patterns.items()
    }


def place(pattern: str, name: str, *, cadence: str = "month") -> Place:
    return Names(named(sales=pattern), cadence).place(name)


APRIL = parse("2019-04", "month")
FITS = {
    "sales_pay_a_2019-04.csv": Place("sales", "pay_a", APRIL),
    "sales_pay_b_201904.parquet": Place("sales", "pay_b", APRIL),
    "SALES_Pay_A_2019-04.CSV.GZ": Place("sales", "pay_a", APRIL),
    "sales_pay_a_2019-04_2of3.csv": Place("sales", "pay_a", APRIL, 2, 3),
    "sales_pay_a_2019-04_02of13.csv": Place("sales", "pay_a", APRIL, 2, 13),
}


@pytest.mark.parametrize("name", FITS)
def test_a_name_says_which_delivery_it_belongs_to(name: str) -> None:
    assert place(USUAL, name) == FITS[name]


@pytest.mark.parametrize(
    ("spelled", "quarter"), [("2019Q3", "2019Q3"), ("2019-q3", "2019Q3"), ("2019-07", None), ("2019Q5", None)]
)
def test_a_quarter_is_spelled_as_one(spelled: str, quarter: str | None) -> None:
    if quarter is None:
        with pytest.raises(Finding):
            place(USUAL, f"sales_pay_a_{spelled}.csv", cadence="quarter")
    else:
        assert place(USUAL, f"sales_pay_a_{spelled}.csv", cadence="quarter").period == parse(quarter, "quarter")


def test_a_time_of_sending_means_nothing_and_an_accent_is_one_letter() -> None:
    assert place("{stamp}-Café-{partner}-{period}.{form}", "20190508103000-CAFE\u0301-pay_b-2019-04.csv") == Place(
        "sales", "pay_b", APRIL
    )
    assert place("收入_{partner}_{period}.csv", "收入_pay_a_2019-04.csv") == Place("sales", "pay_a", APRIL)


STRANGE = [
    "sales_pay_c_2019-04.csv",
    "sales_pay_a_2019-04.csv.exe",
    "xsales_pay_a_2019-04.csv",
    "sales_pay_a_2019-04.csv\n",
    "sales_pay_a_٢٠١٩-04.csv",
    "sales_pay_a_2019-04_1of12345.csv",
    "..",
    "-rf",
    "a" * 255,
    "sales_pay_a_2019-04.csv;rm -rf .",
    "\udcff\udcfe",
    "\x1b[2Jsales.csv",
    "\u202egz.vsc",
]


@pytest.mark.parametrize("name", STRANGE)
def test_a_name_that_no_pattern_stands_for_is_refused_in_words_that_can_be_shown(name: str) -> None:
    with pytest.raises(Finding, match="a file name no contract knows") as refused:
        place(USUAL, name)
    said = str(refused.value)
    assert "sales_{partner}_{period}" in said
    assert all(char.isprintable() or char == "\n" for char in said)
    said.encode("utf-8")
    assert len(said.splitlines()) == 4


def test_the_nearest_name_is_told() -> None:
    with pytest.raises(Finding, match=r"the nearest name is sales_pay_a_2018-11\.csv:"):
        place(USUAL, "sales-pay_a-2018-11.csv")
    with pytest.raises(Finding, match="add the name to the feed's contract"):
        place(USUAL, "holiday.jpeg")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("sales_pay_a_2019-13.csv", "not a month"),
        ("sales_pay_a_0019-01.csv", "not a month"),
        ("sales_pay_a_2019-04_4of3.csv", "part 4 of 3"),
        ("sales_pay_a_2019-04_0of0.csv", "part 0 of 0"),
    ],
)
def test_a_name_that_names_nothing_possible_is_refused(name: str, says: str) -> None:
    with pytest.raises(Finding, match=says) as refused:
        place(USUAL, name)
    assert refused.value.where == name


WRONG = {
    "": "cannot be read",
    "sales_{partner}.csv": "no column with the period",
    "sales[_{period}].csv": "no column with the period",
    "sales_{period}_{part}.csv": "without {parts}",
    "sales_{partner}{period}.csv": "beside another",
    "sales_1{period}.csv": "beside a digit",
    "sales_{period}[{part}of{parts}].csv": "beside another",
    "{period}_{period}.csv": "twice",
    "sales_{month}.csv": "cannot be read",
    "sales_{period}.*": "cannot be read",
    "sales_\\d+_{period}.csv": "cannot be read",
    "../{period}.csv": "cannot be read",
    "sales_{period}[_x[_y]].csv": "cannot be read",
    "sales_{period}[.csv": "cannot be read",
    "sales_{period}].csv": "cannot be read",
    "sales_{period}[].csv": "cannot be read",
    "[a][b][c][d][e]{period}.csv": "cannot be read",
    ".sales_{period}.csv": "hidden files",
    "sales_{period}.part": "unfinished uploads",
    "sales_{period}.SHA256": "checksums",
    " {period}.csv": "a blank at an end",
}


@pytest.mark.parametrize("pattern", WRONG)
def test_a_pattern_that_could_not_work_is_refused_when_the_contract_is_read(pattern: str) -> None:
    with pytest.raises(Finding) as refused:
        check_pattern(pattern, periods_inside=False, where="here")
    assert WRONG[pattern] in str(refused.value)


def test_a_feed_whose_rows_name_their_period_needs_none_in_the_name() -> None:
    check_pattern("all.{form}", periods_inside=True, where="here")
    names = Names(QUARTERLY.feeds, "quarter")
    assert names.place("agg_transactions.parquet") == Place("transactions", "phonepe", None)
    assert names.place("agg_transactions_2019Q1.csv") == Place("transactions", "phonepe", parse("2019Q1", "quarter"))


SHARED = {
    "the same pattern": ({"one": "x_{partner}_{period}.csv", "two": "x_{partner}_{period}.csv"}, "x_pay_a_"),
    "one literal, one partner": ({"one": "{feed}_{partner}_{period}.csv", "two": "one_pay_b_{period}.csv"}, "pay_b"),
    "a form that a literal is": ({"one": "{partner}_{period}.{form}", "two": "PAY-{partner}-{period}.csv"}, None),
    "an optional piece": ({"one": "a[_b]_{partner}_{period}.csv", "two": "a_b_{partner}_{period}.csv"}, "a_b_pay"),
    "a stamp that is a literal": (
        {"one": "{stamp}_{partner}_{period}.csv", "two": "20190401_{partner}_{period}.csv"},
        "20190401_pay",
    ),
    "case": ({"one": "A_{partner}_{period}.csv", "two": "a_{partner}_{period}.csv"}, "a_pay"),
    "apart": ({"one": "one_{partner}_{period}.csv", "two": "two_{partner}_{period}.csv"}, None),
    "apart by their ends": ({"one": "{partner}_{period}.csv", "two": "{partner}_{period}.parquet"}, None),
    "nobody told apart": ({"one": "one_{period}.csv"}, "one_"),
}


@pytest.mark.parametrize("case", SHARED)
def test_two_patterns_that_share_a_name_are_refused_with_it(case: str) -> None:
    patterns, shared = SHARED[case]
    names = Names(named(**patterns), "month")
    if shared is None:
        names.check("here")
        return
    with pytest.raises(Finding, match="would belong to two") as refused:
        names.check("here")
    assert shared in str(refused.value)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("index", ["dci", "pulse"])
def test_every_contract_s_own_names_are_known(index: str, form: str) -> None:
    framework = read_framework(CONTRACTS, index)
    names = Names(framework.feeds, framework.cadence)
    span = parse_span("2018Q4:2019Q1" if index == "pulse" else "2018-12:2019-01", framework.cadence)
    for feed, contract in framework.feeds.items():
        for partner in contract.partners:
            for period in span:
                found = names.place(name_of(contract, partner, period, form))
                assert (found.feed, found.partner, found.period or period) == (feed, partner, period)


def test_a_form_the_pattern_has_no_name_for_is_told() -> None:
    contract = named(sales="sales_{partner}_{period}.csv[.gz]")["sales"]
    assert name_of(contract, "pay_a", APRIL, "csv") == "sales_pay_a_2019-04.csv"
    assert name_of(contract, "pay_a", APRIL, "csv.gz") == "sales_pay_a_2019-04.csv.gz"
    with pytest.raises(Finding, match="no name for a parquet file"):
        name_of(contract, "pay_a", APRIL, "parquet")


@given(st.text(max_size=60) | st.from_regex(r"(sales|pay_a|_|2019|-|04|1of2|\.csv|\.gz)*", fullmatch=True))
def test_any_name_belongs_to_one_delivery_or_is_refused(name: str) -> None:
    try:
        found = place(USUAL, name)
    except Finding:
        return
    assert found.feed == "sales" and found.partner in FEED.partners and found.period is not None


def changed(folder: Path, **custom: object) -> Path:
    """The contract of transactions with custom properties set; `fileName` of None takes it away."""
    copy = folder / "data_contracts"
    shutil.copytree(CONTRACTS, copy)
    path = copy / "dci" / "feeds" / "transactions.yaml"
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    entries = {entry["property"]: entry["value"] for entry in raw["customProperties"]} | custom
    raw["customProperties"] = [{"property": key, "value": value} for key, value in entries.items() if value]
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    return copy


def test_a_partner_may_have_names_of_its_own_and_results_do_not_depend_on_them(tmp_path: Path) -> None:
    partners = [
        {"partner": "pay_a", "name_zh": "示例支付甲", "name_en": "Sample Payment A", "fileName": "PAY-{period}.{form}"},
        {"partner": "pay_b", "name_zh": "示例支付乙", "name_en": "Sample Payment B"},
    ]
    framework = read_framework(changed(tmp_path, partners=partners), "dci")
    names = Names(framework.feeds, "month")
    assert names.place("pay-2019-04.csv") == Place("transactions", "pay_a", APRIL)
    assert names.place("transactions_pay_b_2019-04.csv") == Place("transactions", "pay_b", APRIL)
    with pytest.raises(Finding):
        names.place("transactions_pay_a_2019-04.csv")
    assert framework.feeds["transactions"].sha256 == FEED.sha256


def test_without_a_pattern_files_have_the_usual_names(tmp_path: Path) -> None:
    framework = read_framework(changed(tmp_path, fileName=None), "dci")
    assert set(framework.feeds["transactions"].file_names.values()) == {USUAL}
    assert framework.feeds["transactions"].sha256 == FEED.sha256


def test_an_index_whose_feeds_share_a_name_does_not_load(tmp_path: Path) -> None:
    copy = changed(tmp_path, fileName="app_usage_appstat_a_{period}.{form}")
    with pytest.raises(Finding, match="would belong to two partners or feeds"):
        read_framework(copy, "dci")


def test_a_contract_with_a_wrong_pattern_does_not_load(tmp_path: Path) -> None:
    copy = changed(tmp_path, fileName=".*")
    with pytest.raises(Finding, match=r"transactions\.yaml fileName"):
        contract_files.read_feed(copy / "dci" / "feeds" / "transactions.yaml", index="dci")


@pytest.mark.parametrize(
    ("file", "partners", "pattern"),
    [
        ("logistics_2019-04.csv", ["a"], "logistics_{period}.{form}"),
        ("Logistics_HAULIER_201904.csv.gz", ["haulier", "other"], "Logistics_{partner}_{period}.{form}"),
        ("logistics_2019Q1.parquet", ["a"], "logistics_{period}.{form}"),
        ("logistics_2019-04.csv", ["a", "b"], USUAL),
        ("new.csv", ["a"], USUAL),
        ("x;y_2019-04.csv", ["a"], USUAL),
        ("logistics_2019-04.txt", ["a"], USUAL),
    ],
)
def test_a_draft_guesses_the_pattern_from_the_sample_s_name(file: str, partners: list[str], pattern: str) -> None:
    assert guessed(file, partners, periods_inside=False)[0] == pattern
