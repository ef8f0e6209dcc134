"""Shared worlds: an index over open data where it is present, and one over simulated deliveries.

A world is a warehouse with deliveries landed and every table computed. The large ones are made once and shared by the
test processes through the disk. What a test asks of the machinery alone is asked of a narrow copy of the contracts.
"""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
import yaml
from filelock import FileLock
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from dci_pipeline import refresh
from dci_pipeline.periods import Period, parse_span
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests.workers import pytest_collection_modifyitems, pytest_configure  # noqa: F401 - found here

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
    """Every quarter of the open data; no test changes it."""

    def make(folder: Path) -> tuple[Path, list[Period], refresh.Report]:
        work = Work(Settings(folder / "warehouse", CONTRACTS, "polars"), "pulse")
        land_pulse(work, pulse_source)
        ready, waiting = refresh.delivered_periods(work)
        assert not waiting
        return folder / "warehouse", ready, refresh.run_direct(work, ready)

    home, ready, report = once(tmp_path_factory, "pulse", make)
    return World(Work(Settings(home, CONTRACTS, "polars"), "pulse"), ready, report)


T = TypeVar("T")


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], T]) -> T:
    """What `make` returns and leaves in its folder: made by the test process that asks first, read by the others."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / name
    with FileLock(root / f"{name}.lock"):
        if not (folder / "made").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            (folder / "made").write_bytes(pickle.dumps(make(folder)))
        return pickle.loads((folder / "made").read_bytes())


def small_contracts(
    folder: Path, *, reference: tuple[str, str], narrow: bool = False, source: Path = CONTRACTS
) -> Path:
    """A copy of the contracts whose index has a shorter reference period, so that a world of a few months is whole."""
    copy = folder / "data_contracts"
    shutil.copytree(source, copy)
    path = copy / "dci" / "index.yaml"
    text = path.read_text(encoding="utf-8")
    before = text
    for key, value in zip(("reference_start", "reference_end"), reference, strict=True):
        text = "\n".join(
            f'    {key}: "{value}"' if line.strip().startswith(f"{key}:") else line for line in text.split("\n")
        )
    assert text != before
    path.write_text(text, encoding="utf-8")
    if narrow:
        narrowed(copy / "dci")
    return copy


# The tables of a narrow copy that have a span of time in their name; those without are all kept.
KEPT_TABLES = ("index_month", "index_year", "contribution_month", "quality_month")
SPANS = ("_month", "_janfeb", "_half", "_year", "_values")


def narrowed(folder: Path) -> None:
    """Leaves of an index its first tree, with the feeds of that tree, and a few tables."""
    raw = yaml.safe_load((folder / "index.yaml").read_text(encoding="utf-8"))
    root = raw["nodes"][0]["node"]
    raw["nodes"] = [node for node in raw["nodes"] if root in (node["node"], node["parent"])]
    kept = {node["node"] for node in raw["nodes"]}
    feeds = {node["feed"] for node in raw["nodes"] if node["parent"]}
    del raw["breakdowns"], raw["app_categories"]
    for link in raw["links"]:
        link["wave"], link["basket"] = ({root: link[part][root]} for part in ("wave", "basket"))
    (folder / "index.yaml").write_text(yaml.safe_dump(raw, allow_unicode=True, sort_keys=False), encoding="utf-8")
    for path in (folder / "feeds").glob("*.yaml"):
        if path.stem not in feeds:
            path.unlink()
    for path in (folder / "marts").glob("*.yaml"):
        if path.stem.endswith(SPANS) and path.stem not in KEPT_TABLES:
            path.unlink()
    for path in (folder / "weights").glob("*.csv"):
        header, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text(header + "".join(line for line in lines if line.split(",")[2] in kept), encoding="utf-8")
    shutil.rmtree(folder / "published", ignore_errors=True)
    for name in ("exhibits.yaml", "calibration.yaml"):
        (folder / name).unlink(missing_ok=True)


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
    for feed, versions in work.framework.versions.items():
        for partner in versions.partners:
            for period in periods:
                contract = versions.at(period)
                if partner not in contract.partners:
                    continue
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
            contract=work.framework.versions[item.feed],
            cadence=work.framework.cadence,
            partner=item.partner,
            period=item.period,
        )


Build = Callable[..., World]
Deliveries = tuple[Path, list[Simulated]]


def _simulated(folder: Path, periods: list[Period], *, narrow: bool) -> Deliveries:
    contracts = small_contracts(folder, reference=("2018-01", "2018-03"), narrow=narrow)
    work = Work(Settings(folder / "warehouse", contracts, "polars"), "dci")
    return contracts, list(simulate(work, folder, periods))


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Deliveries:
    """Contracts with a reference of three months, and partner files for fifteen months."""
    return once(tmp_path_factory, "simulated", lambda folder: _simulated(folder, MONTHS, narrow=False))


@pytest.fixture(scope="session")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Deliveries:
    """The same of a narrow copy of the contracts, without some of the months."""
    return once(
        tmp_path_factory, "narrow", lambda folder: _simulated(folder, [*MONTHS[:8], *MONTHS[12:14]], narrow=True)
    )


def _builder(contracts: Path, files: list[Simulated]) -> Build:
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
def build_world(simulated: Deliveries) -> Build:
    """Makes a world in a folder from the simulated files, on an engine, with files in any order and split."""
    return _builder(*simulated)


@pytest.fixture(scope="session")
def build_narrow(narrow: Deliveries) -> Build:
    """As `build_world`, of a narrow copy of the contracts."""
    return _builder(*narrow)


@pytest.fixture(scope="session")
def world(simulated: Deliveries, build_world: Build, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Fifteen months of everything; no test changes it."""

    def make(folder: Path) -> tuple[Path, refresh.Report]:
        return folder / "warehouse", build_world(folder / "warehouse").report

    home, report = once(tmp_path_factory, "world", make)
    return World(Work(Settings(home, simulated[0], "polars"), "dci"), MONTHS, report)
