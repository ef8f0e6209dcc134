"""`dci demo`: the whole path once, and a second time nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from dci_pipeline.cli import simulate
from dci_pipeline_tests.cli.conftest import Dci


@pytest.mark.slow
def test_twice(dci: Dci, short_reference: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # One year of small files is enough to see the path; `make run` makes two of the usual size.
    monkeypatch.setattr(simulate, "YEARS", 1)
    profile = short_reference / "dci" / "simulation.yaml"
    text = profile.read_text("utf-8").replace("rows: 6000", "rows: 400").replace("rows: 7060", "rows: 800")
    profile.write_text(text, "utf-8")
    first = dci("demo")
    assert first.code == 0, first.all
    assert "the ten leading of type city" in first.out
    assert "China: " in first.out
    # A failed check is not only counted: it says what it found.
    assert "1 failed" in first.out and "Kendall's W below 0.3" in first.out
    assert all(word in first.out for word in ("make ui", "dci sql", "make test", "warehouse/dci.duckdb"))
    second = dci("demo")
    assert second.code == 0
    assert "Nothing to do" in second.out
    assert "Nothing has changed" in second.out
    table = [line for line in first.out.splitlines() if line[:6].strip().isdecimal()]
    assert len(table) == 10
    assert table == [line for line in second.out.splitlines() if line[:6].strip().isdecimal()]


def test_an_index_of_real_data_is_told_how_to_get_it(dci: Dci) -> None:
    result = dci("demo", "--index", "pulse")
    assert result.code == 2
    assert "dci land" in result.err
