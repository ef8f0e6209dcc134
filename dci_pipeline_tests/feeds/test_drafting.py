"""A drafted contract loads, reads the file it was drafted from, and says of every line what was guessed."""

from __future__ import annotations

import gzip
import io
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dci_pipeline import contract_files
from dci_pipeline.contracts import FeedContract
from dci_pipeline.feeds import drafting, encoding, sampling
from dci_pipeline.findings import Finding
from dci_pipeline_tests.feeds.conftest import feed_contracts, read
from dci_pipeline_tests.feeds.test_simulation import GEOGRAPHY, simulate

FEEDS = feed_contracts("dci")


def drafted(data: bytes, folder: Path, *, name: str = "new.csv", **options: Any) -> tuple[FeedContract, str]:
    frame, found, delimiter = sampling.sample(io.BytesIO(data), name, len(data))
    text = drafting.draft(frame, index="x", feed="new", file=name, encoding=found, delimiter=delimiter, **options)
    path = folder / "new.yaml"
    path.write_text(text, encoding="utf-8")
    return contract_files.read_feed(path, index="x"), text


@pytest.mark.parametrize("form", encoding.FORMS)
@pytest.mark.parametrize("contract", FEEDS, ids=lambda item: item.feed)
def test_a_draft_of_a_known_feed_finds_its_roles_and_reads_the_file(
    contract: FeedContract, form: str, tmp_path: Path
) -> None:
    data = encoding.encode(simulate(contract), contract, form=form)
    draft, text = drafted(data, tmp_path, aliases=GEOGRAPHY.aliases["alias"].to_list())
    assert draft.columns and draft.key == contract.key
    assert {(item.name, item.type, item.role, item.required) for item in draft.columns} == {
        (item.name, item.type if form != "parquet" or item.role != "date" else "date", item.role, item.required)
        for item in contract.columns
    }
    assert draft.encoding == (contract.encoding if form != "parquet" else "utf-8")
    for item in contract.columns:
        if item.values and len(item.values) < 60:
            assert set(draft.by_name[item.name].values) <= set(item.values)
    got = read(data, draft)
    assert got["unparsed"].null_count() == got.height
    assert text.count("# guess: ") > 20


CASES = {
    "a period column, a measure with decimal places, no id": (
        "州,季度,笔数,金额,备注\n甲,2024Q1,5,1.25,\n乙,2024Q1,6,2.50,x\n甲,2024Q2,7,3.00,\n",
        {"州": "place", "季度": "period", "笔数": "measure", "金额": "measure", "备注": "dimension"},
    ),
    "negative numbers are left out": ("town;change;n\nA;-1;1\nB;2;2\n", {"town": "place", "n": "measure"}),
    "codes with leading zeros are text, compact days are dates": (
        "code\tday\tn\n0101\t20240101\t1\n0102\t20240131\t2\n",
        {"code": "place", "day": "date", "n": "measure"},
    ),
    "awkward names": (
        'file,"Place, name",#,N (total)\nz,A,1,5\nz,B,1,5\n',
        {"file_1": "dimension", "place_name": "place", "column_3": "measure", "n_total": "measure"},
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("code", ["utf-8", "gb18030", "utf-16"])
def test_roles(case: str, code: str, tmp_path: Path) -> None:
    text, roles = CASES[case]
    contract, _ = drafted(text.encode(code), tmp_path)
    assert {item.name: item.role for item in contract.columns} == roles
    got = read(text.encode(code), contract)
    assert got["unparsed"].null_count() == got.height == text.count("\n") - 1


def test_types_of_parquet_columns(tmp_path: Path) -> None:
    out = io.BytesIO()
    pl.DataFrame(
        {
            "town": ["A", "B"],
            "on": [date(2024, 1, 1)] * 2,
            "flag": [True, False],
            "n": [1, 2],
            "x": [0.5, None],
            "list": [[1], [2]],
            "later": [date(2024, 2, 1)] * 2,
        }
    ).write_parquet(out)
    contract, text = drafted(out.getvalue(), tmp_path, name="x.parquet")
    assert {item.name: (item.type, item.role) for item in contract.columns} == {
        "town": ("string", "place"),
        "on": ("date", "date"),
        "flag": ("boolean", "dimension"),
        "n": ("integer", "measure"),
        "x": ("integer", "measure"),
    }
    assert contract.by_name["x"].multiplier == 100 and contract.ignored == ("list", "later")
    assert "a second date" in text and not contract.by_name["x"].required
    assert read(out.getvalue(), contract)["x"].to_list() == [50, None]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "an empty file"),
        (b"a,b\n", "a header and nothing below it"),
        (b"a,a\n1,2\n", "a repeated column"),
        (b"a,b\nx,y\n", "a feed needs a measure"),
        (b"n,m\n1.5,2.5\n", "no column that could name places"),
        (b"PAR1xx", "truncated or not a Parquet file"),
        (b"\xff\x00\x81\x30", "neither text"),
        (gzip.compress(b"a,b\nx,1\n" * 99, mtime=0)[:-9], "damaged or cut short"),
        (b"a,b\n1\n", "no record as long as the header"),
    ],
)
def test_what_no_contract_can_be_drafted_from(data: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(Finding, match=says):
        drafted(data, tmp_path)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=5, unique=True),
    rows=st.lists(
        st.lists(st.text(max_size=8) | st.integers(0, 10**20).map(str), min_size=5, max_size=5), min_size=1, max_size=8
    ),
)
@example(names=["0", "*", "00"], rows=[["", "", "00", "", ""], ["", "00", "", "", ""]])
def test_any_table_drafts_to_a_contract_that_loads(names: list[str], rows: list[list[str]], tmp_path: Path) -> None:
    frame = (
        pl.DataFrame(
            [[*row[: len(names)], str(at)] for at, row in enumerate(rows)], schema=[*names, "total count"], orient="row"
        )
        if "total count" not in names
        else pl.DataFrame({"a": ["x"], "n": ["1"]})
    )
    frame = frame.with_columns(pl.col(pl.String).replace("", None))
    try:
        text = drafting.draft(frame, index="x", feed="new", file="new\n.csv")
    except Finding:
        return
    path = tmp_path / "new.yaml"
    path.write_text(text, encoding="utf-8")
    contract = contract_files.read_feed(path, index="x")
    assert set(contract.file_columns) == set(frame.columns)
