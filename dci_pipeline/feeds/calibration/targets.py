"""Printed facts as linear conditions on the cells of a table: which fact becomes which is in `shapes` and `ranks`.

A condition may be missed at a price (see `solve`), so what cannot be had is found by solving, not by argument.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dci_pipeline.feeds.calibration.collected import Collected
from dci_pipeline.feeds.calibration.facts import Fact
from dci_pipeline.feeds.calibration.ranks import read_growth_ranks, read_ranks
from dci_pipeline.feeds.calibration.reading import Subject
from dci_pipeline.feeds.calibration.shapes import SHAPES

RANKS = ("rank", "total_rank", "mean_rank", "rank_change")


def read(into: Collected, facts: Iterable[Fact]) -> None:
    """Turn every fact this table can hold into conditions; the others go to `unread`."""
    ranked: list[Fact] = []
    growths: list[Fact] = []
    single: list[tuple[Fact, Subject]] = []
    grown: dict[tuple[str, str, str], Fact] = {}
    for fact in facts:
        if f"{fact.exhibit} {fact.entity} {fact.measure}" in into.reading.settings.get("contradicted", ()):
            continue
        about = into.reading.find(fact)
        if about is None and fact.entity in into.reading.settings.get("tops", {}):
            about = Subject(fact.subject, np.arange(0))
        if fact.exhibit in into.reading.settings.get("skip", {}).get(fact.measure, ()):
            continue
        if about is None:
            into.unread.append(fact)
        elif fact.measure in RANKS and fact.bound != "lower":
            ranked.append(fact)
        elif fact.measure == "growth_rank":
            growths.append(fact)
        else:
            single.append((fact, about))
    # The order of rank lists first: what depends on who is largest reads the prior in that order.
    read_ranks(into, ranked)
    for fact, about in single:
        if not _one(into, fact, about):
            into.unread.append(fact)
        elif fact.measure == "yoy_growth" and fact.bound == "exact":
            grown[fact.subject, fact.entity, fact.period] = fact
    read_growth_ranks(into, growths, grown)


def _one(into: Collected, fact: Fact, about: Subject) -> bool:
    shape = SHAPES.get(fact.measure)
    return shape is not None and shape(into, fact, about)
