"""A release: whether the index may be released up to a period, what it rests on, and what it changes.

Identified by its period and how often that has been released before: no clock is in it, only the day it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from dci_pipeline import __version__, plan, refresh
from dci_pipeline.findings import Conflict, Finding, Held
from dci_pipeline.path import path
from dci_pipeline.periods import Period
from dci_pipeline.releases import notes, package
from dci_pipeline.releases.revisions import TABLE, by_kind
from dci_pipeline.releases.window import Window
from dci_pipeline.until import until
from dci_pipeline.warehouse import catalogue, release_files, release_revisions, releases
from dci_pipeline.warehouse.objects import refuse
from dci_pipeline.warehouse.places import place
from dci_pipeline.warehouse.release_files import DIFF, EXPLORER, NOTES, PACKAGE, Release
from dci_pipeline.warehouse.release_rows import WORKING, Released, State, Working, compared
from dci_pipeline.warehouse.releases import Progress
from dci_pipeline.warehouse.stamps import code_version
from dci_pipeline.work import Work


@dataclass(frozen=True)
class Made:
    """What releasing did: `new` is False when the period's last release holds the same; `diff` tells the changes."""

    release: Release
    new: bool
    diff: dict[str, Any]
    gaps: dict[Period, str]


def release(work: Work, period: Period, *, vintage: date, note: str = "", progress: Progress = lambda _: None) -> Made:
    """Freeze what is published up to `period`. Raises Finding for what is out of date, Held for a period held back.

    Afterwards the published table of revisions holds what this release revised.
    """
    refuse(work.warehouse.layout.root, "releasing", "copy the warehouse to a disk and release there")
    progress("what is out of date")
    state = catalogue.state(work.warehouse, work.framework)
    fitting = fit(work, period)
    # Before the lock: who holds one may not ask for another.
    with until(work, period, fitting[0], progress=progress) as ended, work.warehouse.lock("release"):
        made = _release(work, ended, period, state, fitting, vintage=vintage, note=note, progress=progress)
    if TABLE in work.framework.tables:
        progress("published file")
        for step in path(work.framework):
            if step.key in (("marts", TABLE), ("marts", "catalogue")):
                step.run(work, None)
    return made


def _release(
    work: Work,
    ended: Work,
    period: Period,
    state: str,
    fitting: tuple[list[Period], dict[Period, str]],
    *,
    vintage: date,
    note: str,
    progress: Progress,
) -> Made:
    """`ended`: the tables up to the period; `state` of the catalogue they are of; `fitting`: what `fit` found."""
    layout, framework, warehouse = work.warehouse.layout, work.framework, work.warehouse
    periods, gaps = fitting
    before = release_files.releases(layout)
    same = [item for item in before if release_files.order(item.id)[0] == period.key]
    name = f"{period.key}.r{len(same)}" if same else period.key
    earlier = [item for item in before if release_files.order(item.id) < release_files.order(name)]
    base = earlier[-1] if earlier else None
    with place(layout) as own:
        ready = own.folder / name
        files = releases.write_tables(ended.warehouse, framework, ready, period, progress=progress)
        said = package.describe(
            framework,
            release=name,
            vintage=vintage,
            period=period.key,
            window=Window(period, framework.revision_window.months),
            files=files,
            deliveries=_deliveries(work, periods),
            periods=[item.key for item in periods],
            method=releases.write_method(framework, ready),
            code={"version": __version__, "sources": code_version()},
            writers=writers(),
            supersedes=same[-1].id if same else None,
            compared_with=base.id if base else None,
            before=release_revisions.sums_of(before),
            note=note.strip(),
        )
        if catalogue.state(warehouse, framework) != state:
            raise Conflict(
                "the published tables changed while they were released",
                where=work.index,
                found="another commit meanwhile",
                expected="nobody else at work",
                todo="wait for the other run, then start again; nothing has been released",
            )
        if same and package.content(same[-1].package) == package.content(said):
            _point(work, own.folder, before)
            return Made(same[-1], False, {}, gaps)
        releases.write_documents(ready, {PACKAGE: package.text(said)})
        told = compared(Released(base) if base else None, Released(Release(ready)), work.index, progress=progress)
        revised: list[list[object]] = []
        if before and TABLE in framework.tables:
            progress("revisions")
            said, revised = _with_revisions(work, base, before, Release(ready), said)
        progress("DuckDB file")
        releases.write_database(framework, ready)
        progress("explorer")
        _explorer(work, ready, name, vintage)
        documents = {DIFF: package.text(told), NOTES: _notes(work, said, told, note, gaps, revised)}
        made = Release(releases.settle(layout, ready, name, documents))
        _point(work, own.folder, [*before, made])
    return Made(made, True, told, gaps)


def _explorer(work: Work, ready: Path, name: str, vintage: date) -> None:
    """The page to look around in the release, beside its tables."""
    from dci_pipeline.map_files import read_sheet
    from dci_pipeline.report.explorer.manifest import About, explorable
    from dci_pipeline.warehouse.explorer import of_release, write_explorer

    if explorable(work.framework):
        about = About(name, vintage.isoformat())
        write_explorer(ready / EXPLORER, of_release(ready), work.framework, about, read_sheet(work))


