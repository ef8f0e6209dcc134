"""A warehouse of its own for every test, and the command called as a person calls it."""

from __future__ import annotations

import csv
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dci_pipeline import refresh
from dci_pipeline.periods import parse_span
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import CONTRACTS, small_contracts
from dci_pipeline_tests.small_worlds import FIRST, INDEX, Towns, drawn, land

MONTH = "2018-03"


@dataclass(frozen=True)
class Result:
    """What a call gave back."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


Dci = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with its own warehouse, over the project's data files."""
    for name in ("DCI_INDEX", "DCI_LOG", "DCI_ENGINE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DCI_WAREHOUSE", str(tmp_path / "warehouse"))
    monkeypatch.setenv("DCI_CONTRACTS", str(CONTRACTS))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def dci(home: Path) -> Dci:
    """Calls the command in this process; a traceback anywhere fails the test."""
    from dci_pipeline.cli.app import app

    def call(*args: object, stdin: str | None = None) -> Result:
        done = CliRunner().invoke(app, [str(arg) for arg in args], input=stdin, prog_name="dci")
        result = Result(done.exit_code, done.stdout, done.stderr)
        assert "Traceback" not in result.all, result.all
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        return result

    return call


@pytest.fixture
def short_reference(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data files of one tree whose reference period is two months, so that two months make an index."""
    copy = small_contracts(home, reference=("2018-01", "2018-02"), narrow=True)
    monkeypatch.setenv("DCI_CONTRACTS", str(copy))
    return copy


HEADER = ["partner", "record_id", "event_date", "city", "sector", "transaction_count", "amount_fen"]


def rows(count: int = 200, *, partner: str = "pay_a", month: str = MONTH, seed: int = 1) -> list[list[str]]:
    """Good records of the transactions feed."""
    random.seed(seed)
    cities = ["110000", "上海市", "广州", "440300", "杭州市"]
    return [
        [
            partner,
            f"r{number}",
            f"{month}-{random.randint(1, 28):02d}",
            random.choice(cities),
            "零售",
            str(random.randint(0, 10**6)),
            str(random.randint(0, 10**9)),
        ]
        for number in range(1, count + 1)
    ]


def write(path: Path, records: list[list[str]], *, header: list[str] | None = None, encoding: str = "gb18030") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER if header is None else header)
        writer.writerows(records)
    return path


QUARTERS = parse_span("2018Q1:2019Q4", "quarter")
VALUES = drawn(QUARTERS)


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("computed")
    work = Towns([FIRST], QUARTERS, VALUES).write(folder)
    land(work, folder / "sent", VALUES, QUARTERS)
    refresh.run_direct(work, QUARTERS)
    return folder


@pytest.fixture
def towns(computed: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """A computed index where the command looks for one, and a screen on which nothing is folded."""
    monkeypatch.setenv("COLUMNS", "400")
    shutil.copytree(computed, home, dirs_exist_ok=True)
    monkeypatch.setenv("DCI_CONTRACTS", str(home / "contracts"))
    return Work(Settings(home / "warehouse", home / "contracts", "polars"), INDEX)
