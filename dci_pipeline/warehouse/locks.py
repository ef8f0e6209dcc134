"""Locks that serialise equal work and do not outlive a killed holder: the kernel lets go of them with the process.

No process waits for a lock while it holds one that others may wait for, so none can wait for each other. One that is
asked for without waiting counts not: nobody waits for it. Processes of several machines are
serialised where the disk passes locks on, as NFS 4 does; a disk without any is refused. On object storage a lock is a
lease.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from dci_pipeline.findings import Conflict, Unfit
from dci_pipeline.warehouse.disk import refusals
from dci_pipeline.warehouse.objects import ObjectPath

_POLL_SECONDS = 0.05
_held: ContextVar[str | None] = ContextVar("held", default=None)


@contextmanager
def lock(folder: Path, name: str, *, wait_seconds: float = 600.0) -> Iterator[None]:
    """Hold the lock `name` while the block runs. Raises Conflict when another process keeps it past `wait_seconds`."""
    if wait_seconds and (other := _held.get()) is not None:
        raise RuntimeError(f"lock {name} asked for while {other} is held: two processes could wait for each other")
    path = folder / (name.replace("/", "-") + ".lock")
    with _lease(path, wait_seconds) if isinstance(path, ObjectPath) else _flock(path, wait_seconds) as taken:
        if not taken:
            raise Conflict(
                "another process is doing this work",
                where=name,
                found=f"lock held for {wait_seconds:g} s{_holder(path)}",
                expected="the lock to be free",
                todo="wait for the other run, then start again",
            )
        token = _held.set(name if wait_seconds else _held.get())
        try:
            yield
        finally:
            _held.reset(token)


@contextmanager
def _flock(path: Path, wait_seconds: float) -> Iterator[bool]:
    with refusals(path.parent.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _acquire(path, time.monotonic() + wait_seconds)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            os.close(handle)


def _lease(path: ObjectPath, wait_seconds: float) -> AbstractContextManager[bool]:
    from dci_pipeline.warehouse.leases import lease

    return lease(path, wait_seconds=wait_seconds)


def remove_unheld(folder: Path) -> list[Path]:
    """Take away lock files that nobody holds; one who waits for such a file notices and makes it again."""
    gone: list[Path] = []
    for path in unheld(folder):
        handle = _try(path)
        if handle is not None:
            path.unlink()
            os.close(handle)
            gone.append(path)
    return gone


def unheld(folder: Path) -> list[Path]:
    """Lock files that nobody holds now."""
    found: list[Path] = []
    for path in sorted(folder.glob("*.lock")):
        handle = _try(path)
        if handle is not None:
            os.close(handle)
            found.append(path)
    return found


def _acquire(path: Path, until: float) -> int | None:
    while True:
        handle = _try(path)
        if handle is not None:
            # For the person who asks who holds it; nothing reads it but the message.
            with suppress(OSError):
                os.truncate(handle, 0)
                os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
            return handle
        if time.monotonic() > until:
            return None
        time.sleep(_POLL_SECONDS)


def _try(path: Path) -> int | None:
    """The lock file, open and locked; None when another holds it or it has been taken away meanwhile."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_nlink:
            return handle
    except BlockingIOError:
        pass
    except OSError as error:
        os.close(handle)
        raise Unfit(
            "a disk without locks",
            where=str(path.parent),
            found=str(error),
            expected="a file system with flock: any local one, or NFS 4",
            todo="set DCI_WAREHOUSE to a folder on such a disk",
        ) from error
    os.close(handle)
    return None


def _holder(path: Path) -> str:
    if isinstance(path, ObjectPath):
        from dci_pipeline.warehouse.leases import holder

        return f", now by {holder(path)}"
    try:
        return f", now by {path.read_text(encoding='utf-8')}"
    except (OSError, UnicodeDecodeError):
        return ""
