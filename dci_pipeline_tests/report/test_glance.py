"""A table at a glance: the slice that is shown, what is drawn of it, and its first rows in the report's words."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from dci_pipeline.report import drawing
from dci_pipeline.report.glance import Table, chart, first_rows, past_of, sliced

KEY = ("entity_type", "entity_code", "node", "month")
UNITS = {"points": "points", "rank": "rank", "growth_yoy": "fraction of 1", "rank_change": "ranks"}
TABLE = Table(
    KEY,
    UNITS,
    {"node": ["root"], "entity_type": ["town"]},
    {"t00": "甲|镇", "node:root": "The index", "nation:": "全国", "land:t00": "another t00"},
)


def month(at: int, *, towns: int = 30) -> pl.DataFrame:
    rows = [
        {
            "entity_type": kind,
            "entity_code": code,
            "node": node,
            "month": date(2019, at, 1),
            "points": float(level * at),
            "rank": rank,
            "growth_yoy": 0.5 - level / 100,
            "rank_change": rank - 3,
        }
        for node in ("leaf", "root")
        for kind, code, level, rank in (
            ("nation", "N", 1000, 1),
            *(("town", f"t{place:02}", 200 - place, place + 1) for place in range(towns)),
        )
    ]
    return pl.DataFrame(rows)


def panels(frame: pl.DataFrame, past: pl.DataFrame, table: Table = TABLE) -> list[dict[str, Any]]:
    spec = chart(frame, past, table)
    assert spec is not None
    assert drawing.svg(spec).startswith("<svg")
    return spec["hconcat"]


def values(panel: dict[str, Any]) -> list[dict[str, Any]]:
    return panel["data"]["values"]


def test_the_preferred_slice_is_shown() -> None:
    shown = sliced(month(3), TABLE)
    assert shown.entity == "entity_code"
    assert shown.limits == {"entity_type": "town", "node": "root", "month": date(2019, 3, 1)}
    assert shown.rows.height == shown.rows["entity_code"].n_unique() == 30


def test_what_is_not_measured_is_not_preferred() -> None:
    frame = month(3).with_columns(points=pl.when(pl.col("entity_type") == "nation").then("points"))
    assert sliced(frame, TABLE).limits["entity_type"] == "nation"


def test_many_are_spread_over_classes_that_hold_them_all() -> None:
    spread, trend, moved = panels(
        month(3), pl.concat([month(2), month(3)]).filter(past_of(sliced(month(3), TABLE), TABLE, month(3)))
    )
    assert sum(row["n"] for row in values(spread)) == 30
    assert [row["from"] for row in values(spread)[1:]] == [row["to"] for row in values(spread)[:-1]]
    assert values(trend) == [{"when": "2019-02", "value": 2000.0}, {"when": "2019-03", "value": 3000.0}]
    assert [row["name"] for row in values(moved)] == ["t29", "t28", "t27", "t26", "t03", "t02", "t01", "甲|镇"]


@pytest.mark.parametrize("levels", [[1.0, 10.0, 5000.0], [7.0] * 3, [-5.0, 0.0, 3.0]], ids=["far", "equal", "negative"])
def test_every_value_is_in_a_class_whatever_they_are(levels: list[float]) -> None:
    rows = pl.DataFrame({"entity_code": [f"c{at}" for at in range(15)], "points": levels * 5})
    table = Table(("entity_code",), {"points": "points"}, {}, {})
    (spread, *_) = panels(rows, rows.head(0), table)
    assert sum(row["n"] for row in values(spread)) == 15


def test_what_cannot_be_counted_is_left_out() -> None:
    rows = pl.DataFrame(
        {"entity_code": [f"c{at}" for at in range(15)], "points": [float("nan"), None, *range(13)]}, strict=False
    )
    (spread, *_) = panels(rows, rows.head(0), Table(("entity_code",), {"points": "points"}, {}, {}))
    assert sum(row["n"] for row in values(spread)) == 13


def test_a_few_are_bars_in_order() -> None:
    (bars, *_) = panels(month(3, towns=4), month(3).head(0))
    assert [row["value"] for row in values(bars)] == [600.0, 597.0, 594.0, 591.0]


def test_without_a_growth_they_are_compared_with_the_period_before() -> None:
    table = Table(KEY, {"points": "points"}, TABLE.preferred, {})
    now, before = month(3).filter(pl.col("entity_type") == "town"), month(2).filter(pl.col("entity_type") == "town")
    before = before.with_columns(points=pl.when(pl.col("entity_code") == "t05").then(1.0).otherwise("points"))
    past = pl.concat([before, now]).filter(past_of(sliced(now, table), table, now))
    *_, moved = panels(now, past, table)
    assert values(moved)[0] == {"name": "t05", "value": pytest.approx(195 * 3 / 1 - 1)}
    assert "sum" in panels(now, past, table)[1]["title"]


def test_a_table_without_numbers_is_counted() -> None:
    rows = pl.DataFrame({"alias": list("abcdefghijklmn"), "kind": ["x"] * 9 + ["y"] * 5})
    table = Table(("alias",), {}, {}, {"kind:x": "ex"})
    (bars,) = panels(rows, rows.head(0), table)
    assert values(bars) == [{"name": "ex", "value": 9}, {"name": "y", "value": 5}]
    assert first_rows(rows, table).splitlines()[:3] == ["| alias | kind |", "| --- | --- |", "| a | x |"]


def test_first_rows_are_the_leading_ones_in_the_report_s_words() -> None:
    lines = first_rows(month(3), TABLE).splitlines()
    assert lines[:3] == [
        "| entity_code | points | rank | growth_yoy | rank_change |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| 甲\\|镇 | 600.0 | 1 | −150.0\u00a0% | ▼2 |",
    ]
    assert len(lines) == 10


def test_nothing_is_nothing() -> None:
    empty = month(3).head(0)
    assert chart(empty, empty, TABLE) is None
    assert first_rows(empty, TABLE) == ""
