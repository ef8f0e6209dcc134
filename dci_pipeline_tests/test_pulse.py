"""The second index, on real data: PhonePe Pulse by state, district and quarter. The same code, other data."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from dci_pipeline.geography import read_geography
from dci_pipeline.periods import parse, parse_span
from dci_pipeline.steps.slices import rejected_rows
from dci_pipeline_tests.conftest import CONTRACTS, World

pytestmark = [pytest.mark.realdata]

MEASURES = {
    "transaction_count": ("agg_transactions", "txn_count", 1),
    "transaction_amount": ("agg_transactions", "txn_amount_inr", 100),
    "registered_users": ("agg_users", "registered_users", 1),
    "app_opens": ("agg_users", "app_opens", 1),
}


QUARTERS = parse_span("2018Q1:2024Q4", "quarter")
REDRAWN = parse("2024Q3", "quarter")
BY_DISTRICT = {
    "transaction_count": "district_transaction_count",
    "transaction_amount": "district_transaction_amount",
    "registered_users": "district_registered_users",
    "app_opens": "district_app_opens",
}


def national(source: Path, indicator: str) -> dict[str, float]:
    """The country rows, which the pipeline never sees, by quarter and in the indicator's unit."""
    file, column, unit = MEASURES[indicator]
    frame = pl.read_parquet(source / f"{file}.parquet").filter(pl.col("level") == "country")
    if "feed" in frame.columns:
        frame = frame.filter(pl.col("feed") == "transaction")
    return dict(frame.group_by("period").agg(pl.col(column).cast(pl.Float64).sum() * unit).iter_rows())


def test_every_quarter_is_computed_and_nothing_is_held(pulse: World) -> None:
    assert len(pulse.periods) == 28
    assert pulse.report.held == {}


def test_no_row_is_rejected(pulse: World) -> None:
    rejected = {
        (feed, period.key): rejected_rows(pulse.work, period, feed, "phonepe")
        for feed in pulse.work.framework.feeds
        for period in pulse.periods
    }
    assert {key: rows for key, rows in rejected.items() if rows} == {}


@pytest.mark.parametrize("indicator", MEASURES)
def test_states_sum_to_the_national_rows(pulse: World, pulse_source: Path, indicator: str) -> None:
    expected = national(pulse_source, indicator)
    values = pulse.read("indicators", "values", pulse.periods).filter(pl.col("indicator") == indicator)
    checked = 0
    for period in pulse.periods:
        found = values.filter(pl.col("period") == period.start)["value"]
        if found.null_count() == len(found):
            continue
        assert found.sum() == pytest.approx(expected[period.key], rel=2e-5), period.key
        checked += 1
    assert checked == (23 if indicator == "app_opens" else 28)


def test_the_last_quarter_s_transactions(pulse: World) -> None:
    values = pulse.read("indicators", "values", [parse("2024Q4", "quarter")])
    assert values.filter(pl.col("indicator") == "transaction_count")["value"].sum() == 28_219_255_839


def test_app_opens_stored_as_zero_before_they_were_collected_are_missing(pulse: World) -> None:
    opens = pulse.read("indicators", "values", pulse.periods).filter(pl.col("indicator") == "app_opens")
    before = opens.filter(pl.col("period") < parse("2019Q2", "quarter").start)
    assert before["value"].null_count() == before.height > 0
    assert opens.filter(pl.col("period") >= parse("2019Q2", "quarter").start)["value"].null_count() == 0


def test_amounts_are_whole_paise(pulse: World, pulse_source: Path) -> None:
    raw = pl.read_parquet(pulse_source / "agg_transactions.parquet").filter(
        (pl.col("feed") == "transaction")
        & (pl.col("level") == "state")
        & (pl.col("period") == "2020Q3")
        & (pl.col("region") == "goa")
    )
    expected = sum(round(amount * 100) for amount in raw["txn_amount_inr"])
    values = pulse.read("indicators", "values", [parse("2020Q3", "quarter")])
    found = values.filter((pl.col("indicator") == "transaction_amount") & (pl.col("place") == "IN-GA"))["value"].item()
    assert found == expected


def test_the_reference_averages_one_hundred(pulse: World) -> None:
    levels = pl.concat([pulse.read("marts", "index_quarter", [period]) for period in pulse.periods[:4]])
    nation = levels.filter(pl.col("entity_type") == "nation").group_by("node").agg(pl.col("points").mean())
    assert nation["points"].to_list() == pytest.approx([100.0] * nation.height, rel=1e-12)


