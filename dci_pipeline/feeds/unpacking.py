"""A partner's bytes unpacked and limited in size; what is no table is told by its first bytes.

Nothing here knows columns or letters. A broken gzip and a file past its size limit each end as a Finding; a whole file
is never held in memory.
"""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager, nullcontext
from gzip import BadGzipFile
from typing import BinaryIO, cast

from dci_pipeline.findings import Finding

GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
# First bytes of what people send instead of CSV or Parquet.
_OTHER_FILES = {
    b"PK\x03\x04": "an Excel workbook or zip archive",
    b"\xd0\xcf\x11\xe0": "an Excel workbook of the old kind (.xls)",
}

_CHUNK = 1 << 20
_IN_MEMORY = 64 << 20


class Limited:
    """A stream that stops with a Finding once more than `limit` bytes have come out of it.

    `broken`: what the stream raises when its packing is damaged.
    """

    def __init__(self, stream: BinaryIO, *, name: str, limit: int, what: str, broken: tuple[type[Exception], ...] = ()):
        self._stream = stream
        self._broken = broken
        self._name = name
        self._limit = limit
        self._what = what
        self._head = b""
        self.count = 0
        self.plain: BinaryIO | None = None

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end of the stream, without taking them."""
        while len(self._head) < size:
            more = self._take(size - len(self._head))
            if not more:
                break
            self._head += more
        return self._head[:size]

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; empty only at the end. Raises Finding past the limit or when the packing is broken."""
        if self._head:
            head, self._head = (self._head, b"") if size < 0 else (self._head[:size], self._head[size:])
            return head
        return self._take(_CHUNK if size < 0 else size)

    def readinto(self, buffer: memoryview) -> int:
        """`read` into `buffer`; how many bytes that were."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _take(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except self._broken as error:
            raise Finding(
                "a gzip file that is damaged or cut short",
                where=self._name,
                found=f"{error} after {self.count:,} unpacked bytes",
                expected="a complete gzip file",
                todo="ask the partner to send the file again",
            ) from error
        self.count += len(data)
        if self.count > self._limit:
            raise too_large(self._name, f"more than {self._limit:,} bytes {self._what}", self._limit)
        return data


def too_large(name: str, found: str, limit: int) -> Finding:
    """The Finding for a file past its contract's size limit."""
    return Finding(
        "larger than the contract allows",
        where=name,
        found=found,
        expected=f"at most {limit:,} bytes",
        todo="check with the partner that the file is what it should be, then split it or raise maxBytes",
    )


def unpacked(stream: BinaryIO, *, name: str, limit: int) -> Limited:
    """The content of `stream`, gunzipped while it is read when it starts with the gzip mark, limited both ways.

    Raises Finding for a workbook, a zip archive, and gzip inside gzip, told by their first bytes.
    """
    plain = stream if stream.seekable() and stream.tell() == 0 else None
    raw = Limited(stream, name=name, limit=limit, what="as received")
    raw.plain = plain
    if raw.peek(2) != GZIP:
        return _table(raw, name)
    from isal import igzip, isal_zlib

    # A third of zlib's time, and every checksum is held to.
    opened = igzip.IGzipFile(fileobj=raw, mode="rb")
    broken = (BadGzipFile, EOFError, cast("type[Exception]", isal_zlib.error))
    content = Limited(cast("BinaryIO", opened), name=name, limit=limit, what="once unpacked", broken=broken)
    if content.peek(2) == GZIP:
        raise Finding(
            "packed more than once",
            where=name,
            found="a gzip file inside a gzip file",
            expected="CSV or Parquet, packed with gzip once or not at all",
            todo="unpack it once, or ask the partner to pack it once",
        )
    return _table(content, name)


def _table(content: Limited, name: str) -> Limited:
    """`content`, unless its first bytes are those of a file that holds tables in another way."""
    found = _OTHER_FILES.get(content.peek(4))
    if found is None:
        return content
    raise Finding(
        "not CSV or Parquet",
        where=name,
        found=found,
        expected="CSV or Parquet, packed with gzip or not",
        todo="export as CSV or Parquet",
    )


def seekable(stream: Limited) -> AbstractContextManager[BinaryIO]:
    """All of `stream` so that it can be read in any order, for formats whose directory is at the end.

    A plain file serves as it is; anything else goes to an unnamed temporary file, in memory while it is small.
    """
    if stream.plain is not None:
        stream.plain.seek(0)
        return nullcontext(stream.plain)
    spool = cast("BinaryIO", tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 - closed with its reader
    while data := stream.read(_CHUNK):
        spool.write(data)
    spool.seek(0)
    return spool
