"""`dci release`, `dci diff`, `dci verify` and what `dci doctor` says of releases, as a person uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dci_pipeline import refresh
from dci_pipeline.work import Work
from dci_pipeline_tests.cli.conftest import QUARTERS, VALUES, Dci, Result
from dci_pipeline_tests.small_worlds import INDEX, drawn, land


def restate(towns: Work, home: Path) -> None:
    key = (QUARTERS[5], "T2", "visits")
    land(towns, home / "again", {**VALUES, key: (VALUES[key] or 0) + 5000}, [QUARTERS[5]])
    refresh.run_direct(Work(towns.settings, INDEX), QUARTERS)


def released(dci: Dci) -> Result:
    return dci("release", "--period", "2019Q4", "--date", "2020-01-20")


def words(result: Result) -> str:
    """What was printed, however wide the screen is."""
    return " ".join(result.out.split())


def test_from_the_first_release_to_a_revision(dci: Dci, towns: Work, home: Path) -> None:
    (home / "note.md").write_text("Read **this** first.", encoding="utf-8")
    first = dci("release", "--period", "2019Q4", "--date", "2020-01-20", "--note", "note.md")
    assert first.code == 0, first.all
    assert "2019Q4, the first release" in words(first) and "index_quarter" in first.out
    folder = Path("warehouse/towns/releases/2019Q4")
    assert "CHANGES.md" in first.out
    assert "Read **this** first." in (folder / "CHANGES.md").read_text("utf-8")

    same = dci("release", "--period", "2019Q4", "--date", "2020-02-20")
    assert same.code == 0 and "Nothing has changed since 2019Q4: nothing was released." in same.out

    restate(towns, home)
    coming = dci("diff", "current", "working")
    assert coming.code == 1 and "index_quarter" in coming.out and "Largest movements" in coming.out
    second = dci("release", "--period", "2019Q4", "--date", "2020-02-20")
    assert second.code == 0 and "from 2019Q4 to 2019Q4.r1" in words(second) and "town T2 visits" in words(second)
    notes = Path("warehouse/towns/releases/current/CHANGES.md").read_text("utf-8")
    assert "Supersedes 2019Q4" in notes and "| index_quarter |" in notes

    assert dci("diff", "2019Q4.r1", "current").code == 0
    as_json = dci("diff", "2019Q4", "2019Q4.r1", "--json")
    assert as_json.code == 1
    kept = json.loads((folder.parent / "2019Q4.r1" / "diff.json").read_text("utf-8"))
    assert json.loads(as_json.out) == kept
    as_markdown = dci("diff", "2019Q4", "2019Q4.r1", "--markdown")
    assert as_markdown.code == 1
    assert notes.partition("### Rows")[2] and notes.partition("### Rows")[2] in as_markdown.out
    assert dci("diff", "2019Q4", "2019Q4.r1", "--json", "--markdown").code == 2


def test_as_of_a_day_a_query_is_answered_from_the_release_of_then(dci: Dci, towns: Work, home: Path) -> None:
    query = "SELECT points FROM index_quarter WHERE entity_code = 'T2' AND node = 'visits' AND quarter = '2019-04-01'"
    released(dci)
    restate(towns, home)
    dci("release", "--period", "2019Q4", "--date", "2020-04-20")

    def points(*when: object) -> float:
        return float(json.loads(dci("sql", *when, query, "--json").out)[0]["points"])

    then, now = points("--as-of", "2020-01-20"), points()
    assert then < now
    assert points("--as-of", "2020-04-19") == then
    assert points("--as-of", "2020-04-20") == points("--as-of", "2030-01-01") == now
    early = dci("sql", "--as-of", "2020-01-19", query)
    assert early.code == 2 and "2020-01-20 or later" in early.err
    assert dci("sql", "--as-of", "soon", query).code == 2


def test_revisions_are_summed_up_and_shown_by_period_and_release(dci: Dci, towns: Work, home: Path) -> None:
    assert dci("revisions").code == 2
    dci("release", "--period", "2019Q3", "--date", "2019-11-20")
    assert "none revised another" in dci("revisions").out
    restate(towns, home)
    dci("release", "--period", "2019Q4", "--date", "2020-01-20")
    everything = {(row["table"], row["measure"]): row for row in json.loads(dci("revisions", "--json").out)}
    assert everything["index_quarter", "points"]["revisions"] == 6
    assert "index_quarter" in dci("revisions").out
    told = json.loads(dci("revisions", "--entity", "T2", "--node", "visits", "--json").out)
    assert told["vintages"] == {"2019Q3": "2019-11-20", "2019Q4": "2020-01-20"}
    moved = {row["period"]: row["revision"] for row in told["periods"]}
    assert moved["2019Q4"] is None and moved["2019Q1"] == 0 and moved["2019Q2"] > 0
    row = next(row for row in told["periods"] if row["period"] == "2019Q2")
    assert row["2019Q4"] - row["2019Q3"] == moved["2019Q2"]
    assert told["mean"] == told["mean_absolute"] == pytest.approx(moved["2019Q2"] / 7)
    shown = dci("revisions", "--entity", "region:east", "--measure", "growth_yoy", "--by", "year")
    assert shown.code == 0 and "mean absolute" in shown.out and "2019Q4: 2020-01-20" in shown.out
    assert dci("revisions", "--entity", "nowhere").code == 2
    assert dci("revisions", "--entity", "T2", "--measure", "weight").code == 2
    assert dci("revisions", "--entity", "T2", "--by", "day").code == 2
    assert dci("revisions", "--entity", "T2", "--node", "nothing").code == 2


def test_a_changed_byte_is_named_by_verify_and_by_doctor(dci: Dci, towns: Work) -> None:
    released(dci)
    assert dci("verify", "current").code == 0
    healthy = dci("doctor")
    assert "1 release as released" in healthy.out
    path = Path("warehouse/towns/releases/2019Q4/tables/index_year.parquet")
    path.chmod(0o644)
    content = path.read_bytes()
    path.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    told = dci("verify", "2019Q4")
    assert told.code == 1 and "2019Q4/tables/index_year.parquet has changed" in told.out
    as_json = json.loads(dci("verify", "2019Q4", "--json").out)
    assert not as_json["equal"] and as_json["first_difference"] is None
    doctor = dci("doctor")
    assert doctor.code == 1 and "2019Q4/tables/index_year.parquet" in doctor.out.replace("\n", "").replace(" ", "")


def test_what_cannot_be_released_says_what_to_do(dci: Dci, towns: Work, home: Path) -> None:
    assert released(dci).code == 0
    land(towns, home / "again", drawn(QUARTERS, seed=2), [QUARTERS[5]])
    stale = dci("release", "--period", "2019Q4")
    assert stale.code == 2 and "out of date" in stale.err and "dci run" in stale.err
    nothing = {**VALUES, **{key: None for key in VALUES if key[0] == QUARTERS[5]}}
    land(towns, home / "worthless", nothing, [QUARTERS[5]])
    refresh.run_direct(Work(towns.settings, INDEX), QUARTERS)
    held = dci("release", "--period", "2019Q4")
    assert held.code == 1 and "held back" in held.err and "2019Q2" in held.err
    assert dci("release", "--period", "2020Q1").code == 2
    assert dci("release", "--period", "2019Q4", "--date", "tomorrow").code == 2
    assert dci("release", "--period", "2019Q4", "--note", "nowhere.md").code == 2
    assert dci("diff", "2019Q4", "2018Q4").code == 2
    assert dci("verify", "2018Q4").code == 2
    assert dci("verify", "2019Q4", "--engine", "abacus").code == 2


def test_housekeeping_leaves_releases_alone(dci: Dci, towns: Work) -> None:
    released(dci)
    before = {path: path.read_bytes() for path in Path("warehouse/towns/releases/2019Q4").rglob("*") if path.is_file()}
    assert dci("gc", "--delete").code == 0
    assert all(path.read_bytes() == content for path, content in before.items())
