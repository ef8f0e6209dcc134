"""Names of what exhibits are about in both languages: a Chinese name or a code to what a reader reads.

An exhibit names a member within a scope as '成渝|成都市', a set as '成都市+重庆市'; every part is translated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_PARTS = re.compile(r"([|+~·]|\s)")


@dataclass(frozen=True)
class Names:
    """english: Chinese name → English name; codes: code → (Chinese, English)."""

    english: Mapping[str, str]
    codes: Mapping[str, tuple[str, str]]

    def of(self, text: str, language: str) -> str:
        """The name in a language; what nothing is known of stays as it is."""
        if text in self.codes:
            return self.codes[text][0 if language == "zh" else 1]
        if language == "zh":
            return text.replace("+", "、")
        if text in self.english:
            return self.english[text]
        parts = [self.english.get(part, part) for part in _PARTS.split(text)]
        return "".join(", " if part == "+" else part for part in parts)


def gathered(rows: Iterable[tuple[str, str, str]], declared: Mapping[str, str]) -> Names:
    """Names from rows (code or '', Chinese, English), the first of each kept, under those that a report declares."""
    english: dict[str, str] = dict(declared)
    codes: dict[str, tuple[str, str]] = {}
    for code, chinese, own in rows:
        english.setdefault(chinese, own)
        if code:
            codes.setdefault(code, (chinese, own))
    return Names(english, codes)
