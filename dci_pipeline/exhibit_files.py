"""The exhibits of an index read from its exhibits.yaml: every key, table, column, operator and name checked to exist.

An item takes over what its exhibit says once for all, and `to`, x, y and the splits take over what the item says; a
part that names a table of its own takes over no conditions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from dci_pipeline.data_files import content_hash, need, one_of, only, read_yaml
from dci_pipeline.exhibit_checks import check_item
from dci_pipeline.exhibits import (
    COUNTED,
    GRAINS,
    LIMITS,
    OPERATORS,
    PLANES,
    REDUCTIONS,
    RELATIONS,
    STATISTICS,
    Condition,
    Counts,
    Exhibit,
    Exhibits,
    Item,
    Selection,
    Split,
)
from dci_pipeline.findings import Finding
from dci_pipeline.framework import Framework
from dci_pipeline.geography import Geography

FILE = "exhibits.yaml"

KINDS = (
    "external",
    "structure",
    "claim",
    "ranking",
    "series",
    "map",
    "share",
    "comparison",
    "matrix",
    "quadrant",
    "correlation",
)
_SELECTION = {
    "table",
    "column",
    "where",
    "within",
    "named",
    "but",
    "among",
    "lag",
    "years",
    "scale",
    "reduce",
    "per",
    "test",
    "by",
}
_ITEM = {
    *_SELECTION,
    "subject",
    "entity_type",
    "measures",
    "operator",
    "grain",
    "period",
    "label",
    "labels",
    "months",
    "order",
    "top",
    "then",
    "counts",
    "to",
    "x",
    "y",
    "split_x",
    "split_y",
}
_EXHIBIT = {"exhibit", "part", "title_zh", "title_en", "kind", "reading", "items"}
_COUNTS = {"what", "of", "dimension", "nodes"}
# Parts of an item that are selections of their own.
_PARTS = ("to", "x", "y", "split_x", "split_y")
_PERIODS = {"year": "{year}", "half": "{half}", "month": "{month}"}


def read_exhibits(framework: Framework, geography: Geography) -> Exhibits:
    """Every exhibit of an index.

    Raises Finding naming the file and the exhibit for anything unknown, doubled or impossible.
    """
    path = framework.folder / FILE
    where = f"{framework.index}/{FILE}"
    if not path.is_file():
        raise Finding("missing file", where=where, expected="exhibits: a list", todo="write the file")
    raw = only(read_yaml(path), {"exhibits"}, where=where)
    found = tuple(_exhibit(entry, where) for entry in need(raw, "exhibits", where))
    names = [exhibit.exhibit for exhibit in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Finding("an exhibit is listed twice", where=where, found=", ".join(twice))
    for exhibit in found:
        for item in exhibit.items:
            check_item(item, framework, geography, where=f"{where} {exhibit.exhibit}")
    return Exhibits(found, content_hash(raw))


def _exhibit(entry: object, where: str) -> Exhibit:
    raw = only(entry, _EXHIBIT | _ITEM, where=f"{where} {_named(entry)}")
    name = str(need(raw, "exhibit", where))
    at = f"{where} {name}"
    kind = str(need(raw, "kind", at))
    one_of(kind, KINDS, f"{at} kind")
    items = cast("list[object]", raw.get("items") or [])
    if bool(items) == (kind == "external"):
        raise Finding(
            "an external exhibit has no items, every other has some", where=at, found=f"kind {kind}, {len(items)} items"
        )
    shared = {key: value for key, value in raw.items() if key in _ITEM}
    return Exhibit(
        exhibit=name,
        part=str(need(raw, "part", at)),
        title_zh=str(need(raw, "title_zh", at)),
        title_en=str(need(raw, "title_en", at)),
        kind=kind,
        reading=str(raw.get("reading") or ""),
        items=tuple(
            _item(name, _over(shared, only(entry, _ITEM, where=f"{at} item {number}")), f"{at} item {number}")
            for number, entry in enumerate(items, start=1)
        ),
    )


def _named(entry: object) -> str:
    return str(cast("Mapping[str, object]", entry).get("exhibit", "")) if isinstance(entry, dict) else ""


def _over(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    """`inner` over `outer`: conditions are added to, unless `inner` names a table of its own."""
    both = {**outer, **inner}
    if "table" in inner:
        both["where"] = inner.get("where")
    elif "where" in inner:
        both["where"] = {**(outer.get("where") or {}), **inner["where"]}
    return both


def _item(exhibit: str, raw: dict[str, Any], at: str) -> Item:
    operator = str(raw.get("operator", "value"))
    one_of(operator, OPERATORS, f"{at} operator")
    own = {key: value for key, value in raw.items() if key in _SELECTION}
    parts: dict[str, Selection | Split | None] = {name: _part(raw.get(name), own, f"{at} {name}") for name in _PARTS}
    needed = {"to"} if operator in RELATIONS else {"x", "y"} if operator in PLANES else set[str]()
    needed |= {"split_x", "split_y"} if operator in ("quadrant", "both_high") else set()
    given = {name for name, part in parts.items() if part is not None}
    if given != needed:
        raise Finding(
            f"the operator {operator} needs other parts",
            where=at,
            found=", ".join(sorted(given)) or "none",
            expected=", ".join(sorted(needed)) or "none",
        )
    structure, plane = operator == "structure", operator in PLANES
    grain = str(raw.get("grain") or ("year" if structure else _grain(_table(raw, at) if not plane else raw, at)))
    one_of(grain, GRAINS, f"{at} grain")
    one_of(str(raw.get("order", "descending")), ("descending", "ascending"), f"{at} order")
    one_of(str(raw.get("then", "sign")), ("sign",), f"{at} then")
    measures = {str(name): str(unit) for name, unit in dict(need(raw, "measures", at)).items()}
    return Item(
        exhibit=exhibit,
        subject=str(need(raw, "subject", at)),
        entity_type=str(need(raw, "entity_type", at)),
        measures=measures,
        operator=operator,
        grain=grain,
        period=str(raw.get("period") or _PERIODS[grain]),
        label=str(raw.get("label") or _label(raw)),
        labels={str(name): str(printed) for name, printed in dict(raw.get("labels") or {}).items()},
        read=None if structure or plane else _selection(own, at),
        to=cast("Selection | None", parts["to"]),
        x=cast("Selection | None", parts["x"]),
        y=cast("Selection | None", parts["y"]),
        split_x=parts["split_x"],
        split_y=parts["split_y"],
        months=tuple(int(month) for month in raw.get("months") or ()),
        order=str(raw.get("order", "descending")),
        top=int(raw["top"]) if raw.get("top") else None,
        then=raw.get("then"),
        counts=_counts(need(raw, "counts", at), at) if structure else None,
    )


def _table(raw: dict[str, Any], at: str) -> dict[str, Any]:
    need(raw, "table", at)
    return raw


def _grain(raw: Mapping[str, Any], at: str) -> str:
    """How often a table has rows, by the last word of its name."""
    named = str(raw.get("table") or cast("Mapping[str, Any]", raw.get("x") or {}).get("table"))
    grain = named.rpartition("_")[2]
    one_of(grain, GRAINS, f"{at} table {named}")
    return grain


def _label(raw: Mapping[str, Any]) -> str:
    return "{set}" if raw.get("named") and raw.get("reduce") else "{entity}"


def _part(raw: object, own: Mapping[str, Any], at: str) -> Selection | Split | None:
    """A part of an item: a number, a statistic of the rows, or a selection over what the item itself selects."""
    if raw is None or (isinstance(raw, int | float) and not isinstance(raw, bool)):
        return None if raw is None else float(raw)
    if isinstance(raw, str):
        one_of(raw, STATISTICS, at)
        return raw
    part = only(raw, _SELECTION, where=at)
    both = {**own, **part}
    if "table" in part:
        both = {"column": own.get("column"), **part}
    return _selection(both, at)


def _selection(raw: Mapping[str, Any], at: str, *, column: bool = True) -> Selection:
    reduce = raw.get("reduce")
    if reduce is not None:
        one_of(str(reduce), REDUCTIONS, f"{at} reduce")
    if raw.get("test") and reduce not in ("count", "proportion"):
        raise Finding("only a count or proportion has a test", where=at, found=reduce, expected="count or proportion")
    among = raw.get("among")
    within = cast("dict[str, Iterable[object]]", raw.get("within") or {})
    return Selection(
        table=str(need(raw, "table", at)),
        column=str(need(raw, "column", at)) if column else "",
        where=_conditions(raw.get("where"), f"{at} where"),
        within=tuple((str(kind), tuple(str(code) for code in codes)) for kind, codes in within.items()),
        named=_texts(raw, "named"),
        but=_texts(raw, "but"),
        among=_selection(only(among, {"table", "where"}, where=f"{at} among"), at, column=False) if among else None,
        lag=int(raw.get("lag", 0)),
        years=int(raw.get("years", 1)),
        scale=float(raw.get("scale", 1.0)),
        reduce=str(reduce) if reduce is not None else None,
        per=_texts(raw, "per"),
        test=_conditions(raw.get("test"), f"{at} test"),
        by=str(raw["by"]) if raw.get("by") else None,
    )


def _texts(raw: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(str(value) for value in raw.get(key) or ())


def _conditions(raw: object, at: str) -> tuple[Condition, ...]:
    found: list[Condition] = []
    for column, said in cast("dict[str, object]", raw or {}).items():
        if isinstance(said, dict):
            known = cast("dict[str, Any]", only(said, {"not", *LIMITS}, where=f"{at} {column}"))
            limits = tuple((name, _limit(value, f"{at} {column}")) for name, value in known.items() if name != "not")
            found.append(Condition(str(column), _values(known.get("not")), "not" in known, limits))
        else:
            found.append(Condition(str(column), _values(said)))
    return tuple(found)


def _limit(value: object, at: str) -> float | str:
    if isinstance(value, str):
        one_of(value, STATISTICS, at)
        return value
    return float(cast("float", value))


def _values(said: object) -> tuple[str, ...]:
    if said is None:
        return ()
    return tuple(str(value) for value in cast("list[object]", said)) if isinstance(said, list) else (str(said),)


def _counts(raw: object, at: str) -> Counts:
    said = only(raw, _COUNTS, where=f"{at} counts")
    what = str(need(said, "what", at))
    one_of(what, COUNTED, f"{at} counts")
    return Counts(what, str(said.get("of") or ""), str(said.get("dimension") or ""), _texts(said, "nodes"))
