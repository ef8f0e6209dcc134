"""Engines read, join and return the same frames; what they cannot do they refuse."""

import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import narwhals.stable.v2 as nw
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dci_pipeline import engines
from dci_pipeline.engines import protocol
from dci_pipeline.engines.dtypes import canonical
from dci_pipeline.engines.protocol import MEMORY
from dci_pipeline.findings import Finding

FRAME = pl.DataFrame(
    {
        "partner": ["a", "b", None],
        "n": [1, 2, 2**40],
        "day": [date(2019, 4, 1), None, date(2019, 4, 2)],
        "x": [0.5, None, 2.0],
        "yes": [True, None, False],
    },
    schema_overrides={"n": pl.Int64},
).with_columns(file=pl.lit(0, dtype=pl.Int32))


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(Finding, match="one of polars, duckdb"), engines.engine("spark"):
        pass


def test_auto_takes_the_engine_that_spills_for_what_does_not_fit() -> None:
    fits = protocol.rows_in(MEMORY)
    assert engines.chosen("auto", rows=fits) == "polars"
    assert engines.chosen("auto", rows=fits + 1) == "duckdb"
    assert engines.chosen("auto", rows=fits, memory=MEMORY // 2) == "duckdb"
    assert engines.chosen("polars", rows=100 * fits) == "polars"
    assert engines.chosen("sc://127.0.0.1:15002", rows=1) == "sc://127.0.0.1:15002"


def test_importing_engines_imports_none_of_them() -> None:
    code = "import sys, dci_pipeline.engines; assert not {'polars', 'duckdb', 'narwhals'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


@pytest.mark.parametrize("name", engines.NAMES)
def test_a_file_comes_back_as_it_was_written(name: str, tmp_path: Path) -> None:
    # The folder says partner=elsewhere and year=2019; the file's own column stands and no other appears.
    folder = tmp_path / "year=2019" / "partner=elsewhere"
    folder.mkdir(parents=True)
    FRAME.head(1).write_parquet(folder / "0.parquet")
    FRAME.slice(1).write_parquet(folder / "1.parquet")
    with engines.engine(name) as engine:
        lazy = engine.scan([folder / "0.parquet", folder / "1.parquet"])
        assert_frame_equal(engine.collect(lazy.sort("n")), FRAME)
        engine.sink(lazy.sort("n"), tmp_path / "out.parquet")
    assert_frame_equal(pl.read_parquet(tmp_path / "out.parquet"), FRAME)


@pytest.mark.parametrize("name", engines.NAMES)
def test_counts_and_sums_are_64_bit(name: str) -> None:
    with engines.engine(name) as engine:
        lazy = engine.small(FRAME).select(
            nw.len().alias("rows"),
            nw.col("n").sum(),
            nw.col("x").count(),
            nw.col("partner").n_unique(),
            nw.col("day").max(),
        )
        found = engine.collect(lazy)
    assert found.schema == {"rows": pl.Int64, "n": pl.Int64, "x": pl.Int64, "partner": pl.Int64, "day": pl.Date}
    assert found["rows"].item() == 3 and found["n"].item() == 2**40 + 3


@pytest.mark.parametrize("name", engines.NAMES)
def test_null_keys_do_not_join(name: str) -> None:
    with engines.engine(name) as engine:
        other = engine.small(pl.DataFrame({"partner": ["a", None], "found": [1, 2]}))
        lazy = engine.small(FRAME).join(other, on="partner", how="left").select("n", "found").sort("n")
        assert engine.collect(lazy).rows() == [(1, 1), (2, None), (2**40, None)]


@pytest.mark.parametrize(
    ("column", "fits"),
    [
        (pl.Series([Decimal(2**63 - 1)], dtype=pl.Decimal(38, 0)), True),
        (pl.Series([Decimal(-(2**63))], dtype=pl.Decimal(38, 0)), True),
        (pl.Series([Decimal(2**63)], dtype=pl.Decimal(38, 0)), False),
        (pl.Series([Decimal(-(2**63) - 1)], dtype=pl.Decimal(38, 0)), False),
        (pl.Series([2**63 - 1], dtype=pl.UInt64), True),
        (pl.Series([2**63], dtype=pl.UInt64), False),
        (pl.Series([2**64], dtype=pl.Int128), False),
    ],
)
def test_integers_fit_64_bits_or_are_refused(column: pl.Series, fits: bool) -> None:
    frame = column.alias("total").to_frame()
    if fits:
        assert canonical(frame)["total"].to_list() == [int(column[0])]
    else:
        with pytest.raises(Finding, match="total"):
            canonical(frame)


def test_the_second_engine_spills_only_where_it_is_told(tmp_path: Path) -> None:
    with engines.engine("duckdb", temp_directory=tmp_path) as engine:
        assert engine.collect(engine.small(FRAME)).height == 3
