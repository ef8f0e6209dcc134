"""Deliveries of every shape, landed and validated: the truth, and the same bytes on every engine in any memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dci_pipeline.engines.polars import Polars
from dci_pipeline.engines.protocol import MEMORY
from dci_pipeline.settings import Settings
from dci_pipeline.steps import validation
from dci_pipeline.work import Work
from dci_pipeline_tests import shapes
from dci_pipeline_tests.conftest import CONTRACTS

FEED, ROWS = "cloud_usage", 20_000
# Polars goes through the rows in stretches of three thousand; in much less than this DuckDB ends without a result.
WAYS = {
    "polars": ("polars", MEMORY),
    "duckdb": ("duckdb", MEMORY),
    "polars in little memory": ("polars", 1_000_000),
    "duckdb in little memory": ("duckdb", 60_000_000),
}


@pytest.mark.parametrize("shape", shapes.SHAPES)
def test_every_engine_finds_the_truth_and_commits_the_same_bytes(shape: str, tmp_path: Path) -> None:
    sent = shapes.shaped(shape, FEED, ROWS)
    landed = Work(Settings(tmp_path / "landed", CONTRACTS, "polars"), "dci")
    for delivery in sent:
        shapes.land(landed, FEED, delivery, tmp_path / "files" / delivery.partner)
    made: dict[str, dict[str, bytes]] = {}
    for way, (engine, memory) in WAYS.items():
        shutil.copytree(tmp_path / "landed", tmp_path / way)
        work = Work(Settings(tmp_path / way, CONTRACTS, engine, engine_memory=memory), "dci")
        validation.validate(work, shapes.PERIOD, feed=FEED)
        for delivery in sent:
            shapes.check(work, FEED, delivery)
        made[way] = shapes.committed(work)
    assert len(made["polars"]) == 12 * len(sent) + 2, "tables and documents of each partner, and coverage"
    for way, files in made.items():
        assert files == made["polars"], way


def test_the_shapes_are_what_they_are_called() -> None:
    sent = {shape: shapes.shaped(shape, FEED, ROWS) for shape in shapes.SHAPES}
    (few,), large, (rejected,), (copies,), (parts,) = (
        sent[shape] for shape in ("few cities", "one large partner", "all rejected", "many copies", "many parts")
    )
    cities = few.accepted["city"].value_counts(sort=True)["count"]
    assert cities.head(4).sum() > 0.89 * few.accepted.height
    assert large[0].rows > 0.93 * sum(item.rows for item in large)
    assert len(rejected.rejected) == rejected.rows and rejected.accepted.is_empty()
    assert len(copies.broken["key.unique"]) == 3 * ROWS // 20
    assert len(parts.files) > ROWS // 55
    rules = {rule.id for rule in Work(Settings(Path("unused"), CONTRACTS, "polars"), "dci").framework.feeds[FEED].rules}
    assert all(set(item.broken) == rules for deliveries in sent.values() for item in deliveries)
    assert 5 * (Polars(memory=WAYS["polars in little memory"][1]).rows_at_once or ROWS) < ROWS
