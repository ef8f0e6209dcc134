"""The heavy stage on Polars: streaming, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import narwhals.stable.v2 as nw
import polars as pl

from dci_pipeline.engines.dtypes import canonical


class Polars:
    """Satisfies engines.Engine. Threads are those of the process (POLARS_MAX_THREADS)."""

    def scan(self, paths: Sequence[Path]) -> nw.LazyFrame[Any]:
        # Partition folders say year=, month=, partner=; those are no columns of the file.
        return nw.from_native(pl.scan_parquet(list(paths), hive_partitioning=False, glob=False))

    def small(self, frame: pl.DataFrame) -> nw.LazyFrame[Any]:
        return nw.from_native(frame.lazy())

    def collect(self, lazy: nw.LazyFrame[Any]) -> pl.DataFrame:
        native = cast("pl.LazyFrame", lazy.to_native())
        return canonical(native.collect(engine="streaming"))

    def sink(self, lazy: nw.LazyFrame[Any], path: Path) -> None:
        cast("pl.LazyFrame", lazy.to_native()).sink_parquet(path, compression="zstd")
