"""What the UI shows of a table: its columns from the contract, a partition's facts, a failed check's offending rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import dagster as dg

from dci_pipeline.contracts import FeedContract, TableContract
from dci_pipeline.framework import Framework
from dci_pipeline.lineage import lineage
from dci_pipeline.periods import Period
from dci_pipeline.warehouse.layout import Layout
from dci_pipeline.work import CheckResult, Outcome, Step, Work

LINEAGE = "dagster/column_lineage"
GLANCE = "at a glance"

Plain = str | int | float | bool | None


def of_step(framework: Framework, step: Step) -> dict[str, dg.MetadataValue]:
    """Metadata of the definition: the columns of a table that has a contract, and its name in the catalogue."""
    stage, name = step.key
    if step.published:
        table = framework.table(name)
        return {
            "dagster/column_schema": dg.MetadataValue.table_schema(_published(table)),
            "dagster/table_name": dg.MetadataValue.text(f"{framework.index}.{name}"),
            LINEAGE: _lineage(framework, step),
            "label": dg.MetadataValue.text(table.label),
            "contract": dg.MetadataValue.text(table.version),
        }
    if stage == "feeds":
        feed = framework.feeds[name]
        return {
            "dagster/column_schema": dg.MetadataValue.table_schema(_delivered(feed)),
            "partners": dg.MetadataValue.text(", ".join(feed.partners)),
            "contract": dg.MetadataValue.text(feed.version),
        }
    return {}


def _lineage(framework: Framework, step: Step) -> dg.MetadataValue:
    """Which upstream columns each column of a published table is computed from."""
    return dg.MetadataValue.column_lineage(
        dg.TableColumnLineage(
            {
                column: [
                    dg.TableColumnDep(asset_key=dg.AssetKey([framework.index, *key]), column_name=name)
                    for key, name in sources
                ]
                for column, sources in lineage(framework, step).items()
            }
        )
    )


def of_outcome(layout: Layout, step: Step, outcome: Outcome, *, rows: int) -> dict[str, dg.MetadataValue]:
    """Metadata of one partition: rows, what was done, where it lies, and what the step tells of it."""
    found: dict[str, dg.MetadataValue] = {}
    if rows >= 0:
        found["dagster/row_count"] = dg.MetadataValue.int(rows)
    found["state"] = dg.MetadataValue.text(outcome.state)
    if "file" not in outcome.facts:
        found["file"] = dg.MetadataValue.path(str(_place(layout, step, outcome.period)))
    for name, value in outcome.facts.items():
        if value is not None and value != "":
            found[name] = _fact(name, value)
    return found


def of_glance(work: Work, step: Step, period: Period | None) -> dict[str, dg.MetadataValue]:
    """A picture of one partition and its leading rows; nothing for a table that is not looked at, or has no rows."""
    from dci_pipeline.glances import glance, has_glance

    found = glance(work, step, period) if has_glance(step) else None
    return {} if found is None else {GLANCE: dg.MetadataValue.md(found.markdown)}


def of_check(check: CheckResult) -> dict[str, dg.MetadataValue]:
    """Metadata of one check of one partition: its rows, in one table per shape of row."""
    found: dict[str, dg.MetadataValue] = {}
    shapes: dict[tuple[str, ...], list[Mapping[str, object]]] = {}
    for row in check.rows:
        shapes.setdefault(tuple(row), []).append(row)
    for shape, rows in shapes.items():
        label, columns = _label(shape), [name for name in shape if any(row[name] is not None for row in rows)]
        while label in found:
            label += " (continued)"
        found[label] = dg.MetadataValue.table(
            records=[dg.TableRecord({name: _plain(row[name]) for name in columns}) for row in rows],
            schema=dg.TableSchema([dg.TableColumn(name, _type(name, rows)) for name in columns]),
        )
    return found


def _label(columns: Iterable[str]) -> str:
    names = set(columns)
    if {"rule", "threshold"} <= names:
        return "broken rules"
    return "offending rows" if "file_row" in names else "not met by"


def _place(layout: Layout, step: Step, period: Period | None) -> object:
    """The file of the partition, or the folder that holds one file per partner."""
    stage, name = step.key
    if stage == "feeds":
        return layout.deliveries(name, period)
    if stage == "validation":
        return layout.table(stage, f"{name}_quarantine", period).parent
    return layout.table(stage, name, period)


def _fact(name: str, value: object) -> dg.MetadataValue:
    if name == "file":
        return dg.MetadataValue.path(str(value))
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    if isinstance(value, float):
        return dg.MetadataValue.float(value)
    if isinstance(value, (dict, list, tuple)):
        return dg.MetadataValue.json(value)
    return dg.MetadataValue.text(str(value))


def _plain(value: object) -> Plain:
    """A value a table of the UI can hold; dates and lists as their text."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    return value.isoformat() if isinstance(value, date) else str(value)


def _type(name: str, rows: list[Mapping[str, object]]) -> str:
    kinds = {type(_plain(row[name])) for row in rows} - {type(None)}
    if kinds == {int}:
        return "integer"
    return "number" if kinds and kinds <= {int, float} else "string"


def _published(table: TableContract) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type,
                description=_described(column.label, column.description, column.unit),
                constraints=dg.TableColumnConstraints(nullable=not column.required, unique=table.key == (column.name,)),
                tags={"key": ""} if column.key else {},
            )
            for column in table.columns
        ],
        constraints=dg.TableConstraints(other=[f"one row per {', '.join(table.key)}"] if table.key else []),
    )


def _delivered(feed: FeedContract) -> dg.TableSchema:
    rules: dict[str, list[str]] = {}
    for rule in feed.rules:
        if rule.column:
            rules.setdefault(rule.column, []).append(rule.says)
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type,
                description=_described(column.label, column.description, column.unit),
                constraints=dg.TableColumnConstraints(nullable=not column.required, other=rules.get(column.name, [])),
                tags={"key": ""} if column.name in feed.key else {},
            )
            for column in feed.columns
        ],
        constraints=dg.TableConstraints(other=[f"one row per {', '.join(feed.key)}, partner and period"]),
    )


def _described(label: str, description: str, unit: str) -> str:
    text = " — ".join(part for part in (label, description) if part)
    return f"{text} [{unit}]" if unit else text
