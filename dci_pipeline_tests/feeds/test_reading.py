"""What a file is, before its values count: packing, size, encoding, header, records and their numbers."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dci_pipeline.contracts import FeedContract
from dci_pipeline.findings import Finding
from dci_pipeline_tests.feeds.conftest import contract_of, read

Make = Callable[..., FeedContract]
HEADER = "region,id,day,note,count\n"
ROW = "北京,r{n},2019-01-02,a,{n}\n"


def lines(count: int) -> str:
    return HEADER + "".join(ROW.format(n=n) for n in range(1, count + 1))


def parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


def table(count: int = 3) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "region": ["北京"] * count,
            "id": [f"r{n}" for n in range(1, count + 1)],
            "day": ["2019-01-02"] * count,
            "note": ["a"] * count,
            "count": list(range(1, count + 1)),
        }
    )


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
@pytest.mark.parametrize("form", ["utf-8", "utf-8-bom", "gb18030", "crlf", "cr", "parquet", "blank lines", "no end"])
def test_every_form_of_a_file_reads_to_the_same_rows(make: Make, form: str, pack: Callable[[bytes], bytes]) -> None:
    contract = make(encoding="gb18030" if form == "gb18030" else "utf-8")
    data = {
        "utf-8": lines(3).encode(),
        "utf-8-bom": lines(3).encode("utf-8-sig"),
        "gb18030": lines(3).encode("gb18030"),
        "crlf": lines(3).replace("\n", "\r\n").encode(),
        "cr": lines(3).replace("\n", "\r").encode(),
        "parquet": parquet(table()),
        "blank lines": ("\n\r\n" + lines(3).replace("\n", "\n\n") + "\n\n\n").encode(),
        "no end": lines(3).encode().rstrip(b"\n"),
    }[form]
    got = read(pack(data), contract, file=4)
    assert got.schema == pl.Schema(
        {
            "place": pl.String,
            "id": pl.String,
            "day": pl.Date,
            "note": pl.String,
            "count": pl.Int64,
            "file": pl.Int32,
            "file_row": pl.Int64,
            "unparsed": pl.String,
        }
    )
    assert got["place"].to_list() == ["北京"] * 3
    assert got["count"].to_list() == got["file_row"].to_list() == [1, 2, 3]
    assert got["file"].to_list() == [4] * 3
    assert got["unparsed"].null_count() == 3


def test_a_stream_that_cannot_seek_reads_as_well(make: Make) -> None:
    from dci_pipeline.feeds import typing

    class Pipe(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.inner = io.BytesIO(data)

        def read(self, size: int = -1) -> bytes:
            return self.inner.read(min(size, 7) if size > 0 else size)

        def seekable(self) -> bool:
            return False

    for data in (parquet(table()), lines(3).encode(), gzip.compress(lines(3).encode())):
        batches = typing.typed(Pipe(data), name="x", size=len(data), contract=make(), cadence="month", file=0)  # type: ignore[arg-type]
        assert pl.concat(list(batches))["count"].to_list() == [1, 2, 3]


def test_record_numbers_hold_across_ragged_rows_blank_lines_and_line_breaks_in_values(make: Make) -> None:
    text = (
        HEADER
        + "北京,r1,,a,1\n"
        + "short,row\n"
        + "\n\n"
        + '北京,r3,,"two\nlines, and a ""quote""",3\n'
        + "a,row,that,is,too,long\n"
        + '"北京",r5,,"\n\n",5\n'
        + "x\n"
        + "y\n"
    )
    got = read(text.encode(), make())
    assert got["file_row"].to_list() == [1, 2, 3, 4, 5, 6, 7]
    assert got["count"].to_list() == [1, None, 3, None, 5, None, None]
    assert got["unparsed"].to_list() == [
        None,
        "row: 2 fields, expected 5",
        None,
        "row: 6 fields, expected 5",
        None,
        "row: 1 field, expected 5",
        "row: 1 field, expected 5",
    ]
    assert got["note"].to_list() == ["a", None, 'two\nlines, and a "quote"', None, "\n\n", None, None]


def test_record_numbers_hold_from_batch_to_batch(make: Make) -> None:
    count = 400_000
    body = "".join(f"北京,r{n},2019-01-02,a,{n}\n" if n % 1000 else f"ragged{n}\n" for n in range(1, count + 1))
    got = read((HEADER + body).encode(), make())
    assert got["file_row"].to_list() == list(range(1, count + 1))
    ragged = got.filter(pl.col("unparsed").is_not_null())
    assert (ragged["file_row"] % 1000 == 0).all() and ragged.height == count // 1000
    assert got.filter(pl.col("count") != pl.col("file_row")).height == 0


