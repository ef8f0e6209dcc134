"""An index read from its folder: index file, feed and table contracts, expert scores; every name checked to exist."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TypeVar

from dci_pipeline import contract_files, periods
from dci_pipeline.contract_versions import feed_of, read_versions
from dci_pipeline.contracts import Versions
from dci_pipeline.correction_files import read_corrections
from dci_pipeline.data_files import content_hash, list_of, need, number_of, only, read_yaml, whole_of
from dci_pipeline.findings import Finding
from dci_pipeline.framework import EntityType, Framework, Link, Node, Quality, Wave
from dci_pipeline.framework_checks import check_framework
from dci_pipeline.published_files import (
    read_app_categories,
    read_breakdown,
    read_divide,
    read_revision_window,
    read_scopes,
    read_tracked,
)

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
    "revision_window",
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
_WAVE = {"wave", "effective_from", "assumption", "reason", "description"}
_SCORES = ("wave", "expert", "node", "child", "score")
Read = TypeVar("Read")


class _Unread(Mapping[str, Read]):
    """Files by name, each read when it is first asked for."""

    def __init__(self, names: Iterable[str], read: Callable[[str], Read]):
        self._names, self._read = tuple(names), read
        self._found: dict[str, Read] = {}

    def __getitem__(self, name: str) -> Read:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._found:
            self._found[name] = self._read(name)
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


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


def read_framework(root: Path, index: str, *, whole: bool = True) -> Framework:
    """One index from its folder under `root`. Raises Finding naming file and key for anything unknown or impossible.

    Not `whole`: contracts and scores are read when they are asked for, and nothing is checked against them. Enough to
    look at what is there; `sha256` is then of the index file alone, and nothing may be committed by it.
    """
    folder = index_folder(root, index)
    where = f"{index}/index.yaml"
    raw = only(read_yaml(folder / "index.yaml"), _INDEX, where=where)
    if raw.get("index") != index:
        raise Finding("the file describes another index", where=where, found=raw.get("index"), expected=index)
    cadence = str(need(raw, "cadence", where))
    if cadence not in ("month", "quarter"):
        raise Finding("unknown cadence", where=where, found=cadence, expected="month or quarter")
    missing = only(need(raw, "missing", where), _MISSING, where=f"{where} missing")
    nodes = tuple(_node(item, where) for item in list_of(raw, "nodes", where))
    versions = _versions(folder, index, cadence) if whole else _unread_versions(folder, index, cadence)
    waves = _Unread(
        [path.stem for path in sorted((folder / "weights").glob("*.csv"))],
        lambda name: _wave(folder / "weights" / f"{name}.csv"),
    )
    tables = _Unread(
        [path.stem for path in _yaml(folder / "marts")],
        lambda name: contract_files.read_table(folder / "marts" / f"{name}.yaml", index=index),
    )
    framework = Framework(
        index=index,
        name_zh=str(need(raw, "name_zh", where)),
        name_en=str(need(raw, "name_en", where)),
        cadence=cadence,
        nation={
            key: str(value) for key, value in only(need(raw, "nation", where), _NATION, where=f"{where} nation").items()
        },
        base_points=float(number_of(raw, "base_points", where)),
        entities=tuple(_entities(need(raw, "entities", where), where)),
        chaining=str(need(raw, "chaining", where)),
        links=tuple(_link(item, cadence, where) for item in list_of(raw, "links", where)),
        late_feed=str(need(missing, "late_feed", f"{where} missing")),
        carry_periods=whole_of(missing, "carry_periods", f"{where} missing"),
        nation_imputed_limit=float(number_of(missing, "nation_imputed_limit", f"{where} missing")),
        place_imputed_limit=float(number_of(missing, "place_imputed_limit", f"{where} missing")),
        nodes=nodes,
        auxiliary=tuple(_node(item, where) for item in raw.get("auxiliary") or ()),
        breakdowns=tuple(read_breakdown(item, where) for item in raw.get("breakdowns") or ()),
        tracker=tuple(read_tracked(item, where) for item in raw.get("tracker") or ()),
        divide=read_divide(raw.get("divide") or {}, where),
        app_categories=read_app_categories(raw.get("app_categories"), where),
        ranking_scopes=read_scopes(raw.get("ranking") or {}, where),
        revision_window=read_revision_window(raw.get("revision_window"), where),
        versions=versions,
        tables=dict(tables) if whole else tables,
        waves=dict(waves) if whole else waves,
        corrections=read_corrections(_yaml(folder / "corrections"), cadence=cadence, versions=versions),
        sha256=content_hash(
            [
                raw,
                sorted((name, contract.sha256) for name, found in versions.items() for contract in found.of),
                sorted((name, wave.sha256) for name, wave in waves.items()),
            ]
            if whole
            else [raw]
        ),
        folder=folder,
    )
    if whole:
        check_framework(framework, where=where)
    return framework


def _versions(folder: Path, index: str, cadence: str) -> Mapping[str, Versions]:
    return read_versions(_yaml(folder / "feeds"), index=index, cadence=cadence)


def _unread_versions(folder: Path, index: str, cadence: str) -> Mapping[str, Versions]:
    files: dict[str, list[Path]] = {}
    for path in _yaml(folder / "feeds"):
        files.setdefault(feed_of(path), []).append(path)
    return _Unread(files, lambda feed: read_versions(files[feed], index=index, cadence=cadence)[feed])


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
        node=str(need(raw, "node", f"{where} nodes")),
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
    key = f"{at} quality"
    quality = Quality(
        str(need(raw, "column", key)),
        whole_of(raw, "worst", key),
        whole_of(raw, "best", key),
        whole_of(raw, "per", key, default=1),
    )
    if quality.worst == quality.best or quality.per < 1:
        raise Finding(
            "a quality that cannot differ",
            where=key,
            found=f"worst {quality.worst}, best {quality.best}, per {quality.per}",
            expected="worst and best apart, per above 0",
        )
    return quality


def _link(item: object, cadence: str, where: str) -> Link:
    raw = only(item, _LINK, where=f"{where} links")
    at = f"{where} link {raw.get('link')!r}"
    first, last = (
        periods.parse(need(raw, key, at), cadence, where=f"{at} {key}") for key in ("reference_start", "reference_end")
    )
    if last.start < first.start:
        raise Finding(
            "a reference that ends before it begins", where=at, found=f"{first} to {last}", todo="swap the two"
        )
    reference = periods.span(first, last)
    return Link(
        link=str(need(raw, "link", f"{where} links")),
        reference=tuple(reference),
        start=periods.parse(need(raw, "start", at), cadence, where=f"{at} start"),
        end=periods.parse(raw["end"], cadence, where=f"{at} end") if raw.get("end") else None,
        wave={str(key): str(value) for key, value in dict(need(raw, "wave", at)).items()},
        basket={str(key): tuple(str(leaf) for leaf in value) for key, value in dict(need(raw, "basket", at)).items()},
        assumption=bool(raw.get("assumption", False)),
        reason=str(raw.get("reason") or ""),
    )


def _entities(item: object, where: str) -> Iterable[EntityType]:
    raw = only(item, _ENTITIES, where=f"{where} entities")
    for part in ("places", "groups"):
        for entry in raw.get(part) or ():
            entry = only(entry, _PLACE_TYPE, where=f"{where} entities.{part}")
            yield EntityType(
                type=str(need(entry, "type", f"{where} entities.{part}")),
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
        date.fromisoformat(str(side.get("effective_from")))
    except ValueError as error:
        raise Finding(
            "not a date",
            where=f"{where.replace('.csv', '.yaml')} effective_from",
            found=side.get("effective_from"),
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
