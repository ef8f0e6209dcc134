"""A failed run sends one message, to real receivers, from the sensor evaluated on a real instance and by a daemon."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from dci_pipeline.defs.assembly import index_definitions
from dci_pipeline.defs.failures import is_of
from dci_pipeline.defs.launch import run_in_process
from dci_pipeline.findings import Finding, Unfit
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import PROJECT
from dci_pipeline_tests.defs.conftest import BROKEN, MONTHS, PARTNER, RULE, Launched
from dci_pipeline_tests.receivers import Hook, hook, post

pytestmark = [pytest.mark.slow]

SETTINGS = (
    "ALERT_WEBHOOK",
    "ALERT_EMAIL",
    "ALERT_FROM",
    "SMTP_HOST",
    "SMTP_PORT",
    "SMTP_USER",
    "SMTP_PASSWORD",
    "UI_URL",
)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC).isoformat()
UI = "https://ui.example.org"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(f"DCI_{name}", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("DCI_UI_URL", UI)


class Watched:
    """A copy of the launched warehouse, whose run of the months failed at the broken one, and its sensor."""

    def __init__(self, work: Work, instance: dg.DagsterInstance):
        self.work, self.instance = work, instance
        self.sensor = index_definitions(work).get_repository_def().get_sensor_def(f"{work.index}_failed_runs")

    @property
    def failed(self) -> dg.DagsterRun:
        (run,) = self.instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
        return run

    def tick(self, cursor: str | None = LONG_AGO) -> tuple[str | None, str | None]:
        """One evaluation, as the daemon makes it; what it says and the cursor it leaves."""
        with dg.build_sensor_context(self.instance, cursor=cursor) as context:
            result = self.sensor.evaluate_tick(context)
        assert result.run_requests == []
        return result.skip_message, result.cursor


@pytest.fixture
def watched(launched: Launched, tmp_path: Path) -> Iterator[Watched]:
    shutil.copytree(launched.work.settings.warehouse, tmp_path / "copy")
    work = Work(Settings(tmp_path / "copy", launched.work.settings.contracts, "polars"), "dci")
    with dg.DagsterInstance.from_config(str(work.settings.dagster_home)) as instance:
        yield Watched(work, instance)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    with hook() as made:
        monkeypatch.setenv("DCI_ALERT_WEBHOOK", made.url)
        yield made


def test_a_failed_run_sends_one_message_with_what_an_engineer_needs(
    watched: Watched, receiver: Hook, launched: Launched
) -> None:
    assert watched.tick()[0] == "1 message sent."
    ((_, headers, body),) = receiver.came
    said = json.loads(body)
    run = watched.failed
    assert headers["Idempotency-Key"] == f"failed-run-{run.run_id}"
    assert said["subject"] == f"[dci] 运行失败 run failed: transactions {BROKEN} {RULE}"
    for text in (
        "index:      dci\n",
        "job:        dci_periods\n",
        "period:     2018-01 to 2018-04\n",
        "started by: dci run\n",
        f"validation/transactions {BROKEN}: the check contract_rules failed",
        f"partner: {PARTNER}; rule: {RULE}; severity: error; unexpected: 60;",
        f"file: transactions_{PARTNER}_{BROKEN}.csv; file_row: {launched.broken_rows[0]};",
        f"dci land FILE --index dci --feed transactions --partner {PARTNER} --period {BROKEN}",
        f"{UI}/runs/{run.run_id}",
    ):
        assert text in said["text"], said["text"]
    assert said["text"].count("file_row: ") == 10
    assert said["text"].count("Traceback") == 0


def test_a_tick_that_comes_again_sends_nothing_more(watched: Watched, receiver: Hook) -> None:
    _, cursor = watched.tick()
    # As after a daemon that died before it could keep the cursor, and as in the ordinary course.
    for again in (LONG_AGO, cursor, LONG_AGO):
        assert watched.tick(again)[0] is None
    assert len(receiver.came) == 1
    assert watched.failed.tags["alert/webhook"].startswith("sent ")


def test_a_message_that_is_not_taken_is_tried_again_and_the_tick_fails(watched: Watched, receiver: Hook) -> None:
    receiver.answers = [500, 500, 200]
    for _ in range(2):
        with pytest.raises(Finding, match="answered 500") as raised:
            watched.tick()
        assert "secret" not in str(raised.value)
        assert watched.failed.tags["alert/webhook"].startswith("failing since ")
    assert watched.tick()[0] == "1 message sent."
    assert watched.tick()[0] is None
    assert len(receiver.came) == 3
    assert len({headers["Idempotency-Key"] for _, headers, _ in receiver.came}) == 1


def test_a_channel_that_never_takes_it_is_given_up_after_a_day_and_the_other_has_its_own(
    watched: Watched, receiver: Hook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    receiver.answers = [404]
    with post(tmp_path) as box:
        for name, value in box.settings().items():
            monkeypatch.setenv(name, value)
        with pytest.raises(Finding, match="answered 404"):
            watched.tick()
        yesterday = datetime.now(UTC) - timedelta(days=1, minutes=1)
        watched.instance.add_run_tags(
            watched.failed.run_id, {"alert/webhook": f"failing since {yesterday.isoformat()}"}
        )
        with pytest.raises(Finding, match="given up"):
            watched.tick()
        assert watched.tick()[0] is None
        assert len(receiver.came) == 2
        (letter,) = box.letters
    run = watched.failed
    assert run.tags["alert/webhook"] == "given up: webhook at 127.0.0.1: answered 404"
    assert run.tags["alert/email"].startswith("sent ")
    assert letter["Subject"] == f"[dci] 运行失败 run failed: transactions {BROKEN} {RULE}"
    assert f"{UI}/runs/{run.run_id}" in letter.get_content()


def test_where_no_channel_is_set_it_says_so_once(watched: Watched) -> None:
    said, cursor = watched.tick(None)
    assert said and "failed runs send no message" in said
    assert watched.tick(cursor) == (None, cursor)
    assert "alert/webhook" not in watched.failed.tags


def test_failures_of_before_it_was_switched_on_send_nothing(watched: Watched, receiver: Hook) -> None:
    said, cursor = watched.tick(None)
    assert said == "From now on failed runs send a message to: webhook."
    assert watched.tick((datetime.fromisoformat(str(cursor)) + timedelta(hours=1)).isoformat())[0] is None
    assert receiver.came == []


def test_a_failed_run_of_another_index_is_not_this_one_s(watched: Watched, receiver: Hook) -> None:
    other = {"index": "another"}
    watched.instance.add_run_tags(watched.failed.run_id, other)
    assert watched.tick()[0] is None and receiver.came == []


def test_a_run_of_tables_chosen_on_their_pages_is_told_by_its_tables() -> None:
    def run(*keys: str) -> dg.DagsterRun:
        chosen = frozenset(dg.AssetKey(key.split("/")) for key in keys)
        return dg.DagsterRun(job_name="__ASSET_JOB", asset_selection=chosen or None)

    assert is_of(run("one/feeds/a"), "one") and not is_of(run("one/feeds/a"), "two")
    assert not is_of(run(), "one")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (Finding("the file is damaged", where="x.csv", todo="delete it"), "x.csv: the file is damaged"),
        (ZeroDivisionError("a mistake"), "ZeroDivisionError: a mistake"),
        (OSError(28, "No space left on device", "/w/part"), "No space left on device"),
    ],
    ids=["finding", "mistake", "full disk"],
)
def test_an_error_that_is_no_check_is_told_too(
    watched: Watched, receiver: Hook, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    from dci_pipeline.steps import normalise

    def fails(work: Work, period: object) -> object:
        raise error

    monkeypatch.setattr(normalise, "totals", fails)
    # Who started it by hand hears of a full disk in words; the message has the error itself.
    with pytest.raises(Unfit if isinstance(error, OSError) else type(error)):
        run_in_process(watched.work, [MONTHS[0]])
    assert watched.tick()[0] == "2 messages sent."
    texts = [json.loads(body)["text"] for _, _, body in receiver.came]
    assert says in texts[1] and "stopped: normalise/totals" in texts[1]


def test_the_daemon_s_own_tick_sends_it_and_keeps_no_secret(
    watched: Watched, receiver: Hook, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The daemon's loop body over a code server in a process of its own; then everything that was written is read."""
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster._daemon.sensor import execute_sensor_iteration

    settings = watched.work.settings
    for name, value in {
        "DAGSTER_HOME": str(settings.dagster_home),
        "DCI_WAREHOUSE": str(settings.warehouse),
        "DCI_CONTRACTS": str(settings.contracts),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(PROJECT)
    workspace = WorkspaceFileTarget([str(PROJECT / "workspace.yaml")])
    with WorkspaceProcessContext(watched.instance, workspace) as context:
        for _ in range(3):
            # The interval is over, and what the daemon kept of the last tick is lost.
            for state in watched.instance.all_instigator_state():
                data = state.instigator_data
                forgotten = data._replace(cursor=LONG_AGO, last_tick_timestamp=None, last_tick_start_timestamp=None)
                watched.instance.update_instigator_state(state.with_data(forgotten))
            list(execute_sensor_iteration(context, logging.getLogger("daemon"), None, None))
    assert len(receiver.came) == 1, "each of two indexes has its sensor, and this run is of one of them"
    states = {state.instigator_name: state for state in watched.instance.all_instigator_state()}
    assert {"dci_failed_runs", "pulse_failed_runs"} <= set(states)
    for state in states.values():
        ticks = watched.instance.get_ticks(state.instigator_origin_id, state.selector_id)
        assert [tick.status.value for tick in ticks] == ["SKIPPED"] * 3, [tick.error for tick in ticks]
    assert watched.failed.tags["alert/webhook"].startswith("sent ")
    written = [path for path in settings.warehouse.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in written)
    for secret in ("T0-secret-path", "tok-secret"):
        assert not [path for path in written if secret.encode() in path.read_bytes()]
        assert secret not in "".join(capfd.readouterr())
