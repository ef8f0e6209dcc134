"""How everything that is looked at looks: colours, type and the Vega-Lite configuration, light and dark.

One place for the report, the pictures in the UI and the explorer, and plain data throughout: `as_data` is what a page
takes over as JSON. Numbers are worded in `report.numbers`.

Categorical colours stay apart for readers with red, green or blue weakness (OKLab distance of 0.08 under full
deficiency) and have a contrast of 3 to 1 with the surface; the sequential and diverging schemes are even steps of
lightness in OKLab.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dci_pipeline.report.numbers import FORMATS, MISSING, NOT_YET

FONT = "Noto Sans SC, Source Han Sans SC, PingFang SC, Microsoft YaHei, sans-serif"
# What vl-convert letters with: the family of the packaged font.
FONT_FAMILY = "Noto Sans SC"


@dataclass(frozen=True)
class Theme:
    """One set of colours. `surface` is what charts lie on, `rise` and `fall` the two directions of a change.

    `ink` and `muted`, for text, have a contrast of 4.5 with the surface; `line` and `grid` are for rules.
    """

    name: str
    surface: str
    raised: str
    ink: str
    muted: str
    line: str
    grid: str
    accent: str
    focus: str
    rise: str
    fall: str
    no_data: str
    border: str
    categorical: tuple[str, ...]
    sequential: tuple[str, ...]
    diverging: tuple[str, ...]


LIGHT = Theme(
    name="light",
    surface="#FFFFFF",
    raised="#F5F7FA",
    ink="#1A2230",
    muted="#566173",
    line="#B8C0CC",
    grid="#E4E8EE",
    accent="#265E98",
    focus="#0057D9",
    rise="#B3261E",
    fall="#1B6A8F",
    no_data="#E7E9EC",
    border="#FFFFFF",
    categorical=("#265E98", "#E24710", "#009062", "#611550", "#0096FF", "#634E1F", "#B285A7", "#7871C2"),
    sequential=("#E3EEFA", "#A8D0F9", "#75B0EC", "#4890D5", "#2370B6", "#07528E", "#033761"),
    diverging=("#9E5209", "#CE7A3B", "#E9B089", "#F4D8C5", "#EEF0F3", "#CDE0F5", "#99C2ED", "#5497D9", "#1F6CB0"),
)
DARK = Theme(
    name="dark",
    surface="#14181F",
    raised="#1D232D",
    ink="#E8ECF2",
    muted="#A3AEBD",
    line="#4A5565",
    grid="#2A323E",
    accent="#61A6E1",
    focus="#8EC1FF",
    rise="#FF8A75",
    fall="#6CC5E8",
    no_data="#2C333D",
    border="#14181F",
    categorical=("#61A6E1", "#F08030", "#14D6B0", "#B0608A", "#B5EFFF", "#F0DF4A", "#8B6CF5", "#B79381"),
    sequential=("#233A51", "#265582", "#3271AD", "#4C8FD1", "#71AEEB", "#A0CDFB", "#D7EAFE"),
    diverging=("#FFAF76", "#D58042", "#9B5E30", "#66442C", "#35383C", "#334F6D", "#3D72A6", "#5B9DDF", "#97C9FD"),
)
THEMES: Mapping[str, Theme] = {theme.name: theme for theme in (LIGHT, DARK)}


def config(theme: Theme = LIGHT, font: str = FONT) -> dict[str, Any]:
    """The Vega-Lite `config` of a theme: goes into a spec as it is, under the key `config`."""
    label: dict[str, Any] = {"labelFont": font, "labelFontSize": 12, "labelColor": theme.muted}
    title: dict[str, Any] = {
        "titleFont": font,
        "titleFontSize": 12,
        "titleColor": theme.ink,
        "titleFontWeight": "normal",
    }
    return {
        "background": theme.surface,
        "font": font,
        "padding": {"left": 8, "right": 12, "top": 8, "bottom": 8},
        "view": {"stroke": None, "continuousWidth": 560, "continuousHeight": 320},
        "title": {
            "font": font,
            "fontSize": 15,
            "fontWeight": "normal",
            "color": theme.ink,
            "subtitleFont": font,
            "subtitleFontSize": 12,
            "subtitleColor": theme.muted,
            "anchor": "start",
            "frame": "group",
            "offset": 12,
            "subtitlePadding": 4,
        },
        "axis": {
            **label,
            **title,
            "domainColor": theme.line,
            "tickColor": theme.line,
            "gridColor": theme.grid,
            "gridWidth": 1,
            "tickSize": 4,
            "labelPadding": 6,
            "titlePadding": 10,
            "labelOverlap": "greedy",
        },
        "axisX": {"grid": False},
        "axisXDiscrete": {"labelAngle": 0},
        "axisY": {"domain": False, "ticks": False},
        "axisBand": {"grid": False, "domain": False, "ticks": False},
        "legend": {
            **label,
            **title,
            "symbolType": "square",
            "symbolSize": 110,
            "symbolStrokeWidth": 0,
            "titlePadding": 6,
            "rowPadding": 4,
            "orient": "top",
            "direction": "horizontal",
        },
        "header": {**label, **title},
        "line": {"strokeWidth": 2, "strokeCap": "round", "strokeJoin": "round", "color": theme.accent},
        "point": {"size": 48, "filled": True, "color": theme.accent},
        "bar": {"color": theme.accent, "cornerRadiusEnd": 1},
        "area": {"color": theme.accent, "opacity": 0.25, "line": True},
        "rect": {"color": theme.accent},
        "arc": {"stroke": theme.surface, "strokeWidth": 1},
        "rule": {"color": theme.line},
        "text": {"font": font, "fontSize": 12, "color": theme.ink},
        "geoshape": {"stroke": theme.border, "strokeWidth": 0.4},
        "range": {
            "category": list(theme.categorical),
            "ordinal": list(theme.sequential),
            "ramp": list(theme.sequential),
            "heatmap": list(theme.sequential),
            "diverging": list(theme.diverging),
        },
    }


def steps(scheme: tuple[str, ...], count: int) -> list[str]:
    """`count` colours spread evenly over a scheme of `Theme`, from its first to its last. Raises ValueError below 1."""
    if count < 1:
        raise ValueError(f"{count} colours")
    if count == 1:
        return [scheme[len(scheme) // 2]]
    return [_between(scheme, index * (len(scheme) - 1) / (count - 1)) for index in range(count)]


def _between(scheme: tuple[str, ...], place: float) -> str:
    """The colour at a place between two of a scheme, mixed in sRGB: neighbours are close, so that stays even."""
    low = min(int(place), len(scheme) - 2)
    part = place - low
    channels = ((int(scheme[low][at : at + 2], 16), int(scheme[low + 1][at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(first + (second - first) * part):02X}" for first, second in channels)


def as_data() -> dict[str, Any]:
    """All of it as JSON-able data: font, themes with their Vega-Lite config, number forms and signs."""
    return {
        "font": FONT,
        "themes": {name: {**asdict(theme), "config": config(theme)} for name, theme in THEMES.items()},
        "numbers": {name: asdict(form) for name, form in FORMATS.items()},
        "missing": MISSING,
        "not_yet": NOT_YET,
    }
