"""Great Expectations over the table of rule counts: it owns suite, thresholds, severities and results.

One expectation per contract rule reads its row of the counts, so the rows themselves are never scanned twice. The
library takes seconds to import, so it is loaded on the first judgement and kept; nothing is sent anywhere, and what is
stored holds no time, run id or machine: equal counts under an equal contract give equal JSON.
"""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import polars as pl

from dci_pipeline.contracts import FeedContract, Rule
from dci_pipeline.findings import Finding
from dci_pipeline.validation.verdict import verdict

SAMPLE = 10
SEVERITY = {"error": "critical", "warning": "warning"}


@dataclass(frozen=True)
class Judgement:
    """Suite and result as JSON-ready mappings, and the verdict they come to: the columns of verdict.verdict."""

    suite: dict[str, Any]
    result: dict[str, Any]
    verdict: pl.DataFrame


def judge(
    counts: pl.DataFrame, *, contract: FeedContract, name: str, samples: Mapping[str, Sequence[object]] | None = None
) -> Judgement:
    """Great Expectations' judgement of one delivery's rule counts; `name` names the suite.

    `samples`: rule id -> a few offending values or rows, shown as partial_unexpected_list.
    Raises Finding when the counts are of other rules, or when an expectation could not be evaluated.
    """
    expected = verdict(counts, contract)
    _, _, batches = _great_expectations()
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

    suite, document = _suite(contract.rules)
    rules = expected["rule"].to_list()
    table = pd.DataFrame(expected.select("rows", "unexpected").to_dict(as_series=False), index=rules)
    table["sample"] = [list((samples or {}).get(rule, ()))[:SAMPLE] for rule in rules]
    outcome = batches.get_batch(batch_parameters={"dataframe": table}).validate(suite)
    result = _stable(cast("dict[str, Any]", outcome.to_json_dict())) | {"suite_name": name}
    return Judgement(
        suite=copy.deepcopy(document) | {"name": name}, result=result, verdict=_as_verdict(expected, result)
    )


@functools.lru_cache(maxsize=64)
def _suite(rules: tuple[Rule, ...]) -> tuple[Any, dict[str, Any]]:
    """The suite of a contract's rules and its JSON: the same for every delivery but for the name."""
    library, rule_holds, _ = _great_expectations()
    suite = library.ExpectationSuite(
        name="rules",
        expectations=[
            rule_holds(
                rule=rule.id,
                column=rule.column,
                threshold=rule.threshold,
                description=rule.says,
                severity=SEVERITY[rule.severity],
            )
            for rule in rules
        ],
    )
    return suite, _stable(cast("dict[str, Any]", suite.to_json_dict()))


def _as_verdict(expected: pl.DataFrame, result: dict[str, Any]) -> pl.DataFrame:
    """The rules with percent and pass mark as Great Expectations gave them."""
    found: dict[str, tuple[float, bool]] = {}
    for entry in result["results"]:
        rule = str(entry["expectation_config"]["kwargs"]["rule"])
        failure = entry["exception_info"]
        if failure["raised_exception"]:
            # The library turns any exception into a failed expectation; that would blame the partner.
            raise Finding(
                "an expectation could not be evaluated",
                where=rule,
                found=failure["exception_message"],
                todo="compare the installed Great Expectations with the version in the lock file",
            )
        found[rule] = (float(entry["result"]["unexpected_percent"]), bool(entry["success"]))
    judged = pl.DataFrame(
        [(rule, *values) for rule, values in found.items()],
        schema={"rule": pl.String, "percent": pl.Float64, "passed": pl.Boolean},
        orient="row",
    )
    return (
        expected.drop("percent", "passed")
        .join(judged, on="rule", how="left", maintain_order="left")
        .select(expected.columns)
    )


def _stable(document: dict[str, Any]) -> dict[str, Any]:
    """Without ids, versions, times and the batch's address: they differ between equal judgements."""
    kept = {key: value for key, value in document.items() if key not in ("id", "meta", "result_url")}
    for entry in kept.get("results", []):
        entry.pop("meta", None)
        entry["expectation_config"]["kwargs"].pop("batch_id", None)
        entry["expectation_config"].pop("id", None)
        entry["exception_info"].pop("exception_traceback", None)
    for entry in kept.get("expectations", []):
        entry.pop("id", None)
    return kept


@functools.cache
def _great_expectations() -> tuple[Any, Any, Any]:
    """The library, the expectation and where counts are handed in: made once, used for every delivery."""
    import great_expectations
    from great_expectations.expectations.expectation import BatchExpectation

    class RuleHolds(BatchExpectation):
        """The share of rows that break one rule of a contract stays within the contract's threshold, in per cent."""

        rule: str
        column: str
        threshold: float

        def _validate(
            self, metrics: object, runtime_configuration: object = None, execution_engine: Any = None
        ) -> dict[str, Any]:
            # The one internal attribute relied on; a test pins it. The public way is a frame with one column per rule
            # and ExpectColumnValuesToBeBetween(max_value=threshold).
            table = execution_engine.batch_manager.active_batch_data.dataframe
            rows, unexpected = int(table.at[self.rule, "rows"]), int(table.at[self.rule, "unexpected"])
            percent = unexpected * 100 / rows if rows else 0.0
            return {
                "success": percent <= self.threshold,
                "result": {
                    "observed_value": percent,
                    "element_count": rows,
                    "unexpected_count": unexpected,
                    "unexpected_percent": percent,
                    "partial_unexpected_list": list(table.at[self.rule, "sample"]),
                },
            }

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    gx: Any = great_expectations
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_pandas("deliveries")
    return gx, RuleHolds, source.add_dataframe_asset("rule_counts").add_batch_definition_whole_dataframe("delivery")
