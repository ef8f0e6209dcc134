"""Rates and ratings: the worked example, Bennet's split in fractions, and the table."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.framework import Quality
from dci_pipeline.marts.intensive import Span, bennet, intensive_year, place_sums
from dci_pipeline_tests.index.worked import EXAMPLE, FRACTIONS

CASE, NAME = EXAMPLE["extra"]["intensive_volume_weighted"], "extra.intensive_volume_weighted"
RATING = Quality("rating", 1, 5, 1)
TOWNS = ("A", "B", "C")
TYPES = pl.DataFrame({"place": TOWNS, "type": ["town"] * 3, "member": [True] * 3})
MEMBERS = pl.DataFrame(
    [("county", "east", "A"), ("county", "east", "B"), ("county", "west", "C")],
    schema=["group_type", "group", "place"],
    orient="row",
)
ENTITIES = [("town", town) for town in TOWNS] + [("county", "east"), ("county", "west"), ("nation", "X")]
INSIDE = {"A": "A", "B": "B", "C": "C", "east": "AB", "west": "C", "X": "ABC"}


def effects(level: float, rate: float, level_base: float, rate_base: float) -> tuple[float | None, float | None]:
    frame = pl.DataFrame({"p": [level], "q": [rate], "p0": [level_base], "q0": [rate_base]})
    return frame.select(*(part.alias(str(i)) for i, part in enumerate(bennet("p", "q", "p0", "q0")))).row(0)


def test_bennet_of_the_worked_example() -> None:
    volume = [sum(year) for year in CASE["volume"]]
    quality = [FRACTIONS[f"{NAME}.mean_quality[{t}]"] for t in (0, 1)]
    # The formula in fractions, then the package on levels, which are what it knows.
    exact = (
        (volume[1] - volume[0]) * (quality[0] + quality[1]) / 2,
        (quality[1] - quality[0]) * (volume[0] + volume[1]) / 2,
    )
    names = ("volume_effect_bennet", "quality_effect_bennet")
    assert exact == tuple(FRACTIONS[f"{NAME}.{name}"] for name in names)
    assert sum(exact) == FRACTIONS[f"{NAME}.sum_check"]
    found = effects(*(float(x) for t in (1, 0) for x in (volume[t] * quality[t], quality[t])))
    assert found == pytest.approx([float(x) for x in exact], rel=1e-12)


numbers = st.floats(0.001, 1e6)


@given(numbers, numbers, numbers, numbers)
def test_the_effects_add_to_the_change(level: float, rate: float, level_base: float, rate_base: float) -> None:
    volume, quality = effects(level, rate, level_base, rate_base)
    assert volume is not None and quality is not None
    scale = abs(volume) + abs(quality) + level + level_base
    assert volume + quality == pytest.approx(level - level_base, abs=1e-12 * scale)


@given(*(st.integers(1, 1000) for _ in range(4)))
def test_bennet_in_fractions(v1: int, q1: int, v0: int, q0: int) -> None:
    exact = (Fraction((v1 - v0) * (q0 + q1), 2), Fraction((q1 - q0) * (v0 + v1), 2))
    assert sum(exact) == v1 * q1 - v0 * q0
    assert effects(v1 * q1, q1, v0 * q0, q0) == pytest.approx([float(x) for x in exact], rel=1e-12, abs=1e-6)


def test_what_did_not_change_has_no_effect() -> None:
    assert effects(200.0, 0.5, 100.0, 0.5)[1] == 0.0
    assert effects(200.0, 1.0, 100.0, 0.5)[0] == 0.0
    assert effects(0.0, 0.0, 100.0, 0.5) == (None, None)


def values(year: int, ratings: list[int], volumes: list[int], *, quality: Quality = RATING) -> pl.DataFrame:
    """One period's values of a rating, by town."""
    return pl.DataFrame(
        {
            "period": [date(2020 + year, 1, 1)] * 3,
            "place": TOWNS,
            "indicator": ["stars"] * 3,
            "value": [v * abs(r - quality.worst) for r, v in zip(ratings, volumes, strict=True)],
            "volume": volumes,
        }
    )


def span(frame: pl.DataFrame, *, base: int, withheld: str = "") -> Span:
    """Points are the value in per cent of the base."""
    value = dict(frame.select("place", "value").iter_rows())
    entities = pl.DataFrame(
        [
            {
                "entity_type": kind,
                "entity_code": code,
                "node": "stars",
                "points": None if code == withheld else 100 * sum(value[town] for town in INSIDE[code]) / base,
                "obs_status": "M" if code == withheld else "A",
                "imputed_share": 0.0,
            }
            for kind, code in ENTITIES
        ]
    )
    return Span(entities, place_sums(frame, leaves=["stars"]))


