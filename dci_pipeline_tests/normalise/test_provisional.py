"""A feed that is late as a whole: last year's volumes moved on by the national change, status P, never imputed."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import polars as pl
import pytest

from dci_pipeline.index import imputed
from dci_pipeline.normalise import estimates, shares, totals

NOW = date(2020, 3, 1)


def month(period: date, **values: int | None) -> pl.DataFrame:
    rows = [(place, "j", value) for place, value in values.items()]
    frame = pl.DataFrame(rows, schema={"place": pl.String, "indicator": pl.String, "value": pl.Int64}, orient="row")
    return shares(frame, period=period, previous=None)


YEAR_BEFORE = month(date(2019, 3, 1), a=30, b=10)
BEFORE = month(date(2020, 2, 1), a=60, b=40)
YEAR_BEFORE_THAT = month(date(2019, 2, 1), a=50, b=30)
PLACES = pl.DataFrame({"place": ["a", "b"], "indicator": ["j", "j"]})


def stand_in() -> pl.DataFrame:
    found = estimates(["j"], places=PLACES, year_before=YEAR_BEFORE, before=BEFORE, year_before_that=YEAR_BEFORE_THAT)
    assert found is not None
    return found


def test_the_formula_is_last_year_times_the_national_change() -> None:
    change = Fraction(100, 80)
    assert stand_in()["estimate"].to_list() == [float(30 * change), float(10 * change)]


def test_provisional_rows_have_status_p_and_shares_that_add_to_one() -> None:
    nothing = pl.DataFrame({"place": ["a", "b"], "indicator": ["j", "j"], "value": [None, None]}).cast(
        {"value": pl.Int64}
    )
    found = shares(nothing, period=NOW, previous=BEFORE, provisional=stand_in())
    assert found["obs_status"].to_list() == ["P", "P"]
    assert found["total"].to_list() == [50.0, 50.0]
    assert found["share"].to_list() == [0.75, 0.25]
    # what was last observed stays what was last observed
    assert found["observed_share"].to_list() == BEFORE["observed_share"].to_list()
    assert totals(found)["imputed_share"].to_list() == [0.0]
    weights = pl.DataFrame({"node": ["j"], "indicator": ["j"], "weight": [1.0]})
    assert imputed(found, node_weights=weights)["imputed_share"].to_list() == [0.0]


def test_a_new_place_keeps_its_volume_of_the_period_before() -> None:
    before = month(date(2020, 2, 1), a=60, b=36, c=4)
    places = pl.DataFrame({"place": ["a", "b", "c"], "indicator": ["j"] * 3})
    found = estimates(["j"], places=places, year_before=YEAR_BEFORE, before=before, year_before_that=YEAR_BEFORE_THAT)
    assert found is not None
    assert found.filter(pl.col("place") == "c")["estimate"].to_list() == [4.0]


@pytest.mark.parametrize("lacking", ["year_before", "before", "year_before_that"])
def test_without_history_it_waits(lacking: str) -> None:
    frames = {"year_before": YEAR_BEFORE, "before": BEFORE, "year_before_that": YEAR_BEFORE_THAT}
    frames[lacking] = frames[lacking].filter(pl.col("indicator") == "other")
    assert estimates(["j"], places=PLACES, **frames) is None


def test_an_indicator_that_has_arrived_takes_no_stand_in() -> None:
    arrived = pl.DataFrame({"place": ["a", "b"], "indicator": ["j", "j"], "value": [1, None]})
    with pytest.raises(ValueError, match="whole feed is late"):
        shares(arrived, period=NOW, previous=BEFORE, provisional=stand_in())
