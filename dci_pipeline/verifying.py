"""A release computed again from its own deliveries and definition, and compared with what was released.

In a warehouse of its own beside the tables, which is gone afterwards; nothing of the index is read or changed but the
deliveries that the release names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dci_pipeline import refresh
from dci_pipeline.path import path
from dci_pipeline.periods import Period
from dci_pipeline.releases.revisions import TABLE
from dci_pipeline.releasing import writers
from dci_pipeline.until import up_to
from dci_pipeline.warehouse import release_database, release_files, release_revisions, releases
from dci_pipeline.warehouse.objects import refuse
from dci_pipeline.warehouse.places import place
from dci_pipeline.warehouse.receipts import content_of
from dci_pipeline.warehouse.release_files import Release
from dci_pipeline.warehouse.release_rows import Released, differences, first_difference
from dci_pipeline.work import Outcome, Step, Work

# The rebuilt tables are written into a file of their own; building the one that analysts open as well gains nothing.
_NOT_NEEDED = ("marts", "catalogue")

Progress = Callable[[str, "tuple[int, int] | None"], None]


@dataclass(frozen=True)
class Verdict:
    """What came out: every aspect looked at with what was found, and the first difference where there is one."""

    release: str
    equal: bool
    looked_at: tuple[tuple[str, bool, str], ...]
    first: dict[str, Any] | None = None


def verify(work: Work, name: str, *, engine: str | None = None, progress: Progress = lambda *_: None) -> Verdict:
    """Rebuild a release and compare: files with their sums, tables byte for byte, the DuckDB file by content.

    `engine`: another than that of the settings. Raises Finding when a delivery that the release names is not there.
    """
    layout = work.warehouse.layout
    refuse(layout.root, "verifying", "copy the warehouse to a disk and verify there")
    release = release_files.named(layout, name)
    progress("files against SHA256SUMS", None)
    changed = release_files.differences(release)
    if changed:
        return Verdict(release.id, False, (("files", False, "; ".join(changed)),))
    looked_at = [("files", True, f"{sum(1 for _ in release_files.files(release.folder))} as released")]
    with place(layout) as own:
        root, ready = own.folder / "warehouse", own.folder / release.id
        releases.link_deliveries(layout, release.package["deliveries"], root, progress=lambda at: progress(at, None))
        looked_at.append(("deliveries", True, f"{len(release.package['deliveries']):,} as received"))
        again = Work(
            replace(
                work.settings,
                warehouse=root,
                contracts=release.method,
                engine=engine or work.settings.engine,
                executor="in_process",
                workers=1,
            ),
            release.index,
        )
        looked_at.append(_rebuilt(again, release, progress))
        # Opened anew: what the steps have kept in memory is not needed any more.
        again = Work(again.settings, again.index)
        last = again.framework.period(str(release.package["period"]), where=release.id)
        releases.write_tables(
            again.warehouse, again.framework, ready, last, progress=lambda at: progress(f"writing {at}", None)
        )
        if TABLE in again.framework.tables:
            progress("revisions", None)
            looked_at += _revisions(work, again, release, ready)
        found, first = _tables(release, ready, progress)
        looked_at.append(found)
        progress("DuckDB file", None)
        wrong = release_database.differences(release.database, ready, again.framework)
        said = "; ".join(wrong) if wrong else f"{len(again.framework.tables)} tables, comments and all"
        looked_at.append(("DuckDB file, by content", not wrong, said))
    return Verdict(release.id, all(passed for _, passed, _ in looked_at), tuple(looked_at), first)


def _rebuilt(work: Work, release: Release, progress: Progress) -> tuple[str, bool, str]:
    """Every step of the path over the periods of the release, in this process."""
    periods = [work.framework.period(text, where=release.id) for text in release.package["periods"]]
    steps = [step for step in path(work.framework) if step.key != _NOT_NEEDED]
    last = work.framework.period(str(release.package["period"]), where=release.id)
    only = {step.key: up_to(work, step, periods, last) for step in steps}
    total, done = sum(map(len, only.values())), 0

    def moved(step: Step, period: Period | None, outcome: Outcome | None) -> None:
        nonlocal done
        done += outcome is not None
        progress(f"{'/'.join(step.key)} {period or ''}".strip(), (done, total))

    report = refresh.run_direct(work, periods, only=only, progress=moved)
    if report.held:
        reasons = "; ".join(f"{period}: {why.splitlines()[0]}" for period, why in sorted(report.held.items()))
        return "computed again", False, f"held back: {reasons}"
    engine = work.settings.engine
    return "computed again", True, f"{len(periods)} periods, {len(report.outcomes):,} partitions, engine {engine}"


def _revisions(work: Work, again: Work, release: Release, ready: Path) -> list[tuple[str, bool, str]]:
    """The table of revisions again: the release's own from its tables, the others as earlier ones recorded them."""
    said, contract = release.package, again.framework.tables[TABLE]
    there = {item.id: item for item in release_files.releases(work.warehouse.layout) if item.id in said["before"]}
    sums = release_revisions.sums_of(there.values())
    other = [name for name, digest in said["before"].items() if sums.get(name) != digest]
    if other:
        return [("earlier releases", False, f"gone or not what they were: {', '.join(other)}")]
    rows = release_revisions.recorded(there.values(), contract)
    if said["compared_with"]:
        base = there[said["compared_with"]]
        own = release_revisions.of_release(again.framework, base, release, Rebuilt(release, ready))
        rows = release_revisions.together(rows, own, contract)
    releases.write_table(ready, TABLE, rows)
    return [("earlier releases", True, f"{len(there)} as they were")] if there else []


def _tables(release: Release, ready: Path, progress: Progress) -> tuple[tuple[str, bool, str], dict[str, Any] | None]:
    """The tables of a release beside those made again: bytes first, and where they differ the first row that does."""
    resources: Iterable[dict[str, Any]] = release.package["resources"]
    other = [item for item in resources if _held(ready, item) != (item["bytes"], item["hash"])]
    if not other:
        return ("tables, byte for byte", True, f"{len(release.package['resources'])} equal"), None
    names = ", ".join(item["name"] for item in other)
    for item in other:
        progress(f"comparing {item['name']}", None)
        for found in differences(Released(release), Rebuilt(release, ready), item["name"]):
            first = first_difference(found)
            return ("tables, byte for byte", False, f"not equal: {names}"), dict(first)
    # The same rows in other bytes: another version of the library that writes them is reason enough, nothing else is.
    was, now = release.package["writers"], writers()
    said = f"equal in content, not in bytes: {names}; written by polars {was['polars']}, here {now['polars']}"
    return ("tables, byte for byte", was["polars"] != now["polars"], said), None


def _held(ready: Path, item: dict[str, Any]) -> tuple[int, str]:
    held = content_of(ready / item["path"])
    return int(held["bytes"]), f"sha256:{held['sha256']}"


class Rebuilt(Released):
    """The tables made again, under the description of the release they are compared with."""

    def __init__(self, release: Release, ready: Path):
        super().__init__(Release(ready))
        self._said = release.package["resources"]

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        # No hash: the rows are looked at.
        return {item["name"]: {**item, "hash": "", "bytes": 0} for item in self._said}
