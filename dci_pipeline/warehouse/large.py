"""Tables too large to be held at once: written group by group and sealed on disk, to the same rule as small ones.

The rows come in frames of any length and are written in groups of one length, so that the bytes do not show how an
engine happened to cut them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from dci_pipeline.warehouse.seals import BLANK, MARK

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 250_000
_CHUNK = 1 << 22


def write(path: Path, frames: Iterable[pl.DataFrame], metadata: Mapping[str, str]) -> int:
    """Writes frames of one schema, the first of which may be empty, as one Parquet file; returns the rows."""
    import pyarrow.parquet as pq

    rows, writer = 0, None
    try:
        for table in _groups(frames):
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd", compression_level=1)
            writer.write_table(table, row_group_size=GROUP_ROWS)
            rows += table.num_rows
        if writer is not None:
            writer.add_key_value_metadata(dict(metadata))
    finally:
        if writer is not None:
            writer.close()
    return rows


def _groups(frames: Iterable[pl.DataFrame]) -> Iterator[pa.Table]:
    waiting: list[pl.DataFrame] = []
    held, any_yet = 0, False
    for frame in frames:
        waiting.append(frame)
        held += frame.height
        while held >= GROUP_ROWS:
            together = pl.concat(waiting)
            yield _table(together.head(GROUP_ROWS))
            waiting, held, any_yet = [together.slice(GROUP_ROWS)], held - GROUP_ROWS, True
    if waiting and (held or not any_yet):
        yield _table(pl.concat(waiting))


def _table(frame: pl.DataFrame) -> Any:
    return frame.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())


def sha256(path: Path, *, blank: tuple[int, int] | None = None) -> str:
    """The hash of a file, with (start, length) of it blanked out where asked."""
    digest, at = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if blank is not None and at < blank[0] + blank[1] and blank[0] < at + len(chunk):
                first, last = max(blank[0] - at, 0), min(blank[0] + blank[1] - at, len(chunk))
                chunk = b"".join((chunk[:first], BLANK[: last - first], chunk[last:]))
            digest.update(chunk)
            at += len(chunk)
    return digest.hexdigest()


def fill(path: Path, texts: Mapping[str, str]) -> None:
    """Puts texts in the place of the blanks of the same length that stand last in the file, in its footer."""
    start, footer = _footer(path)
    with path.open("r+b") as file:
        for blank, text in texts.items():
            at = footer.rfind(blank.encode())
            if at < 0 or len(blank) != len(text):
                raise ValueError(f"no blank of {len(text)} letters in the footer of {path.name}")
            file.seek(start + at)
            file.write(text.encode())


def seal(path: Path) -> None:
    """`seals.seal` of a file on disk."""
    start = _seal_of(path)
    digest = sha256(path, blank=(start, len(BLANK)))
    with path.open("r+b") as file:
        file.seek(start)
        file.write(digest.encode())


def difference(path: Path) -> tuple[str, str] | None:
    """`seals.difference` of a file on disk."""
    start = _seal_of(path)
    if start < 0:
        return "no seal", "a file with its own SHA-256 in it"
    with path.open("rb") as file:
        file.seek(start)
        expected = file.read(len(BLANK)).decode("ascii", "backslashreplace")
    found = sha256(path, blank=(start, len(BLANK)))
    return None if found == expected else (f"SHA-256 {found}", f"SHA-256 {expected}")


def _seal_of(path: Path) -> int:
    start, footer = _footer(path)
    mark = footer.rfind(MARK)
    return start + mark + len(MARK) if mark >= 0 else -1


def _footer(path: Path) -> tuple[int, bytes]:
    """Where the footer of a Parquet file begins, and its bytes; of another or damaged file, its last mebibyte."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - 8, 0))
        length = int.from_bytes(file.read(4), "little") + 8
        start = max(size - (length if length <= size else 1 << 20), 0)
        file.seek(start)
        return start, file.read()
