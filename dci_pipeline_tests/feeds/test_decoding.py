"""Text decoded piece by piece: the same bytes, or the same complaint, wherever the pieces are cut."""

from __future__ import annotations

import io
from typing import BinaryIO, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dci_pipeline.feeds.decoding import Utf8
from dci_pipeline.feeds.unpacking import Limited
from dci_pipeline.findings import Finding

WRONG = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe5\xa5", b"\x80", b"\xf0\x9f"]
LETTERS = st.text(st.sampled_from("aé好𠀀\n,\0\ufeff"), min_size=1, max_size=40)


class Pieces(io.BytesIO):
    """Bytes that come in pieces of the sizes given, over and over."""

    def __init__(self, data: bytes, sizes: list[int]):
        super().__init__(data)
        self._sizes, self._turn = sizes, 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._turn += 1
        return super().read(self._sizes[self._turn % len(self._sizes)])


def decoded(data: bytes, sizes: list[int]) -> tuple[bytes, bool]:
    stream = Limited(cast("BinaryIO", Pieces(data, sizes)), name="a.csv", limit=1 << 20, what="")
    text = Utf8(stream, name="a.csv", encoding="utf-8")
    return text.read(), text.nul


@given(text=LETTERS, sizes=st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_utf8_comes_out_as_it_went_in_wherever_it_is_cut(text: str, sizes: list[int]) -> None:
    content, nul = decoded(text.encode(), sizes)
    assert content == text.removeprefix("\ufeff").encode()
    assert nul == ("\0" in text)


@given(
    text=LETTERS,
    at=st.integers(0, 40),
    wrong=st.sampled_from(WRONG),
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=5),
)
@example(text="好", at=1, wrong=b"\xe5\xa5", sizes=[3, 1])
def test_what_is_no_utf8_is_refused_at_its_byte_wherever_it_is_cut(
    text: str, at: int, wrong: bytes, sizes: list[int]
) -> None:
    data = text[:at].encode() + wrong + text[at:].encode()
    with pytest.raises(UnicodeDecodeError) as plain:
        data.decode()
    with pytest.raises(Finding) as found:
        decoded(data, sizes)
    before = data[: plain.value.start]
    line = before.count(b"\n") + 1
    assert f"line {line}, byte {len(before):,}" in str(found.value)
