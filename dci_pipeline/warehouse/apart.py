"""A warehouse apart: what another holds, by links to its files, so that work on it changes nothing there.

Every file of a warehouse is written beside and renamed into place, never in place; so a link keeps what it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dci_pipeline.periods import Period
from dci_pipeline.warehouse import objects
from dci_pipeline.warehouse.formats import settle
from dci_pipeline.warehouse.layout import Layout
from dci_pipeline.warehouse.places import place
from dci_pipeline.warehouse.store import Warehouse

_STAGES = ("feeds", "validation", "indicators", "normalise", "weight", "index")


@contextmanager
def apart(layout: Layout, names: Iterable[str], *, tables: Iterable[str]) -> Iterator[list[Path]]:
    """Roots of new warehouses, one per name, each with all that is there but for published tables other than `tables`.

    Gone when the block ends. Raises Finding on object storage, and for a full or read-only disk.
    """
    objects.refuse(layout.root, "computing apart", "copy the warehouse to a disk, and set DCI_WAREHOUSE to it")
    with place(layout) as own:
        roots = [own.folder / name for name in names]
        for root in roots:
            settle(root)
            for stage in (*_STAGES, *(f"marts/{table}" for table in tables)):
                _link(layout.home / stage, root / layout.index / stage)
        yield roots


def under_its_name(root: Path, index: str, folder: Path) -> Path:
    """A folder in `root` in which the contracts in `folder` stand under the name of their index."""
    named = root / "contracts"
    named.mkdir(parents=True)
    (named / index).symlink_to(folder.resolve(), target_is_directory=True)
    return named


def drop_others(warehouse: Warehouse, key: tuple[str, str], kept: Iterable[Period | None]) -> None:
    """Take every partition of a table away but these."""
    wanted = {warehouse.layout.table(*key, period) for period in kept}
    for path in warehouse.partitions(*key):
        if path not in wanted:
            _take_away(path)


def drop(warehouse: Warehouse, key: tuple[str, str], period: Period | None) -> None:
    """Take a partition away, if it is there."""
    _take_away(warehouse.layout.table(*key, period))


def _take_away(path: Path) -> None:
    for gone in (Layout.stamp(path), path):
        gone.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    for folder, inner, files in os.walk(source):
        inner[:] = [name for name in inner if not name.startswith(".")]
        there = target / Path(folder).relative_to(source)
        there.mkdir(parents=True, exist_ok=True)
        for name in files:
            # What another process has just taken away is not there: what rests on it is made again.
            with suppress(FileNotFoundError):
                os.link(os.path.join(folder, name), there / name)  # noqa: PTH118 - asked for tens of thousands of times
