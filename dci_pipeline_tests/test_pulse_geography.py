"""Districts of the second index as data: dated names, validity, and names two states share. Needs no delivery."""

from __future__ import annotations

import polars as pl
import pytest

from dci_pipeline.geography import Geography, read_geography
from dci_pipeline.periods import Period, parse
from dci_pipeline_tests.conftest import CONTRACTS

BEFORE, AFTER = parse("2024Q2", "quarter"), parse("2024Q3", "quarter")


@pytest.fixture(scope="module")
def geography() -> Geography:
    return read_geography(CONTRACTS / "pulse")


ALIASES = {
    "a district that stays": ("bihar/patna district", "IN-BR/patna", "IN-BR/patna"),
    "a renamed district, old name": ("haryana/mewat district", "IN-HR/nuh", None),
    "a renamed district, new name": ("haryana/nuh district", None, "IN-HR/nuh"),
    "a new district": ("punjab/malerkotla district", None, "IN-PB/malerkotla"),
    "the one it was cut from": ("punjab/sangrur district", "IN-PB/sangrur", "IN-PB/sangrur"),
    "a name of two states, one renamed": ("chhattisgarh/balrampur district", "IN-CG/balrampur-ramanujganj", None),
    "a name of two states, the other": ("uttar-pradesh/balrampur district", "IN-UP/balrampur", "IN-UP/balrampur"),
    "a district without its state": ("patna district", None, None),
}


@pytest.mark.parametrize("scenario", ALIASES)
def test_a_name_holds_for_its_time(geography: Geography, scenario: str) -> None:
    alias, before, after = ALIASES[scenario]
    for period, place in ((BEFORE, before), (AFTER, after)):
        assert dict(geography.aliases_at(period).select("alias", "place").iter_rows()).get(alias) == place


def test_places_and_names_are_counted(geography: Geography) -> None:
    districts = geography.places.filter(pl.col("type") == "district")
    names = geography.aliases.filter(pl.col("place").is_in(districts["code"].implode()))
    assert (districts.height, names.height) == (788, 852)
    assert dict(districts.group_by("valid_from").len().iter_rows()) == {None: 732, AFTER.start: 56}
    assert districts["valid_to"].null_count() == 788


def test_the_names_of_a_renamed_district_follow_each_other(geography: Geography) -> None:
    renamed = geography.aliases.filter(pl.col("valid_to").is_not_null())
    assert renamed.height == 64
    later = geography.aliases.filter(pl.col("valid_from").is_not_null())
    both = renamed.join(later, on="place", suffix="_later")
    assert both.height == 64
    assert both["valid_to"].to_list() == both["valid_from_later"].to_list()
    always = geography.places.filter(pl.col("valid_from").is_null())
    assert set(renamed["place"]) <= set(always["code"])


@pytest.mark.parametrize("period", [BEFORE, AFTER], ids=str)
def test_every_district_is_in_one_state_and_in_its_state_s_region(geography: Geography, period: Period) -> None:
    members = geography.members_at(period)
    of = members.filter(pl.col("group_type") == "state").select("place", state="group")
    region = members.filter(pl.col("group_type") == "region").select("place", region="group")
    assert of.height == of["place"].n_unique() == (788 if period == AFTER else 732)
    assert of.filter(pl.col("state") != pl.col("place").str.split("/").list.first()).is_empty()
    both = of.join(region, on="place").join(region, left_on="state", right_on="place", suffix="_of_state")
    assert both.height == of.height
    assert both.filter(pl.col("region") != pl.col("region_of_state")).is_empty()
