"""The exhibits of the printed report, year by year: which published partitions they read, and what they are about."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from dci_pipeline.exhibit_files import read_exhibits
from dci_pipeline.exhibits import Exhibits
from dci_pipeline.framework_checks import NATION
from dci_pipeline.marts.exhibits import exhibit_values
from dci_pipeline.marts.promise import promised
from dci_pipeline.marts.selections import KEYS, PERIODS, Surroundings
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import commit, versions_of
from dci_pipeline.steps.structure import count
from dci_pipeline.work import Outcome, Work

TABLE = "exhibit_values"


def of_year(work: Work, period: Period | None) -> Outcome:
    """The year's exhibits, with those of its halves and months, from whatever of their tables is published."""
    assert period is not None
    contract = work.framework.table(TABLE)
    exhibits = work.once("exhibits", None, lambda: read_exhibits(work.framework, work.geography))
    parts = _partitions(work, exhibits, period)
    at = period.parts(work.framework.cadence)[-1]
    inputs = {
        "exhibits": exhibits.sha256,
        "framework": work.framework.sha256,
        "geography": work.geography.sha256,
        "members": work.geography.members_hash(at),
    }
    for table, there in parts.items():
        inputs |= versions_of(work, "marts", table, there)

    def compute() -> pl.DataFrame:
        wanted = _columns(exhibits)
        tables = {table: _read(work, table, there, wanted[table]) for table, there in sorted(parts.items()) if there}
        counted = {
            item.counts: count(work.framework, work.geography, item.counts, at=at)
            for item in exhibits.items
            if item.counts is not None
        }
        frame = exhibit_values(
            exhibits.items,
            tables,
            about=surroundings(work, at),
            counted=counted,
            year=period.start.year,
            first_year=work.framework.links[0].start.start.year,
        )
        return promised(frame, contract)

    return commit(work, ("marts", TABLE), period, inputs, contract.sha256, compute)


def surroundings(work: Work, at: Period) -> Surroundings:
    """Names of entities, nodes and members, and the memberships of one day."""
    framework, geography = work.framework, work.geography
    nation = framework.nation
    places = geography.places.select(entity_type="type", entity_code="code", name="name_zh")
    groups = geography.groups.select(entity_type="type", entity_code="code", name="name_zh")
    names = {item.tracked: item.name_zh for item in framework.tracker} | {
        node.node: node.name_zh for node in (*framework.auxiliary, *framework.nodes)
    }
    own = pl.DataFrame([(NATION, nation["code"], nation["name_zh"])], schema=places.schema, orient="row")
    members = [
        (item.node, item.dimension, member.member, member.name_zh)
        for item in framework.breakdowns
        for member in item.members
    ]
    wider = [
        (item.node, item.dimension, value, wide.dimension, member.member)
        for item in framework.breakdowns
        for wide in framework.breakdowns
        if wide.node == item.node and wide.column == item.column and wide.dimension != item.dimension
        for member in wide.members
        for value in member.of
        if value in {one.member for one in item.members}
    ]
    return Surroundings(
        entities=pl.concat([own, places, groups]).unique(
            ["entity_type", "entity_code"], keep="last", maintain_order=True
        ),
        nodes=_texts(sorted(names.items()), ("node", "name")),
        members=_texts(members, ("node", "dimension", "member", "name")),
        places=geography.members_at(at),
        wider=_texts(wider, ("node", "dimension", "member", "wide", "wide_member")),
    )


def _texts(rows: Iterable[tuple[str, ...]], names: tuple[str, ...]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=dict.fromkeys(names, pl.String), orient="row")


def _partitions(work: Work, exhibits: Exhibits, year: Period) -> dict[str, list[Period]]:
    """The committed partitions of every table that an exhibit of the year reads, those of earlier years for a lag."""
    lags: dict[str, set[int]] = {}
    for item in exhibits.items:
        for selection in item.selections:
            back = range(selection.lag, selection.lag + selection.years)
            lags.setdefault(selection.table, set()).update(back)
    found: dict[str, list[Period]] = {}
    for table, back in sorted(lags.items()):
        years = [year.shift(-step) for step in sorted(back, reverse=True)]
        monthly = "month" in {column.name for column in work.framework.table(table).columns}
        wanted = [part for item in years for part in item.parts("month")] if monthly else years
        found[table] = work.warehouse.existing("marts", table, wanted)
    return found


def _columns(exhibits: Exhibits) -> dict[str, set[str]]:
    """The columns that exhibits name, by table: nothing else of a table is kept in memory."""
    found: dict[str, set[str]] = {}
    for item in exhibits.items:
        for selection in item.selections:
            named = found.setdefault(selection.table, {*KEYS, *PERIODS})
            named |= {selection.column} if selection.column else set()
            named |= {condition.column for condition in (*selection.where, *selection.test)}
    return found


def _read(work: Work, table: str, periods: list[Period], columns: set[str]) -> pl.DataFrame:
    """The named columns of a table's partitions, of them those it has."""
    frames = [work.warehouse.read("marts", table, period) for period in periods]
    kept = [name for name in frames[0].columns if name in columns]
    # A contract's integer may be of either width.
    return pl.concat([frame.select(kept) for frame in frames], how="vertical_relaxed")
