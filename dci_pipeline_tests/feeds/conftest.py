"""A small contract with one column of every kind, and how its files are read in the tests."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from dci_pipeline import contract_files, periods
from dci_pipeline.contracts import FeedContract
from dci_pipeline.feeds import typing

CONTRACTS = Path(__file__).parents[2] / "data_contracts"


def column(
    name: str,
    type_: str,
    role: str,
    *,
    required: bool = True,
    key: bool = False,
    custom: dict[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": name,
        "logicalType": type_,
        "required": required,
        "logicalTypeOptions": options,
        "customProperties": [
            {"property": "role", "value": role},
            *({"property": item, "value": value} for item, value in (custom or {}).items()),
        ],
    }
    return entry | ({"primaryKey": True} if key else {})


COLUMNS = [
    column("place", "string", "place", custom={"source": "region"}),
    column("id", "string", "record_id", key=True),
    column("day", "date", "date", required=False, format="%Y-%m-%d"),
    column("note", "string", "dimension", required=False),
    column("count", "integer", "measure", minimum=0, maximum=10**12),
]


def contract_of(
    folder: Path,
    columns: list[dict[str, Any]] | None = None,
    *,
    encoding: str = "utf-8",
    delimiter: str = ",",
    max_bytes: int = 50_000_000,
    **custom: Any,
) -> FeedContract:
    """A contract of these columns, written to `folder` and read back."""
    raw = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "x.feeds.f",
        "name": "f",
        "version": "1.0.0",
        "status": "active",
        "customProperties": [
            {"property": "validFrom", "value": "2018-01"},
            {"property": "partners", "value": [{"partner": "p"}]},
            {"property": "file", "value": {"encoding": encoding, "delimiter": delimiter, "maxBytes": max_bytes}},
            *({"property": name, "value": value} for name, value in custom.items()),
            {
                "property": "thresholds",
                "value": {
                    "every_rule": {"at_most": 1, "severity": "error"},
                    "coverage": {"at_least": 97, "severity": "error"},
                    "completeness": {"at_least": 100, "severity": "error"},
                },
            },
        ],
        "schema": [{"name": "f", "logicalType": "object", "properties": columns or COLUMNS}],
    }
    path = folder / "f.yaml"
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    return contract_files.read_feed(path, index="x")


def read(
    data: bytes,
    contract: FeedContract,
    *,
    name: str = "delivery.csv",
    cadence: str = "month",
    period: str | None = None,
    file: int = 0,
    size: int | None = None,
) -> pl.DataFrame:
    """Everything `typed` gives for these bytes, in one frame."""
    at = periods.parse(period, cadence) if period else None
    return pl.concat(
        list(
            typing.typed(
                io.BytesIO(data),
                name=name,
                size=len(data) if size is None else size,
                contract=contract,
                cadence=cadence,
                file=file,
                period=at,
            )
        )
    )


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., FeedContract]:
    def build(columns: list[dict[str, Any]] | None = None, **options: Any) -> FeedContract:
        return contract_of(tmp_path, columns, **options)

    return build


def feed_contracts(index: str) -> list[FeedContract]:
    paths = sorted((CONTRACTS / index / "feeds").glob("*.yaml"))
    return [contract_files.read_feed(path, index=index) for path in paths]
