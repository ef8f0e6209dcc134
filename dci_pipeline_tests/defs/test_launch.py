"""Refreshes through a real instance: each month has its own record, one held back stops alone, nothing runs twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import dagster as dg
import pytest

from dci_pipeline import refresh
from dci_pipeline.defs.assembly import index_definitions
from dci_pipeline.defs.launch import ensure_home, open_instance, run_in_process
from dci_pipeline.findings import Finding
from dci_pipeline.path import path
from dci_pipeline.periods import Period, parse, parse_span, stretches
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests.commands import warm
from dci_pipeline_tests.conftest import CONTRACTS, land
from dci_pipeline_tests.defs.conftest import BROKEN, FEED, MONTHS, PARTNER, RULE, Launched

pytestmark = [pytest.mark.slow]

GOOD = [period for period in MONTHS if period != BROKEN]


def asset(name: str) -> dg.AssetKey:
    return dg.AssetKey(["dci", *name.split("/")])


def last(instance: dg.DagsterInstance, name: str, partition: str | None) -> dg.AssetMaterialization:
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=asset(name), asset_partitions=[partition] if partition else None), limit=1
    ).records
    materialization = records[0].asset_materialization
    assert materialization is not None
    return materialization


def parts(work: Work) -> dict[str, bytes]:
    """Every committed file of the warehouse but the deliveries, by its path."""
    home = work.warehouse.layout.home
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in sorted(home.rglob("part.parquet"))}


@pytest.fixture(scope="module")
def instance(launched: Launched) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(launched.work.settings.dagster_home)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("feeds/transactions", MONTHS),
        ("validation/transactions", MONTHS),
        ("validation/app_usage", MONTHS),
        ("indicators/values", GOOD),
        ("normalise/shares", GOOD),
        ("index/points", GOOD),
        ("marts/index_month", GOOD),
        ("marts/quality_month", MONTHS),
    ],
)
def test_only_the_months_done_count_as_materialised(
    instance: dg.DagsterInstance, name: str, expected: list[Period]
) -> None:
    assert sorted(instance.get_materialized_partitions(asset(name))) == [period.key for period in expected]


def test_the_month_held_back_is_named_with_its_reason(launched: Launched) -> None:
    assert list(launched.report.held) == [BROKEN]
    assert f"dci/validation/{FEED} {BROKEN}: a blocking check failed" in launched.report.held[BROKEN]
    assert "60 of" in launched.report.held[BROKEN]


def test_each_month_has_its_own_version_rows_and_file(launched: Launched, instance: dg.DagsterInstance) -> None:
    versions = set()
    for period in GOOD:
        found = last(instance, "marts/index_month", period.key)
        table = launched.work.warehouse.read("marts", "index_month", period)
        assert found.metadata["dagster/row_count"].value == table.height
        assert found.metadata["state"].value == "written"
        assert found.metadata["file"].value.endswith(f"marts/index_month/{period.path}/part.parquet")
        version = (found.tags or {})["dagster/data_version"]
        assert version == launched.work.warehouse.data_version("marts", "index_month", period)
        versions.add(version)
    assert len(versions) == len(GOOD)


def test_each_month_tells_from_which_columns_its_own_are_computed(instance: dg.DagsterInstance) -> None:
    for period in GOOD:
        told = last(instance, "marts/index_month", period.key).metadata["dagster/column_lineage"]
        assert isinstance(told, dg.TableColumnLineageMetadataValue)
        points = told.lineage.deps_by_column["points"]
        assert [(dep.asset_key, dep.column_name) for dep in points] == [(asset("index/points"), "points")]


def test_each_month_has_its_own_check_results(launched: Launched, instance: dg.DagsterInstance) -> None:
    for check in ("contract_rules", "place_coverage"):
        key = dg.AssetCheckKey(asset(f"validation/{FEED}"), check)
        found = {
            info.partition_key: (info.latest_execution_status.value, info.is_current)
            for info in instance.event_log_storage.get_asset_check_partition_info([key])
        }
        failed = check == "contract_rules"
        assert found == {
            period.key: ("FAILED" if failed and period == BROKEN else "SUCCEEDED", True) for period in MONTHS
        }


def test_a_failed_check_shows_the_offending_rows(launched: Launched, instance: dg.DagsterInstance) -> None:
    history = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(asset(f"validation/{FEED}"), "contract_rules"), limit=20
    )
    (found,) = [
        evaluation
        for record in history
        if (evaluation := record.event.dagster_event.event_specific_data) and evaluation.partition == BROKEN.key
    ]
    assert not found.passed and found.blocking and found.severity is dg.AssetCheckSeverity.ERROR
    rules = [record.data for record in found.metadata["broken rules"].records]
    assert [(row["partner"], row["rule"], row["unexpected"]) for row in rules] == [
        (PARTNER, RULE, len(launched.broken_rows))
    ]
    shown = [record.data for record in found.metadata["offending rows"].records]
    assert [row["file_row"] for row in shown] == launched.broken_rows[:10]


def test_the_run_that_held_a_month_back_ends_failed_and_says_so(
    launched: Launched, instance: dg.DagsterInstance
) -> None:
    runs = {run.job_name: run for run in instance.get_runs()}
    assert {name: run.status.value for name, run in runs.items()} == {
        "dci_periods": "FAILURE",
        "dci_years": "SUCCESS",
        "dci_catalogue": "SUCCESS",
    }
    assert runs["dci_periods"].tags["months"] == "2018-01...2018-04"
    failures = {
        event.step_key: event.step_failure_data.user_failure_data
        for entry in instance.all_logs(runs["dci_periods"].run_id)
        if (event := entry.dagster_event) is not None and event.is_step_failure
    }
    assert sorted(failures) == [f"dci__marts__{table}_month" for table in ("contribution", "index", "quality")]
    for data in failures.values():
        assert data.description.splitlines()[0].endswith(f"held back: {BROKEN}")
        assert data.metadata["held back"].value == BROKEN.key


def test_progress_is_told_before_and_after_every_partition(launched: Launched) -> None:
    before = [(key, period) for key, period, outcome in launched.seen if outcome is None]
    after = [(key, period) for key, period, outcome in launched.seen if outcome is not None]
    assert after == [(outcome.key, outcome.period) for outcome in launched.report.outcomes]
    # What is held back was begun and has no outcome.
    assert [item for item in before if item in set(after)] == after
    assert {key for key, _ in before} == {step.key for step in path(launched.work.framework)}


def test_the_tables_are_those_of_a_refresh_without_the_engine(
    launched: Launched, landed: Callable[[Path], Work], tmp_path: Path
) -> None:
    work = landed(tmp_path)
    report = refresh.run_direct(work, MONTHS)
    assert set(report.held) == {BROKEN}
    assert parts(work) == parts(launched.work)


def copy_of(launched: Launched, folder: Path) -> Work:
    shutil.copytree(launched.work.settings.warehouse, folder / "copy")
    return Work(Settings(folder / "copy", launched.work.settings.contracts, "polars"), "dci")


def test_a_second_refresh_does_nothing_and_forgets_nothing(
    launched: Launched, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    work = copy_of(launched, tmp_path)
    report = run_in_process(work, GOOD)
    assert report.held == {}
    assert report.count("written", "same") == 0
    assert parts(work) == parts(launched.work)
    with dg.DagsterInstance.from_config(str(work.settings.dagster_home)) as instance:
        again = last(instance, "marts/index_month", "2018-04")
    assert again.metadata["state"].value == "unchanged"
    assert again.metadata["dagster/row_count"].value == work.warehouse.read("marts", "index_month", GOOD[-1]).height
    assert capfd.readouterr() == ("", "")


def test_the_ui_knows_what_is_out_of_sync_with_a_corrected_month(launched: Launched, tmp_path: Path) -> None:
    from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus

    work = copy_of(launched, tmp_path)
    graph = index_definitions(work).resolve_asset_graph()

    def status(instance: dg.DagsterInstance, name: str, period: Period) -> StaleStatus:
        from dagster._core.loader import LoadingContextForTest

        return CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance)).get_status(
            asset(name), period.key
        )

    # Growth on the month before, made while that month was held back.
    after = parse("2018-04", "month")
    with dg.DagsterInstance.from_config(str(work.settings.dagster_home)) as instance:
        assert status(instance, "marts/index_month", after) is StaleStatus.FRESH
        land(work, [launched.good])
        assert run_in_process(work, [BROKEN]).held == {}
        assert sorted(instance.get_materialized_partitions(asset("marts/index_month"))) == [
            period.key for period in MONTHS
        ]
        assert status(instance, "marts/index_month", BROKEN) is StaleStatus.FRESH
        assert status(instance, "marts/index_month", after) is StaleStatus.STALE
        run_in_process(work, [after])
        assert status(instance, "marts/index_month", after) is StaleStatus.FRESH


def test_one_month_launched_as_the_ui_does_stops_at_the_failed_check(launched: Launched, tmp_path: Path) -> None:
    work = copy_of(launched, tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        result = (
            index_definitions(work)
            .resolve_job_def("dci_periods")
            .execute_in_process(instance=instance, partition_key=BROKEN.key, raise_on_error=False)
        )
        assert not result.success
        assert result.get_failed_step_keys() == {f"dci__validation__{FEED}"}
        assert instance.get_materialized_partitions(asset(f"validation/{FEED}")) == {BROKEN.key}
        assert instance.get_materialized_partitions(asset("indicators/values")) == set()


@pytest.mark.parametrize("error", [Finding("the file is damaged", where="x.csv"), ZeroDivisionError("a mistake")])
def test_an_error_is_raised_as_it_was_and_the_months_done_are_kept(
    launched: Launched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from dci_pipeline.steps import normalise

    def fails(work: Work, period: Period) -> object:
        if period == GOOD[1]:
            raise error
        return totals(work, period)

    work, totals = copy_of(launched, tmp_path), normalise.totals
    shutil.rmtree(work.settings.dagster_home)
    monkeypatch.setattr(normalise, "totals", fails)
    with pytest.raises(type(error)) as raised:
        run_in_process(work, GOOD[:2])
    assert raised.value is error
    with dg.DagsterInstance.from_config(str(work.settings.dagster_home)) as instance:
        assert instance.get_materialized_partitions(asset("normalise/totals")) == {GOOD[0].key}
        assert instance.get_materialized_partitions(asset("index/points")) == set()
        assert [run.status.value for run in instance.get_runs()] == ["FAILURE"]


@pytest.mark.parametrize(("span", "says"), [("2999-01", "no such month yet"), ("2014-12", "a month before the first")])
def test_months_that_are_no_partitions_are_refused(launched: Launched, span: str, says: str) -> None:
    with pytest.raises(Finding, match=says):
        run_in_process(launched.work, parse_span(span, "month"))


def test_broken_spans_become_unbroken_runs() -> None:
    months = parse_span("2018-01:2018-03", "month") + parse_span("2018-06:2018-06", "month")
    assert list(stretches(reversed(months))) == [months[:3], months[3:]]


def test_the_engine_s_home_is_written_once_and_tells_nobody(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "warehouse", tmp_path, "polars")
    home = ensure_home(settings)
    assert home == tmp_path / "warehouse" / "dagster"
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert not instance.telemetry_enabled and not instance.nux_enabled
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    assert (ensure_home(settings) / "dagster.yaml").read_text(encoding="utf-8") == "telemetry: {enabled: false}\n"


def _open(folder: Path, together: Barrier, done: Queue[str]) -> None:
    work = Work(Settings(folder, CONTRACTS, "polars"), "dci")
    together.wait(120)
    try:
        with open_instance(work) as instance:
            done.put(str(instance.get_runs_count()))
    except Exception as error:
        done.put(repr(error))


def test_two_runs_at_once_may_be_the_first(tmp_path: Path) -> None:
    context = warm(__name__)
    together, done = context.Barrier(3), context.Queue()
    processes = [context.Process(target=_open, args=(tmp_path / "warehouse", together, done)) for _ in range(3)]
    for process in processes:
        process.start()
    assert [done.get(timeout=120) for _ in processes] == ["0"] * 3
    for process in processes:
        process.join()
