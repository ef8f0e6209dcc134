"""Every published column says which upstream columns it is computed from, and each of these is there."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import polars as pl
import pytest

from dci_pipeline.definitions import build_definitions
from dci_pipeline.framework import Framework
from dci_pipeline.framework_files import read_framework
from dci_pipeline.lineage import lineage
from dci_pipeline.path import path
from dci_pipeline.settings import Settings
from dci_pipeline.work import Key, Step
from dci_pipeline_tests.conftest import CONTRACTS, World

INDEXES = sorted(folder.parent.name for folder in CONTRACTS.glob("*/index.yaml"))
# The same in every row, or copied from the contract: nothing is computed.
CONSTANT = {"conf_status", "basis", "measure", "unit", "exhibit_id"}
# Of the path's own declarations: which delivery, judged by which contract.
DECLARED = {
    "feed",
    "month",
    "quarter",
    "partner",
    "places_expected",
    "delivery_sha256",
    "contract_version",
    "corrections",
}


@pytest.fixture(scope="module", params=INDEXES)
def framework(request: pytest.FixtureRequest) -> Framework:
    return read_framework(CONTRACTS, request.param)


def published(framework: Framework) -> Iterator[Step]:
    yield from (step for step in path(framework) if step.published)


def test_every_published_table_has_lineage_for_every_column(framework: Framework) -> None:
    for step in published(framework):
        columns = [column.name for column in framework.table(step.key[1]).columns]
        assert list(lineage(framework, step)) == columns, step.key


def test_a_column_without_a_source_is_a_constant_or_comes_from_data_files(framework: Framework) -> None:
    for step in published(framework):
        found = lineage(framework, step)
        bare = {column for column, sources in found.items() if not sources}
        if not step.reads:
            assert bare == set(found), step.key
        elif step.key[1].startswith("quality"):
            assert bare == DECLARED & set(found)
        else:
            assert bare <= CONSTANT | {"assumption"}, (step.key, bare)


def test_sources_are_tables_the_step_reads(framework: Framework) -> None:
    for step in published(framework):
        read = {key for key, _ in step.reads}
        named = {key for sources in lineage(framework, step).values() for key, _ in sources}
        # Weights reach a level through the points and links that are read beside them.
        assert named <= read, (step.key, named - read)


def test_the_engine_shows_the_lineage_of_every_published_table() -> None:
    settings = Settings(CONTRACTS.parent / "nowhere", CONTRACTS, "polars")
    graph = build_definitions(settings).resolve_asset_graph()
    shown = 0
    for index in INDEXES:
        framework = read_framework(CONTRACTS, index)
        for step in published(framework):
            key = dg.AssetKey([index, *step.key])
            value = graph.get(key).metadata["dagster/column_lineage"]
            assert isinstance(value, dg.TableColumnLineageMetadataValue)
            told = {
                column: sorted((list(dep.asset_key.path), dep.column_name) for dep in deps)
                for column, deps in value.lineage.deps_by_column.items()
            }
            assert told == {
                column: sorted(([index, *source], name) for source, name in sources)
                for column, sources in lineage(framework, step).items()
            }
            assert all(graph.has(dg.AssetKey(upstream)) for deps in told.values() for upstream, _ in deps)
            shown += 1
    assert shown > 40


@pytest.mark.slow
def test_every_column_named_is_in_a_computed_world(world: World) -> None:
    framework = world.work.framework
    known: dict[Key, set[str]] = {}
    for step in published(framework):
        for column, sources in lineage(framework, step).items():
            for key, name in sources:
                if key not in known:
                    known[key] = columns(world, key)
                assert name in known[key], (step.key, column, key, name)
    assert ("index", "members") in known and ("validation", "transactions") in known


def columns(world: World, key: Key) -> set[str]:
    """Columns of a committed table; of a feed's validation those of its tables, as 'verdict.rows'."""
    stage, table = key
    if stage != "validation":
        return schema(world, stage, table)
    parts = ("verdict", "rule_counts", "sums", "members")
    return {f"{part}.{name}" for part in parts for name in schema(world, stage, f"{table}_{part}")}


def schema(world: World, stage: str, table: str) -> set[str]:
    found = world.work.warehouse.partitions(stage, table)
    if found:
        return set(pl.read_parquet_schema(found[0]))
    # The members of links are there from the second link on.
    step = world.work.framework.tables.get(table)
    return {column.name for column in step.columns} if step is not None else MEMBER_LINKS


MEMBER_LINKS = {"link", "node", "dimension", "member", "place", "points_before", "points_after"}
