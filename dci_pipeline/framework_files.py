"""An index read from its folder: index file, feed and table contracts, expert scores; every name checked to exist."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from dci_pipeline import contract_files, periods
from dci_pipeline.data_files import content_hash, only, read_yaml
from dci_pipeline.findings import Finding
from dci_pipeline.framework import (
    AppCategories,
    Breakdown,
    Divide,
    EntityType,
    Framework,
    Link,
    Member,
    Node,
    Quality,
    Tracked,
    Wave,
)
from dci_pipeline.framework_checks import NATION, check_framework

DIVIDES = ("range_over_mean", "mean_over_min", "p50_p10", "p75_p25", "p80_p20")

_INDEX = {
    "index",
    "name_zh",
    "name_en",
    "cadence",
    "nation",
    "base_points",
    "entities",
    "chaining",
    "links",
    "missing",
    "nodes",
    "auxiliary",
    "breakdowns",
    "tracker",
    "divide",
    "app_categories",
    "ranking",
}
_NATION = {"code", "name_zh", "name_en"}
_ENTITIES = {"places", "groups"}
_PLACE_TYPE = {"type", "table", "ranked", "member", "name_zh", "name_en", "of"}
_LINK = {"link", "reference_start", "reference_end", "start", "end", "wave", "basket", "assumption", "reason"}
_MISSING = {"late_feed", "carry_periods", "nation_imputed_limit", "place_imputed_limit"}
_NODE = {
    "node",
    "parent",
    "name_zh",
    "name_en",
    "status",
    "assumption",
    "reason",
    "source_partner",
    "unit",
    "kind",
    "since",
    "feed",
    "measure",
    "where",
    "quality",
    "places",
}
_QUALITY = {"column", "worst", "best", "per"}
_BREAKDOWN = {"dimension", "node", "name_zh", "name_en", "column", "members", "assumption", "reason"}
_MEMBER = {"member", "name_zh", "name_en", "of"}
_TRACKED = {"tracked", "node", "name_zh", "name_en", "form", "unit", "divisor", "per", "per_day"}
_DIVIDE = {"measure", "theil_groups", "assumption", "reason"}
_APP_CATEGORIES = {"dimension", "users", "seconds"}
_RANKING = {"scopes"}
_WAVE = {"wave", "effective_from", "assumption", "reason", "description"}
_SCORES = ("wave", "expert", "node", "child", "score")


def index_folder(root: Path, index: str) -> Path:
    """The folder of one index. Raises Finding listing the indexes that exist."""
    folder = root / index
    if not (folder / "index.yaml").is_file():
        known = sorted(path.parent.name for path in root.glob("*/index.yaml"))
        raise Finding(
            "no such index",
            where=str(root.name),
            found=index,
            expected="one of " + ", ".join(known),
            todo="check --index, or write its index.yaml",
        )
    return folder


def read_framework(root: Path, index: str) -> Framework:
    """One index from its folder under `root`. Raises Finding naming file and key for anything unknown or impossible."""
    folder = index_folder(root, index)
    where = f"{index}/index.yaml"
    raw = only(read_yaml(folder / "index.yaml"), _INDEX, where=where)
    if raw.get("index") != index:
        raise Finding("the file describes another index", where=where, found=raw.get("index"), expected=index)
    cadence = str(raw["cadence"])
    if cadence not in ("month", "quarter"):
        raise Finding("unknown cadence", where=where, found=cadence, expected="month or quarter")
    missing = only(raw["missing"], _MISSING, where=f"{where} missing")
    nodes = tuple(_node(item, where) for item in raw["nodes"])
    feeds = {path.stem: contract_files.read_feed(path, index=index) for path in _yaml(folder / "feeds")}
    waves = {path.stem: _wave(path) for path in sorted((folder / "weights").glob("*.csv"))}
    framework = Framework(
        index=index,
        name_zh=str(raw["name_zh"]),
        name_en=str(raw["name_en"]),
        cadence=cadence,
        nation={key: str(value) for key, value in only(raw["nation"], _NATION, where=f"{where} nation").items()},
        base_points=float(raw["base_points"]),
        entities=tuple(_entities(raw["entities"], where)),
        chaining=str(raw["chaining"]),
        links=tuple(_link(item, cadence, where) for item in raw["links"]),
        late_feed=str(missing["late_feed"]),
        carry_periods=int(missing["carry_periods"]),
        nation_imputed_limit=float(missing["nation_imputed_limit"]),
        place_imputed_limit=float(missing["place_imputed_limit"]),
        nodes=nodes,
        auxiliary=tuple(_node(item, where) for item in raw.get("auxiliary") or ()),
        breakdowns=tuple(_breakdown(item, where) for item in raw.get("breakdowns") or ()),
        tracker=tuple(_tracked(item, where) for item in raw.get("tracker") or ()),
        divide=_divide(raw.get("divide") or {}, where),
        app_categories=_app_categories(raw.get("app_categories"), where),
        ranking_scopes=_scopes(raw.get("ranking") or {}, where),
        feeds=feeds,
        tables={path.stem: contract_files.read_table(path, index=index) for path in _yaml(folder / "marts")},
        waves=waves,
        sha256=content_hash(
            [
                raw,
                sorted((name, feed.sha256) for name, feed in feeds.items()),
                sorted((name, wave.sha256) for name, wave in waves.items()),
            ]
        ),
        folder=folder,
    )
    check_framework(framework, where=where)
    return framework


def _yaml(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.yaml"))


def _node(item: object, where: str) -> Node:
    raw = only(item, _NODE, where=f"{where} nodes")
    at = f"{where} node {raw.get('node')!r}"
    status = str(raw.get("status", "active"))
    if status not in ("active", "planned"):
        raise Finding("unknown status", where=at, found=status, expected="active or planned")
    if raw.get("assumption") and not raw.get("reason"):
        raise Finding("an assumption needs its reason", where=at, todo="add reason:")
    return Node(
        node=str(raw["node"]),
        parent=str(raw["parent"]) if raw.get("parent") else None,
        name_zh=str(raw.get("name_zh", "")),
        name_en=str(raw.get("name_en", "")),
        status=status,
        assumption=bool(raw.get("assumption", False)),
        reason=str(raw.get("reason") or ""),
        source_partner=str(raw.get("source_partner") or ""),
        unit=str(raw.get("unit") or ""),
        kind=str(raw.get("kind") or ""),
        since=str(raw.get("since") or ""),
        feed=raw.get("feed"),
        measure=raw.get("measure"),
        where={str(key): str(value) for key, value in dict(raw.get("where") or {}).items()},
        quality=_quality(raw.get("quality"), at),
        places=tuple(str(item) for item in raw.get("places") or ()),
    )


def _quality(item: object, at: str) -> Quality | None:
    if item is None:
        return None
    raw = only(item, _QUALITY, where=f"{at} quality")
    quality = Quality(str(raw["column"]), int(raw["worst"]), int(raw["best"]), int(raw.get("per", 1)))
    if quality.worst == quality.best or quality.per < 1:
        raise Finding("a quality that cannot differ", where=at, found=raw, expected="worst and best apart, per above 0")
    return quality


def _breakdown(item: object, where: str) -> Breakdown:
    raw = only(item, _BREAKDOWN, where=f"{where} breakdowns")
    at = f"{where} breakdown {raw.get('dimension')!r} of {raw.get('node')!r}"
    members: list[Member] = []
    for entry in raw["members"]:
        entry = only(entry, _MEMBER, where=f"{at} members")
        of = tuple(str(value) for value in entry.get("of") or (entry["member"],))
        name = str(entry.get("name_zh") or entry["member"])
        members.append(Member(str(entry["member"]), name, str(entry.get("name_en") or name), of))
    gathered = [value for member in members for value in member.of]
    if len(set(gathered)) != len(gathered) or len({member.member for member in members}) != len(members):
        raise Finding("a member is listed twice", where=at, found=", ".join(gathered))
    return Breakdown(
        dimension=str(raw["dimension"]),
        node=str(raw["node"]),
        name_zh=str(raw.get("name_zh", "")),
        name_en=str(raw.get("name_en", "")),
        column=str(raw["column"]) if raw.get("column") else None,
        members=tuple(members),
        assumption=bool(raw.get("assumption", False)),
        reason=str(raw.get("reason") or ""),
    )


def _tracked(item: object, where: str) -> Tracked:
    raw = only(item, _TRACKED, where=f"{where} tracker")
    form = str(raw["form"])
    if form not in ("index", "absolute", "ratio") or (form == "ratio") != bool(raw.get("per")):
        raise Finding(
            "unknown form of a key indicator",
            where=f"{where} tracker {raw.get('tracked')!r}",
            found=f"form {form}, per {raw.get('per')}",
            expected="index, absolute, or ratio with per",
        )
    return Tracked(
        tracked=str(raw["tracked"]),
        node=str(raw["node"]),
        name_zh=str(raw.get("name_zh", "")),
        name_en=str(raw.get("name_en", "")),
        form=form,
        unit=str(raw.get("unit", "")),
        divisor=float(raw.get("divisor", 1)),
        per=str(raw["per"]) if raw.get("per") else None,
        per_day=bool(raw.get("per_day", False)),
    )


def _divide(item: object, where: str) -> Divide:
    raw = only(item, _DIVIDE, where=f"{where} divide")
    measure = str(raw.get("measure", DIVIDES[0]))
    if measure not in DIVIDES:
        raise Finding(
            "unknown measure of the divide",
            where=f"{where} divide",
            found=measure,
            expected="one of " + ", ".join(DIVIDES),
        )
    groups = str(raw["theil_groups"]) if raw.get("theil_groups") else None
    return Divide(measure, groups, bool(raw.get("assumption", False)), str(raw.get("reason") or ""))


def _app_categories(item: object, where: str) -> AppCategories | None:
    if item is None:
        return None
    raw = only(item, _APP_CATEGORIES, where=f"{where} app_categories")
    return AppCategories(str(raw["dimension"]), str(raw["users"]), str(raw["seconds"]))


def _scopes(item: object, where: str) -> tuple[str, ...]:
    raw = only(item, _RANKING, where=f"{where} ranking")
    return tuple(str(scope) for scope in raw.get("scopes") or (NATION,))


def _link(item: object, cadence: str, where: str) -> Link:
    raw = only(item, _LINK, where=f"{where} links")
    at = f"{where} link {raw.get('link')!r}"
    reference = periods.span(
        periods.parse(raw["reference_start"], cadence, where=at), periods.parse(raw["reference_end"], cadence, where=at)
    )
    return Link(
        link=str(raw["link"]),
        reference=tuple(reference),
        start=periods.parse(raw["start"], cadence, where=at),
        end=periods.parse(raw["end"], cadence, where=at) if raw.get("end") else None,
        wave={str(key): str(value) for key, value in dict(raw["wave"]).items()},
        basket={str(key): tuple(str(leaf) for leaf in value) for key, value in dict(raw["basket"]).items()},
        assumption=bool(raw.get("assumption", False)),
        reason=str(raw.get("reason") or ""),
    )


def _entities(item: object, where: str) -> Iterable[EntityType]:
    raw = only(item, _ENTITIES, where=f"{where} entities")
    for part in ("places", "groups"):
        for entry in raw.get(part) or ():
            entry = only(entry, _PLACE_TYPE, where=f"{where} entities.{part}")
            yield EntityType(
                type=str(entry["type"]),
                table=entry.get("table"),
                ranked=bool(entry.get("ranked", True)),
                member=bool(entry.get("member", part == "places")),
                is_group=part == "groups",
                of=tuple(str(kind) for kind in entry.get("of") or ()),
            )


def _wave(path: Path) -> Wave:
    where = "/".join(path.parts[-3:])
    side = only(read_yaml(path.with_suffix(".yaml")), _WAVE, where=where.replace(".csv", ".yaml"))
    try:
        date.fromisoformat(str(side["effective_from"]))
    except ValueError as error:
        raise Finding(
            "not a date",
            where=f"{where.replace('.csv', '.yaml')} effective_from",
            found=side["effective_from"],
            expected="a day such as 2018-01-01",
        ) from error
    with path.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        if tuple(reader.fieldnames or ()) != _SCORES:
            raise Finding(
                "wrong columns", where=where, found=", ".join(reader.fieldnames or ()), expected=", ".join(_SCORES)
            )
        scores: list[tuple[str, str, str, int | None]] = []
        for number, row in enumerate(reader, start=2):
            text = (row["score"] or "").strip()
            if row["wave"] != path.stem:
                raise Finding(
                    "a row of another wave", where=f"{where} line {number}", found=row["wave"], expected=path.stem
                )
            if text and text not in {"1", "2", "3", "4", "5"}:
                raise Finding("not a score", where=f"{where} line {number}", found=text, expected="1 to 5, or empty")
            scores.append((row["expert"], row["node"], row["child"], int(text) if text else None))
    return Wave(
        wave=path.stem,
        effective_from=str(side["effective_from"]),
        assumption=bool(side.get("assumption", False)),
        reason=str(side.get("reason") or ""),
        scores=tuple(scores),
        sha256=content_hash([side, scores]),
    )
