"""App categories: reach and time of three towns, with gaps; every number by hand."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.marts.app_category import Scopes, app_category, pairs

TYPES = pl.DataFrame({"place": ["A", "B", "C"], "type": ["town"] * 3, "member": [True] * 3})
MEMBERS = pl.DataFrame(
    [("county", "east", "A"), ("county", "east", "B"), ("county", "west", "C")],
    schema=["group_type", "group", "place"],
    orient="row",
)
SCOPES = Scopes(MEMBERS, TYPES, "X")
ENTITIES = [("town", "A"), ("town", "B"), ("town", "C"), ("county", "east"), ("county", "west"), ("nation", "X")]
STATUS = pl.DataFrame(
    [(kind, code, "A", 0.0) for kind, code in ENTITIES],
    schema=["entity_type", "entity_code", "obs_status", "imputed_share"],
    orient="row",
)
JAN, JUN, BEFORE = date(2020, 1, 1), date(2020, 6, 1), date(2019, 6, 1)
VALUES = {"period": pl.Date, "place": pl.String, "indicator": pl.String, "value": pl.Int64}
Sent = dict[tuple[date, str], tuple[int | None, int | None, int | None]]  # users, seconds of chat; users of any


def found(sent: Sent, *, absent_is_zero: bool = False) -> pl.DataFrame:
    members = [
        (period, place, indicator, "kind", member, value)
        for (period, place), (users, seconds, _) in sent.items()
        for indicator, member, value in (("people", "chat", users), ("time", "chat", seconds), ("people", "other", 1))
        if value is not None
    ]
    values = [(period, place, "people", everyone) for (period, place), (_, _, everyone) in sent.items()]
    return pairs(
        pl.DataFrame(members, schema=["period", "place", "indicator", "column", "member", "value"], orient="row"),
        pl.DataFrame(values, schema=VALUES, orient="row"),
        column="kind",
        users=("people", {"chat": "talk"}),
        seconds=("time", {"chat": "talk"}),
        absent_is_zero=absent_is_zero,
    )


def table(
    now: pl.DataFrame, before: pl.DataFrame | None = None, change: tuple[pl.DataFrame, pl.DataFrame] | None = None
) -> pl.DataFrame:
    return app_category(
        now, year_before=before, change=(JAN, *change) if change else None, status=STATUS, scopes=SCOPES, whole=True
    )


def row(frame: pl.DataFrame, code: str) -> dict[str, object]:
    return frame.filter(pl.col("entity_code") == code).row(0, named=True)


HOUR = 3600
NOW: Sent = {
    (JUN, "A"): (50, 50 * 30 * HOUR, 100),
    (JUN, "B"): (60, 60 * 30 * 2 * HOUR, 300),
    (JUN, "C"): (None, None, 100),
}


def test_reach_and_time_of_places_and_their_sums() -> None:
    frame = table(found(NOW))
    assert frame["member"].unique().to_list() == ["talk"]
    assert row(frame, "A")["penetration"] == 0.5
    assert row(frame, "A")["daily_hours_per_user"] == 1.0
    assert row(frame, "east")["penetration"] == 110 / 400
    assert row(frame, "east")["daily_hours_per_user"] == pytest.approx(float(Fraction(50 + 120, 110)), rel=1e-15)


def test_a_town_that_sent_nothing_of_a_category_is_in_neither_part() -> None:
    frame = table(found(NOW))
    assert row(frame, "X")["penetration"] == 110 / 400
    assert row(frame, "C")["penetration"] is None
    assert (row(frame, "C")["obs_status"], row(frame, "X")["obs_status"]) == ("M", "A")
    zero = table(found(NOW, absent_is_zero=True))
    assert row(zero, "X")["penetration"] == 110 / 500
    assert row(zero, "C")["penetration"] == 0.0
    assert row(zero, "C")["daily_hours_per_user"] is None


def test_a_town_without_the_total_has_no_reach() -> None:
    frame = table(found({**NOW, (JUN, "A"): (50, 50 * 30 * HOUR, None)}))
    assert row(frame, "A")["penetration"] is None
    assert row(frame, "X")["penetration"] == 0.2


def test_time_needs_both_of_its_parts() -> None:
    frame = table(found({**NOW, (JUN, "B"): (60, None, 300)}))
    assert row(frame, "X")["penetration"] == 110 / 400
    assert row(frame, "X")["daily_hours_per_user"] == 1.0


def test_growth_is_over_what_both_years_observed() -> None:
    before: Sent = {(BEFORE, "A"): (25, 25 * 30 * HOUR * 4, 80), (BEFORE, "C"): (40, 40 * 30 * HOUR, 80)}
    frame = table(found(NOW), found(before))
    assert row(frame, "A")["growth_users"] == 1.0
    assert row(frame, "A")["growth_hours"] == -0.5
    assert row(frame, "A")["growth_daily_hours"] == -0.75
    assert row(frame, "X")["growth_users"] == 1.0
    assert row(frame, "B")["growth_users"] is None
    assert table(found(NOW))["growth_users"].null_count() == 6


def test_the_change_since_the_base_period_is_in_percentage_points() -> None:
    base = found({(JAN, "A"): (30, 1, 100), (JAN, "B"): (90, 1, 300)})
    frame = table(found(NOW), change=(base, found(NOW)))
    assert row(frame, "A")["penetration_change_pp"] == pytest.approx(20.0)
    assert row(frame, "X")["penetration_change_pp"] == pytest.approx(-2.5)
    assert row(frame, "X")["base_period"] == JAN
    assert row(frame, "C")["penetration_change_pp"] is None
    assert row(table(found(NOW)), "A")["base_period"] is None


def test_a_half_year_weighs_its_months_by_users_and_days() -> None:
    half: Sent = {(JAN, "A"): (10, 10 * 31 * HOUR, 100), (JUN, "A"): (30, 30 * 30 * 2 * HOUR, 100)}
    frame = table(found(half))
    assert row(frame, "A")["penetration"] == 0.2
    assert row(frame, "A")["daily_hours_per_user"] == pytest.approx(
        float(Fraction(10 * 31 + 30 * 60, 10 * 31 + 30 * 30)), rel=1e-15
    )


numbers = st.integers(1, 10**8)


@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=3, max_size=3))
def test_the_nation_is_the_ratio_of_sums_and_lies_between_its_towns(rows: list[tuple[int, int, int]]) -> None:
    frame = table(found({(JUN, town): given for town, given in zip("ABC", rows, strict=True)}))
    users, everyone = sum(given[0] for given in rows), sum(given[2] for given in rows)
    nation = row(frame, "X")["penetration"]
    assert nation == pytest.approx(users / everyone, rel=1e-15)
    towns = [row(frame, town)["penetration"] for town in "ABC"]
    assert min(towns) * (1 - 1e-12) <= nation <= max(towns) * (1 + 1e-12)  # type: ignore[type-var, operator]
