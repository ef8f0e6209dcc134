"""Which columns a file must have, and what is said when it has others or nothing below them."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence

from dci_pipeline.contracts import FeedContract
from dci_pipeline.findings import Finding


def kept(contract: FeedContract) -> list[str]:
    """The file's columns that are read: those of the contract and those it filters rows on."""
    names = [name for column in contract.columns for name in column.sources]
    return list(dict.fromkeys([*names, *contract.row_filter]))


def check_columns(found: Sequence[str], *, name: str, contract: FeedContract) -> list[str]:
    """The columns to read, once the file is seen to have them. Raises one Finding for all that is wrong in a header."""
    wanted = kept(contract)
    known = set(contract.file_columns)
    missing = [column for column in wanted if column not in found]
    unknown = [column for column in found if column not in known]
    doubled = sorted(column for column, times in Counter(found).items() if times > 1)
    if not (missing or unknown or doubled):
        return wanted
    says = [
        f"{what} {', '.join(map(repr, columns))}"
        for what, columns in (("missing column", missing), ("unknown column", unknown), ("repeated column", doubled))
        if columns
    ]
    likely = {column: difflib.get_close_matches(column, unknown, n=1, cutoff=0.6) for column in missing}
    hints = [f"{near[0]!r} may be meant as {column!r}" for column, near in likely.items() if near]
    if len(found) == 1 and missing:
        hints += [
            f"the separator may be {sign!r} and not {contract.delimiter!r}"
            for sign in (",", ";", "\t", "|")
            if sign != contract.delimiter and sign in found[0]
        ]
    raise Finding(
        "; ".join(says)[:2000],
        where=name,
        found=", ".join(found)[:2000],
        expected=", ".join(contract.file_columns),
        todo="; ".join([*hints, "ask the partner, or give the contract a new version if files have changed"]),
    )


def no_rows(name: str, found: str) -> Finding:
    """The Finding for a file without records."""
    return Finding(
        "no rows",
        where=name,
        found=found,
        expected="at least one record",
        todo="ask the partner; a partner without data for the period sends no file",
    )
