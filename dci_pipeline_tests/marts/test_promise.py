"""A published table keeps its contract's promise or is refused."""

from __future__ import annotations

import polars as pl
import pytest

from dci_pipeline.contracts import TableColumn, TableContract
from dci_pipeline.findings import Finding
from dci_pipeline.marts.promise import promised

CONTRACT = TableContract(
    index="i",
    table="t",
    version="1",
    description="",
    label="",
    sha256="",
    columns=(
        TableColumn("code", "string", "", "", "", key=True, required=True),
        TableColumn("value", "number", "", "", "", key=False, required=False),
    ),
)


def test_columns_come_in_the_contract_s_order_sorted_by_key() -> None:
    frame = promised(pl.DataFrame({"value": [1.0, None], "code": ["b", "a"]}), CONTRACT)
    assert frame.rows() == [("a", None), ("b", 1.0)]


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (pl.DataFrame({"code": ["a"]}), "missing: value"),
        (pl.DataFrame({"code": ["a"], "value": [1.0], "extra": [1]}), "not promised: extra"),
        (pl.DataFrame({"code": ["a"], "value": [1]}), "t.value: a column of another type"),
        (
            pl.DataFrame({"code": [None], "value": [1.0]}, schema_overrides={"code": pl.String}),
            "nulls in a required column",
        ),
        (pl.DataFrame({"code": ["a", "a"], "value": [1.0, 2.0]}), "rows that share a key"),
    ],
)
def test_a_broken_promise_is_refused(frame: pl.DataFrame, says: str) -> None:
    with pytest.raises(Finding, match=says):
        promised(frame, CONTRACT)
