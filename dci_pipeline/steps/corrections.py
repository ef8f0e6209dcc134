"""The corrections of an index held against the current deliveries: which wait, which fit, which no longer do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dci_pipeline.corrections import Correction
from dci_pipeline.findings import Held
from dci_pipeline.periods import Period
from dci_pipeline.steps.feeds import arrived
from dci_pipeline.steps.scanning import slice_is_fresh
from dci_pipeline.validation.corrections import corrected
from dci_pipeline.warehouse.retyping import typed_under
from dci_pipeline.work import Work

WITHDRAWN, WAITS, HOLDS, FAILS = "withdrawn", "waits for a delivery", "holds", "does not hold"


@dataclass(frozen=True)
class Look:
    """One correction in one period: the state of its guard, what was found, and whether the sums rest on it."""

    correction: Correction
    period: Period
    state: str
    found: str
    in_sums: bool


def look(work: Work) -> Iterator[Look]:
    """Every correction × period in the order of file and period. A guard after one that fails is not looked at."""
    for feed, corrections in sorted(work.framework.corrections.items()):
        for correction in corrections:
            for period in sorted(correction.expect):
                yield _look(work, feed, correction, period)


def _look(work: Work, feed: str, correction: Correction, period: Period) -> Look:
    if not correction.active:
        return Look(correction, period, WITHDRAWN, f"since {correction.since}: {correction.reason}", False)
    delivery = arrived(work, period, feed).get(correction.partner)
    if delivery is None:
        return Look(correction, period, WAITS, "", False)
    contract = work.framework.contract(feed, period)
    mine = work.framework.corrections_of(feed, period, correction.partner)
    # Each guard sees what the corrections before it left.
    before = mine[: mine.index(correction) + 1]
    try:
        with work.warehouse.scratch() as scratch, work.engine(scratch, rows=delivery.rows) as engine:
            made = typed_under(delivery, contract, cadence=work.framework.cadence, scratch=scratch)
            typed = work.warehouse.local(made, scratch)
            corrected(engine, engine.scan([typed]), before, contract=contract, period=period)
    except Held as held:
        return Look(correction, period, FAILS, f"{held.where}: {held.found}; expected {held.expected}", False)
    rows = f"{correction.expect[period].rows:,} rows"
    return Look(correction, period, HOLDS, rows, slice_is_fresh(work, period, feed, delivery))
