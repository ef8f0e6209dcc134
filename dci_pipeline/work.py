"""One index being worked on: its framework, geography, warehouse and engine, and what steps say about their work.

Holds no logic of its own; steps load through it, call pure functions and commit through it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

from dci_pipeline.framework import Framework
from dci_pipeline.framework_files import read_framework
from dci_pipeline.periods import Period
from dci_pipeline.reads import Reading
from dci_pipeline.settings import Settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    import polars as pl

    from dci_pipeline.engines import Engine
    from dci_pipeline.geography import Geography
    from dci_pipeline.warehouse.store import Warehouse

Key = tuple[str, str]
Made = TypeVar("Made")


@dataclass(frozen=True)
class CheckResult:
    """One check of one period: passed or not, how hard it is, and the first offending rows."""

    name: str
    passed: bool
    severity: str
    says: str
    rows: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What a step did for one period.

    `state` is written, unchanged (nothing to do), same (recomputed, equal rows) or stale (out of date, in dry work).
    """

    key: Key
    period: Period | None
    state: str
    rows: int
    data_version: str
    checks: tuple[CheckResult, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """Failed checks that block."""
        return tuple(check for check in self.checks if not check.passed and check.severity == "error")


@dataclass(frozen=True)
class Step:
    """One table's step: where it stands in the path, how often it runs, what it reads.

    scope: 'period', 'year', 'link' (one partition for every link, made in one go) or 'once'. reads: (key, reading), as
    `reads` explains them.
    """

    key: Key
    scope: str
    run: Callable[[Work, Period | None], Outcome]
    reads: tuple[tuple[Key, Reading], ...]
    description: str
    checks: tuple[tuple[str, str], ...] = ()
    published: bool = False


class Work:
    """One index, opened once per process."""

    def __init__(self, settings: Settings, index: str, *, looking: bool = False):
        self.settings = settings
        self.index = index
        # Only looked at: contracts are read when asked for, nothing is checked, nothing may be committed.
        self.looking = looking
        # A dry piece of work finds out what is out of date and computes nothing: its outcomes say 'stale'.
        self.dry = False
        # Whether a period may be published, by what it is made of: every table of every later year asks again.
        self.checked: dict[tuple[object, ...], CheckResult] = {}
        # What a validated feed came to, by its verdicts: every table made of it asks whether it is fit.
        self.validated: dict[tuple[object, ...], Outcome] = {}
        self._made: dict[str, dict[object, object]] = {}

    def once(self, kind: str, key: object, make: Callable[[], Made], *, most: int = 1_000) -> Made:
        """What `make` returns, made once for a key that names all it is made of by content.

        Of each kind the `most` asked for last are kept: tables, and periods of a table, are made of the same things.
        """
        kept = self._made.setdefault(kind, {})
        found = kept.pop(key) if key in kept else make()
        while len(kept) >= most:
            kept.pop(next(iter(kept)))
        kept[key] = found  # asked for last, forgotten last
        return cast("Made", found)

    def as_dry(self) -> Work:
        """The same work, dry; what has been read already is not read again."""
        dry = copy.copy(self)
        dry.dry = True
        return dry

    @cached_property
    def framework(self) -> Framework:
        return read_framework(self.settings.contracts, self.index, whole=not self.looking)

    @cached_property
    def geography(self) -> Geography:
        from dci_pipeline.geography import read_geography

        derived = {entity.type: (entity.of[0], entity.of[1]) for entity in self.framework.group_types if entity.of}
        return read_geography(self.settings.contracts / self.index, derived=derived)

    @cached_property
    def warehouse(self) -> Warehouse:
        from dci_pipeline.warehouse.store import Warehouse

        return Warehouse(self.settings.warehouse, self.index)

    @property
    def engine_names(self) -> Sequence[str]:
        """The engines that may work at a slice."""
        from dci_pipeline import engines

        return engines.NAMES if self.settings.engine == engines.AUTO else [self.settings.engine]

    def engine_for(self, rows: int) -> str:
        """The name of the engine that works at so many rows."""
        from dci_pipeline import engines

        return engines.chosen(self.settings.engine, rows=rows, memory=self.settings.engine_memory)

    def engine(self, scratch: Path, *, rows: int) -> AbstractContextManager[Engine]:
        """The engine of the settings for so many rows, opened; `scratch` is a folder it may spill into."""
        from dci_pipeline import engines

        settings = self.settings
        return engines.engine(
            self.engine_for(rows),
            memory=settings.engine_memory,
            temp_directory=scratch,
            parameters=settings.engine_parameters,
        )

    @cached_property
    def types(self) -> pl.DataFrame:
        """[place, type, member Boolean] of every place, sorted."""
        import polars as pl

        members = {entity.type for entity in self.framework.place_types if entity.member}
        return self.geography.places.select(
            place="code", type="type", member=pl.col("type").is_in(sorted(members))
        ).sort("place")

    @property
    def ranked(self) -> list[str]:
        return [entity.type for entity in self.framework.entities if entity.ranked]

    @property
    def period_table(self) -> str:
        """Name of the index table of the index's own cadence."""
        return f"index_{self.framework.cadence}"

    @property
    def quality_table(self) -> str:
        return f"quality_{self.framework.cadence}"
