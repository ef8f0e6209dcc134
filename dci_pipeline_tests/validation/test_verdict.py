"""Pass marks of rule counts, coverage of places, completeness of partners."""

from pathlib import Path

import polars as pl
import pytest

from dci_pipeline.contracts import FeedContract
from dci_pipeline.findings import Finding
from dci_pipeline.periods import parse
from dci_pipeline.validation.verdict import blocked, coverage, verdict
from dci_pipeline_tests.validation.deliveries import LEAVES, PERIOD, contract

PLACES = pl.DataFrame({"code": ["A", "B", "C", "CR"], "type": ["town", "town", "town", "rest"]})


@pytest.fixture
def of(tmp_path: Path) -> FeedContract:
    return contract(tmp_path)


def counts(of: FeedContract, rows: int, **unexpected: int) -> pl.DataFrame:
    """The counts of a scan that found nothing but `unexpected`: rule ids with __ for the dot."""
    rules = of.rules
    found = {name.replace("__", "."): number for name, number in unexpected.items()}
    broken = [found.get(rule.id, 0) for rule in rules]
    return pl.DataFrame(
        {
            "rule": [rule.id for rule in rules] + ["any"],
            "column": [rule.column for rule in rules] + [""],
            "rows": [rows] * (len(rules) + 1),
            "unexpected": [*broken, sum(broken)],
        }
    )


@pytest.mark.parametrize(
    ("rows", "unexpected", "percent", "passed"),
    [
        (100, 1, 1.0, True),
        (1000, 11, 1.1, False),
        (300, 3, 1.0, True),
        (0, 0, 0.0, True),
        (10**9, 10**7 + 1, 1.0000001, False),
    ],
)
def test_a_share_equal_to_the_threshold_passes(
    of: FeedContract, rows: int, unexpected: int, percent: float, passed: bool
) -> None:
    judged = verdict(counts(of, rows, visits__range=unexpected), of).filter(pl.col("rule") == "visits.range")
    assert judged.select("severity", "threshold", "rows", "unexpected", "percent", "passed").rows() == [
        ("error", 1.0, rows, unexpected, percent, passed)
    ]


def test_the_verdict_keeps_the_contracts_order_and_leaves_any_out(of: FeedContract) -> None:
    judged = verdict(counts(of, 10), of)
    assert judged["rule"].to_list() == [rule.id for rule in of.rules]
    assert judged.columns == ["rule", "says", "severity", "threshold", "rows", "unexpected", "percent", "passed"]


def test_only_errors_block(of: FeedContract) -> None:
    judged = verdict(counts(of, 100, visits__range=2, kind__one_of=50, town__in_scope=100), of)
    assert judged.filter(~pl.col("passed"))["rule"].to_list() == ["visits.range", "kind.one_of"]
    assert blocked(judged) == ["visits.range"]


def test_counts_of_other_rules_are_refused(of: FeedContract) -> None:
    with pytest.raises(Finding, match="counts of another version"):
        verdict(counts(of, 10).slice(1), of)


def sums(*found: tuple[str, str, str, int]) -> pl.DataFrame:
    return pl.DataFrame(
        [(*row, 1) for row in found],
        orient="row",
        schema={
            "partner": pl.String,
            "place": pl.String,
            "indicator": pl.String,
            "value": pl.Int64,
            "records": pl.Int64,
        },
    )


def test_coverage_counts_expected_places_over_all_partners(of: FeedContract) -> None:
    found = sums(
        ("north", "A", "all_visits", 0),
        ("south", "B", "all_visits", 5),
        ("south", "A", "all_visits", 5),
        ("north", "CR", "all_visits", 5),
        ("north", "A", "traffic", 1),
    )
    judged = coverage(
        found,
        contract=of,
        leaves=LEAVES,
        places=PLACES,
        expected_types=["town"],
        delivered=["north", "south"],
        period=PERIOD,
    )
    assert judged.select("check", "subject", "passed", "missing").rows() == [
        ("completeness", "", True, ""),
        ("coverage", "all_visits", True, "C"),
        ("coverage", "night_visits", False, "A, B, C"),
        ("coverage", "traffic", False, "B, C"),
    ]
    assert judged["found"].to_list() == [100.0, 200 / 3, 0.0, 100 / 3]
    assert blocked(judged) == ["coverage night_visits", "coverage traffic"]


def test_a_partner_that_has_not_delivered_is_named(of: FeedContract) -> None:
    judged = coverage(
        sums(), contract=of, leaves=(), places=PLACES, expected_types=["town"], delivered=["south"], period=PERIOD
    )
    assert judged.rows() == [("completeness", "", 50.0, 100.0, "error", False, "north")]


def test_a_measure_not_yet_collected_is_not_expected(of: FeedContract) -> None:
    subjects = [
        coverage(
            sums(),
            contract=of,
            leaves=LEAVES,
            places=PLACES,
            expected_types=["town"],
            delivered=[],
            period=parse(month, "month"),
        )["subject"].to_list()
        for month in ("2019-02", "2019-03")
    ]
    assert subjects == [["", "all_visits", "night_visits"], ["", "all_visits", "night_visits", "traffic"]]


def test_only_the_first_ten_missing_places_are_named(of: FeedContract) -> None:
    places = pl.DataFrame({"code": [f"{number:02d}" for number in range(12)], "type": ["town"] * 12})
    judged = coverage(
        sums(), contract=of, leaves=LEAVES[:1], places=places, expected_types=["town"], delivered=[], period=PERIOD
    )
    assert judged["missing"][1] == "00, 01, 02, 03, 04, 05, 06, 07, 08, 09 and 2 more"
