"""Outlines of places brought into one plane: projected, simplified with their common borders, islands kept, an inset.

Coordinates go from degrees to a plane of 1000 units across, y downwards, in which nothing more is to be projected.
Areas are arrays of shapely geometries in the order of their codes; all lengths are kilometres until `Sheet.place`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dci_pipeline.findings import Finding

Points = NDArray[np.float64]
Areas = Any  # an array of shapely geometries, whose package has no types

_EARTH = 6371.0088
WIDTH = 1000.0


@dataclass(frozen=True)
class Inset:
    """A box that shows, smaller, what the main map leaves out: bounds in degrees, `above` the main map's lower edge."""

    above: float
    west: float
    east: float
    south: float
    north: float
    scale: float


@dataclass(frozen=True)
class Detail:
    """How much is drawn, in kilometres (see map.yaml)."""

    tolerance: float
    smallest: float
    specks_within: float


@dataclass(frozen=True)
class Albers:
    """The equal-area conic projection on a sphere: degrees to kilometres, y upwards."""

    parallels: tuple[float, float]
    meridian: float

    def __call__(self, degrees: Points) -> Points:
        """[n, 2] longitude and latitude to [n, 2] x and y."""
        low, high = (math.sin(math.radians(value)) for value in self.parallels)
        cone = (low + high) / 2
        constant = 1 + low * (2 * cone - low)
        radius = np.sqrt(constant - 2 * cone * np.sin(np.radians(degrees[:, 1]))) / cone
        angle = np.radians(degrees[:, 0] - self.meridian) * cone
        origin = math.sqrt(constant) / cone
        return _EARTH * np.column_stack((radius * np.sin(angle), origin - radius * np.cos(angle)))


@dataclass(frozen=True)
class Sheet:
    """Where everything lies on the drawn sheet: kilometres to units, the main map's box and the inset's.

    `main` and `window` are boxes in kilometres (x0, y0, x1, y1), `window` what the inset shows; `scale` and `shift`
    lead from there into the main map's kilometres.
    """

    main: tuple[float, float, float, float]
    window: tuple[float, float, float, float] | None
    scale: float
    shift: tuple[float, float]

    @property
    def units(self) -> float:
        return WIDTH / (self.main[2] - self.main[0])

    @property
    def height(self) -> float:
        return float((self.main[3] - self.main[1]) * self.units)

    def place(self, points: Points) -> Points:
        """Kilometres of the main map to units, y downwards."""
        return np.column_stack(((points[:, 0] - self.main[0]) * self.units, (self.main[3] - points[:, 1]) * self.units))

    def into_inset(self, points: Points) -> Points:
        return points * self.scale + np.asarray(self.shift)

    def box(self) -> Points | None:
        """The inset's frame in units, as a closed line."""
        if self.window is None:
            return None
        x0, y0, x1, y1 = self.window
        corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)])
        return self.place(self.into_inset(corners))

    def centres(self, points: Points) -> Points:
        """Points in kilometres to units: those that the main map leaves out, where the inset shows them."""
        inset = self.into_inset(points)
        low = (points[:, 1] < self.main[1])[:, None]
        return self.place(np.where(low, inset, points) if self.window is not None else points)


def sheet(bounds: tuple[float, float, float, float], albers: Albers, inset: Inset | None) -> Sheet:
    """The sheet for areas with these bounds in kilometres: the inset goes into the lower right corner."""
    x0, _, x1, y1 = bounds
    if inset is None:
        return Sheet(bounds, None, 1.0, (0.0, 0.0))
    edge = albers(np.array([(albers.meridian, inset.above)]))[0, 1]
    corners = albers(np.array([(lon, lat) for lon in (inset.west, inset.east) for lat in (inset.south, inset.north)]))
    middle = albers(np.array([(albers.meridian, inset.south)]))[0, 1]
    window = (corners[:, 0].min(), min(corners[:, 1].min(), middle), corners[:, 0].max(), corners[:, 1].max())
    shift = (x1 - window[2] * inset.scale, edge - window[1] * inset.scale)
    return Sheet(
        (x0, float(edge), x1, y1),
        cast("Any", tuple(map(float, window))),
        inset.scale,
        (float(shift[0]), float(shift[1])),
    )


def outlines(texts: Mapping[str, list[str]], albers: Albers) -> Areas:
    """The areas of GeoJSON texts by code, in kilometres; several texts of one code become one area.

    Raises GEOSException for a text that is no geometry.
    """
    shapely = _shapely()
    parts = [shapely.from_geojson(several) for several in texts.values()]
    whole = [part[0] if len(part) == 1 else shapely.coverage_union_all(_polygons(part)) for part in parts]
    return _transform(np.array(whole, dtype=object), albers)


def lines(texts: list[str], albers: Albers) -> Areas:
    """Lines of GeoJSON texts, one by one, in kilometres."""
    shapely = _shapely()
    return _transform(shapely.get_parts(shapely.get_parts(shapely.from_geojson(texts))), albers)


def thinned(areas: Areas, tolerance: float) -> Areas:
    """Areas with fewer points: borders that two share stay shared, and no part is lost; they must be a coverage."""
    return _shapely().coverage_simplify(areas, tolerance)


