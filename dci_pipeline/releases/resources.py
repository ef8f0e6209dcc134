"""One published table as a resource of a Frictionless Data Package: a file, its hash, what the contract says of it.

A release and an export describe their files in these words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dci_pipeline.contracts import TableColumn, TableContract

_MEDIA = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


@dataclass(frozen=True)
class DataFile:
    """One file of a table: its path within the folder, its size in bytes, its SHA-256 and its rows."""

    table: TableContract
    path: str
    bytes: int
    sha256: str
    rows: int


def resource(file: DataFile) -> dict[str, Any]:
    """One file of a table: where it lies, its size and hash, rows (`rowCount`), version of its contract, its schema.

    A validator reads a CSV file as a table. A Parquet file is a file to it, whose size and hash it checks: read through
    another library, whole numbers that may be missing would come out as fractions.
    """
    form, table = file.path.rpartition(".")[2], file.table
    kind = {"profile": "tabular-data-resource"} if form == "csv" else {"profile": "data-resource", "type": "file"}
    return {
        **kind,
        "name": table.table,
        "title": table.label or table.table,
        "description": table.description,
        "path": file.path,
        "format": form,
        "mediatype": _MEDIA[form],
        **({"encoding": "utf-8"} if form == "csv" else {}),
        "bytes": file.bytes,
        "hash": f"sha256:{file.sha256}",
        "rowCount": file.rows,
        "contract": table.version,
        "schema": schema(table),
    }


def schema(table: TableContract) -> dict[str, Any]:
    """What a contract says of a table's columns, as a Frictionless Table Schema: whatever form its file has."""
    return {
        "fields": [_field(column) for column in table.columns],
        "primaryKey": list(table.key),
        "missingValues": [""],
    }


def _field(column: TableColumn) -> dict[str, Any]:
    found: dict[str, object] = {
        "name": column.name,
        "type": column.type,
        "title": column.label or column.name,
        "description": column.description,
    }
    if column.unit:
        found["unit"] = column.unit
    if column.required or column.key:
        found["constraints"] = {"required": True}
    return found
