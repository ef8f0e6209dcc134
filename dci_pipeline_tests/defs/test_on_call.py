"""A night on call: a wrong file for an old month comes, is refused, is corrected and comes again; the rest follows."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from dci_pipeline import plan, refresh
from dci_pipeline.defs.launch import open_instance, run_in_process
from dci_pipeline.feeds import encoding, faults
from dci_pipeline.path import path
from dci_pipeline.periods import parse, parse_span
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import Deliveries, Simulated, land
from dci_pipeline_tests.defs.daemon import at_rest, counts, daemon, wait_for
from dci_pipeline_tests.defs.test_following import as_partitions, files
from dci_pipeline_tests.receivers import Hook, hook

pytestmark = [pytest.mark.slow]

MONTHS = parse_span("2018-01:2018-05", "month")
OLD = parse("2018-04", "month")
FEED, RULE, ROWS = "transactions", "city.known", 60


def sent(narrow: Deliveries, folder: Path) -> tuple[Simulated, bytes, bytes]:
    """The delivery of the old month, a second one for it with a broken column, and one without."""
    item = next(file for file in narrow[1] if (file.feed, file.period) == (FEED, OLD))
    work = Work(Settings(folder / "unused", narrow[0], "polars"), "dci")
    contract = work.framework.feeds[FEED]
    measure = next(column.source for column in contract.columns if column.role == "measure")
    rows = pl.read_csv(item.path.read_bytes().decode(contract.encoding).encode(), infer_schema=False)
    first = pl.int_range(pl.len()) == 0
    better = rows.with_columns(pl.when(first).then(pl.lit("12345")).otherwise(pl.col(measure)).alias(measure))
    broken = faults.plant(better, contract, rule=RULE, count=ROWS, seed=3, period=OLD).frame
    return item, encoding.encode(broken, contract, form="csv"), encoding.encode(better, contract, form="csv")


def of_runs(told: Hook) -> list[str]:
    """The messages about runs; those about feeds that are late, as all are after 2018, are others."""
    texts = [json.loads(body)["text"] for _, _, body in told.came]
    return [text for text in texts if "/runs/" in text]


def test_a_wrong_file_for_an_old_month_comes_is_refused_is_corrected_and_comes_again(
    narrow: Deliveries, tmp_path: Path
) -> None:
    contracts, simulated = narrow
    work = Work(Settings(tmp_path / "warehouse", contracts, "polars"), "dci")
    land(work, [item for item in simulated if item.period in MONTHS])
    assert not run_in_process(work, MONTHS).held
    item, wrong, right = sent(narrow, tmp_path)
    published = files(work)
    keys = [dg.AssetKey(["dci", *step.key]) for step in path(work.framework)]
    drop = tmp_path / "drop" / "dci"
    drop.mkdir(parents=True)
    name = f"{FEED}_{item.partner}_{OLD}.csv"
    foreseen = plan.impact(work, FEED, OLD, MONTHS)

    with (
        hook(200) as told,
        open_instance(work) as instance,
        daemon(work, tmp_path, DCI_DROP=str(drop.parent), DCI_DROP_SETTLE="1", DCI_ALERT_WEBHOOK=told.url,
               DCI_UI_URL="http://127.0.0.1:3000", NO_PROXY="127.0.0.1") as said,
    ):  # fmt: skip
        wait_for("the first look", lambda: at_rest(instance), said)
        (drop / name).write_bytes(wrong)
        wait_for("the message", lambda: bool(of_runs(told)), said)
        wait_for("what follows", lambda: at_rest(instance), said)

        # The message has feed, month, rule, the first rows and the run.
        (failed,) = instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
        (text,) = of_runs(told)
        for words in (FEED, OLD.key, RULE, item.partner, f"http://127.0.0.1:3000/runs/{failed.run_id}"):
            assert words in text, text
        # Nothing that is published of the index has changed; its quality says what came.
        changed = {key for key, content in files(work).items() if published.get(key) != content}
        assert changed
        assert all(key.startswith(f"validation/{FEED}_") or "marts/quality_month" in key for key in changed), changed
        # It can be read and is kept as a delivery; what is wrong with it is its rows.
        assert not (drop / name).exists() and not (drop / "refused").exists()

        before = counts(instance, keys)
        (drop / name).write_bytes(right)
        published_before = work.warehouse.written("marts", "index_month", OLD)
        wait_for(
            "the new figures", lambda: work.warehouse.written("marts", "index_month", OLD) > published_before, said
        )
        wait_for("what follows", lambda: at_rest(instance), said)
        after = counts(instance, keys)
        assert len(of_runs(told)) == 1
    made = {place for place, times in after.items() if times > before.get(place, 0)}
    assert made == set(as_partitions(foreseen))
    assert plan.stale(work, MONTHS) == {}

    # As if the right file had come the first time.
    fresh = Work(Settings(tmp_path / "fresh", contracts, "polars"), "dci")
    land(fresh, [one for one in simulated if one.period in MONTHS])
    again = tmp_path / "again" / name
    again.parent.mkdir()
    again.write_bytes(right)
    land(fresh, [Simulated(FEED, item.partner, OLD, again)])
    refresh.run_direct(fresh, MONTHS)
    assert {key: content for key, (_, content) in files(fresh).items()} == {
        key: content for key, (_, content) in files(work).items()
    }
