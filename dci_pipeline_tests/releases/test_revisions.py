"""Which kind of revision it is, which delivery it rests on, and what revisions come to on average."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from dci_pipeline.releases import revisions
from dci_pipeline.releases.diff import compare

KEY = ["entity_type", "entity_code", "node", "half"]
DAY = date(2020, 7, 15)


def table(points: list[float | None], status: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "entity_type": "town",
            "entity_code": ["a", "b", "c"],
            "node": "pay",
            "half": "2019H2",
            "points": points,
            "rank": [1, 2, 3],
            "obs_status": status,
        }
    )


def made(
    before: pl.DataFrame, after: pl.DataFrame, files: list[str], sent: list[tuple[str, date, str]]
) -> pl.DataFrame:
    return revisions.revisions(
        [compare("index_half", before, after, KEY, time="half")],
        release="2020-06",
        vintage=DAY,
        method_changes=[{"file": name} for name in files],
        deliveries=pl.DataFrame(sent, schema={"feed": pl.String, "start": pl.Date, "sha256": pl.String}, orient="row"),
        feeds={"pay": ["shop"]},
    )


BEFORE, AFTER = table([1.0, 2.0, 3.0], ["P", "A", "E"]), table([1.5, 2.5, 3.0], ["A", "A", "A"])


@pytest.mark.parametrize(
    ("files", "kinds"),
    [
        ([], ["R1", "R2"]),
        (["index.yaml"], ["R3", "R3"]),
        (["corrections/shop.yaml"], ["C", "C"]),
        (["corrections/shop.yaml", "weights/w.csv"], ["R3", "R3"]),
    ],
)
def test_the_kind_is_that_of_the_release_or_else_of_the_row(files: list[str], kinds: list[str]) -> None:
    rows = made(BEFORE, AFTER, files, [])
    assert rows.select("entity_code", "measure", "from", "to", "period").rows() == [
        ("a", "points", 1.0, 1.5, "2019H2"),
        ("b", "points", 2.0, 2.5, "2019H2"),
    ]
    assert rows["kind"].to_list() == kinds
    assert rows["delivery"].to_list() == [None, None]


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ([("shop", date(2019, 9, 1), "x"), ("shop", date(2019, 12, 1), "y"), ("shop", date(2020, 1, 1), "z")], "x y"),
        ([("shop", date(2018, 9, 1), "x"), ("web", date(2019, 9, 1), "y")], "x"),
        ([("web", date(2019, 9, 1), "y")], None),
    ],
)
def test_the_delivery_is_of_the_nodes_feeds_and_of_the_period_before_others(
    sent: list[tuple[str, date, str]], named: str | None
) -> None:
    assert set(made(BEFORE, AFTER, [], sent)["delivery"]) == {named}


def test_a_value_that_came_or_went_is_a_revision_and_counts_in_no_mean() -> None:
    rows = made(table([1.0, None, 3.0], ["A", "M", "A"]), table([None, 2.0, 4.0], ["M", "A", "A"]), [], [])
    assert rows.select("entity_code", "from", "to", "kind").rows() == [
        ("a", 1.0, None, "R2"), ("b", None, 2.0, "R1"), ("c", 3.0, 4.0, "R2"),
    ]  # fmt: skip
    assert revisions.summary(rows).rows() == [("index_half", "points", 1, 1.0, 1.0)]


def test_the_mean_tells_direction_and_the_mean_absolute_size() -> None:
    rows = made(table([1.0, 2.0, 3.0], ["A"] * 3), table([2.0, 1.0, 6.0], ["A"] * 3), [], [])
    assert revisions.summary(rows).rows() == [("index_half", "points", 3, 1.0, pytest.approx(5 / 3))]


def test_without_a_difference_there_is_none() -> None:
    assert made(BEFORE, BEFORE, ["index.yaml"], []).is_empty()


def test_the_triangle_has_every_period_and_what_it_was_revised_by() -> None:
    def state(**values: float | None) -> pl.DataFrame:
        return pl.DataFrame(
            {"period": list(values), "value": list(values.values())}, schema_overrides={"value": pl.Float64}
        )

    found = revisions.triangle(
        [("one", state(a=1.0, b=2.0)), ("two", state(a=1.5, b=None, c=3.0)), ("three", state(c=2.0, d=4.0, b=2.5))]
    )
    assert found.columns == ["period", "one", "two", "three", "revision"]
    assert found.rows() == [
        ("a", 1.0, 1.5, None, 0.5), ("b", 2.0, None, 2.5, 0.5), ("c", None, 3.0, 2.0, -1.0),
        ("d", None, None, 4.0, None),
    ]  # fmt: skip
