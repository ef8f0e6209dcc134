"""Text that may come from a partner's file, made fit to be shown: on a terminal, in a chat, in a letter."""

from __future__ import annotations

import re
import unicodedata

# Controls, invisible formats (text direction among them), surrogates, private use, line and paragraph separators.
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
# What a chat or a mail reader may take for markup, for somebody to be called, or for a link to be followed.
_MARKUP = re.compile(r"[<>&@`*~|]|\]\(|://|\bwww\.", re.IGNORECASE)
_FORMULA = ("=", "+", "-", "@")


def plain(value: object) -> str:
    """`value` as one line of text that a terminal can only show: what could steer it is spelled out."""
    text = "" if value is None else str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spelled(char) if unicodedata.category(char) in _UNSAFE else char for char in text)


def lines(value: object) -> str:
    """`plain` for text that has lines of its own."""
    return "\n".join(plain(line) for line in str(value).split("\n"))


def harmless(value: object) -> str:
    """`plain` for text that a chat or a mail reader shows: markup, calls to people and links are spelled out too."""
    return _MARKUP.sub(lambda found: found.group()[:-1] + f"\\x{ord(found.group()[-1]):02x}", plain(value))


def cell(value: object, width: int) -> str:
    """A value of a row for a message: harmless, at most `width` characters, and no formula when pasted into a sheet."""
    text = f"{value:.6g}" if isinstance(value, float) else plain(value)
    if len(text) > width:
        text = text[: width - 1] + "…"
    if isinstance(value, str) and text.startswith(_FORMULA):
        text = "'" + text
    return harmless(text)


def _spelled(char: str) -> str:
    return char.encode("unicode_escape").decode()
