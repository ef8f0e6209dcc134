"""Releases: whole or not there, never changed, and exact in what they say of each other."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from dci_pipeline import refresh, releasing, verifying
from dci_pipeline.findings import Finding, Held
from dci_pipeline.periods import Period, parse_span
from dci_pipeline.warehouse import deliveries, places, release_files, release_rows, releases
from dci_pipeline.warehouse.release_files import Release
from dci_pipeline.work import Work
from dci_pipeline_tests.small_worlds import FIRST, INDEX, Towns, Values, drawn, land

QUARTERS = parse_span("2018Q1:2019Q4", "quarter")
RESTATED, LAST = QUARTERS[5], QUARTERS[-1]
DAY, LATER = date(2020, 1, 20), date(2020, 4, 20)
VALUES = drawn(QUARTERS)
TOWNS = Towns([FIRST], QUARTERS, VALUES)


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two years computed; no test changes it."""
    folder = tmp_path_factory.mktemp("computed")
    work = TOWNS.write(folder)
    land(work, folder / "sent", VALUES, QUARTERS)
    assert not refresh.run_direct(work, QUARTERS).held
    return folder


@pytest.fixture
def work(computed: Path, tmp_path: Path) -> Work:
    """A copy of it."""
    shutil.copytree(computed, tmp_path / "towns")
    return opened(tmp_path / "towns")


def opened(folder: Path) -> Work:
    from dci_pipeline.settings import Settings

    return Work(Settings(folder / "warehouse", folder / "contracts", "polars"), INDEX)


def again(work: Work) -> Work:
    return Work(work.settings, work.index)


def restate(work: Work, sent: Path, change: Callable[[Values], Values], periods: list[Period]) -> Work:
    """Deliveries of some quarters once more, with other values, and everything computed that rests on them."""
    land(work, sent, change(VALUES), periods)
    fresh = again(work)
    assert not refresh.run_direct(fresh, QUARTERS).held
    return fresh


def more_visits(values: Values) -> Values:
    """A town's visits in one old quarter, and nothing else: too few more to change a rank."""
    key = (RESTATED, "T2", "visits")
    return {**values, key: (values[key] or 0) + 1}


def rows(release: Release, table: str) -> dict[tuple[object, ...], dict[str, object]]:
    """Rows by key, as DuckDB reads the file analysts open."""
    item = next(item for item in release.package["resources"] if item["name"] == table)
    with duckdb.connect(str(release.database), read_only=True) as connection:
        found = connection.sql(f'SELECT * FROM "{table}"')
        named = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    return {tuple(row[name] for name in item["schema"]["primaryKey"]): row for row in named}


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in release_files.files(folder)}


def test_a_release_holds_the_published_rows_and_all_that_a_rebuild_needs(work: Work) -> None:
    made = releasing.release(work, LAST, vintage=DAY, note="What a reader should know.")
    release = made.release
    assert made.new and release.id == "2019Q4" and release.vintage == DAY
    names = set(bytes_of(release.folder))
    assert {f"tables/{table}.parquet" for table in work.framework.tables} <= names
    assert {f"{INDEX}.duckdb", "datapackage.json", "SHA256SUMS", "CHANGES.md", "diff.json"} <= names
    assert {f"method/{INDEX}/{name}" for name in ("index.yaml", "feeds/web.yaml", "geography/places.csv")} <= names
    with duckdb.connect(str(work.warehouse.layout.catalogue), read_only=True) as connection:
        for table in work.framework.tables:
            published = connection.sql(f'SELECT * FROM "{table}"').fetchall()
            assert sorted(map(repr, published)) == sorted(
                map(repr, (tuple(r.values()) for r in rows(release, table).values()))
            )
    assert (release.folder / "CHANGES.md").read_text("utf-8").count("What a reader should know.") == 1
    assert all(not path.stat().st_mode & stat.S_IWUSR for path in release_files.files(release.folder))
    assert release_files.current(work.warehouse.layout) == "2019Q4"
    assert {part["sha256"] for item in release.package["deliveries"] for part in item["parts"]} == {
        sent_part["sha256"]
        for path in (work.warehouse.layout.home / "feeds").rglob("delivery.json")
        for sent_part in json.loads(path.read_text("utf-8"))["parts"]
    }


