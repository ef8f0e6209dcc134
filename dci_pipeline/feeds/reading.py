"""From a partner's file to batches of its columns, untyped: CSV (packed or not) as text, Parquet as it was typed.

Every record keeps its number in the file. A record with too many or too few fields stays as an empty row with the
reason; a file that is no table of the contract's columns ends as one Finding. Text is kept verbatim.
"""

from __future__ import annotations

import csv
import difflib
import importlib
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, cast

import numpy as np
import polars as pl

from dci_pipeline.contracts import FeedContract
from dci_pipeline.feeds import decoding
from dci_pipeline.findings import Finding

BATCH_ROWS = 250_000
FILE_ROW = "file_row"
RAGGED = "ragged"

_BLOCK = 8 << 20
_HEADER = 1 << 20
_LAST = "\x04end of file\x04"


def batches(stream: BinaryIO, *, name: str, size: int, contract: FeedContract) -> Iterator[pl.DataFrame]:
    """The records of one file in order: [a column per column of the contract and of its row filter, file_row, ragged].

    Columns carry the names of the partner's file; CSV values are text with an empty field as null, Parquet values keep
    their types. `file_row` counts records from 1; `ragged` is the reason why a row is empty, else null.
    Raises Finding for a file past the size limit, damaged, in another encoding, or with other columns.
    """
    if size > contract.max_bytes:
        raise decoding.too_large(name, f"{size:,} bytes", contract.max_bytes)
    content = decoding.unpacked(stream, name=name, limit=contract.max_bytes)
    mark = content.peek(4)
    if mark == decoding.PARQUET:
        with decoding.seekable(content) as spool:
            yield from _parquet(spool, name=name, contract=contract)
    elif name.lower().endswith(".parquet"):
        raise _not_parquet(name, f"the first bytes are {mark!r}")
    else:
        yield from _csv(content, name=name, contract=contract)


def kept(contract: FeedContract) -> list[str]:
    """The file's columns that are read: those of the contract and those it filters rows on."""
    return list(dict.fromkeys([column.source for column in contract.columns] + list(contract.row_filter)))


def _csv(content: decoding.Limited, *, name: str, contract: FeedContract) -> Iterator[pl.DataFrame]:
    text = decoding.Utf8(content, name=name, encoding=contract.encoding)
    header = _header(text, name=name, contract=contract)
    wanted = check_columns(header, name=name, contract=contract)
    # A record after the last one: if the parser does not return it, the file ended inside quotes.
    text.end_with(("\n" + contract.delimiter.join([_LAST] * len(header)) + "\n").encode())
    ragged: deque[tuple[int, int]] = deque()
    reader = _arrow_csv(text, header, wanted, delimiter=contract.delimiter, ragged=ragged, name=name)
    number, rows, held = 1, 0, None
    while True:
        try:
            batch = next(reader, None)
        except Finding:
            raise
        except Exception as error:
            raise _unreadable(error, text, name, number) from error
        if batch is None:
            break
        if batch.height == 0:
            continue
        if held is not None:
            frame, number = _numbered(held, number, ragged, len(header))
            rows += frame.height
            yield from frame.iter_slices(BATCH_ROWS)
        held = batch
    if held is None or held.row(-1) != (_LAST,) * held.width:
        raise _open_quote(name, number)
    frame, number = _numbered(held, number, ragged, len(header))
    rows += frame.height - 1
    if rows == 0:
        raise _no_rows(name, "a header and nothing below it")
    yield from frame.head(-1).iter_slices(BATCH_ROWS)


def _arrow_csv(text: decoding.Utf8, header: Sequence[str], wanted: Sequence[str], *, delimiter: str,
               ragged: deque[tuple[int, int]], name: str) -> Iterator[pl.DataFrame]:
    pa, arrow_csv = _arrow(), _arrow("csv")

    def note(row: Any) -> str:
        ragged.append((int(row.number), int(row.actual_columns)))
        swallowed.extend(int(row.number) for line in str(row.text).split("\n")[1:-1]
                         if line.count(delimiter) == len(header) - 1)
        return "skip"

    swallowed: list[int] = []

    # By position, so that no name in the file can upset the reader; row numbers need the single-threaded one.
    places = {str(header.index(source)): source for source in wanted}
    options: dict[str, Any] = {
        "read_options": arrow_csv.ReadOptions(use_threads=False, block_size=_BLOCK,
                                              column_names=[str(at) for at in range(len(header))]),
        "parse_options": arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True,
                                                invalid_row_handler=note),
        "convert_options": arrow_csv.ConvertOptions(
            column_types={place: pa.string() for place in places}, include_columns=list(places), null_values=[""],
            strings_can_be_null=True, quoted_strings_can_be_null=True, check_utf8=False),
    }
    for batch in cast("Iterator[Any]", arrow_csv.open_csv(text, **options)):
        frame = _frame(batch).rename(places)
        if text.quoted and len(header) > 1:
            _no_record_in_a_value(frame, swallowed, name=name, delimiter=delimiter, width=len(header))
        yield frame


