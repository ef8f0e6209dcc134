"""Places: where a process makes what is not finished yet, out of sight; a killed one's are swept by the next process.

A place is a folder under `.work` and a lock file beside it that its process holds while it lives. The kernel lets go of
the lock with the process, so a place whose lock is free is nobody's: no process id is trusted, which another process
may have by now. Its name begins with the boot of the machine. On another machine, or before the last start of this one,
a lock may look free that is not, or is not seen at all on a disk that passes no locks on: such a place is swept when it
is a day old.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dci_pipeline.warehouse.disk import refusals
from dci_pipeline.warehouse.formats import settle
from dci_pipeline.warehouse.layout import Layout

_LOCK = ".lock"
_DAY = 24 * 3600.0


@dataclass(frozen=True)
class Place:
    """A folder of one process's own; `name` says whose, for as long as it lives."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name


@contextmanager
def place(layout: Layout) -> Iterator[Place]:
    """A place in the warehouse, on the disk of its tables, gone when the block ends; those of the dead are swept first.

    Raises Finding when the disk is full or takes no writing, in the block too.
    """
    with refusals(layout.local):
        settle(layout.root)
        sweep(layout)
        folder, handle = _take(layout)
        try:
            yield Place(folder)
        finally:
            try:
                folder.rmdir()
            except OSError:
                shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                _lock_of(folder).unlink()
            os.close(handle)
            with suppress(OSError):
                layout.work.rmdir()


def _take(layout: Layout) -> tuple[Path, int]:
    while True:
        folder = layout.work / f"{_boot()}-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            layout.work.mkdir(parents=True, exist_ok=True)
            handle = os.open(_lock_of(folder), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            continue  # another process has just taken the empty folder away
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink == 0:
            os.close(handle)  # taken for a dead process's before it was locked
            continue
        try:
            folder.mkdir()
        except OSError:
            with suppress(OSError):
                _lock_of(folder).unlink()
            os.close(handle)
            raise
        return folder, handle


def live(layout: Layout) -> list[str]:
    """Names of the places whose process works, as far as can be told."""
    return [name for name in _names(layout) if not is_dead(layout, name)]


def is_dead(layout: Layout, name: str) -> bool:
    """Whether the process of a place is no longer there. Changes nothing."""
    try:
        handle = os.open(layout.work / (name + _LOCK), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        # On object storage the places of other machines are not seen from here.
        return layout.local == layout.root or name.split("-", maxsplit=1)[0] == _boot()
    try:
        return _is_free(handle) and _may_be_swept(name, handle)
    finally:
        os.close(handle)


def sweep(layout: Layout) -> list[str]:
    """Take away the places of processes that are no longer there; their names. Cheap when there is nothing to do."""
    return [name for name in _names(layout) if _sweep(layout, name)]


def leftovers(layout: Layout) -> list[Path]:
    """What killed processes have left and the next one will take away."""
    return [layout.work / name for name in _names(layout) if is_dead(layout, name)]


def _sweep(layout: Layout, name: str) -> bool:
    folder = layout.work / name
    try:
        handle = os.open(_lock_of(folder), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except FileNotFoundError:
        return False
    try:
        if not _is_free(handle) or not _may_be_swept(name, handle) or os.fstat(handle).st_nlink == 0:
            return False
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(FileNotFoundError):
            _lock_of(folder).unlink()
        return True
    finally:
        os.close(handle)


def _names(layout: Layout) -> list[str]:
    try:
        found = [path.name for path in layout.work.iterdir()]
    except FileNotFoundError:
        return []
    return sorted({name.removesuffix(_LOCK) for name in found})


def _is_free(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _may_be_swept(name: str, handle: int) -> bool:
    if name.split("-", maxsplit=1)[0] == _boot():
        return True
    return time.time() - os.fstat(handle).st_mtime > _DAY


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + _LOCK)


@cache
def _boot() -> str:
    """Of this start of this machine, the same in each of its containers."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").replace("-", "")[:12]
