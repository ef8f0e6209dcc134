"""Great Expectations judges the counts as the plain verdict does, and stores nothing that changes between runs."""

import json
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from dci_pipeline.contracts import FeedContract
from dci_pipeline.findings import Finding
from dci_pipeline.validation import expectations
from dci_pipeline.validation.expectations import judge
from dci_pipeline.validation.verdict import verdict
from dci_pipeline_tests.validation.deliveries import contract, frame, row, run
from dci_pipeline_tests.validation.test_verdict import counts


@pytest.fixture(scope="module")
def of(tmp_path_factory: pytest.TempPathFactory) -> FeedContract:
    return contract(tmp_path_factory.mktemp("contract"))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), rows=st.integers(0, 10**12))
def test_both_verdicts_agree(data: st.DataObject, rows: int, of: FeedContract) -> None:
    limit = st.integers(0, rows) | st.sampled_from([0, rows // 200, rows // 100])
    counted = counts(of, rows).with_columns(
        unexpected=pl.Series([data.draw(limit) for _ in range(len(of.rules) + 1)], dtype=pl.Int64)
    )
    assert_frame_equal(judge(counted, contract=of, name="visits").verdict, verdict(counted, of), check_exact=True)


def test_the_suite_says_thresholds_and_severities(of: FeedContract) -> None:
    suite = judge(counts(of, 10), contract=of, name="visits 2019-04 north").suite
    assert suite["name"] == "visits 2019-04 north"
    assert [
        (item["kwargs"]["rule"], item["kwargs"]["threshold"], item["severity"], item["description"])
        for item in suite["expectations"]
    ] == [
        (rule.id, rule.threshold, {"error": "critical"}.get(rule.severity, "warning"), rule.says) for rule in of.rules
    ]


def test_the_result_shows_figures_and_samples(of: FeedContract) -> None:
    result = judge(counts(of, 100, visits__range=2), contract=of, name="n", samples={"visits.range": range(99)}).result
    assert result["success"] is False and result["statistics"]["unsuccessful_expectations"] == 1
    entry = next(item for item in result["results"] if item["expectation_config"]["kwargs"]["rule"] == "visits.range")
    assert entry["result"] == {
        "observed_value": 2.0,
        "element_count": 100,
        "unexpected_count": 2,
        "unexpected_percent": 2.0,
        "partial_unexpected_list": list(range(10)),
    }


def test_equal_counts_give_equal_json(of: FeedContract) -> None:
    first, second = (judge(counts(of, 100, visits__range=2), contract=of, name="n") for _ in range(2))
    for before, after in ((first.suite, second.suite), (first.result, second.result)):
        assert json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)
        assert not {"batch_id", "run_id", "ge_load_time", "id"} & set(_keys(before))


def _keys(document: object) -> list[str]:
    if isinstance(document, dict):
        return [key for name, value in document.items() for key in (str(name), *_keys(value))]
    return [key for item in document for key in _keys(item)] if isinstance(document, list) else []


def test_the_internal_attribute_is_still_there() -> None:
    """Once this fails: hand the counts over as one row with a column per rule and use the stock between-expectation."""
    import pandas as pd

    _, rule_holds, batches = expectations._great_expectations()
    batch = batches.get_batch(batch_parameters={"dataframe": pd.DataFrame({"rows": [1]}, index=["r"])})
    batch.validate(rule_holds(rule="r", column="", threshold=1.0))
    assert batch.data.execution_engine.batch_manager.active_batch_data.dataframe["rows"].to_dict() == {"r": 1}


def test_an_expectation_that_breaks_is_no_verdict(of: FeedContract, monkeypatch: pytest.MonkeyPatch) -> None:
    library, rule_holds, batches = expectations._great_expectations()

    class Breaks(rule_holds):  # type: ignore[misc, valid-type]
        def _validate(self, *_: object, **__: object) -> None:
            raise AttributeError("active_batch_data")

    monkeypatch.setattr(expectations, "_great_expectations", lambda: (library, Breaks, batches))
    monkeypatch.setattr(expectations, "_suite", expectations._suite.__wrapped__)
    with pytest.raises(Finding, match="could not be evaluated"):
        judge(counts(of, 10), contract=of, name="n")


def test_importing_validation_does_not_import_the_library() -> None:
    code = (
        "import sys, dci_pipeline.validation.expectations, dci_pipeline.validation.scan\n"
        "assert not {'great_expectations', 'pandas', 'duckdb'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_a_delivery_costs_little_once_the_library_is_loaded(of: FeedContract) -> None:
    judge(counts(of, 10), contract=of, name="n")
    before = time.process_time()
    for _ in range(5):
        judge(counts(of, 10), contract=of, name="n")
    # About 0.03 s each; the limit only catches a context or an import per delivery.
    assert time.process_time() - before < 2.5


def test_stock_expectations_on_the_rows_agree(tmp_path: Path, of: FeedContract) -> None:
    """Cross-check: the library's own row expectations find what the scan counts."""
    import great_expectations.expectations as gxe

    rows = frame(
        [
            row(1),
            row(2, visits=2000),
            row(3, visits=None),
            row(4, kind="noon"),
            row(5, kind=None),
            row(6, record_id="BAD"),
            row(7),
            row(8, record_id="r7"),
            row(9, visits=-1),
        ]
    )
    found, _ = run("polars", [rows], tmp_path, of=of)
    counted = dict(found.counts.select("rule", "unexpected").iter_rows())
    _, _, batches = expectations._great_expectations()
    stock = {
        "visits.range": gxe.ExpectColumnValuesToBeBetween(column="visits", min_value=0, max_value=1000),
        "visits.not_null": gxe.ExpectColumnValuesToNotBeNull(column="visits"),
        "kind.one_of": gxe.ExpectColumnValuesToBeInSet(column="kind", value_set=["all", "day", "night"]),
        "kind.not_null": gxe.ExpectColumnValuesToNotBeNull(column="kind"),
        "record_id.pattern": gxe.ExpectColumnValuesToMatchRegex(column="record_id", regex="^[a-z0-9]{1,8}$"),
        "key.unique": gxe.ExpectColumnValuesToBeUnique(column="record_id"),
    }
    batch = batches.get_batch(batch_parameters={"dataframe": rows.to_pandas()})
    for rule, expectation in stock.items():
        outcome = batch.validate(expectation)
        assert outcome.result["unexpected_count"] == counted[rule] > 0, rule
