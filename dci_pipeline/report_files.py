"""The report of an index read from its folder `report`: every key, kind of drawing and column checked to exist.

`report.yaml` says what holds for all of it; every other file of the folder is a part, in the order of their names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, cast

from dci_pipeline.data_files import list_of, need, one_of, only, read_yaml
from dci_pipeline.exhibits import Exhibit
from dci_pipeline.findings import Finding
from dci_pipeline.report.declared import DRAWINGS, GRAINS, Column, Declared, Drawing, Fact, Part, Rows, Shown, Words
from dci_pipeline.report.sentences import fields_of

FOLDER, WHOLE = "report", "report.yaml"

_ROWS = {"measures", "entity_type", "subject", "name", "row", "series", "over", "back", "where", "places"}
_ROWS |= {"at", "needs", "units", "order", "limit"}
_DRAWING = {"draw", "rows", "sql", "at", "options"}
_SHOWN = {"exhibit", "title", "facts", "says", "note", "shown", "grains", "half", *_DRAWING}
_FACT = {"column", "pick", "give", "named", "above", "below", "drawing", "by"}
_PICKS, _GIVES = ("last", "first", "largest", "smallest", "named"), ("value", "entity", "names", "count")


def read_report(folder: Path, index: str) -> Declared:
    """The report that the folder of an index declares.

    Raises Finding naming file and exhibit for anything unknown, doubled or impossible, and when there is none.
    """
    home = folder / FOLDER
    where = f"{index}/{FOLDER}"
    if not (home / WHOLE).is_file():
        raise Finding(
            "no report is declared",
            where=where,
            found=f"no {WHOLE}",
            expected="a folder with report.yaml and a file per part",
            todo="write one; docs/report.md says how",
        )
    at = f"{where}/{WHOLE}"
    raw = only(
        read_yaml(home / WHOLE), {"title", "subtitle", "notice", "findings", "columns", "names", "codes"}, where=at
    )
    columns = {str(name): _column(str(name), said, at) for name, said in dict(need(raw, "columns", at)).items()}
    parts = tuple(
        _part(read_yaml(path), f"{where}/{path.name}", columns)
        for path in sorted(home.glob("*.yaml"))
        if path.name != WHOLE
    )
    listed = [shown.exhibit for part in parts for shown in part.exhibits]
    twice = sorted({name for name in listed if listed.count(name) > 1})
    if twice:
        raise Finding("an exhibit is shown twice", where=where, found=", ".join(twice), expected="each once")
    findings = tuple(str(name) for name in raw.get("findings") or ())
    for name in findings:
        one_of(name, listed, f"{at} findings")
    return Declared(
        title=_words(need(raw, "title", at), at),
        subtitle=_words(need(raw, "subtitle", at), at),
        notice=_words(raw.get("notice") or {"zh": "", "en": ""}, at),
        columns=columns,
        names={str(name): str(english) for name, english in dict(raw.get("names") or {}).items()},
        codes={str(code): _words(said, at) for code, said in dict(raw.get("codes") or {}).items()},
        parts=parts,
        findings=findings,
    )


def check_report(declared: Declared, exhibits: Mapping[str, Exhibit], where: str) -> None:
    """Raises Finding for rows of an exhibit that is not declared, or of a measure it does not have."""
    for part in declared.parts:
        for shown in part.exhibits:
            at = f"{where} {shown.exhibit}"
            read = [drawing.rows for drawing in shown.drawings if drawing.rows is not None]
            if read and shown.exhibit not in exhibits:
                raise Finding(
                    "rows of an exhibit that is not declared", where=at, expected="an exhibit, or a query: sql"
                )
            known = (
                {measure for item in exhibits[shown.exhibit].items for measure in item.measures} if read else set[str]()
            )
            for named in (named for rows in read for named in rows.measures.values()):
                if not any(_known(name, known) for name in named):
                    raise Finding(
                        "no such measure",
                        where=at,
                        found=", ".join(named),
                        expected="one of " + ", ".join(sorted(known)),
                    )


def _known(name: str, known: Collection[str]) -> bool:
    """Whether a measure is one of those known, or one of them with a year where it has a %."""
    first, year, last = name.partition("%")
    return name in known or (bool(year) and any(one.startswith(first) and one.endswith(last) for one in known))


def _column(name: str, said: object, where: str) -> Column:
    at = f"{where} columns {name}"
    raw = only(said, {"zh", "en", "unit"}, where=at)
    return Column(name, Words(str(need(raw, "zh", at)), str(need(raw, "en", at))), str(raw.get("unit") or ""))


def _words(said: object, where: str) -> Words:
    raw = only(said, {"zh", "en"}, where=where)
    return Words(str(raw.get("zh") or ""), str(raw.get("en") or ""))


def _part(said: object, where: str, columns: Mapping[str, Column]) -> Part:
    raw = only(said, {"part", "title", "intro", "exhibits", "external"}, where=where)
    return Part(
        part=str(need(raw, "part", where)),
        title=_words(need(raw, "title", where), f"{where} title"),
        intro=_words(raw.get("intro") or {}, f"{where} intro"),
        exhibits=tuple(_shown(item, where, columns) for item in list_of(raw, "exhibits", where)),
        external=bool(raw.get("external", False)),
    )


def _shown(said: dict[str, Any], where: str, columns: Mapping[str, Column]) -> Shown:
    raw = only(said, _SHOWN, where=f"{where} {said.get('exhibit')}")
    name = str(need(raw, "exhibit", where))
    at = f"{where} {name}"
    if ("shown" in raw) == ("draw" in raw):
        raise Finding("an exhibit has one drawing, or several", where=at, expected="either draw, or a list shown")
    drawn = list_of(raw, "shown", at) if "shown" in raw else [{key: raw[key] for key in _DRAWING if key in raw}]
    drawings = tuple(_drawing(item, at, columns) for item in drawn)
    facts = tuple(_fact(str(fact), item, at) for fact, item in dict(raw.get("facts") or {}).items())
    says = _words(raw["says"], f"{at} says") if raw.get("says") else None
    _check_facts(says, facts, len(drawings), at)
    grains = tuple(str(grain) for grain in raw.get("grains") or ())
    for grain in grains:
        one_of(grain, GRAINS, f"{at} grains")
    return Shown(
        exhibit=name,
        title=_words(need(raw, "title", at), f"{at} title"),
        drawings=drawings,
        facts=facts,
        says=says,
        note=_words(raw["note"], f"{at} note") if raw.get("note") else None,
        grains=grains,
        half=bool(raw.get("half", False)),
    )


def _check_facts(says: Words | None, facts: tuple[Fact, ...], drawings: int, at: str) -> None:
    known = {fact.name for fact in facts}
    named = {name for text in (says.zh, says.en) for name in fields_of(text)} if says is not None else set[str]()
    if named - known - {"period"}:
        raise Finding("a sentence names a fact that is not declared", where=at, found=", ".join(sorted(named - known)))
    if known - named:
        raise Finding("a fact that no sentence names", where=at, found=", ".join(sorted(known - named)))
    for fact in facts:
        if not 0 <= fact.drawing < drawings:
            raise Finding("a fact of a drawing that is not there", where=f"{at} {fact.name}", found=fact.drawing)


def _drawing(said: object, where: str, columns: Mapping[str, Column]) -> Drawing:
    raw = only(said, _DRAWING, where=where)
    kind = str(need(raw, "draw", where))
    one_of(kind, DRAWINGS, f"{where} draw")
    if ("rows" in raw) == ("sql" in raw):
        raise Finding("a drawing has rows", where=where, expected="either rows, or sql")
    sql = raw.get("sql")
    return Drawing(
        kind=kind,
        rows=_rows(raw["rows"], where, columns) if "rows" in raw else None,
        sql={}
        if sql is None
        else {str(k): str(v) for k, v in sql.items()}
        if isinstance(sql, dict)
        else {"": str(sql)},
        at=str(raw.get("at") or ""),
        options=dict(raw.get("options") or {}),
    )


def _rows(said: object, where: str, columns: Mapping[str, Column]) -> Rows:
    raw = only(said, _ROWS, where=f"{where} rows")
    measures = {
        str(column): tuple(str(one) for one in cast("list[object]", named))
        if isinstance(named, list)
        else (str(named),)
        for column, named in dict(need(raw, "measures", f"{where} rows")).items()
    }
    for column in measures:
        one_of(column, tuple(columns), f"{where} rows measures")
    needs = raw.get("needs") or ()
    return Rows(
        measures=measures,
        entity_type=str(raw.get("entity_type") or ""),
        subject=str(raw.get("subject") or ""),
        name=str(raw.get("name") or ""),
        row=str(raw.get("row") or ""),
        series=bool(raw.get("series", False)),
        at=str(raw.get("at") or ""),
        over=str(raw.get("over") or ""),
        back=int(raw.get("back") or 0),
        where=str(raw.get("where") or ""),
        places=str(raw.get("places") or ""),
        needs=(needs,) if isinstance(needs, str) else tuple(str(column) for column in needs),
        units={str(column): str(unit) for column, unit in dict(raw.get("units") or {}).items()},
        order=str(raw.get("order") or ""),
        limit=int(raw.get("limit") or 0),
    )


def _fact(name: str, said: object, where: str) -> Fact:
    at = f"{where} facts {name}"
    raw = only({"column": said} if isinstance(said, str) else said, _FACT, where=at)
    pick = "named" if raw.get("named") else str(raw.get("pick", "last"))
    give = str(raw.get("give", "value"))
    one_of(pick, _PICKS, f"{at} pick")
    one_of(give, _GIVES, f"{at} give")
    limits = {side: float(raw[side]) if side in raw else None for side in ("above", "below")}
    return Fact(
        name=name,
        column=str(need(raw, "column", at)),
        pick=pick,
        give=give,
        named=str(raw.get("named") or ""),
        above=limits["above"],
        below=limits["below"],
        drawing=int(raw.get("drawing", 0)),
        by=str(raw.get("by") or ""),
    )
