"""The part of `dci doctor` that looks at the warehouse: against its own hashes, and how to mend what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from dci_pipeline.cli import screen
from dci_pipeline.cli.checks import Check

if TYPE_CHECKING:
    from dci_pipeline.work import Work

Progress = Callable[[str], None]


def checks(work: Work, progress: Progress) -> dict[str, Callable[[], Check | list[Check]]]:
    """The checks, by name, in the order in which one relies on another."""
    return {
        "format": lambda: _format(work),
        "deliveries": lambda: _deliveries(work, progress),
        "periods": lambda: _periods(work),
        "tables": lambda: _tables(work, progress),
        "leftovers": lambda: _leftovers(work),
        "published file": lambda: _catalogue(work),
        "releases": lambda: _releases(work, progress),
    }


def mend(work: Work) -> None:
    """Mend what can be mended, and say what was done. Exit code 1 when something is left for a person."""
    from dci_pipeline.warehouse import mending

    with screen.progress() as bar:
        task = bar.add_task("", total=None)
        done = mending.mend(
            work.warehouse.layout, work.framework, progress=lambda what: bar.update(task, description=what[:44])
        )
    for line in done:
        screen.say(line)
    if any(": not mended: " in line for line in done):
        raise typer.Exit(1)
    screen.say(f"Then: {_run(work)}" if done else "Nothing to mend here.", style="green")


def _run(work: Work) -> str:
    return f"dci run --index {work.index}"


def _mend(work: Work) -> str:
    return f"dci doctor --mend --index {work.index}, then {_run(work)}"


def _format(work: Work) -> Check:
    from dci_pipeline.warehouse import formats

    held = formats.held(work.settings.warehouse)
    if held is not None and held < formats.FORMAT:
        return Check("format", "warn", f"{held}, of an older version; deliveries are kept", _run(work))
    return Check("format", "ok", "nothing yet" if held is None else str(held))


def _deliveries(work: Work, progress: Progress) -> Check:
    from dci_pipeline.warehouse import audit

    found = audit.audit_deliveries(work.warehouse.layout, work.framework, progress=progress)
    if found.wrong:
        todo = "put the file back there from a copy, or, for the current delivery, land it again: dci land"
        return Check("deliveries", "fail", audit.few([*found.wrong, *found.mendable]), todo)
    if found.mendable:
        return Check("deliveries", "fail", audit.few(found.mendable), _mend(work))
    if not found.deliveries:
        return Check("deliveries", "warn", "none", f"dci simulate --index {work.index}, or dci land FILE …")
    return Check(
        "deliveries",
        "ok",
        f"{screen.count(found.deliveries, 'delivery')}, "
        f"{screen.count(found.files, 'file')}, {found.bytes:,} bytes: as received",
    )


def _periods(work: Work) -> Check:
    from dci_pipeline import plan, refresh

    ready, waiting = refresh.delivered_periods(work)
    if not ready and not waiting:
        return Check("periods", "ok", "none delivered")
    if waiting:
        first = min(waiting)
        return Check(
            "periods",
            "warn",
            f"{len(ready)} complete; {screen.ranges(waiting)} not: {first} {waiting[first]}",
            "ask the partners",
        )
    out_of_date = plan.stale(work, ready)
    if out_of_date:
        parts = sum(len(found) for found in out_of_date.values())
        return Check(
            "periods",
            "warn",
            f"{len(ready)} complete, {screen.count(parts, 'partition')} out of date",
            f"dci run --index {work.index}",
        )
    return Check("periods", "ok", f"{screen.ranges(ready)} complete and up to date")


def _tables(work: Work, progress: Progress) -> Check:
    from dci_pipeline.warehouse import audit

    found = audit.audit_tables(work.warehouse.layout, progress=progress)
    damaged = [*found.damaged, *audit.damaged_documents(work.warehouse.layout)]
    if damaged:
        return Check("tables", "fail", audit.few(damaged), _mend(work))
    said = f"{screen.count(found.current, 'partition')} of this code"
    if found.other_code:
        return Check("tables", "warn", f"{said}, {found.other_code:,} of other code", _run(work))
    return Check("tables", "ok", said)


def _leftovers(work: Work) -> Check:
    from dci_pipeline.warehouse import places

    found = places.leftovers(work.warehouse.layout)
    if found:
        return Check("leftovers", "warn", f"{len(found)} of killed processes", "nothing: the next run takes them away")
    return Check("leftovers", "ok", "none")


def _catalogue(work: Work) -> Check:
    import duckdb

    from dci_pipeline.warehouse import catalogue, published

    path = work.warehouse.layout.catalogue
    if not path.is_file():
        return Check("published file", "warn", "none yet", _run(work))
    if not catalogue.is_as_published(work.warehouse.layout):
        return Check("published file", "fail", f"{path.name}: not the file that was published", _run(work))
    try:
        with duckdb.connect(str(published.opened(work.warehouse.layout)), read_only=True) as connection:
            tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
    except duckdb.Error as error:
        return Check("published file", "fail", f"{path.name}: {error}", _run(work))
    missing = sorted(set(work.framework.tables) - {str(name) for (name,) in tables})
    if missing:
        return Check("published file", "warn", f"without {', '.join(missing)}", _run(work))
    return Check("published file", "ok", f"{path}: {len(tables)} tables")


def _releases(work: Work, progress: Progress) -> Check:
    from dci_pipeline.warehouse import audit, release_files

    layout = work.warehouse.layout
    found = release_files.releases(layout)
    wrong: list[str] = []
    for release in found:
        progress(f"release {release.id}")
        wrong += release_files.differences(release)
    if wrong:
        return Check("releases", "fail", audit.few(wrong), "put the file back from a copy of the release")
    if found and release_files.current(layout) != found[-1].id:
        todo = f"dci release --index {work.index} --period {found[-1].package['period']}: it sets this right"
        return Check("releases", "warn", f"{found[-1].id} is the newest and is not current", todo)
    return Check("releases", "ok", f"{screen.count(len(found), 'release')} as released" if found else "none")
