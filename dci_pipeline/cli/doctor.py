"""`dci doctor`: is all in order on this machine: versions, data files, engines, deliveries, tables, published file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dci_pipeline.cli import doctor_warehouse, options, screen
from dci_pipeline.cli.checks import Check
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


Mend = Annotated[
    bool, typer.Option("--mend", help="Put right what the warehouse can: see above. A run makes the rest again.")
]


def doctor(assumptions: Assumptions = False, mend: Mend = False, index: options.Index = None) -> None:
    """Look at everything a run relies on and say what to do about what is not in order.

    Python and libraries, data files, engines, every delivery against its receipt, every table against its seal and
    stamp, leftovers, and the published file. Changes nothing, unless told to --mend: then damaged receipts are put back
    from their copies, damaged typed rows typed again from the bytes as received, and damaged tables removed.
    """
    work = options.open_work(index)
    if assumptions:
        show_assumptions(work)
        return
    if mend:
        doctor_warehouse.mend(work)
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
        **doctor_warehouse.checks(work, progress),
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
    import importlib.metadata

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
    import importlib.metadata
    import tomllib

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
    import importlib.metadata

    import polars as pl

    from dci_pipeline import engines

    found: list[Check] = []
    for name in engines.NAMES:
        with engines.engine(name) as engine:
            engine.collect(engine.small(pl.DataFrame({"one": [1]})))
        chosen = ", in use (DCI_ENGINE)" if settings.engine in (name, engines.AUTO) else ""
        found.append(Check(f"engine {name}", "ok", f"{importlib.metadata.version(name)}{chosen}"))
    if settings.engine not in (*engines.NAMES, engines.AUTO):
        with engines.engine(settings.engine, parameters=settings.engine_parameters) as engine:
            engine.collect(engine.small(pl.DataFrame({"one": [1]})))
        version = importlib.metadata.version("pyspark")
        found.append(Check("engine spark", "ok", f"pyspark {version}, {settings.engine} answers, in use (DCI_ENGINE)"))
    return found


def _web_pages() -> Check:
    import importlib.metadata

    try:
        return Check("web pages", "ok", importlib.metadata.version("dagster-webserver"))
    except importlib.metadata.PackageNotFoundError:
        return Check("web pages", "warn", "not installed", "only for dci ui: pip install 'dci_pipeline[ui]'")


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
