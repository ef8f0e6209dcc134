"""Texts that a spreadsheet would take for a formula, made harmless on the way out and restored on the way back.

Names and aliases come from partners' files and from data files; a program that opens an export must not run them.
"""

from __future__ import annotations

# What opens a formula in the usual programs, with the full-width forms that some of them take as well. The apostrophe
# is among them so that what has been put in front can be told from what was there.
_OPENING = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")
RULE = (
    "A text that begins with = + - @ (also in their full-width forms), a tab, a line break or an apostrophe has one "
    "apostrophe in front, so that no program takes it for a formula. To restore it take one leading apostrophe away."
)


def neutral(text: str) -> str:
    """The text as it stands in an export: with an apostrophe in front where it would open a formula."""
    return "'" + text if text.startswith(_OPENING) else text


def restored(text: str) -> str:
    """The text that `neutral` was given."""
    return text.removeprefix("'")
