"""The head of a file nobody has described yet: its encoding and separator worked out, its first records as they are.

For drafting a contract only. Files that are landed are read under their contract, strictly.
"""

from __future__ import annotations

import codecs
import csv
import importlib
import io
from typing import Any, BinaryIO, cast

import polars as pl

from dci_pipeline.feeds import unpacking
from dci_pipeline.findings import Finding

_HEAD = 4 << 20
_ROWS = 50_000
_NO_LIMIT = 1 << 62


def sample(stream: BinaryIO, name: str, size: int) -> tuple[pl.DataFrame, str, str]:
    """The first records of an unknown CSV or Parquet file, packed or not, with its encoding and separator.

    CSV values are text, an empty field null; records of another length than the header are left out. `size` is that of
    the file in bytes. Raises Finding when the file is empty or no table.
    """
    if size == 0:
        raise _nothing(name, "an empty file")
    content = unpacking.unpacked(stream, name=name, limit=_NO_LIMIT)
    if content.peek(4) == unpacking.PARQUET:
        with unpacking.seekable(content) as spool:
            return _parquet(spool, name), "utf-8", ","
    head = b""
    while len(head) < _HEAD and (more := content.read(_HEAD - len(head))):
        head += more
    # A record cut by the end of the head would look like a ragged one.
    whole = len(head) < _HEAD
    text, encoding = _decoded(head if whole else head[: head.rfind(b"\n") + 1] or head, name)
    delimiter = _delimiter(text)
    return _csv(text, delimiter, name), encoding, delimiter


def _decoded(head: bytes, name: str) -> tuple[str, str]:
    marked = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if marked else ("utf-8", "gb18030"):
        # A letter cut by the end of the head is not held against the encoding.
        decoder = codecs.getincrementaldecoder(encoding)("strict")
        try:
            return decoder.decode(head).removeprefix("\ufeff"), encoding
        except UnicodeError:
            continue
    raise Finding(
        "neither text in a known encoding nor Parquet",
        where=name,
        found=f"{head[:16]!r}",
        expected="utf-8, gb18030, utf-16 or Parquet",
        todo="export as CSV in utf-8, or as Parquet",
    )


def _delimiter(text: str) -> str:
    """The sign that splits most records into as many fields as the header, and into the most."""
    lines = [line for line in text.split("\n")[:200] if line.strip()]
    if not lines:
        return ","

    def fits(sign: str) -> tuple[bool, int, int]:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=sign)]
        except csv.Error:
            return False, 0, 0
        agree = sum(1 for width in widths if width == widths[0])
        return 2 * agree > len(widths) and widths[0] > 1, widths[0], agree

    return max((",", ";", "\t", "|"), key=fits)


def _csv(text: str, delimiter: str, name: str) -> pl.DataFrame:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) > _ROWS:
                break
    except csv.Error as error:
        if len(rows) < 2:
            raise _nothing(name, str(error)) from error
    if len(rows) < 2:
        raise _nothing(name, "a header and nothing below it" if rows else "an empty file")
    header = rows[0]
    if len(set(header)) < len(header):
        raise Finding(
            "a repeated column",
            where=name,
            found=", ".join(header),
            expected="every name once",
            todo="rename the columns in the file",
        )
    body = [[value or None for value in row] for row in rows[1:] if len(row) == len(header)]
    if not body:
        raise _nothing(name, "no record as long as the header")
    return pl.DataFrame(body, schema=dict.fromkeys(header, pl.String), orient="row")


def _parquet(spool: BinaryIO, name: str) -> pl.DataFrame:
    parquet: Any = importlib.import_module("pyarrow.parquet")
    try:
        batch: Any = next(parquet.ParquetFile(spool).iter_batches(batch_size=_ROWS), None)
        if batch is not None:
            batch.validate(full=True)
            return cast("pl.DataFrame", pl.from_arrow(batch))  # pyright: ignore[reportUnknownMemberType]
    except Exception as error:
        raise Finding(
            "truncated or not a Parquet file",
            where=name,
            found=str(error)[:300],
            expected="a complete Parquet file",
            todo="ask the partner to send the file again",
        ) from error
    raise _nothing(name, "a Parquet file with 0 rows")


def _nothing(name: str, found: str) -> Finding:
    return Finding(
        "nothing to infer a contract from",
        where=name,
        found=found,
        expected="a header and some records",
        todo="give a file of the feed with its header and some good records",
    )
