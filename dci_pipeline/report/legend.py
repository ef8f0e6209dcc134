"""The legend of a map as HTML beside it: as large on a phone as any other text."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

from dci_pipeline.report.classes import classes
from dci_pipeline.report.maps import approval_text, method_text
from dci_pipeline.report.numbers import unit_label
from dci_pipeline.report.style import LIGHT

_NO_DATA = {"zh": "无数据", "en": "no data"}


def without_legend(spec: dict[str, Any]) -> dict[str, Any]:
    """The specification of a map without the legend inside it."""
    areas, *others = spec["layer"]
    fill = {**areas["encoding"]["fill"], "legend": None}
    return {**spec, "layer": [{**areas, "encoding": {**areas["encoding"], "fill": fill}}, *others]}


def legend(values: Iterable[float | None], unit: str, language: str, approval: str | None) -> str:
    """The classes that the map of these values has, from the highest; how they are made, and the approval number."""
    made = classes(values, unit, language, LIGHT)
    shown = [*zip(reversed(made.labels), reversed(made.colours), strict=True), (_NO_DATA[language], LIGHT.no_data)]
    items = "".join(
        f'<li style="--class:var(--x{colour.lstrip("#").lower()})">{escape(label)}</li>' for label, colour in shown
    )
    said = [unit_label(unit, language), method_text(made.method, language), approval_text(approval, language)]
    return f'<ul class="legend">{items}</ul><p class="classes">{escape(" · ".join(text for text in said if text))}</p>'
