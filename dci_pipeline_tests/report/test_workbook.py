"""Which sheets a table makes, and what the sheet of notes says of it."""

from __future__ import annotations

from datetime import date

import pytest

from dci_pipeline.contracts import TableColumn, TableContract
from dci_pipeline.findings import Finding
from dci_pipeline.report.workbook import MOST_ROWS, Sheet, notes, number_format, sheets, width

DAYS = {date(2018, 1, 1): 4, date(2018, 2, 1): 4, date(2019, 1, 1): 5}


def column(name: str, kind: str = "string", unit: str = "", *, key: bool = False) -> TableColumn:
    return TableColumn(name, kind, f"what {name} means", f"{name} zh", unit, key, key)


TABLE = TableContract(
    "any", "sales", "1.0.0", "", "销售", (column("month", "date", key=True), column("value", "number", "points")), "",
    "Sales.", "Read them.", "Not all.", "One row per month",
)  # fmt: skip


def test_a_table_that_fits_is_one_sheet() -> None:
    assert sheets(TABLE, "month", DAYS, most=13) == [Sheet("sales", TABLE, 13, tuple(DAYS))]
    assert sheets(TABLE, None, {None: 13}) == [Sheet("sales", TABLE, 13, None)]


def test_a_longer_one_is_cut_by_year() -> None:
    first, second = sheets(TABLE, "month", DAYS, most=12)
    assert (first.name, first.rows, first.values) == ("sales_2018", 8, (date(2018, 1, 1), date(2018, 2, 1)))
    assert (second.name, second.rows, second.values) == ("sales_2019", 5, (date(2019, 1, 1),))


@pytest.mark.parametrize(
    ("by", "rows", "where"), [("month", DAYS, "sales_2018"), (None, {None: 8}, "sales")], ids=["a year", "no period"]
)
def test_what_no_sheet_holds_is_refused(by: str | None, rows: dict[object, int], where: str) -> None:
    with pytest.raises(Finding, match=f"{where}: more rows than a sheet has") as said:
        sheets(TABLE, by, rows, most=7)
    assert "dci export csv" in said.value.todo


def test_a_sheet_holds_what_excel_allows() -> None:
    assert MOST_ROWS + 1 == 2**20


def test_columns_are_shown_by_type_and_unit() -> None:
    shown = {
        number_format(column("a", kind, unit))
        for kind, unit in (("date", ""), ("integer", "rank"), ("number", "fraction of 1"), ("number", "by row"))
    }
    assert shown == {"yyyy-mm-dd", "0", "0.00%", "General"}
    assert number_format(column("a")) is None
    assert width(column("points_share_change_pp")) > len("points_share_change_pp")


def test_the_notes_say_all_that_the_contract_says() -> None:
    rows = list(notes("An index", sheets(TABLE, "month", DAYS, most=12), "2018-01 to 2019-01", {"source": "a file"}))
    said = [cells for _, cells in rows]
    assert said[0] == ("An index",)
    assert ("periods", "2018-01 to 2019-01") in said
    assert ("source", "a file") in said
    (table,) = [cells for cells in said if cells[:1] == ("sales",) and len(cells) == 9]
    assert table[2] == "sales_2018 to sales_2019: longer than a sheet, cut by year"
    assert table[3:] == ("13", "One row per month", "month", "Sales.", "Read them.", "Not all.")
    assert ("sales", "value", "value zh", "number", "points", "what value means") in said
    assert [cells[0] for heading, cells in rows if heading] == ["An index", "table", "table"]
