"""The numbers of the explorer's files are the published ones, rounded as they say; equal tables give equal files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline import refresh
from dci_pipeline.framework import EntityType
from dci_pipeline.periods import parse_span
from dci_pipeline.report.explorer.columns import decoded, encoded
from dci_pipeline.report.explorer.files import explorer_files, script
from dci_pipeline.report.explorer.manifest import About
from dci_pipeline.report.explorer.measures import MEASURES
from dci_pipeline.report.explorer.places import places
from dci_pipeline.warehouse.explorer import of_database
from dci_pipeline.work import Work
from dci_pipeline_tests.small_worlds import FIRST, SECOND, Towns, drawn, land

QUARTERS = parse_span("2018Q1:2020Q3", "quarter")
CELLS = st.none() | st.floats(min_value=-1e6, max_value=1e6)
ABOUT = About("2020Q3", "2020-11-05")


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=5), st.integers(0, 5))
def test_what_is_encoded_comes_back_to_half_a_unit_of_its_last_decimal(
    rows: list[list[float | None]], decimals: int
) -> None:
    values = np.array([[math.nan if cell is None else cell for cell in row] for row in rows])
    cells = json.loads(json.dumps(encoded(values, decimals)))
    back = decoded(cells, decimals, 3)
    for row, again in zip(rows, back, strict=True):
        for cell, found in zip(row, again, strict=True):
            if cell is None:
                assert found is None
            else:
                assert found is not None
                assert abs(found - cell) <= 0.5 * 10**-decimals + 1e-9


def test_a_row_without_numbers_takes_no_room() -> None:
    assert encoded(np.array([[math.nan, math.nan], [1.25, 1.5]]), 2) == [[], [125, 25]]


def test_a_file_is_a_script_that_hands_over_json() -> None:
    made = script("year/total", {"name": "</script>\u2028"})
    assert made.name == "data/year/total.js"
    assert "</script" not in made.text
    assert "\u2028" not in made.text
    assert content(made.text) == ("year/total", {"name": "</script>\u2028"})


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """Eleven quarters of a small index with a link in it, of which a half and a year run on."""
    folder = tmp_path_factory.mktemp("towns")
    values = drawn(QUARTERS)
    work = Towns([FIRST, SECOND], QUARTERS, values).write(folder)
    land(work, folder / "files", values, QUARTERS)
    refresh.run_direct(work, QUARTERS)
    return work


Files = Mapping[str, Any]


@pytest.fixture(scope="module")
def files(work: Work) -> Files:
    return read(work)


def read(work: Work) -> Files:
    with duckdb.connect(str(work.warehouse.layout.catalogue), read_only=True) as connection:
        return dict(content(made.text) for made in explorer_files(of_database(connection), work.framework, ABOUT))


def content(text: str) -> tuple[str, Any]:
    assert text.startswith("dciExplorer.take(") and text.endswith(")\n")
    name, told = json.loads("[" + text[len("dciExplorer.take(") : -2] + "]")
    return name, told


def table(work: Work, name: str) -> pl.DataFrame:
    with duckdb.connect(str(work.warehouse.layout.catalogue), read_only=True) as connection:
        return connection.sql(f"SELECT * FROM {name}").pl()


def looked_up(files: Files, frequency: str) -> Callable[[dict[str, Any], str], float | None]:
    """Reads what the page reads: the number of a published row's entity, node and period in the files."""
    known = files["manifest"]
    entities = {(place["type"], place["code"]): at for at, place in enumerate(known["places"])}
    periods = next(item["periods"] for item in known["frequencies"] if item["id"] == frequency)
    back: dict[tuple[str, str], list[list[float | None]]] = {}

    def found(row: dict[str, Any], measure: str) -> float | None:
        file = files[f"{frequency}/{row['node']}"]
        told = file["measures"].get(measure)
        if told is None:
            return None
        key = (row["node"], measure)
        if key not in back:
            back[key] = decoded(told["rows"], told["decimals"], len(periods))
        place = file["entities"].index(entities[row["entity_type"], row["entity_code"]])
        return back[key][place][periods.index(key_of(row[frequency], frequency))]

    return found


def key_of(value: Any, frequency: str) -> str:
    return f"{value.year}Q{(value.month + 2) // 3}" if frequency == "quarter" else str(value)


@pytest.mark.parametrize(
    ("beside", "frequency"),
    [
        ("index", "year"),
        ("index", "half"),
        ("index", "quarter"),
        ("contribution", "year"),
        ("contribution", "quarter"),
        ("uncertainty", "year"),
    ],
)
def test_every_published_number_is_there_rounded_as_said(work: Work, files: Files, beside: str, frequency: str) -> None:
    name = f"{beside}_{frequency}"
    rows, found = table(work, name), looked_up(files, frequency)
    measures = [one for one in MEASURES if one.table == beside and one.column in rows.columns]
    seen = 0
    for row in rows.iter_rows(named=True):
        for measure in measures:
            value, here = row[measure.column], found(row, measure.column)
            if value is None or (here is None and measure.only_where_not_zero):
                assert here is None and not value
            else:
                assert here is not None
                assert abs(here - value) <= 0.5 * 10**-measure.decimals + 1e-9
                seen += 1
    assert seen > 50


