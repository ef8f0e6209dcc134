"""`dci contract`: drafts that can be checked, a contract shown in full, and every mistake in a data file named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from dci_pipeline_tests.cli.conftest import Dci, rows, write
from dci_pipeline_tests.conftest import CONTRACTS


@pytest.fixture
def copy(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data files that a test may break."""
    target = home / "contracts"
    shutil.copytree(CONTRACTS, target)
    monkeypatch.setenv("DCI_CONTRACTS", str(target))
    return target


@pytest.mark.parametrize("index", sorted(path.parent.name for path in CONTRACTS.glob("*/index.yaml")))
def test_the_data_files_are_in_order(dci: Dci, index: str) -> None:
    result = dci("contract", "check", "--index", index)
    assert result.code == 0
    for path in sorted((CONTRACTS / index).glob("*/*.yaml")):
        assert path.name in result.out or f"{path.parent.name}/ " in result.out or path.parent.name == "weights"


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("feeds/transactions.yaml", "status: active", "status: active\nsurprise: 1", ("transactions.yaml", "surprise")),
        ("feeds/transactions.yaml", "logicalType: date", "logicalType: day", ("transactions.yaml", "'day'")),
        ("feeds/transactions.yaml", "^[A-Za-z0-9_.:-]{1,64}$", r"^\\d+$", ("record_id", "explicit classes")),
        (
            "feeds/transactions.yaml",
            "name: transactions\nversion",
            "name: payments\nversion",
            ("payments", "transactions"),
        ),
        ("marts/weights.yaml", "kind: DataContract", "kind: Contract", ("weights.yaml", "Open Data Contract Standard")),
        ("marts/weights.yaml", "required: true", "required: maybe", ("weights.yaml", "valid boolean")),
        ("index.yaml", "cadence: month", "cadence: fortnight", ("index.yaml", "fortnight", "month or quarter")),
        ("index.yaml", "parent: digital_first", "parent: nobody", ("nobody",)),
        ("simulation.yaml", "first:", "fist:", ("simulation.yaml", "fist")),
        ("exhibits.yaml", "table: index_year", "table: index_yeer", ("exhibits.yaml", "index_yeer")),
        ("map.yaml", "groups: province", "groups: provinces", ("map.yaml", "provinces")),
        ("map.yaml", "meridian: 105", "meridian: far east", ("map.yaml", "meridian")),
        ("published/notes.yaml", "  kind: contradiction", "  kind: quarrel", ("notes.yaml", "quarrel")),
        ("geography/groups.csv", "valid_from", "valid_since", ("groups.csv", "valid_since")),
    ],
)
def test_a_mistake_is_named_with_file_and_key(
    dci: Dci, copy: Path, file: str, old: str, new: str, says: tuple[str, ...]
) -> None:
    _edit(copy / "dci" / file, old, new)
    result = dci("contract", "check")
    assert result.code == 1
    assert all(word in result.err for word in says), result.err


def test_all_mistakes_are_told_at_once(dci: Dci, copy: Path) -> None:
    for feed in ("transactions", "app_usage"):
        _edit(copy / "dci" / "feeds" / f"{feed}.yaml", "status: active", "status: active\nsurprise: 1")
    result = dci("contract", "check")
    assert "feeds/transactions.yaml: unknown key" in result.err
    assert "feeds/app_usage.yaml: unknown key" in result.err


def test_a_contract_is_shown_in_full(dci: Dci) -> None:
    out = dci("contract", "show", "transactions").out
    for word in ("pay_a", "gb18030", "record_id", "yyyy-MM-dd", "key.unique", "0.5 %", "97 %", "sector.one_of", "fen"):
        assert word in out, word
    assert "txn_amount_inr" in dci("contract", "show", "transactions", "--index", "pulse").out
    missing = dci("contract", "show", "nothing")
    assert (missing.code, "no such feed" in missing.err) == (2, True)


def test_a_draft_is_a_contract_that_reads_the_file_it_came_from(dci: Dci, home: Path, copy: Path) -> None:
    path = write(home / "sent.csv", rows(300))
    result = dci("contract", "infer", path, "--feed", "payments", "--out", "draft.yaml")
    assert result.code == 0
    assert "Read every line" in result.out
    assert yaml.safe_load((home / "draft.yaml").read_text("utf-8"))["name"] == "payments"
    shutil.copy(home / "draft.yaml", copy / "dci" / "feeds" / "payments.yaml")
    checked = dci("check", path, "--feed", "payments")
    assert checked.code == 0, checked.all
    assert dci("contract", "infer", path, "--feed", "payments").out == (home / "draft.yaml").read_text("utf-8")


def test_a_draft_never_overwrites(dci: Dci, home: Path) -> None:
    path = write(home / "sent.csv", rows(30))
    result = dci("contract", "infer", path, "--feed", "payments", "--out", path)
    assert result.code == 2
    assert "there already" in result.err


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\xff\xfe", b"only one line", b"a,a\n1,2\n", b"PAR1 cut", b"PK\x03\x04"],
    ids=["empty", "bytes", "one line", "a repeated column", "cut parquet", "zip"],
)
def test_no_draft_of_what_is_no_table(dci: Dci, home: Path, content: bytes) -> None:
    (home / "x.csv").write_bytes(content)
    result = dci("contract", "infer", home / "x.csv", "--feed", "payments")
    assert result.code == 2
    assert "x.csv" in result.err
    assert "do next" in result.err
    missing = dci("contract", "infer", "nowhere.csv", "--feed", "payments")
    assert (missing.code, "found    nothing" in missing.err) == (2, True)
