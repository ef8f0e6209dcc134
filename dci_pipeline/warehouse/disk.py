"""Writing so that it lasts: folders and renames that survive a power cut, and a disk's refusal said as a Finding."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dci_pipeline.findings import Finding, Unfit

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}
# Engines and databases raise classes of their own: what the system said stands in their text.
_FULL_TEXT = re.compile(r"No space left on device|Disk quota exceeded|File too large|database or disk is full", re.I)
_REFUSED_TEXT = re.compile(
    r"Read-only file system|Permission denied|attempt to write a readonly database|unable to open database file", re.I
)
_OF = {"polars", "duckdb", "_duckdb", "pyarrow", "sqlite3", "sqlalchemy"}


@contextmanager
def refusals(root: Path) -> Iterator[None]:
    """Raises Finding for a full or read-only disk under `root`, whichever library met it; nothing else is changed."""
    try:
        yield
    except Finding:
        raise
    except Exception as error:
        said = _said(root, error)
        if said is None:
            raise
        raise said from error


def _said(root: Path, error: Exception) -> Finding | None:
    number = error.errno if isinstance(error, OSError) else None
    text = str(error) if type(error).__module__.split(".")[0] in _OF or number is None else ""
    at = str(getattr(error, "filename2", None) or getattr(error, "filename", None) or root)
    if number in _FULL or _FULL_TEXT.search(text):
        return Unfit(
            "the disk is full",
            where=at,
            found=f"{_free(root)} ({error})",
            expected="room for what is being written; what was there before is as it was",
            todo=f"make room on the disk of {root} (dci gc lists what can go), then run the same again",
        )
    if number in _REFUSED or _REFUSED_TEXT.search(text):
        return Unfit(
            "the warehouse cannot be written to",
            where=at,
            found=str(error),
            expected=f"leave to write for user {os.getuid()}, on a disk that is not mounted read-only",
            todo=f"mount it for writing, or give this user the folder {root}, then run the same again",
        )
    return None


def _free(root: Path) -> str:
    there = next((path for path in (root, *root.parents) if path.exists()), None)
    return f"{shutil.disk_usage(there).free:,} bytes free" if there else "nothing there"


def make_folder(path: Path) -> None:
    """The folder and those above it; each new one is on the disk, not only in memory, when this returns."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """What a file holds, or the names in a folder, put on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