def test_the_status_of_every_row_is_there(work: Work, files: Files) -> None:
    known = files["manifest"]
    entities = {(place["type"], place["code"]): at for at, place in enumerate(known["places"])}
    periods = known["frequencies"][0]["periods"]
    rows = table(work, "index_year")
    assert {"provisional", "final"} == set(rows["maturity"])
    for row in rows.iter_rows(named=True):
        told = files[f"year/{row['node']}"]["status"]
        entity, period = entities[row["entity_type"], row["entity_code"]], periods.index(str(row["year"]))
        other = {(e, p): status for e, p, status in told["other"]}
        said = other.get((entity, period), told["usual"][period])
        assert said == f"{row['obs_status']} {row['conf_status']} {row['maturity']}"


def test_parts_add_to_the_whole_as_far_as_rounding_lets_them(files: Files) -> None:
    made = files["contributions/year/total"]
    width = len(files["manifest"]["frequencies"][0]["periods"])
    back = {node: decoded(rows, made["decimals"], width) for node, rows in made["measures"].items()}
    whole = back.pop("total")
    assert set(back) == {"visits", "pay", "streams"}
    seen = 0
    for place, row in enumerate(whole):
        for period, value in enumerate(row):
            if value is not None:
                parts = sum(rows[place][period] or 0.0 for rows in back.values())
                assert parts == pytest.approx(value, abs=2e-4)
                seen += 1
    assert seen > 8


def test_the_manifest_says_what_there_is(work: Work, files: Files) -> None:
    known = files["manifest"]
    assert (known["index"], known["release"], known["vintage"]) == ("towns", "2020Q3", "2020-11-05")
    assert [item["id"] for item in known["frequencies"]] == ["year", "half", "quarter"]
    assert known["frequencies"][0]["covered"] == [4, 4, 3]
    assert [node["id"] for node in known["nodes"]] == [node.node for node in work.framework.nodes]
    assert all(node["types"] == known["types"] for node in known["nodes"])
    assert known["types"] == ["nation", "region", "town", "rest"]
    assert known["map"] is None
    east = next(place for place in known["places"] if place["code"] == "east")
    inside = [place["code"] for place in known["places"] if known["places"].index(east) in place.get("groups", ())]
    assert inside == ["T1", "T2", "T3"]


def test_equal_tables_give_equal_files(work: Work) -> None:
    with duckdb.connect(str(work.warehouse.layout.catalogue), read_only=True) as connection:
        whole = of_database(connection)

        def turned(name: str, columns: Sequence[str]) -> pl.DataFrame:
            return whole(name, columns).reverse()

        assert listed(explorer_files(whole, work.framework, ABOUT)) == listed(
            explorer_files(turned, work.framework, ABOUT)
        )


def listed(made: Iterable[Any]) -> list[tuple[str, str]]:
    return [(item.name, item.text) for item in made]


def test_names_of_places_and_what_finds_them() -> None:
    tables = {
        "unit_group": pl.DataFrame(
            {"group_type": ["g"], "group_code": ["1"], "name_zh": ["组"], "name_en": ["Group"], "place": ["510100"]}
        ).with_columns(valid_to=pl.lit(None, pl.Date)),
        "town": pl.DataFrame({"code": ["510100"], "name_zh": ["成都市"], "name_en": ["Chengdu"], "short_zh": ["成都"]}),
        "alias": pl.DataFrame(
            {
                "alias": ["成都", "5101", "510100000000", "蓉", "两处"],
                "place": ["510100"] * 5,
                "ambiguous": [False, False, False, False, True],
            }
        ),
    }

    def read(name: str, columns: Sequence[str]) -> pl.DataFrame:
        return tables[name].select(column for column in columns if column in tables[name].columns)

    types = (EntityType("town", "town", True, True, False), EntityType("g", None, True, False, True))
    there = [("town", "510100"), ("g", "1"), ("nation", "N"), ("town", "9")]
    known = places(read, {"code": "N", "name_zh": "全国", "name_en": "Nation"}, types, there)
    assert [row["type"] for row in known.rows] == ["nation", "g", "town", "town"]
    chengdu, unnamed = known.rows[2:]
    assert (chengdu["zh"], chengdu["en"], chengdu["short"]) == ("成都市", "Chengdu", "成都")
    assert chengdu["groups"] == [1]
    assert chengdu["also"] == ["蓉"]
    assert (unnamed["zh"], unnamed["en"]) == ("9", "9")
