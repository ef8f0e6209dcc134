"""The layers of an index's map, made from outlines: the places', the groups', the lines, the inset and the centres.

Pure: outlines come in as GeoJSON texts by code, a layer goes out as TopoJSON in a plane of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from dci_pipeline.report import geometry
from dci_pipeline.report.geometry import Albers, Detail, Inset
from dci_pipeline.report.topology import shapes, topology

# Steps per unit, of 1000 across: a tenth of a unit and a fifth are below what is seen at the size they are drawn.
# Kilometres around points that stand for areas.
_MARGIN = 60.0
_GRID = {"places": 10.0, "groups": 5.0}


@dataclass(frozen=True)
class Plan:
    """What an index's map.yaml says of drawing: types of places and groups, projection, inset and detail."""

    places: str
    groups: str
    albers: Albers
    inset: Inset | None
    inset_title: Mapping[str, str]
    detail: Mapping[str, Detail]
    source: Mapping[str, str]


@dataclass(frozen=True)
class Outlines:
    """What is drawn: GeoJSON texts by code, which group each code is in, and lines.

    A code outside the index (`outside`, with its name) is a group by itself.
    """

    areas: Mapping[str, list[str]]
    group_of: Mapping[str, str]
    outside: Mapping[str, str]
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Maps:
    """The map of an index, as plain data.

    layers: {type of entity: TopoJSON} with the objects `areas` (properties.code), `areas_borders`, `areas_outline`,
    `lines` and `frame`, and in that of the places also `groups`, `groups_borders`, `groups_outline`. The plane is
    `width` x `height`, y downwards: draw it with the projection {type: identity}. centres: {code: (x, y)} of the places
    in that plane. inset: {x, y, zh, en} of its title and its `box`, or None. outside: {code: name} of areas that have
    no values.
    """

    width: float
    height: float
    layers: Mapping[str, dict[str, Any]]
    centres: Mapping[str, tuple[float, float]]
    inset: Mapping[str, Any] | None
    outside: Mapping[str, str]
    source: Mapping[str, str]

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


def maps_from(data: Mapping[str, Any]) -> Maps:
    """What `as_data` made of a map."""
    centres = {code: (float(x), float(y)) for code, (x, y) in data["centres"].items()}
    return replace(Maps(**data), centres=centres)


def make_maps(plan: Plan, found: Outlines, centres: Mapping[str, tuple[float, float]]) -> Maps:
    """Both layers of a map. `centres`: longitude and latitude of places. Takes about four seconds of CPU for China."""
    codes = list(found.areas)
    groups: dict[str, list[int]] = {}
    for at, code in enumerate(codes):
        groups.setdefault(found.group_of.get(code, code), []).append(at)
    outlines = geometry.outlines(found.areas, plan.albers)
    made = geometry.sheet(geometry.bounds(outlines), plan.albers, plan.inset)
    fine, coarse = plan.detail["places"], plan.detail["groups"]
    thinned = geometry.thinned(outlines, fine.tolerance)
    places = geometry.on_sheet(geometry.without_specks(thinned, fine), made, fine)
    over = geometry.dissolved(places, list(groups.values()))
    wide = geometry.thinned(geometry.dissolved(thinned, list(groups.values())), coarse.tolerance)
    wide = geometry.on_sheet(geometry.without_specks(wide, coarse), made, coarse)
    lines = geometry.lines_on_sheet(geometry.lines(list(found.lines), plan.albers), made)
    box = made.box()
    return Maps(
        width=geometry.WIDTH,
        height=round(made.height, 1),
        layers={
            plan.places: _layer("places", {"areas": (codes, places), "groups": (groups, over)}, lines, box),
            plan.groups: _layer("groups", {"areas": (groups, wide)}, lines, box),
        },
        centres=_centres(plan, made, centres),
        inset=_title(plan, box),
        outside=found.outside,
        source=plan.source,
    )


def centres_alone(plan: Plan, centres: Mapping[str, tuple[float, float]]) -> Maps:
    """A map of points where there are no outlines: the same plane, as wide as the points reach."""
    points = plan.albers(np.array(list(centres.values())))
    (x0, y0), (x1, y1) = points.min(axis=0) - _MARGIN, points.max(axis=0) + _MARGIN
    made = geometry.sheet((float(x0), float(y0), float(x1), float(y1)), plan.albers, plan.inset)
    box = made.box()
    return Maps(
        width=geometry.WIDTH,
        height=round(made.height, 1),
        layers={},
        centres=_centres(plan, made, centres),
        inset=_title(plan, box),
        outside={},
        source={},
    )


def _centres(
    plan: Plan, made: geometry.Sheet, centres: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    placed = made.centres(plan.albers(np.array(list(centres.values()))))
    return {code: (round(float(x), 1), round(float(y), 1)) for code, (x, y) in zip(centres, placed, strict=True)}


def _title(plan: Plan, box: geometry.Points | None) -> dict[str, Any] | None:
    if box is None:
        return None
    ring = [[round(float(x), 1), round(float(y), 1)] for x, y in box]
    return {"x": ring[0][0] + 4, "y": ring[0][1] - 5, "box": ring, **plan.inset_title}


def _layer(
    kind: str,
    drawn: Mapping[str, tuple[Iterable[str], geometry.Areas]],
    lines: geometry.Areas,
    box: geometry.Points | None,
) -> dict[str, Any]:
    grid = _GRID[kind]
    frame = [] if box is None else [geometry.line(box)]
    objects = {
        name: shapes(areas, ({"code": code} for code in codes), grid=grid) for name, (codes, areas) in drawn.items()
    }
    objects["lines"] = shapes(lines, ({} for _ in lines), grid=grid)
    objects["frame"] = shapes(frame, ({} for _ in frame), grid=grid)
    return topology(objects, grid=grid)
