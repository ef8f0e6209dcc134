"""What a contract says, in the few facts the pipeline works with: columns, key, file form, partners, rules, thresholds.

Holds no reading: `contract_files` makes these from Open Data Contract Standard files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property


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

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.key)
