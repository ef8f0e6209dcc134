"""`dci doctor`: is all in order on this machine: versions, data files, engines, deliveries, tables, published file."""

from __future__ import annotations

import importlib.metadata
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dci_pipeline.cli import options, screen
from dci_pipeline.findings import Finding

if TYPE_CHECKING:
    from dci_pipeline.settings import Settings
    from dci_pipeline.work import Work

EXAMPLES = (
    "Example: dci doctor"
    "\n\nWhat rests on an assumption: dci doctor --assumptions"
    "\n\nExit code 1 when something is broken; a warning is no failure."
)

Assumptions = Annotated[
    bool, typer.Option("--assumptions", help="List what the index assumes and why, and nothing else.")
]

PYTHON = (3, 11)
# How geography/groups.csv marks in `source` that nobody states a group.
ASSUMED = "assumption: "
_PACKAGE = "dci_pipeline"


@dataclass(frozen=True)
class Check:
    """One thing looked at; state is ok, warn or fail."""

    name: str
    state: str
    found: str
    todo: str = ""


def doctor(assumptions: Assumptions = False, index: options.Index = None) -> None:
    """Look at everything a run relies on and say what to do about what is not in order.

    Python and libraries, data files, engines, every delivery against its receipt, every table against its seal and
    stamp, leftovers, and the published file. Changes nothing.
    """
    work = options.open_work(index)
    if assumptions:
        show_assumptions(work)
        return
    done: list[Check] = []
    with screen.progress() as bar:
        checks = look(work, lambda what: bar.update(task, description=what[:44].ljust(44)))
        task = bar.add_task("", total=len(checks))
        for name, check in checks.items():
            bar.update(task, description=name.ljust(44))
            done += _guarded(name, check)
            bar.advance(task)
    screen.show(
        f"{work.index}: state",
        ("what", "state", "found", "do next"),
        [[item.name, screen.mark(item.state), item.found, item.todo] for item in done],
    )
    failed = [item.name for item in done if item.state == "fail"]
    if failed:
        screen.say(f"Broken: {', '.join(failed)}", style="bold red")
        raise typer.Exit(1)
    screen.say("Nothing is broken.", style="green")


def look(work: Work, progress: Callable[[str], None] = lambda _: None) -> dict[str, Callable[[], Check | list[Check]]]:
    """The checks, by name, in the order in which one relies on another."""
    return {
        "python": _python,
        "libraries": _libraries,
        "data files": lambda: _data_files(work),
        "geography": lambda: _geography(work),
        "engines": lambda: _engines(work.settings),
        "web pages": _web_pages,
        "deliveries": lambda: _deliveries(work, progress),
        "periods": lambda: _periods(work),
        "tables": lambda: _tables(work, progress),
        "leftovers": lambda: _leftovers(work),
        "published file": lambda: _catalogue(work),
    }


def _guarded(name: str, check: Callable[[], Check | list[Check]]) -> list[Check]:
    """The check's answer; an error in it is a failure of what it looks at, not of the command."""
    try:
        answer = check()
    except Finding as finding:
        found = "" if finding.found is None else f" ({finding.found})"
        return [Check(name, "fail", f"{finding.where}: {finding.problem}{found}".removeprefix(": "), finding.todo)]
    except Exception as error:
        return [Check(name, "fail", f"{type(error).__name__}: {error}", "run it again with DCI_LOG=debug")]
    return answer if isinstance(answer, list) else [answer]


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    enough = sys.version_info >= PYTHON
    return Check(
        "python",
        "ok" if enough else "fail",
        found,
        "" if enough else f"install Python {PYTHON[0]}.{PYTHON[1]} or newer",
    )


