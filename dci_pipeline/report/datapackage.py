"""The descriptor of a folder of tables: a Frictionless Data Package, from contracts and facts of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dci_pipeline.contracts import TableColumn, TableContract

NAME = "datapackage.json"
_MEDIA = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


@dataclass(frozen=True)
class DataFile:
    """One file of a table: its path within the folder, its size in bytes, its SHA-256 and its rows."""

    table: TableContract
    path: str
    bytes: int
    sha256: str
    rows: int


def descriptor(
    name: str, *, title: str, description: str, files: Sequence[DataFile], beside: Mapping[str, object]
) -> dict[str, object]:
    """The descriptor as plain values, for JSON. `name`: small letters, digits and . _ -; `beside`: further properties.

    A resource per file, in the order given: path, format, bytes, hash, rows, and a schema with type, description, unit
    and limits of every column and the primary key. The version of the table's contract is `contract_version`.
    """
    return {
        "name": name,
        "title": title,
        "description": description,
        **beside,
        "resources": [_resource(file) for file in files],
    }


def _resource(file: DataFile) -> dict[str, object]:
    form = file.path.rpartition(".")[2]
    table = file.table
    return {
        "name": table.table,
        "profile": "tabular-data-resource",
        "title": table.label,
        "description": table.description,
        "path": file.path,
        "format": form,
        "mediatype": _MEDIA[form],
        **({"encoding": "utf-8"} if form == "csv" else {}),
        "bytes": file.bytes,
        "hash": f"sha256:{file.sha256}",
        "rows": file.rows,
        "contract_version": table.version,
        "schema": schema(table),
    }


def schema(table: TableContract) -> dict[str, object]:
    """What a contract says of a table's columns, as a Frictionless Table Schema: whatever form its file has."""
    return {
        "fields": [_field(column) for column in table.columns],
        "primaryKey": list(table.key),
        "missingValues": [""],
    }


def _field(column: TableColumn) -> dict[str, object]:
    found: dict[str, object] = {
        "name": column.name,
        "type": column.type,
        "title": column.label,
        "description": column.description,
    }
    if column.unit:
        found["unit"] = column.unit
    if column.required or column.key:
        found["constraints"] = {"required": True}
    return found
