"""The catalogue: published tables as real tables in one DuckDB file, with a comment on every table and column.

Built beside the last one and renamed over it, so that analysts with the file open never block a run and are never
blocked.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import duckdb

from dci_pipeline.contracts import TableContract
from dci_pipeline.findings import Conflict
from dci_pipeline.framework import Framework
from dci_pipeline.releases.window import MATURITY, PROVISIONAL, Window
from dci_pipeline.warehouse.disk import sync
from dci_pipeline.warehouse.layout import Layout
from dci_pipeline.warehouse.objects import ObjectPath, local
from dci_pipeline.warehouse.places import place
from dci_pipeline.warehouse.stamps import code_version
from dci_pipeline.warehouse.store import Warehouse, put, put_object
from dci_pipeline.warehouse.windows import window

_TYPES = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "date": "DATE", "boolean": "BOOLEAN"}
# The oldest storage format: tools of DuckDB 1.x open the file too.
_STORAGE = "v1.0.0"
# Publishing starts again when a table was committed meanwhile, so often before it gives up.
_TRIES = 5


@dataclass(frozen=True)
class Built:
    """What publishing did; `changed` is False when the file already held these tables."""

    path: Path
    tables: int
    rows: int
    data_version: str
    changed: bool


def up_to_date(warehouse: Warehouse, framework: Framework) -> bool:
    """Whether the published file was built from what is committed now, and is still the file that was built."""
    return _is_published(warehouse.layout, _stamp(warehouse, framework)[1])


def state(warehouse: Warehouse, framework: Framework) -> str:
    """A text that changes with any committed table, contract or source that the published file would be built from."""
    return _stamp(warehouse, framework)[1]


def build(warehouse: Warehouse, framework: Framework) -> Built:
    """Publish every committed table that has a contract. Tables without a partition are published empty.

    Writes nothing when the last catalogue was built from the same partitions, contracts and code.
    """
    layout = warehouse.layout
    for _ in range(_TRIES):
        parts, stamp, version = _stamp(warehouse, framework)
        if _is_published(layout, stamp):
            return Built(layout.catalogue, len(parts), -1, version, changed=False)
        with place(layout) as own:
            ready = own.folder / layout.catalogue.name
            rows = write(
                ready,
                {name: [local(path, own.folder) for path in paths] for name, paths in parts.items()},
                framework,
                window(warehouse, framework),
            )
            if _stamp(warehouse, framework)[1] != stamp:
                continue  # a table was committed while it was read
            record = _record(stamp, ready)
            sync(ready)
            if isinstance(layout.catalogue, ObjectPath):
                put_object(layout.catalogue, ready)
            else:
                os.replace(ready, layout.catalogue)
        # After the file: a process that dies in between leaves a record of another file, and it is published again.
        put(layout, layout.catalogue_stamp, record)
        return Built(layout.catalogue, len(parts), rows, version, changed=True)
    raise Conflict(
        "the published tables change while they are published",
        where=layout.catalogue.name,
        found=f"another commit in each of {_TRIES} tries",
        expected="a moment without one",
        todo="wait for the other runs, then start again; the file published last is as it was",
    )


def is_as_published(layout: Layout) -> bool:
    """Whether the published file has the size and hash that were recorded when it was published."""
    try:
        kept = json.loads(layout.catalogue_stamp.read_bytes())["file"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return kept == _held(layout.catalogue)


def _is_published(layout: Layout, stamp: str) -> bool:
    done = layout.catalogue_stamp
    return layout.catalogue.is_file() and done.is_file() and done.read_bytes() == _record(stamp, layout.catalogue)


def _stamp(warehouse: Warehouse, framework: Framework) -> tuple[dict[str, list[Path]], str, str]:
    """Partition files by table, the text that names everything the catalogue is built from, and its content hash."""
    parts = {name: warehouse.partitions("marts", name) for name in sorted(framework.tables)}
    inputs = {
        name: {str(path.parent.relative_to(warehouse.layout.home)): warehouse.version_of(path) for path in paths}
        for name, paths in parts.items()
    }
    contracts = {name: framework.tables[name].sha256 for name in parts}
    # Up to which period what is published is final follows from the newest partition, which is among the tables.
    said = {"tables": inputs, "contracts": contracts, "code": code_version(),
            "revision_window_months": framework.revision_window.months}  # fmt: skip
    stamp = json.dumps(said, sort_keys=True, indent=1)
    return parts, stamp, hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _record(stamp: str, published: Path) -> bytes:
    """What is kept beside the published file: what it was built from, and its own size and content hash."""
    held = _held(published)
    return json.dumps({"built_from": json.loads(stamp), "file": held}, sort_keys=True, indent=1).encode()


def _held(published: Path) -> dict[str, object]:
    with published.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": digest}


def write(target: Path, parts: dict[str, list[Path]], framework: Framework, still_open: Window | None = None) -> int:
    """A DuckDB file at `target` from Parquet files by table, with a comment on every table and column; its rows.

    still_open: the revision window, for files that do not follow it yet.
    """
    rows = 0
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH {_text(str(target))} AS published (STORAGE_VERSION {_text(_STORAGE)})")
        connection.execute("USE published")
        # One transaction: a commit for each of hundreds of comments would be a write to disk for each.
        connection.begin()
        for name, paths in parts.items():
            contract = framework.tables[name]
            connection.execute(_create(contract))
            if paths:
                files = ", ".join(_text(str(path)) for path in paths)
                columns = ", ".join(_selected(column.name, contract, still_open) for column in contract.columns)
                order = ", ".join(_name(key) for key in contract.key) or "ALL"
                connection.execute(
                    f"INSERT INTO {_name(name)} SELECT {columns} FROM read_parquet([{files}], "  # noqa: S608 - names are quoted
                    f"hive_partitioning = false) ORDER BY {order}"
                )
            counted = connection.sql(f"SELECT count(*) FROM {_name(name)}").fetchall()  # noqa: S608
            rows += int(counted[0][0])
            for comment in _comments(contract):
                connection.execute(comment)
        connection.commit()
        connection.execute("USE memory")
        connection.execute("DETACH published")
    return rows


def _selected(column: str, contract: TableContract, still_open: Window | None) -> str:
    """A column as it is read; the maturity of rows that are still open to revision is said in its place."""
    found = still_open.final(contract.table, contract.key) if still_open and column == MATURITY else None
    if found is None:
        return _name(column)
    time, last = found
    value = str(last) if isinstance(last, int) else _text(str(last))
    return f"CASE WHEN {_name(time)} > {value} THEN {_text(PROVISIONAL)} ELSE {_name(column)} END AS {_name(column)}"


def _create(contract: TableContract) -> str:
    columns = ", ".join(
        f"{_name(column.name)} {_TYPES[column.type]}" + (" NOT NULL" if column.required else "")
        for column in contract.columns
    )
    return f"CREATE TABLE {_name(contract.table)} ({columns})"


def _comments(contract: TableContract) -> list[str]:
    """COMMENT statements: what the contract says, with the Chinese name and the unit."""
    table = _name(contract.table)
    said = [f"COMMENT ON TABLE {table} IS {_text(_joined(contract.label, contract.description))}"]
    for column in contract.columns:
        unit = f" Unit: {column.unit}." if column.unit else ""
        said.append(
            f"COMMENT ON COLUMN {table}.{_name(column.name)} IS "
            f"{_text(_joined(column.label, column.description) + unit)}"
        )
    return said


def _joined(label: str, description: str) -> str:
    return f"{label}: {description}" if label else description


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