def _libraries() -> Check:
    from packaging.requirements import Requirement

    wrong: list[str] = []
    needed = [Requirement(line) for line in requirements()]
    needed = [item for item in needed if item.marker is None or item.marker.evaluate({"extra": ""})]
    for item in needed:
        try:
            version = importlib.metadata.version(item.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{item.name} is not installed")
            continue
        if not item.specifier.contains(version, prereleases=True):
            wrong.append(f"{item.name} {version}, needed {item.specifier}")
    if wrong:
        return Check("libraries", "fail", "; ".join(wrong), "pip install -r requirements.lock")
    return Check("libraries", "ok", f"{len(needed)} within their bounds")


def requirements() -> list[str]:
    """What the package asks for: as installed, or as its checkout says. Raises Finding when neither is there."""
    try:
        return importlib.metadata.requires(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        project = Path(__file__).resolve().parents[2] / "pyproject.toml"
        if not project.is_file():
            raise Finding("the package is not installed and has no pyproject.toml", where=str(project.parent)) from None
        return list(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"])


def _data_files(work: Work) -> Check:
    framework = work.framework
    parts = {
        "node": framework.nodes,
        "indicator": framework.leaves,
        "feed": framework.feeds,
        "table": framework.tables,
        "wave": framework.waves,
    }
    return Check("data files", "ok", ", ".join(screen.count(len(part), word) for word, part in parts.items()))


def _geography(work: Work) -> Check:
    from dci_pipeline.geography import read_geography

    try:
        geography = work.geography
    except Finding:
        # A broken index file is a finding of its own; without it only the groups made of two others are lacking.
        geography = read_geography(work.settings.contracts / work.index)
    places = ", ".join(f"{n} {kind}" for kind, n in geography.places.group_by("type").len().sort("type").iter_rows())
    groups = ", ".join(f"{n} {kind}" for kind, n in geography.groups.group_by("type").len().sort("type").iter_rows())
    return Check("geography", "ok", f"{places}; {groups}; {geography.aliases.height:,} names")


def _engines(settings: Settings) -> list[Check]:
    import polars as pl

    from dci_pipeline import engines

    found: list[Check] = []
    for name in engines.NAMES:
        with engines.engine(name) as engine:
            engine.collect(engine.small(pl.DataFrame({"one": [1]})))
        chosen = ", in use (DCI_ENGINE)" if name == settings.engine else ""
        found.append(Check(f"engine {name}", "ok", f"{importlib.metadata.version(name)}{chosen}"))
    return found


def _web_pages() -> Check:
    try:
        return Check("web pages", "ok", importlib.metadata.version("dagster-webserver"))
    except importlib.metadata.PackageNotFoundError:
        return Check("web pages", "warn", "not installed", "only for dci ui: pip install 'dci_pipeline[ui]'")


def _deliveries(work: Work, progress: Callable[[str], None]) -> Check:
    from dci_pipeline.warehouse import audit

    found = audit.audit_deliveries(work.warehouse.layout, work.framework, progress=progress)
    if found.wrong:
        return Check("deliveries", "fail", audit.few(found.wrong), "put the file back from a copy, or land it again")
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


def _tables(work: Work, progress: Callable[[str], None]) -> Check:
    from dci_pipeline.warehouse import audit

    found = audit.audit_tables(work.warehouse.layout, progress=progress)
    if found.damaged:
        return Check("tables", "fail", audit.few(found.damaged), "delete these files, then dci run")
    said = f"{screen.count(found.current, 'partition')} of this code"
    if found.other_code:
        return Check("tables", "warn", f"{said}, {found.other_code:,} of other code", f"dci run --index {work.index}")
    return Check("tables", "ok", said)


def _leftovers(work: Work) -> Check:
    from dci_pipeline.warehouse import audit

    found = audit.leftovers(work.warehouse.layout)
    if found:
        return Check("leftovers", "warn", audit.few(found), "while nothing runs, delete them")
    return Check("leftovers", "ok", "none")


def _catalogue(work: Work) -> Check:
    import duckdb

    path = work.warehouse.layout.catalogue
    if not path.is_file():
        return Check("published file", "warn", "none yet", f"dci run --index {work.index}")
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
    except duckdb.Error as error:
        return Check("published file", "fail", f"{path.name}: {error}", f"delete it, then dci run --index {work.index}")
    missing = sorted(set(work.framework.tables) - {str(name) for (name,) in tables})
    if missing:
        return Check("published file", "warn", f"without {', '.join(missing)}", f"dci run --index {work.index}")
    return Check("published file", "ok", f"{path}: {len(tables)} tables")


def show_assumptions(work: Work) -> None:
    """What is not known and was assumed, with the reason the data files give: nothing else rests on an assumption."""
    framework = work.framework
    rows = [("node", node.node, node.name_en, node.reason) for node in framework.nodes if node.assumption]
    rows += [
        ("breakdown", f"{item.node} by {item.dimension}", item.name_en, item.reason)
        for item in framework.breakdowns
        if item.assumption
    ]
    rows += [
        ("link", link.link, f"{link.reference[0]} to {link.reference[-1]}", link.reason)
        for link in framework.links
        if link.assumption
    ]
    if framework.divide.assumption:
        rows.append(("divide", framework.divide.measure, "digital divide", framework.divide.reason))
    rows += [
        ("scores", wave.wave, f"from {wave.effective_from}", wave.reason)
        for wave in framework.waves.values()
        if wave.assumption
    ]
    assumed = [row for row in work.geography.groups.iter_rows(named=True) if str(row["source"]).startswith(ASSUMED)]
    rows += [
        ("group", f"{row['type']} {row['code']}", row["name_en"], row["source"][len(ASSUMED) :]) for row in assumed
    ]
    screen.show(f"What {work.index} assumes", ("what", "which", "name", "why"), rows)
