"""From a partner's file to batches of its columns, untyped: CSV (packed or not) as text, Parquet as it was typed.

Every record keeps its number in the file. A record with too many or too few fields stays as an empty row with the
reason; a file that is no table of the contract's columns ends as one Finding. Text is kept verbatim.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
import polars as pl

from dci_pipeline.contracts import FeedContract
from dci_pipeline.feeds import columnar, decoding, unpacking
from dci_pipeline.feeds.header import check_columns, no_rows
from dci_pipeline.findings import Finding

BATCH_ROWS = 250_000
FILE_ROW = "file_row"
RAGGED = "ragged"

_BLOCK = 8 << 20
_HEADER = 1 << 20
_LAST = "\x04end of file\x04"


class Batch(NamedTuple):
    """Records of a file; `nul` is False where no value of them can have a NUL byte."""

    rows: pl.DataFrame
    nul: bool


def batches(stream: BinaryIO, *, name: str, size: int, contract: FeedContract) -> Iterator[Batch]:
    """The records of one file in order: [a column per column of the contract and of its row filter, file_row, ragged].

    Columns carry the names of the partner's file; CSV values are text with an empty field as null, Parquet values keep
    their types. `file_row` counts records from 1; `ragged` is the reason why a row is empty, else null.
    Raises Finding for a file past the size limit, damaged, in another encoding, or with other columns.
    """
    if size > contract.max_bytes:
        raise unpacking.too_large(name, f"{size:,} bytes", contract.max_bytes)
    content = unpacking.unpacked(stream, name=name, limit=contract.max_bytes)
    mark = content.peek(4)
    if mark == unpacking.PARQUET:
        with unpacking.seekable(content) as spool:
            number = 1
            for frame in columnar.frames(spool, name=name, contract=contract):
                numbered, number = _numbered(frame, number, deque(), 0)
                yield Batch(numbered, nul=True)
    elif name.lower().endswith(".parquet"):
        raise columnar.not_parquet(name, f"the first bytes are {mark!r}")
    else:
        yield from _csv(content, name=name, contract=contract)


def _csv(content: unpacking.Limited, *, name: str, contract: FeedContract) -> Iterator[Batch]:
    text = decoding.Utf8(content, name=name, encoding=contract.encoding)
    header = _header(text, name=name, contract=contract)
    wanted = check_columns(header, name=name, contract=contract)
    # A record after the last one: if the parser does not return it, the file ended inside quotes.
    text.end_with(("\n" + contract.delimiter.join([_LAST] * len(header)) + "\n").encode())
    ragged: deque[tuple[int, int]] = deque()
    reader = _arrow_csv(text, header, wanted, delimiter=contract.delimiter, ragged=ragged, name=name)
    number, count, held = 1, 0, None
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
            count += frame.height
            yield from (Batch(rows, text.nul) for rows in frame.iter_slices(BATCH_ROWS))
        held = batch
    if held is None or held.row(-1) != (_LAST,) * held.width:
        raise _open_quote(name, number)
    frame, number = _numbered(held, number, ragged, len(header))
    count += frame.height - 1
    if count == 0:
        raise no_rows(name, "a header and nothing below it")
    yield from (Batch(rows, text.nul) for rows in frame.head(-1).iter_slices(BATCH_ROWS))


def _arrow_csv(
    text: decoding.Utf8,
    header: Sequence[str],
    wanted: Sequence[str],
    *,
    delimiter: str,
    ragged: deque[tuple[int, int]],
    name: str,
) -> Iterator[pl.DataFrame]:
    pa, arrow_csv = columnar.arrow(), columnar.arrow("csv")

    def note(row: Any) -> str:
        ragged.append((int(row.number), int(row.actual_columns)))
        swallowed.extend(
            int(row.number) for line in str(row.text).split("\n")[1:-1] if line.count(delimiter) == len(header) - 1
        )
        return "skip"

    swallowed: list[int] = []
    before = 0

    # By position, so that no name in the file can upset the reader; row numbers need the single-threaded one.
    places = {str(header.index(source)): source for source in wanted}
    options: dict[str, Any] = {
        "read_options": arrow_csv.ReadOptions(
            use_threads=False, block_size=_BLOCK, column_names=[str(at) for at in range(len(header))]
        ),
        "parse_options": arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=note),
        "convert_options": arrow_csv.ConvertOptions(
            column_types={place: pa.string() for place in places},
            include_columns=list(places),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
            check_utf8=False,
        ),
    }
    for batch in cast("Iterator[Any]", arrow_csv.open_csv(text, **options)):
        frame = columnar.frame_of(batch).rename(places)
        if text.quoted and len(header) > 1:
            _no_record_in_a_value(frame, swallowed, name=name, delimiter=delimiter, width=len(header), before=before)
        before += frame.height
        yield frame


def _no_record_in_a_value(
    frame: pl.DataFrame, swallowed: Sequence[int], *, name: str, delimiter: str, width: int, before: int
) -> None:
    """A quote left open runs to the next one and takes whole records with it; they must not vanish unseen."""
    if swallowed:
        raise _open_quote(name, swallowed[0], "whole records inside one value")
    sign = re.escape(delimiter)
    whole_line = rf"\n(?:[^\n{sign}]*{sign}){{{width - 1}}}[^\n{sign}]*(?:\n|$)"
    for values in frame:
        broken = values.str.contains("\n", literal=True).arg_true()
        at = broken.filter(values.gather(broken).str.contains(whole_line))
        if len(at):
            raise _open_quote(name, before + int(at[0]) + 1, "whole records inside one value")


def _numbered(frame: pl.DataFrame, start: int, ragged: deque[tuple[int, int]], width: int) -> tuple[pl.DataFrame, int]:
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
    rows = pl.concat(
        [
            frame.with_columns(pl.Series(FILE_ROW, good), pl.lit(None, dtype=pl.String).alias(RAGGED)),
            pl.DataFrame({FILE_ROW: bad, RAGGED: reasons}),
        ],
        how="diagonal",
    )
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
            raise Finding(
                "no header",
                where=name,
                found=f"a first line of more than {_HEADER:,} bytes",
                expected=", ".join(contract.file_columns),
                todo="ask the partner for a header line",
            )
    if not data:
        raise no_rows(name, "an empty file")
    line = data if end is None else data[:end]
    text.push_back(b"" if end is None else data[end:])
    try:
        return next(csv.reader([line.decode()], delimiter=contract.delimiter))
    except (csv.Error, StopIteration) as error:
        raise Finding(
            "no header", where=name, found=f"{line[:80]!r}", expected=", ".join(contract.file_columns)
        ) from error


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


def _unreadable(error: Exception, text: decoding.Utf8, name: str, number: int) -> Finding:
    if text.problem is not None:
        return text.problem
    if "straddl" in str(error):
        return _open_quote(name, number, f"a record of more than {_BLOCK:,} bytes")
    return Finding(
        "not a readable CSV file",
        where=f"{name}, at or after record {number:,}",
        found=_one_line(error),
        expected="one record a line",
        todo="ask the partner to send the file again",
    )


def _open_quote(name: str, number: int, found: str = "the end of the file inside quotes") -> Finding:
    return Finding(
        "a quote that is never closed",
        where=f"{name}, at or after record {number:,}",
        found=found,
        expected='a closing " for each opening one',
        todo="ask the partner to write the file anew",
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