def _no_record_in_a_value(frame: pl.DataFrame, swallowed: Sequence[int], *, name: str, delimiter: str,
                          width: int) -> None:
    """A quote left open runs to the next one and takes whole records with it; they must not vanish unseen."""
    if swallowed:
        raise _open_quote(name, swallowed[0], "whole records inside one value")
    sign = re.escape(delimiter)
    whole_line = rf"\n(?:[^\n{sign}]*{sign}){{{width - 1}}}[^\n{sign}]*(?:\n|$)"
    for values in frame:
        broken = values.filter(values.str.contains("\n", literal=True))
        if broken.str.contains(whole_line).any():
            raise _open_quote(name, 1, "whole records inside one value")


def _numbered(frame: pl.DataFrame, start: int, ragged: deque[tuple[int, int]],
              width: int) -> tuple[pl.DataFrame, int]:
    """`frame` with file_row and with the ragged records that stand between its rows; and the next record's number."""
    here: list[tuple[int, int]] = []
    while ragged and ragged[0][0] < start + frame.height + len(here):
        here.append(ragged.popleft())
    after = start + frame.height + len(here)
    numbers = np.arange(start, after, dtype=np.int64)
    if not here:
        return frame.with_columns(pl.Series(FILE_ROW, numbers), pl.lit(None, dtype=pl.String).alias(RAGGED)), after
    bad = np.array([number for number, _ in here], dtype=np.int64)
    good = np.delete(numbers, bad - start)
    reasons = [f"row: {fields} field{'' if fields == 1 else 's'}, expected {width}" for _, fields in here]
    rows = pl.concat([
        frame.with_columns(pl.Series(FILE_ROW, good), pl.lit(None, dtype=pl.String).alias(RAGGED)),
        pl.DataFrame({FILE_ROW: bad, RAGGED: reasons}),
    ], how="diagonal")
    return rows.sort(FILE_ROW), after


def _header(text: decoding.Utf8, *, name: str, contract: FeedContract) -> list[str]:
    """The column names in the first record that is not blank; the text is then at the record after it."""
    data = b""
    while True:
        more = text.read(1 << 16)
        data += more
        data = data.lstrip(b"\r\n")
        end = _record_end(data)
        if end is not None or not more:
            break
        if len(data) > _HEADER:
            raise Finding("no header", where=name, found=f"a first line of more than {_HEADER:,} bytes",
                          expected=", ".join(contract.file_columns), todo="ask the partner for a header line")
    if not data:
        raise _no_rows(name, "an empty file")
    line = data if end is None else data[:end]
    text.push_back(b"" if end is None else data[end:])
    try:
        return next(csv.reader([line.decode()], delimiter=contract.delimiter))
    except (csv.Error, StopIteration) as error:
        raise Finding("no header", where=name, found=f"{line[:80]!r}",
                      expected=", ".join(contract.file_columns)) from error


def _record_end(data: bytes) -> int | None:
    """Where the first record ends: the first line break outside quotes."""
    start = 0
    while True:
        ends = [at for at in (data.find(b"\n", start), data.find(b"\r", start)) if at >= 0]
        if not ends:
            return None
        if data.count(b'"', 0, min(ends)) % 2 == 0:
            return min(ends)
        start = min(ends) + 1


def check_columns(found: Sequence[str], *, name: str, contract: FeedContract) -> list[str]:
    """The columns to read, once the file is seen to have them. Raises one Finding for all that is wrong in a header."""
    wanted = kept(contract)
    known = set(contract.file_columns)
    missing = [column for column in wanted if column not in found]
    unknown = [column for column in found if column not in known]
    doubled = sorted(column for column, times in Counter(found).items() if times > 1)
    if not (missing or unknown or doubled):
        return wanted
    says = [f"{what} {', '.join(map(repr, columns))}" for what, columns in (
        ("missing column", missing), ("unknown column", unknown), ("repeated column", doubled)) if columns]
    likely = {column: difflib.get_close_matches(column, unknown, n=1, cutoff=0.6) for column in missing}
    hints = [f"{near[0]!r} may be meant as {column!r}" for column, near in likely.items() if near]
    if len(found) == 1 and missing:
        hints += [f"the separator may be {sign!r} and not {contract.delimiter!r}"
                  for sign in (",", ";", "\t", "|") if sign != contract.delimiter and sign in found[0]]
    raise Finding("; ".join(says)[:2000], where=name, found=", ".join(found)[:2000],
                  expected=", ".join(contract.file_columns),
                  todo="; ".join([*hints, "ask the partner, or give the contract a new version if files have changed"]))