def names(source: Path, file: str) -> pl.DataFrame:
    """[period, alias] of the source's districts, as the contract joins them."""
    frame = pl.read_parquet(source / f"{file}.parquet").filter(pl.col("level") == "district")
    if "feed" in frame.columns:
        frame = frame.filter(pl.col("feed") == "transaction")
    return frame.select("period", alias=pl.concat_str("state", "district", separator="/")).unique()


@pytest.mark.parametrize("file", ["map_transactions", "map_users"])
def test_every_district_is_one_place_under_the_name_of_its_time(pulse_source: Path, file: str) -> None:
    geography = read_geography(CONTRACTS / "pulse")
    raw = names(pulse_source, file)
    assert raw["alias"].n_unique() == 852
    places: set[str] = set()
    for period in QUARTERS:
        now = raw.filter(pl.col("period") == period.key)
        found = now.join(geography.aliases_at(period), on="alias", how="left")["place"]
        assert found.null_count() == 0
        assert found.n_unique() == now.height
        valid = geography.places_at(period).filter(pl.col("type") == "district")
        assert 730 <= now.height <= valid.height <= 788
        assert set(found) <= set(valid["code"])
        places |= set(found)
    assert len(places) == 788


def test_a_name_is_known_in_its_quarters_and_no_others(pulse_source: Path) -> None:
    geography = read_geography(CONTRACTS / "pulse")
    raw = names(pulse_source, "map_users")
    for period in QUARTERS:
        usable = set(geography.aliases_at(period)["alias"])
        other = set(raw["alias"]) - set(raw.filter(pl.col("period") == period.key)["alias"])
        assert len(other) == (120 if period.start < REDRAWN.start else 64)
        assert not usable & other


def district_values(world: World) -> pl.DataFrame:
    """Values of the district indicators that are collected: [period, place, state, indicator, value]."""
    frame = world.read("indicators", "values", world.periods).filter(
        pl.col("indicator").is_in(list(BY_DISTRICT.values()))
    )
    early = (pl.col("indicator") == "district_app_opens") & (pl.col("period") < parse("2019Q2", "quarter").start)
    return frame.filter(~early).with_columns(state=pl.col("place").str.split("/").list.first())


@pytest.mark.parametrize("indicator", MEASURES)
def test_districts_add_up_to_their_state_s_own_rows(pulse: World, indicator: str) -> None:
    values = pulse.read("indicators", "values", pulse.periods).filter(pl.col("value").is_not_null())
    states = values.filter(pl.col("indicator") == indicator).select("period", "place", "value")
    parts = (
        district_values(pulse)
        .filter(pl.col("indicator") == BY_DISTRICT[indicator])
        .group_by("period", "state")
        .agg(pl.col("value").sum().alias("parts"))
    )
    both = states.join(parts, left_on=["period", "place"], right_on=["period", "state"], how="full")
    assert both.height == 36 * (23 if indicator == "app_opens" else 28)
    assert both.null_count().sum_horizontal().item() == 0
    apart = (both["value"] - both["parts"]).abs()
    # Amounts are floats in the source, and each row is rounded to paise by itself: 7 paise at most.
    assert apart.max() <= (7 if indicator == "transaction_amount" else 0)


def test_a_district_outside_its_validity_is_nowhere(pulse: World) -> None:
    new = pulse.work.geography.places.filter(pl.col("valid_from") == REDRAWN.start)["code"]
    assert len(new) == 56
    for stage, table in (("indicators", "values"), ("normalise", "shares"), ("index", "points")):
        frame = pulse.read(stage, table, pulse.periods).filter(pl.col("place").is_in(new.implode()))
        assert frame["period"].min() == REDRAWN.start
        assert frame["place"].n_unique() == 56
    published = pulse.read("marts", "index_quarter", pulse.periods)
    rows = published.filter((pl.col("entity_type") == "district") & pl.col("entity_code").is_in(new.implode()))
    assert rows["quarter"].min() == REDRAWN.start


