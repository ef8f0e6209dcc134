"""A partner's bytes made safe to read: unpacked, limited in size, decoded strictly, handed on as UTF-8.

Nothing here knows columns. A byte that does not fit the contract's encoding, a broken gzip and a file past its size
limit each end as a Finding that says where; a whole file is never held in memory.
"""

from __future__ import annotations

import codecs
import io
import tempfile
import zlib
from contextlib import AbstractContextManager, nullcontext
from gzip import BadGzipFile, GzipFile
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
_BOMS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (codecs.BOM_UTF8, "utf-8 with a byte order mark"))


class Limited:
    """A stream that stops with a Finding once more than `limit` bytes have come out of it."""

    def __init__(self, stream: BinaryIO, *, name: str, limit: int, what: str):
        self._stream = stream
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

    def _take(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except (BadGzipFile, zlib.error, EOFError) as error:
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
    opened = GzipFile(fileobj=cast("BinaryIO", raw), mode="rb")
    content = Limited(cast("BinaryIO", opened), name=name, limit=limit, what="once unpacked")
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


class Utf8(io.RawIOBase):
    """`stream`, text in `encoding`, as a stream of valid UTF-8 bytes without byte order mark.

    `problem` keeps the Finding that ended the reading, because a reader in between may wrap it in an error of its own.
    `quoted` says that a quotation mark came by.
    """

    def __init__(self, stream: Limited, *, name: str, encoding: str):
        super().__init__()
        try:
            self._codec = codecs.lookup(encoding).name
        except LookupError:
            raise Finding(
                "unknown encoding in the contract",
                where=name,
                found=encoding,
                expected="an encoding such as utf-8 or gb18030",
                todo="correct file.encoding",
            ) from None
        self._stream = stream
        self._name = name
        self._encoding = encoding
        self._ascii = _keeps_ascii(self._codec)
        self._decoder = codecs.getincrementaldecoder(self._codec)("strict")
        self._rival = None if self._codec.startswith("utf") else codecs.getincrementaldecoder("utf-8")("strict")
        self._buffer = bytearray()
        self._done = False
        self._start = True
        self._offset = 0
        self._lines = 0
        self._suffix = b""
        self.problem: Finding | None = None
        self.quoted = False

    def readable(self) -> bool:
        return True

    def end_with(self, suffix: bytes) -> None:
        """Append `suffix` after the last byte of the text."""
        self._suffix = suffix
        if self._done:
            self._buffer += suffix

    def push_back(self, data: bytes) -> None:
        """Put `data` before what is read next."""
        self._buffer[:0] = data

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes of UTF-8; empty only at the end. Raises Finding where the text does not decode."""
        try:
            while not self._done and (size < 0 or len(self._buffer) < size):
                self._fill()
        except Finding as finding:
            self.problem = finding
            raise
        if size < 0 or size >= len(self._buffer):
            data, self._buffer = bytes(self._buffer), bytearray()
            return data
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _fill(self) -> None:
        chunk = self._stream.read(_CHUNK)
        self.quoted = self.quoted or b'"' in chunk
        held = self._decoder.getstate()[0]
        if chunk and not held and self._ascii and chunk.isascii():
            self._buffer += chunk
            self._start = False
        else:
            self._decode(held, chunk)
        self._offset += len(chunk)
        self._lines += chunk.count(b"\n")
        if not chunk:
            self._done = True
            self._buffer += self._suffix

    def _decode(self, held: bytes, chunk: bytes) -> None:
        try:
            text = self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raise self._undecodable(held + chunk, error.start, self._offset - len(held)) from error
        except UnicodeError as error:
            raise self._undecodable(held + chunk, 0, self._offset - len(held)) from error
        if self._rival is not None:
            self._suspect_utf8(chunk)
        if self._start and text:
            text = text.removeprefix("\ufeff")
            self._start = False
        # Some codecs decode to lone surrogates, which are no text.
        try:
            self._buffer += text.encode()
        except UnicodeEncodeError:
            raise self._undecodable(held + chunk, 0, self._offset - len(held)) from None

    def _suspect_utf8(self, chunk: bytes) -> None:
        """A multi-byte Chinese encoding decodes most UTF-8 without complaint, into nonsense: look for UTF-8 first."""
        assert self._rival is not None
        try:
            text = self._rival.decode(chunk)
        except UnicodeDecodeError:
            self._rival = None
            return
        # Two bytes of GB 18030 may happen to be one Latin or Greek letter in UTF-8; a three-byte letter hardly is.
        first = next((at for at, letter in enumerate(text) if letter >= "\u0800"), None)
        if first is not None:
            before = text[:first].encode()
            raise self._wrong(
                self._offset + len(before),
                self._lines + before.count(b"\n") + 1,
                f"{text[first]!r} as {chunk[len(before) : len(before) + 3]!r}",
                "utf-8",
            )

    def _undecodable(self, window: bytes, at: int, window_offset: int) -> Finding:
        line = self._lines + window[:at].count(b"\n") + 1
        return self._wrong(
            window_offset + at,
            line,
            f"{window[at : at + 4]!r}",
            _guess(self._stream_start(window, window_offset), window, self._codec),
        )

    def _stream_start(self, window: bytes, window_offset: int) -> bytes:
        return window[:4] if window_offset == 0 else b""

    def _wrong(self, offset: int, line: int, found: str, guess: str) -> Finding:
        return Finding(
            "text in another encoding than the contract's, or damaged",
            where=f"{self._name} line {line}, byte {offset:,}",
            found=f"{found}; the file looks like {guess}",
            expected=f"{self._encoding} throughout",
            todo=f"ask the partner for {self._encoding}, or change file.encoding in a new version of the contract",
        )


def _keeps_ascii(codec: str) -> bool:
    """Whether bytes below 128 always stand for themselves, so that they need no decoding."""
    try:
        return bytes(range(128)).decode(codec) == bytes(range(128)).decode("ascii")
    except UnicodeError:
        return False


def _guess(start: bytes, window: bytes, codec: str) -> str:
    for mark, says in _BOMS:
        if start.startswith(mark):
            return says
    as_utf8 = window.decode("utf-8", errors="replace")
    damaged = as_utf8.count("\ufffd")
    whole = sum(1 for letter in as_utf8 if letter > "\u07ff") - damaged
    if whole > 4 * damaged:
        return "utf-8" + (", damaged in places" if codec == "utf-8" else "")
    as_gb = window.decode("gb18030", errors="replace")
    damaged = as_gb.count("\ufffd")
    if sum(1 for letter in as_gb if letter > "\u07ff") - damaged > 4 * damaged:
        return "gb18030" + (", damaged in places" if codec == "gb18030" else "")
    return "binary data" if b"\0" in window else f"{codec} with damaged bytes, or some other encoding"
