"""A Vega-Lite specification drawn: as SVG whose text stays text, or as PNG, lettered with the packaged Chinese font.

The same specification gives the same bytes. Nothing is fetched: data stands in the specification.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any, Protocol, cast, runtime_checkable

from dci_pipeline.findings import Finding
from dci_pipeline.report.style import FONT, FONT_FAMILY, LIGHT, Theme, config

# The package whose font files are used; its modules are never imported.
FONT_PACKAGE = "zhplot"
_EXTRA = "pip install 'dci_pipeline[report]'"
_VERSION = "6.4"
_ID = re.compile(r'(\bid="|url\(#|href="#)([A-Za-z_-]+)[0-9]*')
_NUMBER = r"-?[0-9.]+(?:e-?[0-9]+)?"
_PATH = re.compile(rf' d="((?:[ML]{_NUMBER},{_NUMBER}|Z)+)"')
_POINT = re.compile(rf"([MLZ])(?:({_NUMBER}),({_NUMBER}))?")


@runtime_checkable
class Chart(Protocol):
    """What Altair's charts have in common."""

    def to_dict(self) -> dict[str, Any]: ...


def svg(spec: Mapping[str, Any] | Chart, theme: Theme = LIGHT, *, prefix: str = "", grid: int = 10) -> str:
    """The chart as SVG, its paths to a `grid`-th of a pixel. `prefix` goes before every id, for several in one page.

    A configuration of the specification itself goes before the theme's. Raises Finding when what draws is not
    installed, or for a specification that cannot be drawn.
    """
    drawn = cast("str", _drawn("vegalite_to_svg", themed(spec, theme)))
    # What draws counts on from chart to chart, so that the numbers in its ids depend on what was drawn before.
    names: dict[str, str] = {}
    for found in _ID.finditer(drawn):
        name = found[0].removeprefix(found[1])
        names.setdefault(name, f"{prefix}{found[2]}{len(names)}")
    drawn = _ID.sub(lambda found: found[1] + names[found[0].removeprefix(found[1])], drawn)
    return _PATH.sub(lambda found: f' d="{_short(found[1], grid)}"', drawn)


def _short(path: str, grid: int) -> str:
    """A path of straight lines on a grid, each point from the one before: half of the text and less."""
    steps: list[str] = []
    x = y = 0
    for command, first, second in _POINT.findall(path):
        if command == "Z":
            steps.append("z")
            continue
        to_x, to_y = round(float(first) * grid), round(float(second) * grid)
        if command == "M":
            steps.append(f"M{to_x / grid:.6g},{to_y / grid:.6g}")
        elif (to_x, to_y) != (x, y):
            steps.append(f"l{(to_x - x) / grid:.6g},{(to_y - y) / grid:.6g}")
        x, y = to_x, to_y
    return "".join(steps)


def png(spec: Mapping[str, Any] | Chart, theme: Theme = LIGHT, *, scale: float = 2.0) -> bytes:
    """The chart as PNG, `scale` pixels per unit of its size. Raises as `svg` does."""
    # Drawn here and now, it needs no other font than the one that is here.
    return _drawn("vegalite_to_png", themed(spec, theme, FONT_FAMILY), scale=scale)


def small_png(spec: Mapping[str, Any] | Chart, theme: Theme = LIGHT, *, scale: float = 1.5, colours: int = 24) -> bytes:
    """The chart as PNG with a palette of so many colours: a tenth of the bytes. Raises as `svg` does."""
    if find_spec("PIL") is None:
        raise _missing("pillow", "what makes pictures small")
    from PIL import Image

    drawn = Image.open(io.BytesIO(png(spec, theme, scale=scale))).convert("RGB")
    small = io.BytesIO()
    drawn.quantize(colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


def font_folder() -> str:
    """The folder of the packaged font. Raises Finding, naming the extra to install, when its package is missing."""
    found = find_spec(FONT_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise _missing(FONT_PACKAGE, "the package with the Chinese font")
    return f"{found.submodule_search_locations[0]}/fonts"


def themed(spec: Mapping[str, Any] | Chart, theme: Theme = LIGHT, font: str = FONT) -> dict[str, Any]:
    """The specification as a dict with the theme's configuration below its own, part by part."""
    given = spec.to_dict() if isinstance(spec, Chart) else dict(spec)
    return {**given, "config": _over(config(theme, font), given.get("config") or {})}


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        both = isinstance(under, dict) and isinstance(value, dict)
        merged[name] = (
            _over(cast("dict[str, Any]", under), cast("dict[str, Any]", value)) if both else cast("object", value)
        )
    return merged


def _drawn(how: str, spec: Mapping[str, Any], **options: float) -> Any:
    drawer = _drawer()
    try:
        return getattr(drawer, how)(spec, vl_version=_VERSION, allowed_base_urls=[], **options)
    except ValueError as error:
        raise Finding(
            "a chart that cannot be drawn", found=" ".join(str(error).split())[:300], expected=f"Vega-Lite {_VERSION}"
        ) from error


@cache
def _drawer() -> Any:
    """vl-convert with the packaged font: registered once per process."""
    if find_spec("vl_convert") is None:
        raise _missing("vl_convert", "what draws charts")
    import vl_convert

    vl_convert.register_font_directory(font_folder())
    return vl_convert


def _missing(package: str, what: str) -> Finding:
    return Finding(f"{what} is not installed", where=package, todo=_EXTRA)