def test_another_program_checks_the_sums(work: Work) -> None:
    folder = releasing.release(work, LAST, vintage=DAY).release.folder
    listed = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.count(": OK") == len(bytes_of(folder)) - 1


def test_an_identical_refresh_releases_nothing(work: Work) -> None:
    first = releasing.release(work, LAST, vintage=DAY, note="one")
    before = bytes_of(first.release.folder)
    second = releasing.release(restate(work, work.settings.warehouse / "sent", dict, QUARTERS), LAST, vintage=LATER)
    assert not second.new and second.release == first.release
    assert bytes_of(first.release.folder) == before
    assert [item.id for item in release_files.releases(work.warehouse.layout)] == ["2019Q4"]


def test_the_same_content_gives_the_same_bytes_in_another_warehouse(work: Work, tmp_path: Path) -> None:
    other = TOWNS.write(tmp_path / "other")
    land(other, tmp_path / "sent", VALUES, list(reversed(QUARTERS)))
    refresh.run_direct(other, QUARTERS)
    ours, theirs = (releasing.release(item, LAST, vintage=DAY).release.folder for item in (work, other))
    unequal = {name for name, content in bytes_of(ours).items() if content != bytes_of(theirs)[name]}
    # A database file is equal in content, not in bytes.
    assert unequal <= {f"{INDEX}.duckdb", "SHA256SUMS"}


def test_a_restated_town_shows_in_the_diff_and_nowhere_else(work: Work, tmp_path: Path) -> None:
    first = releasing.release(work, LAST, vintage=DAY).release
    kept = bytes_of(first.folder)
    made = releasing.release(restate(work, tmp_path, more_visits, [RESTATED]), LAST, vintage=LATER)
    second = made.release
    assert made.new and second.id == "2019Q4.r1" and second.package["supersedes"] == "2019Q4"
    assert bytes_of(first.folder) == kept
    assert release_files.current(work.warehouse.layout) == "2019Q4.r1"
    told = json.loads((second.folder / "diff.json").read_text("utf-8"))
    assert (told["from"], told["to"], told["schema_changes"], told["method_changes"]) == ("2019Q4", "2019Q4.r1", [], [])

    # What two plain dictionaries say.
    for table in sorted({*work.framework.tables} - {"revisions"}):
        old, new = rows(first, table), rows(second, table)
        assert old.keys() == new.keys()
        wanted = {
            tuple(map(str, key)): {name for name in new[key] if repr(new[key][name]) != repr(old[key][name])}
            for key in new
            if repr(new[key]) != repr(old[key])
        }
        entry = told["tables"].get(table, {"changed": [], "added": [], "removed": []})
        found = {tuple(map(str, row["key"].values())): set(row["changes"]) for row in entry["changed"]}
        assert found == wanted, table
        assert entry["added"] == entry["removed"] == []
        for row in entry["changed"]:
            key = next(key for key in new if tuple(map(str, key)) == tuple(map(str, row["key"].values())))
            for name, change in row["changes"].items():
                assert (change["from"], change["to"]) == (old[key][name], new[key][name])

    # And what the restatement means: levels move for the town, its region and the nation, at that node and above it.
    moved = {
        (row["key"]["entity_code"], row["key"]["node"], row["key"]["quarter"])
        for row in told["tables"]["index_quarter"]["changed"]
        if "points" in row["changes"]
    }
    assert moved == {(entity, node, "2019-04-01") for entity in ("T2", "east", "N") for node in ("visits", "total")}
    quarters = {row["key"]["quarter"] for row in told["tables"]["index_quarter"]["changed"]}
    assert quarters == {"2019-04-01", "2019-07-01"}, "the quarter itself, and growth on it in the next"
    assert {row["key"]["year"] for row in told["tables"]["index_year"]["changed"]} == {2019}
    assert [row["key"] for row in told["tables"]["quality_quarter"]["changed"]] == [
        {"feed": "web", "quarter": "2019-04-01", "partner": "web_a"}
    ]
    assert not {"node", "alias", "unit_group", "weights"} & set(told["tables"])


