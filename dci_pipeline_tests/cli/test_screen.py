"""What is printed: text that cannot steer a terminal, periods as ranges, and errors as one clear block."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.cli import screen
from dci_pipeline.cli.app import exit_code
from dci_pipeline.findings import Conflict, Finding, Held
from dci_pipeline.periods import parse_span


@given(text=st.text())
def test_plain_text_has_no_controls_and_loses_nothing(text: str) -> None:
    shown = screen.plain(text)
    # Controls, formats (direction, joiners), surrogates, private use, line and paragraph separators.
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("北京市", "北京市"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("[red]x[/red]", "[red]x[/red]"),
        ("a\nb", "a\\nb"),
        ("\u202eabc", "\\u202eabc"),
        (None, ""),
        (7, "7"),
    ],
)
def test_what_a_terminal_gets(text: object, shown: str) -> None:
    assert screen.plain(text) == shown


def test_markup_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    screen.say("[bold]not bold[/bold] :smile:")
    screen.show("[red]t[/red]", ("[b]a[/b]",), [["[link=x]y[/link]"]])
    out = capsys.readouterr().out
    assert "[bold]not bold[/bold] :smile:" in out
    assert "[red]t[/red]" in out
    assert "[link=x]y[/link]" in out


@pytest.mark.parametrize(
    ("span", "cadence", "said"), [("2018-01:2018-12", "month", "2018-01 to 2018-12"), ("2018Q3", "quarter", "2018Q3")]
)
def test_ranges(span: str, cadence: str, said: str) -> None:
    assert screen.ranges(parse_span(span, cadence)) == said


def test_ranges_with_a_gap() -> None:
    periods = parse_span("2018-11:2019-02", "month")
    assert screen.ranges([*periods[:1], *periods[2:]]) == "2018-11, 2019-01 to 2019-02"


@pytest.mark.parametrize(
    ("number", "word", "said"),
    [(1, "delivery", "1 delivery"), (2, "delivery", "2 deliveries"), (1200, "row", "1,200 rows"), (0, "day", "0 days")],
)
def test_counts(number: int, word: str, said: str) -> None:
    assert screen.count(number, word) == said


def test_a_finding_is_one_block_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    screen.block(Finding("wrong", where="file.csv row 3", found="\x1b[2J", expected="a number", todo="mend it"))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line[2:11].strip() for line in printed.err.splitlines()] == ["error", "found", "expected", "do next"]
    assert "\x1b[2J" not in printed.err
    assert all(line.startswith("┃") for line in printed.err.splitlines())


@pytest.mark.parametrize(("finding", "code"), [(Finding("x"), 2), (Held("x"), 1), (Conflict("x"), 3)])
def test_exit_codes(finding: Finding, code: int) -> None:
    assert exit_code(finding) == code
