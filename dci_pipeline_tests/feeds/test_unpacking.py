"""Gzip as partners send it: every legal form is read to its last byte, and nothing is taken that a checksum denies."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.feeds import unpacking
from dci_pipeline.findings import Finding

TEXT = "".join(f"{n},北京,{n * n}\n" for n in range(3000)).encode()
PACKED = gzip.compress(TEXT, mtime=0)
FLAGS, AFTER_HEADER = 3, 10


def with_header(flag: int, more: bytes) -> bytes:
    """`PACKED` with a longer header."""
    return PACKED[:FLAGS] + bytes([flag]) + PACKED[FLAGS + 1 : AFTER_HEADER] + more + PACKED[AFTER_HEADER:]


def with_checksum(checksum: int) -> bytes:
    """`PACKED` with a checksum of its header."""
    return with_header(2, checksum.to_bytes(2, "little"))


OF_THE_HEADER = zlib.crc32(PACKED[:FLAGS] + b"\x02" + PACKED[FLAGS + 1 : AFTER_HEADER]) & 0xFFFF


def unpacked(data: bytes, *, size: int = 1 << 16, limit: int = 1 << 24) -> bytes:
    content = unpacking.unpacked(cast("BinaryIO", io.BytesIO(data)), name="a.csv.gz", limit=limit)
    pieces: list[bytes] = []
    while piece := content.read(size):
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize(
    ("data", "expected"),
    {
        "one member": (PACKED, TEXT),
        "several members": (PACKED * 3, TEXT * 3),
        "a member of nothing": (gzip.compress(b"", mtime=0) + PACKED, TEXT),
        "zeros at the end": (PACKED + bytes(100), TEXT),
        "zeros between members": (PACKED + bytes(9) + PACKED, TEXT * 2),
        "a name in the header": (with_header(8, b"cloud_usage.csv\0"), TEXT),
        "a comment in the header": (with_header(16, b"of April\0"), TEXT),
        "extra bytes in the header": (with_header(4, b"\x05\x00hello"), TEXT),
        "a checksum of the header": (with_checksum(OF_THE_HEADER), TEXT),
        "stored, not compressed": (gzip.compress(TEXT, compresslevel=0, mtime=0), TEXT),
    }.values(),
)
@pytest.mark.parametrize("size", [100, 1 << 23])
def test_every_legal_form_is_read_to_its_end(data: bytes, expected: bytes, size: int) -> None:
    assert unpacked(data, size=size) == expected


DAMAGED = {
    "cut in the header": PACKED[:5],
    "cut in the text": PACKED[:-20],
    "cut before the checksum": PACKED[:-8],
    "cut in the length": PACKED[:-1],
    "another checksum": PACKED[:-8] + b"abcd" + PACKED[-4:],
    "another length": PACKED[:-4] + b"abcd",
    "another checksum of the header": with_checksum(OF_THE_HEADER ^ 1),
    "another way of packing": PACKED[:2] + b"\x07" + PACKED[3:],
    "bytes changed in the middle": PACKED[:4000] + bytes(8) + PACKED[4008:],
    "something else after it": PACKED + b"something else",
    "one byte after it": PACKED + b"x",
    "half a mark after it": PACKED + b"\x1f",
    "a mark after it": PACKED + b"\x1f\x8b",
    "a cut member after a whole one": PACKED + PACKED[:-9],
}


@pytest.mark.parametrize("size", [100, 1 << 23])
@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_damaged_or_followed_by_something_else_is_one_finding(case: str, size: int) -> None:
    with pytest.raises(Finding) as found:
        unpacked(DAMAGED[case], size=size)
    assert "a gzip file that is damaged or cut short" in str(found.value) and "a.csv.gz" in str(found.value)


@given(
    changes=st.lists(st.tuples(st.integers(0, len(PACKED) - 1), st.integers(0, 255)), max_size=3),
    end=st.integers(-40, 0),
    after=st.binary(max_size=12),
)
def test_nothing_is_taken_that_another_reader_would_not_read_the_same(
    changes: list[tuple[int, int]], end: int, after: bytes
) -> None:
    data = bytearray(PACKED)
    for at, value in changes:
        data[at] = value
    mangled = bytes(data[: len(data) + end]) + after
    if mangled[:2] != unpacking.GZIP:
        return
    try:
        taken = unpacked(mangled)
    except Finding:
        return
    assert taken == gzip.decompress(mangled)


@pytest.mark.parametrize("size", [1 << 10, 1 << 23])
def test_a_file_that_unpacks_to_more_than_the_limit_is_stopped_there(size: int) -> None:
    bomb = gzip.compress(bytes(200_000_000), mtime=0)
    content = unpacking.unpacked(cast("BinaryIO", io.BytesIO(bomb)), name="a.csv.gz", limit=1_000_000)
    with pytest.raises(Finding, match="more than 1,000,000 bytes once unpacked"):
        while content.read(size):
            pass
    assert content.count <= 1_000_000 + size
