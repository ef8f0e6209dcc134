"""The descriptor of a folder of tables follows the standard's own profile and says what the contracts say."""

from __future__ import annotations

import frictionless
import pytest

from dci_pipeline.framework_files import read_framework
from dci_pipeline.report.datapackage import DataFile, descriptor, schema
from dci_pipeline_tests.conftest import CONTRACTS

INDEXES = sorted(path.parent.name for path in CONTRACTS.glob("*/index.yaml"))


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_every_table_can_be_described(index: str, form: str) -> None:
    tables = read_framework(CONTRACTS, index).tables.values()
    files = [DataFile(table, f"tables/{table.table}.{form}", 5, "0" * 64, 1) for table in tables]
    found = descriptor(index, title="Title", description="What it is.", files=files, beside={"source": "a file"})
    package = frictionless.Package.from_descriptor(found)
    assert package.to_descriptor()["source"] == "a file"
    assert package.resource_names == [table.table for table in tables]
    for resource, table in zip(package.resources, tables, strict=True):
        assert (resource.bytes, resource.hash, resource.format) == (5, "sha256:" + "0" * 64, form)
        assert resource.schema.primary_key == list(table.key)
        assert resource.schema.field_names == [column.name for column in table.columns]


def test_a_column_is_described_in_full() -> None:
    table = read_framework(CONTRACTS, "dci").tables["index_year"]
    (year,) = [field for field in schema(table)["fields"] if field["name"] == "year"]
    assert year == {
        "name": "year",
        "type": "integer",
        "title": "年份",
        "description": "Calendar year.",
        "constraints": {"required": True},
    }
    (points,) = [field for field in schema(table)["fields"] if field["name"] == "points"]
    assert points["unit"] == "points"
    assert "constraints" not in points
