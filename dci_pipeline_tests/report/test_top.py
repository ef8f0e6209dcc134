"""The leading entities of a year: taken from the published ranks, in their order, with names."""

from __future__ import annotations

import polars as pl
import pytest

from dci_pipeline.report.top import top

PLACES = pl.DataFrame(
    {"code": ["a", "b", "c", "d"], "name_zh": ["甲", "乙", "丙", "丁"], "name_en": ["A", "B", "C", "D"]}
)


def year(ranks: dict[str, int | None], *, entity_type: str = "place", node: str = "root") -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "entity_type": entity_type,
                "entity_code": code,
                "node": node,
                "year": 2019,
                "points": 10.0,
                "share": 0.1,
                "growth_yoy": None,
                "rank": rank,
                "rank_change": 1,
            }
            for code, rank in ranks.items()
        ],
        schema_overrides={"rank": pl.Int64, "growth_yoy": pl.Float64},
    )


@pytest.mark.parametrize(
    ("ranks", "count", "expected"),
    [
        ({"b": 2, "a": 1, "c": 3}, 2, ["a", "b"]),
        ({"a": 1, "c": 2, "b": 2, "d": 4}, 2, ["a", "b", "c"]),
        ({"a": None, "b": 1}, 3, ["b"]),
        ({}, 3, []),
    ],
    ids=["by rank", "shared last rank", "without a rank", "nothing"],
)
def test_order_follows_the_published_ranks(ranks: dict[str, int | None], count: int, expected: list[str]) -> None:
    rows = year({**ranks, "z": None})
    assert top(rows, PLACES, entity_type="place", node="root", count=count)["code"].to_list() == expected


def test_other_types_and_nodes_stay_out() -> None:
    rows = pl.concat([year({"a": 1}), year({"b": 1}, entity_type="group"), year({"c": 1}, node="leaf")])
    assert top(rows, PLACES, entity_type="place", node="root")["code"].to_list() == ["a"]


def test_names_come_from_the_places_and_may_be_missing() -> None:
    best = top(year({"a": 1, "unlisted": 2}), PLACES, entity_type="place", node="root")
    assert best.select("name_zh", "name_en").rows() == [("甲", "A"), (None, None)]
