"""The heavy stage on small deliveries: exact counts and row numbers, and the same frames from every engine."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from dci_pipeline import contract_files, contracts, engines
from dci_pipeline.engines.duckdb import DuckDB
from dci_pipeline.findings import Finding
from dci_pipeline.validation.flags import portable
from dci_pipeline.validation.scan import scan
from dci_pipeline.validation.sums import MEMBERS, SUMS
from dci_pipeline_tests.validation.deliveries import (
    ALIASES,
    LEAVES,
    PARTNER,
    PERIOD,
    RATED,
    SPLITS,
    Leaf,
    contract,
    frame,
    naive,
    naive_members,
    naive_sums,
    row,
    run,
)

BLANK = dict.fromkeys(("partner", "record_id", "event_date", "town", "kind", "grade", "visits", "bytes", "stars"))

# One planted fault per row: what is changed, and the rules the row must be rejected for.
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "ragged row": (BLANK | {"unparsed": "row: 7 fields, expected 8"}, "row.shape"),
    "unknown reading fault": ({"unparsed": "something else"}, "row.shape"),
    "unreadable number": ({"visits": None, "unparsed": "visits: not an integer 'x'"}, "visits.type"),
    "unreadable optional": ({"grade": None, "unparsed": "grade: not an integer ''"}, "grade.type"),
    "two unreadable": (
        {"visits": None, "event_date": None, "unparsed": "event_date: no date; visits: no integer"},
        "event_date.type;visits.type",
    ),
    "reason that quotes another column": ({"visits": None, "unparsed": "visits: 'x; town: y'"}, "visits.type"),
    "unreadable and missing": ({"visits": None, "kind": None, "unparsed": "visits: 'x'"}, "visits.type;kind.not_null"),
    "column name inside another": ({"town": None, "unparsed": "town: no; downtown: no"}, "town.type"),
    "missing number": ({"visits": None}, "visits.not_null"),
    "missing place": ({"town": None}, "town.not_null"),
    "missing key": ({"record_id": None}, "record_id.not_null"),
    "missing optional": ({"grade": None}, ""),
    "all missing but readable": (
        BLANK,
        "partner.not_null;record_id.not_null;event_date.not_null;town.not_null;kind.not_null;visits.not_null",
    ),
    "below range": ({"visits": -1}, "visits.range"),
    "at lower end": ({"visits": 0}, ""),
    "at upper end": ({"visits": 1000}, ""),
    "above range": ({"visits": 1001}, "visits.range"),
    "pattern": ({"record_id": "R1"}, "record_id.pattern"),
    "pattern and newline": ({"record_id": "r1\n"}, "record_id.pattern"),
    "empty text is no null": ({"record_id": ""}, "record_id.pattern"),
    "other value": ({"kind": "noon"}, "kind.one_of"),
    "value in capitals": ({"kind": "ALL"}, "kind.one_of"),
    "value with a blank": ({"kind": "all "}, "kind.one_of"),
    "other partner": ({"partner": "south"}, "partner.matches"),
    "first day": ({"event_date": date(2019, 4, 1)}, ""),
    "last day": ({"event_date": date(2019, 4, 30)}, ""),
    "day before": ({"event_date": date(2019, 3, 31)}, "event_date.in_period"),
    "day after": ({"event_date": date(2019, 5, 1)}, "event_date.in_period"),
    "unknown place": ({"town": "Nowhere"}, "town.known"),
    "place in capitals": ({"town": "ALPHA"}, "town.known"),
    "place with a blank": ({"town": " A"}, "town.known"),
    "empty place": ({"town": ""}, "town.known"),
    "outside the index": ({"town": "Far"}, "town.in_scope"),
    "three at once": ({"town": "Nowhere", "visits": -5, "kind": "noon"}, "visits.range;kind.one_of;town.known"),
}


@pytest.fixture
def of(tmp_path: Path) -> contracts.FeedContract:
    return contract(tmp_path)


def _unexpected(counts: pl.DataFrame) -> dict[str, int]:
    return {rule: found for rule, found in counts.select("rule", "unexpected").iter_rows() if found}


@pytest.mark.parametrize("engine", engines.NAMES)
def test_each_planted_fault_is_found_in_its_row(engine: str, tmp_path: Path, of: contracts.FeedContract) -> None:
    rows = [row(number, **changes) for number, (changes, _) in enumerate(FAULTS.values(), start=1)]
    found, rejected = run(engine, [frame(rows)], tmp_path, of=of)
    expected = [(0, number, rules) for number, (_, rules) in enumerate(FAULTS.values(), start=1) if rules]
    assert [(item["file"], item["file_row"], item["rules"]) for item in rejected] == expected
    counted: dict[str, int] = {}
    for _, _, rules in expected:
        for rule in rules.split(";"):
            counted[rule] = counted.get(rule, 0) + 1
    assert _unexpected(found.counts) == counted | {"any": len(expected)}
    assert (found.rows, found.rejected) == (len(FAULTS), len(expected))
    assert found.counts["rule"].to_list() == [rule.id for rule in of.rules] + ["any"]
    assert set(found.counts["rows"]) == {len(FAULTS)}


@pytest.mark.parametrize("engine", engines.NAMES)
@pytest.mark.parametrize(
    ("rows", "rejected"),
    [
        pytest.param([row(1), row(2, record_id="r1", visits=1, event_date=date(2019, 4, 2))], [(0, 2)], id="copy"),
        pytest.param([row(1), row(2, record_id="r1")], [(0, 1), (0, 2)], id="values differ"),
        pytest.param([row(3, file_row=1), row(3, file_row=2), row(3, file_row=3)], [(0, 2), (0, 3)], id="three copies"),
        pytest.param(
            [row(3, file_row=1), row(3, file_row=2), row(3, file_row=3, bytes=11)],
            [(0, 1), (0, 2), (0, 3)],
            id="two copies and a third",
        ),
        pytest.param([row(3, file=1, file_row=1), row(3, file=0, file_row=9)], [(1, 1)], id="copy in a later part"),
        pytest.param([row(3, file_row=1, bytes=None), row(3, file_row=2, bytes=None)], [(0, 2)], id="equal nulls"),
        pytest.param([row(3, file_row=1, bytes=None), row(3, file_row=2)], [(0, 1), (0, 2)], id="null and value"),
        pytest.param([row(1, record_id=None), row(2, record_id=None)], [], id="no key, no repeat"),
    ],
)
def test_rows_that_share_a_key(
    engine: str, rows: list[dict[str, Any]], rejected: list[tuple[int, int]], tmp_path: Path, of: contracts.FeedContract
) -> None:
    parts = [frame([item for item in rows if item["file"] == part]) for part in (0, 1)]
    rows = [item | {"event_date": date(2019, 4, 2)} for item in rows]
    parts = [part.with_columns(event_date=date(2019, 4, 2)) for part in parts]
    found, quarantine = run(engine, parts, tmp_path, of=of)
    repeats = [(item["file"], item["file_row"]) for item in quarantine if "key.unique" in item["rules"]]
    assert repeats == rejected
    assert _unexpected(found.counts).get("key.unique", 0) == len(rejected)
    assert found.sums.rows() == naive_sums(rows, naive(rows, of))


@pytest.mark.parametrize("engine", engines.NAMES)
def test_a_key_of_two_columns(engine: str, tmp_path: Path) -> None:
    of = contract(tmp_path, composite=True)
    rows = [row(1), row(1, file_row=2, kind="day"), row(1, file_row=3, kind="day"), row(1, file_row=4, kind=None)]
    _, rejected = run(engine, [frame(rows)], tmp_path, of=of)
    assert [(item["file_row"], item["rules"]) for item in rejected] == [(3, "key.unique"), (4, "kind.not_null")]


@pytest.mark.parametrize("engine", engines.NAMES)
def test_sums_take_accepted_rows_with_a_value(engine: str, tmp_path: Path, of: contracts.FeedContract) -> None:
    rows = [
        row(1, town="A", visits=5),
        row(2, town="Alpha", visits=7),
        row(3, town="Alpha", kind="night", visits=0),
        row(4, town="Beta", kind="day", visits=9, bytes=None),
        row(5, town="Far", visits=100),
        row(6, town="A", visits=50, partner="south"),
    ]
    found, _ = run(engine, [frame(rows)], tmp_path, of=of)
    assert found.sums.rows() == [
        ("A", "all_visits", 12, None, 2),
        ("A", "night_visits", 0, None, 1),
        ("A", "traffic", 30, None, 3),
    ]
    assert found.sums.schema == SUMS and found.members.schema == MEMBERS and found.members.is_empty()


@pytest.mark.parametrize("engine", engines.NAMES)
def test_an_empty_delivery_has_counts_of_zero(engine: str, tmp_path: Path, of: contracts.FeedContract) -> None:
    found, rejected = run(engine, [frame([])], tmp_path, of=of)
    assert (found.rows, found.rejected, found.quarantine, rejected) == (0, 0, (), [])
    assert found.counts["unexpected"].sum() == 0 and found.counts["rows"].sum() == 0
    assert found.sums.height == 0


@pytest.mark.parametrize("engine", engines.NAMES)
def test_a_faultless_delivery_has_no_quarantine(engine: str, tmp_path: Path, of: contracts.FeedContract) -> None:
    found, _ = run(engine, [frame([row(1), row(2)])], tmp_path, of=of)
    assert found.quarantine == () and found.rejected == 0


@pytest.mark.parametrize("engine", engines.NAMES)
def test_a_sum_near_the_limit_is_exact(engine: str, tmp_path: Path, of: contracts.FeedContract) -> None:
    rows = [row(1, bytes=2**62), row(2, bytes=2**62 - 1), row(3, town="B", bytes=2**62)]
    found, _ = run(engine, [frame(rows)], tmp_path, of=of, leaves=(Leaf("traffic", "bytes"),))
    assert found.sums.rows() == [("A", "traffic", 2**63 - 1, None, 2), ("B", "traffic", 2**62, None, 1)]


@pytest.mark.parametrize("engine", engines.NAMES)
def test_a_sum_beyond_the_limit_is_refused(engine: str, tmp_path: Path, of: contracts.FeedContract) -> None:
    rows = [row(1, bytes=2**62), row(2, bytes=2**62)]
    with pytest.raises(Finding, match=f"traffic of A: {2**63}"):
        run(engine, [frame(rows)], tmp_path, of=of)


@pytest.mark.parametrize("engine", engines.NAMES)
def test_rejected_values_may_be_anything(engine: str, tmp_path: Path, of: contracts.FeedContract) -> None:
    rows = [row(number, visits=2**63 - 1, bytes=9 * 10**18, town="Nowhere") for number in range(1, 5)]
    found, _ = run(engine, [frame([*rows, row(9)])], tmp_path, of=of)
    assert found.sums.rows() == [("A", "all_visits", 9, None, 1), ("A", "traffic", 10, None, 1)]


@pytest.mark.parametrize("engine", engines.NAMES)
def test_a_unique_copy_of_a_large_value_is_taken_out_exactly(
    engine: str, tmp_path: Path, of: contracts.FeedContract
) -> None:
    rows = [row(1, bytes=2**62), row(1, file_row=2, bytes=2**62), row(1, file_row=3, bytes=2**62)]
    found, _ = run(engine, [frame(rows)], tmp_path, of=of)
    assert ("A", "traffic", 2**62, None, 1) in found.sums.rows()


def _row_strategy() -> st.SearchStrategy[dict[str, Any]]:
    number = st.integers(1, 40)
    unread = st.sampled_from([None] * 6 + ["visits", "town", "row"])

    def build(which: int, changes: dict[str, Any], fault: str | None) -> dict[str, Any]:
        item = row(which, event_date=date(2019, 4, 9), visits=3) | changes
        if fault == "row":
            item |= BLANK | {"unparsed": "row: 2 fields, expected 8"}
        elif fault:
            item |= {fault: None, "unparsed": f"{fault}: not readable"}
        return item

    changes = st.fixed_dictionaries(
        {},
        optional={
            "partner": st.sampled_from([PARTNER, "south", None]),
            "town": st.sampled_from(["A", "Alpha", "Beta", "Far", "?", None]),
            "kind": st.sampled_from(["all", "night", "noon", None]),
            "visits": st.sampled_from([0, 3, 1000, 1001, -1, None]),
            "bytes": st.sampled_from([0, 2**40, None]),
            "grade": st.sampled_from([1, 2, None]),
            "stars": st.sampled_from([1, 3, 5, 6, None]),
            "event_date": st.sampled_from([date(2019, 4, 9), date(2019, 5, 1), None]),
            "record_id": st.sampled_from(["r1", "R", None]),
        },
    )
    return st.builds(build, number, changes, unread)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(_row_strategy(), max_size=60), cut=st.integers(0, 40), order=st.randoms(use_true_random=False))
def test_engines_agree_with_the_rules_said_row_by_row(
    rows: list[dict[str, Any]], cut: int, order: Any, tmp_path: Path, of: contracts.FeedContract
) -> None:
    rows = [item | {"file": int(number >= cut), "file_row": number + 1} for number, item in enumerate(rows)]
    broken = naive(rows, of)
    shuffled = list(rows)
    order.shuffle(shuffled)
    split = [frame([item for item in rows if item["file"] == part]) for part in (0, 1)]
    results: list[Any] = []
    layouts = [("polars", [frame(rows)]), ("polars", split), ("duckdb", split), ("duckdb", [frame(shuffled)])]
    for engine, parts in layouts:
        found, rejected = run(engine, parts, tmp_path, of=of, leaves=RATED, splits=SPLITS)
        sums, members = found.sums.rows(), found.members.rows()
        results.append((found.rows, found.rejected, found.counts.rows(), sums, members, rejected))
    assert all(result == results[0] for result in results)
    total, bad, counts, sums, members, rejected = results[0]
    assert (total, bad) == (len(rows), sum(bool(faults) for faults in broken.values()))
    for rule, _, _, unexpected in counts[:-1]:
        assert unexpected == sum(rule in faults for faults in broken.values()), rule
    assert {(item["file"], item["file_row"]): item["rules"].split(";") for item in rejected} == {
        where: faults for where, faults in broken.items() if faults
    }
    by_place = {(item["file"], item["file_row"]): item for item in rows}
    for item in rejected:
        original = by_place[item["file"], item["file_row"]]
        assert {name: item[name] for name in original} == original
    assert sums == naive_sums(rows, broken, RATED)
    assert members == naive_members(rows, broken, RATED)


def test_more_rules_than_bits_in_a_word(tmp_path: Path) -> None:
    text = contract(tmp_path).rules
    of = contract(tmp_path)
    wide = [
        f"      - {{name: extra{number}, logicalType: integer, logicalTypeOptions: {{maximum: 5}}, required: true,"
        f" customProperties: [{{property: role, value: dimension}}]}}"
        for number in range(40)
    ]
    path = tmp_path / "visits.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "\n".join(wide) + "\n", encoding="utf-8")
    of = contract_files.read_feed(path, index="test")
    assert len(of.rules) > 124 > len(text)
    rows = frame([row(1), row(2), row(3, visits=-1)]).with_columns(pl.lit(1).alias(f"extra{n}") for n in range(40))
    rows = rows.with_columns(extra39=pl.Series([1, 6, 1]), extra0=pl.Series([None, 1, 1]))
    rows = rows.cast({f"extra{n}": pl.Int64 for n in range(40)})
    for engine in engines.NAMES:
        found, rejected = run(engine, [rows], tmp_path, of=of)
        assert _unexpected(found.counts) == {"visits.range": 1, "extra39.range": 1, "extra0.not_null": 1, "any": 3}
        assert [item["rules"] for item in rejected] == ["extra0.not_null", "extra39.range", "visits.range"]


def test_threads_do_not_matter(tmp_path: Path, of: contracts.FeedContract) -> None:
    rows = frame([row(n, town="ABCD"[n % 4], visits=n % 1100, file_row=n) for n in range(1, 3000)])
    path = tmp_path / "typed.parquet"
    rows.write_parquet(path, row_group_size=200)
    results: list[pl.DataFrame] = []
    for threads in (1, 4):
        engine = DuckDB(threads=threads)
        found = scan(
            engine, engine.scan([path]), contract=of, period=PERIOD, partner=PARTNER, aliases=ALIASES, leaves=LEAVES
        )
        (rejected,) = found.quarantine
        results.append(engine.collect(rejected))
        engine.close()
    script = (
        "import sys; from pathlib import Path; from dci_pipeline import contract_files, engines\n"
        "from dci_pipeline.validation.scan import scan\n"
        "from dci_pipeline_tests.validation.deliveries import *\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "with engines.engine('polars') as e:\n"
        "    s = scan(e, e.scan([folder / 'typed.parquet']), contract=contract_files.read_feed(folder / 'visits.yaml',"
        " index='test'), period=PERIOD, partner=PARTNER, aliases=ALIASES, leaves=LEAVES)\n"
        "    e.sink(*s.quarantine, folder / f'{sys.argv[1]}.parquet')\n"
    )
    for threads in ("1", "4"):
        subprocess.run(
            [sys.executable, "-c", script, threads],
            check=True,
            env=os.environ | {"POLARS_MAX_THREADS": threads, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        results.append(pl.read_parquet(tmp_path / f"{threads}.parquet"))
    for other in results[1:]:
        assert_frame_equal(results[0], other)


@pytest.mark.parametrize("engine", engines.NAMES)
def test_rows_of_another_shape_are_refused(engine: str, tmp_path: Path, of: contracts.FeedContract) -> None:
    with pytest.raises(Finding, match="kind missing"):
        run(engine, [frame([row(1)]).drop("kind")], tmp_path, of=of)
    with pytest.raises(Finding, match="visits Int32"):
        run(engine, [frame([row(1)]).cast({"visits": pl.Int32})], tmp_path, of=of)


@pytest.mark.parametrize(
    "pattern",
    [r"^\d+$", r"^[\w]+$", r"^a\sb$", "^a", "a$", r"^a\z$", "^(?i)a$", "^(?=a)a$", "^a$|^b$", "^[a&&b]$", "^[a[b]]$"],
)
def test_a_pattern_that_engines_read_differently_is_refused(pattern: str) -> None:
    with pytest.raises(Finding, match="engines read differently"):
        portable(contracts.Column("c", "string", "dimension", "c", pattern=pattern))


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("^a.c$", "a\nc", False),
        ("^ab$", "ab\n", False),
        ("^a.c$", "a\rc", True),
        ("^a[.]c$", "abc", False),
        (r"^a\$[$^]$", "a$^", True),
        ("^[]a]$", "]", True),
        ("^.$", "é", True),
        ("^[一-龥]{2}$", "北京", True),
        (r"^a\.b$", "axb", False),
        ("^(?:a|b)+$", "abba", True),
        ("^[A-Za-z0-9_.:-]{1,4}$", "a:b-c", False),
        ("^$", "", True),
    ],
)
def test_a_pattern_means_the_same_everywhere(pattern: str, text: str, matches: bool) -> None:
    import narwhals.stable.v2 as nw

    checked = portable(contracts.Column("c", "string", "dimension", "c", pattern=pattern))
    for name in engines.NAMES:
        with engines.engine(name) as engine:
            lazy = engine.small(pl.DataFrame({"c": [text]})).select(nw.col("c").str.contains(checked))
            assert engine.collect(lazy).item() is matches


def test_every_pattern_of_the_contracts_is_portable() -> None:
    root = Path(__file__).parents[2] / "data_contracts"
    for path in sorted(root.glob("*/feeds/*.yaml")):
        for column in contract_files.read_feed(path, index=path.parts[-3]).columns:
            assert not column.pattern or portable(column)


def test_columns_that_differ_in_case_only_are_refused(tmp_path: Path) -> None:
    contract(tmp_path)
    path = tmp_path / "visits.yaml"
    extra = "      - {name: Visits, logicalType: string, customProperties: [{property: role, value: dimension}]}\n"
    path.write_text(path.read_text(encoding="utf-8") + extra, encoding="utf-8")
    with pytest.raises(Finding, match=r"whatever their case[\s\S]*Visits, visits"):
        contract_files.read_feed(path, index="test")
