"""Areas and lines as TopoJSON: whole numbers on a grid, every border once however many areas share it.

The form is that of the TopoJSON specification, as Vega-Lite and d3 read it. The same geometry gives the same text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

Point = tuple[int, int]
Ring = tuple[Point, ...]


@dataclass(frozen=True)
class Shape:
    """One feature: its properties, and either rings (polygons: outer ring first, then holes) or lines."""

    properties: Mapping[str, str]
    polygons: Sequence[Sequence[Ring]] = ()
    lines: Sequence[Ring] = ()


@dataclass
class _Arcs:
    """Arcs as they are met; one met again, in either direction, is the same arc."""

    junctions: frozenset[Point]
    arcs: list[Ring] = field(default_factory=list[Ring])
    seen: dict[Ring, int] = field(default_factory=dict[Ring, int])

    def of(self, line: Ring) -> list[int]:
        """The arcs of a line or a closed ring, in its direction: ~n is arc n backwards."""
        return [self._number(arc) for arc in _cut(line, self.junctions)]

    def _number(self, arc: Ring) -> int:
        if arc in self.seen:
            return self.seen[arc]
        backwards = arc[::-1]
        if backwards in self.seen:
            return ~self.seen[backwards]
        self.seen[arc] = len(self.arcs)
        self.arcs.append(arc)
        return self.seen[arc]


def shapes(geometries: Iterable[Any], properties: Iterable[Mapping[str, str]], *, grid: float) -> list[Shape]:
    """Multipolygons and lines (shapely's) on a grid of so many steps per unit; rings that vanish on it are left out."""
    found: list[Shape] = []
    for geometry, said in zip(geometries, properties, strict=True):
        if geometry.geom_type == "MultiPolygon":
            polygons = [
                [_on_grid(ring.coords, grid) for ring in (part.exterior, *part.interiors)] for part in geometry.geoms
            ]
            drawn = [[ring for ring in rings if len(ring) > 3] for rings in polygons if len(rings[0]) > 3]
            found.append(Shape(said, polygons=[_wound(rings) for rings in drawn]))
        else:
            parts = getattr(geometry, "geoms", [geometry])
            found.append(Shape(said, lines=[_on_grid(part.coords, grid) for part in parts]))
    return found


def topology(objects: Mapping[str, Sequence[Shape]], *, grid: float) -> dict[str, Any]:
    """The TopoJSON of named collections of shapes that lie on one grid, sharing arcs between all of them.

    For every collection of areas there are two more objects of lines: `<name>_borders`, what two of its areas share and
    no collection of areas after it has, and `<name>_outline`, what belongs to one area only.
    """
    every = [shape for several in objects.values() for shape in several]
    arcs = _Arcs(_junctions(every))
    collections: dict[str, Any] = {}
    uses: dict[str, Counter[int]] = {}
    for name, several in objects.items():
        made = [_geometry(shape, arcs) for shape in several]
        collections[name] = {"type": "GeometryCollection", "geometries": made}
        if any(shape.polygons for shape in several):
            uses[name] = _uses(made)
    wider: set[int] = set()
    for name in reversed(uses):
        used = uses[name]
        collections[f"{name}_borders"] = _mesh(arc for arc in used if used[arc] > 1 and arc not in wider)
        collections[f"{name}_outline"] = _mesh(arc for arc in used if used[arc] == 1)
        wider |= set(used)
    return {
        "type": "Topology",
        "transform": {"scale": [1 / grid, 1 / grid], "translate": [0, 0]},
        "objects": collections,
        "arcs": [_deltas(arc) for arc in arcs.arcs],
    }


def _geometry(shape: Shape, arcs: _Arcs) -> dict[str, Any]:
    kind: dict[str, Any] = (
        {"type": "MultiPolygon", "arcs": [[arcs.of(ring) for ring in rings] for rings in shape.polygons]}
        if shape.polygons
        else {"type": "MultiLineString", "arcs": [arcs.of(line) for line in shape.lines]}
    )
    return {**kind, "properties": dict(shape.properties)}


def _uses(geometries: Iterable[Mapping[str, Any]]) -> Counter[int]:
    """How many areas an arc belongs to."""
    return Counter(
        arc
        for geometry in geometries
        if geometry["type"] == "MultiPolygon"
        for arc in {
            number if number >= 0 else ~number for rings in geometry["arcs"] for ring in rings for number in ring
        }
    )


def _mesh(arcs: Iterable[int]) -> dict[str, Any]:
    return {"type": "MultiLineString", "arcs": [[arc] for arc in sorted(arcs)]}


def _on_grid(coordinates: Any, grid: float) -> Ring:
    """Coordinates as whole steps, without repetitions."""
    steps = np.rint(np.asarray(coordinates)[:, :2] * grid).astype(int)
    fresh = np.ones(len(steps), dtype=bool)
    fresh[1:] = (steps[1:] != steps[:-1]).any(axis=1)
    return tuple((int(x), int(y)) for x, y in steps[fresh])


def _wound(rings: Sequence[Ring]) -> list[Ring]:
    """Outer rings one way round and holes the other: what is filled where drawing counts windings."""
    return [ring if (_turn(ring) > 0) == (index == 0) else ring[::-1] for index, ring in enumerate(rings)]


def _turn(ring: Ring) -> int:
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise(ring))


def _lines(shape: Shape) -> Iterable[Ring]:
    yield from shape.lines
    for rings in shape.polygons:
        yield from rings


def _junctions(every: Sequence[Shape]) -> frozenset[Point]:
    """Points at which lines part: those that have not the same two neighbours wherever they occur, and ends."""
    neighbours: dict[Point, frozenset[Point]] = {}
    found: set[Point] = set()
    for shape in every:
        for line in _lines(shape):
            closed = line[0] == line[-1]
            if not closed:
                found |= {line[0], line[-1]}
            inner = line[:-1] if closed else line[1:-1]
            before = (line[-2], *line[:-2]) if closed else line[:-2]
            after = line[1:] if closed else line[2:]
            for point, *both in zip(inner, before, after, strict=True):
                pair = frozenset(both)
                if neighbours.setdefault(point, pair) != pair:
                    found.add(point)
    return frozenset(found)


def _cut(line: Ring, junctions: frozenset[Point]) -> list[Ring]:
    """A line at its junctions; a ring begins at one of them, or at its lowest point where it has none."""
    if line[0] == line[-1]:
        start = next((at for at, point in enumerate(line) if point in junctions), None)
        if start is None:
            start = line.index(min(line))
        line = (*line[start:-1], *line[: start + 1])
    cuts = [0, *(at for at in range(1, len(line) - 1) if line[at] in junctions), len(line) - 1]
    return [line[begin : end + 1] for begin, end in pairwise(cuts)]


def _deltas(arc: Ring) -> list[list[int]]:
    """An arc's first point, then steps from point to point."""
    moves = ([x1 - x0, y1 - y0] for (x0, y0), (x1, y1) in pairwise(arc))
    return [list(arc[0]), *moves]