def table(now: Span, before: Span | None, *, quality: Quality = RATING) -> pl.DataFrame:
    return intensive_year(
        now,
        before=before,
        qualities={"stars": quality},
        members=MEMBERS,
        types=TYPES,
        nation="X",
        ranked=["town", "county"],
        year=2021,
        whole=True,
    )


def row(frame: pl.DataFrame, code: str) -> dict[str, object]:
    return frame.filter(pl.col("entity_code") == code).row(0, named=True)


def worked(year: int) -> pl.DataFrame:
    return values(year, [int(r) for r in CASE["rating"][year]], CASE["volume"][year])


def test_the_worked_example_in_index_points() -> None:
    base = worked(0)["value"].sum()
    frame = table(span(worked(1), base=base), span(worked(0), base=base))
    nation = row(frame, "X")
    # 4 (r - 1) / 4 of mean quality 13/20, on a scale from 1 to 5
    assert nation["rate"] == 1 + 4 * 0.65
    assert nation["growth_yoy"] == pytest.approx(3.6 / 4.0 - 1, rel=1e-12)
    assert nation["volume_effect"] == pytest.approx(100 * 35 / 150, rel=1e-12)
    assert nation["quality_effect"] == pytest.approx(-100 * 22.5 / 150, rel=1e-12)


@pytest.mark.parametrize("year", [0, 1])
def test_the_conversion_of_the_worked_example(year: int) -> None:
    """x = volume (r - 1) / 4: what a leaf counts is that times 4, and the mean quality is its sum by volume."""
    found = worked(year)
    spread = RATING.best - RATING.worst
    assert [Fraction(value, spread) for value in found["value"]] == [
        FRACTIONS[f"{NAME}.x[{year}][{i}]"] for i in range(len(TOWNS))
    ]
    rate = row(table(span(found, base=1), None), "X")["rate"]
    mean = FRACTIONS[f"{NAME}.mean_quality[{year}]"]
    assert rate == pytest.approx(float(RATING.worst + spread * mean), rel=1e-15)


def test_the_effects_add_to_the_change_of_points_of_every_entity() -> None:
    base = worked(0)["value"].sum()
    now, before = span(worked(1), base=base), span(worked(0), base=base)
    frame = table(now, before)
    for _, code in ENTITIES:
        change = row(now.entities, code)["points"] - row(before.entities, code)["points"]  # type: ignore[operator]
        found = row(frame, code)
        assert found["volume_effect"] + found["quality_effect"] == pytest.approx(change, abs=1e-12)  # type: ignore[operator]


def test_the_rate_is_weighted_by_volume() -> None:
    frame = table(span(values(0, [4, 2, 5], [100, 300, 50]), base=1), None)
    assert row(frame, "east")["rate"] == (4 * 100 + 2 * 300) / 400
    assert row(frame, "A")["rate"] == 4.0
    assert [row(frame, town)["rank"] for town in TOWNS] == [2, 3, 1]
    assert [row(frame, code)["rank"] for code in ("east", "west", "X")] == [2, 1, None]
    assert row(frame, "X")["volume_effect"] is None


def test_a_rate_of_failure_is_best_when_low() -> None:
    failure = Quality("failed", 1_000_000, 0, 1_000_000)
    frame = table(span(values(0, [20_000, 0, 500_000], [100, 300, 50], quality=failure), base=1), None, quality=failure)
    assert [row(frame, town)["rate"] for town in TOWNS] == [0.02, 0.0, 0.5]
    assert [row(frame, town)["rank"] for town in TOWNS] == [2, 1, 3]
    assert row(frame, "X")["rate"] == (0.02 * 100 + 0.5 * 50) / 450


def test_a_rate_is_published_in_its_unit() -> None:
    hundredths = Quality("rating", 100, 500, 100)
    frame = table(
        span(values(0, [425, 300, 500], [100, 300, 50], quality=hundredths), base=1), None, quality=hundredths
    )
    assert row(frame, "A")["rate"] == 4.25


def test_a_missing_town_is_left_out_of_the_rate_and_a_withheld_one_shows_none() -> None:
    frame = values(0, [4, 2, 5], [100, 300, 50]).with_columns(
        pl.when(pl.col("place") != "B").then(name).alias(name) for name in ("value", "volume")
    )
    found = table(span(frame.fill_null(0), base=1, withheld="B"), None)
    assert row(found, "B")["rate"] is None
    assert row(found, "B")["rank"] is None
    sums = place_sums(frame, leaves=["stars"])
    assert sums["place"].to_list() == ["A", "C"]
    assert row(found, "east")["rate"] == 4.0


def test_nothing_but_the_promised_columns() -> None:
    frame = table(span(worked(0), base=150), None)
    assert frame.columns == [
        "entity_type", "entity_code", "node", "year", "rate", "growth_yoy", "rank", "volume_effect",
        "quality_effect", "obs_status", "conf_status", "maturity", "imputed_share",
    ]  # fmt: skip
