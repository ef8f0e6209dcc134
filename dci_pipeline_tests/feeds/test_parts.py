"""A place named by two columns of the file: joined as they are, empty where either is."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.contracts import FeedContract
from dci_pipeline.findings import Finding
from dci_pipeline_tests.feeds.conftest import COLUMNS, column, contract_of, read

Make = Callable[..., FeedContract]
PARTS = {"columns": ["state", "district"], "separator": "/"}
ID, COUNT = COLUMNS[1], COLUMNS[4]


def with_place(**custom: Any) -> list[dict[str, Any]]:
    return [column("place", "string", "place", custom=custom), ID, COUNT]


def test_two_columns_are_one_name(make: Make) -> None:
    contract = make(with_place(sourceParts=PARTS))
    assert contract.file_columns == ("state", "district", "id", "count")
    frame = read(b"state,id,district,count\ngoa,1,north,5\ngoa,2,,6\n,3,north,7\n", contract)
    assert frame["place"].to_list() == ["goa/north", None, None]
    assert frame["unparsed"].to_list() == [None, None, None]


def test_one_file_column_missing_is_named(make: Make) -> None:
    with pytest.raises(Finding, match="missing column 'district'"):
        read(b"state,id,count\ngoa,1,5\n", make(with_place(sourceParts=PARTS)))


def test_a_part_may_be_a_filter_too(make: Make) -> None:
    contract = make(with_place(sourceParts=PARTS), rowFilter={"district": "north"})
    frame = read(b"state,district,id,count\ngoa,north,1,5\ngoa,south,2,6\n", contract)
    assert frame["place"].to_list() == ["goa/north"]


text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


@given(rows=st.lists(st.tuples(st.none() | text, st.none() | text), min_size=1, max_size=20))
def test_names_are_joined_and_never_changed(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    contract = contract_of(tmp_path_factory.mktemp("parts"), with_place(sourceParts=PARTS))
    out = io.BytesIO()
    frame = pl.DataFrame(rows, schema={"state": pl.String, "district": pl.String}, orient="row")
    frame.with_columns(id=pl.lit("r"), count=pl.lit(1)).write_parquet(out)
    found = read(out.getvalue(), contract, name="delivery.parquet")["place"].to_list()
    assert found == [f"{state}/{district}" if state and district else None for state, district in rows]


MISTAKES = {
    "one column": ({"sourceParts": {"columns": ["state"], "separator": "/"}}, "two or more columns"),
    "no separator": ({"sourceParts": {"columns": ["state", "district"]}}, "separator"),
    "an empty separator": ({"sourceParts": {"columns": ["a", "b"], "separator": ""}}, "two or more columns"),
    "an unknown key": ({"sourceParts": PARTS | {"spearator": "/"}}, "spearator"),
    "a source beside": ({"sourceParts": PARTS, "source": "region"}, "without source"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(mistake: str, make: Make) -> None:
    custom, message = MISTAKES[mistake]
    with pytest.raises(Finding, match=message):
        make(with_place(**custom))


def test_only_a_text_is_joined(make: Make) -> None:
    count = column("count", "integer", "measure", minimum=0, maximum=9, custom={"sourceParts": PARTS})
    with pytest.raises(Finding, match="logicalType: string"):
        make([COLUMNS[0], ID, count])