def test_columns_may_come_in_any_order_and_extra_known_ones_are_left_out(make: Make) -> None:
    contract = make(ignoredColumns=["year"], rowFilter={"level": "state"})
    text = (
        "level,count,year,note,day,id,region\n"
        + "state,1,2019,a,,r1,A\n"
        + "nation,2,2019,a,,r2,A\n"
        + "ragged\n"
        + "state,4,x,a,,r4,A\n"
        + ",5,x,a,,r5,A\n"
    )
    got = read(text.encode(), contract)
    assert got.columns == ["place", "id", "day", "note", "count", "file", "file_row", "unparsed"]
    assert got["file_row"].to_list() == [1, 3, 4]
    assert got["count"].to_list() == [1, None, 4]


DAMAGED = {
    "empty": (b"", "no rows", "an empty file"),
    "only blank lines": (b"\n\n\r\n", "no rows", "an empty file"),
    "header only": (HEADER.encode(), "no rows", "a header and nothing below it"),
    "header only, no line break": (HEADER.strip().encode(), "no rows", "a header and nothing below it"),
    "parquet without rows": (parquet(table(0)), "no rows", "0 rows"),
    "unknown column": (lines(1).replace("note", "colour").encode(), "unknown column 'colour'", "expected: region, id"),
    "missing column": (lines(1).replace(",count", ",").encode(), "missing column 'count'", "found:    region, id"),
    "renamed column": (
        lines(1).replace("region", "regoin").encode(),
        "unknown column 'regoin'",
        "'regoin' may be meant as 'region'",
    ),
    "repeated column": (lines(1).replace("note", "day").encode(), "repeated column 'day'", "missing column 'note'"),
    "parquet columns": (
        parquet(table().rename({"note": "colour"})),
        "unknown column 'colour'",
        "missing column 'note'",
    ),
    "other separator": (lines(1).replace(",", ";").encode(), "missing column", "the separator may be ';'"),
    "quote never closed": (lines(2).replace("r2", '"r2').encode(), "a quote that is never closed", "record"),
    "quote never closed in the last value": (
        lines(2).encode()[:-2] + b'"2\n',
        "a quote that is never closed",
        "record",
    ),
    "quote closed by that of a later record": (
        (lines(9) + 'A,"r10",,a,1\n').replace(",r3,", ',"r3,').encode(),
        "a quote that is never closed",
        "whole records inside one value",
    ),
    "quote in the last value closed by a later one": (
        (lines(2)[:-2] + '"2\n' + lines(9)[len(HEADER) :] + 'A,r10,,a,"1"\n').encode(),
        "a quote that is never closed",
        "whole records inside one value",
    ),
    "quote never closed, long": (
        (lines(2).replace("r2", '"r2')).encode() + b"x\n" * 15_000_000,
        "a quote that is never closed",
        "a record of more than 8,388,608 bytes",
    ),
    "cut gzip": (gzip.compress(lines(9000).encode())[:-2000], "damaged or cut short", "a complete gzip file"),
    "gzip of nothing known": (gzip.compress(b"\x00\x01\x02" * 99), "missing column", "expected: region"),
    "zip or xlsx": (b"PK\x03\x04\x14\x00" + bytes(99), "not CSV or Parquet", "an Excel workbook or zip archive"),
    "xls": (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(99), "not CSV or Parquet", "an Excel workbook of the old kind"),
    "zip in gzip": (gzip.compress(b"PK\x03\x04" + bytes(99)), "not CSV or Parquet", "export as CSV or Parquet"),
    "gzip in gzip": (gzip.compress(gzip.compress(lines(2).encode())), "packed more than once", "unpack it once"),
    "utf-16": (lines(2).encode("utf-16"), "another encoding", "looks like utf-16"),
    "gb18030": (lines(2).encode("gb18030"), "another encoding", "looks like gb18030"),
    "one bad byte": (
        lines(500).encode()[:9000] + b"\xff" + lines(50).encode(),
        "another encoding",
        "looks like utf-8, damaged in places",
    ),
    "cut parquet": (parquet(table(2000))[:-700], "truncated or not a Parquet file", "a complete Parquet file"),
    "nested parquet": (parquet(table().with_columns(note=pl.concat_list("note"))), "no plain values", "note: "),
    "binary parquet": (parquet(table().with_columns(note=pl.col("note").cast(pl.Binary))), "no plain values", "note: "),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_file_that_is_no_table_of_the_contract_is_one_finding(make: Make, case: str) -> None:
    data, *says = DAMAGED[case]
    with pytest.raises(Finding) as found:
        read(data, make())
    for part in ("delivery.csv", *says):
        assert part in str(found.value)


def test_a_name_ending_in_parquet_promises_parquet(make: Make) -> None:
    with pytest.raises(Finding, match="truncated or not a Parquet file"):
        read(lines(2).encode(), make(), name="part.parquet")


def test_the_place_of_a_byte_that_does_not_decode_is_named(make: Make) -> None:
    good = lines(60_000).encode()
    bad = lines(60_000).count("\n") + 1
    with pytest.raises(Finding) as found:
        read(good + b"abc,\xff,,,1\n" + lines(3).encode(), make())
    assert f"line {bad}, byte {len(good) + 4:,}" in str(found.value)


def test_utf8_where_the_contract_says_gb18030_is_noticed_even_late(make: Make) -> None:
    contract = make(encoding="gb18030")
    ascii_part = HEADER + "".join(f"A,r{n},,a,1\n" for n in range(200_000))
    with pytest.raises(Finding) as found:
        read((ascii_part + "北京,r,,a,1\n").encode(), contract)
    assert "looks like utf-8" in str(found.value) and "line 200002" in str(found.value)
    with pytest.raises(Finding, match="looks like utf-8"):
        read(lines(3).encode("utf-8-sig"), contract)


def test_gb18030_reads_all_its_forms(make: Make) -> None:
    text = HEADER + "𠀀镕,r1,,联通é,1\nA,r2,,,2\n"
    got = read(text.encode("gb18030"), make(encoding="gb18030"))
    assert got["place"].to_list() == ["𠀀镕", "A"]
    assert got["note"].to_list() == ["联通é", None]


class TestSize:
    def test_of_the_file_as_received(self, make: Make) -> None:
        with pytest.raises(Finding) as found:
            read(b"x", make(max_bytes=100), size=101)
        assert "larger than the contract allows" in str(found.value) and "101 bytes" in str(found.value)
        with pytest.raises(Finding, match="larger"):
            read(lines(200).encode(), make(max_bytes=100), size=5)

    def test_of_what_a_gzip_unpacks_to(self, make: Make) -> None:
        bomb = gzip.compress((HEADER + "A,r1,,a,1\n" * 4_000_000).encode())
        with pytest.raises(Finding) as found:
            read(bomb, make(max_bytes=1_000_000))
        assert "more than 1,000,000 bytes once unpacked" in str(found.value)
        assert "at most 1,000,000 bytes" in str(found.value)

    def test_of_what_a_parquet_file_unpacks_to(self, make: Make) -> None:
        bomb = parquet(
            table(1)
            .select(pl.all().repeat_by(300_000).explode())
            .with_columns(id=pl.int_range(300_000).cast(pl.String))
        )
        with pytest.raises(Finding, match="larger than the contract allows"):
            read(bomb, make(max_bytes=len(bomb) + 1))


CONTRACT_BYTES = {
    "csv": lines(40).encode(),
    "gb": lines(40).encode("gb18030"),
    "gz": gzip.compress(lines(40).encode()),
    "parquet": parquet(table(40)),
    "gz parquet": gzip.compress(parquet(table(40))),
}


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FeedContract]:
    return {
        encoding: contract_of(tmp_path_factory.mktemp("contract"), encoding=encoding)
        for encoding in ("utf-8", "gb18030")
    }


