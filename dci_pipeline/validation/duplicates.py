"""Rows that share a key: the keys are found first, rows compared only where a key repeats.

Over all rows whose key has no null. If every contract column agrees, the row first in (file, file_row) stays and the
others break key.unique; if any column differs, all of them do.
"""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw

from dci_pipeline.contracts import FeedContract
from dci_pipeline.validation.flags import ALL, combined
from dci_pipeline.validation.stretches import Engine, key_ranges

# A row's place in the delivery as one number: no part file has 2^40 records.
POSITION: nw.Expr = nw.col("file").cast(nw.Int64) * (1 << 40) + nw.col("file_row")


def repeated_keys(engine: Engine, lazy: nw.LazyFrame[Any], contract: FeedContract) -> nw.LazyFrame[Any] | None:
    """[key columns, _agree, _first] of keys that more than one row has, or None when no key repeats."""
    key = list(contract.key)
    keyed = lazy.filter(*[~nw.col(name).is_null() for name in key])
    found: list[nw.LazyFrame[Any]] = []
    for part in key_ranges(engine, keyed, key):
        # One pass finds the repeated keys; whole rows are compared only for these. A cheaper count of distinct keys
        # first would save a third of it for a delivery without repeats and cost two thirds more for one with.
        counted = part.group_by(*key).agg(nw.len().alias("_rows"))
        repeated = engine.keep([counted.filter(nw.col("_rows") > 1).select(*key)])
        if repeated is not None:
            found.append(_compared(part.join(repeated, on=key, how="semi"), contract))
    return engine.keep(found) if found else None


def _compared(rows: nw.LazyFrame[Any], contract: FeedContract) -> nw.LazyFrame[Any]:
    """[key columns, _agree, _first] of rows that share their keys."""
    key = list(contract.key)
    others = [column for column in contract.columns if column.name not in key]
    facts: list[nw.Expr] = [nw.len().alias("_rows"), POSITION.min().alias("_first")]
    agree: list[nw.Expr] = []
    for number, column in enumerate(others):
        value, low, high, given = nw.col(column.name), f"_low{number}", f"_high{number}", f"_given{number}"
        facts += [value.min().alias(low), value.max().alias(high), value.count().alias(given)]
        same = (nw.col(given) == nw.col("_rows")) & (nw.col(low) == nw.col(high))
        if column.type == "number":
            # min and max may pass over NaN, so a mix of NaN and numbers has to be looked for.
            facts.append(value.is_nan().cast(nw.Int64).sum().alias(f"_nan{number}"))
            same = same & ((nw.col(f"_nan{number}") == 0) | (nw.col(f"_nan{number}") == nw.col("_rows")))
        agree.append((nw.col(given) == 0) | same.fill_null(False))
    compared = rows.group_by(*key).agg(*facts)
    alike = combined(ALL, agree) if agree else nw.col("_rows") > 0
    return compared.select(*key, alike.alias("_agree"), "_first")
