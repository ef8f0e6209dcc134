"""Arrival through the engine: a file in the folder becomes a delivery, an event and one run; a real daemon does it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from dci_pipeline import due
from dci_pipeline.defs import arrival
from dci_pipeline.defs.assembly import index_definitions
from dci_pipeline.defs.launch import ensure_home, open_instance
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period
from dci_pipeline.warehouse import arrived, deliveries
from dci_pipeline.warehouse.locks import lock
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import PROJECT, Simulated
from dci_pipeline_tests.defs.conftest import BROKEN, FEED, MONTHS, PARTNER, Launched

pytestmark = [pytest.mark.slow]

PATIENCE = 400.0
Given = tuple[Path, list[Simulated], Simulated, list[int]]


@dataclass
class Watch:
    """An index with a drop folder, its sensor, and the instance and cursor it is evaluated with."""

    work: Work
    instance: dg.DagsterInstance
    cursor: str | None = None
    definitions: dg.Definitions = field(init=False)

    def __post_init__(self) -> None:
        self.definitions = index_definitions(self.work)

    def put(self, file: Path, name: str | None = None) -> Path:
        folder = self.work.settings.drop_of("dci")
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(file, folder / (name or file.name)))

    def evaluate(self) -> dg.SensorResult:
        """One evaluation, of which the engine learns nothing."""
        sensor = self.definitions.resolve_sensor_def("dci_arrival")
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, repository_def=self.definitions.get_repository_def()
        ) as context:
            found = sensor.evaluate_tick(context)
        return dg.SensorResult(
            run_requests=found.run_requests,
            skip_reason=found.skip_message,
            cursor=found.cursor,
            asset_events=found.asset_events,
        )

    def tick(self) -> dg.SensorResult:
        """One evaluation, and what the daemon does with its result but for launching runs."""
        found = self.evaluate()
        for event in found.asset_events:
            self.instance.report_runless_asset_event(event)
        self.cursor = found.cursor
        return found


def watch_of(launched_or_landed: Work, folder: Path, instance: dg.DagsterInstance) -> Watch:
    settings = replace(launched_or_landed.settings, drop=folder / "share", settle=0.0)
    (folder / "share").mkdir(exist_ok=True)
    return Watch(Work(settings, "dci"), instance)


@pytest.fixture
def watch(deliveries: Given, tmp_path: Path) -> Iterator[Watch]:
    from dci_pipeline.settings import Settings

    work = Work(Settings(tmp_path / "warehouse", deliveries[0], "polars"), "dci")
    with dg.DagsterInstance.ephemeral() as instance:
        yield watch_of(work, tmp_path, instance)


def file_of(given: Given, partner: str, period: Period) -> Path:
    return next(item.path for item in given[1] if (item.feed, item.partner, item.period) == (FEED, partner, period))


def materialised(result: dg.SensorResult) -> list[tuple[str, str | None]]:
    return [
        ("/".join(event.asset_key.path), event.partition)
        for event in result.asset_events
        if isinstance(event, dg.AssetMaterialization)
    ]


def test_a_file_becomes_a_delivery_an_event_and_one_run(watch: Watch, deliveries: Given) -> None:
    watch.put(file_of(deliveries, PARTNER, MONTHS[0]))
    found = watch.tick()
    assert materialised(found) == [(f"dci/feeds/{FEED}", "2018-01")]
    (request,) = list(found.run_requests or ())
    assert request.partition_key == "2018-01"
    assert ["/".join(key.path) for key in request.asset_selection or ()] == [f"dci/validation/{FEED}"]
    (event,) = (item for item in found.asset_events if isinstance(item, dg.AssetMaterialization))
    from dci_pipeline.steps.feeds import take_stock

    stock = take_stock(watch.work, MONTHS[0], feed=FEED)
    assert (event.tags or {})["dagster/data_version"] == stock.data_version
    assert event.metadata["waiting_for"].value == "pay_b"
    again = watch.tick()
    assert (again.run_requests, materialised(again)) == ([], [])
    assert not list(watch.work.settings.drop_of("dci").glob("*.csv"))


def test_nothing_in_the_folder_is_said(watch: Watch) -> None:
    watch.tick()
    found = watch.tick()
    assert (found.skip_reason and found.skip_reason.skip_message, found.asset_events) == ("nothing in the folder", [])


def test_the_same_file_asks_for_the_same_run_and_a_restated_one_for_another(watch: Watch, deliveries: Given) -> None:
    broken, twin = file_of(deliveries, PARTNER, BROKEN), deliveries[2].path
    keys: list[str | None] = []
    for file in (broken, broken, twin, broken):
        watch.put(file)
        (request,) = list(watch.tick().run_requests or ())
        keys.append(request.run_key)
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_a_tick_whose_result_is_lost_is_made_good_by_the_next(watch: Watch, deliveries: Given) -> None:
    watch.put(file_of(deliveries, PARTNER, MONTHS[0]))
    lost = watch.evaluate()
    assert not list(watch.work.settings.drop_of("dci").glob("*.csv"))
    found = watch.tick()
    assert [item.run_key for item in list(found.run_requests or ())] == [
        item.run_key for item in lost.run_requests or ()
    ]
    assert materialised(found) == materialised(lost) != []
    assert watch.tick().run_requests == []


def test_months_that_come_together_are_one_run_where_they_follow_each_other(watch: Watch, deliveries: Given) -> None:
    for period in (MONTHS[0], MONTHS[1], MONTHS[3]):
        watch.put(file_of(deliveries, PARTNER, period))
    requests = list(watch.tick().run_requests or ())
    assert [item.partition_key for item in requests] == [None, "2018-04"]
    assert requests[0].tags["dagster/asset_partition_range_start"] == "2018-01"
    assert requests[0].tags["dagster/asset_partition_range_end"] == "2018-02"
    assert requests[0].tags["months"] == "2018-01...2018-02"


def test_what_is_refused_and_what_waits_is_in_the_message(watch: Watch, deliveries: Given) -> None:
    watch.put(file_of(deliveries, PARTNER, MONTHS[0]), "holiday.csv")
    watch.put(file_of(deliveries, PARTNER, MONTHS[0]), "transactions_pay_a_2018-01_1of2.csv")
    found = watch.tick()
    assert found.skip_reason is not None
    said = found.skip_reason.skip_message or ""
    assert "refused holiday.csv: a file name no contract knows" in said
    assert "transactions_pay_a_2018-01_1of2.csv: waits for part 2 of 2" in said


def test_a_month_that_is_not_over_is_landed_and_gets_its_run_when_it_is(
    watch: Watch, deliveries: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = file_of(deliveries, PARTNER, MONTHS[0])
    contract = watch.work.framework.feeds[FEED]
    text = source.read_text(encoding=contract.encoding).replace("2018-01-", "2030-01-")
    watch.put(source, "transactions_pay_a_2030-01.csv").write_text(text, encoding=contract.encoding)
    for _ in range(3):
        found = watch.tick()
        assert (found.run_requests, materialised(found)) == ([], [])
        assert found.skip_reason is not None
        assert "landed before the month is over, no run yet: transactions 2030-01" in str(found.skip_reason)
    assert deliveries_of(watch.work, "2030-01") == [PARTNER]
    later = dg.TimeWindowPartitionsDefinition(
        start="2018-01", fmt="%Y-%m", cron_schedule="0 0 1 * *", timezone="Asia/Shanghai", end_offset=600
    )
    monkeypatch.setattr(arrival.Partitions, "periods", later)
    watch.definitions = index_definitions(watch.work)
    assert [item.partition_key for item in list(watch.tick().run_requests or ())] == ["2030-01"]
    assert watch.tick().run_requests == []


def deliveries_of(work: Work, month: str) -> list[str]:
    return sorted(deliveries.current(work.warehouse.layout, FEED, work.framework.period(month)))


def test_a_cursor_that_is_not_ours_costs_nothing(watch: Watch, deliveries: Given) -> None:
    for cursor in ("nonsense", "[]", '{"seen": 3}', '{"seen": {"a": [1]}, "told": [2]}'):
        watch.cursor = cursor
        watch.put(file_of(deliveries, PARTNER, MONTHS[0]))
        assert len(list(watch.tick().run_requests or ())) == 1


def test_while_another_look_is_at_work_a_tick_waits(watch: Watch, deliveries: Given) -> None:
    watch.put(file_of(deliveries, PARTNER, MONTHS[0]))
    with lock(watch.work.warehouse.layout.locks, "dci-collect"):
        found = watch.tick()
    assert found.skip_reason is not None and "another look" in str(found.skip_reason)
    assert len(list(watch.tick().run_requests or ())) == 1


def test_what_the_system_refuses_fails_the_tick_once_there_is_nothing_else_to_tell(
    watch: Watch, deliveries: Given
) -> None:
    folder = watch.work.settings.drop_of("dci")
    watch.put(file_of(deliveries, PARTNER, MONTHS[0]))
    (folder / "refused").write_text("in the way", encoding="utf-8")
    watch.put(file_of(deliveries, PARTNER, MONTHS[0]), "holiday.csv")
    found = watch.tick()
    assert len(list(found.run_requests or ())) == 1
    watch.tick()
    with pytest.raises(Exception, match=r"left holiday\.csv: the system refused"):
        watch.tick()
    assert (folder / "holiday.csv").is_file()


def test_who_has_not_delivered_is_observed_before_its_day_and_after(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2018, 5, 6, 12, tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return now

    monkeypatch.setattr(arrival, "datetime", Clock)
    said = {
        "/".join(item.asset_key.path[1:]): (item.partition, item.description)
        for item in watch.tick().asset_events
        if isinstance(item, dg.AssetObservation)
    }
    assert said["feeds/transactions"] == ("2018-04", "expected by 2018-05-08, due in 2 days: pay_a, pay_b")
    assert said["feeds/mobile_traffic"][1] == "expected by 2018-05-06, due today: operator_a, operator_b, operator_c"
    assert watch.tick().asset_events == []
    now += timedelta(days=1)
    (late,) = (
        item.description
        for item in watch.tick().asset_events
        if isinstance(item, dg.AssetObservation) and item.asset_key.path[-1] == "mobile_traffic"
    )
    assert late is not None and "1 day late" in late


def test_validation_is_out_of_date_as_soon_as_a_restated_file_is_here(launched: Launched, tmp_path: Path) -> None:
    from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
    from dagster._core.loader import LoadingContextForTest

    from dci_pipeline.settings import Settings

    shutil.copytree(launched.work.settings.warehouse, tmp_path / "copy")
    work = Work(Settings(tmp_path / "copy", launched.work.settings.contracts, "polars"), "dci")
    with open_instance(work) as instance:
        watch = watch_of(work, tmp_path, instance)
        graph = watch.definitions.resolve_asset_graph()

        def status(period: Period) -> StaleStatus:
            key = dg.AssetKey(["dci", "validation", FEED])
            return CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance)).get_status(
                key, period.key
            )

        assert {status(period) for period in MONTHS} == {StaleStatus.FRESH}
        watch.put(launched.good.path)
        watch.tick()
        assert {period for period in MONTHS if status(period) is StaleStatus.STALE} == {BROKEN}


@pytest.mark.parametrize(("on", "status"), [(True, "RUNNING"), (False, "STOPPED")])
def test_the_sensor_is_on_where_a_drop_folder_is_named(watch: Watch, on: bool, status: str, tmp_path: Path) -> None:
    settings = replace(watch.work.settings, drop=tmp_path if on else None)
    sensor = index_definitions(Work(settings, "dci")).resolve_sensor_def("dci_arrival")
    assert sensor.default_status.value == status and sensor.minimum_interval_seconds == 30


def test_how_often_sensors_look_can_be_set(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("dci_arrival", "dci_follows", "dci_failed_runs")

    def intervals() -> list[int | None]:
        definitions = index_definitions(watch.work)
        return [definitions.resolve_sensor_def(name).minimum_interval_seconds for name in names]

    assert intervals() == [30, 10, 60]
    monkeypatch.setenv("DCI_LOOKS_EVERY", "7")
    assert intervals() == [7, 7, 7]
    for wrong in ("0", "soon", "1.5"):
        monkeypatch.setenv("DCI_LOOKS_EVERY", wrong)
        with pytest.raises(Finding, match="not a length of time"):
            intervals()


@pytest.fixture
def daemon(watch: Watch, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts a real daemon on the watched index; whatever was started is ended."""
    settings = watch.work.settings
    ensure_home(settings)
    environment = os.environ | {
        "DAGSTER_HOME": str(settings.dagster_home),
        "DCI_WAREHOUSE": str(settings.warehouse),
        "DCI_CONTRACTS": str(settings.contracts),
        "DCI_DROP": str(settings.drop),
        "DCI_DROP_SETTLE": "0",
    }
    log = (tmp_path / "daemon.log").open("ab")
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(PROJECT / "workspace.yaml")]
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    log.close()