def test_a_restated_town_shows_in_the_revisions_and_nowhere_else(work: Work, tmp_path: Path) -> None:
    first = releasing.release(work, LAST, vintage=DAY).release
    assert rows(first, "revisions") == {}
    later = restate(work, tmp_path, more_visits, [RESTATED])
    second = releasing.release(later, LAST, vintage=LATER).release
    names = {"index_quarter": "quarter", "index_half": "half", "index_year": "year"}
    wanted: dict[tuple[object, ...], tuple[object, object]] = {}
    for table, time in names.items():
        old, new = rows(first, table), rows(second, table)
        for key in new:
            for measure in ("points", "rank", "growth_qoq", "growth_yoy"):
                if measure in new[key] and new[key][measure] != old[key][measure]:
                    period = new[key][time]
                    text = f"{period.year}Q{period.month // 3 + 1}" if isinstance(period, date) else str(period)
                    at = ("2019Q4.r1", table, *[new[key][name] for name in ("entity_type", "entity_code", "node")])
                    wanted[(*at, text, measure)] = (old[key][measure], new[key][measure])
    found = rows(second, "revisions")
    assert {key: (row["from"], row["to"]) for key, row in found.items()} == wanted
    assert {(key[1], key[5]) for key in found} == {
        ("index_quarter", "2019Q2"), ("index_quarter", "2019Q3"), ("index_half", "2019H1"), ("index_year", "2019")
    }  # fmt: skip
    sent = deliveries.current(work.warehouse.layout, "web", RESTATED)["web_a"]
    assert {(row["kind"], row["vintage"], row["delivery"]) for row in found.values()} == {("R2", LATER, sent.sha256)}
    # And what analysts open says it at once, and goes on saying it.
    assert published(later) == found
    third = restate(later, tmp_path / "back", dict, [RESTATED])
    back = releasing.release(third, LAST, vintage=LATER.replace(month=5)).release
    both = rows(back, "revisions")
    assert {key: row for key, row in both.items() if key[0] == "2019Q4.r1"} == found
    undone = {key[1:]: (row["to"], row["from"]) for key, row in both.items() if key[0] == "2019Q4.r2"}
    assert undone == {key[1:]: pair for key, pair in wanted.items()}
    assert not releasing.release(again(third), LAST, vintage=LATER).new


def published(work: Work) -> dict[tuple[object, ...], dict[str, object]]:
    with duckdb.connect(str(work.warehouse.layout.catalogue), read_only=True) as connection:
        found = connection.sql("SELECT * FROM revisions")
        named = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    key = work.framework.tables["revisions"].key
    return {tuple(row[name] for name in key): row for row in named}


def test_an_estimate_that_gives_way_to_a_delivery_is_a_better_source(tmp_path: Path) -> None:
    towns = replace(TOWNS, late_feed="provisional")
    work = towns.write(tmp_path / "late")
    land(work, tmp_path / "sent", VALUES, QUARTERS, without=[("web_a", LAST)])
    assert not refresh.run_direct(work, QUARTERS).held
    releasing.release(work, LAST, vintage=DAY)
    land(work, tmp_path / "sent", VALUES, [LAST])
    fresh = again(work)
    refresh.run_direct(fresh, QUARTERS)
    found = rows(releasing.release(fresh, LAST, vintage=LATER).release, "revisions")
    quarter = {key: row for key, row in found.items() if key[1] == "index_quarter" and key[6] == "points"}
    assert quarter and {row["kind"] for row in quarter.values()} == {"R1"}
    assert {key[5] for key in quarter} == {"2019Q4"} and {key[4] for key in quarter} == {"visits", "total"}


