"""What is published, as it would be if the index had been computed up to an earlier period and no further.

A half-year or year that has gone on since is made again of the periods up to that one. The reference of a link may lie
later: it is part of the method, and stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from dci_pipeline.findings import Held
from dci_pipeline.path import path
from dci_pipeline.periods import Period
from dci_pipeline.plan import Partition, scope
from dci_pipeline.retrying import run_step
from dci_pipeline.work import Step, Work

# What a reference is computed from; later stages have nothing of the periods that only a reference needs.
_REFERRED = ("feeds", "validation", "indicators", "normalise")


def up_to(work: Work, step: Step, periods: Sequence[Period], last: Period) -> list[Partition]:
    """The partitions of a step that a state up to `last` has; `periods` are those up to it and of the references."""
    found = scope(work.framework, step, periods)
    if step.scope == "year":
        return [item for item in found if item is not None and item.start <= last.start]
    if step.scope != "period" or step.key[0] in _REFERRED:
        return found
    return [item for item in found if item is not None and item <= last]


@contextmanager
def until(
    work: Work, last: Period, periods: Sequence[Period], *, progress: Callable[[str], None] = lambda _: None
) -> Iterator[Work]:
    """The work whose warehouse ends with `last`: itself when nothing later is there, else one apart from it.

    The one apart is gone when the block ends. `periods`: as for `up_to`, each computed and up to date.
    """
    from dci_pipeline.warehouse import apart, windows

    newest = windows.newest(work.warehouse, work.framework)
    if newest is None or newest <= last:
        yield work
        return
    steps = [step for step in path(work.framework) if step.scope in ("period", "year")]
    with apart.apart(work.warehouse.layout, [last.key], tables=sorted(work.framework.tables)) as roots:
        ended = Work(replace(work.settings, warehouse=roots[0]), work.index)
        for step in steps:
            apart.drop_others(ended.warehouse, step.key, up_to(ended, step, periods, last))
        for step in steps:
            if step.scope == "year":
                progress(f"{step.key[1]} up to {last}")
                # The years before say the same, and are not computed again.
                try:
                    run_step(step, ended, last.year(), say=lambda fault: None)
                except Held:
                    apart.drop(ended.warehouse, step.key, last.year())
        yield ended
