"""Outlines in a plane: common borders stay common, islands stay, the inset moves, TopoJSON holds every border once."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import shapely

from dci_pipeline.report import geometry
from dci_pipeline.report.geometry import Albers, Detail, Inset
from dci_pipeline.report.layers import Outlines, Plan, centres_alone, make_maps, maps_from
from dci_pipeline.report.topology import Shape, topology

CONIC = Albers((25.0, 47.0), 105.0)


def decoded(topo: dict[str, Any], name: str) -> list[tuple[dict[str, str], Any]]:
    """The geometries of an object of a TopoJSON, as its specification says: [(properties, shapely)]."""
    scale, arcs = topo["transform"]["scale"], []
    for arc in topo["arcs"]:
        arcs.append(np.cumsum(np.array(arc), axis=0) * scale)

    def joined(numbers: Iterable[int]) -> np.ndarray:
        lines = [arcs[number] if number >= 0 else arcs[~number][::-1] for number in numbers]
        for before, after in pairwise(lines):
            assert (before[-1] == after[0]).all()
        return np.concatenate([lines[0], *(line[1:] for line in lines[1:])])

    found = []
    item = topo["objects"][name]
    for made in item.get("geometries", [item]):
        if made["type"] == "MultiPolygon":
            parts = [[joined(ring) for ring in rings] for rings in made["arcs"]]
            shape = shapely.multipolygons([shapely.Polygon(rings[0], rings[1:]) for rings in parts])
        else:
            shape = shapely.multilinestrings([joined(line) for line in made["arcs"]])
        found.append((made.get("properties", {}), shape))
    return found


def box(west: float, south: float, east: float, north: float, *, wave: float = 0.0) -> str:
    """A rectangle as GeoJSON with many points along its sides, which a wave may move to and fro."""
    along = np.linspace(0, 1, 60)

    def side(x0: float, y0: float, x1: float, y1: float) -> list[list[float]]:
        moved = wave * np.sin(along * 40)
        moved[[0, -1]] = 0
        flat = y0 == y1
        x, y = x0 + (x1 - x0) * along, y0 + (y1 - y0) * along
        return np.round(np.column_stack((x if flat else x + moved, y + moved if flat else y)), 6).tolist()

    ring = side(west, south, east, south) + side(east, south, east, north)[1:]
    ring += side(west, north, east, north)[::-1][1:] + side(west, south, west, north)[::-1][1:]
    return json.dumps({"type": "Polygon", "coordinates": [ring]})


def plan(inset: Inset | None = None, *, smallest: float = 5.0, within: float = 20.0) -> Plan:
    detail = Detail(tolerance=5.0, smallest=smallest, specks_within=within)
    titles = {"zh": "南", "en": "South"} if inset else {}
    return Plan("town", "land", CONIC, inset, titles, {"places": detail, "groups": detail}, {"zh": "甲", "en": "A"})


WEST, EAST = box(100, 30, 105, 35, wave=0.05), box(105, 30, 110, 35, wave=0.05)


def outlines(areas: dict[str, list[str]], *, lines: list[str] | None = None) -> Outlines:
    return Outlines(areas, dict.fromkeys([code for code in areas if code != "x"], "g"), {"x": "外"}, lines or [])


def test_the_projection_is_equal_area_and_true_on_its_parallels() -> None:
    def area(lon: float, lat: float) -> float:
        corners = np.array([(lon, lat), (lon + 0.01, lat), (lon + 0.01, lat + 0.01), (lon, lat + 0.01)])
        return shapely.area(shapely.polygons(CONIC(corners)))

    for lon, lat in ((75, 38), (105, 20), (134, 48), (112, 4)):
        band = math.sin(math.radians(lat + 0.01)) - math.sin(math.radians(lat))
        assert area(lon, lat) == pytest.approx(6371.0088**2 * math.radians(0.01) * band, rel=1e-5)
    (x0, _), (x1, _) = CONIC(np.array([(104.99, 47.0), (105.01, 47.0)]))
    assert x1 - x0 == pytest.approx(6371.0088 * math.radians(0.02) * math.cos(math.radians(47)), rel=1e-6)


def test_a_common_border_stays_common_when_thinned() -> None:
    areas = geometry.outlines({"w": [WEST], "e": [EAST]}, CONIC)
    thin = geometry.thinned(areas, 20.0)
    assert shapely.get_num_coordinates(thin).sum() < shapely.get_num_coordinates(areas).sum() / 3
    assert shapely.coverage_is_valid(thin)
    assert shapely.length(shapely.intersection(*thin)) > 500
    assert shapely.area(shapely.intersection(*thin)) == pytest.approx(0)


def test_several_texts_of_one_code_are_one_area_without_a_border() -> None:
    (whole,) = geometry.outlines({"a": [WEST, EAST]}, CONIC)
    assert len(shapely.get_parts(whole)) == 1
    both = geometry.outlines({"w": [WEST], "e": [EAST]}, CONIC)
    assert shapely.area(whole) == pytest.approx(shapely.area(both).sum())


def test_islands_stay_unless_they_lie_before_their_own_coast() -> None:
    before, off, outer = box(110.05, 32, 110.07, 32.02), box(111.5, 32, 111.52, 32.02), box(113, 33, 114, 34)
    areas = geometry.outlines({"w": [WEST], "e": [EAST, before, off, outer]}, CONIC)
    west, east = geometry.without_specks(areas, Detail(0.0, 5.0, 20.0))
    assert shapely.equals(west, shapely.multipolygons([shapely.get_parts(areas[0])[0]]))
    sizes = sorted(shapely.area(shapely.get_parts(east)))
    assert len(sizes) == 3
    assert sizes[0] == pytest.approx(25.0), "an island far out is a square that can be seen"


def test_a_small_part_with_neighbours_is_no_island() -> None:
    hole = box(102, 32, 102.02, 32.02)
    ground = json.loads(box(100, 30, 105, 35))
    ground["coordinates"].append(json.loads(hole)["coordinates"][0])
    areas = geometry.outlines({"w": [json.dumps(ground)], "e": [EAST, hole]}, CONIC)
    kept = geometry.without_specks(areas, Detail(0.0, 5.0, 5000.0))
    assert [len(shapely.get_parts(area)) for area in kept] == [1, 2]


def test_every_border_is_there_once_and_the_meshes_tell_them_apart() -> None:
    made = make_maps(
        plan(), outlines({"w": [WEST], "e": [EAST], "x": [box(110, 30, 112, 35, wave=0.05)]}), {"w": (102.5, 32.5)}
    )
    topo = made.layers["town"]
    assert [properties["code"] for properties, _ in decoded(topo, "areas")] == ["w", "e", "x"]
    assert [properties["code"] for properties, _ in decoded(topo, "groups")] == ["g", "x"]
    shapes = {properties["code"]: shape for properties, shape in decoded(topo, "areas")}
    assert all(shapely.is_valid(shape) for shape in shapes.values())
    assert shapely.area(shapely.intersection(shapes["w"], shapes["e"])) == 0
    keys = [frozenset((tuple(arc[0]), tuple(np.sum(arc, axis=0)), len(arc))) for arc in topo["arcs"]]
    assert max(Counter(keys).values()) == 1
    ((_, inner),) = decoded(topo, "areas_borders")
    ((_, between),) = decoded(topo, "groups_borders")
    assert shapely.length(inner) > 0 and shapely.length(between) > 0
    assert shapely.length(inner) == pytest.approx(shapely.length(shapely.intersection(shapes["w"], shapes["e"])))
    assert shapely.length(between) == pytest.approx(shapely.length(shapely.intersection(shapes["e"], shapes["x"])))


def test_what_lies_south_is_in_the_box_and_lines_are_not_drawn_under_it() -> None:
    inset = Inset(above=28.0, west=104.0, east=110.0, south=15.0, north=29.0, scale=0.2)
    line = json.dumps({"type": "LineString", "coordinates": [[107, 16], [107, 20]]})
    under = json.dumps({"type": "LineString", "coordinates": [[109.6, 28.2], [109.9, 28.2]]})
    areas = {"w": [WEST], "e": [EAST, box(106, 18, 106.05, 18.05)]}
    made = make_maps(plan(inset), outlines(areas, lines=[line, under]), {"w": (102.5, 32.5), "e": (106, 18)})
    topo = made.layers["town"]
    ((_, frame),) = decoded(topo, "frame")
    edges = shapely.polygons(shapely.get_coordinates(frame))
    shapes = {properties["code"]: shape for properties, shape in decoded(topo, "areas")}
    inside = shapely.get_parts(shapes["e"])[shapely.within(shapely.get_parts(shapes["e"]), edges)]
    assert len(inside) == 1
    assert shapely.bounds(inside[0])[2] - shapely.bounds(inside[0])[0] > 1, "no island is too small to be seen"
    assert shapely.within(shapely.points(made.centres["e"]), shapely.buffer(inside[0], 3))
    assert not shapely.within(shapely.points(made.centres["w"]), edges)
    drawn = [shape for _, shape in decoded(topo, "lines")]
    assert len(drawn) == 2 and all(shapely.within(shape, edges) for shape in drawn), "in the box, and only there"
    assert made.inset is not None and shapely.within(shapely.points(made.inset["x"], made.inset["y"]), edges)


def test_the_same_outlines_give_the_same_text_and_it_comes_back() -> None:
    found = outlines({"w": [WEST], "e": [EAST]})
    first, second = (json.dumps(make_maps(plan(), found, {"w": (102, 32)}).as_data()) for _ in range(2))
    assert first == second
    assert maps_from(json.loads(first)).as_data() == json.loads(first) | {"centres": {"w": tuple(made_centre(first))}}


def made_centre(text: str) -> list[float]:
    return json.loads(text)["centres"]["w"]


def test_without_outlines_there_are_points_in_the_same_plane() -> None:
    made = centres_alone(plan(), {"w": (102.5, 32.5), "e": (107.5, 32.5)})
    assert made.layers == {}
    assert 0 < made.centres["w"][0] < made.centres["e"][0] < made.width


def test_a_ring_that_meets_itself_is_one_arc_and_an_open_line_keeps_its_ends() -> None:
    square = ((0, 0), (4, 0), (4, 4), (0, 4), (0, 0))
    made = topology(
        {"areas": [Shape({}, polygons=[[square]])], "lines": [Shape({}, lines=[((9, 9), (12, 9))])]}, grid=1
    )
    assert len(made["arcs"]) == 2
    assert made["arcs"][1] == [[9, 9], [3, 0]]
    assert sum(map(np.array, made["arcs"][0][1:])).tolist() == [0, 0]
