"""A partner sends doubled figures: a correction puts them right, in one slice, until the partner mends its file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from dci_pipeline import plan, refresh
from dci_pipeline.settings import Settings
from dci_pipeline.warehouse import deliveries
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import MONTHS, Deliveries, Simulated, World, land
from dci_pipeline_tests.test_restatement import doubled

pytestmark = pytest.mark.slow

THREE = MONTHS[:3]
MONTH = THREE[1]
FEED, PARTNER = "mobile_traffic", "operator_a"


def write(contracts: Path, *corrections: dict[str, Any]) -> None:
    path = contracts / "dci" / "corrections" / f"{FEED}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({"corrections": list(corrections)}, allow_unicode=True), encoding="utf-8")


def halving(rows: int, total: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": "doubled",
        "partner": PARTNER,
        "reason": "Every record counts both ways.",
        "reporter": "A test",
        "status": "active",
        "since": "2018-04-01",
        "action": "scale",
        "where": "all",
        "scale": {"column": "bytes", "divide": 2},
        "expect": {MONTH.key: {"rows": rows, "sum": {"bytes": total}}},
    } | changes


def sums(work: Work) -> dict[str, list[tuple[Any, ...]]]:
    return {
        f"{period} {feed} {partner}": work.warehouse.read("validation", f"{feed}_sums", period, partner=partner).rows()
        for period in THREE
        for feed in work.framework.feeds
        for partner in work.warehouse.slices("validation", f"{feed}_sums", period)
    }


def points(work: Work) -> list[tuple[Any, ...]]:
    return work.warehouse.read("index", "points", THREE).rows()


def received(settings: Settings) -> dict[str, bytes]:
    """Everything that lies with the deliveries."""
    folder = settings.warehouse / "dci" / "feeds"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def validated(report: refresh.Report) -> set[tuple[str, str]]:
    return {
        (outcome.key[1], str(outcome.period))
        for outcome in report.outcomes
        if outcome.key[0] == "validation" and outcome.state != "unchanged"
    }


@pytest.fixture(scope="module")
def unharmed(build_narrow: Callable[..., World], tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_narrow(tmp_path_factory.mktemp("unharmed") / "warehouse", months=THREE)


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_a_known_error_from_report_to_withdrawal(
    engine: str, unharmed: World, narrow: Deliveries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contracts = Path(shutil.copytree(narrow[0], tmp_path / "data_contracts"))
    settings = Settings(tmp_path / "warehouse", contracts, engine)
    right = next(i for i in narrow[1] if (i.feed, i.partner, i.period) == (FEED, PARTNER, MONTH))
    text = right.path.read_bytes().decode()
    wrong = replace(right, path=tmp_path / "wrong.csv")
    wrong.path.write_bytes(doubled(text).encode())
    rows = pl.read_csv(wrong.path.read_bytes(), infer_schema=False)["bytes"].cast(pl.Int64)

    def opened() -> Work:
        return Work(settings, "dci")

    # A correction without a delivery waits and hurts nobody.
    write(contracts, halving(rows.len(), int(rows.sum())))
    files: list[Simulated] = [wrong if item == right else item for item in narrow[1] if item.period in THREE]
    land(opened(), [item for item in files if item.period != MONTH])
    land(opened(), [item for item in files if item.period == MONTH])
    kept = received(settings)
    report = refresh.run_direct(opened(), THREE)
    assert report.held == {}
    assert sums(opened()) == sums(unharmed.work)
    assert points(opened()) == points(unharmed.work)
    assert received(settings) == kept

    # It shows: in the table beside the slice, in the check and metadata, in the published quality.
    total = str(int(rows.sum()))
    table = opened().warehouse.read("validation", f"{FEED}_corrections", MONTH, partner=PARTNER)
    assert table.rows() == [(1, "doubled", "scale", rows.len(), "bytes", total, str(int(rows.sum()) // 2))]
    outcome = next(item for item in report.outcomes if item.key == ("validation", FEED) and item.period == MONTH)
    assert f"correction doubled: scale {rows.len():,} rows" in outcome.checks[0].says
    assert outcome.facts["corrections"] == [{"partner": PARTNER, **table.drop("number").row(0, named=True)}]
    quality = opened().warehouse.read("marts", "quality_month", MONTH).filter(pl.col("feed") == FEED)
    noted = dict(quality.select("partner", "corrections").iter_rows())
    assert json.loads(noted.pop(PARTNER)) == {"doubled": rows.len()}
    assert set(noted.values()) == {"{}"}

    # Words change nothing; what it does makes one slice stale, and no other.
    write(contracts, halving(rows.len(), int(rows.sum()), reason="Said better."))
    assert plan.stale(opened(), THREE) == {}
    write(contracts, halving(rows.len(), int(rows.sum()), id="renamed"))
    assert plan.stale(opened(), THREE)[("validation", FEED)] == [MONTH]
    assert validated(refresh.run_direct(opened(), THREE)) == {(FEED, MONTH.key)}
    assert points(opened()) == points(unharmed.work)

    # The partner mends its file: the guard holds the month, what is published stays.
    land(opened(), [right])
    held = refresh.run_direct(opened(), THREE).held[MONTH]
    for said in ("correction 'renamed'", f"bytes adds up to {int(rows.sum()):,}", "status: withdrawn", f"{FEED}.yaml"):
        assert said in held
    assert points(opened()) == points(unharmed.work)
    assert command(settings, monkeypatch)[0] == 1

    write(contracts, halving(rows.len(), int(rows.sum()), status="withdrawn"))
    assert refresh.run_direct(opened(), THREE).held == {}
    assert sums(opened()) == sums(unharmed.work)
    assert points(opened()) == points(unharmed.work)
    assert opened().warehouse.slices("validation", f"{FEED}_corrections", MONTH) == []
    code, out = command(settings, monkeypatch)
    assert code == 0
    assert "withdrawn" in out
    assert len(deliveries.history(opened().warehouse.layout, FEED, MONTH, PARTNER)) == 2


def command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """`dci corrections` over the world."""
    from dci_pipeline.cli.app import app

    monkeypatch.setenv("DCI_WAREHOUSE", str(settings.warehouse))
    monkeypatch.setenv("DCI_CONTRACTS", str(settings.contracts))
    monkeypatch.setenv("DCI_ENGINE", settings.engine)
    monkeypatch.setenv("COLUMNS", "250")
    done = CliRunner().invoke(app, ["corrections", "--index", "dci"], prog_name="dci")
    return done.exit_code, done.stdout
