"""Leaves with a quality and breakdowns: exact sums from every engine, and what is refused before a row is read."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dci_pipeline import contracts, engines
from dci_pipeline.findings import Finding
from dci_pipeline_tests.validation.deliveries import Leaf, Quality, contract, frame, row, run


@pytest.fixture
def of(tmp_path: Path) -> contracts.FeedContract:
    return contract(tmp_path)


SATISFIED = Leaf("satisfied", "visits", {}, Quality("stars", 1, 5))
FAULTS = Leaf("faults", "visits", {}, Quality("stars", 5, 1))


@pytest.mark.parametrize("engine", engines.NAMES)
def test_a_quality_weighs_the_volume_by_its_distance_from_the_worst(
    engine: str, tmp_path: Path, of: contracts.FeedContract
) -> None:
    rows = [
        row(1, visits=10, stars=1),
        row(2, visits=10, stars=5),
        row(3, visits=7, stars=2, town="Alpha"),
        row(4, visits=100, stars=None),
        row(5, visits=0, stars=3, town="B"),
        row(6, visits=50, stars=6),
        row(7, visits=50, stars=5, town="?"),
    ]
    found, _ = run(engine, [frame(rows)], tmp_path, of=of, leaves=(SATISFIED, FAULTS, Leaf("visits", "visits")))
    assert found.sums.rows() == [
        ("A", "faults", 10 * 4 + 7 * 3, 27, 3),
        ("A", "satisfied", 10 * 4 + 7 * 1, 27, 3),
        ("A", "visits", 127, None, 4),
        ("B", "faults", 0, 0, 1),
        ("B", "satisfied", 0, 0, 1),
        ("B", "visits", 0, None, 1),
    ]


@pytest.mark.parametrize("engine", engines.NAMES)
def test_products_and_volumes_near_the_limit_are_exact(engine: str, tmp_path: Path) -> None:
    of = contract(tmp_path, largest=2**61 - 1)
    leaf = Leaf("good_bytes", "bytes", {}, Quality("stars", 1, 5))
    rows = [row(1, bytes=2**61 - 1, stars=4), row(2, bytes=2**60, stars=3), row(3, bytes=2**61 - 3, stars=1)]
    found, _ = run(engine, [frame(rows)], tmp_path, of=of, leaves=(leaf,), splits=(("good_bytes", "kind"),))
    value = 3 * (2**61 - 1) + 2 * 2**60
    assert found.sums.rows() == [("A", "good_bytes", value, 2**61 - 1 + 2**60 + 2**61 - 3, 3)]
    assert found.members.rows() == [("A", "good_bytes", "kind", "all", value, 3)]


@pytest.mark.parametrize("engine", engines.NAMES)
def test_a_rejected_product_may_be_anything(engine: str, tmp_path: Path, of: contracts.FeedContract) -> None:
    rows = [row(number, visits=2**63 - 1, stars=2**62) for number in range(1, 4)]
    rows += [row(4, visits=2**63 - 1, stars=-(2**62)), row(9, visits=9, stars=2)]
    found, _ = run(engine, [frame(rows)], tmp_path, of=of, leaves=(SATISFIED,), splits=(("satisfied", "kind"),))
    assert found.sums.rows() == [("A", "satisfied", 9, 9, 1)]
    assert found.members.rows() == [("A", "satisfied", "kind", "all", 9, 1)]


@pytest.mark.parametrize("engine", engines.NAMES)
@pytest.mark.parametrize("quality", [Quality("stars", 1, 5), Quality("stars", 5, 1)])
def test_a_volume_or_product_beyond_the_limit_is_refused(engine: str, quality: Quality, tmp_path: Path) -> None:
    of = contract(tmp_path, largest=2**61 - 1)
    leaf = Leaf("good_bytes", "bytes", {}, quality)
    rows = [row(number, bytes=2**61 - 1, stars=5) for number in range(1, 6)]
    # Five stars are the best rating, and no fault at all: there the value is zero and the volume alone too large.
    total = 5 * (2**61 - 1) * (4 if quality.worst == 1 else 1)
    with pytest.raises(Finding, match=f"good_bytes of A: {total}"):
        run(engine, [frame(rows)], tmp_path, of=of, leaves=(leaf,))


BAD: dict[str, tuple[Leaf, tuple[tuple[str, str], ...], str]] = {
    "a product that could pass 64 bits": (Leaf("x", "bytes", {}, Quality("stars", 1, 5)), (), "at most 9223372036854"),
    "a quality without bounds": (Leaf("x", "visits", {}, Quality("grade", 1, 5)), (), "no bounds"),
    "a quality on both sides of its worst": (Leaf("x", "visits", {}, Quality("stars", 3, 5)), (), "both sides"),
    "a quality that is no number": (Leaf("x", "visits", {}, Quality("kind", 1, 5)), (), "not an integer"),
    "a measure that is no number": (Leaf("x", "kind"), (), "not an integer"),
    "a split of another leaf": (Leaf("x", "visits"), (("y", "kind"),), "found: +y"),
    "a split by no column": (Leaf("x", "visits"), (("x", "colour"),), "found: +colour"),
    "rows by no column": (Leaf("x", "visits", {"colour": "red"}), (), "found: +colour"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_the_contract_is_refused_before_any_row_is_read(
    case: str, tmp_path: Path, of: contracts.FeedContract
) -> None:
    leaf, splits, says = BAD[case]
    with pytest.raises(Finding, match=says):
        run("polars", [frame([])], tmp_path, of=of, leaves=(leaf,), splits=splits)


def test_a_product_that_just_fits_is_taken(tmp_path: Path) -> None:
    of = contract(tmp_path, largest=(2**63 - 1) // 4)
    leaf = Leaf("x", "bytes", {}, Quality("stars", 1, 5))
    found, _ = run("polars", [frame([row(1, bytes=5, stars=5)])], tmp_path, of=of, leaves=(leaf,))
    assert found.sums.rows() == [("A", "x", 20, 5, 1)]
    with pytest.raises(Finding, match="could pass 64 bits"):
        run("polars", [frame([])], tmp_path, of=contract(tmp_path, largest=2**61), leaves=(leaf,))


@pytest.mark.parametrize("engine", engines.NAMES)
def test_a_pinned_leaf_is_split_over_the_other_values(engine: str, tmp_path: Path, of: contracts.FeedContract) -> None:
    rows = [
        row(1, kind="all", visits=100),
        row(2, kind="day", visits=60, grade=2),
        row(3, kind="night", visits=70, grade=None),
        row(4, kind="night", visits=1, grade=2, town="Beta"),
    ]
    leaves = (Leaf("total", "visits", {"kind": "all"}),)
    found, _ = run(
        engine, [frame(rows)], tmp_path, of=of, leaves=leaves, splits=(("total", "kind"), ("total", "grade"))
    )
    assert found.members.rows() == [
        ("A", "total", "grade", "1", 100, 1),
        ("A", "total", "kind", "day", 60, 1),
        ("A", "total", "kind", "night", 70, 1),
        ("B", "total", "kind", "night", 1, 1),
    ]


@pytest.mark.parametrize("engine", engines.NAMES)
def test_repeats_are_taken_out_of_members(engine: str, tmp_path: Path, of: contracts.FeedContract) -> None:
    rows = [
        row(1, kind="day"),
        row(1, kind="day", file_row=2),
        row(3, kind="day", visits=3),
        row(3, kind="night", file_row=4),
    ]
    found, _ = run(engine, [frame(rows)], tmp_path, of=of, leaves=(SATISFIED,), splits=(("satisfied", "kind"),))
    assert found.members.rows() == [("A", "satisfied", "kind", "day", 3, 1)]
    assert found.sums.rows() == [("A", "satisfied", 3, 1, 1)]


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "town": st.sampled_from(["A", "Alpha", "B", "Far", "?"]),
            "kind": st.sampled_from(["all", "day", "night"]),
            "grade": st.integers(-1, 3),
            "visits": st.integers(0, 1000),
            "stars": st.sampled_from([1, 2, 5, 6, None]),
            "record_id": st.integers(1, 30).map(lambda number: f"r{number}"),
        }
    ),
    max_size=40,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=ROWS)
def test_law_members_add_up_to_their_leaf(
    changes: list[dict[str, Any]], tmp_path: Path, of: contracts.FeedContract
) -> None:
    rows = [row(number, **change) for number, change in enumerate(changes, start=1)]
    leaves = (SATISFIED, Leaf("night", "visits", {"kind": "night"}))
    splits = (("satisfied", "kind"), ("satisfied", "grade"), ("night", "grade"))
    found, _ = run("polars", [frame(rows)], tmp_path, of=of, leaves=leaves, splits=splits)
    expected = [item for column in ("kind", "grade") for item in _of(found.sums, "satisfied", column)]
    expected += _of(found.sums, "night", "grade")
    added = found.members.group_by("place", "indicator", "column").agg(pl.col("value", "records").sum())
    assert sorted(added.rows()) == sorted(expected)


def _of(sums: pl.DataFrame, indicator: str, column: str) -> list[tuple[Any, ...]]:
    return [
        (place, name, column, value, records)
        for place, name, value, _, records in sums.iter_rows()
        if name == indicator
    ]
