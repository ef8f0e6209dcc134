"""What the warehouse no longer needs: tables, slices and links nothing makes any more, debris, locks nobody holds.

Never a delivery, a release or the published file. What is listed here no step of the path reads.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dci_pipeline.findings import Conflict
from dci_pipeline.framework import Framework
from dci_pipeline.warehouse import locks, places
from dci_pipeline.warehouse.layout import PART, Layout
from dci_pipeline.warehouse.objects import refuse

_STAGES = ("validation", "indicators", "normalise", "weight", "index", "marts")
_LINKS = ("links", "member_links")


@dataclass(frozen=True)
class Superseded:
    """One thing that may go: why, a file or folder, and its bytes."""

    why: str
    path: Path
    bytes: int


def superseded(
    layout: Layout,
    framework: Framework,
    made: set[tuple[str, str]],
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Superseded]:
    """What may go. `made`: stage and table of every step of the index's path. Changes nothing."""
    found: list[Superseded] = []
    for why, path in _found(layout, framework, made):
        progress(path.name)
        found.append(Superseded(why, path, _bytes(path)))
    return found


def remove(layout: Layout, items: list[Superseded], *, progress: Callable[[str], None] = lambda _: None) -> None:
    """Take these away. Raises Conflict while any process works in the warehouse."""
    # Whether another machine is at work there cannot be told.
    refuse(layout.root, "taking away", "stop every run, then delete the objects that dci gc lists")
    working = places.live(layout)
    if working:
        raise Conflict(
            "a run or a landing is under way",
            where=layout.index,
            found="process " + ", ".join(sorted({name.split("-")[1] for name in working})),
            expected="nobody at work in the warehouse",
            todo="wait until it has ended, then start again",
        )
    with places.place(layout):
        for item in items:
            progress(item.path.name)
            if item.path.parent == layout.locks:
                continue
            if item.path.is_dir():
                shutil.rmtree(item.path)
            else:
                item.path.unlink(missing_ok=True)
    if any(item.path.parent == layout.locks for item in items):
        locks.remove_unheld(layout.locks)


def _found(layout: Layout, framework: Framework, made: set[tuple[str, str]]) -> Iterator[tuple[str, Path]]:
    for stage in _STAGES:
        for table in sorted((layout.home / stage).glob("*")):
            if stage == "validation":
                feed = next((name for name in framework.feeds if table.name.startswith(f"{name}_")), None)
                if feed is None:
                    yield "table of a feed without a contract", table
                else:
                    yield from _slices(layout, table, feed)
            elif (stage, table.name) not in made:
                yield "table that nothing makes any more", table
            elif stage == "index" and table.name in _LINKS and framework.chaining != "annual_overlap":
                starts = {layout.table(stage, table.name, link.start) for link in framework.links}
                for part in sorted(table.rglob(PART)):
                    if part not in starts:
                        yield "link that is no more", part.parent
    for path in places.leftovers(layout):
        yield "left by a killed process", path
    # Where versions before this one made what was not finished.
    for path in (*layout.home.rglob(".*.tmp"), *layout.root.glob(".*.tmp"), *layout.home.glob(".scratch")):
        yield "left by a killed process", path
    if (layout.home / "feeds" / ".incoming").is_dir():
        yield "left by a killed process", layout.home / "feeds" / ".incoming"
    for path in locks.unheld(layout.locks) if layout.local == layout.root else ():
        yield "lock that nobody holds", path


def _slices(layout: Layout, table: Path, feed: str) -> Iterator[tuple[str, Path]]:
    for slice_ in sorted(table.glob("year=*/*=*/partner=*")):
        delivered = layout.deliveries(feed) / slice_.relative_to(table)
        if not delivered.is_dir():
            yield "slice of a partner who delivered nothing", slice_


def _bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(item.stat().st_size for item in path.rglob("*") if item.is_file())
