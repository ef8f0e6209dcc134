"""Entities, ranks and growth on places whose answers are known by construction."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.index.points import STATUSES
from dci_pipeline.marts import growth
from dci_pipeline.marts.entities import entities, entity_sums
from dci_pipeline.marts.index_span import index_period, index_year
from dci_pipeline.marts.linked import BOTH, together, with_links

TYPES = pl.DataFrame(
    {"place": ["A", "B", "C", "R"], "type": ["town", "town", "town", "residual"], "member": [True, True, True, False]}
)
MEMBERS = pl.DataFrame(
    [("county", "east", "A"), ("county", "east", "B"), ("county", "west", "C"), ("county", "west", "R")],
    schema=["group_type", "group", "place"],
    orient="row",
)


def places(
    points: dict[str, float], *, status: dict[str, str] | None = None, imputed: dict[str, float] | None = None
) -> pl.DataFrame:
    total = sum(points.values())
    return pl.DataFrame(
        [
            {
                "place": place,
                "node": "n",
                "points": value,
                "composite_points": value / 2,
                "share": value / total,
                "imputed_share": (imputed or {}).get(place, 0.0),
                "obs_status": (status or {}).get(place, "A"),
            }
            for place, value in points.items()
        ]
    )


def ranked(frame: pl.DataFrame) -> pl.DataFrame:
    """A span of one link, as the tables take it."""
    found = with_links(entities(frame, members=MEMBERS, types=TYPES, nation="X"), [])
    return growth.with_points_share(growth.with_ranks(found, ranked=["town", "county"]), nation="X")


def row(frame: pl.DataFrame, code: str) -> dict[str, object]:
    return frame.filter(pl.col("entity_code") == code).row(0, named=True)


NOW = {"A": 50.0, "B": 30.0, "C": 15.0, "R": 5.0}


def test_groups_and_the_nation_are_sums_and_means_name_their_members() -> None:
    frame = ranked(places(NOW))
    assert {code: row(frame, code)["points"] for code in ("east", "west", "X")} == {
        "east": 80.0,
        "west": 20.0,
        "X": 100.0,
    }
    assert {code: row(frame, code)["mean_points"] for code in ("east", "west", "X")} == {
        "east": 40.0,
        "west": 15.0,
        "X": pytest.approx(95 / 3),
    }
    assert {code: row(frame, code)["n_members"] for code in ("east", "west", "X", "A")} == {
        "east": 2,
        "west": 1,
        "X": 3,
        "A": None,
    }
    assert row(frame, "west")["member_type"] == "town"
    assert row(frame, "B")["points_share"] == 0.3


def test_ties_share_the_smaller_rank_and_residuals_have_none() -> None:
    frame = ranked(places({"A": 50.0, "B": 20.0, "C": 20.0, "R": 90.0}))
    assert {code: row(frame, code)["rank"] for code in "ABCR"} == {"A": 1, "B": 2, "C": 2, "R": None}


def test_a_withheld_place_keeps_its_estimate_in_the_sums() -> None:
    frame = ranked(places(NOW, status={"B": "M"}, imputed={"B": 1.0}))
    assert (row(frame, "B")["points"], row(frame, "B")["share"], row(frame, "B")["rank"]) == (None, None, None)
    assert row(frame, "east")["points"] == 80.0
    assert row(frame, "east")["obs_status"] == "E"
    assert row(frame, "east")["imputed_share"] == pytest.approx(30 / 80)
    assert row(frame, "C")["rank"] == 2


def period_table(
    now: pl.DataFrame, *, before: pl.DataFrame | None = None, year_before: pl.DataFrame | None = None
) -> pl.DataFrame:
    return index_period(
        now,
        before=before,
        year_before=year_before,
        period=date(2020, 5, 1),
        period_column="month",
        before_column="growth_mom",
        members=MEMBERS,
        types=TYPES,
        nation="X",
    )


def test_growth_of_the_sum_is_not_the_mean_of_the_members_growth() -> None:
    then = ranked(places({"A": 25.0, "B": 30.0, "C": 10.0, "R": 5.0}))
    frame = period_table(ranked(places(NOW)), before=then, year_before=then)
    assert row(frame, "A")["growth_yoy"] == 1.0
    assert row(frame, "east")["growth_yoy"] == pytest.approx(80 / 55 - 1)
    assert row(frame, "east")["growth_members_mean_yoy"] == 0.5
    assert row(frame, "X")["growth_members_mean_yoy"] == pytest.approx((1.0 + 0.0 + 0.5) / 3)
    assert row(frame, "A")["rank_change_yoy"] == 1
    assert row(frame, "B")["rank_change_yoy"] == -1
    assert row(frame, "A")["link_effect_points"] == 0.0


def test_without_a_base_or_with_a_base_of_zero_there_is_no_growth() -> None:
    alone = period_table(ranked(places(NOW)))
    assert alone["growth_yoy"].null_count() == alone.height
    zero = period_table(ranked(places(NOW)), year_before=ranked(places({"A": 0.0, "B": 30.0, "C": 10.0, "R": 5.0})))
    assert row(zero, "A")["growth_yoy"] is None
    assert row(zero, "B")["growth_yoy"] == 0.0


def year_table(now: pl.DataFrame, *, covered: int = 12, **bases: object) -> pl.DataFrame:
    given = {"year_before": None, "first": None, "two_before": None, **bases}
    return index_year(
        now,
        year=2020,
        covered=covered,
        whole=covered == 12,
        covered_column="months_covered",
        members=MEMBERS,
        types=TYPES,
        nation="X",
        **given,
    )  # type: ignore[arg-type]


def test_a_whole_year_has_cagr_and_a_running_one_has_not() -> None:
    first = ranked(places({"A": 50 / 16, "B": 30.0, "C": 15.0, "R": 5.0}))
    whole = year_table(ranked(places(NOW)), first=(2016, first), two_before=first)
    assert row(whole, "A")["cagr"] == pytest.approx(1.0)
    assert row(whole, "A")["cagr_2y"] == pytest.approx(3.0)
    assert row(whole, "A")["maturity"] == "final"
    running = year_table(ranked(places(NOW)), covered=5, first=(2016, first), two_before=first)
    assert running["cagr"].null_count() == running.height
    assert row(running, "A")["maturity"] == "provisional"
    assert running["months_covered"].unique().to_list() == [5]


def test_change_of_share_is_in_percentage_points() -> None:
    before = ranked(places({"A": 40.0, "B": 40.0, "C": 15.0, "R": 5.0}))
    frame = year_table(ranked(places(NOW)), year_before=before)
    assert row(frame, "A")["points_share_change_pp"] == pytest.approx(10.0)


STATUS = {
    "all observed": ({}, {}, "A"),
    "a member carried": ({"A": "E"}, {"A": 1.0}, "E"),
    "a member withheld": ({"A": "M"}, {}, "E"),
    "a late feed": ({"A": "P", "B": "P"}, {}, "P"),
    "a late feed and a member carried": ({"A": "P", "B": "E"}, {"B": 1.0}, "E"),
}


@pytest.mark.parametrize("scenario", STATUS)
def test_a_group_is_as_strong_as_its_strongest_member(scenario: str) -> None:
    status, imputed, expected = STATUS[scenario]
    assert row(ranked(places(NOW, status=status, imputed=imputed)), "east")["obs_status"] == expected


def test_a_late_feed_makes_every_row_of_its_node_provisional() -> None:
    now = ranked(places(NOW, status={"A": "P", "B": "E", "C": "P", "R": "P"}, imputed={"B": 1.0}))
    assert period_table(now)["maturity"].unique().to_list() == ["provisional"]
    assert period_table(ranked(places(NOW)))["maturity"].unique().to_list() == ["final"]


def test_an_entity_has_rows_only_for_nodes_that_its_places_have() -> None:
    both = pl.concat([places(NOW), places({"A": 1.0, "B": 2.0}).with_columns(node=pl.lit("m"))])
    frame = entities(both, members=MEMBERS, types=TYPES, nation="X").filter(pl.col("node") == "m")
    counts = dict(frame.select("entity_code", "n_members").iter_rows())
    assert counts == {"A": None, "B": None, "X": 2, "east": 2}


def test_sums_of_any_column_are_null_where_nothing_is_known() -> None:
    frame = places(NOW).with_columns(other=pl.when(pl.col("place").is_in(["A", "R"])).then("points"))
    sums = entity_sums(frame, columns=["points", "other"], members=MEMBERS, types=TYPES, nation="X")
    assert {code: row(sums, code)["other"] for code in ("A", "B", "east", "west", "X")} == {
        "A": 50.0,
        "B": None,
        "east": 50.0,
        "west": 5.0,
        "X": 55.0,
    }
    assert row(sums, "X")["points"] == 100.0


def test_the_rank_before_is_among_the_places_there_are_now() -> None:
    before = ranked(places({"A": 25.0, "B": 30.0, "C": 40.0, "R": 5.0}))
    now = ranked(places({"A": 50.0, "B": 30.0, "R": 5.0}))
    assert row(period_table(now, year_before=before), "A")["rank_change_yoy"] == 1


POINTS = st.fixed_dictionaries({place: st.floats(0, 1e6) for place in "ABCR"}).filter(
    lambda points: sum(points.values()) > 0
)


@given(POINTS, st.permutations(range(4)))
def test_the_order_of_rows_changes_no_bit(points: dict[str, float], order: list[int]) -> None:
    frame = places(points)
    shuffled = frame[list(order)]
    assert entities(frame, members=MEMBERS, types=TYPES, nation="X").equals(
        entities(shuffled, members=MEMBERS.reverse(), types=TYPES.reverse(), nation="X"), null_equal=True
    )


@given(POINTS)
def test_places_add_to_groups_and_groups_to_the_nation(points: dict[str, float]) -> None:
    frame = ranked(places(points))
    counties = frame.filter(pl.col("entity_type") == "county")["points"].sum()
    assert counties == pytest.approx(row(frame, "X")["points"], rel=1e-12)
    assert frame.filter(pl.col("entity_type").is_in(["town", "residual"]))["points"].sum() == pytest.approx(
        row(frame, "X")["points"], rel=1e-12
    )


def test_a_change_of_unit_leaves_ranks_and_growth_alone() -> None:
    then = {"A": 25.0, "B": 31.0, "C": 10.0, "R": 5.0}
    tables = [
        period_table(
            ranked(places({place: value * unit for place, value in NOW.items()})),
            year_before=ranked(places({place: value * unit for place, value in then.items()})),
        )
        for unit in (1.0, 1024.0)
    ]
    for column in ("rank", "rank_change_yoy", "growth_yoy", "points_share"):
        assert tables[0][column].equals(tables[1][column], null_equal=True)


def test_a_place_that_enters_in_between_counts_nothing_before() -> None:
    early, late = ranked(places({"A": 8.0, "R": 4.0})), ranked(places({"A": 8.0, "B": 6.0, "R": 4.0}))
    frame = together([(1, early), (2, late)], statuses=STATUSES)
    assert {code: row(frame, code)["points"] for code in ("A", "B", "X")} == {"A": 8.0, "B": 4.0, "X": 16.0}


def test_a_node_that_left_and_came_back_has_no_growth_over_the_gap() -> None:
    gone = pl.DataFrame(
        [("town", "A", "n", 50.0, None, 25.0, None), ("town", "B", "n", 30.0, None, 15.0, None)],
        schema=["entity_type", "entity_code", "node", *BOTH],
        orient="row",
        infer_schema_length=None,
    ).with_columns(pl.col(BOTH).cast(pl.Float64))
    back = gone.rename(dict(zip(BOTH, (BOTH[1], BOTH[0], BOTH[3], BOTH[2]), strict=True)))
    now = with_links(entities(places(NOW), members=MEMBERS, types=TYPES, nation="X"), [gone, back])
    before = with_links(entities(places(NOW), members=MEMBERS, types=TYPES, nation="X"), [])
    assert growth.growth_on(now, before, name="growth")["growth"].null_count() == now.height
    assert growth.growth_on(now, now, name="growth")["growth"].to_list() == [0.0] * now.height