def test_a_real_daemon_takes_a_file_from_the_folder_to_a_validated_month(
    watch: Watch, deliveries: Given, daemon: Callable[[], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    watch.put(file_of(deliveries, "pay_b", BROKEN))
    watch.put(file_of(deliveries, PARTNER, MONTHS[0]), "holiday.csv")
    process = daemon()
    with open_instance(watch.work) as instance:
        deadline = time.monotonic() + PATIENCE
        runs: list[dg.DagsterRun] = []
        while time.monotonic() < deadline and process.poll() is None:
            runs = list(instance.get_runs())
            if runs and all(run.is_finished for run in runs):
                break
            time.sleep(1)
        log = (tmp_path / "daemon.log").read_text(encoding="utf-8", errors="replace")
        assert len(runs) == 1, log
        run = runs[0]
        assert run.status is dg.DagsterRunStatus.SUCCESS, log
        assert run.tags["dagster/partition"] == BROKEN.key and run.tags["feed"] == FEED
        assert instance.get_materialized_partitions(dg.AssetKey(["dci", "validation", FEED])) == {BROKEN.key}
        assert instance.get_materialized_partitions(dg.AssetKey(["dci", "feeds", FEED])) == {BROKEN.key}
        assert instance.get_materialized_partitions(dg.AssetKey(["dci", "feeds", "app_usage"])) == set()
        (rules,) = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey(["dci", "validation", FEED]), "contract_rules"), limit=5
        )
        assert rules.status.value == "SUCCEEDED"
    assert (watch.work.settings.drop_of("dci") / "refused" / "holiday.csv.why.txt").is_file()
    assert "a file name no contract knows" in log or "holiday" in log


def test_notes_are_gone_once_told(watch: Watch, deliveries: Given) -> None:
    layout = watch.work.warehouse.layout
    watch.put(file_of(deliveries, PARTNER, MONTHS[0]))
    watch.tick()
    assert len(arrived.notes(layout, "month")) == 1
    watch.tick()
    assert arrived.notes(layout, "month") == {}
    assert json.loads(watch.cursor or "{}")["told"] == []


def test_a_feed_s_deadline_is_the_engine_s_freshness(watch: Watch) -> None:
    from dagster._core.definitions.freshness import CronFreshnessPolicy

    graph = watch.definitions.resolve_asset_graph()
    for feed, contract in watch.work.framework.feeds.items():
        policy = graph.get(dg.AssetKey(["dci", "feeds", feed])).freshness_policy_or_from_metadata
        assert isinstance(policy, CronFreshnessPolicy)
        assert policy.deadline_cron == f"0 0 {contract.expected_day + 1} * *"
        assert policy.timezone == "Asia/Shanghai"
        assert due.deadline(contract, "month")[1] == timedelta(days=contract.expected_day)
    assert graph.get(dg.AssetKey(["dci", "validation", FEED])).freshness_policy_or_from_metadata is None
