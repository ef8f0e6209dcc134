"""The rules a feed's contract implies, one per promise, each with its threshold: what validation counts and judges.

A rule's id is its column and kind; it stands in counts, quarantine, verdicts and faults alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dci_pipeline.contracts import Column, Rule, Threshold


def rules(columns: tuple[Column, ...], limits: Mapping[str, Mapping[str, Any]], usual: Threshold) -> Iterable[Rule]:
    """The rules a contract implies, in the order in which they are counted and reported."""

    def rule(
        id_: str, kind: str, column: str, says: str, default: float | None = None, severity: str | None = None
    ) -> Rule:
        limit = limits.get(id_, {})
        threshold = limit.get("mustBeLessOrEqualTo", limit.get("mustBe", default))
        return Rule(
            id=id_,
            kind=kind,
            column=column,
            says=says,
            threshold=float(usual.percent if threshold is None else threshold),
            severity=str(limit.get("severity") or severity or usual.severity),
        )

    yield rule("row.shape", "shape", "", "a row has as many fields as the header")
    for column in columns:
        yield rule(f"{column.name}.type", "type", column.name, f"{column.name} reads as {column.type}")
    for column in columns:
        if column.required:
            yield rule(f"{column.name}.not_null", "not_null", column.name, f"{column.name} is given")
    for column in columns:
        if column.minimum is not None or column.maximum is not None:
            yield rule(
                f"{column.name}.range",
                "range",
                column.name,
                f"{column.name} lies in {column.minimum} … {column.maximum}",
            )
    for column in columns:
        if column.pattern:
            yield rule(f"{column.name}.pattern", "pattern", column.name, f"{column.name} matches {column.pattern}")
    for column in columns:
        if column.values:
            yield rule(
                f"{column.name}.one_of",
                "one_of",
                column.name,
                f"{column.name} is one of {len(column.values)} listed values",
            )
    for column in columns:
        if column.role == "partner":
            yield rule(f"{column.name}.matches", "partner", column.name, f"{column.name} is the delivery's partner")
        if column.role == "date":
            yield rule(f"{column.name}.in_period", "in_period", column.name, f"{column.name} lies in the period")
        if column.role == "place":
            yield rule(f"{column.name}.known", "known", column.name, f"{column.name} names one known place")
            yield rule(
                f"{column.name}.in_scope",
                "in_scope",
                column.name,
                f"{column.name} is a place of the index",
                100.0,
                "warning",
            )
    yield rule("key.unique", "unique", "", "no two rows share a key")