def _with_revisions(
    work: Work, base: Release | None, before: Sequence[Release], ready: Release, said: dict[str, Any]
) -> tuple[dict[str, Any], list[list[object]]]:
    """The package again, after what this release revises has been added to its table of revisions, and that by kind."""
    contract = work.framework.tables[TABLE]
    rows, revised = release_revisions.recorded(before, contract), list[list[object]]()
    if base is not None:
        own = release_revisions.of_release(work.framework, base, ready)
        rows, revised = release_revisions.together(rows, own, contract), by_kind(own)
    again = package.replaced(said, contract, releases.write_table(ready.folder, TABLE, rows))
    releases.write_documents(ready.folder, {PACKAGE: package.text(again)})
    return again, revised


def difference(work: Work, first: str, second: str, *, progress: Progress = lambda _: None) -> dict[str, Any]:
    """What tells two states apart, each the id of a release, 'current', or 'working' for what is published now."""
    return compared(_state(work, first), _state(work, second), work.index, progress=progress)


def _state(work: Work, name: str) -> State:
    if name == WORKING:
        return Working(work.warehouse, work.framework)
    return Released(release_files.named(work.warehouse.layout, name))


def fit(work: Work, period: Period) -> tuple[list[Period], dict[Period, str]]:
    """The periods that what is published up to `period` rests on, and earlier ones that are not published and why.

    Raises Finding when anything of these is out of date or `period` is not published, Held when one is held back.
    """
    framework, warehouse = work.framework, work.warehouse
    ready, waiting = refresh.delivered_periods(work)
    used = [item for item in ready if framework.link_at(item) is not None]
    there = set(warehouse.existing("marts", work.period_table, used))
    if period not in there:
        raise Finding(
            "nothing is published for the period",
            where=f"{work.index} {period}",
            found=waiting.get(period, "no deliveries, or not computed yet"),
            expected="a period that has been computed",
            todo=f"dci run --index {work.index}; dci due --index {work.index} says what is missing",
        )
    # A link may be measured by later periods.
    link = framework.link_at(period)
    referred = {item for part in framework.chain(link) for item in part.reference} if link else set[Period]()
    wanted = [item for item in used if item.start <= period.start or item in referred]
    late = plan.due(work, wanted, wanted, try_held=False)
    if late or not catalogue.up_to_date(warehouse, framework):
        raise Finding(
            "what is published is out of date",
            where=work.index,
            found=", ".join("/".join(key) for key in list(late)[:3]) or warehouse.layout.catalogue.name,
            expected="published tables made of the current deliveries, contracts and code",
            todo=f"dci run --index {work.index}, then release again",
        )
    held = sorted({part for parts in plan.stale(work, wanted).values() for part in parts if part in wanted})
    if held:
        raise Held(
            "a period is held back",
            where=f"{work.index} {', '.join(map(str, held))}",
            found="a failed check, or an input that has not arrived",
            expected=f"every period up to {period} fit to be published",
            todo=f"dci run --index {work.index} says why",
        )
    gaps = {item: why for item, why in waiting.items() if min(there).start <= item.start <= period.start}
    return wanted, gaps


def writers() -> dict[str, str]:
    """Versions of the libraries that write a release's files."""
    import duckdb
    import polars

    return {"polars": polars.__version__, "duckdb": duckdb.__version__}


def _deliveries(work: Work, periods: Sequence[Period]) -> list[dict[str, Any]]:
    from dci_pipeline.steps.feeds import arrived

    return [
        releases.named_delivery(work.warehouse.layout, delivery)
        for feed, versions in sorted(work.framework.versions.items())
        for period in periods
        if versions.in_force(period) is not None
        for _, delivery in sorted(arrived(work, period, feed).items())
    ]


def _point(work: Work, scratch: Path, found: Sequence[Release]) -> None:
    """The release of the last period, in its last revision, is the current one."""
    layout = work.warehouse.layout
    newest = max(found, key=lambda item: release_files.order(item.id)).id
    if release_files.current(layout) != newest:
        release_files.point(layout, newest, scratch)


def _notes(
    work: Work,
    said: dict[str, Any],
    told: dict[str, Any],
    note: str,
    gaps: dict[Period, str],
    revised: list[list[object]],
) -> str:
    facts = [
        f"Released {said['vintage']}, up to {said['period']}",
        f"Code {said['code']['version']} ({said['code']['sources']})",
        f"{len(said['resources'])} tables, {sum(item['rowCount'] for item in said['resources']):,} rows, "
        f"made of {len(said['deliveries']):,} deliveries",
    ]
    months = said["revision_window"]["months"]
    window = (
        f"provisional for {months} month{'' if months == 1 else 's'} after its end"
        if months
        else "final once it is published"
    )
    facts.append(f"Final up to {said['revision_window']['final_to']}: a period is {window}")
    if said["supersedes"]:
        facts.append(f"Supersedes {said['supersedes']}, which stays as it is")
    facts += [f"Not published: {item}, which {why}" for item, why in sorted(gaps.items())]
    title = f"{work.framework.name_en} / {work.framework.name_zh}: release {said['version']}"
    return notes.markdown(told, title=title, note=note, facts=facts, revised=revised)
