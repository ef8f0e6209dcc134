"""Parquet files of a partner: the columns as they were typed, nothing trusted that the file says of itself.

A damaged file makes the reader raise whatever it happens to trip over; all of it ends as one Finding.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import polars as pl

from dci_pipeline.contracts import FeedContract
from dci_pipeline.feeds import header, unpacking
from dci_pipeline.findings import Finding


def frames(content: BinaryIO, *, name: str, contract: FeedContract) -> Iterator[pl.DataFrame]:
    """The contract's columns of a Parquet file in batches, in file order. Raises Finding for any other file.

    Values keep their types, but categories are text and decimals their exact text.
    """
    reader = _arrow_parquet(content, name=name, contract=contract)
    rows = 0
    while True:
        try:
            frame = next(reader, None)
        except Finding:
            raise
        except Exception as error:  # a damaged file makes the reader raise whatever it happens to trip over
            raise not_parquet(name, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}") from error
        if frame is None:
            break
        rows += frame.height
        yield frame
    if rows == 0:
        raise header.no_rows(name, "a Parquet file with 0 rows")


def _arrow_parquet(spool: BinaryIO, *, name: str, contract: FeedContract) -> Iterator[pl.DataFrame]:
    pa, arrow_parquet = arrow(), arrow("parquet")
    reader: Any = arrow_parquet.ParquetFile(spool)
    schema: Any = reader.schema_arrow
    wanted = header.check_columns(list(schema.names), name=name, contract=contract)
    odd = [f"{field.name}: {field.type}" for field in schema if field.name in wanted and not _plain(pa, field.type)]
    if odd:
        raise Finding(
            "columns that are no plain values",
            where=name,
            found="; ".join(odd),
            expected="text, numbers, dates",
            todo="ask the partner for flat columns",
        )
    groups: Any = reader.metadata
    unpacked = sum(int(groups.row_group(at).total_byte_size) for at in range(groups.num_row_groups))
    if unpacked > contract.max_bytes or int(groups.num_rows) > contract.max_bytes:
        raise unpacking.too_large(
            name, f"{unpacked:,} bytes and {groups.num_rows:,} rows once unpacked", contract.max_bytes
        )
    decoded = 0
    for batch in cast("Iterator[Any]", reader.iter_batches(batch_size=1 << 16, columns=wanted, use_threads=False)):
        # Neither offsets nor text are checked by the reader, and what comes after trusts them.
        batch.validate(full=True)
        decoded += int(batch.nbytes)
        if decoded > 8 * contract.max_bytes:
            raise unpacking.too_large(name, f"more than {decoded:,} bytes of values", contract.max_bytes)
        if batch.num_rows:
            yield _native(pa, batch)[list(wanted)]  # polars selects a name such as * as a pattern


def _plain(pa: Any, type_: Any) -> bool:
    kinds = pa.types
    if kinds.is_dictionary(type_):
        return _plain(pa, type_.value_type) and not kinds.is_dictionary(type_.value_type)
    return any(
        test(type_)
        for test in (
            kinds.is_integer,
            kinds.is_floating,
            kinds.is_string,
            kinds.is_large_string,
            kinds.is_date,
            kinds.is_timestamp,
            kinds.is_boolean,
            kinds.is_null,
            kinds.is_decimal,
        )
    )


def _native(pa: Any, batch: Any) -> pl.DataFrame:
    """The batch in Polars; categories become text, decimals their exact text."""

    def plain(column: Any) -> Any:
        if pa.types.is_dictionary(column.type):
            return plain(column.dictionary_decode())
        if pa.types.is_decimal(column.type):
            return column.cast(pa.string())
        return column.cast(pa.float32()) if pa.types.is_float16(column.type) else column

    columns = [plain(column) for column in batch.columns]
    exact = [field.name for field in batch.schema if pa.types.is_decimal(field.type)]
    # 5.00 is a whole number in a decimal column: the places belong to the column, not to the value.
    frame = frame_of(pa.Table.from_arrays(columns, names=batch.schema.names))
    return frame.with_columns(frame[name].str.replace(r"\.0+$", "") for name in exact)


def arrow(part: str = "") -> Any:
    """Arrow or one of its modules, which carry no type information and take long to import."""
    return importlib.import_module("pyarrow" + (f".{part}" if part else ""))


def frame_of(table: Any) -> pl.DataFrame:
    """An Arrow table or batch in Polars."""
    return cast("pl.DataFrame", pl.from_arrow(table))  # pyright: ignore[reportUnknownMemberType]


def not_parquet(name: str, found: str) -> Finding:
    """The Finding for a file that should be Parquet and is not."""
    return Finding(
        "truncated or not a Parquet file",
        where=name,
        found=found,
        expected="a complete Parquet file",
        todo="ask the partner to send the file again",
    )
