"""The data dictionary: what every published table and column means, as one page made of the contracts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dci_pipeline.contracts import TableColumn, TableContract

TYPES = {"string": "text", "integer": "whole number", "number": "number", "date": "date", "boolean": "true or false"}
COMMAND = "dci contract dictionary"
_INTRODUCTION = f"""\
# Data dictionary

Made from the contracts under `data_contracts/INDEX/marts/` by `{COMMAND}`; a change belongs there,
not here. The same words stand as comments on the tables and columns of the published DuckDB file. Numbers are
unrounded. A column of the key is marked *; one that may be empty says so.
"""


@dataclass(frozen=True)
class Described:
    """One index and the contracts of its published tables."""

    index: str
    name_zh: str
    name_en: str
    tables: Sequence[TableContract]


def dictionary(indexes: Sequence[Described]) -> str:
    """The whole page: a section per index, and in it one per table, both in the order given."""
    return "\n".join([_INTRODUCTION, *(line for index in indexes for line in _index(index))])


def _index(index: Described) -> Iterator[str]:
    yield f"## Index `{index.index}`: {index.name_zh}, {index.name_en}\n"
    yield " · ".join(f"[{table.table}](#{index.index}-{table.table})" for table in index.tables) + "\n"
    for table in index.tables:
        yield from _table(index.index, table)


def _table(index: str, table: TableContract) -> Iterator[str]:
    # Two indexes have tables of one name: the address names both.
    yield f'<a id="{index}-{table.table}"></a>\n'
    yield f"### {table.table}: {table.label}\n"
    yield f"{table.purpose} {table.grain}. Contract {table.version}.\n"
    for said in (table.usage, table.limitations):
        if said:
            yield said + "\n"
    yield "| column | 中文 | type | unit | meaning |"
    yield "|---|---|---|---|---|"
    for column in table.columns:
        yield "| " + " | ".join(map(_cell, _column(column))) + " |"
    yield ""


def _column(column: TableColumn) -> tuple[str, ...]:
    empty = "" if column.required or column.key else ", may be empty"
    name = f"`{column.name}`{' *' if column.key else ''}"
    return name, column.label, TYPES[column.type] + empty, column.unit, column.description


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
