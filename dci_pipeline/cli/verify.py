"""`dci verify`: a release computed again from its own deliveries, and compared with what was released."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dci_pipeline.cli import options, screen
from dci_pipeline.findings import Finding
from dci_pipeline.settings import ENGINES

if TYPE_CHECKING:
    from dci_pipeline.verifying import Verdict

EXAMPLES = (
    "Example: dci verify 2020-06"
    "\n\nOn another engine, with one thread: dci verify current --engine duckdb --threads 1"
    "\n\nExit code 0 when everything is equal, 1 when anything differs."
)

Which = Annotated[str, typer.Argument(metavar="RELEASE", show_default=False, help="A release's id, or 'current'.")]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine", metavar="NAME", show_default=False, help="polars or duckdb. Default: DCI_ENGINE, else auto."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, show_default=False, help="Threads of polars. Default: one for each core."),
]
AsJson = Annotated[bool, typer.Option("--json", help="The verdict as JSON.")]
# Read by the library once, when it is loaded.
_THREADS = "POLARS_MAX_THREADS"


def verify(
    release: Which,
    *,
    engine: Engine = None,
    threads: Threads = None,
    json_: AsJson = False,
    index: options.Index = None,
) -> None:
    """Compute a release again from its deliveries in a warehouse of its own, and compare all of it.

    First every file with SHA256SUMS; then the tables byte for byte and the DuckDB file by content. The first difference
    is named: table, key, column, from, to. Takes as long as computing its periods did, and leaves nothing behind.
    """
    if engine is not None and engine not in ENGINES:
        raise Finding("unknown engine", where="--engine", found=engine, expected=" or ".join(ENGINES))
    if threads is not None and os.environ.get(_THREADS) != str(threads):
        raise typer.Exit(_with_threads(release, threads, engine=engine, json_=json_, index=index))
    from dci_pipeline import verifying

    work = options.open_work(index)
    with screen.progress() as bar:
        task = bar.add_task("", total=None)

        def moved(at: str, done: tuple[int, int] | None) -> None:
            completed, total = done or (None, None)
            bar.update(task, description=at[:44].ljust(44), completed=completed, total=total)

        verdict = verifying.verify(work, release, engine=engine, progress=moved)
    if json_:
        typer.echo(json.dumps(_plain(verdict), ensure_ascii=False, indent=1))
    else:
        _show(verdict, work.index)
    if not verdict.equal:
        raise typer.Exit(1)


def _with_threads(release: str, threads: int, *, engine: str | None, json_: bool, index: str | None) -> int:
    given = [release, "--threads", str(threads), *(["--json"] if json_ else [])]
    given += ["--engine", engine] if engine else []
    given += ["--index", index] if index else []
    return subprocess.run(
        [sys.executable, "-m", "dci_pipeline.cli", "verify", *given],
        env={**os.environ, _THREADS: str(threads)},
        check=False,
    ).returncode


def _plain(verdict: Verdict) -> dict[str, object]:
    return {
        "release": verdict.release,
        "equal": verdict.equal,
        "checks": [{"what": what, "equal": equal, "found": found} for what, equal, found in verdict.looked_at],
        "first_difference": verdict.first,
    }


def _show(verdict: Verdict, index: str) -> None:
    screen.show(
        f"{index}: release {verdict.release}",
        ("what", "state", "found"),
        [[what, screen.mark("ok" if equal else "fail"), found] for what, equal, found in verdict.looked_at],
    )
    first = verdict.first
    if first is not None:
        key = ", ".join(f"{name} {value}" for name, value in first["key"].items())
        column = f", column {first['column']}" if first["column"] else ""
        screen.say(f"First difference: table {first['table']}, {key}{column}", style="bold red")
        screen.say(f"  released:   {first['from']}")
        screen.say(f"  made again: {first['to']}")
    if verdict.equal:
        screen.say("Everything is equal.", style="green")
    else:
        screen.say("Not equal.", style="bold red")
