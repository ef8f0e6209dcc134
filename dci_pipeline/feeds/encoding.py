"""Rows of a partner's file written as the partner would: CSV in the contract's encoding, packed CSV, Parquet.

Equal rows give equal bytes. A row with a text in the column `EXTRA` gets that text as one field too many.
"""

from __future__ import annotations

import io
from gzip import GzipFile
from typing import BinaryIO, cast

import polars as pl

from dci_pipeline.contracts import FeedContract
from dci_pipeline.findings import Finding

FORMS = ("csv", "csv.gz", "parquet")
EXTRA = "\x04extra field"

_SLICE = 500_000


def encode(frame: pl.DataFrame, contract: FeedContract, *, form: str = "csv") -> bytes:
    """The bytes of a file with these rows. Raises Finding for an unknown form, or text the encoding cannot write."""
    out = io.BytesIO()
    write(frame, contract, out, form=form)
    return out.getvalue()


def write(frame: pl.DataFrame, contract: FeedContract, out: BinaryIO, *, form: str = "csv") -> None:
    """`encode` into a stream, slice by slice, for frames whose text would fill the memory."""
    if form == "csv":
        _csv(frame, contract, out)
    elif form == "csv.gz":
        # No clock and no name in the header, so that equal rows give equal bytes.
        with GzipFile(filename="", mode="wb", fileobj=out, mtime=0, compresslevel=6) as packed:
            _csv(frame, contract, cast("BinaryIO", packed))
    elif form == "parquet":
        if EXTRA in frame.columns:
            raise Finding("a Parquet file has no rows of different length", todo="plant row.shape in a CSV file")
        frame.write_parquet(out)
    else:
        raise Finding("unknown form of file", found=form, expected="one of " + ", ".join(FORMS))


def _csv(frame: pl.DataFrame, contract: FeedContract, out: BinaryIO) -> None:
    kept = frame.drop(EXTRA, strict=False)
    for start in range(0, max(frame.height, 1), _SLICE):
        part = kept.slice(start, _SLICE)
        text = part.write_csv(include_header=start == 0, separator=contract.delimiter)
        if EXTRA in frame.columns:
            text = _ragged(text, frame[EXTRA].slice(start, _SLICE).to_list(), contract.delimiter, header=start == 0)
        try:
            out.write(text.encode(contract.encoding))
        except UnicodeEncodeError as error:
            raise Finding(
                "text the contract's encoding cannot write",
                found=repr(text[error.start : error.end]),
                expected=contract.encoding,
            ) from error


def _ragged(text: str, extra: list[str | None], delimiter: str, *, header: bool) -> str:
    lines = text.split("\n")
    for at, field in enumerate(extra, start=1 if header else 0):
        if field is not None:
            lines[at] += delimiter + field
    return "\n".join(lines)
