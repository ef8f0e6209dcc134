"""Which kind of revision it is, which delivery it rests on, and what revisions come to on average."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from dci_pipeline.framework import Framework
from dci_pipeline.framework_files import read_framework
from dci_pipeline.periods import parse_span
from dci_pipeline.releases import revisions
from dci_pipeline.releases.causes import Causes, corrected, reached, rests_on
from dci_pipeline.releases.diff import compare
from dci_pipeline_tests.small_worlds import FIRST, INDEX, SECOND, Towns

KEY = ["entity_type", "entity_code", "node", "half"]
DAY = date(2020, 7, 15)
NODES = ["amount", "orders", "pay", "streams", "total", "visits"]


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Framework:
    """Nodes: total of visits and pay (of orders, amount). Feeds: web has visits and streams, shop orders and amount."""
    folder = tmp_path_factory.mktemp("towns")
    Towns([FIRST, SECOND], [], {}).write(folder)
    return read_framework(folder / "contracts", INDEX)


def table(
    points: list[float | None], status: list[str], maturity: str = "provisional", covered: int = 2
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "entity_type": "town",
            "entity_code": ["a", "b", "c"],
            "node": "pay",
            "half": "2019H2",
            "points": points,
            "rank": [1, 2, 3],
            "quarters_covered": covered,
            "obs_status": status,
            "maturity": maturity,
        }
    )


def causes(
    towns: Framework, *, files: dict[str, str] | None = None, sent: list[tuple[str, str]] | None = None, fixed: str = ""
) -> Causes:
    """files: name → key of what the definition says otherwise; sent: feed and quarter; fixed: a quarter of shop."""
    rows = [(feed, parse_span(text, "quarter")[0].start, f"{feed}{text}") for feed, text in sent or []]
    changes = [{"file": file, "key": key, "from": None, "to": None} for file, key in (files or {}).items()]
    return Causes(
        towns,
        reached(changes, towns),
        frozenset({("shop", parse_span(fixed, "quarter")[0].start)} if fixed else ()),
        pl.DataFrame(rows, schema={"feed": pl.String, "start": pl.Date, "sha256": pl.String}, orient="row"),
    )


def made(before: pl.DataFrame, after: pl.DataFrame, why: Causes) -> pl.DataFrame:
    found = compare("index_half", before, after, KEY, time="half")
    return revisions.revisions([found], release="2020-06", vintage=DAY, causes=why)


BEFORE, AFTER = table([1.0, 2.0, 3.0], ["P", "A", "E"]), table([1.5, 2.5, 3.0], ["A", "A", "A"])
OWN, FAR, OTHER = ("shop", "2019Q3"), ("shop", "2018Q1"), ("web", "2019Q4")


@pytest.mark.parametrize(
    ("new", "kinds"),
    [
        ({"sent": [OWN]}, ["R1", "R2"]),
        ({"files": {"index.yaml": "base_points"}}, ["R3", "R3"]),
        ({"fixed": "2019Q4"}, ["C", "C"]),
        # The first of several that can have moved it.
        ({"fixed": "2019Q4", "files": {"geography/places.csv": "row added"}}, ["R3", "R3"]),
        ({"fixed": "2019Q4", "sent": [OWN]}, ["C", "C"]),
        # What reaches the value, and not what came with the same release.
        ({"fixed": "2021Q4", "sent": [OWN]}, ["R1", "R2"]),
        ({"sent": [OWN], "files": {"feeds/web.yaml": "schema.[web]"}}, ["R1", "R2"]),
        ({"sent": [OTHER], "files": {"feeds/shop.yaml": "schema.[shop]"}}, ["R3", "R3"]),
        ({"sent": [OWN], "files": {"index.yaml": "revision_window.months"}}, ["R1", "R2"]),
        # Nothing near: what was carried on from further back, or else the code. What came later moves nothing.
        ({"fixed": "2018Q3"}, ["C", "C"]),
        ({"fixed": "2017Q3"}, ["C", "C"]),
        ({"sent": [("shop", "2017Q3")]}, ["R1", "R2"]),
        ({"fixed": "2022Q4", "sent": [("shop", "2022Q4")]}, ["R3", "R3"]),
        ({"sent": [OTHER]}, ["R3", "R3"]),
        ({}, ["R3", "R3"]),
    ],
)
def test_the_kind_is_that_of_the_rows_own_cause(towns: Framework, new: dict[str, object], kinds: list[str]) -> None:
    rows = made(BEFORE, AFTER, causes(towns, **new))  # pyright: ignore[reportArgumentType]
    assert rows.select("entity_code", "measure", "from", "to", "period").rows() == [
        ("a", "points", 1.0, 1.5, "2019H2"),
        ("b", "points", 2.0, 2.5, "2019H2"),
    ]
    assert rows["kind"].to_list() == kinds


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ([OWN, ("shop", "2019Q4"), ("shop", "2020Q1")], "shop2019Q3 shop2019Q4"),
        ([FAR, OTHER, ("shop", "2022Q4")], "shop2018Q1"),
        ([("shop", "2017Q3"), ("shop", "2022Q4")], "shop2017Q3"),
        ([("shop", "2022Q4")], None),
        ([OTHER], None),
    ],
)
def test_the_delivery_is_of_the_nodes_feeds_and_of_the_period_then_of_what_it_rests_on(
    towns: Framework, sent: list[tuple[str, str]], named: str | None
) -> None:
    assert set(made(BEFORE, AFTER, causes(towns, sent=sent))["delivery"]) == {named}


def test_what_was_final_is_revised_by_exception_and_says_so(towns: Framework) -> None:
    new = causes(towns, sent=[OWN])
    assert set(made(BEFORE, AFTER, new)["maturity"]) == {"provisional"}
    final = table([1.0, 2.0, 3.0], ["P", "A", "E"], "final")
    rows = made(final, AFTER, new)
    assert set(rows["maturity"]) == {"final"}
    assert revisions.summary(rows).rows() == [("index_half", "points", 2, 2, 0.5, 0.5)]
    assert revisions.by_kind(rows) == [["R1", "index_half", 1, 1], ["R2", "index_half", 1, 1]]
    # To be final now is no revision.
    assert made(BEFORE, BEFORE.with_columns(maturity=pl.lit("final")), new).is_empty()


def test_a_span_with_more_periods_is_another_span(towns: Framework) -> None:
    longer = table([1.5, 2.5, 3.0], ["A", "A", "A"], covered=3)
    assert made(BEFORE, longer, causes(towns, sent=[OWN])).is_empty()


def test_a_value_that_came_or_went_is_a_revision_and_counts_in_no_mean(towns: Framework) -> None:
    why = causes(towns, sent=[OWN])
    rows = made(table([1.0, None, 3.0], ["A", "M", "A"]), table([None, 2.0, 4.0], ["M", "A", "A"]), why)
    assert rows.select("entity_code", "from", "to", "kind").rows() == [
        ("a", 1.0, None, "R2"), ("b", None, 2.0, "R1"), ("c", 3.0, 4.0, "R2"),
    ]  # fmt: skip
    assert revisions.summary(rows).rows() == [("index_half", "points", 1, 0, 1.0, 1.0)]


def test_the_mean_tells_direction_and_the_mean_absolute_size(towns: Framework) -> None:
    rows = made(table([1.0, 2.0, 3.0], ["A"] * 3), table([2.0, 1.0, 6.0], ["A"] * 3), causes(towns))
    assert revisions.summary(rows).rows() == [("index_half", "points", 3, 0, 1.0, pytest.approx(5 / 3))]


def test_without_a_difference_there_is_none(towns: Framework) -> None:
    assert made(BEFORE, BEFORE, causes(towns, files={"index.yaml": "links"})).is_empty()


@pytest.mark.parametrize(
    ("file", "key", "row", "nodes"),
    [
        ("weights/wave_first.csv", "row added", "wave_first,e0,pay,orders,4", ["pay", "total"]),
        ("weights/wave_first.csv", "row added", "wave_first,e0,total,visits,4", ["total"]),
        ("weights/wave_first.csv", "rows removed and added in all", None, NODES),
        ("weights/wave_first.yaml", "reason", None, []),
        ("weights/wave_first.yaml", "effective_from", None, NODES),
        ("feeds/web.yaml", "schema.[web].properties", None, ["streams", "total", "visits"]),
        ("feeds/web.v2.yaml", "file added", None, ["streams", "total", "visits"]),
        ("feeds/web.yaml", "description.purpose", None, []),
        ("geography/membership.csv", "row added", "a,b,c", NODES),
        ("corrections/shop.yaml", "corrections.[one].status", None, []),
        ("index.yaml", "nodes.[orders].measure", None, ["orders", "pay", "total"]),
        ("index.yaml", "nodes.[orders].name_zh", None, []),
        ("index.yaml", "nodes.[gone]", None, NODES),
        ("index.yaml", "nodes (order)", None, NODES),
        ("index.yaml", "links.[first].basket", None, NODES),
        ("index.yaml", "links.[first].reason", None, []),
        ("index.yaml", "missing.carry_periods", None, NODES),
        ("index.yaml", "tracker.[x].unit", None, []),
        ("index.yaml", "name_en", None, []),
        ("exhibits.yaml", "exhibits", None, []),
    ],
)
def test_what_a_change_of_the_definition_can_move(
    towns: Framework, file: str, key: str, row: str | None, nodes: list[str]
) -> None:
    assert sorted(reached([{"file": file, "key": key, "from": None, "to": row}], towns)) == nodes


def test_what_a_value_rests_on_is_its_span_the_year_before_what_they_carry_and_every_reference(
    towns: Framework,
) -> None:
    def quarters(text: str) -> set[date]:
        return {item.start for item in parse_span(text, "quarter")}

    first = quarters("2018Q1:2018Q4")
    assert rests_on(towns, date(2020, 1, 1), 1) == first | quarters("2019Q2:2020Q1") | quarters("2018Q2:2019Q1")
    # The second link, from 2020Q3, has another reference besides.
    half = quarters("2020Q2:2021Q2") | quarters("2019Q2:2020Q2")
    assert rests_on(towns, date(2021, 1, 1), 6) == first | quarters("2019Q2:2019Q4") | half


def test_slices_whose_corrections_differ() -> None:
    def said(**changes: object) -> dict[str, object]:
        one = {"id": "one", "status": "active", "action": "drop", "reason": "x", "expect": {"2019-04": {"rows": 1}}}
        return {"corrections/shop.yaml": {"corrections": [one | changes]}}

    april, may = ("shop", date(2019, 4, 1)), ("shop", date(2019, 5, 1))
    assert corrected(said(), said(reason="y"), "month") == frozenset()
    assert corrected({}, said(), "month") == corrected(said(), {}, "month") == {april}
    assert corrected(said(), said(status="withdrawn"), "month") == {april}
    assert corrected({}, said(status="withdrawn"), "month") == frozenset()
    assert corrected(said(), said(expect={"2019-05": {"rows": 1}}), "month") == {april, may}
    assert corrected(said(), said(action="flag"), "month") == {april}


def test_the_triangle_has_every_period_what_it_was_revised_by_and_since_when_it_is_final() -> None:
    def state(**values: tuple[float | None, str]) -> pl.DataFrame:
        rows = [(period, *value) for period, value in values.items()]
        schema = {"period": pl.String, "value": pl.Float64, "maturity": pl.String}
        return pl.DataFrame(rows, schema=schema, orient="row")

    new, old = "provisional", "final"
    found = revisions.triangle(
        [
            ("one", state(a=(1.0, new), b=(2.0, new))),
            ("two", state(a=(1.5, old), b=(None, new), c=(3.0, new))),
            ("three", state(a=(None, old), c=(2.0, new), d=(4.0, new), b=(2.5, old))),
        ]
    )
    assert found.columns == ["period", "one", "two", "three", "revision", "final_since"]
    assert found.rows() == [
        ("a", 1.0, 1.5, None, 0.5, "two"), ("b", 2.0, None, 2.5, 0.5, "three"), ("c", None, 3.0, 2.0, -1.0, None),
        ("d", None, None, 4.0, None, None),
    ]  # fmt: skip


def test_the_contracts_of_the_table_have_its_columns() -> None:
    from dci_pipeline_tests.conftest import CONTRACTS

    for index in ("dci", "pulse"):
        contract = read_framework(Path(CONTRACTS), index).tables["revisions"]
        assert [column.name for column in contract.columns] == list(revisions.SCHEMA)
        assert contract.key == revisions.ORDER
