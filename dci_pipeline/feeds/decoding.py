"""A partner's text decoded strictly and handed on as UTF-8; a byte that does not fit ends as a Finding that says where.

Nothing here knows columns, and a whole file is never held in memory.
"""

from __future__ import annotations

import codecs
import io
import re
from collections import deque

import numpy as np
import polars as pl

from dci_pipeline.feeds import columnar
from dci_pipeline.feeds.unpacking import Limited
from dci_pipeline.findings import Finding

_CHUNK = 1 << 20
_IN_CACHE = 1 << 17
# The beginning of a letter whose other bytes are in the next chunk.
_CUT_OFF = re.compile(rb"(?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")
_BOMS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (codecs.BOM_UTF8, "utf-8 with a byte order mark"))


class Utf8(io.RawIOBase):
    """`stream`, text in `encoding`, as a stream of valid UTF-8 bytes without byte order mark.

    `problem` keeps the Finding that ended the reading, because a reader in between may wrap it in an error of its own.
    `quoted` says that a quotation mark came by, `nul` that a NUL byte did.
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
        self._ready: deque[bytes] = deque()
        self._ready_bytes = 0
        self._done = False
        self._start = True
        self._offset = 0
        self._lines = 0
        self._suffix = b""
        self.problem: Finding | None = None
        self.quoted = False
        self.nul = False

    def readable(self) -> bool:
        return True

    def end_with(self, suffix: bytes) -> None:
        """Append `suffix` after the last byte of the text."""
        self._suffix = suffix
        if self._done:
            self._give(suffix)

    def push_back(self, data: bytes) -> None:
        """Put `data` before what is read next."""
        if data:
            self._ready.appendleft(data)
            self._ready_bytes += len(data)

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes of UTF-8; empty only at the end. Raises Finding where the text does not decode."""
        try:
            while not self._done and (size < 0 or self._ready_bytes < size):
                # Exactly what is missing, so that a piece of the file is handed on without being copied.
                missing = _CHUNK if size < 0 else size - self._ready_bytes
                self._fill(missing if self._codec == "utf-8" else _CHUNK)
        except Finding as finding:
            self.problem = finding
            raise
        return self._taken(self._ready_bytes if size < 0 else min(size, self._ready_bytes))

    def _taken(self, size: int) -> bytes:
        pieces: list[bytes] = []
        self._ready_bytes -= size
        while size > 0:
            piece = self._ready.popleft()
            if len(piece) > size:
                self._ready.appendleft(piece[size:])
                piece = piece[:size]
            pieces.append(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _give(self, data: bytes) -> None:
        if data:
            self._ready.append(data)
            self._ready_bytes += len(data)

    def _fill(self, size: int) -> None:
        chunk = self._stream.read(size)
        self.quoted = self.quoted or b'"' in chunk
        self.nul = self.nul or b"\0" in chunk
        held = self._decoder.getstate()[0]
        if chunk and not held and self._ascii and chunk.isascii():
            self._give(chunk)
            self._start = False
        elif not self._is_whole_utf8(held + chunk if held else chunk):
            self._decode(held, chunk)
        self._offset += len(chunk)
        self._lines += _line_breaks(chunk)
        if not chunk:
            self._done = True
            self._give(self._suffix)

    def _is_whole_utf8(self, data: bytes) -> bool:
        """Takes UTF-8 as it is: to decode it and encode it again is a tenth of what taking in a file costs."""
        cut = _CUT_OFF.search(data, max(0, len(data) - 3))
        end = cut.start() if cut else len(data)
        if self._start or self._codec != "utf-8" or end == 0:
            return False
        # Sliced once: every copy of a piece is memory the kernel has to clear first.
        whole = data if end == len(data) else data[:end]
        if not _is_utf8(whole):
            return False
        self._give(whole)
        self._decoder.setstate((data[end:], 0))
        return True

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
            self._give(text.encode())
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
        around = window[at - at % _CHUNK :][:_CHUNK]
        return self._wrong(
            window_offset + at,
            line,
            f"{window[at : at + 4]!r}",
            _guess(self._stream_start(window, window_offset), around, self._codec),
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


def _is_utf8(data: bytes) -> bool:
    """Whether `data` is valid UTF-8; read where it is, for a text made of it would cost more than looking."""
    pa = columnar.arrow()
    ends = np.array([0, len(data)], dtype=np.int64)
    held = pa.LargeBinaryArray.from_buffers(pa.large_binary(), 1, [None, pa.py_buffer(ends), pa.py_buffer(data)])
    try:
        pl.Series(held).cast(pl.String)
    except pl.exceptions.ComputeError:
        return False
    return True


def _line_breaks(data: bytes) -> int:
    """How many; counted on an array, for lines are so short that looking for one after the other costs more."""
    letters = np.frombuffer(data, dtype=np.uint8)
    return sum(
        int(np.count_nonzero(letters[at : at + _IN_CACHE] == ord("\n"))) for at in range(0, len(data), _IN_CACHE)
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
