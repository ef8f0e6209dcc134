"""Corrections on typed rows: exact figures by construction, the same on every engine, guarded, in the file's order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dci_pipeline import engines
from dci_pipeline.contracts import FeedContract
from dci_pipeline.corrections import Correction, Expected, Scale
from dci_pipeline.findings import Held
from dci_pipeline.validation.corrections import corrected
from dci_pipeline.validation.scan import Scan, scan
from dci_pipeline_tests.validation.deliveries import ALIASES, LEAVES, PARTNER, PERIOD, contract, frame, row

BIG = 2**62


def correction(
    action: str,
    rows: int,
    *,
    id: str = "one",
    where: Mapping[str, tuple[Any, ...]] | None = None,
    set: Mapping[str, Any] | None = None,
    scale: Scale | None = None,
    sums: Mapping[str, int] | None = None,
    values: Mapping[str, tuple[Any, ...]] | None = None,
) -> Correction:
    return Correction(
        id=id,
        feed="visits",
        partner=PARTNER,
        action=action,
        matching=where or {},
        set=set or {},
        scale=scale,
        expect={PERIOD: Expected(rows, sums or {}, values or {})},
        reason="known",
        reporter="somebody",
        status="active",
        since="2019-06-03",
        where="test/corrections/visits.yaml",
    )


@pytest.fixture(params=["polars", "duckdb"])
def apply(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., tuple[pl.DataFrame, pl.DataFrame, Scan]]:
    """The corrected rows in order of the file, what the corrections did, and the scan of these rows."""

    def run(rows: list[dict[str, Any]], *corrections: Correction) -> tuple[pl.DataFrame, pl.DataFrame, Scan]:
        path, of = tmp_path / "rows.parquet", contract(tmp_path)
        frame(rows).write_parquet(path)
        with engines.engine(request.param) as engine:
            lazy, done = corrected(engine, engine.scan([path]), corrections, contract=of, period=PERIOD)
            found = scan(
                engine, lazy, contract=of, period=PERIOD, partner=PARTNER, aliases=ALIASES, leaves=LEAVES, splits=()
            )
            return engine.collect(lazy).sort("file", "file_row"), done, found

    return run


def summed(found: Scan, leaf: str = "all_visits") -> dict[str, int]:
    return dict(found.sums.filter(pl.col("indicator") == leaf).select("place", "value").iter_rows())


ROWS = [
    row(1, visits=10, event_date=date(2019, 4, 2)),
    row(2, visits=20, town="B", event_date=date(2019, 4, 3)),
    row(3, visits=30, town="Beta", event_date=date(2019, 4, 3)),
    row(4, visits=None, unparsed="visits: 'forty' is not an integer"),
    row(5, visits=5000, town="B"),
]
# row 4 breaks visits.type, row 5 visits.range
PLAIN = {"A": 10, "B": 50}

CASES: dict[str, tuple[Correction, dict[str, int], int, list[tuple[Any, ...]]]] = {
    # the correction, the sums after it, rows rejected, (column, before, after)
    "drop by id": (
        correction("drop", 2, where={"record_id": ("r2", "r5")}, sums={"visits": 5020}),
        {"A": 10, "B": 30},
        1,
        [("visits", "5020", "0")],
    ),
    "drop by date and town": (
        correction("drop", 1, where={"event_date": (date(2019, 4, 3),), "town": ("B",)}, values={"visits": (20,)}),
        {"A": 10, "B": 30},
        2,
        [("visits", "20", "")],
    ),
    "drop all": (
        correction("drop", 5, sums={"visits": 5060}, values={"town": ("A", "B", "Beta")}),
        {},
        0,
        [("visits", "5060", "0"), ("town", "A or B or Beta", "")],
    ),
    "scale down all of a town": (
        correction("scale", 2, where={"town": ("B",)}, scale=Scale("visits", 1, 10), sums={"visits": 5020}),
        {"A": 10, "B": 2 + 30 + 500},
        1,
        [("visits", "5020", "502")],
    ),
    "scale up by date": (
        correction(
            "scale",
            2,
            where={"event_date": (date(2019, 4, 2), date(2019, 4, 3)), "town": ("A", "Beta")},
            scale=Scale("visits", 3, 1),
            values={"visits": (10, 30)},
        ),
        {"A": 30, "B": 20 + 90},
        2,
        [("visits", "10 or 30", "30 or 90")],
    ),
    "override a measure in the range": (
        correction("override", 1, where={"record_id": ("r5",)}, set={"visits": 50}, sums={"visits": 5000}),
        {"A": 10, "B": 100},
        1,
        [("visits", "5000", "50")],
    ),
    "override what could not be read": (
        correction("override", 1, where={"record_id": ("r4",)}, set={"visits": 40}, values={"visits": (None,)}),
        {"A": 50, "B": 50},
        1,
        [("visits", "empty", "40")],
    ),
    "override a place and a date": (
        correction(
            "override",
            1,
            where={"visits": (20,)},
            set={"town": "Alpha", "event_date": date(2019, 4, 30)},
            values={"town": ("B",), "event_date": (date(2019, 4, 3),)},
        ),
        {"A": 30, "B": 30},
        2,
        [("town", "B", "Alpha"), ("event_date", "2019-04-03", "2019-04-30")],
    ),
    "a flag changes nothing": (
        correction("flag", 2, where={"town": ("B",)}, sums={"visits": 5020}),
        PLAIN,
        2,
        [("visits", "5020", "5020")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_correction_comes_to(case: str, apply: Callable[..., Any]) -> None:
    given, sums, rejected, effects = CASES[case]
    rows, done, found = apply(ROWS, given)
    assert summed(found) == sums
    assert found.rejected == rejected
    assert done.select("column", "before", "after").rows() == effects
    assert done["rows"].unique().to_list() == [given.expect[PERIOD].rows]
    assert rows.height == found.rows == len(ROWS) - (given.expect[PERIOD].rows if given.action == "drop" else 0)


def test_a_row_with_another_unread_value_stays_rejected_for_that_one(apply: Callable[..., Any]) -> None:
    both = "visits: 'x; stars: y' is not an integer; stars: 'z' is not an integer"
    given = [row(1), row(2, visits=None, stars=None, unparsed=both), row(3, unparsed="row: 9 fields, expected 8")]
    mine = correction("override", 1, where={"record_id": ("r2",)}, set={"visits": 7}, values={"visits": (None,)})
    rows, _, found = apply(given, mine)
    assert rows["unparsed"].to_list() == [None, both, "row: 9 fields, expected 8"]
    broken = found.counts.filter(pl.col("unexpected") > 0).select("rule", "unexpected").rows()
    assert broken == [("row.shape", 1), ("stars.type", 1), ("any", 2)]

    rest = correction(
        "override", 1, id="two", where={"record_id": ("r2",)}, set={"stars": 3}, values={"stars": (None,)}
    )
    rows, _, found = apply(given, mine, rest)
    assert rows["unparsed"].to_list() == [None, None, "row: 9 fields, expected 8"]
    assert (summed(found), found.rejected) == ({"A": 8}, 1)


def test_a_ragged_row_is_not_mended_by_one_value(apply: Callable[..., Any]) -> None:
    empty = dict.fromkeys(("partner", "record_id", "event_date", "town", "kind", "grade", "visits", "bytes", "stars"))
    ragged = row(2) | empty | {"unparsed": "row: 9 fields, expected 8"}
    rows, _, _ = apply([row(1), ragged], correction("override", 2, set={"kind": "all"}, values={"kind": ("all", None)}))
    assert rows["unparsed"].to_list() == [None, "row: 9 fields, expected 8"]


def test_corrections_apply_in_the_order_of_the_file(apply: Callable[..., Any]) -> None:
    """Each is guarded on what those before it left, so two on one row are one after the other."""
    tenfold = correction(
        "scale", 1, id="a", where={"record_id": ("r2",)}, scale=Scale("visits", 10, 1), sums={"visits": 20}
    )
    moved = correction("override", 1, id="b", where={"visits": (200,)}, set={"town": "A"}, values={"town": ("B",)})
    _, done, found = apply(ROWS, tenfold, moved)
    assert summed(found) == {"A": 210, "B": 30}
    assert done.select("number", "correction").rows() == [(1, "a"), (2, "b")]
    with pytest.raises(Held, match="correction 'b'"):
        apply(ROWS, moved, tenfold)


def test_a_sum_past_64_bits_is_guarded_exactly(apply: Callable[..., Any]) -> None:
    rows = [row(number, bytes=BIG) for number in range(1, 9)]
    mine = correction("override", 8, set={"bytes": 5}, sums={"bytes": 8 * BIG})
    _, done, found = apply(rows, mine)
    assert summed(found, "traffic") == {"A": 40}
    assert done.row(0)[-2:] == (str(8 * BIG), "40")
    near = correction("override", 8, set={"bytes": 5}, sums={"bytes": 8 * BIG - 1})
    with pytest.raises(Held, match=f"{8 * BIG:,}"):
        apply(rows, near)


@pytest.mark.parametrize(
    ("scale", "values"), [(Scale("visits", 1, 10), [10, 25, -30]), (Scale("visits", 4, 1), [1, BIG, -BIG])]
)
def test_what_does_not_scale_exactly_is_held(scale: Scale, values: list[int], apply: Callable[..., Any]) -> None:
    rows = [row(number, visits=value) for number, value in enumerate(values, start=1)]
    lossy = 1 if scale.divide > 1 else 2
    with pytest.raises(Held, match=f"{lossy} rows that do not scale exactly"):
        apply(rows, correction("scale", 3, scale=scale, sums={"visits": sum(values)}))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rows": 2}, "found: +1 rows.*expected: +2 rows"),
        ({"sums": {"visits": 21}}, "visits adds up to 20.*visits adds up to 21"),
        ({"sums": {}, "values": {"town": ("A",)}}, "town is B.*town is A"),
        ({"where": {"record_id": ("r9",)}}, "found: +0 rows, visits adds up to 0"),
    ],
)
def test_a_guard_that_does_not_hold_names_what_is_wrong(
    change: dict[str, Any], says: str, apply: Callable[..., Any]
) -> None:
    given: dict[str, Any] = {"rows": 1, "where": {"record_id": ("r2",)}, "sums": {"visits": 20}} | change
    with pytest.raises(Held, match=f"(?s){says}") as held:
        apply(ROWS, correction("drop", **given))
    said = str(held.value)
    for part in ("correction 'one'", "2019-04", PARTNER, "status: withdrawn", "test/corrections/visits.yaml"):
        assert part in said


CHAIN = ("override what could not be read", "override a place and a date", "override a measure in the range")


def test_engines_agree_to_the_byte(tmp_path: Path) -> None:
    of: FeedContract = contract(tmp_path)
    path = tmp_path / "rows.parquet"
    frame(ROWS).write_parquet(path)
    written: list[bytes] = []
    for name in ("polars", "duckdb"):
        with engines.engine(name) as engine:
            lazy, done = corrected(
                engine, engine.scan([path]), [CASES[name][0] for name in CHAIN], contract=of, period=PERIOD
            )
            written.append(engine.collect(lazy).sort("file_row").write_csv().encode() + done.write_csv().encode())
    assert written[0] == written[1]
