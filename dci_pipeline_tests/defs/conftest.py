"""A world of four months with one month's delivery broken on purpose, refreshed through the engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dci_pipeline.periods import Period, parse, parse_span
from dci_pipeline.refresh import Report
from dci_pipeline.settings import Settings
from dci_pipeline.work import Key, Outcome, Work
from dci_pipeline_tests.conftest import Simulated, land, once, simulate, small_contracts

MONTHS = parse_span("2018-01:2018-04", "month")
BROKEN = parse("2018-03", "month")
FEED, PARTNER, RULE, FAULTS = "transactions", "pay_a", "city.known", 60


@dataclass(frozen=True)
class Launched:
    """A warehouse refreshed through the engine, the report, and every call of the progress hook."""

    work: Work
    report: Report
    seen: list[tuple[Key, Period | None, Outcome | None]]
    broken_rows: list[int]
    good: Simulated


Landed = tuple[Path, list[Simulated], Simulated, list[int]]


@pytest.fixture(scope="session")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    """Contracts with a reference of two months, partner files, one of them broken, its good twin, its broken rows."""
    return once(tmp_path_factory, "deliveries", _deliveries)


def _deliveries(folder: Path) -> Landed:
    import polars as pl

    from dci_pipeline.feeds import encoding, faults

    contracts = small_contracts(folder, reference=("2018-01", "2018-02"), narrow=True)
    work = Work(Settings(folder / "unused", contracts, "polars"), "dci")
    files = list(simulate(work, folder, MONTHS, rows=500))
    target = next(item for item in files if (item.feed, item.partner, item.period) == (FEED, PARTNER, BROKEN))
    twin = folder / "corrected" / target.path.name
    twin.parent.mkdir()
    shutil.copy(target.path, twin)
    contract = work.framework.feeds[FEED]
    sent = pl.read_csv(
        target.path.read_text(encoding=contract.encoding).encode(), infer_schema=False, separator=contract.delimiter
    )
    planted = faults.plant(sent, contract, rule=RULE, count=FAULTS, seed=1, period=BROKEN)
    target.path.write_bytes(encoding.encode(planted.frame, contract))
    return contracts, files, Simulated(FEED, PARTNER, BROKEN, twin), planted.rows[RULE]


@pytest.fixture(scope="session")
def landed(deliveries: Landed) -> Callable[[Path], Work]:
    """Lands all the files in a new warehouse."""

    def make(folder: Path) -> Work:
        contracts, files, _, _ = deliveries
        work = Work(Settings(folder, contracts, "polars"), "dci")
        land(work, files)
        return work

    return make


@pytest.fixture(scope="session")
def launched(landed: Callable[[Path], Work], tmp_path_factory: pytest.TempPathFactory, deliveries: Landed) -> Launched:
    """The refresh is made once for all test processes; no test changes what it has left."""

    def make(folder: Path) -> tuple[Path, Report, list[tuple[Key, Period | None, Outcome | None]]]:
        from dci_pipeline.defs.launch import run_in_process

        work = landed(folder / "warehouse")
        seen: list[tuple[Key, Period | None, Outcome | None]] = []
        report = run_in_process(
            work, MONTHS, progress=lambda step, period, outcome: seen.append((step.key, period, outcome))
        )
        return folder / "warehouse", report, seen

    home, report, seen = once(tmp_path_factory, "launched", make)
    work = Work(Settings(home, deliveries[0], "polars"), "dci")
    return Launched(work, report, seen, deliveries[3], deliveries[2])