def without_specks(areas: Areas, detail: Detail) -> Areas:
    """Areas without specks before a coast, and with other small islands as squares; parts that border others stay.

    A speck is an island smaller than detail.smallest across whose own area has a larger part within
    detail.specks_within. Islands that small elsewhere are drawn as squares of detail.smallest.
    """
    shapely = _shapely()
    parts, owner = shapely.get_parts(areas, return_index=True)
    box = shapely.bounds(parts)
    small = np.maximum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]) < detail.smallest
    small &= ~_bordering(parts)
    keep, made = np.ones(len(parts), dtype=bool), parts.copy()
    for index in np.flatnonzero(small):
        large = parts[(owner == owner[index]) & ~small]
        near = len(large) > 0 and shapely.distance(parts[index], large).min() <= detail.specks_within
        keep[index] = not near
        if not near:
            made[index] = _square(shapely, box[index], detail.smallest)
    small &= keep
    drawn = [
        _polygons_of(
            shapely, *parts[keep & ~small & (owner == index)], shapely.union_all(made[small & (owner == index)])
        )
        for index in range(len(areas))
    ]
    return np.array(drawn, dtype=object)


def on_sheet(areas: Areas, made: Sheet, detail: Detail) -> Areas:
    """Areas in units: cut at the main map's edge, with what the inset shows of them added as further parts."""
    shapely = _shapely()
    edge = shapely.box(*made.main)
    main = _polygons(shapely.intersection(areas, edge))
    if made.window is None:
        return _transform(main, made.place)
    inset = shapely.intersection(areas, shapely.box(*made.window))
    # What is small in the main map would vanish in the inset: it is simplified and squared again at its scale.
    inset = _transform(inset, made.into_inset)
    inset = _squared(_polygons(shapely.coverage_simplify(_polygons(inset), detail.tolerance)), detail.smallest)
    both = [_polygons_of(shapely, main[index], inset[index]) for index in range(len(areas))]
    return _transform(np.array(both, dtype=object), made.place)


def lines_on_sheet(drawn: Areas, made: Sheet) -> Areas:
    """Lines in units, in the main map, but where the inset lies, and in the inset."""
    shapely = _shapely()
    found = list(shapely.intersection(drawn, shapely.box(*made.main)))
    if made.window is not None:
        x0, y0, x1, y1 = made.window
        covered = made.into_inset(np.array([(x0, y0), (x1, y1)]))
        found = list(shapely.difference(found, shapely.box(*covered.ravel())))
        found += list(_transform(shapely.intersection(drawn, shapely.box(*made.window)), made.into_inset))
    return _transform(np.array([line for line in found if not line.is_empty], dtype=object), made.place)


def line(points: Points) -> Any:
    """A line through points."""
    return _shapely().linestrings(points)


def bounds(areas: Areas) -> tuple[float, float, float, float]:
    """The smallest box around all areas: x0, y0, x1, y1."""
    x0, y0, x1, y1 = (float(value) for value in _shapely().total_bounds(areas))
    return x0, y0, x1, y1


def dissolved(areas: Areas, groups: list[list[int]]) -> Areas:
    """One area per group of positions, without the borders between them."""
    shapely = _shapely()
    return np.array([_polygons_of(shapely, shapely.union_all(areas[group])) for group in groups], dtype=object)


def _bordering(parts: Areas) -> NDArray[np.bool_]:
    """Which parts share a point with another: those are no islands."""
    shapely = _shapely()
    points, owner = shapely.get_coordinates(parts, return_index=True)
    rounded = cast("Points", np.round(points, 6))
    same = np.unique(rounded, axis=0, return_inverse=True)[1].reshape(-1)
    first, last = np.full(same.max() + 1, len(parts)), np.full(same.max() + 1, -1)
    np.minimum.at(first, same, owner)
    np.maximum.at(last, same, owner)
    found = np.zeros(len(parts), dtype=bool)
    found[owner[(first != last)[same]]] = True
    return found


def _squared(areas: Areas, smallest: float) -> Areas:
    """Islands smaller than a square of `smallest` become one, all of them."""
    return without_specks(areas, Detail(0.0, smallest, -1.0))


def _square(shapely: Any, bounds: Points, size: float) -> Any:
    x, y = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    return shapely.box(x - size / 2, y - size / 2, x + size / 2, y + size / 2)


def _polygons_of(shapely: Any, *found: Any) -> Any:
    """The polygons among geometries, as one multipolygon."""
    parts = [part for geometry in found for part in shapely.get_parts(geometry) if part.geom_type == "Polygon"]
    nested = [part for geometry in found for part in shapely.get_parts(geometry) if part.geom_type == "MultiPolygon"]
    return shapely.multipolygons(parts + [part for several in nested for part in several.geoms])


def _polygons(areas: Areas) -> Areas:
    """Areas without the points and lines that cutting may leave of them."""
    shapely = _shapely()
    return np.array([_polygons_of(shapely, area) for area in areas], dtype=object)


def _transform(areas: Areas, into: Callable[[Points], Points]) -> Areas:
    return _shapely().transform(areas, into)


def _shapely() -> Any:
    """shapely, which has no types. Raises Finding when it is not installed."""
    if find_spec("shapely") is None:
        raise Finding(
            "what simplifies outlines is not installed", where="shapely", todo="pip install 'dci_pipeline[report]'"
        )
    import shapely  # pyright: ignore[reportMissingTypeStubs, reportMissingImports, reportUnknownVariableType, reportUnusedImport]

    return cast("Any", shapely)
