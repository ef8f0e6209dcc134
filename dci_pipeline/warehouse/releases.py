"""Releases made: the published tables up to a period frozen into a folder that appears whole or not at all.

The bytes of a table depend on its rows and the Parquet writer alone, so that a rebuild can be compared byte for byte.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from dci_pipeline.contracts import TableContract
from dci_pipeline.data_files import content_hash
from dci_pipeline.findings import Finding
from dci_pipeline.framework import Framework
from dci_pipeline.marts.promise import empty
from dci_pipeline.periods import Period
from dci_pipeline.releases.package import TableFile
from dci_pipeline.releases.spans import time_column, until
from dci_pipeline.releases.window import Window
from dci_pipeline.warehouse import catalogue, deliveries
from dci_pipeline.warehouse.deliveries import Delivery
from dci_pipeline.warehouse.disk import make_folder, sync
from dci_pipeline.warehouse.formats import settle as settle_format
from dci_pipeline.warehouse.layout import Layout
from dci_pipeline.warehouse.receipts import content_of, is_whole, receipt_is_whole
from dci_pipeline.warehouse.release_files import METHOD, SUMS, TABLES, defining, definition, files, sums
from dci_pipeline.warehouse.store import Warehouse
from dci_pipeline.warehouse.windows import window

_ROW_GROUP = 250_000
# Rows of a table that are sorted in one go.
_AT_ONCE = 1_000_000
_READ_ONLY = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH

Progress = Callable[[str], None]


def published(
    warehouse: Warehouse, contract: TableContract, framework: Framework, last: Period | None, *, year: int | None = None
) -> pl.DataFrame:
    """The committed rows of a table of periods up to `last`, of one year's partitions where given; sorted by key.

    `maturity` follows the index's revision window up to `last`, or else up to the newest period.
    """
    paths = [
        path for path in warehouse.partitions("marts", contract.table) if year is None or f"year={year}" in path.parts
    ]
    still_open = window(warehouse, framework, last)
    pieces = [_piece(warehouse, contract, paths, part, last, still_open) for part in _parts(warehouse, contract, paths)]
    return pl.concat(pieces, rechunk=len(pieces) == 1)


def _piece(
    warehouse: Warehouse,
    contract: TableContract,
    paths: Sequence[Path],
    part: pl.DataFrame | None,
    last: Period | None,
    still_open: Window | None,
) -> pl.DataFrame:
    """Rows of these partitions, or those whose first columns of the key are in `part`; sorted by key."""
    frames = [empty(contract)]
    for path in paths:
        rows = warehouse.frame_of(path)
        frames.append(rows if part is None else rows.join(part, on=part.columns, how="semi", maintain_order="left"))
    whole = until(pl.concat(frames, how="vertical"), time_column(contract.key), last)
    if still_open is not None:
        whole = still_open.applied(whole, contract.table, contract.key)
    return whole.sort(contract.key, nulls_last=True) if contract.key else whole


def _parts(warehouse: Warehouse, contract: TableContract, paths: Sequence[Path]) -> Sequence[pl.DataFrame | None]:
    """Stretches of the key's first columns, in order, that together are a large table; None for one that is not.

    Sorting takes a table's memory once more, so a large one is read and sorted a stretch at a time.
    """
    rows = sum(warehouse.rows_of(path) for path in paths)
    if rows <= _AT_ONCE or len(contract.key) < 2:
        return [None]
    first = list(contract.key[:2])
    known = pl.concat([warehouse.frame_of(path).select(first).unique() for path in paths]).unique().sort(first)
    size = -(-known.height * _AT_ONCE // rows)
    return [known[at : at + size] for at in range(0, known.height, size)]


def write_tables(
    warehouse: Warehouse, framework: Framework, folder: Path, last: Period, *, progress: Progress = lambda _: None
) -> dict[str, TableFile]:
    """Every published table into `folder`, one Parquet file each, rows of periods up to `last`; by table."""
    (folder / TABLES).mkdir(parents=True)
    found: dict[str, TableFile] = {}
    for name in sorted(framework.tables):
        progress(name)
        found[name] = write_table(folder, name, published(warehouse, framework.tables[name], framework, last))
    return found


def write_table(folder: Path, table: str, rows: pl.DataFrame) -> TableFile:
    """One table into the folder of a release, in place of what is there; rows come sorted by key."""
    path = folder / TABLES / f"{table}.parquet"
    rows.write_parquet(path, compression="zstd", compression_level=3, statistics=True, row_group_size=_ROW_GROUP)
    held = content_of(path)
    return TableFile(rows.height, held["bytes"], held["sha256"])


def write_database(framework: Framework, folder: Path) -> None:
    """The DuckDB file of a release, from its Parquet files."""
    tables = {name: [folder / TABLES / f"{name}.parquet"] for name in sorted(framework.tables)}
    catalogue.write(folder / f"{framework.index}.duckdb", tables, framework)


def write_method(framework: Framework, folder: Path) -> dict[str, str]:
    """The files that define the index, copied, so that a rebuild has them; content hash by name."""
    target = folder / METHOD / framework.index
    for path in defining(framework.folder):
        copy = target / path.relative_to(framework.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return {name: content_hash(said) for name, said in definition(target).items()}


def write_documents(folder: Path, documents: Mapping[str, str]) -> None:
    """Texts by file name."""
    for name, said in documents.items():
        (folder / name).write_text(said, encoding="utf-8")


def settle(layout: Layout, ready: Path, release: str, documents: Mapping[str, str]) -> Path:
    """Move a finished folder in as a release: documents and sums written, every file read-only and on the disk.

    Raises Finding when there is a release of that id.
    """
    write_documents(ready, documents)
    target = layout.releases / release
    (ready / SUMS).write_bytes(sums(ready))
    for path in files(ready):
        sync(path)
        path.chmod(_READ_ONLY)
    for folder in [path for path in ready.rglob("*") if path.is_dir()] + [ready]:
        sync(folder)
    make_folder(layout.releases)
    if target.exists():
        raise Finding(
            "a release is never made twice",
            where=str(target),
            found="a release of that name",
            expected="none",
            todo="start again: it gets the next revision number",
        )
    os.rename(ready, target)
    sync(layout.releases)
    return target


def named_delivery(layout: Layout, delivery: Delivery) -> dict[str, Any]:
    """A delivery as a release names it: by content, without when it came."""
    return {
        "feed": delivery.feed,
        "period": delivery.period.key,
        "partner": delivery.partner,
        "sha256": delivery.sha256,
        "folder": delivery.folder.relative_to(layout.home).as_posix(),
        "rows": delivery.rows,
        "parts": [{"name": part.name, "bytes": part.bytes, "sha256": part.sha256} for part in delivery.parts],
    }


def link_deliveries(layout: Layout, named: Sequence[Mapping[str, Any]], root: Path, *, progress: Progress) -> None:
    """The deliveries that a release names into another warehouse on the same disk, as links to the same bytes.

    Raises Finding for one that is gone or is no longer as it was received.
    """
    settle_format(root)
    for item in named:
        progress(f"{item['feed']} {item['partner']} {item['period']}")
        source, target = layout.home / item["folder"], root / layout.index / item["folder"]
        wrong = [part["name"] for part in item["parts"] if not is_whole(source / part["name"], part["sha256"])]
        if wrong or not receipt_is_whole(source / deliveries.RECEIPT):
            raise Finding(
                "a delivery of the release is not as it was received",
                where=str(item["folder"]),
                found=", ".join(wrong or [deliveries.RECEIPT]) + ": gone or changed",
                expected=f"the delivery {item['sha256'][:12]}",
                todo="dci doctor says what can be mended; else put the files back from a copy",
            )
        target.mkdir(parents=True)
        for path in sorted(source.iterdir()):
            try:
                os.link(path, target / path.name)
            except OSError:
                shutil.copyfile(path, target / path.name)
