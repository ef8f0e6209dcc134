"""What a run remembers while it goes through the tables: outcomes, and which periods are held back, and why.

A run launched from here brings its own Record and reads it afterwards; one launched from the UI gets a fresh one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from dci_pipeline.periods import Period
from dci_pipeline.refresh import Progress, Report
from dci_pipeline.work import Key, Outcome, Step


@dataclass
class Record:
    """One refresh as it goes on; its report names the periods held back, and why."""

    progress: Progress | None = None
    report: Report = field(default_factory=Report)
    error: Exception | None = None
    # What was made in other processes before its step came to it.
    made_elsewhere: set[tuple[Key, Period | None]] = field(default_factory=set[tuple[Key, "Period | None"]])

    def begins(self, step: Step, period: Period | None) -> None:
        if self.progress:
            self.progress(step, period, None)

    def ends(self, step: Step, outcome: Outcome) -> Outcome:
        """The outcome as it stands for the run as a whole."""
        if outcome.state == "unchanged" and (step.key, outcome.period) in self.made_elsewhere:
            outcome = replace(outcome, state="written")
        self.report.outcomes.append(outcome)
        if self.progress:
            self.progress(step, outcome.period, outcome)
        return outcome

    def hold(self, period: Period | None, reason: str) -> None:
        """The period is held back; the first reason is the one that counts."""
        if period is not None:
            self.report.held.setdefault(period, reason)

    def why_held(self, period: Period | None) -> str | None:
        """Why a period is held back at an earlier table, or None when it is not."""
        return self.report.held.get(period) if period is not None else None


_brought: ContextVar[Record | None] = ContextVar("record", default=None)
_by_run: dict[str, Record] = {}


@contextmanager
def bring(record: Record) -> Iterator[Record]:
    """Runs inside the block report to `record`."""
    token = _brought.set(record)
    try:
        yield record
    finally:
        _brought.reset(token)


def record_of(run_id: str) -> Record:
    """The record of a run: the one brought along, else one of its own, kept until the process turns to another run."""
    brought = _brought.get()
    if brought is not None:
        return brought
    if run_id not in _by_run:
        _by_run.clear()
        _by_run[run_id] = Record()
    return _by_run[run_id]
