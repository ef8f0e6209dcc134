"""A feed that is late tells somebody, once a day, and is tried again where the message was not taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from dci_pipeline.defs import overdue
from dci_pipeline.findings import Finding
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import Deliveries, land
from dci_pipeline_tests.receivers import hook

pytestmark = [pytest.mark.slow]

# Two months are here; of the third, due on the eighth of April or earlier, one partner's file has not come.
LATE = datetime(2018, 4, 20, 3, tzinfo=UTC)
MONTHS = ("2018-01", "2018-02", "2018-03")


@pytest.fixture
def work(narrow: Deliveries, tmp_path: Path) -> Work:
    contracts, files = narrow
    work = Work(Settings(tmp_path / "warehouse", contracts, "polars"), "dci")
    here = [item for item in files if item.period.key in MONTHS]
    land(work, [item for item in here if (item.feed, item.partner, item.period.key) != MISSING])
    return work


MISSING = ("transactions", "pay_a", "2018-03")


@pytest.fixture
def tick(work: Work) -> Callable[[dg.SensorEvaluationContext, datetime], dg.SkipReason]:
    return lambda context, now: overdue._tick(context, work, now)


def test_one_message_a_day_until_it_has_come(
    work: Work,
    narrow: Deliveries,
    tick: Callable[[dg.SensorEvaluationContext, datetime], dg.SkipReason],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with dg.DagsterInstance.ephemeral() as instance, hook(500, 200) as told:
        context = dg.build_sensor_context(instance=instance)
        monkeypatch.delenv("DCI_ALERT_WEBHOOK", raising=False)
        monkeypatch.delenv("DCI_ALERT_EMAIL", raising=False)
        assert "1 late" in str(tick(context, LATE).skip_message)

        monkeypatch.setenv("DCI_ALERT_WEBHOOK", told.url)
        # Not taken: the tick fails and the next one tries again.
        with pytest.raises(Finding, match="a message was not taken") as refused:
            tick(context, LATE)
        assert "secret" not in str(refused.value)
        for hour in range(3):
            tick(context, LATE.replace(hour=4 + hour))
        assert len(told.came) == 2
        said = json.loads(told.came[1][2])
        assert (said["feed"], said["index"]) == ("transactions", "dci")
        assert "pay_a for 2018-03: expected by 2018-04-" in said["text"]
        assert "waits for transactions from pay_a" in said["text"]

        tick(context, LATE.replace(day=21))
        assert len(told.came) == 3
        assert said["key"] != json.loads(told.came[2][2])["key"]
        land(work, [item for item in narrow[1] if (item.feed, item.partner, item.period.key) == MISSING])
        assert str(tick(context, LATE.replace(day=22)).skip_message) == "no feed is late"
        assert len(told.came) == 3


def test_before_its_day_nothing_is_late(tick: Callable[[dg.SensorEvaluationContext, datetime], dg.SkipReason]) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        reason = tick(dg.build_sensor_context(instance=instance), LATE.replace(day=3))
    assert str(reason.skip_message) == "no feed is late"
