"""What a contract says, in the few facts the pipeline works with: columns, key, file form, partners, rules, thresholds.

Holds no reading: `contract_files` makes these from Open Data Contract Standard files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from dci_pipeline import periods
from dci_pipeline.findings import Held
from dci_pipeline.periods import Period


@dataclass(frozen=True)
class Column:
    """One column of a feed: its name here, its name in the partner's file, its type and its limits."""

    name: str
    type: str
    role: str
    source: str
    required: bool = False
    minimum: int | float | None = None
    maximum: int | float | None = None
    pattern: str | None = None
    format: str | None = None
    values: tuple[str, ...] = ()
    multiplier: int | None = None
    rounds: bool = False
    collected_since: str | None = None
    unit: str = ""
    label: str = ""
    description: str = ""
    parts: tuple[str, ...] = ()
    separator: str = ""

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns of the partner's file it is read from: one, or the parts that are joined by the separator."""
        return self.parts or (self.source,)


@dataclass(frozen=True)
class Rule:
    """One rule of a contract: `id` stands in quarantine, counts and checks; `threshold` is a percentage of rows."""

    id: str
    kind: str
    column: str
    threshold: float
    severity: str
    says: str


@dataclass(frozen=True)
class Threshold:
    """A limit in per cent, and what passing it means: an upper one for rules, a lower one for coverage."""

    percent: float
    severity: str


@dataclass(frozen=True)
class FeedContract:
    """What a partner promises to send for one feed, from `valid_from` on."""

    index: str
    feed: str
    version: str
    valid_from: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    rules: tuple[Rule, ...]
    partners: Mapping[str, Mapping[str, str]]
    file_names: Mapping[str, str]
    encoding: str
    delimiter: str
    max_bytes: int
    expected_day: int
    absent_row: str
    row_filter: Mapping[str, str]
    ignored: tuple[str, ...]
    disclosure: Mapping[str, str]
    public_totals: tuple[str, ...]
    coverage: Threshold
    completeness: Threshold
    sha256: str
    description: str
    where: str = field(default="", compare=False)

    @cached_property
    def by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    def role(self, role: str) -> Column | None:
        """The column that plays `role`, or None; for roles that one column plays."""
        return next((column for column in self.columns if column.role == role), None)

    def roles(self, role: str) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.role == role)

    @property
    def place(self) -> Column:
        column = self.role("place")
        assert column is not None
        return column

    @property
    def file_columns(self) -> tuple[str, ...]:
        """Every column name a partner's file has: those kept, those filtered on, those known and ignored."""
        names = [name for column in self.columns for name in column.sources]
        names += [*self.row_filter, *self.ignored]
        return tuple(dict.fromkeys(names))

    @cached_property
    def reading(self) -> str:
        """Twelve digits of a hash over all that typed rows depend on; a changed threshold or partner is none of it."""
        columns = [
            (
                column.name,
                column.type,
                column.sources,
                column.separator,
                column.format,
                column.multiplier,
                column.rounds,
                column.collected_since,
                column.role == "period",
            )
            for column in self.columns
        ]
        form = [columns, self.encoding, self.delimiter, sorted(self.row_filter.items())]
        return hashlib.sha256(json.dumps(form, ensure_ascii=False).encode()).hexdigest()[:12]

    def starts_by(self, period: Period) -> bool:
        """Whether it is in force in `period`, but for later versions. Without `valid_from` it always was."""
        if not self.valid_from:
            return True
        return periods.parse(self.valid_from, period.cadence, where=f"{self.where} validFrom").start <= period.start


@dataclass(frozen=True)
class Versions:
    """The versions of one feed's contract, oldest first: each is in force until the next one's `valid_from`."""

    of: tuple[FeedContract, ...]

    @property
    def newest(self) -> FeedContract:
        return self.of[-1]

    @cached_property
    def partners(self) -> tuple[str, ...]:
        """Every partner that any version names, in the order in which they came."""
        return tuple(dict.fromkeys(partner for contract in self.of for partner in contract.partners))

    def in_force(self, period: Period) -> FeedContract | None:
        """The version in force in a period, or None before the first."""
        return next((contract for contract in reversed(self.of) if contract.starts_by(period)), None)

    def at(self, period: Period) -> FeedContract:
        """The version in force in a period. Raises Held before the first."""
        found = self.in_force(period)
        if found is None:
            first = self.of[0]
            raise Held(
                "no contract is in force yet",
                where=f"{first.feed} {period}",
                found=f"the first version is valid from {first.valid_from}",
                expected=f"a version valid from {period} or before",
                todo=f"leave the period out, or set validFrom of {first.where} to an earlier one",
            )
        return found

    def after(self, contract: FeedContract) -> FeedContract | None:
        """The version that takes over from this one, or None for the newest."""
        at = self.of.index(contract) + 1
        return self.of[at] if at < len(self.of) else None


@dataclass(frozen=True)
class TableColumn:
    """One column of a published table."""

    name: str
    type: str
    description: str
    label: str
    unit: str
    key: bool
    required: bool


@dataclass(frozen=True)
class TableContract:
    """What a published table promises to an analyst."""

    index: str
    table: str
    version: str
    description: str
    label: str
    columns: tuple[TableColumn, ...]
    sha256: str
    # The three parts of the description, and what one row is.
    purpose: str = ""
    usage: str = ""
    limitations: str = ""
    grain: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.key)
