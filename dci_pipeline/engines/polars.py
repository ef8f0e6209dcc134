"""The heavy stage on Polars: streaming, in this process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import narwhals.stable.v2 as nw
import polars as pl

from dci_pipeline.engines.dtypes import canonical
from dci_pipeline.engines.protocol import MEMORY, rows_in


class Polars:
    """Satisfies engines.Engine. Threads are those of the process (POLARS_MAX_THREADS)."""

    def __init__(self, *, memory: int = MEMORY) -> None:
        self.rows_at_once: int | None = rows_in(memory)

    def scan(self, paths: Sequence[Path]) -> nw.LazyFrame[Any]:
        # Partition folders say year=, month=, partner=; those are no columns of the file.
        return nw.from_native(pl.scan_parquet(list(paths), hive_partitioning=False, glob=False))

    def small(self, frame: pl.DataFrame) -> nw.LazyFrame[Any]:
        return nw.from_native(frame.lazy())

    def keep(self, parts: Iterable[nw.LazyFrame[Any]]) -> nw.LazyFrame[Any] | None:
        rows = pl.concat(self.collect(part) for part in parts)
        return None if rows.is_empty() else self.small(rows)

    def collect(self, lazy: nw.LazyFrame[Any]) -> pl.DataFrame:
        native = cast("pl.LazyFrame", lazy.to_native())
        return canonical(native.collect(engine="streaming"))

    def sink(self, lazy: nw.LazyFrame[Any], path: Path) -> list[Path]:
        cast("pl.LazyFrame", lazy.to_native()).sink_parquet(path, compression="zstd")
        return [path]
