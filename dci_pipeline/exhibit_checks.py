"""Whether a declared exhibit makes sense: its tables, columns, nodes, members, groups and names are there.

Reading belongs to `exhibit_files`; a Finding names file, exhibit, what was found and what could stand there.
"""

from __future__ import annotations

from string import Formatter

from dci_pipeline.exhibits import Condition, Counts, Item, Selection
from dci_pipeline.findings import Finding
from dci_pipeline.framework import Framework
from dci_pipeline.framework_checks import NATION
from dci_pipeline.geography import Geography

PERIOD_FIELDS = {
    "year",
    "year_before",
    "two_years_before",
    "first_year",
    "half",
    "half_year_before",
    "half_two_years_before",
    "month",
    "first_month",
    "last_month",
}
# Column that identifies a row → field of a label that names it.
NAMED = {"entity_code": "entity", "scope_code": "scope", "member": "member", "node": "node"}
_FINE_TO_COARSE = ("month", "half", "year")


def check_item(item: Item, framework: Framework, geography: Geography, *, where: str) -> None:
    """Raises Finding for a name that is not there, a table too coarse for its item, a text that cannot be filled."""
    for selection in item.selections:
        _check_selection(selection, framework, geography, where)
        if _FINE_TO_COARSE.index(selection.table.rpartition("_")[2]) > _FINE_TO_COARSE.index(item.grain):
            raise Finding("a table coarser than the item", where=where, found=selection.table, expected=item.grain)
    if item.counts is not None:
        _check_counts(item.counts, framework, where)
    for text in (item.period, *item.measures):
        _fillable(text, PERIOD_FIELDS, where)
    read = item.read or item.x
    available = _label_fields(read, framework) if read is not None else {"entity"}
    _fillable(item.label, available, where)
    _fillable(item.subject, {"node_code"} if "node" in available else set(), where)


def _fillable(text: str, known: set[str], where: str) -> None:
    unknown = {name for _, name, _, _ in Formatter().parse(text) if name} - known
    if unknown:
        raise Finding(
            "a text that cannot be filled", where=where, found=text, expected="fields among " + ", ".join(sorted(known))
        )


def _label_fields(selection: Selection, framework: Framework) -> set[str]:
    """What a label can name: the rows' own keys, or what is left of them after a reduction."""
    columns = {column.name for column in framework.table(selection.table).columns}
    if selection.reduce is not None:
        found = {NAMED[key] for key in selection.per if key in NAMED}
        return found | ({"group"} if selection.by else set()) | ({"set"} if selection.named else set())
    found = {field for key, field in NAMED.items() if key in columns}
    # A table of scopes without entities: the scope is the entity.
    return found | ({"entity"} if "scope_code" in columns else set())


def _check_selection(selection: Selection, framework: Framework, geography: Geography, where: str) -> None:
    if selection.table not in framework.tables:
        raise Finding(
            "an exhibit reads a table that is not published",
            where=where,
            found=selection.table,
            expected="one of " + ", ".join(sorted(framework.tables)),
        )
    columns = {column.name for column in framework.table(selection.table).columns}
    conditions = (*selection.where, *selection.test)
    wanted = [selection.column] if selection.column else []
    for column in (*wanted, *(condition.column for condition in conditions), *selection.per):
        if column not in columns:
            raise Finding(
                f"no such column in {selection.table}",
                where=where,
                found=column,
                expected="one of " + ", ".join(sorted(columns)),
            )
    known = _known(framework, geography, selection)
    for condition in conditions:
        if condition.column in known:
            _known_values(condition, known[condition.column], where)
    kinds = {entity.type for entity in framework.group_types}
    groups = set(geography.groups.select("type", "code").iter_rows())
    for kind, codes in selection.within:
        lost = [code for code in codes if (kind, code) not in groups]
        if lost:
            raise Finding("no such group", where=where, found=f"{kind} {', '.join(lost)}")
    if selection.by is not None and selection.by not in kinds | {item.dimension for item in framework.breakdowns}:
        raise Finding("unknown grouping", where=where, found=selection.by, expected=", ".join(sorted(kinds)))
    names = {*geography.places["name_zh"], *geography.groups["name_zh"]}
    lost = [name for name in (*selection.named, *selection.but) if name not in names]
    if lost:
        raise Finding("no entity of this name", where=where, found=", ".join(lost), todo="use the names of geography/")


def _known(framework: Framework, geography: Geography, selection: Selection) -> dict[str, set[str]]:
    """Columns whose values are names of the index, and those names."""
    types = {entity.type for entity in framework.entities} | {NATION}
    codes = {framework.nation["code"], *geography.codes, *geography.groups["code"]}
    nodes = {node.node for node in (*framework.nodes, *framework.auxiliary)}
    nodes |= {tracked.tracked for tracked in framework.tracker}
    dimensions = {condition.column: condition.values for condition in selection.where}.get("dimension", ())
    of = [item for item in framework.breakdowns if not dimensions or item.dimension in dimensions]
    return {
        "entity_type": types,
        "scope_type": types,
        "entity_code": codes,
        "scope_code": codes,
        "node": nodes,
        "dimension": {item.dimension for item in framework.breakdowns},
        "member": {member.member for item in of for member in item.members},
    }


def _known_values(condition: Condition, known: set[str], where: str) -> None:
    lost = [value for value in condition.values if value not in known and "{" not in value]
    if lost:
        raise Finding(
            f"unknown {condition.column}",
            where=where,
            found=", ".join(lost),
            expected="one of " + ", ".join(sorted(known)[:40]),
        )


def _check_counts(counts: Counts, framework: Framework, where: str) -> None:
    if counts.what == "first_year":
        return
    if counts.what == "entities":
        if counts.of not in {entity.type for entity in framework.entities}:
            raise Finding("unknown type of entity", where=where, found=counts.of)
        return
    lost = [node for node in (*counts.nodes, *([counts.of] if counts.of else [])) if node not in framework.by_node]
    if lost or not (counts.nodes or counts.of):
        raise Finding("unknown node", where=where, found=", ".join(lost) or "none")
    if counts.what == "members" and (counts.of, counts.dimension) not in {
        (item.node, item.dimension) for item in framework.breakdowns
    }:
        raise Finding("no such breakdown", where=where, found=f"{counts.of} by {counts.dimension}")
