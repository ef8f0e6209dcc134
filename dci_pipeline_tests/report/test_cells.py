"""No text of an export opens a formula, and every text can be had back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.report.cells import neutral, restored

OPENING = "=+-@\t\r\n＝＋－＠"


@pytest.mark.parametrize("text", [f"{first}1+1" for first in OPENING])
def test_what_opens_a_formula_has_an_apostrophe_in_front(text: str) -> None:
    assert neutral(text) == "'" + text


@pytest.mark.parametrize("text", ["", "成都", "510100", "a=1", " =1+1", "e-mail"])
def test_any_other_text_stays(text: str) -> None:
    assert neutral(text) == text


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from(OPENING + "'")), max_size=6))
def test_every_text_can_be_had_back(text: str) -> None:
    assert restored(neutral(text)) == text
    assert not neutral(text).startswith(tuple(OPENING))
