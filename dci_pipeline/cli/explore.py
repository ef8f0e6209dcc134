"""`dci explore`: the published tables as a page to look around in, which opens from disk and needs no server."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dci_pipeline.cli import options, screen
from dci_pipeline.cli.run import here
from dci_pipeline.findings import Finding

if TYPE_CHECKING:
    from dci_pipeline.warehouse.release_files import Release
    from dci_pipeline.work import Work

EXAMPLES = (
    "Example: dci explore --open"
    "\n\nOf a release, into a folder to be passed on: dci explore --release 2020-06 --out explorer"
)

OfRelease = Annotated[
    str | None,
    typer.Option(
        "--release", metavar="ID", show_default=False, help="The numbers of a release, or 'current'; else as published."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        show_default=False,
        help="Where to write it; an explorer there is replaced. Default: exports/explorer_INDEX in the warehouse.",
    ),
]
Open = Annotated[bool, typer.Option("--open", help="Open it in the browser.")]


def explore(*, out: Out = None, release: OfRelease = None, open_: Open = False, index: options.Index = None) -> None:
    """Write a page to explore the published tables: map, sortable table, trends, contributions, comparison of places.

    Plain files that open from disk in any browser, without a server and without the network.
    """
    work = options.open_work(index, looking=True)
    layout = work.warehouse.layout
    found = options.chosen_release(layout, release, "the explorer of a release")
    name = "_".join(["explorer", work.index, *([found.id] if found else [])])
    target = out or layout.local / "exports" / name
    if out is None:
        target.parent.mkdir(parents=True, exist_ok=True)
    with _replaced(target) as ready, screen.progress() as bar:
        task = bar.add_task("tables".ljust(44), total=None)
        _write(ready, work, found, lambda at: bar.update(task, description=at[:44].ljust(44)))
    page = target / "index.html"
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    screen.say(f"Written: {here(page)} ({size / 1e6:.1f} MB in all). Keep the folder whole; open the page from disk.")
    if open_:
        typer.launch(page.absolute().as_uri())


def _write(folder: Path, work: Work, found: Release | None, told: Callable[[str], None]) -> None:
    from dci_pipeline.map_files import read_sheet
    from dci_pipeline.report.explorer.manifest import About
    from dci_pipeline.warehouse.explorer import of_database, of_release, write_explorer
    from dci_pipeline.work import Work as Opened

    if found is None:
        from dci_pipeline.cli.published_rows import published_file

        with published_file(work.warehouse.layout) as connection:
            read = of_database(connection)
            write_explorer(folder, read, work.framework, About(None, None), read_sheet(work), progress=told)
        return
    # A release is read as it was defined then.
    then = Opened(replace(work.settings, contracts=found.method), work.index, looking=True)
    about = About(found.id, found.vintage.isoformat())
    write_explorer(folder, of_release(found.folder), then.framework, about, read_sheet(then), progress=told)


@contextmanager
def _replaced(target: Path) -> Iterator[Path]:
    """A folder that takes the target's place when the block ends well. Raises Finding where other files would go."""
    parent = target.absolute().parent
    if not parent.is_dir():
        raise Finding("no such folder", where=str(target.parent), todo="make the folder, or give another path")
    if target.exists() and (not target.is_dir() or (any(target.iterdir()) and not (target / "explorer.js").is_file())):
        raise Finding(
            "there is something already",
            where="--out",
            found=str(target),
            expected="a new or empty folder, or an explorer",
            todo="give another folder, or take that one away",
        )
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=parent))
    try:
        ready = scratch / "ready"
        yield ready
        if target.exists():
            os.replace(target, scratch / "before")
        os.replace(ready, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
