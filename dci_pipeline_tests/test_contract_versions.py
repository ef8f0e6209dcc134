"""A partner changes its files from a month on: every month is read by the version in force, and the sums are the same.

The world whose partner never changed its files is the answer; the others are held against it byte for byte.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from dci_pipeline import plan, refresh
from dci_pipeline.findings import Finding, Held
from dci_pipeline.framework_files import read_framework
from dci_pipeline.periods import parse
from dci_pipeline.settings import Settings
from dci_pipeline.steps.feeds import take_stock
from dci_pipeline.steps.validation import validate
from dci_pipeline.warehouse import deliveries
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import MONTHS, Deliveries, Simulated, World, land, small_contracts

FIVE = [*MONTHS[:3], *MONTHS[12:14]]
SINCE = MONTHS[12]
FEED = "transactions"
Raw = dict[str, Any]


def column(raw: Raw, name: str) -> Raw:
    return next(entry for entry in raw["schema"][0]["properties"] if entry["name"] == name)


def custom(raw: Raw, name: str) -> Raw:
    return next(entry for entry in raw["customProperties"] if entry["property"] == name)


def told(entry: Raw, **properties: object) -> None:
    entry["customProperties"] += [{"property": name, "value": value} for name, value in properties.items()]


def new_version(
    contracts: Path, change: Callable[[Raw], object], *, feed: str = FEED, since: str = str(SINCE), file: str = ""
) -> Path:
    """A later version of a feed's contract beside the first, with a change."""
    folder = contracts / "dci" / "feeds"
    raw = yaml.safe_load((folder / f"{feed}.yaml").read_text(encoding="utf-8"))
    raw["version"] = "2.0.0"
    custom(raw, "validFrom")["value"] = since
    change(raw)
    path = folder / (file or f"{feed}.{since}.yaml")
    path.write_text(yaml.safe_dump(raw, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def retyped(raw: Raw) -> None:
    """Counts in ten thousands with decimals, as text: ten thousandths of it are what was an integer before."""
    told(column(raw, "transaction_count"), multiplier=10000, round="half_even")


def changed(raw: Raw) -> None:
    """One column retyped, the same and another renamed, one added."""
    retyped(raw)
    told(column(raw, "transaction_count"), source="笔数万")
    told(column(raw, "sector"), source="行业")
    raw["schema"][0]["properties"].append(
        {
            "name": "channel",
            "logicalType": "string",
            "required": True,
            "customProperties": [{"property": "role", "value": "dimension"}, {"property": "source", "value": "渠道"}],
        }
    )


def in_ten_thousands(frame: pl.DataFrame) -> pl.DataFrame:
    count = pl.col("transaction_count").str.zfill(5)
    return frame.with_columns(count.str.slice(0, count.str.len_chars() - 4) + "." + count.str.tail(4))


def as_changed(frame: pl.DataFrame) -> pl.DataFrame:
    rows = in_ten_thousands(frame).with_row_index("渠道")
    channel = pl.when(pl.col("渠道") % 3 == 0).then(pl.lit("线上")).otherwise(pl.lit("线下"))
    return rows.rename({"transaction_count": "笔数万", "sector": "行业"}).with_columns(channel.alias("渠道"))


def rewritten(files: list[Simulated], folder: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> list[Simulated]:
    """The feed's files from the change on, written as the partner writes them now."""
    found: list[Simulated] = []
    for item in files:
        if item.feed == FEED and item.period >= SINCE:
            frame = pl.read_csv(item.path.read_bytes().decode("gb18030").encode(), infer_schema=False)
            path = folder / item.path.name
            path.write_bytes(change(frame).write_csv().encode("gb18030"))
            item = replace(item, path=path)
        found.append(item)
    return found


def sums(world: World) -> dict[tuple[str, str], bytes]:
    """Content of every accepted sum, by period and slice."""
    warehouse = world.work.warehouse
    return {
        (period.key, f"{feed} {partner}"): warehouse.read("validation", f"{feed}_sums", period, partner=partner)
        .write_csv()
        .encode()
        for period in FIVE
        for feed in world.work.framework.feeds
        for partner in warehouse.slices("validation", f"{feed}_sums", period)
    }


def numbers(world: World) -> dict[str, bytes]:
    """The bytes of every table that names neither deliveries nor contracts."""
    home = world.work.warehouse.layout.home
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for name in ("indicators", "normalise", "index", "marts/index_*", "marts/contribution_*")
        for path in sorted(home.glob(f"{name}/**/*.parquet"))
    }


@pytest.fixture(scope="module")
def five(narrow: Deliveries) -> list[Simulated]:
    return [item for item in narrow[1] if item.period in FIVE]


@pytest.fixture(scope="module")
def unchanged(build_narrow: Callable[..., World], tmp_path_factory: pytest.TempPathFactory) -> World:
    """The answer: a partner that never changed its files."""
    return build_narrow(tmp_path_factory.mktemp("unchanged") / "warehouse", months=FIVE)


@pytest.fixture
def contracts(narrow: Deliveries, tmp_path: Path) -> Path:
    return Path(shutil.copytree(narrow[0], tmp_path / "data_contracts"))


def computed(work: Work) -> World:
    return World(work, FIVE, refresh.run_direct(work, FIVE))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_a_feed_renamed_retyped_and_widened_sums_to_the_same(
    engine: str, unchanged: World, contracts: Path, five: list[Simulated], tmp_path: Path
) -> None:
    new_version(contracts, changed)
    work = Work(Settings(tmp_path / "warehouse", contracts, engine), "dci")
    land(work, rewritten(five, tmp_path, as_changed))
    world = computed(work)
    assert world.report.held == {}
    assert sums(world) == sums(unchanged)
    assert len(sums(world)) == sum(
        len(work.framework.contract(f, p).partners) for f in work.framework.feeds for p in FIVE
    )
    assert numbers(world) == numbers(unchanged)
    quality = world.read("marts", "quality_month", FIVE).filter(pl.col("feed") == FEED)
    versions = quality.group_by("month").agg(pl.col("contract_version").unique()).sort("month")
    assert versions["contract_version"].to_list() == [["1.0.0"]] * 3 + [["2.0.0"]] * 2


@pytest.mark.slow
def test_deliveries_landed_before_the_version_was_written_are_typed_again(
    unchanged: World, contracts: Path, five: list[Simulated], tmp_path: Path
) -> None:
    """The header stayed, so the files were landed under the old version, which cannot read their counts."""
    root = tmp_path / "warehouse"
    work = Work(Settings(root, contracts, "polars"), "dci")
    land(work, rewritten(five, tmp_path, in_ten_thousands))
    assert set(computed(work).report.held) == {*FIVE[3:], SINCE.year()}
    kept = {path: path.read_bytes() for path in (root / "dci" / "feeds").rglob("*") if path.is_file()}

    new_version(contracts, retyped)
    again = Work(Settings(root, contracts, "polars"), "dci")
    world = computed(again)
    assert world.report.held == {}
    assert sums(world) == sums(unchanged)
    assert numbers(world) == numbers(unchanged)
    # Bytes and receipts stay; the rows of the new version stand beside them; the old months were left alone.
    now = {path: path.read_bytes() for path in (root / "dci" / "feeds").rglob("*") if path.is_file()}
    assert {path: now[path] for path in kept} == kept
    assert {path.parts[-4] for path in set(now) - set(kept)} == {"month=01", "month=02"}
    assert {path.name for path in set(now) - set(kept)} == {
        f"typed.reading={again.framework.feeds[FEED].reading}.parquet"
    }
    touched = {(item.key, item.period) for item in world.report.outcomes if item.state in ("written", "same")}
    assert {period for key, period in touched if key == ("validation", FEED)} == set(FIVE[3:])
    assert plan.stale(again, FIVE) == {}

    # A threshold is no matter of reading: nothing is typed again for it.
    threshold(contracts, 2)
    computed(Work(Settings(root, contracts, "polars"), "dci"))
    assert {path for path in (root / "dci" / "feeds").rglob("*") if path.is_file()} == set(now)


def threshold(contracts: Path, percent: int) -> None:
    path = contracts / "dci" / "feeds" / f"{FEED}.{SINCE}.yaml"
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    custom(raw, "thresholds")["value"]["every_rule"]["at_most"] = percent
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")


@pytest.mark.slow
def test_a_delivery_the_version_in_force_cannot_read_holds_its_period(
    contracts: Path, five: list[Simulated], tmp_path: Path
) -> None:
    work = Work(Settings(tmp_path / "warehouse", contracts, "polars"), "dci")
    land(work, [item for item in five if item.period == SINCE])
    new_version(contracts, changed)
    after = Work(work.settings, "dci")
    with pytest.raises(Held) as held:
        validate(after, SINCE, feed=FEED)
    said = str(held.value)
    assert "cannot read" in said
    assert "missing column" in said
    assert "2.0.0" in said
    assert f"{FEED}.{SINCE}.yaml" in said
    assert "validFrom" in said


@pytest.mark.slow
def test_a_changed_byte_is_not_typed_again(contracts: Path, five: list[Simulated], tmp_path: Path) -> None:
    work = Work(Settings(tmp_path / "warehouse", contracts, "polars"), "dci")
    land(work, [item for item in five if item.period == SINCE])
    delivery = deliveries.current(work.warehouse.layout, FEED, SINCE)["pay_a"]
    file = delivery.folder / delivery.parts[0].name
    file.write_bytes(file.read_bytes().replace(b"0", b"1", 1))
    new_version(contracts, retyped)
    with pytest.raises(Finding, match="no longer as received"):
        validate(Work(work.settings, "dci"), SINCE, feed=FEED)


def test_a_partner_that_joins_is_expected_from_then_on(contracts: Path, five: list[Simulated], tmp_path: Path) -> None:
    joins = {"partner": "pay_c", "name_zh": "丙", "name_en": "C"}
    new_version(contracts, lambda raw: custom(raw, "partners").update(value=[*custom(raw, "partners")["value"], joins]))
    work = Work(Settings(tmp_path / "warehouse", contracts, "polars"), "dci")
    land(work, [item for item in five if item.feed == FEED and item.period in (FIVE[2], SINCE)])
    before, after = take_stock(work, FIVE[2], feed=FEED), take_stock(work, SINCE, feed=FEED)
    assert [check.passed for check in (*before.checks, *after.checks)] == [True, False]
    assert after.facts["waiting_for"] == "pay_c"
    _, waiting = refresh.delivered_periods(work)
    assert FEED not in waiting[FIVE[2]]
    assert f"{FEED} from pay_c" in waiting[SINCE]


def test_a_partner_that_leaves_counts_no_more_and_is_refused(
    contracts: Path, five: list[Simulated], tmp_path: Path
) -> None:
    mine = [item for item in five if item.feed == FEED and item.period in (FIVE[2], SINCE)]
    land(Work(Settings(tmp_path / "warehouse", contracts, "polars"), "dci"), mine)
    new_version(contracts, lambda raw: custom(raw, "partners")["value"].pop())
    work = Work(Settings(tmp_path / "warehouse", contracts, "polars"), "dci")
    found = take_stock(work, SINCE, feed=FEED)
    assert (found.checks[0].passed, found.facts["partners"], found.facts["not_expected"]) == (True, "pay_a", "pay_b")
    validate(work, SINCE, feed=FEED)
    validate(work, FIVE[2], feed=FEED)
    assert work.warehouse.slices("validation", f"{FEED}_sums", SINCE) == ["pay_a"]
    assert work.warehouse.slices("validation", f"{FEED}_sums", FIVE[2]) == ["pay_a", "pay_b"]
    with pytest.raises(Finding, match="does not expect"):
        land(work, [item for item in mine if item.partner == "pay_b" and item.period == SINCE])


ONLINE = """
  - node: online
    parent: digital_first
    status: active
    kind: flow
    unit: transaction
    since: "{since}"
    feed: transactions
    measure: transaction_count
    where: {{channel: 线上}}
"""
SPLIT = """
breakdowns:
  - dimension: channel
    node: transactions
    name_zh: 渠道
    name_en: Channel
    column: channel
    members:
      - {member: online, name_zh: 线上, name_en: online, of: [线上]}
      - {member: offline, name_zh: 线下, name_en: offline, of: [线下]}
"""


def index_with(contracts: Path, *, nodes: str = "", rest: str = "") -> None:
    path = contracts / "dci" / "index.yaml"
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    raw["nodes"] += yaml.safe_load(nodes) or [] if nodes else []
    raw |= yaml.safe_load(rest) or {} if rest else {}
    path.write_text(yaml.safe_dump(raw, allow_unicode=True, sort_keys=False), encoding="utf-8")


def test_a_leaf_of_a_new_dimension_is_there_from_its_version_on(
    contracts: Path, five: list[Simulated], tmp_path: Path
) -> None:
    new_version(contracts, changed)
    index_with(contracts, nodes=ONLINE.format(since=SINCE))
    work = Work(Settings(tmp_path / "warehouse", contracts, "polars"), "dci")
    land(work, rewritten([item for item in five if item.feed == FEED], tmp_path, as_changed))
    for period in FIVE[2:4]:
        validate(work, period, feed=FEED)
    before, after = (work.warehouse.read("validation", f"{FEED}_sums", period, partner="pay_a") for period in FIVE[2:4])
    assert set(before["indicator"]) == {"transactions"}
    totals = dict(after.group_by("indicator").agg(pl.col("value").sum()).iter_rows())
    assert 0 < totals["online"] < totals["transactions"]


@pytest.mark.slow
def test_a_breakdown_of_a_new_dimension_is_unallocated_before(
    contracts: Path, five: list[Simulated], tmp_path: Path
) -> None:
    new_version(contracts, changed)
    index_with(contracts, rest=SPLIT)
    work = Work(Settings(tmp_path / "warehouse", contracts, "polars"), "dci")
    land(work, rewritten(five, tmp_path, as_changed))
    world = computed(work)
    assert world.report.held == {}
    frame = world.read("index", "members", FIVE)
    held = frame.filter(pl.col("points") != 0).group_by("period").agg(pl.col("member").unique().sort()).sort("period")
    assert held["member"].to_list() == [["unallocated"]] * 3 + [["offline", "online"]] * 2


MISTAKES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    # what is written, where it is found, what is said
    "the same validFrom": (
        lambda at: new_version(at, changed, since="2015-01"),
        "dci/feeds/transactions.2015-01.yaml customProperties.validFrom",
        "from the same period on.*transactions.yaml",
    ),
    "the same number": (
        lambda at: new_version(at, lambda raw: raw.update(version="1.0.0")),
        "dci/feeds/transactions.2019-01.yaml version",
        "same number.*1.0.0",
    ),
    "another feed's name": (
        lambda at: new_version(at, lambda raw: raw.update(name="transaction")),
        "dci/feeds/transactions.2019-01.yaml name",
        "different names.*transaction",
    ),
    "another index": (
        lambda at: new_version(at, lambda raw: raw.update(id="pulse.feeds.transactions")),
        "dci/feeds/transactions.2019-01.yaml id",
        "another index.*dci.feeds.transactions",
    ),
    "a name that says another month": (
        lambda at: new_version(at, changed, file="transactions.2019-02.yaml"),
        "dci/feeds/transactions.2019-02.yaml customProperties.validFrom",
        "different periods.*found: +2019-01.*expected: +2019-02",
    ),
    "no month": (
        lambda at: new_version(at, changed, since="2019-13"),
        "dci/feeds/transactions.2019-13.yaml customProperties.validFrom",
        "not a month",
    ),
    "the first version is gone": (
        lambda at: (new_version(at, changed), (at / "dci/feeds/transactions.yaml").unlink()),
        "dci/feeds/transactions",
        "first version.*transactions.2019-01.yaml",
    ),
    "months before the first version": (
        lambda at: new_version(at, lambda raw: raw.update(version="1.0.0"), since="2018-02", file="transactions.yaml"),
        "dci/feeds/transactions.yaml customProperties.validFrom",
        "before the first version.*2018-02.*expected: +2015-01",
    ),
    "a measure that is dropped": (
        lambda at: new_version(at, lambda raw: raw["schema"][0]["properties"].remove(column(raw, "transaction_count"))),
        "dci/feeds/transactions.2019-01.yaml properties",
        "lacks what a leaf is made of.*transaction_count",
    ),
    "a renamed column that lost its name": (
        lambda at: new_version(at, lambda raw: column(raw, "transaction_count").update(name="count_wan")),
        "dci/feeds/transactions.2019-01.yaml properties",
        "lacks.*transaction_count.*changes its source",
    ),
    "another unit": (
        lambda at: new_version(at, lambda raw: column(raw, "transaction_count").update(customProperties=[
            {"property": "role", "value": "measure"}, {"property": "unit", "value": "ten thousand"}])),
        "dci/feeds/transactions.yaml property 'transaction_count'",
        "another unit.*ten thousand.*multiplier",
    ),
    "a leaf of a new dimension that says no since": (
        lambda at: (new_version(at, changed), index_with(at, nodes=ONLINE.format(since="2015-01"))),
        "dci/feeds/transactions.yaml properties",
        "lacks.*channel.*since",
    ),
    "a leaf in a basket before its columns are there": (
        lambda at: (new_version(at, changed), index_with(at, nodes=ONLINE.format(since=SINCE)), in_basket(at)),
        "dci/index.yaml link",
        "before its columns.*online.*channel",
    ),
    "a dot in a version's key that nobody reads": (
        lambda at: new_version(at, lambda raw: raw["customProperties"].append({"property": "validTo", "value": "x"})),
        "dci/feeds/transactions.2019-01.yaml customProperties",
        "validTo",
    ),
}  # fmt: skip


def in_basket(contracts: Path) -> None:
    path = contracts / "dci" / "index.yaml"
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    raw["links"][0]["basket"]["digital_first"].append("online")
    path.write_text(yaml.safe_dump(raw, allow_unicode=True, sort_keys=False), encoding="utf-8")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_names_file_and_key(mistake: str, tmp_path: Path) -> None:
    contracts = small_contracts(tmp_path, reference=("2018-01", "2018-03"), narrow=True)
    change, where, says = MISTAKES[mistake]
    change(contracts)
    with pytest.raises(Finding, match=f"(?s){says}") as refused:
        read_framework(contracts, "dci")
    assert refused.value.where.startswith(where)


def test_the_version_in_force(contracts: Path) -> None:
    new_version(contracts, changed)
    framework = read_framework(contracts, "dci")
    assert framework.feeds[FEED].version == "2.0.0"
    found = [framework.contract(FEED, period).version for period in (FIVE[0], SINCE.shift(-1), SINCE, SINCE.shift(30))]
    assert found == ["1.0.0", "1.0.0", "2.0.0", "2.0.0"]
    with pytest.raises(Held, match="no contract is in force yet"):
        framework.contract(FEED, parse("2014-12", "month"))


def test_a_receipt_says_what_the_rows_were_read_by(contracts: Path, five: list[Simulated], tmp_path: Path) -> None:
    work = Work(Settings(tmp_path / "warehouse", contracts, "polars"), "dci")
    item = next(item for item in five if item.feed == FEED)
    land(work, [item])
    delivery = deliveries.current(work.warehouse.layout, FEED, item.period)[item.partner]
    receipt = json.loads((delivery.folder / "delivery.json").read_text(encoding="utf-8"))
    assert receipt["reading"] == work.framework.contract(FEED, item.period).reading
