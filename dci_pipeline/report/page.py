"""The page: exhibits that are made, in their parts, as one HTML document without anything outside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from dci_pipeline.report.made import Made
from dci_pipeline.report.style import DARK, FONT, LIGHT, Theme

_TAG = re.compile(r"<svg[^>]*>")
_SIZE = re.compile(r'\b(width|height)="([\d.]+)"')
# A drawing is one picture with one label: what its parts are called would be read out one by one.
_PARTS = re.compile(r' (?:role|class|aria-[a-z]+)="[^"]*"')
_PATH = re.compile(r'<path ([^>]*?)d="([^"]{160,})"([^>]*?)(/>|></path>)')


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    part: str
    number: int
    title: str
    intro: str
    exhibits: Sequence[Made]


@dataclass(frozen=True)
class About:
    """What the whole page is about, in its language."""

    language: str
    index: str
    title: str
    subtitle: str
    period: str
    release: str
    made: str
    notice: str
    places: Sequence[tuple[str, str]]
    findings: Sequence[Made] = ()


def page(about: About, sections: Sequence[Section], *, template: str, css: str, script: str, words: Any) -> str:
    """The document. template: Jinja's; css, script: what goes inside it; words: the page's own words."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    html = environment.from_string(template).render(
        about=about, sections=sections, css=colours() + css, script=script, words=words
    )
    return shared(html)


def chart_html(svg: str, label: str) -> str:
    """A drawing for the page: its colours follow the theme, its width the page, its label is read out."""
    from html import escape

    head = _TAG.search(svg)
    assert head is not None
    sizes = dict(_SIZE.findall(head[0]))
    wide = float(sizes["width"])
    opened = re.sub(r'\s(width|height|class|role|aria-\w+)="[^"]*"', "", head[0])
    opened = opened.replace(
        "<svg", f'<svg role="img" aria-label="{escape(label, quote=True)}" style="--wide:{wide:.0f}px"', 1
    )
    body = _PARTS.sub("", svg[head.end() :])
    named = f'aria-label="{escape(label, quote=True)}"'
    return f'<div class="chart" tabindex="0" role="group" {named}>{opened}{_themed(body)}</div>'


def _themed(svg: str) -> str:
    """Colours of the light theme as variables, so that the dark theme changes them without a second drawing."""
    return re.sub(
        r'"#([0-9A-Fa-f]{6})"',
        lambda found: f'"var(--x{found[1].lower()})"' if found[1].lower() in _PAIRS else found[0],
        svg,
    )


def _pairs() -> dict[str, str]:
    """Light colour → dark colour of everything a drawing may use, as six digits."""
    from dci_pipeline.report.style import steps

    found: dict[str, str] = {}

    def pair(light: str, dark: str) -> None:
        found.setdefault(light.lower().lstrip("#"), dark.lower().lstrip("#"))

    for name, value in asdict(LIGHT).items():
        other = getattr(DARK, name)
        if isinstance(value, str) and value.startswith("#"):
            pair(value, other)
        elif isinstance(value, tuple):
            for light, dark in zip(cast("tuple[str, ...]", value), other, strict=True):
                pair(light, dark)
    for count in range(2, 10):
        for scheme in ("sequential", "diverging"):
            for light, dark in zip(
                steps(getattr(LIGHT, scheme), count), steps(getattr(DARK, scheme), count), strict=True
            ):
                pair(light, dark)
        for light, dark in zip(steps(LIGHT.sequential[1:], count), steps(DARK.sequential[1:], count), strict=True):
            pair(light, dark)
    return found


_PAIRS = _pairs()


def colours() -> str:
    """The variables of both themes, light first; dark where the reader's system or choice says so."""

    def of(theme: Theme, at: int) -> str:
        roles = "".join(
            f"--{name.replace('_', '-')}:{value};"
            for name, value in asdict(theme).items()
            if str(value).startswith("#")
        )
        return roles + "".join(f"--x{light}:#{(light, dark)[at]};" for light, dark in sorted(_PAIRS.items()))

    light, dark = of(LIGHT, 0), of(DARK, 1)
    return (
        f":root{{--font:{FONT};color-scheme:light;{light}}}\n"
        f'@media (prefers-color-scheme:dark){{:root:not([data-theme="light"]){{color-scheme:dark;{dark}}}}}\n'
        f':root[data-theme="dark"]{{color-scheme:dark;{dark}}}\n'
        f'@media print{{:root,:root:not([data-theme="light"]),:root[data-theme]{{color-scheme:light;{light}}}}}\n'
    )


def shared(html: str) -> str:
    """The same page with every outline that stands in it twice kept once and referred to: maps are mostly these."""
    counts: dict[str, int] = {}
    for found in _PATH.finditer(html):
        counts[found[2]] = counts.get(found[2], 0) + 1
    twice = {outline: f"o{at}" for at, outline in enumerate(path for path, count in counts.items() if count > 1)}
    if not twice:
        return html
    kept = "".join(f'<path id="{name}" d="{outline}"/>' for outline, name in twice.items())

    def refer(found: re.Match[str]) -> str:
        name = twice.get(found[2])
        return found[0] if name is None else f'<use href="#{name}" {found[1]}{found[3]}/>'

    defined = f'<svg class="outlines" aria-hidden="true" focusable="false"><defs>{kept}</defs></svg>'
    return _PATH.sub(refer, html).replace("<!--outlines-->", defined, 1)