def test_no_district_is_ever_imputed_or_missing(pulse: World) -> None:
    values = district_values(pulse)
    assert values["value"].null_count() == 0
    shares = pulse.read("normalise", "shares", pulse.periods).join(
        values.select("period", "place", "indicator"), on=["period", "place", "indicator"]
    )
    assert shares.height == values.height
    assert shares["obs_status"].unique().to_list() == ["A"]
    # Two districts had users before they had payments; their zero is a true one.
    zero = values.filter(pl.col("value") == 0).group_by("place").agg(pl.col("period").max())
    last = {"IN-AR/anjaw": "2018Q1", "IN-AR/shi-yomi": "2018Q3"}
    assert dict(zero.iter_rows()) == {place: parse(key, "quarter").start for place, key in last.items()}


def test_a_renamed_district_has_one_unbroken_series(pulse: World, pulse_source: Path) -> None:
    aliases = pulse.work.geography.aliases
    renamed = aliases.filter(pl.col("valid_to") == REDRAWN.start).select("alias", "place")
    assert renamed["place"].n_unique() == renamed.height == 64
    users = district_values(pulse).filter(pl.col("indicator") == "district_registered_users")
    series = users.join(renamed, on="place").group_by("place").agg(pl.col("period").n_unique())
    assert series["period"].unique().to_list() == [28]
    raw = pl.read_parquet(pulse_source / "map_users.parquet").filter(
        pl.col("district").is_in(["mewat district", "nuh district"])
    )
    nuh = users.filter(pl.col("place") == "IN-HR/nuh").sort("period")["value"].to_list()
    assert nuh == raw.sort("period")["registered_users"].to_list()


@pytest.mark.parametrize("node", ["digital_payments", *MEASURES])
def test_the_tree_of_districts_gives_the_states_and_the_nation_the_same_level(pulse: World, node: str) -> None:
    twin = BY_DISTRICT.get(node, "district_payments")
    frame = pulse.read("marts", "index_quarter", pulse.periods).filter(
        pl.col("entity_type").is_in(["nation", "region", "state"])
    )
    key = ["quarter", "entity_type", "entity_code"]
    columns = ["points", "composite_points", "share", "growth_yoy", "n_members"]
    states = frame.filter(pl.col("node") == node).select(*key, *columns)
    districts = frame.filter(pl.col("node") == twin).select(*key, *columns)
    both = states.join(districts, on=key, how="full", suffix="_twin", coalesce=True)
    assert both.height == states.height == districts.height == (16 if node == "app_opens" else 28) * (1 + 6 + 36)
    close = 1e-8 if node in ("transaction_amount", "digital_payments") else 1e-12  # a few paise in a small state
    for column in columns[:-1]:
        same = (both[column] - both[f"{column}_twin"]).abs() <= both[column].abs() * close
        assert same.fill_null(both[column].is_null() & both[f"{column}_twin"].is_null()).all(), column
    nation = both.filter(pl.col("entity_type") == "nation").sort("quarter")
    assert set(nation["n_members"]) == {36}
    assert set(nation["n_members_twin"]) == {732, 788}


def test_district_and_state_rows_do_not_meet(pulse: World) -> None:
    """A node has places of one kind only, so nothing that adds rows of a node adds districts to states."""
    points = pulse.read("index", "points", pulse.periods).join(
        pulse.work.geography.places.select("code", "type"), left_on="place", right_on="code"
    )
    kinds = dict(points.group_by("node").agg(pl.col("type").unique()).iter_rows())
    trees = {node: pulse.work.framework.places_of(pulse.work.framework.root_of(node)) for node in kinds}
    assert {node: tuple(found) for node, found in kinds.items()} == trees


def test_the_link_moves_no_level(pulse: World) -> None:
    """Over 2020 the nation has the same mean under either basket, at every node that is in both."""
    link = pulse.work.framework.links[1]
    frame = pulse.read("index", "links", [link.start])
    nation = frame.group_by("node").agg(
        pl.col("points_before", "points_after", "composite_before", "composite_after").sum(),
        entered=pl.col("points_before").null_count() == pl.len(),
    )
    assert set(nation.filter("entered")["node"]) == {"app_opens", "district_app_opens"}
    stayed = nation.filter(~pl.col("entered"))
    assert stayed["points_after"].to_list() == pytest.approx(stayed["points_before"].to_list(), rel=1e-12)
    points = pulse.read("marts", "index_quarter", list(link.reference)).filter(pl.col("entity_type") == "nation")
    means = dict(points.group_by("node").agg(pl.col("points").mean()).iter_rows())
    for node, level in stayed.select("node", "points_before").iter_rows():
        assert level == pytest.approx(means[node], rel=1e-12)


