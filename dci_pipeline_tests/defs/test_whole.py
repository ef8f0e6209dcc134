"""One month of the whole index through the engine: every asset is made, links before the months that read them."""

from __future__ import annotations

import dagster as dg
import pytest

from dci_pipeline.defs.launch import run_in_process
from dci_pipeline.path import path
from dci_pipeline.periods import parse_span
from dci_pipeline.settings import Settings
from dci_pipeline.work import Key, Outcome, Work
from dci_pipeline_tests.conftest import land, simulate, small_contracts

MONTH = parse_span("2018-01", "month")


@pytest.mark.slow
def test_every_asset_of_a_month_is_made_in_order(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("whole")
    contracts = small_contracts(folder, reference=(MONTH[0].key, MONTH[0].key))
    work = Work(Settings(folder / "warehouse", contracts, "polars"), "dci")
    land(work, list(simulate(work, folder, MONTH, rows=400)))

    done: dict[Key, Outcome] = {}
    report = run_in_process(
        work, MONTH, progress=lambda step, _, outcome: done.setdefault(step.key, outcome) if outcome else None
    )

    assert report.held == {}
    steps = path(work.framework)
    assert set(done) == {step.key for step in steps}
    order = list(done)
    for step in steps:
        for read, how in step.reads:
            assert read == step.key or order.index(read) < order.index(step.key), (step.key, read, how)
    with dg.DagsterInstance.from_config(str(work.settings.dagster_home)) as instance:
        assert {run.job_name: run.status.value for run in instance.get_runs()} == {
            "dci_periods": "SUCCESS",
            "dci_years": "SUCCESS",
            "dci_catalogue": "SUCCESS",
        }
        # Runs come newest first.
        assert [run.job_name for run in instance.get_runs()] == ["dci_catalogue", "dci_years", "dci_periods"]
        for key in done:
            assert instance.get_latest_materialization_event(dg.AssetKey(["dci", *key])) is not None, key
    assert work.warehouse.read("marts", "exhibit_values", MONTH[0].year()).height > 0
