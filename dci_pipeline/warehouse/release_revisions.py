"""What releases on disk revised: one release's own revisions, from two of them, and those of all, from their tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from dci_pipeline import periods
from dci_pipeline.contracts import TableContract
from dci_pipeline.findings import Finding
from dci_pipeline.framework import Framework
from dci_pipeline.marts.promise import empty, promised
from dci_pipeline.releases import revisions
from dci_pipeline.releases.causes import Causes, corrected, reached
from dci_pipeline.releases.revisions import TABLE
from dci_pipeline.releases.spans import time_column
from dci_pipeline.releases.window import MATURITY
from dci_pipeline.warehouse.receipts import content_of
from dci_pipeline.warehouse.release_files import SUMS, Release
from dci_pipeline.warehouse.release_rows import Released, State, differences, method_changes


def of_release(framework: Framework, base: Release, release: Release, after: State | None = None) -> pl.DataFrame:
    """The revisions a release made against the one it is compared with; `after`: its tables, made again."""
    was, now = Released(base), Released(release)
    causes = Causes(
        framework=framework,
        method=reached(method_changes(was, now), framework),
        corrected=corrected(was.method, now.method, framework.cadence),
        sent=_new(framework, base.package, release.package),
    )
    return revisions.revisions(
        (
            found
            for table in sorted(now.resources)
            if revisions.is_revised(table) and table in was.resources
            for found in differences(was, after or now, table)
        ),
        release=release.id,
        vintage=release.vintage,
        causes=causes,
    )


def recorded(releases: Iterable[Release], contract: TableContract) -> pl.DataFrame:
    """The revisions that each of these releases made, as its own table has them; sorted by key."""
    frames = [empty(contract)]
    for release in releases:
        if release.table(TABLE).is_file():
            own = pl.scan_parquet(release.table(TABLE)).filter(pl.col("release") == release.id).collect()
            # A column that came later is empty in what was recorded before.
            later = [pl.lit(None, dtype=t).alias(n) for n, t in frames[0].schema.items() if n not in own.columns]
            frames.append(own.with_columns(later).select(frames[0].columns))
    return promised(pl.concat(frames), contract)


def together(recorded: pl.DataFrame, own: pl.DataFrame, contract: TableContract) -> pl.DataFrame:
    """The table of a release: what was recorded before, and its own; sorted by key."""
    return promised(pl.concat([recorded, own.select(recorded.columns)]), contract).rechunk()


def values(release: Release, table: str, measure: str, where: Mapping[str, str]) -> pl.DataFrame:
    """[period, value, maturity] of one measure of a released table, of the rows that have these values, by period.

    Raises Finding when the release has no such table or column.
    """
    said = {item["name"]: item for item in release.package["resources"]}.get(table)
    columns = [field["name"] for field in said["schema"]["fields"]] if said else []
    if said is None or measure not in columns:
        raise Finding(
            "no such values in the release",
            where=release.id,
            found=f"{table}.{measure}",
            expected="a table of the index, and of its columns one of "
            + ", ".join(name for name in revisions.MEASURES if not columns or name in columns),
            todo="check --by and --measure",
        )
    time = str(time_column(said["schema"]["primaryKey"]))
    rows = pl.scan_parquet(release.table(table)).filter(pl.col(name) == value for name, value in where.items())
    period = revisions.period_text(rows.collect_schema()[time], time)
    maturity = pl.col(MATURITY) if MATURITY in columns else pl.lit(None, dtype=pl.String)
    return rows.select(period=period, value=measure, maturity=maturity).collect().sort("period")


def kinds_of_entity(release: Release, table: str, code: str) -> list[str]:
    """The types of entity that a released table has this code of, sorted."""
    rows = pl.scan_parquet(release.table(table)).filter(pl.col("entity_code") == code)
    return sorted(rows.select("entity_type").unique().collect()["entity_type"].to_list())


def sums_of(releases: Iterable[Release]) -> dict[str, str]:
    """Releases by id, each with the SHA-256 of its SHA256SUMS."""
    return {release.id: str(content_of(release.folder / SUMS)["sha256"]) for release in releases}


def _new(framework: Framework, before: Mapping[str, Any], after: Mapping[str, Any]) -> pl.DataFrame:
    """[feed, start, sha256] of the deliveries that only the later of two packages rests on."""
    known = {(item["feed"], item["period"], item["partner"], item["sha256"]) for item in before["deliveries"]}
    rows = [
        (item["feed"], periods.parse(item["period"], framework.cadence).start, item["sha256"])
        for item in after["deliveries"]
        if (item["feed"], item["period"], item["partner"], item["sha256"]) not in known
    ]
    return pl.DataFrame(rows, schema={"feed": pl.String, "start": pl.Date, "sha256": pl.String}, orient="row")
