"""Every rule of every contract: the fault that breaks it is caught, counted exactly, set aside with its row numbers."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import polars as pl
import pytest

from dci_pipeline.data_files import read_yaml
from dci_pipeline.feeds import encoding, faults, simulation
from dci_pipeline.findings import Finding
from dci_pipeline.periods import parse
from dci_pipeline.settings import Settings
from dci_pipeline.steps import validation
from dci_pipeline.warehouse import deliveries
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import CONTRACTS

PERIOD = parse("2019-05", "month")
FEEDS = sorted(path.stem for path in (CONTRACTS / "dci" / "feeds").glob("*.yaml"))


def work_in(folder: Path, engine: str = "polars") -> Work:
    return Work(Settings(folder, CONTRACTS, engine), "dci")


@cache
def clean(feed: str, partner: str | None = None) -> pl.DataFrame:
    """A partner's faultless file, the first partner's by default."""
    work = work_in(Path("unused"))
    contract = work.framework.feeds[feed]
    profile = simulation.read_profile(read_yaml(CONTRACTS / "dci" / "simulation.yaml"), "simulation.yaml")
    places = work.geography.places.join(work.geography.places_at(PERIOD), on="code", how="semi")
    return simulation.simulate(
        contract,
        cadence="month",
        period=PERIOD,
        partner=partner or next(iter(contract.partners)),
        places=places,
        aliases=work.geography.aliases_at(PERIOD),
        profile=profile,
        seed=11,
        rows=4000,
    )


@cache
def planted(feed: str) -> tuple[bytes, dict[str, list[int]], int]:
    """A file with a different number of every row fault, each on rows of its own; the truth; the number of rows."""
    work = work_in(Path("unused"))
    contract = work.framework.feeds[feed]
    frame, truth, taken = clean(feed), {}, set()
    row_rules = [rule.id for rule in contract.rules if rule.kind != "shape"]
    # A ragged row can only be written as text, so its fault comes last.
    for count, rule in enumerate([*row_rules, "row.shape"], start=2):
        result = faults.plant(
            frame,
            contract,
            rule=rule,
            count=count,
            seed=count,
            period=PERIOD,
            avoid=taken,
            outside=work.geography.excluded["alias"].to_list(),
            aliases=work.geography.aliases_at(PERIOD),
        )
        frame = result.frame
        taken |= set(result.hit)
        for name, rows in result.rows.items():
            truth.setdefault(name, []).extend(rows)
    return encoding.encode(frame, contract), truth, frame.height


def land(work: Work, feed: str, content: bytes, folder: Path, partner: str | None = None) -> str:
    contract = work.framework.feeds[feed]
    partner = partner or next(iter(contract.partners))
    path = folder / f"{feed}.csv"
    path.write_bytes(content)
    deliveries.land(work.warehouse.layout, [path], contract=contract, cadence="month", partner=partner, period=PERIOD)
    return partner


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
@pytest.mark.parametrize("feed", FEEDS)
def test_every_rule_s_fault_is_caught_counted_and_set_aside(feed: str, engine: str, tmp_path: Path) -> None:
    content, truth, rows = planted(feed)
    work = work_in(tmp_path / "warehouse", engine)
    contract = work.framework.feeds[feed]
    partner = land(work, feed, content, tmp_path)
    validation.validate(work, PERIOD, feed=feed)

    counts = work.warehouse.read("validation", f"{feed}_rule_counts", PERIOD, partner=partner)
    found = dict(counts.select("rule", "unexpected").iter_rows())
    assert {rule.id: found[rule.id] for rule in contract.rules} == {
        rule.id: len(truth[rule.id]) for rule in contract.rules
    }
    assert set(counts["rows"]) == {rows}

    quarantine = work.warehouse.read("validation", f"{feed}_quarantine", PERIOD, partner=partner)
    by_rule = (
        quarantine.select("file_row", pl.col("rules").str.split(";"))
        .explode("rules")
        .group_by("rules")
        .agg(pl.col("file_row").sort())
    )
    assert dict(by_rule.iter_rows()) == {rule: sorted(numbers) for rule, numbers in truth.items()}
    assert quarantine["file"].unique().to_list() == [f"{feed}.csv"]
    assert found["any"] == quarantine.height == len({number for numbers in truth.values() for number in numbers})


@pytest.mark.parametrize("feed", FEEDS)
def test_clean_files_lose_no_row_and_no_place(feed: str, tmp_path: Path) -> None:
    work = work_in(tmp_path / "warehouse")
    contract = work.framework.feeds[feed]
    for partner in contract.partners:
        land(work, feed, encoding.encode(clean(feed, partner), contract), tmp_path, partner)
    outcome = validation.validate(work, PERIOD, feed=feed)
    assert outcome.failures == ()
    for partner in contract.partners:
        assert work.warehouse.read("validation", f"{feed}_quarantine", PERIOD, partner=partner).is_empty()


def test_rows_within_the_threshold_pass_and_beyond_it_hold_the_month(tmp_path: Path) -> None:
    feed, work = "transactions", work_in(tmp_path / "warehouse")
    contract = work.framework.feeds[feed]
    rule = next(rule for rule in contract.rules if rule.id == "sector.one_of")
    most = int(clean(feed).height * rule.threshold / 100)
    for number, passes in ((most, True), (most + 1, False)):
        frame = faults.plant(clean(feed), contract, rule=rule.id, count=number, seed=1, period=PERIOD).frame
        land(work, feed, encoding.encode(frame, contract), tmp_path)
        outcome = validation.validate(work, PERIOD, feed=feed)
        assert (outcome.failures == ()) is passes, number
    shown = outcome.failures[0].rows
    assert (shown[0]["rule"], shown[0]["unexpected"]) == (rule.id, most + 1)
    assert {"file", "file_row", "rules"} <= set(shown[1])


def test_missing_places_fail_the_coverage_check(tmp_path: Path) -> None:
    feed, work = "app_usage", work_in(tmp_path / "warehouse")
    contract = work.framework.feeds[feed]
    planted = faults.plant(
        clean(feed),
        contract,
        rule="missing_places",
        count=20,
        seed=1,
        period=PERIOD,
        aliases=work.geography.aliases_at(PERIOD),
    )
    land(work, feed, encoding.encode(planted.frame, contract), tmp_path)
    outcome = validation.validate(work, PERIOD, feed=feed)
    check = next(check for check in outcome.checks if check.name == "place_coverage")
    assert not check.passed
    assert {row["subject"] for row in check.rows} == {leaf.node for leaf in work.framework.leaves_of(feed)}


WHOLE_FILE = {
    "unknown_column": ("column", 1),
    "missing_column": ("column", 1),
    "wrong_month": ("dates of another month", 5000),
    "empty_file": ("no rows", 0),
    "truncated": ("", None),
    "wrong_encoding": ("encoding|gb18030|utf-8", None),
}


@pytest.mark.parametrize("fault", WHOLE_FILE)
def test_a_file_wrong_as_a_whole_ends_in_a_clear_error_and_lands_nothing(fault: str, tmp_path: Path) -> None:
    feed, work = "transactions", work_in(tmp_path / "warehouse")
    contract = work.framework.feeds[feed]
    says, _ = WHOLE_FILE[fault]
    if fault in ("truncated", "wrong_encoding"):
        content = faults.spoil(encoding.encode(clean(feed), contract), contract, fault=fault)
    else:
        content = encoding.encode(
            faults.plant(clean(feed), contract, rule=fault, count=1, seed=1, period=PERIOD).frame, contract
        )
    with pytest.raises(Finding, match=f"(?s){feed}.csv.*{says}") as error:
        land(work, feed, content, tmp_path)
    assert "found:" in str(error.value)
    assert "expected:" in str(error.value)
    assert deliveries.current(work.warehouse.layout, feed, PERIOD) == {}
    left = {path.name for path in (tmp_path / "warehouse").rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert left == {"format.json"}, "the number of the warehouse's format, and nothing of the delivery"


def test_a_truncated_parquet_file_and_one_above_the_limit(tmp_path: Path) -> None:
    from dataclasses import replace

    feed, work = "transactions", work_in(tmp_path / "warehouse")
    contract = work.framework.feeds[feed]
    partner = next(iter(contract.partners))
    path = tmp_path / "t.parquet"
    whole = encoding.encode(clean(feed), contract, form="parquet")
    for content, limits, says in (
        (whole[:-200], contract, "truncated or not a Parquet"),
        (whole, replace(contract, max_bytes=len(whole) - 1), "size limit"),
    ):
        path.write_bytes(content)
        with pytest.raises(Finding, match=f"(?s)t.parquet.*{says}"):
            deliveries.land(
                work.warehouse.layout, [path], contract=limits, cadence="month", partner=partner, period=PERIOD
            )