def holds(data: bytes, contract: FeedContract, name: str) -> None:
    try:
        frame = read(data, contract, name=name)
    except Finding as finding:
        assert finding.where
        return
    assert frame.columns[:5] == ["place", "id", "day", "note", "count"]
    assert frame["file_row"].is_sorted() and frame["file_row"].n_unique() == frame.height
    frame.write_csv()  # walks every value


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=300).map(lambda tail: HEADER.encode() + tail),
        st.binary(max_size=200).map(gzip.compress),
        st.binary(max_size=200).map(lambda tail: b"PAR1" + tail + b"PAR1"),
        st.binary(max_size=200).map(lambda tail: b"\x1f\x8b" + tail),
    ),
    encoding=st.sampled_from(["utf-8", "gb18030"]),
    name=st.sampled_from(["a.csv", "a.parquet", "a.csv.gz"]),
)
def test_any_bytes_end_in_rows_or_a_finding(
    fixed: dict[str, FeedContract], data: bytes, encoding: str, name: str
) -> None:
    holds(data, fixed[encoding], name)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(sorted(CONTRACT_BYTES)),
    how=st.sampled_from(["flip", "cut", "insert", "drop", "repeat"]),
    at=st.floats(0, 1, exclude_max=True),
    change=st.binary(min_size=1, max_size=8),
)
def test_a_mangled_file_ends_in_rows_or_a_finding(
    fixed: dict[str, FeedContract], kind: str, how: str, at: float, change: bytes
) -> None:
    data = CONTRACT_BYTES[kind]
    place = int(at * len(data))
    mangled = {
        "flip": data[:place]
        + bytes(a ^ b for a, b in zip(data[place:], change, strict=False))
        + data[place + len(change) :],
        "cut": data[:place],
        "insert": data[:place] + change + data[place:],
        "drop": data[:place] + data[place + len(change) :],
        "repeat": data[:place] + data[place // 2 :],
    }[how]
    holds(mangled, fixed["gb18030" if kind == "gb" else "utf-8"], "a.parquet" if "parquet" in kind else "a.csv")
