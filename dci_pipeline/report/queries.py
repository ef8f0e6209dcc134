"""The query of an exhibit, as a reader can run it: made of a declaration, for the periods that are shown.

A query is what is drawn from and what is printed beside the drawing; there is no other way to the rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dci_pipeline.periods import Period
from dci_pipeline.report.declared import Rows

TABLE = "exhibit_values"
# The text of a period in a column of a published table.
_KEYS = {
    "month": "strftime(month, '%Y-%m')",
    "quarter": "year(quarter) || 'Q' || quarter(quarter)",
    "half": "half",
    "year": "CAST(year AS VARCHAR)",
}
_READ = re.compile(r"\b(?:FROM|JOIN)\s+([a-z_0-9]+)\b")
# Which part of a name such as 'scope|entity' is meant.
_NAMES = {
    "": "entity_zh",
    "first": "string_split(entity_zh, '|')[1]",
    "last": "string_split(entity_zh, '|')[-1]",
    "subject": "subject",
    "measure": "measure",
}


def compiled(rows: Rows, exhibit: str, periods: Sequence[str]) -> str:
    """Rows of `exhibit_values` for one exhibit, a column per measure: [row, entity, code, key, period, measures…].

    row with `row`, code with `places`, key (the subject) with `series`, period with `over`; sorted.
    """
    keys = [f"{_NAMES[rows.row]} AS row"] if rows.row else []
    keys.append(f"{_NAMES[rows.name]} AS entity")
    keys += ["subject AS key"] if rows.series else []
    keys += ["period"] if rows.over else []
    values = [f"max(value) FILTER (WHERE {_of(rows, column)}) AS {column}" for column in rows.measures]
    grouped = [key.rpartition(" AS ")[2] for key in keys]
    inner = [f"SELECT {_laid([*keys, *values])}", f"FROM {TABLE}", f"WHERE {_where(rows, exhibit, periods)}"]
    inner.append(f"GROUP BY {', '.join(map(str, range(1, len(keys) + 1)))}")
    if rows.needs:
        needed = [f"max(value) FILTER (WHERE {_of(rows, column)}) IS NOT NULL" for column in rows.needs]
        inner.append("HAVING " + " AND ".join(needed))
    order = ([f"{rows.order} NULLS LAST"] if rows.order else []) + [name for name in grouped if name != rows.order]
    if rows.places:
        shown = ", ".join(["place.code", *(f"shown.{name}" for name in (*grouped, *rows.measures))])
        inside = "\n  ".join(inner)
        order = [f"shown.{name}" for name in order]
        inner = [
            f"SELECT {shown}",
            f"FROM (\n  {inside}\n) AS shown",
            f"JOIN {rows.places} AS place ON place.name_zh = shown.entity",
        ]
    inner.append(f"ORDER BY {', '.join(order)}")
    if rows.limit:
        inner.append(f"LIMIT {rows.limit}")
    return "\n".join(inner)


def _laid(columns: Sequence[str]) -> str:
    return columns[0] if len(columns) == 1 else columns[0] + "".join(f",\n       {column}" for column in columns[1:])


def _of(rows: Rows, column: str) -> str:
    # A measure may carry a year in its name, as in 'ratio_to_2018'.
    tests = [
        f"measure LIKE {_text(name)}" if "%" in name else f"measure = {_text(name)}" for name in rows.measures[column]
    ]
    found = tests[0] if len(tests) == 1 else "(" + " OR ".join(tests) + ")"
    return f"{found} AND unit = {_text(rows.units[column])}" if column in rows.units else found


def _where(rows: Rows, exhibit: str, periods: Sequence[str]) -> str:
    found = [f"exhibit_id = {_text(exhibit)}"]
    if len(periods) == 1:
        found.append(f"period = {_text(periods[0])}")
    else:
        found.append(f"period IN ({', '.join(map(_text, periods))})")
    if rows.entity_type:
        found.append(f"entity_type = {_text(rows.entity_type)}")
    if rows.subject:
        found.append(f"subject = {_text(rows.subject)}")
    if rows.where:
        found.append(rows.where)
    return "\n  AND ".join(found)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def tables_of(sql: str) -> list[str]:
    """The tables a query reads, in the order in which it names them."""
    return list(dict.fromkeys(_READ.findall(sql)))


def filled(sql: str, period: Period) -> str:
    """A declared query for one period, with what stands in braces filled in.

    {when}, {until}: that a row is of the period, or of it or before; {grain}, {column}: its grain, which names tables
    and columns; {key}: the period of a row as text; {period}, {year}, {first_month}, {last_month}: texts of the period.
    """
    column = period.cadence
    literal = _literal(period)
    return sql.format(
        when=f"{column} = {literal}",
        until=f"{column} <= {literal}",
        grain=column,
        column=column,
        key=_KEYS[column],
        year=period.start.year,
        period=period.key,
        first_month=period.parts("month")[0].key,
        last_month=period.parts("month")[-1].key,
    ).strip()


def predicate(period: Period) -> str:
    """What a row of a published table of the period's own grain has to be."""
    return f"{period.cadence} = {_literal(period)}"


def _literal(period: Period) -> str:
    if period.cadence == "year":
        return str(period.start.year)
    return _text(period.key) if period.cadence == "half" else f"DATE '{period.start.isoformat()}'"
