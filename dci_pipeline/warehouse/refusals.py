"""What is refused of a partner's file as a whole: no file, no such partner, dates of another period, another's rows.

Landing and a partner's own check ask the same here. Faults of single rows are the validation's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from dci_pipeline.contracts import FeedContract
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period

_FEW = 3


def refuse_unexpected_partner(partner: str, contract: FeedContract) -> None:
    """Raise Finding unless the contract expects this partner."""
    if partner not in contract.partners:
        raise Finding(
            "a partner the contract does not expect",
            where=f"{contract.index}/{contract.feed}",
            found=partner,
            expected="one of " + ", ".join(contract.partners),
            todo="check --partner and the files' partner column, or add the partner to the contract",
        )


def refuse_no_file(path: Path) -> None:
    """Raise Finding unless there is a file at `path`."""
    if path.is_file():
        return
    there = path.exists()
    raise Finding(
        "not a file" if there else "no such file",
        where=str(path),
        found="a directory" if path.is_dir() else "no ordinary file" if there else "nothing",
        expected="a file",
        todo="name the files in it one by one" if path.is_dir() else "check the path",
    )


def refuse_wrong_period(name: str, tally: dict[str, Any], contract: FeedContract, period: Period | None) -> None:
    """Raise Finding when a file has dates and not one of them lies in the period it was sent for."""
    if period is None or not tally.get("dated") or tally.get("inside"):
        return
    raise Finding(
        f"dates of another {period.cadence}",
        where=name,
        found=f"{tally['first']} to {tally['last']} in column {tally['column']}",
        expected=f"{period.start} to before {period.end} ({period})",
        todo=f"send the file for {period}, or give the {period.cadence} it is for",
    )


def tally_dates(tally: dict[str, Any], frame: pl.DataFrame, contract: FeedContract, period: Period | None) -> None:
    """Count into `tally` how many dates of a batch lie inside the period, and their range."""
    column = contract.role("date")
    if column is None or period is None:
        return
    dates = frame[column.name].drop_nulls()
    if dates.is_empty():
        return
    tally["column"] = column.name
    tally["dated"] = tally.get("dated", 0) + dates.len()
    first: Any = dates.min()
    last: Any = dates.max()
    whole = period.start <= first and last < period.end
    inside = dates.len() if whole else int(((dates >= period.start) & (dates < period.end)).sum())
    tally["inside"] = tally.get("inside", 0) + inside
    tally["first"] = min(tally.get("first", first), first)
    tally["last"] = max(tally.get("last", last), last)


def refuse_wrong_partner(name: str, tally: dict[str, Any], contract: FeedContract, partner: str) -> None:
    """Raise Finding when a file names partners and not one of its rows is of the one it was sent for."""
    column, found = contract.role("partner"), tally.get("partners", {})
    if column is None or not found or partner in found:
        return
    few = ", ".join(list(found)[:_FEW])
    raise Finding(
        "rows of another partner",
        where=name,
        found=f"{few}{', …' if len(found) > _FEW else ''} in column {column.source}",
        expected=partner,
        todo=f"send the file of {partner}, or give the partner it is of",
    )


def tally_partners(tally: dict[str, Any], frame: pl.DataFrame, contract: FeedContract) -> None:
    """Note in `tally` which partners the rows of a batch name, in order of appearance."""
    column = contract.role("partner")
    if column is not None:
        names = frame[column.name].drop_nulls()
        # Nearly always one name throughout: only where it changes is there anything to look up.
        names = names.filter(names.ne_missing(names.shift())).unique(maintain_order=True).cast(pl.String)
        tally.setdefault("partners", {}).update(dict.fromkeys(names))
