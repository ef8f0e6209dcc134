"""What follows by itself: a real daemon brings an index up to date, and after a restatement recomputes what it must."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import polars as pl
import pytest

from dci_pipeline import plan, refresh
from dci_pipeline.defs.launch import open_instance
from dci_pipeline.path import path
from dci_pipeline.periods import Period, parse, parse_span
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import Deliveries, Simulated, land, simulate, small_contracts
from dci_pipeline_tests.defs.daemon import at_rest, counts, daemon, wait_for

pytestmark = [pytest.mark.slow]

MONTHS = [*parse_span("2018-01:2018-05", "month"), parse("2019-01", "month")]
RESTATED = parse("2018-04", "month")
FEED = "transactions"


@pytest.fixture
def work(narrow: Deliveries, tmp_path: Path) -> Work:
    contracts, files = narrow
    work = Work(Settings(tmp_path / "warehouse", contracts, "polars"), "dci")
    land(work, [item for item in files if item.period in MONTHS])
    return work


def again(work: Work, narrow: Deliveries, folder: Path) -> Simulated:
    """The first partner's file of the restated month, with one value changed."""
    contract = work.framework.feeds[FEED]
    measure = next(column for column in contract.columns if column.role == "measure")
    sent = next(item for item in narrow[1] if (item.feed, item.period) == (FEED, RESTATED))
    rows = pl.read_csv(sent.path.read_bytes().decode(contract.encoding).encode(), infer_schema=False)
    changed = rows.with_columns(pl.col(measure.source).str.replace("$", "1").alias(measure.source))
    target = folder / sent.path.name
    target.write_bytes(changed.head(1).vstack(rows.tail(-1)).write_csv().encode(contract.encoding))
    return Simulated(FEED, sent.partner, RESTATED, target)


def as_partitions(found: plan.Plan) -> Counter[tuple[str, str | None]]:
    """A plan as the engine counts it: what is made in one go is one materialisation."""
    return Counter(
        {
            ("/".join(key), None if part is None or key[1].endswith("links") else _engine_key(part)): 1
            for key, parts in found.items()
            for part in parts
        }
    )


def _engine_key(period: Period) -> str:
    return period.start.strftime("%Y" if period.cadence == "year" else "%Y-%m")


def files(work: Work) -> dict[str, tuple[int, bytes]]:
    home = work.warehouse.layout.home
    return {
        item.relative_to(home).as_posix(): (item.stat().st_ino, item.read_bytes())
        for item in home.rglob("part.parquet")
    }


def test_a_daemon_brings_it_up_to_date_and_after_a_restatement_what_must_be(
    work: Work, narrow: Deliveries, tmp_path: Path
) -> None:
    keys = [dg.AssetKey(["dci", *step.key]) for step in path(work.framework)]
    with open_instance(work) as instance, daemon(work, tmp_path) as said:
        wait_for("the first refresh", lambda: at_rest(instance), said)
        assert work.warehouse.layout.catalogue.is_file()
        assert plan.stale(work, MONTHS) == {}
        # A running year, and one that lacks months, have their tables all the same.
        for year in ("2018", "2019"):
            assert work.warehouse.read("marts", "index_year", parse(year, "year")).height
        before, held = counts(instance, keys), files(work)
        # A run for each unbroken stretch of months, then the years, then the rest.
        jobs = [run.job_name for run in reversed(instance.get_runs())]
        assert jobs == ["dci_periods", "dci_periods", "dci_years", "dci_catalogue"]

        foreseen = plan.impact(work, FEED, RESTATED, MONTHS)
        land(work, [again(work, narrow, tmp_path)])
        assert plan.stale(work, MONTHS) == foreseen
        wait_for("the restatement", lambda: not at_rest(instance), said)
        wait_for("the restatement", lambda: at_rest(instance), said)
        done = Counter(counts(instance, keys)) - Counter(before)
    assert done == as_partitions(foreseen)
    assert plan.stale(work, MONTHS) == {}

    # Only what was foreseen is another file, and not even all of that.
    now = files(work)
    rewritten = {name for name in now if now[name] != held.get(name)}
    assert rewritten
    foreseen_files = {
        work.warehouse.layout.table(*key, part).relative_to(work.warehouse.layout.home).as_posix()
        for key, parts in foreseen.items()
        for part in parts
        if key[0] not in ("feeds", "validation")
    }
    assert {name for name in rewritten if not name.startswith("validation/")} <= foreseen_files
    assert all(f"year=2018/month={RESTATED.start.month:02d}/" in name for name in rewritten if "validation/" in name)
    assert "marts/index_month/year=2018/month=04/part.parquet" in rewritten
    assert "marts/index_year/year=2018/part.parquet" in rewritten

    # The same as a world in which the second delivery was there from the start.
    fresh = Work(Settings(tmp_path / "fresh", work.settings.contracts, "polars"), "dci")
    land(fresh, [item for item in narrow[1] if item.period in MONTHS])
    land(fresh, [again(fresh, narrow, tmp_path)])
    refresh.run_direct(fresh, MONTHS)
    assert {name: content for name, (_, content) in files(fresh).items()} == {
        name: content for name, (_, content) in now.items()
    }


def test_the_schedule_runs_the_month_that_has_become_due_and_the_rest_follows(tmp_path: Path) -> None:
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    due = Period(today.replace(day=1), "month").shift(-1)
    months = [due.shift(-2), due.shift(-1), due]
    contracts = small_contracts(tmp_path, reference=(months[0].key, months[1].key), narrow=True)
    work = Work(Settings(tmp_path / "warehouse", contracts, "polars"), "dci")
    files = list(simulate(work, tmp_path, months, rows=300))
    # The months of the link's reference are there, as they are when another month becomes due: whether the schedule or
    # the sensor looks first must not matter.
    land(work, [item for item in files if item.period != due])
    refresh.run_direct(work, months[:-1])
    land(work, [item for item in files if item.period == due])
    fired = dg.RunsFilter(tags={"dagster/schedule_name": "dci_periods_when_due"})
    # Every minute, so that one comes soon.
    with open_instance(work) as instance, daemon(work, tmp_path, DCI_SCHEDULE="* * * * *") as said:
        wait_for("the schedule", lambda: bool(instance.get_runs(filters=fired)), said)
        run_id = instance.get_runs(filters=fired)[-1].run_id
        wait_for("its run", lambda: instance.get_run_by_id(run_id).is_finished, said)  # pyright: ignore
        wait_for("what follows", lambda: at_rest(instance), said)
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert (run.job_name, run.status.value) == ("dci_periods", "SUCCESS"), why(instance, run_id) + said()
        assert run.tags["dagster/partition"] == due.key
        assert asset_made(instance, "marts/index_month", due.key)
        assert asset_made(instance, "marts/index_year", str(due.start.year))
    assert plan.stale(work, months) == {}
    assert work.warehouse.layout.catalogue.is_file()


def why(instance: dg.DagsterInstance, run_id: str) -> str:
    """What a run's failures say."""
    events = (entry.dagster_event for entry in instance.all_logs(run_id))
    failures = (event for event in events if event is not None and event.is_failure)
    return "\n".join(f"{event.step_key}: {event.message} {event.event_specific_data}" for event in failures) + "\n"


def asset_made(instance: dg.DagsterInstance, name: str, partition: str) -> bool:
    return partition in instance.get_materialized_partitions(dg.AssetKey(["dci", *name.split("/")]))
