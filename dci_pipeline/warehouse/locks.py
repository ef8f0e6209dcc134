"""Locks that serialise equal work and do not outlive a killed holder: the kernel lets go of them with the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dci_pipeline.findings import Conflict


@contextmanager
def lock(folder: Path, name: str, *, wait_seconds: float = 600.0) -> Iterator[None]:
    """Hold the lock `name` while the block runs. Raises Conflict when another process keeps it past `wait_seconds`."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name.replace("/", "-") + ".lock")
    try:
        with FileLock(str(path), timeout=wait_seconds):
            yield
    except Timeout as error:
        raise Conflict(
            "another process is doing this work",
            where=name,
            found=f"lock held for {wait_seconds:g} s",
            expected="the lock to be free",
            todo="wait for the other run, then start again",
        ) from error
