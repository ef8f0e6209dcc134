"""Whatever bytes a partner sends: `dci check` gives a verdict or a clear error, never a traceback."""

from __future__ import annotations

import gzip
import io
import random
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dci_pipeline.cli.checking import check_delivery
from dci_pipeline.findings import Finding
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests.cli.conftest import HEADER, MONTH, rows
from dci_pipeline_tests.conftest import CONTRACTS


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return Work(Settings(tmp_path_factory.mktemp("none"), CONTRACTS, "polars"), "dci")


def judged(work: Work, content: bytes, name: str, *, inferred: bool) -> bool | None:
    """True accepted, False rejected, None unreadable with a Finding that says what is wrong."""
    partner, month = (None, None) if inferred else ("pay_a", MONTH)
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            checked = check_delivery(
                work, [path], feed="transactions", partner=partner, month=month, folder=Path(folder)
            )
        except Finding as finding:
            assert finding.problem
            return None
        assert sum(item.rows for item in checked.slices) > 0
        return checked.accepted


def _csv() -> bytes:
    return ("\n".join(",".join(row) for row in [HEADER, *rows(30)]) + "\n").encode("gb18030")


def _parquet() -> bytes:
    out = io.BytesIO()
    pl.DataFrame(rows(30), schema=HEADER, orient="row").write_parquet(out)
    return out.getvalue()


GOOD = {"f.csv": _csv(), "f.csv.gz": gzip.compress(_csv(), mtime=0), "f.parquet": _parquet()}


def test_the_files_to_mangle_are_good(work: Work) -> None:
    for name, content in GOOD.items():
        assert judged(work, content, name, inferred=True) is True


@settings(max_examples=60)
@given(
    content=st.binary(max_size=600),
    head=st.sampled_from([b"", b"\x1f\x8b", b"PAR1", b"\xff\xfe", _csv()[:70]]),
    name=st.sampled_from(["x.csv", "x.csv.gz", "x.parquet", "x"]),
    inferred=st.booleans(),
)
def test_arbitrary_bytes(work: Work, content: bytes, head: bytes, name: str, inferred: bool) -> None:
    judged(work, head + content, name, inferred=inferred)


@settings(max_examples=80)
@given(
    name=st.sampled_from(sorted(GOOD)),
    seed=st.integers(0, 2**32),
    cuts=st.integers(0, 2),
    flips=st.integers(0, 6),
    inferred=st.booleans(),
)
def test_mangled_files(work: Work, name: str, seed: int, cuts: int, flips: int, inferred: bool) -> None:
    chance = random.Random(seed)
    content = bytearray(GOOD[name])
    for _ in range(flips):
        content[chance.randrange(len(content))] = chance.randrange(256)
    for _ in range(cuts):
        at = chance.randrange(len(content))
        del content[at : at + chance.randrange(1, 40)]
    judged(work, bytes(content), name, inferred=inferred)


FIELDS = st.one_of(
    st.text(max_size=12),
    st.integers(-(2**70), 2**70).map(str),
    st.dates().map(str),
    st.sampled_from(
        [
            "",
            "9999-12-31",
            "0001-01-01",
            "2018-03-01",
            "NaN",
            "inf",
            "-0",
            "1e5",
            "北京",
            "110000",
            "零售",
            '"',
            '""',
            "\x00",
            "a,b",
            "[red]",
            "\u202e",
            " 1",
            "1 ",
        ]
    ),
)


@settings(max_examples=60)
@given(records=st.lists(st.lists(FIELDS, min_size=5, max_size=9), min_size=1, max_size=6), inferred=st.booleans())
def test_arbitrary_fields_under_the_right_header(work: Work, records: list[list[str]], inferred: bool) -> None:
    text = "\n".join(",".join(row) for row in [HEADER, *records])
    judged(work, text.encode("gb18030", errors="replace"), "x.csv", inferred=inferred)
