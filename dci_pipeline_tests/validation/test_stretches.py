"""Work cut up to fit the memory comes to what one pass comes to, however it is cut."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from dci_pipeline import engines
from dci_pipeline.contracts import FeedContract
from dci_pipeline.engines.polars import Polars
from dci_pipeline.engines.protocol import BYTES_A_ROW, MEMORY
from dci_pipeline.findings import Finding
from dci_pipeline.settings import read_settings
from dci_pipeline.validation.stretches import key_ranges, stretches
from dci_pipeline_tests.validation.deliveries import RATED, SPLITS, contract, frame, naive, row, run

FILES, ROWS = 5, 400


@pytest.fixture
def of(tmp_path: Path) -> FeedContract:
    return contract(tmp_path, composite=True)


def hostile() -> list[dict[str, Any]]:
    """Rows of five files of very unequal length, with every kind of fault and repeats within and across files."""
    draw = random.Random(20190401)
    rows: list[dict[str, Any]] = []
    for number in range(ROWS):
        file = min(int(draw.expovariate(0.9)), FILES - 1)
        changes: dict[str, Any] = {"file": file, "town": draw.choice(["A", "Alpha", "B", "Beta", "Far", "Nowhere"])}
        fault = draw.randrange(12)
        if fault == 0:
            changes |= {"visits": None, "unparsed": "visits: not an integer 'x'"}
        elif fault == 1:
            changes |= {"visits": 2000}
        elif fault == 2:
            changes |= {"kind": "evening", "event_date": date(2019, 5, 1)}
        elif fault in (3, 4, 5):
            changes |= {"record_id": f"r{draw.randrange(20)}", "kind": draw.choice(["all", "night"])}
        elif fault == 6:
            changes |= {"record_id": None}
        rows.append(row(number, **({"visits": number, "kind": draw.choice(["all", "day", "night"])} | changes)))
    return rows


@pytest.mark.parametrize("at_once", [3, 7, 60, ROWS - 1])
def test_a_delivery_in_stretches_comes_to_what_it_comes_to_at_once(
    at_once: int, tmp_path: Path, of: FeedContract
) -> None:
    rows = hostile()
    parts = [frame([item for item in rows if item["file"] == number]) for number in range(FILES)]
    whole, rejected = run("polars", parts, tmp_path, of=of, leaves=RATED, splits=SPLITS)
    cut, set_aside = run("polars", parts, tmp_path, of=of, leaves=RATED, splits=SPLITS, memory=at_once * BYTES_A_ROW)
    assert (cut.rows, cut.rejected) == (whole.rows, whole.rejected) == (ROWS, sum(map(bool, naive(rows, of).values())))
    for name in ("counts", "sums", "members"):
        assert_frame_equal(getattr(cut, name), getattr(whole, name))
    assert set_aside == rejected
    assert len(rejected) > ROWS // 4, "a delivery without faults shows nothing"


@pytest.mark.parametrize("at_once", [1, 13, 100, 1000])
def test_stretches_hold_every_row_once_in_order_and_are_no_longer_than_asked(at_once: int, tmp_path: Path) -> None:
    path = tmp_path / "typed.parquet"
    rows = [row(number, file=number // 37, file_row=3 + number % 37) for number in range(300)]
    frame(rows).write_parquet(path)
    engine = Polars(memory=at_once * BYTES_A_ROW)
    parts = [engine.collect(part) for part in stretches(engine, engine.scan([path]))]
    assert max(part.height for part in parts) <= at_once
    found = [place for part in parts for place in part.select("file", "file_row").rows()]
    assert found == [(item["file"], item["file_row"]) for item in rows]


def test_no_key_is_in_two_ranges_and_each_is_read_in_about_equal_parts(tmp_path: Path) -> None:
    path = tmp_path / "typed.parquet"
    draw = random.Random(7)
    rows = [row(number, record_id=f"r{draw.randrange(30_000)}", file_row=number) for number in range(40_000)]
    frame(rows).write_parquet(path)
    engine = Polars(memory=8_000 * BYTES_A_ROW)
    parts = [
        engine.collect(part)["record_id"] for part in key_ranges(engine, engine.scan([path]), ["kind", "record_id"])
    ]
    assert sum(map(len, parts)) == len(rows)
    assert len(set().union(*(set(part) for part in parts))) == sum(part.n_unique() for part in parts)
    assert len(parts) == 5 and max(map(len, parts)) < 3 * 8_000


def test_a_delivery_that_fits_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "typed.parquet"
    frame([row(number) for number in range(50)]).write_parquet(path)
    for name in engines.NAMES:
        with engines.engine(name) as engine:
            rows = engine.scan([path])
            assert stretches(engine, rows) == [rows] and key_ranges(engine, rows, ["record_id"]) == [rows]


def test_an_engine_with_little_memory_spills_and_finds_the_same(tmp_path: Path, of: FeedContract) -> None:
    rows = [row(n, record_id=f"r{n % 150_000}", visits=n % 1000, file_row=n) for n in range(300_000)]
    parts = [frame(rows)]
    plenty, _ = run("duckdb", parts, tmp_path, of=of)
    little, _ = run("duckdb", parts, tmp_path, of=of, memory=60_000_000)
    assert plenty.rejected == 150_000
    assert_frame_equal(plenty.counts, little.counts)
    # So little that without a folder to spill into it cannot be done.
    with pytest.raises(Exception, match="Out of Memory Error"):
        run("duckdb", parts, tmp_path, of=of, memory=60_000_000, spilling=False)


def test_the_memory_is_a_setting_and_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DCI_ENGINE_MEMORY", raising=False)
    assert read_settings().engine_memory == MEMORY
    monkeypatch.setenv("DCI_ENGINE_MEMORY", "1500")
    assert read_settings().engine_memory == 1_500_000_000
    for wrong in ("1GB", "-5", "99", "١٥٠٠", "1e4"):
        monkeypatch.setenv("DCI_ENGINE_MEMORY", wrong)
        with pytest.raises(Finding, match="DCI_ENGINE_MEMORY: not an amount of memory"):
            read_settings()
