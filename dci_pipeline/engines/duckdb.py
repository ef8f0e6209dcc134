"""The heavy stage on DuckDB: an in-memory database, in this process, that may spill to a folder it is given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import duckdb
import narwhals.stable.v2 as nw
import polars as pl

from dci_pipeline.engines.dtypes import canonical
from dci_pipeline.engines.protocol import MEMORY


class DuckDB:
    """Satisfies engines.Engine. Relations of two instances cannot be joined."""

    rows_at_once = None  # it spills

    def __init__(self, *, memory: int = MEMORY, temp_directory: Path | None = None, threads: int | None = None) -> None:
        config: dict[str, str | bool | int | float | list[str]] = {
            "preserve_insertion_order": "false",
            "memory_limit": f"{memory}B",
        }
        # An in-memory database would otherwise spill into .tmp of the working directory.
        config["temp_directory"] = "" if temp_directory is None else str(temp_directory)
        # As many as Polars has in this process, so that one number bounds both where several processes share a machine.
        config["threads"] = str(threads or pl.thread_pool_size())
        self._connection = duckdb.connect(":memory:", config=config)

    def scan(self, paths: Sequence[Path]) -> nw.LazyFrame[Any]:
        # Partition folders say year=, month=, partner=; detected as columns they would replace those of the file.
        relation = self._connection.read_parquet([str(path) for path in paths], hive_partitioning=False)
        return nw.from_native(relation)

    def small(self, frame: pl.DataFrame) -> nw.LazyFrame[Any]:
        return nw.from_native(self._connection.from_arrow(cast("object", frame.to_arrow())))

    def keep(self, parts: Iterable[nw.LazyFrame[Any]]) -> nw.LazyFrame[Any] | None:
        rows = pl.concat(self.collect(part) for part in parts)
        return None if rows.is_empty() else self.small(rows)

    def collect(self, lazy: nw.LazyFrame[Any]) -> pl.DataFrame:
        return canonical(cast("duckdb.DuckDBPyRelation", lazy.to_native()).pl())

    def sink(self, lazy: nw.LazyFrame[Any], path: Path) -> list[Path]:
        cast("duckdb.DuckDBPyRelation", lazy.to_native()).write_parquet(str(path), compression="zstd")
        return [path]

    def close(self) -> None:
        self._connection.close()
