"""The table of inequality on four towns in two counties of one country."""

from __future__ import annotations

import math

import polars as pl
import pytest

from dci_pipeline.marts import spread
from dci_pipeline.marts.inequality import inequality_year

TYPES = pl.DataFrame(
    {"place": ["A", "B", "C", "D", "R"], "type": ["town"] * 4 + ["rest"], "member": [True] * 4 + [False]}
)
MEMBERS = pl.DataFrame(
    [
        ("county", "east", "A"),
        ("county", "east", "B"),
        ("county", "west", "C"),
        ("county", "west", "D"),
        ("county", "west", "R"),
        ("half", "all", "A"),
        ("half", "all", "B"),
        ("half", "all", "C"),
        ("half", "all", "D"),
        ("ring", "inner", "B"),
        ("ring", "inner", "C"),
    ],
    schema=["group_type", "group", "place"],
    orient="row",
)


def entities(towns: dict[str, float | None], *, breaks: dict[str, int] | None = None) -> pl.DataFrame:
    rows = [("town", place, value) for place, value in towns.items()] + [("rest", "R", 7.0)]
    groups = [*MEMBERS.select("group_type", "group").unique().rows(), ("nation", "X")]
    rows += [(kind, code, 1.0) for kind, code in groups]
    return pl.DataFrame(
        [
            {
                "entity_type": kind,
                "entity_code": code,
                "node": "n",
                "points": value,
                "chained_points": value,
                "chain_breaks": (breaks or {}).get(code, 0),
                "obs_status": "E" if code == "X" else "A",
                "imputed_share": 0.25 if code == "X" else 0.0,
            }
            for kind, code, value in rows
        ],
        schema_overrides={"points": pl.Float64, "chained_points": pl.Float64},
    )


def table(
    now: pl.DataFrame, first: tuple[int, pl.DataFrame] | None = None, *, divide: str = "range_over_mean"
) -> pl.DataFrame:
    return inequality_year(
        now,
        first=first,
        members=MEMBERS,
        types=TYPES,
        nation="X",
        year=2020,
        whole=True,
        divide=divide,
        theil_groups="county",
    )


def value(frame: pl.DataFrame, scope: str, measure: str) -> float | None:
    return frame.filter((pl.col("scope_code") == scope) & (pl.col("measure") == measure))["value"].item()


NOW: dict[str, float | None] = {"A": 50.0, "B": 30.0, "C": 15.0, "D": 5.0}


def test_every_scope_has_every_measure_once() -> None:
    frame = table(entities(NOW))
    measures = {*spread.MEASURES, "divide", "theil_within", "theil_between", "sigma_log", "beta"}
    for scope in ("X", "east", "west", "all", "inner"):
        found = frame.filter(pl.col("scope_code") == scope)["measure"].to_list()
        assert found == sorted(measures)
    assert frame.height == 5 * len(measures)


def test_residuals_are_no_members() -> None:
    frame = table(entities(NOW))
    assert value(frame, "west", "mean") == 10.0
    assert value(frame, "X", "min") == 5.0


@pytest.mark.parametrize("divide", spread.DIVIDES)
def test_the_divide_is_the_measure_the_index_file_names(divide: str) -> None:
    frame = table(entities(NOW), divide=divide)
    for scope in ("X", "east", "inner"):
        assert value(frame, scope, "divide") == value(frame, scope, divide)


def test_theil_is_split_where_the_scope_is_a_union_of_whole_groups() -> None:
    frame = table(entities(NOW))
    for scope in ("X", "all"):
        within, between = value(frame, scope, "theil_within"), value(frame, scope, "theil_between")
        assert within is not None and between is not None
        assert within + between == pytest.approx(value(frame, scope, "theil"), rel=1e-12)
        assert between == pytest.approx(0.8 * math.log(1.6) + 0.2 * math.log(0.4), rel=1e-12)
    # one group, and a union of parts of groups
    for scope in ("east", "inner"):
        assert value(frame, scope, "theil_within") is None
        assert value(frame, scope, "theil_between") is None


def test_a_withheld_member_is_left_out() -> None:
    frame = table(entities({**NOW, "D": None}))
    assert value(frame, "X", "min") == 15.0
    assert value(frame, "west", "mean") == 15.0
    lost = table(entities({**NOW, "C": None, "D": None}))
    assert value(lost, "west", "gini") is None
    assert value(lost, "west", "mean") is None


def test_a_row_says_of_its_scope_how_it_was_observed() -> None:
    frame = table(entities(NOW))
    assert frame.filter(pl.col("scope_code") == "X").select("obs_status", "imputed_share").unique().row(0) == (
        "E",
        0.25,
    )


def test_convergence_is_measured_since_the_first_year() -> None:
    start = entities({"A": 5.0, "B": 4.0, "C": 3.0, "D": 2.0})
    frame = table(entities(NOW), (3, start))
    pairs = [(5.0, 50.0), (4.0, 30.0), (3.0, 15.0), (2.0, 5.0)]
    assert value(frame, "X", "beta") == pytest.approx(spread.beta(pairs, years=3), rel=1e-12)
    assert value(table(entities(NOW)), "X", "beta") is None
    assert value(frame, "X", "sigma_log") == value(table(entities(NOW)), "X", "sigma_log")


def test_a_broken_chain_is_left_out_of_convergence() -> None:
    start = entities({"A": 5.0, "B": 4.0, "C": 3.0, "D": 2.0})
    frame = table(entities(NOW, breaks={"A": 1}), (3, start))
    pairs = [(4.0, 30.0), (3.0, 15.0), (2.0, 5.0)]
    assert value(frame, "X", "beta") == pytest.approx(spread.beta(pairs, years=3), rel=1e-12)
