"""The declared exhibits: every one is there, every printed value is declared, and what makes no sense is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from dci_pipeline.exhibit_files import read_exhibits
from dci_pipeline.exhibits import Exhibits, Selection
from dci_pipeline.findings import Finding
from dci_pipeline.marts.exhibits import KEY, exhibit_values
from dci_pipeline.marts.selections import Surroundings
from dci_pipeline.periods import parse
from dci_pipeline.printed import read_printed
from dci_pipeline.settings import Settings
from dci_pipeline.steps.marts.exhibits import of_year, surroundings
from dci_pipeline.steps.structure import count
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import CONTRACTS

DECEMBER = parse("2019-12", "month")
YEARS = range(2015, 2021)
DTYPES = {"string": pl.String, "integer": pl.Int64, "number": pl.Float64, "date": pl.Date}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return Work(Settings(tmp_path_factory.mktemp("exhibits"), CONTRACTS, "polars"), "dci")


@pytest.fixture(scope="module")
def exhibits(work: Work) -> Exhibits:
    return read_exhibits(work.framework, work.geography)


@pytest.fixture(scope="module")
def printed(work: Work) -> pl.DataFrame:
    return read_printed(work.framework.folder).values


def test_every_exhibit_is_there(exhibits: Exhibits) -> None:
    assert [exhibit.exhibit for exhibit in exhibits.exhibits] == [f"E{number:03d}" for number in range(1, 125)]
    assert sum(exhibit.kind == "external" for exhibit in exhibits.exhibits) == 19
    assert all(bool(exhibit.items) != (exhibit.kind == "external") for exhibit in exhibits.exhibits)


def test_an_external_exhibit_has_external_values_only(exhibits: Exhibits, printed: pl.DataFrame) -> None:
    external = [exhibit.exhibit for exhibit in exhibits.exhibits if exhibit.kind == "external"]
    assert set(printed.filter(pl.col("exhibit_id").is_in(external))["subject"]) == {"external"}


def test_every_printed_value_is_one_that_its_exhibit_gives(
    work: Work, exhibits: Exhibits, printed: pl.DataFrame
) -> None:
    """On tables that hold a row for everything, whatever leads in them: no key is missing, none is there twice."""
    about = surroundings(work, DECEMBER)
    selections = [selection for item in exhibits.items for selection in item.selections]
    tables = {
        table: _whole(work, about, table, [one for one in selections if one.table == table])
        for table in {selection.table for selection in selections}
    }
    counted = {
        item.counts: count(work.framework, work.geography, item.counts, at=DECEMBER)
        for item in exhibits.items
        if item.counts is not None
    }
    # Who leads is the data's affair; here everybody does.
    items = [replace(item, top=None) for item in exhibits.items]
    found = pl.concat(
        [
            exhibit_values(items, tables, about=about, counted=counted, year=year, first_year=2015)
            for year in (2015, 2017, 2018, 2019, 2020)
        ]
    )
    assert found.filter(pl.struct(KEY).is_duplicated()).is_empty()
    own = printed.filter(pl.col("subject") != "external")
    both = own.join(found, on=list(KEY), how="left")
    assert both.filter(pl.col("unit_right").is_null()).select(KEY).rows() == []
    assert both.filter(pl.col("unit") != pl.col("unit_right")).select(*KEY, "unit", "unit_right").rows() == []
    silent = {exhibit.exhibit for exhibit in exhibits.exhibits if exhibit.items} - set(found["exhibit_id"])
    assert silent == set()
    counts = both.filter(pl.col("unit").is_in(["count", "year"]) & pl.col("exhibit_id").is_in(["E001", "E061", "E076"]))
    assert counts.height == 6
    assert counts["value_right"].to_list() == counts["value"].cast(pl.Float64).to_list()


def _whole(work: Work, about: Surroundings, table: str, read: Sequence[Selection]) -> pl.DataFrame:
    """A row for every key that is read of a table; every rank is 1, every other number differs from row to row."""
    types = {column.name: column.type for column in work.framework.table(table).columns}
    frame = _periods(types)
    for keys in _keys(work, about, types):
        for column in keys.columns:
            asked = {name: [c.values for c in one.where if c.column == column] for name, one in enumerate(read)}
            if all(values and values[0] for values in asked.values()):
                wanted = sorted({value for values in asked.values() for value in values[0]})
                keys = keys.filter(pl.col(column).is_in(wanted))
        frame = frame.join(keys, how="cross")
    used = {name for one in read for name in (one.column, *(c.column for c in (*one.where, *one.test)))}
    numbers = {
        name: (pl.lit(1) if kind == "integer" else pl.int_range(1, pl.len() + 1) * 0.37 % 11).cast(DTYPES[kind])
        for name, kind in types.items()
        if name in used and name not in frame.columns and kind in ("integer", "number")
    }
    return frame.with_columns(**numbers)


def _periods(types: Mapping[str, str]) -> pl.DataFrame:
    if "month" in types:
        return pl.DataFrame({"month": [date(year, month, 1) for year in (2019, 2020) for month in range(1, 13)]})
    if "half" in types:
        return pl.DataFrame({"half": [f"{year}H{half}" for year in YEARS for half in (1, 2)]})
    return pl.DataFrame({"year": list(YEARS)})


def _keys(work: Work, about: Surroundings, types: Mapping[str, str]) -> list[pl.DataFrame]:
    entities = about.entities.select("entity_type", "entity_code").filter(pl.col("entity_type") != "residual")
    names = {node.node for node in work.framework.nodes} | {item.tracked for item in work.framework.tracker}
    nodes = pl.DataFrame({"node": sorted(names)})
    nation = pl.lit(work.framework.nation["code"])
    members = about.members.select("node", "dimension", "member")
    if "basis" in types:
        inside = about.places.filter(pl.col("group_type").is_in(["cluster", "province"])).select(
            scope_type="group_type", scope_code="group", entity_type=pl.lit("city"), entity_code="place"
        )
        scoped = entities.select(pl.lit("nation").alias("scope_type"), nation.alias("scope_code"), pl.all())
        return [pl.concat([inside, scoped]), nodes, pl.DataFrame({"basis": ["points", "growth", "rank_gain"]})]
    if "scope_type" in types:
        measures = pl.DataFrame({"measure": ["divide", "median", "top10_share", "top100_share"]})
        return [entities.rename({"entity_type": "scope_type", "entity_code": "scope_code"}), nodes, measures]
    if "dimension" in types:
        return [entities, members.filter(~pl.col("dimension").is_in(["app_category", "service"]))]
    if "member" in types:
        categories = members.filter(pl.col("dimension") == "app_category").select("member").unique(maintain_order=True)
        return [entities.filter(pl.col("entity_type") == "nation"), categories]
    return [entities, nodes]


def test_a_year_is_made_of_the_partitions_there_are(work: Work, exhibits: Exhibits, tmp_path: Path) -> None:
    """One table with two years is enough for its exhibits; others say nothing, and a second time there is no work."""
    work = Work(replace(work.settings, warehouse=tmp_path), work.index)
    read = [one for item in exhibits.items for one in item.selections if one.table == "index_year"]
    whole = _whole(work, surroundings(work, DECEMBER), "index_year", read)
    for year in (2018, 2019):
        rows = whole.filter(pl.col("year") == year)
        stamp = work.warehouse.stamp({}, contract="")
        work.warehouse.commit("marts", "index_year", rows, stamp=stamp, period=parse(f"{year}", "year"))
    done = of_year(work, parse("2019", "year"))
    assert done.state == "written"
    found = work.warehouse.read("marts", "exhibit_values", parse("2019", "year"))
    assert found.filter((pl.col("exhibit_id") == "E039") & (pl.col("measure") == "abs_change")).height == 1
    assert found.filter(pl.col("exhibit_id") == "E098").is_empty()
    assert of_year(work, parse("2019", "year")).state == "unchanged"


GOOD: dict[str, Any] = {
    "exhibit": "E900",
    "part": 1,
    "title_zh": "一",
    "title_en": "One",
    "kind": "ranking",
    "subject": "dci",
    "entity_type": "province",
    "table": "index_year",
    "where": {"entity_type": "province", "node": "dci"},
    "items": [{"measures": {"index_points": "points"}, "column": "points"}],
}


def _read(work: Work, folder: Path, *entries: Mapping[str, Any]) -> Exhibits:
    (folder / "exhibits.yaml").write_text(yaml.safe_dump({"exhibits": list(entries)}), encoding="utf-8")
    return read_exhibits(replace(work.framework, folder=folder), work.geography)


def test_an_item_takes_over_what_its_exhibit_says(work: Work, tmp_path: Path) -> None:
    (item,) = _read(work, tmp_path, GOOD).items
    assert item.read is not None
    assert (item.grain, item.period, item.label, item.operator) == ("year", "{year}", "{entity}", "value")
    assert {condition.column: condition.values for condition in item.read.where} == {
        "entity_type": ("province",),
        "node": ("dci",),
    }


def _with(item: Mapping[str, Any], **exhibit: Any) -> dict[str, Any]:
    return {**GOOD, **exhibit, "items": [{**GOOD["items"][0], **item}]}


BAD = {
    "unknown key": (_with({"colum": "points"}), "colum"),
    "unknown key of an exhibit": ({**GOOD, "titel": "x"}, "titel"),
    "unknown kind": ({**GOOD, "kind": "table"}, "kind"),
    "unknown table": (_with({"table": "index_decade"}, grain="year"), "index_decade"),
    "table not published": (_with({"table": "income_year"}), "income_year"),
    "unknown column": (_with({"column": "points_per_head"}), "points_per_head"),
    "unknown column of a condition": (_with({"where": {"colour": "red"}}), "colour"),
    "unknown node": (_with({"where": {"node": "happiness"}}), "happiness"),
    "unknown type of entity": (_with({"where": {"entity_type": "village"}}), "village"),
    "unknown member": (_with({"table": "breakdown_year", "where": {"dimension": "board", "member": "opera"}}), "opera"),
    "unknown operator": (_with({"operator": "average"}), "average"),
    "a ratio to nothing": (_with({"operator": "ratio_to"}), "ratio_to"),
    "a part that nobody reads": (_with({"to": {"lag": 1}}), "value"),
    "unknown reduction": (_with({"reduce": "total"}), "total"),
    "a test of a sum": (_with({"reduce": "sum", "test": {"rank": {"at_most": 3}}}), "count or proportion"),
    "unknown limit": (_with({"where": {"rank": {"less": 3}}}), "less"),
    "unknown group": (_with({"within": {"province": ["999999"]}}), "999999"),
    "unknown name": (_with({"named": ["京津"]}), "京津"),
    "unknown grouping": (_with({"reduce": "count", "by": "climate"}), "climate"),
    "a label that cannot be filled": (_with({"label": "{member}"}), "{member}"),
    "a period that cannot be filled": (_with({"period": "{decade}"}), "{decade}"),
    "a subject that cannot be filled": (_with({"subject": "{entity}"}), "{entity}"),
    "a table too coarse": (_with({"grain": "half"}), "coarser"),
    "no measures": ({**GOOD, "items": [{"column": "points"}]}, "measures"),
    "no items": ({**GOOD, "items": []}, "items"),
    "items of an external exhibit": ({**GOOD, "kind": "external"}, "external"),
    "a count of nothing known": (_with({"operator": "structure", "counts": {"what": "stars", "of": "dci"}}), "stars"),
    "a count of an unknown node": (
        _with({"operator": "structure", "counts": {"what": "children", "of": "happiness"}}),
        "happiness",
    ),
    "no such breakdown": (
        _with({"operator": "structure", "counts": {"what": "members", "of": "dci", "dimension": "board"}}),
        "board",
    ),
}


@pytest.mark.parametrize("scenario", BAD)
def test_what_makes_no_sense_is_refused(work: Work, tmp_path: Path, scenario: str) -> None:
    entry, named = BAD[scenario]
    with pytest.raises(Finding) as raised:
        _read(work, tmp_path, entry)
    assert "exhibits.yaml" in raised.value.where
    assert "E900" in raised.value.where
    assert named in str(raised.value)


def test_an_exhibit_twice_is_refused(work: Work, tmp_path: Path) -> None:
    with pytest.raises(Finding, match="listed twice"):
        _read(work, tmp_path, GOOD, GOOD)


PRINTED_HEADER = "exhibit_id,subject,entity_type,entity_zh,period,measure,value,unit,note\n"
ROW = "E001,dci,nation,全国,2019,index_points,{value},points,{note}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (PRINTED_HEADER.replace(",note", ""), "wrong columns"),
        (PRINTED_HEADER + ROW.format(value="many", note=""), "not a number"),
        (PRINTED_HEADER + ROW.format(value="", note=""), "without a key"),
        (PRINTED_HEADER + 2 * ROW.format(value="1", note=""), "share a key"),
        (PRINTED_HEADER + ROW.format(value="1", note="N99"), "not in notes.yaml"),
    ],
)
def test_printed_values_that_cannot_be_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "values.csv").write_text(text, encoding="utf-8")
    (folder / "notes.yaml").write_text("notes:\n  - {note: N1, kind: open, exhibits: [E001], says: x}\n")
    with pytest.raises(Finding, match=problem):
        read_printed(tmp_path)


def test_every_note_is_one_of_those_counted(work: Work, exhibits: Exhibits) -> None:
    notes = read_printed(work.framework.folder).notes
    assert list(notes) == [f"N{number}" for number in range(1, 28)]
    known = {exhibit.exhibit for exhibit in exhibits.exhibits}
    assert all(set(note.exhibits) <= known for note in notes.values())