def test_another_definition_is_a_revision_of_method(work: Work) -> None:
    releasing.release(work, LAST, vintage=DAY)
    scores = work.settings.contracts / INDEX / "weights" / "wave_first.csv"
    scores.write_text(scores.read_text("utf-8").replace("e0,total,visits,3", "e0,total,visits,5"), encoding="utf-8")
    fresh = again(work)
    refresh.run_direct(fresh, QUARTERS)
    found = rows(releasing.release(fresh, LAST, vintage=LATER).release, "revisions")
    assert found and {(row["kind"], row["delivery"]) for row in found.values()} == {("R3", None)}


def test_the_diff_of_two_releases_is_that_of_the_second_and_working_is_what_is_published(
    work: Work, tmp_path: Path
) -> None:
    releasing.release(work, LAST, vintage=DAY)
    later = restate(work, tmp_path, more_visits, [RESTATED])
    before = releasing.difference(later, "current", "working")
    made = releasing.release(later, LAST, vintage=LATER)
    assert releasing.difference(work, "2019Q4", "2019Q4.r1") == made.diff
    assert {**before, "to": "2019Q4.r1"} == made.diff
    back = releasing.difference(work, "2019Q4.r1", "2019Q4")
    for table, entry in made.diff["tables"].items():
        for row, other in zip(entry["changed"], back["tables"][table]["changed"], strict=True):
            assert row["key"] == other["key"]
            assert row["changes"] == {
                name: {"from": change["to"], "to": change["from"]} for name, change in other["changes"].items()
            }


