"""The second index, on real data: PhonePe Pulse by state and quarter. The same code, another folder of data."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from dci_pipeline.periods import parse
from dci_pipeline_tests.conftest import World

pytestmark = [pytest.mark.realdata]

MEASURES = {
    "transaction_count": ("agg_transactions", "txn_count", 1),
    "transaction_amount": ("agg_transactions", "txn_amount_inr", 100),
    "registered_users": ("agg_users", "registered_users", 1),
    "app_opens": ("agg_users", "app_opens", 1),
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


def test_an_analyst_finds_the_tables(pulse: World) -> None:
    import duckdb

    with duckdb.connect(str(pulse.work.warehouse.layout.catalogue), read_only=True) as connection:
        rows = connection.sql(
            "SELECT name_en, points FROM index_year JOIN state ON entity_code = code WHERE entity_type = 'state' "
            "AND node = 'digital_payments' AND year = 2024 AND rank <= 3 ORDER BY rank"
        ).fetchall()
    assert [name for name, _ in rows] == ["Maharashtra", "Karnataka", "Telangana"]
