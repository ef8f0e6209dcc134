"""Leases: the lock of a warehouse on object storage, which processes of several machines share.

A lease is an object that its holder makes where there is none and renews by writing it anew; both are conditional
writes, so one of two wins. Who waits takes over a lease that has not been renewed for as long as a lease lasts, by its
own clock alone, or at once when by the store's clock it is half as old again: clocks of machines are not compared. A
holder that could not renew in time must not write any more: `refuse_lapsed` is asked before every write. What was sent
just before may still arrive, as with any lease.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from dci_pipeline.findings import Conflict, Finding
from dci_pipeline.warehouse.objects import ObjectPath

# A holder stops writing well before anybody may take over.
LASTS, WRITES, RENEWED = 30.0, 20.0, 5.0
_POLL = 0.5
# Who does not wait, or comes long after the holder was killed, asks the store how old a lease is.
_OLD = 1.5


class Lease:
    """One lease held by this process, renewed by a thread of its own while it is held."""

    def __init__(self, path: ObjectPath, token: str, etag: str, since: float):
        self.path, self.token, self.etag, self.since = path, token, etag, since
        self.lost = False
        self.trouble = "this process stood still"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True, name=f"lease {path.name}")
        self._thread.start()

    def _renew(self) -> None:
        number = 0
        while not self._stop.wait(RENEWED):
            number += 1
            asked = time.monotonic()
            try:
                etag = self.path.put(_said(self.token, number), instead_of=self.etag)
            except Finding as finding:
                # Not renewed: past its time nothing is written any more, and why is said then.
                self.trouble = finding.problem
                continue
            if etag is None:
                self.lost = True
                return
            self.etag, self.since = etag, asked

    def release(self) -> None:
        self._stop.set()
        self._thread.join()
        # Only one's own: in place of it first, so that a lease somebody else has taken over is left alone.
        if not self.lost:
            with suppress(Finding):
                if self.path.put(b"{}", instead_of=self.etag) is not None:
                    self.path.unlink()

    @property
    def lapsed(self) -> bool:
        return self.lost or time.monotonic() - self.since > WRITES


_lease: ContextVar[Lease | None] = ContextVar("lease", default=None)


@contextmanager
def lease(path: ObjectPath, *, wait_seconds: float) -> Iterator[bool]:
    """Hold the lease while the block runs; False when somebody keeps it past `wait_seconds`."""
    taken = _acquire(path, wait_seconds)
    if taken is None:
        yield False
        return
    token = _lease.set(taken)
    try:
        yield True
    finally:
        _lease.reset(token)
        taken.release()


def refuse_lapsed() -> None:
    """Raises Conflict when this process holds a lease that others may have taken over by now."""
    held = _lease.get()
    if held is not None and held.lapsed:
        raise Conflict(
            "the lease on this work has lapsed",
            where=str(held.path),
            found="another process took it over" if held.lost else f"not renewed in time: {held.trouble}",
            expected=f"a renewal within {WRITES:g} s",
            todo="run the same again: nothing was written after it lapsed",
        )


def holder(path: ObjectPath) -> str:
    """Who holds a lease, for the person who asks."""
    try:
        return str(json.loads(path.read_bytes())["holder"])
    except (OSError, ValueError, KeyError, Finding):
        return ""


def _acquire(path: ObjectPath, wait_seconds: float) -> Lease | None:
    until, token = time.monotonic() + wait_seconds, secrets.token_hex(16)
    seen: tuple[str, float] | None = None
    while True:
        asked = time.monotonic()
        etag = path.put(_said(token, 0), new=True)
        if etag is None:
            with suppress(FileNotFoundError):
                found = path.head()["e_tag"]
                first, now = seen is None, time.monotonic()
                if seen is None or seen[0] != found:
                    seen = (found, now)
                if now - seen[1] > LASTS or (first and _age(path, token) > _OLD * LASTS):
                    asked = time.monotonic()
                    etag = path.put(_said(token, 0), instead_of=found)
        if etag is not None:
            return Lease(path, token, etag, asked)
        if time.monotonic() > until:
            return None
        time.sleep(_POLL)


def _age(path: ObjectPath, token: str) -> float:
    """Seconds since a lease was renewed, both ends by the store's own clock."""
    probe = path.with_name(f"{token}.clock")
    probe.put(b"")
    try:
        return (probe.head()["last_modified"] - path.head()["last_modified"]).total_seconds()
    finally:
        probe.unlink()


def _said(token: str, number: int) -> bytes:
    said = {"holder": f"process {os.getpid()} on {socket.gethostname()}", "token": token, "renewed": number}
    return json.dumps(said).encode()
