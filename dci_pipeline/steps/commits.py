"""What every step shares: naming its inputs by content, and committing unless the committed rows are up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import polars as pl

from dci_pipeline.data_files import content_hash
from dci_pipeline.findings import Conflict, Held
from dci_pipeline.periods import Period
from dci_pipeline.work import Outcome, Work

LOOK_BACK = 12
_FEW, _TRIES = 3, 10


class Overtaken(Conflict):
    """Another process has committed what this step read or writes: to be computed again, from what is there now."""


def latest(work: Work, step: Callable[[], Outcome]) -> Outcome:
    """The step's outcome over inputs that stayed as they were from first look to commit; called again when not.

    Raises Overtaken when other processes commit its inputs again and again.
    """
    for _ in range(_TRIES - 1):
        with work.warehouse.watching():
            try:
                return step()
            except Overtaken:
                continue
    with work.warehouse.watching():
        return step()


def commit(
    work: Work,
    key: tuple[str, str],
    period: Period | None,
    inputs: Mapping[str, str],
    contract: str,
    compute: Callable[[], pl.DataFrame],
) -> Outcome:
    """Commits what `compute` returns, unless the committed partition has this very stamp."""
    assert not work.looking, "an index opened to be looked at commits nothing"
    warehouse = work.warehouse
    stamp = warehouse.stamp(inputs, contract=content_hash(contract))
    if warehouse.fresh(*key, period, stamp):
        rows = -1 if work.dry else warehouse.rows(*key, period)
        return Outcome(key, period, "unchanged", rows, str(warehouse.data_version(*key, period)))
    if work.dry:
        return Outcome(key, period, "stale", -1, "")
    frame = compute()
    with warehouse.lock(f"{key[0]}-{key[1]}-{period or 'all'}"):
        # What these rows were computed from may be committed anew by now, and so may they, from newer inputs.
        if moved := warehouse.moved():
            raise Overtaken(
                "inputs changed while they were computed with",
                where=f"{work.index}/{key[0]}/{key[1]} {period or ''}".strip(),
                found=", ".join(path.parent.relative_to(warehouse.layout.home).as_posix() for path in moved[:_FEW]),
                expected="nobody else to commit them meanwhile",
                todo="wait for the other run, then start again",
            )
        done = warehouse.commit(*key, frame, stamp=stamp, period=period)
    return Outcome(key, period, "written" if done.changed else "same", done.rows, done.data_version)


def versions_of(work: Work, stage: str, table: str, periods: Iterable[Period]) -> dict[str, str]:
    """Data versions of committed partitions, as named inputs of a stamp. Raises Held when one is not there."""
    found: dict[str, str] = {}
    for period in periods:
        version = work.warehouse.data_version(stage, table, period)
        if version is None:
            raise Held(
                "an input is not computed",
                where=f"{stage}/{table} {period}",
                found="no partition",
                expected="a committed one",
                todo=f"dci run --index {work.index} --from {period} --to {period}",
            )
        found[f"{stage}/{table} {period}"] = version
    return found


def slice_versions(work: Work, stage: str, table: str, period: Period, partners: Iterable[str]) -> dict[str, str]:
    return {partner: str(work.warehouse.data_version(stage, table, period, partner=partner)) for partner in partners}


def last_existing(work: Work, stage: str, table: str, period: Period) -> Period | None:
    """The latest committed period before this one, at most a year back: whose carried shares go on."""
    for back in range(1, LOOK_BACK + 1):
        earlier = period.shift(-back)
        if work.warehouse.existing(stage, table, [earlier]):
            return earlier
    return None