def _parquet(content: BinaryIO, *, name: str, contract: FeedContract) -> Iterator[pl.DataFrame]:
    reader = _arrow_parquet(content, name=name, contract=contract)
    number = 1
    while True:
        try:
            frame = next(reader, None)
        except Finding:
            raise
        except Exception as error:  # a damaged file makes the reader raise whatever it happens to trip over
            raise _not_parquet(name, f"{type(error).__name__}: {_one_line(error)}") from error
        if frame is None:
            break
        yield frame.with_columns(
            pl.Series(FILE_ROW, np.arange(number, number + frame.height, dtype=np.int64)),
            pl.lit(None, dtype=pl.String).alias(RAGGED),
        )
        number += frame.height
    if number == 1:
        raise _no_rows(name, "a Parquet file with 0 rows")


def _arrow_parquet(spool: BinaryIO, *, name: str, contract: FeedContract) -> Iterator[pl.DataFrame]:
    pa, arrow_parquet = _arrow(), _arrow("parquet")
    reader: Any = arrow_parquet.ParquetFile(spool)
    schema: Any = reader.schema_arrow
    wanted = check_columns(list(schema.names), name=name, contract=contract)
    odd = [f"{field.name}: {field.type}" for field in schema if field.name in wanted and not _plain(pa, field.type)]
    if odd:
        raise Finding("columns that are no plain values", where=name, found="; ".join(odd),
                      expected="text, numbers, dates", todo="ask the partner for flat columns")
    groups: Any = reader.metadata
    unpacked = sum(int(groups.row_group(at).total_byte_size) for at in range(groups.num_row_groups))
    if unpacked > contract.max_bytes or int(groups.num_rows) > contract.max_bytes:
        raise decoding.too_large(name, f"{unpacked:,} bytes and {groups.num_rows:,} rows once unpacked",
                                 contract.max_bytes)
    decoded = 0
    for batch in cast("Iterator[Any]", reader.iter_batches(batch_size=1 << 16, columns=wanted, use_threads=False)):
        # Neither offsets nor text are checked by the reader, and what comes after trusts them.
        batch.validate(full=True)
        decoded += int(batch.nbytes)
        if decoded > 8 * contract.max_bytes:
            raise decoding.too_large(name, f"more than {decoded:,} bytes of values", contract.max_bytes)
        if batch.num_rows:
            yield _native(pa, batch).select(wanted)


def _plain(pa: Any, type_: Any) -> bool:
    kinds = pa.types
    if kinds.is_dictionary(type_):
        return _plain(pa, type_.value_type) and not kinds.is_dictionary(type_.value_type)
    return any(test(type_) for test in (
        kinds.is_integer, kinds.is_floating, kinds.is_string, kinds.is_large_string, kinds.is_date, kinds.is_timestamp,
        kinds.is_boolean, kinds.is_null, kinds.is_decimal))


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
    return _frame(pa.Table.from_arrays(columns, names=batch.schema.names)).with_columns(
        pl.col(name).str.replace(r"\.0+$", "") for name in exact)


def _arrow(part: str = "") -> Any:
    """Arrow or one of its modules, which carry no type information and take long to import."""
    return importlib.import_module("pyarrow" + (f".{part}" if part else ""))


def _frame(table: Any) -> pl.DataFrame:
    return cast("pl.DataFrame", pl.from_arrow(table))  # pyright: ignore[reportUnknownMemberType]


def _unreadable(error: Exception, text: decoding.Utf8, name: str, number: int) -> Finding:
    if text.problem is not None:
        return text.problem
    if "straddl" in str(error):
        return _open_quote(name, number, f"a record of more than {_BLOCK:,} bytes")
    return Finding("not a readable CSV file", where=f"{name}, at or after record {number:,}", found=_one_line(error),
                   expected="one record a line", todo="ask the partner to send the file again")


def _open_quote(name: str, number: int, found: str = "the end of the file inside quotes") -> Finding:
    return Finding("a quote that is never closed", where=f"{name}, at or after record {number:,}", found=found,
                   expected='a closing " for each opening one', todo="ask the partner to write the file anew")


def _not_parquet(name: str, found: str) -> Finding:
    return Finding("truncated or not a Parquet file", where=name, found=found, expected="a complete Parquet file",
                   todo="ask the partner to send the file again")


def _no_rows(name: str, found: str) -> Finding:
    return Finding("no rows", where=name, found=found, expected="at least one record",
                   todo="ask the partner; a partner without data for the period sends no file")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
