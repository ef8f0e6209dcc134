"""`dci doctor`: says what is in order, and each kind of damage is seen, named, and told how to mend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dci_pipeline.cli import doctor
from dci_pipeline.warehouse import places
from dci_pipeline_tests.cli.conftest import MONTH, Dci, rows, write


@pytest.fixture
def landed(dci: Dci, home: Path) -> Path:
    """One delivery taken in; its folder."""
    path = write(home / "a.csv", rows(50))
    assert dci("land", path, "--feed", "transactions", "--partner", "pay_a", "--month", MONTH).code == 0
    return next((home / "warehouse").rglob("delivery.json")).parent


def states(text: str) -> dict[str, str]:
    """State by check, read off the table."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        for state in ("ok", "warn", "fail"):
            name, sign, _ = line.partition(f"  {state} ")
            if sign and name.strip():
                found[name.strip()] = state
    return found


def test_an_empty_warehouse_is_not_broken(dci: Dci) -> None:
    result = dci("doctor")
    assert result.code == 0
    found = states(result.out)
    assert found["deliveries"] == found["published file"] == "warn"
    assert found["python"] == found["libraries"] == found["data files"] == found["geography"] == "ok"
    assert found["engine polars"] == found["engine duckdb"] == "ok"
    assert "351 city" in result.out


@pytest.mark.usefixtures("landed")
def test_a_delivery_as_received(dci: Dci) -> None:
    result = dci("doctor")
    assert result.code == 0
    assert states(result.out)["deliveries"] == "ok"
    assert "1 delivery, 1 file" in result.out


def _change_a_byte(folder: Path) -> None:
    path = folder / "a.csv"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def _other_typed_rows(folder: Path) -> None:
    (folder / "typed.parquet").write_bytes(b"PAR1 cut")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_change_a_byte, "a.csv has changed since it was received"),
        (lambda folder: (folder / "a.csv").unlink(), "a.csv is gone"),
        (_other_typed_rows, "typed rows cannot be read"),
        (lambda folder: (folder / "typed.parquet").unlink(), "typed rows cannot be read"),
    ],
    ids=["a byte changed", "a part gone", "typed cut", "typed gone"],
)
def test_a_damaged_delivery_is_a_failure(dci: Dci, landed: Path, damage: Callable[[Path], object], says: str) -> None:
    damage(landed)
    result = dci("doctor")
    assert result.code == 1
    assert states(result.out)["deliveries"] == "fail"
    assert says in " ".join(result.out.split())


@pytest.mark.usefixtures("landed")
def test_leftovers_damaged_tables_and_a_damaged_catalogue(dci: Dci, home: Path) -> None:
    work = home / "warehouse/dci/.work"
    work.mkdir()
    # Of a process of this start of the machine whose lock is free: it is no longer there.
    (work / f"{places._boot()}-1-abc").mkdir()
    table = home / "warehouse/dci/marts/city/part.parquet"
    table.parent.mkdir(parents=True)
    table.write_bytes(b"PAR1 cut")
    (home / "warehouse/dci.duckdb").write_bytes(b"not a database" * 100)
    result = dci("doctor")
    assert result.code == 1
    found = states(result.out)
    assert (found["leftovers"], found["tables"], found["published file"]) == ("warn", "fail", "fail")
    assert "marts/city/part.parquet" in result.out


@pytest.mark.slow
@pytest.mark.usefixtures("short_reference")
def test_a_flipped_byte_in_a_table_is_named_and_never_published(dci: Dci, home: Path) -> None:
    dci("simulate", "--months", "2018-01:2018-02", "--rows", "800")
    assert dci("run", "--direct").code == 0
    tables = home / "warehouse/dci"
    shares, mart = (
        tables / name / "year=2018/month=02/part.parquet" for name in ("normalise/shares", "marts/index_month")
    )
    whole = {path: path.read_bytes() for path in (shares, mart)}
    published = (home / "warehouse/dci.duckdb").read_bytes()
    for path in (shares, mart):
        _flip_the_middle(path)
    result = dci("doctor")
    assert result.code == 1
    assert states(result.out)["tables"] == "fail"
    said = "".join(result.out.split())
    for path in (shares, mart):
        assert path.relative_to(home / "warehouse").as_posix() in said
    assert "dcidoctor--mend" in said

    for damaged, reader in ((shares, "index/points"), (mart, "marts/index_year")):
        for path, content in whole.items():
            path.write_bytes(content)
        _flip_the_middle(damaged)
        for path in (tables / reader).rglob("part.parquet"):
            path.unlink()
        result = dci("run", "--direct")
        assert result.code == 2
        assert damaged.relative_to(home / "warehouse").as_posix() in result.err
        assert "delete this file and run again" in result.err
        assert (home / "warehouse/dci.duckdb").read_bytes() == published
        damaged.unlink()
        assert dci("run", "--direct").code == 0
        assert {path: path.read_bytes() for path in whole} == whole


def _flip_the_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def test_broken_data_files_do_not_stop_the_other_checks(dci: Dci, short_reference: Path) -> None:
    path = short_reference / "dci" / "index.yaml"
    path.write_text(path.read_text("utf-8") + "surprise: 1\n", "utf-8")
    result = dci("doctor")
    assert result.code == 1
    found = states(result.out)
    assert (found["data files"], found["geography"], found["engine duckdb"]) == ("fail", "ok", "ok")
    assert "surprise" in result.out


def test_a_library_that_is_too_old(dci: Dci, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requirements", lambda: ["polars>=999", "no-such-library>=1", "rich>=1"])
    result = dci("doctor")
    assert result.code == 1
    assert "needed >=999" in " ".join(result.out.split())
    assert "no-such-library is not installed" in " ".join(result.out.split())


@pytest.mark.slow
@pytest.mark.usefixtures("short_reference")
def test_a_computed_index_is_in_order(dci: Dci) -> None:
    dci("simulate", "--months", "2018-01:2018-02", "--rows", "800")
    assert states(dci("doctor").out)["periods"] == "warn"
    assert dci("run", "--direct").code == 0
    result = dci("doctor")
    assert result.code == 0
    assert set(states(result.out).values()) == {"ok"}, result.out


def test_assumptions_with_their_reasons(dci: Dci) -> None:
    out = " ".join(dci("doctor", "--assumptions").out.split())
    assert "digital_first" in out
    assert "The scores are invented" in out
    assert "mobile_traffic" not in out