def test_app_opens_enter_with_the_link(pulse: World) -> None:
    nation = pulse.read("marts", "index_quarter", pulse.periods).filter(pl.col("entity_type") == "nation")
    opens = nation.filter(pl.col("node") == "app_opens")
    assert opens["quarter"].min() == parse("2021Q1", "quarter").start
    assert opens.height == 16


@pytest.mark.parametrize(
    ("root", "kind"), [("digital_payments", "state"), ("district_payments", "district"), ("district_payments", "state")]
)
def test_contributions_add_up_to_the_change_across_the_link(pulse: World, root: str, kind: str) -> None:
    """Over places and leaves, and over groups; what the link moves adds to nothing over the leaves."""
    leaves = set(pulse.work.framework.children(root))
    nation = pulse.read("marts", "index_quarter", pulse.periods).filter(
        (pl.col("entity_type") == "nation") & (pl.col("node") == root)
    )
    level = dict(nation.select("quarter", "points").iter_rows())
    crossed = [period for period in pulse.periods if period.key.startswith("2021")]
    parts = pulse.read("marts", "contribution_quarter", crossed).filter(
        (pl.col("entity_type") == kind) & pl.col("node").is_in(leaves)
    )
    for period in crossed:
        now = parts.filter(pl.col("quarter") == period.start)
        assert set(now["node"]) == leaves
        change = level[period.start] - level[period.year_before().start]
        assert now["contribution_points"].sum() == pytest.approx(change, rel=1e-9)
        assert now["link_effect_points"].abs().max() > 1
        assert now["link_effect_points"].sum() == pytest.approx(0, abs=1e-9)
    years = pulse.read("marts", "index_year", [period.year() for period in pulse.periods[::4]]).filter(
        (pl.col("entity_type") == "nation") & (pl.col("node") == root)
    )
    year = dict(years.select("year", "points").iter_rows())
    whole = pulse.read("marts", "contribution_year", [crossed[0].year()]).filter(
        (pl.col("entity_type") == kind) & pl.col("node").is_in(leaves)
    )
    assert whole["contribution_points"].sum() == pytest.approx(year[2021] - year[2020], rel=1e-9)


def test_categories_add_up_to_every_state_and_the_nation(pulse: World) -> None:
    members = pulse.read("marts", "breakdown_quarter", pulse.periods)
    assert set(members["node"]) == {"transaction_count", "transaction_amount"}
    assert set(members["entity_type"]) == {"nation", "region", "state"}
    assert members["member"].n_unique() == 5
    key = ["quarter", "entity_type", "entity_code", "node"]
    added = members.group_by(key).agg(pl.col("points").sum().alias("added"), pl.col("share_of_entity").sum())
    whole = pulse.read("marts", "index_quarter", pulse.periods).join(added, on=key)
    assert whole.height == 28 * 2 * (1 + 6 + 36)
    assert whole["added"].to_list() == pytest.approx(whole["points"].to_list(), rel=1e-12)
    assert whole["share_of_entity"].to_list() == pytest.approx([1.0] * whole.height, rel=1e-12)


def test_categories_are_the_source_s_own(pulse: World, pulse_source: Path) -> None:
    raw = pl.read_parquet(pulse_source / "agg_transactions.parquet").filter(
        (pl.col("feed") == "transaction") & (pl.col("region") == "kerala") & (pl.col("period") == "2024Q4")
    )
    parts = dict(raw.select("category", pl.col("txn_count") / pl.col("txn_count").sum()).iter_rows())
    shares = pulse.read("marts", "breakdown_quarter", [parse("2024Q4", "quarter")]).filter(
        (pl.col("entity_type") == "state")
        & (pl.col("entity_code") == "IN-KL")
        & (pl.col("node") == "transaction_count")
    )
    assert dict(shares.select("member", "share_of_entity").iter_rows()) == pytest.approx(parts, rel=1e-12)


def test_an_analyst_finds_the_tables(pulse: World) -> None:
    import duckdb

    with duckdb.connect(str(pulse.work.warehouse.layout.catalogue), read_only=True) as connection:
        rows = connection.sql(
            "SELECT name_en, points FROM index_year JOIN state ON entity_code = code WHERE entity_type = 'state' "
            "AND node = 'digital_payments' AND year = 2024 AND rank <= 3 ORDER BY rank"
        ).fetchall()
    assert [name for name, _ in rows] == ["Maharashtra", "Karnataka", "Telangana"]
