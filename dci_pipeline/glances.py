"""A table of the warehouse at a glance: its rows and those of the periods before, given to what draws them.

Nothing here is worth failing for: where a picture cannot be had, there is the table of rows without it.
"""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dci_pipeline.findings import Finding
from dci_pipeline.framework_checks import NATION
from dci_pipeline.periods import Period
from dci_pipeline.work import Step, Work

if TYPE_CHECKING:
    import polars as pl

    from dci_pipeline.report.glance import Table

# Partitions a trend goes back over, itself included, by the scope of the step.
_BACK = {"period": 13, "year": 6}
# What a picture may weigh at most, in bytes.
MOST_BYTES = 20_000
# The published file is shown by its largest tables.
CATALOGUE = ("marts", "catalogue")
_TABLES = 12


@dataclass(frozen=True)
class Glance:
    """What the UI shows of a partition, as Markdown: the picture, if there is one, and the leading rows."""

    picture: str | None
    rows: str

    @property
    def markdown(self) -> str:
        return "\n\n".join(part for part in (self.picture, self.rows) if part)


def has_glance(step: Step) -> bool:
    """Whether a step makes a table that is looked at: of the index, or published."""
    return step.published or step.key[0] in ("index", "weight", "marts")


def glance(work: Work, step: Step, period: Period | None) -> Glance | None:
    """The partition of a step at a glance; None for one that has no rows."""
    from dci_pipeline.report import glance as drawn

    published_file = step.key == CATALOGUE
    frame = _largest(work) if published_file else _frame(work, step, period)
    if frame is None or frame.is_empty():
        return None
    table = drawn.Table(("table",), {"rows": "count"}, {}, {}) if published_file else _table(work, step, frame)
    rows = drawn.first_rows(frame, table)
    spec = drawn.chart(frame, _past(work, step, period, frame, table), table)
    return Glance(None if spec is None else _picture(spec, f"{step.key[1]} {period or ''}".strip()), rows)


def _picture(spec: dict[str, object], name: str) -> str | None:
    from dci_pipeline.report.drawing import small_png

    try:
        for scale in (1.5, 1.0):
            image = small_png(spec, scale=scale)
            if len(image) <= MOST_BYTES:
                return f"![{name}](data:image/png;base64,{base64.b64encode(image).decode()})"
    except Finding as finding:
        logging.getLogger(__name__).info("no picture of %s: %s", name, finding)
    return None


def _largest(work: Work) -> pl.DataFrame:
    """The largest tables of the published file: [table, rows]."""
    import polars as pl

    from dci_pipeline.warehouse.published import sizes

    found = sorted(sizes(work.warehouse.layout).items(), key=lambda item: (-item[1], item[0]))[:_TABLES]
    return pl.DataFrame(found, schema={"table": pl.String, "rows": pl.Int64}, orient="row")


def _frame(work: Work, step: Step, period: Period | None) -> pl.DataFrame | None:
    """The rows of a partition; of the links, which are made in one go, those of the last."""
    stage, name = step.key
    if step.scope == "link":
        made = work.warehouse.existing(stage, name, [link.start for link in work.framework.links])
        return work.warehouse.read(stage, name, made[-1]) if made else None
    if period is not None and not work.warehouse.existing(stage, name, [period]):
        return None
    return work.warehouse.read(stage, name, period)


def _past(work: Work, step: Step, period: Period | None, frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Rows of this and earlier partitions that a trend is made of."""
    from dci_pipeline.report.glance import past_of, sliced

    if period is None or step.scope not in _BACK or step.key == CATALOGUE or table.measure is None:
        return frame.head(0)
    stage, name = step.key
    wanted = [period.shift(-back) for back in reversed(range(_BACK[step.scope]))]
    there = work.warehouse.existing(stage, name, wanted)
    chosen = past_of(sliced(frame, table), table, frame)
    columns = [column for column in dict.fromkeys((*table.key, table.measure)) if column in frame.columns]
    try:
        return work.warehouse.rows_where(stage, name, there, chosen, columns=columns)
    except Finding:
        return frame.filter(chosen)  # earlier partitions are of other code or contracts, and not comparable


def _table(work: Work, step: Step, frame: pl.DataFrame) -> Table:
    from dci_pipeline.report.glance import WHEN, Table
    from dci_pipeline.report.numbers import column_unit

    framework = work.framework
    if step.published:
        contract = framework.table(step.key[1])
        numbers = [column for column in contract.columns if column.type in ("number", "integer")]
        measured = [column for column in numbers if not column.key and column.unit not in ("", "degrees")]
        key = contract.key
        units = {column.name: column_unit(column.unit, column.type) for column in measured}
    else:
        names = frame.columns
        numbers = [name for name in names if frame.schema[name].is_numeric()]
        units = {name: _unit(name, whole=frame.schema[name].is_integer()) for name in numbers}
        key = tuple(name for name in names if name in WHEN or str(frame.schema[name]) == "String")
        key = tuple(name for name in key if "status" not in name)
    return Table(key, units, _preferred(work), _names(work))


def _unit(name: str, *, whole: bool) -> str:
    """The unit of a number in a table without a contract, which its name tells."""
    if whole:
        return "count"
    return "points" if "points" in name else "fraction of 1" if "share" in name else "ratio"


def _preferred(work: Work) -> dict[str, list[str]]:
    """The index itself and its places, before anything else."""
    framework = work.framework
    roots = sorted(framework.roots, key=lambda root: root != framework.index)
    places = [entity.type for entity in framework.place_types if entity.member]
    return {"node": roots, "entity_type": places, "scope_type": [NATION]}


def _names(work: Work) -> dict[str, str]:
    """Short names of places by code, of groups and nodes as 'type:code' and 'node:id'."""
    framework, geography = work.framework, work.geography

    def make() -> dict[str, str]:
        found = {f"node:{node.node}": node.name_en or node.node for node in framework.nodes}
        for code, short, name in geography.places.select("code", "short_zh", "name_zh").iter_rows():
            found[code] = short or name or code
        for kind, code, short, name in geography.groups.select("type", "code", "short_zh", "name_zh").iter_rows():
            found[f"{kind}:{code}"] = short or name or code
        nation = framework.nation
        return found | {f"{NATION}:{code}": nation.get("name_zh", NATION) for code in ("", nation["code"])}

    return work.once("names", geography.sha256, make)
