"""`dci run`: computes what is out of date and nothing else, holds back what must not go on, and says all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dci_pipeline_tests.cli.conftest import Dci

SMALL = ("--rows", "800")


@pytest.mark.slow
@pytest.mark.usefixtures("short_reference")
def test_run_nothing_to_do_restated_held_and_released(dci: Dci, home: Path) -> None:
    dci("simulate", "--months", "2018-01:2018-03", *SMALL)

    dry = dci("run", "--dry-run")
    assert dry.code == 0
    assert "index/points" in dry.out
    assert not list((home / "warehouse").rglob("part.parquet"))

    first = dci("run", "--direct")
    assert first.code == 0, first.all
    assert "marts/index_month" in first.out
    assert "warehouse/dci.duckdb" in first.out

    second = dci("run", "--direct")
    assert second.code == 0
    assert "Nothing to do" in second.out
    assert "2018-01 to 2018-03" in second.out

    dci("simulate", "--months", "2018-04", *SMALL, "--fault", "city.known:200", "--fault-feed", "transactions")
    held = dci("run", "--direct")
    assert held.code == 1
    assert "Held back" in held.out
    assert "2018-04" in held.out
    assert "were up to date and left alone" in held.out

    dci("simulate", "--months", "2018-04", *SMALL, "--feed", "transactions")
    released = dci("run", "--direct")
    assert released.code == 0, released.all
    assert "Nothing to do" in dci("run", "--direct").out
    counted = dci("sql", "SELECT count(DISTINCT month) AS months FROM index_month", "--csv")
    assert counted.out == "months\n4\n"


@pytest.mark.slow
@pytest.mark.usefixtures("short_reference")
def test_through_dagster_the_same_and_with_history(dci: Dci, home: Path) -> None:
    dci("simulate", "--months", "2018-01:2018-02", *SMALL)
    result = dci("run")
    assert result.code == 0, result.all
    assert "marts/catalogue" in result.out
    assert (home / "warehouse" / "dagster").is_dir()
    assert "Nothing to do" in dci("run").out


def test_periods_that_are_not_complete_are_listed_with_what_they_wait_for(dci: Dci) -> None:
    dci("simulate", "--months", "2018-01", *SMALL, "--feed", "transactions", "--partner", "pay_a")
    result = dci("run")
    assert result.code == 1
    assert "No period is complete" in result.out
    assert "transactions from pay_b" in result.out


def test_without_a_delivery_it_says_how_to_get_one(dci: Dci) -> None:
    result = dci("run")
    assert result.code == 2
    assert "dci simulate" in result.err
    assert "dci land" in result.err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--from", "2018-01"), "half a range"),
        (("--to", "2018-01"), "half a range"),
        (("--months", "2018-01", "--from", "2018-01", "--to", "2018-02"), "given twice"),
        (("--months", "2018Q1"), "a month such as"),
        (("--index", "none"), "no such index"),
    ],
)
def test_ranges_that_are_none(dci: Dci, args: tuple[str, ...], says: str) -> None:
    result = dci("run", *args)
    assert (result.code, says in result.err) == (2, True), result.err


def test_a_lock_held_by_somebody_else_ends_in_3(dci: Dci, monkeypatch: pytest.MonkeyPatch) -> None:
    from dci_pipeline import refresh
    from dci_pipeline.findings import Conflict

    def taken(*_: object) -> None:
        raise Conflict("another process is doing this work")

    monkeypatch.setattr(refresh, "delivered_periods", taken)
    result = dci("run")
    assert result.code == 3
    assert "conflict" in result.err


def test_a_mistake_in_the_program_is_owned_up_to_without_a_traceback(dci: Dci, monkeypatch: pytest.MonkeyPatch) -> None:
    from dci_pipeline import refresh

    monkeypatch.setattr(refresh, "delivered_periods", lambda *_: 1 / 0)
    result = dci("run")
    assert result.code == 70
    assert "not in your data" in result.err
    assert "DCI_LOG=debug" in result.err


@pytest.mark.parametrize(
    ("indexes", "given", "chosen"),
    [
        (["one"], None, "one"),
        (["one", "dci"], None, "dci"),
        (["one", "two"], "two", "two"),
        (["one", "two"], None, None),
        (["one"], "two", None),
        ([], None, None),
    ],
)
def test_which_index(tmp_path: Path, indexes: list[str], given: str | None, chosen: str | None) -> None:
    from dci_pipeline.cli.options import chosen_index
    from dci_pipeline.findings import Finding
    from dci_pipeline.settings import Settings

    for name in indexes:
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.yaml").touch()
    settings = Settings(tmp_path, tmp_path, "polars")
    if chosen is None:
        with pytest.raises(Finding):
            chosen_index(settings, given)
    else:
        assert chosen_index(settings, given) == chosen