def test_large_tables_are_compared_a_year_at_a_time_with_the_same_result(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    releasing.release(work, QUARTERS[5], vintage=DAY)
    later = restate(work, tmp_path, more_visits, [RESTATED])
    made = releasing.release(later, LAST, vintage=LATER)
    whole = [made.diff, releasing.difference(later, "2019Q2", "working")]
    # As if every table were large.
    monkeypatch.setattr(release_rows, "_AT_ONCE", -1)
    pieces = [releasing.difference(later, "2019Q2", name) for name in ("2019Q4", "working")]
    for one, other in zip(whole, pieces, strict=True):
        assert one["tables"].keys() == other["tables"].keys() > {"index_quarter", "ranking_year"}
        for table, entry in one["tables"].items():
            for part, told in entry.items():
                found = other["tables"][table][part]
                assert (
                    (sorted(map(str, found)), len(found)) == (sorted(map(str, told)), len(told))
                    if isinstance(told, list)
                    else found == told
                ), (table, part)


def test_large_tables_are_sorted_a_stretch_at_a_time_into_the_same_bytes(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    framework = work.framework
    written = {
        rows: releases.write_tables(work.warehouse, framework, tmp_path / str(rows), QUARTERS[6])
        for rows in (releases._AT_ONCE, 30, 1)
        if monkeypatch.setattr(releases, "_AT_ONCE", rows) is None
    }
    whole, *pieces = written.values()
    assert max(file.rows for file in whole.values()) > 100
    assert all(found == whole for found in pieces)


def test_a_diff_of_more_rows_than_are_listed_counts_them_all(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    releasing.release(work, LAST, vintage=DAY)
    whole = releasing.release(restate(work, tmp_path, more_visits, [RESTATED]), LAST, vintage=LATER).diff["tables"]
    monkeypatch.setattr(release_rows, "LISTED", 30)
    monkeypatch.setattr(release_rows, "_LISTED_IN_ALL", 100)
    short = releasing.difference(work, "2019Q4", "2019Q4.r1")["tables"]
    assert {name: entry["rows"] for name, entry in short.items()} == {name: e["rows"] for name, e in whole.items()}
    assert {name: entry["cells_changed"] for name, entry in short.items()} == {
        name: entry["cells_changed"] for name, entry in whole.items()
    }
    listed = {name: len(entry["changed"]) for name, entry in short.items()}
    assert sum(listed.values()) == 100 and max(listed.values()) == 30
    for name, entry in short.items():
        assert entry["changed"] == whole[name]["changed"][: listed[name]]
        assert entry["listed"] == (listed[name] == entry["rows"]["changed"]), name


def test_a_period_more_is_counted_and_what_it_moves_is_listed(work: Work) -> None:
    before = releasing.release(work, QUARTERS[4], vintage=DAY)
    assert before.diff["from"] is None
    first = before.release
    assert {key[-1] for key in rows(first, "index_quarter")} == {item.start for item in QUARTERS[:5]}
    assert {key[-1] for key in rows(first, "index_half")} == {"2018H1", "2018H2", "2019H1"}
    made = releasing.release(work, QUARTERS[5], vintage=LATER)
    entry = made.diff["tables"]["index_quarter"]
    assert entry["periods_added"] == {"2019-04-01": entry["rows"]["added"]}
    assert (entry["added"], entry["removed"], entry["changed"]) == ([], [], [])
    # A half-year and a year have the quarters up to the release's own, though more are published.
    for table, covered, spans in (("index_half", (1, 2), ["2019H1"]), ("index_year", (1, 2), [2019])):
        states = [rows(item, table) for item in (first, made.release)]
        for state, quarters in zip(states, covered, strict=True):
            assert {row["quarters_covered"] for key, row in state.items() if key[-1] in spans} == {quarters}
        changed = {row["key"][list(row["key"])[-1]] for row in made.diff["tables"][table]["changed"]}
        assert changed == set(spans)
    # Which is no revision: with another quarter it is another span.
    assert rows(made.release, "revisions") == {}
    assert release_files.current(work.warehouse.layout) == "2019Q2"
    revised = releasing.release(work, QUARTERS[4], vintage=LATER)
    assert not revised.new
    assert release_files.current(work.warehouse.layout) == "2019Q2"


def test_a_change_of_the_definition_shows_as_one_of_method_and_of_schema(work: Work, tmp_path: Path) -> None:
    releasing.release(work, LAST, vintage=DAY)
    home = work.settings.contracts / INDEX
    scores = home / "weights" / "wave_first.csv"
    scores.write_text(scores.read_text("utf-8").replace("e0,total,visits,3", "e0,total,visits,5"), encoding="utf-8")
    contract = home / "marts" / "index_year.yaml"
    text = contract.read_text("utf-8")
    contract.write_text(text.replace("version: 1.1.0", "version: 1.2.0", 1), encoding="utf-8")
    fresh = again(work)
    refresh.run_direct(fresh, QUARTERS)
    told = releasing.release(fresh, LAST, vintage=LATER).diff
    assert [(item["file"], item["key"], item["from"], item["to"]) for item in told["method_changes"]] == [
        ("weights/wave_first.csv", "row removed", "wave_first,e0,total,visits,3", None),
        ("weights/wave_first.csv", "row added", None, "wave_first,e0,total,visits,5"),
    ]
    assert told["schema_changes"] == [
        {"change": "contract of the table", "table": "index_year", "column": None, "from": "1.1.0", "to": "1.2.0"}
    ]
    assert told["tables"]["weights"]["rows"]["changed"] > 0


@pytest.mark.parametrize(
    "name",
    ["tables/index_year.parquet", f"{INDEX}.duckdb", "datapackage.json", "CHANGES.md", "diff.json", "SHA256SUMS",
     f"method/{INDEX}/index.yaml"],
)  # fmt: skip
def test_a_flipped_byte_is_found_wherever_it_is(work: Work, name: str) -> None:
    release = releasing.release(work, LAST, vintage=DAY).release
    assert release_files.differences(release) == []
    path = release.folder / name
    path.chmod(0o644)
    good = path.read_bytes()
    for at in {0, len(good) // 2, len(good) - 1}:
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        assert release_files.differences(release) == [f"2019Q4/{name} has changed"], at
    path.unlink()
    assert release_files.differences(release) == [f"2019Q4/{name} is gone"]
    path.write_bytes(good)
    (release.folder / "more.txt").write_text("x")
    assert release_files.differences(release) == ["2019Q4/more.txt was not released"]


def killed(folder: Path, at: int) -> None:
    seen = 0

    def progress(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)

    releasing.release(opened(folder), LAST, vintage=DAY, progress=progress)


def test_a_kill_between_files_leaves_no_release(work: Work) -> None:
    layout, folder = work.warehouse.layout, work.settings.contracts.parent
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    # In the tables, before the DuckDB file, while the diff is made.
    for at in (3, len(work.framework.tables) + 2, len(work.framework.tables) + 4):
        process = context.Process(target=killed, args=(folder, at))
        process.start()
        process.join(120)
        assert process.exitcode == -signal.SIGKILL
        assert release_files.releases(layout) == [] and release_files.current(layout) is None
        assert places.leftovers(layout)
    made = releasing.release(work, LAST, vintage=DAY)
    assert made.new and release_files.differences(made.release) == []
    assert not places.leftovers(layout)


def test_what_was_released_and_not_yet_current_becomes_it(work: Work, tmp_path: Path) -> None:
    releasing.release(work, LAST, vintage=DAY)
    fresh = restate(work, tmp_path, more_visits, [RESTATED])
    releasing.release(fresh, LAST, vintage=LATER)
    # As a process that dies between the two leaves it.
    release_files.point(work.warehouse.layout, "2019Q4", tmp_path)
    assert not releasing.release(fresh, LAST, vintage=LATER).new
    assert release_files.current(work.warehouse.layout) == "2019Q4.r1"
    assert (work.warehouse.layout.releases / "current" / "datapackage.json").is_file()


def test_a_pointer_that_is_a_file_is_read_too(work: Work) -> None:
    releasing.release(work, LAST, vintage=DAY)
    pointer = work.warehouse.layout.releases / "current"
    pointer.unlink()
    pointer.write_text("2019Q4\n")
    assert release_files.named(work.warehouse.layout, "current").id == "2019Q4"


def test_what_is_out_of_date_is_not_released(work: Work, tmp_path: Path) -> None:
    land(work, tmp_path, more_visits(VALUES), [RESTATED])
    with pytest.raises(Finding, match="out of date"):
        releasing.release(again(work), LAST, vintage=DAY)
    # Nor what was published of other tables than there are now.
    assert release_files.releases(work.warehouse.layout) == []


def test_a_period_held_back_or_not_published_is_not_released(work: Work, tmp_path: Path) -> None:
    with pytest.raises(Finding, match="nothing is published"):
        releasing.release(work, LAST.shift(1), vintage=DAY)
    land(work, tmp_path, {**VALUES, **{key: None for key in VALUES if key[0] == RESTATED}}, [RESTATED])
    fresh = again(work)
    assert list(refresh.run_direct(fresh, QUARTERS).held) == [RESTATED]
    with pytest.raises(Held, match="2019Q2"):
        releasing.release(fresh, LAST, vintage=DAY)
    assert releasing.release(fresh, QUARTERS[3], vintage=DAY).new, "an earlier year rests on none of it"


def test_no_release_takes_anothers_place(work: Work, tmp_path: Path) -> None:
    release = releasing.release(work, LAST, vintage=DAY).release
    ready = tmp_path / "ready"
    shutil.copytree(release.folder, ready)
    for path in release_files.files(ready):
        path.chmod(0o644)
    with pytest.raises(Finding, match="never made twice"):
        releases.settle(work.warehouse.layout, ready, "2019Q4", {})
    assert release_files.differences(release) == []


def test_releases_stand_in_the_order_of_periods_and_revisions_and_a_day_finds_the_one_then(tmp_path: Path) -> None:
    layout = replace(opened(tmp_path).warehouse.layout)
    for name, day in (("2019Q3", "2019-11-01"), ("2019Q4", "2020-01-20"), ("2019Q4.r2", "2020-03-01"),
                      ("2019Q4.r10", "2020-04-01"), ("2019Q3.r1", "2020-05-01")):  # fmt: skip
        (layout.releases / name).mkdir(parents=True)
        (layout.releases / name / "datapackage.json").write_text(json.dumps({"vintage": day}))
    (layout.releases / "notes").mkdir()
    assert [item.id for item in release_files.releases(layout)] == [
        "2019Q3", "2019Q3.r1", "2019Q4", "2019Q4.r2", "2019Q4.r10"
    ]  # fmt: skip
    assert release_files.as_of(layout, date(2020, 2, 1)).id == "2019Q4"
    assert release_files.as_of(layout, date(2020, 4, 1)).id == "2019Q4.r10"
    with pytest.raises(Finding, match="2019-11-01 or later"):
        release_files.as_of(layout, date(2019, 10, 31))


def test_every_table_reads_back_as_its_description_says(work: Work) -> None:
    release = releasing.release(work, LAST, vintage=DAY).release
    kinds = {"string": ("string", "large_string", "string_view"), "integer": ("int64",), "number": ("double",),
             "date": ("date32[day]",), "boolean": ("bool",)}  # fmt: skip
    for item in release.package["resources"]:
        read = pq.read_table(release.folder / item["path"])
        assert read.num_rows == item["rowCount"] and (release.folder / item["path"]).stat().st_size == item["bytes"]
        assert read.column_names == [field["name"] for field in item["schema"]["fields"]]
        for field in item["schema"]["fields"]:
            assert str(read.schema.field(field["name"]).type) in kinds[field["type"]], (item["name"], field)
            assert field["description"]
            if field.get("constraints", {}).get("required"):
                assert read.column(field["name"]).null_count == 0
        keys = read.select(item["schema"]["primaryKey"]).to_pylist()
        values: list[tuple[Any, ...]] = [tuple(row.values()) for row in keys]
        assert len(set(values)) == len(values) and values == sorted(values)
    units = {field.get("unit") for item in release.package["resources"] for field in item["schema"]["fields"]}
    assert "points" in units and "rank" in units


def test_a_validator_accepts_the_package_and_misses_no_changed_byte(work: Work) -> None:
    frictionless = pytest.importorskip("frictionless", reason="the library frictionless is not installed")
    release = releasing.release(work, LAST, vintage=DAY).release
    report = frictionless.validate(str(release.folder / "datapackage.json"))
    assert report.valid, report.to_summary()
    table = release.table("index_year")
    table.chmod(0o644)
    content = table.read_bytes()
    table.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    again = frictionless.validate(str(release.folder / "datapackage.json"))
    assert {task.name: [error.type for error in task.errors] for task in again.tasks if not task.valid} == {
        "index_year": ["hash-count"]
    }


def test_the_duckdb_file_is_one_that_duckdb_1_reads_and_explains_itself(work: Work) -> None:
    release = releasing.release(work, LAST, vintage=DAY).release
    content = release.database.read_bytes()
    assert content[8:12] == b"DUCK" and int.from_bytes(content[12:20], "little") == 64
    with duckdb.connect(str(release.database), read_only=True) as connection:
        silent = connection.sql(
            "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND comment IS NULL UNION ALL "
            "SELECT column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL"
        ).fetchall()
    assert silent == []


def test_on_object_storage_nothing_is_released_and_that_is_said(computed: Path, bucket: str) -> None:
    from dci_pipeline.settings import Settings
    from dci_pipeline.warehouse import objects

    work = Work(Settings(objects.at(bucket), computed / "contracts", "polars"), INDEX)
    with pytest.raises(Finding, match="not done on object storage"):
        releasing.release(work, LAST, vintage=DAY)
    with pytest.raises(Finding, match="not done on object storage"):
        verifying.verify(work, "2019Q4")
    assert release_files.releases(work.warehouse.layout) == []
