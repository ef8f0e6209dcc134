"""Two states of a table compared: what is told is exactly what tells them apart, from either side."""

from __future__ import annotations

import json
from datetime import date

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from dci_pipeline.releases import diff

KEY = ["place", "month"]
SCHEMA = {"place": pl.String, "month": pl.Date, "points": pl.Float64, "rank": pl.Int64, "status": pl.String}
MONTHS = [date(2019, 1, 1), date(2019, 2, 1), date(2020, 1, 1)]

keys = st.tuples(st.sampled_from(["a", "b", "c", None]), st.sampled_from(MONTHS))
values = st.tuples(
    st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, float("nan"), float("inf")]), st.floats(-1e9, 1e9)),
    st.one_of(st.none(), st.integers(1, 400)),
    st.sampled_from(["A", "E", None]),
)
states = st.dictionaries(keys, values).map(
    lambda rows: pl.DataFrame([(*key, *value) for key, value in rows.items()], schema=SCHEMA, orient="row")
)


def in_order(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort(KEY, nulls_last=True)


@given(states)
def test_a_state_does_not_differ_from_itself_in_any_order(state: pl.DataFrame) -> None:
    assert diff.compare("t", state, state.reverse(), KEY, time="month").is_empty


@given(states, states)
def test_applied_to_the_one_a_diff_gives_the_other(before: pl.DataFrame, after: pl.DataFrame) -> None:
    found = diff.compare("t", before, after, KEY, time="month")
    assert_frame_equal(diff.apply(found, before), in_order(after), check_exact=True)
    assert found.is_empty == in_order(before).equals(in_order(after))


@given(states, states)
def test_from_the_other_side_it_is_the_mirror_image(before: pl.DataFrame, after: pl.DataFrame) -> None:
    one, other = (diff.compare("t", *pair, KEY, time="month") for pair in ((before, after), (after, before)))
    for name in ("added", "removed", "before", "after"):
        assert_frame_equal(getattr(one.mirrored, name), getattr(other, name), check_exact=True)
    assert (one.mirrored.opened, one.mirrored.closed) == (other.opened, other.closed)


@given(states, states)
def test_what_is_said_counts_every_row_once_and_is_json(before: pl.DataFrame, after: pl.DataFrame) -> None:
    found = diff.compare("t", before, after, KEY, time="month")
    told = json.loads(json.dumps(diff.said(found, most=1000), allow_nan=False))
    assert told["listed"]
    for kind, periods in (("added", "periods_added"), ("removed", "periods_removed")):
        assert told["rows"][kind] == len(told[kind]) + sum(told[periods].values())
    assert not set(before["month"].cast(pl.String)) & set(told["periods_added"])
    assert not {row["key"]["month"] for row in told["changed"]} & {*told["periods_added"], *told["periods_removed"]}
    rows = dict(zip(before.select(KEY).rows(), before.rows(named=True), strict=True))
    then = dict(zip(after.select(KEY).rows(), after.rows(named=True), strict=True))
    wanted = [
        key
        for key in rows
        if key in then and list(map(repr, _unsigned(rows[key]))) != list(map(repr, _unsigned(then[key])))
    ]
    assert told["rows"]["changed"] == len(told["changed"]) == len(wanted)
    cells = {name: sum(1 for row in told["changed"] if name in row["changes"]) for name in SCHEMA}
    assert told["cells_changed"] == {name: count for name, count in cells.items() if count}


def _unsigned(row: dict[str, object]) -> list[object]:
    return [value + 0.0 if isinstance(value, float) else value for value in row.values()]


@given(states, states)
def test_stretches_told_together_are_the_whole(before: pl.DataFrame, after: pl.DataFrame) -> None:
    def told(where: pl.Expr) -> dict[str, object]:
        return diff.said(diff.compare("t", before.filter(where), after.filter(where), KEY, time="month"), most=1000)

    year = pl.col("month").dt.year()
    pieces = diff.together("t", KEY, [told(year == 2019), told(year == 2020)], most=1000)
    whole = diff.together("t", KEY, [told(pl.lit(True))], most=1000)

    def spread(said: dict[str, object]) -> str:
        return json.dumps(
            {name: sorted(map(str, part)) if isinstance(part, list) else part for name, part in said.items()},
            sort_keys=True,
        )

    assert spread(pieces) == spread(whole)


def test_the_furthest_movements_come_first_and_a_row_of_a_lost_rank_is_none() -> None:
    frame = pl.DataFrame(
        {"place": [f"p{n:02d}" for n in range(30)], "month": MONTHS[0], "points": 100.0, "rank": range(1, 31)}
    )
    later = frame.with_columns(
        points=pl.when(pl.col("place") == "p07").then(90.0).otherwise(pl.col("points") + pl.col("rank") / 100),
        rank=pl.when(pl.col("place") == "p03").then(None).otherwise(pl.col("rank").reverse()),
    )
    found = diff.movements(diff.compare("t", frame, later, KEY, time="month"))
    points = [item for item in found if item["column"] == "points"]
    assert len(points) == 10
    assert points[0]["key"] == {"place": "p07", "month": "2019-01-01"}
    assert (points[0]["from"], points[0]["to"], points[0]["by"]) == (100.0, 90.0, -10.0)
    ranks = [item for item in found if item["column"] == "rank"]
    assert [item["by"] for item in ranks[:2]] == [29, -29]
    assert all(item["key"]["place"] != "p03" for item in ranks)


def test_more_rows_than_are_listed_are_counted_all_the_same() -> None:
    frame = pl.DataFrame({"place": [str(n) for n in range(50)], "points": 1.0})
    told = diff.said(diff.compare("t", frame, frame.with_columns(points=2.0), ["place"]), most=10)
    assert told["rows"]["changed"] == told["cells_changed"]["points"] == 50
    assert len(told["changed"]) == 10 and not told["listed"]
    assert not diff.together("t", ["place"], [told], most=10)["listed"]


def test_another_key_makes_every_row_another() -> None:
    frame = pl.DataFrame({"place": ["a", "b"], "points": [1.0, 2.0]})
    found = diff.compare("t", frame, frame.rename({"place": "city"}), ["city"])
    assert (found.added.height, found.removed.height, found.before.height) == (2, 2, 0)


def test_a_column_that_is_new_makes_no_row_another() -> None:
    frame = pl.DataFrame({"place": ["a", "b"], "points": [1.0, 2.0]})
    assert diff.compare("t", frame, frame.with_columns(more=1), ["place"]).is_empty


def test_rows_that_are_only_final_now_are_counted_by_period_and_changes_of_final_ones_are_exceptional() -> None:
    before = pl.DataFrame(
        {"place": ["a", "b", "c", "d"], "month": MONTHS[:1] * 4, "points": [1.0, 2.0, 3.0, 4.0],
         "maturity": ["provisional", "provisional", "final", "provisional"]}
    )  # fmt: skip
    after = before.with_columns(points=pl.Series([1.0, 2.5, 3.5, 4.0]), maturity=pl.Series(["final"] * 4))
    after = pl.concat([after.head(3), before.tail(1)])
    found = diff.compare("t", before, after, KEY, time="month")
    told = diff.said(found, most=10)
    assert told["rows"] == {"added": 0, "removed": 0, "changed": 2}
    assert told["periods_final"] == {"2019-01-01": 1}
    assert told["cells_changed"] == {"points": 2, "maturity": 1}
    assert [(row["key"]["place"], row.get("exceptional", False)) for row in told["changed"]] == [
        ("b", False),
        ("c", True),
    ]
    assert told["exceptional"] == 1
    # The whole difference is still there to be applied, and a row that is open again is a change like any other.
    assert_frame_equal(diff.apply(found, before), in_order(after))
    back = diff.said(found.mirrored, most=10)
    assert (back["rows"]["changed"], back["periods_final"]) == (3, {})
