"""Shared worlds: an index over open data where it is present, and one over simulated deliveries.

A world is a warehouse with deliveries landed and every table computed, made once per test process.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from dci_pipeline import refresh
from dci_pipeline.periods import Period, parse_span
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work

PROJECT = Path(__file__).resolve().parent.parent
CONTRACTS = PROJECT / "data_contracts"

hypothesis_settings.register_profile(
    "pipeline", deadline=None, derandomize=bool(os.environ.get("CI")), suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("pipeline")


@dataclass(frozen=True)
class World:
    """A computed index and the report of its refresh."""

    work: Work
    periods: list[Period]
    report: refresh.Report

    def read(self, stage: str, table: str, periods: list[Period] | None = None):
        return self.work.warehouse.read(stage, table, periods)


def pulse_data() -> Path | None:
    """The folder of the open data: DCI_PULSE_DATA, else a realdata/phonepe_pulse folder in or beside the project."""
    given = os.environ.get("DCI_PULSE_DATA")
    candidates = (
        [Path(given)]
        if given
        else [PROJECT / "realdata/phonepe_pulse", *sorted(PROJECT.parent.glob("*/realdata/phonepe_pulse"))]
    )
    return next((path for path in candidates if (path / "agg_transactions.parquet").is_file()), None)


PULSE_FILES = {
    "transactions": "agg_transactions.parquet",
    "app_usage": "agg_users.parquet",
    "district_transactions": "map_transactions.parquet",
    "district_app_usage": "map_users.parquet",
}


def land_pulse(work: Work, source: Path) -> None:
    from dci_pipeline.warehouse import deliveries

    for feed, name in PULSE_FILES.items():
        deliveries.land(
            work.warehouse.layout,
            [source / name],
            contract=work.framework.feeds[feed],
            cadence="quarter",
            partner="phonepe",
            period=None,
        )


@pytest.fixture(scope="session")
def pulse_source() -> Path:
    source = pulse_data()
    if source is None:
        pytest.skip("the PhonePe Pulse files are not here; the README says how to get them (DCI_PULSE_DATA=folder)")
    return source


@pytest.fixture(scope="session")
def pulse(pulse_source: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    work = Work(Settings(tmp_path_factory.mktemp("pulse"), CONTRACTS, "polars"), "pulse")
    land_pulse(work, pulse_source)
    ready, waiting = refresh.delivered_periods(work)
    assert not waiting
    return World(work, ready, refresh.run_direct(work, ready))


def small_contracts(folder: Path, *, reference: tuple[str, str]) -> Path:
    """A copy of the contracts whose index has a shorter reference period, so that a world of a few months is whole."""
    copy = folder / "data_contracts"
    shutil.copytree(CONTRACTS, copy)
    path = copy / "dci" / "index.yaml"
    text = path.read_text(encoding="utf-8")
    before = text
    for key, value in zip(("reference_start", "reference_end"), reference, strict=True):
        text = "\n".join(
            f'    {key}: "{value}"' if line.strip().startswith(f"{key}:") else line for line in text.split("\n")
        )
    assert text != before
    path.write_text(text, encoding="utf-8")
    return copy


MONTHS = parse_span("2018-01:2019-03", "month")


@dataclass(frozen=True)
class Simulated:
    """One partner's simulated file for one feed and period."""

    feed: str
    partner: str
    period: Period
    path: Path


def simulate(work: Work, folder: Path, periods: list[Period], *, seed: int = 7, rows: int = 800) -> Iterator[Simulated]:
    """Partner files for every feed, partner and period, written under `folder`."""
    import polars as pl

    from dci_pipeline.data_files import read_yaml
    from dci_pipeline.feeds import encoding, simulation

    profile = simulation.read_profile(read_yaml(work.framework.folder / "simulation.yaml"), "simulation.yaml")
    for feed, contract in work.framework.feeds.items():
        for partner in contract.partners:
            for period in periods:
                frame = simulation.simulate(
                    contract,
                    cadence=work.framework.cadence,
                    period=period,
                    partner=partner,
                    places=work.geography.places.filter(
                        pl.col("code").is_in(work.geography.places_at(period)["code"].implode())
                    ),
                    aliases=work.geography.aliases_at(period),
                    profile=profile,
                    seed=seed,
                    rows=rows,
                )
                path = folder / f"{feed}_{partner}_{period.key}.csv"
                path.write_bytes(encoding.encode(frame, contract, form="csv"))
                yield Simulated(feed, partner, period, path)


def land(work: Work, files: list[Simulated]) -> None:
    from dci_pipeline.warehouse import deliveries

    for item in files:
        deliveries.land(
            work.warehouse.layout,
            [item.path],
            contract=work.framework.feeds[item.feed],
            cadence=work.framework.cadence,
            partner=item.partner,
            period=item.period,
        )


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Simulated]]:
    """Contracts with a reference of three months, and partner files for fifteen months."""
    folder = tmp_path_factory.mktemp("simulated")
    contracts = small_contracts(folder, reference=("2018-01", "2018-03"))
    work = Work(Settings(folder / "warehouse", contracts, "polars"), "dci")
    return contracts, list(simulate(work, folder, MONTHS))


@pytest.fixture(scope="session")
def build_world(simulated: tuple[Path, list[Simulated]]) -> Callable[..., World]:
    """Makes a world in a folder from the simulated files, on an engine, with files in any order and split."""
    contracts, files = simulated

    def build(
        folder: Path,
        *,
        engine: str = "polars",
        months: list[Period] = MONTHS,
        change: Callable[[list[Simulated]], list[Simulated]] = list,
    ) -> World:
        work = Work(Settings(folder, contracts, engine), "dci")
        land(work, change([item for item in files if item.period in months]))
        return World(work, months, refresh.run_direct(work, months))

    return build


@pytest.fixture(scope="session")
def world(build_world: Callable[..., World], tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"))
