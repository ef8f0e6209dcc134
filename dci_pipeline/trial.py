"""A definition of an index tried out: its levels, ranks and effective weights on the feeds there are, never published.

What this definition holds back is taken out of the warehouse it is tried in: nothing that another one made counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dci_pipeline.findings import Held
from dci_pipeline.path import path
from dci_pipeline.periods import Period
from dci_pipeline.plan import Partition, scope
from dci_pipeline.retrying import run_step
from dci_pipeline.work import Key, Step, Work

if TYPE_CHECKING:
    import polars as pl

LEVELS, WEIGHTS = "index_year", "effective_weights_year"
TABLES = (LEVELS, WEIGHTS)
# Their slices are asked for by delivery and contract, and are what they say whoever made them.
_BY_PARTNER = ("feeds", "validation")

Told = Callable[[Step, Partition], None]


@dataclass
class Trial:
    """What a definition comes to by year; `held` says why a period is not in it, `computed` which tables were made."""

    levels: pl.DataFrame
    weights: pl.DataFrame
    held: dict[Partition, str] = field(default_factory=dict[Partition, str])
    computed: dict[Key, int] = field(default_factory=dict[Key, int])


def tried(
    work: Work, periods: Sequence[Period], years: Sequence[Period], *, told: Told = lambda step, partition: None
) -> Trial:
    """Computes what is out of date of `periods`, and of the two tables those years that can be published.

    `work` is on a warehouse of its own (`warehouse.apart`), which keeps nothing else.

    Raises Finding when none of the years can be, with the reason of the first period that was held back.
    """
    from dci_pipeline.warehouse import apart

    dry, held, computed = work.as_dry(), dict[Partition, str](), dict[Key, int]()
    for step in _needed(work):
        partitions: Sequence[Partition] = years if step.scope == "year" else scope(work.framework, step, periods)
        if step.key[0] not in _BY_PARTNER:
            apart.drop_others(work.warehouse, step.key, partitions)
        for partition in [None] if step.scope == "link" else partitions:
            try:
                if step.run(dry, partition).state != "stale":
                    continue
                told(step, partition)
                if step.scope == "link":
                    apart.drop_others(work.warehouse, step.key, ())
                run_step(step, work, partition, say=lambda fault: None)
                computed[step.key] = computed.get(step.key, 0) + 1
            except Held as reason:
                held.setdefault(partition, str(reason))
                if step.key[0] not in _BY_PARTNER:
                    apart.drop(work.warehouse, step.key, partition)
    return Trial(_rows(work, LEVELS, years, held), _rows(work, WEIGHTS, years, held), held, computed)


def _needed(work: Work) -> list[Step]:
    """The steps that the two tables rest on, in the order of the path, and those of the tables."""
    steps = path(work.framework)
    needed: set[Key] = {("marts", name) for name in TABLES}
    for step in reversed(steps):
        if step.key in needed:
            needed |= {key for key, _ in step.reads}
    return [step for step in steps if step.key in needed]


def _rows(work: Work, table: str, years: Sequence[Period], held: dict[Partition, str]) -> pl.DataFrame:
    work.framework.table(table)
    there = work.warehouse.existing("marts", table, [year for year in years if year not in held])
    if not there:
        raise Held(
            "no year can be computed",
            where=f"{work.index} {years[0]} to {years[-1]}" if years else work.index,
            found=next(iter(held.values()), "no period with every delivery"),
            expected="at least one period of a year",
            todo=f"dci run --index {work.index} --dry-run says what waits for what",
        )
    return work.warehouse.read("marts", table, there)
