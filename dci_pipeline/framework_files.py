"""An index read from its folder: index file, feed and table contracts, expert scores; every name checked to exist."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from dci_pipeline import contract_files, periods
from dci_pipeline.data_files import content_hash, only, read_yaml
from dci_pipeline.findings import Finding
from dci_pipeline.framework import EntityType, Framework, Link, Node, Wave

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
    "breakdowns",
}
_NATION = {"code", "name_zh", "name_en"}
_ENTITIES = {"places", "groups"}
_PLACE_TYPE = {"type", "table", "ranked", "member", "name_zh", "name_en"}
_LINK = {"link", "reference_start", "reference_end", "start", "end", "wave", "basket"}
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
}
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
    _check(framework, where)
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
    )


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


def _check(framework: Framework, where: str) -> None:
    """Every name the index file uses exists: parents, feeds, measures, waves, baskets."""
    if framework.chaining != "fixed_base" or len(framework.links) != 1:
        raise Finding(
            "a chain of links: the published tables are computed inside one link",
            where=where,
            found=f"chaining {framework.chaining}, {len(framework.links)} links",
            expected="chaining: fixed_base and one link",
            todo="keep one link; dci_pipeline.index.compute computes several from plain frames",
        )
    if framework.late_feed != "waits":
        raise Finding(
            "unknown policy for a late feed",
            where=f"{where} missing.late_feed",
            found=framework.late_feed,
            expected="waits: a period is computed once every partner has delivered",
        )
    known = framework.by_node
    if len(known) != len(framework.nodes):
        raise Finding("a node is listed twice", where=where)
    for node in framework.nodes:
        at = f"{where} node {node.node!r}"
        if node.parent is not None and node.parent not in known:
            raise Finding("unknown parent", where=at, found=node.parent, expected="one of " + ", ".join(known))
        if node.feed is None:
            if node.status == "active" and not framework.children(node.node):
                raise Finding("an active node without feed and without children", where=at, todo="set status: planned")
            continue
        contract = framework.feeds.get(node.feed)
        if contract is None:
            raise Finding("unknown feed", where=at, found=node.feed, expected="one of " + ", ".join(framework.feeds))
        column = contract.by_name.get(node.measure or "")
        if column is None or column.role != "measure":
            raise Finding(
                "not a measure of the feed",
                where=at,
                found=node.measure,
                expected="one of " + ", ".join(item.name for item in contract.roles("measure")),
            )
        for name, value in node.where.items():
            column = contract.by_name.get(name)
            if column is None or column.role != "dimension" or (column.values and value not in column.values):
                raise Finding(
                    "not a value of a dimension of the feed",
                    where=at,
                    found=f"{name}: {value}",
                    expected=", ".join(item.name for item in contract.roles("dimension")),
                )
    for link in framework.links:
        at = f"{where} link {link.link!r}"
        _same_keys(link, framework, at)
        for root, basket in link.basket.items():
            if link.wave[root] not in framework.waves:
                raise Finding(
                    "unknown wave", where=at, found=link.wave[root], expected="one of " + ", ".join(framework.waves)
                )
            for leaf in basket:
                node = known.get(leaf)
                if node is None or node.feed is None or framework.root_of(leaf) != root or node.status != "active":
                    raise Finding(
                        "not an active leaf of this tree",
                        where=at,
                        found=leaf,
                        expected=", ".join(
                            item.node for item in framework.leaves if framework.root_of(item.node) == root
                        ),
                    )


def _same_keys(link: Link, framework: Framework, at: str) -> None:
    if set(link.wave) != set(link.basket) or not set(link.basket) <= set(framework.roots):
        raise Finding(
            "wave and basket name the same trees",
            where=at,
            found=f"wave {sorted(link.wave)}, basket {sorted(link.basket)}",
            expected="roots among " + ", ".join(framework.roots),
        )
