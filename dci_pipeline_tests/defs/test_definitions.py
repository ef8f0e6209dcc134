"""The declarations, written out: a lost dependency, check, partition or job changes a list that a review sees."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from dci_pipeline.definitions import build_definitions
from dci_pipeline.findings import Finding
from dci_pipeline.settings import Settings
from dci_pipeline_tests.conftest import CONTRACTS

FEEDS = (
    "app_usage",
    "cloud_usage",
    "culture_usage",
    "government_services",
    "mobile_traffic",
    "platform_activity",
    "transactions",
)
MONTHLY, YEARLY, NONE = "0 0 1 * *", "0 0 1 1 *", ""
QUARTERLY = "0 0 1 1,4,7,10 *"

VALIDATED = {f"validation/{feed}" for feed in FEEDS}
# What every table that compares spans of the index reads.
LEVELS = {"index/points", "index/links", "normalise/shares", "weight/alphas"}
MEMBERS = {"index/members", "index/member_links"}
RAW_MEMBERS = {"indicators/values", "indicators/members"}
# Tables that no step of the path makes anything for: dimensions, and what has been released.
DIMENSIONS = ("city", "province", "unit_group", "alias", "node", "member", "revisions")

BY_MONTH: dict[str, set[str]] = {
    "marts/index_month": LEVELS,
    "marts/breakdown_month": LEVELS | MEMBERS,
    "marts/contribution_month": LEVELS,
    "marts/tracker_month": LEVELS,
    "marts/app_category_month": LEVELS | RAW_MEMBERS,
}
BY_YEAR: dict[str, set[str]] = {
    "marts/index_janfeb": LEVELS,
    "marts/index_half": LEVELS,
    "marts/index_year": LEVELS,
    "marts/ranking_half": LEVELS,
    "marts/ranking_year": LEVELS,
    "marts/breakdown_half": LEVELS | MEMBERS,
    "marts/breakdown_year": LEVELS | MEMBERS,
    "marts/contribution_year": LEVELS,
    "marts/intensive_year": {*LEVELS, "indicators/values"},
    "marts/inequality_year": LEVELS,
    "marts/tracker_half": LEVELS,
    "marts/tracker_year": LEVELS,
    "marts/app_category_half": LEVELS | RAW_MEMBERS,
    "marts/effective_weights_year": {*LEVELS, "normalise/totals"},
    "marts/uncertainty_year": LEVELS,
}
# asset: (partitions, checks, what it reads)
DCI: dict[str, tuple[str, set[str], set[str]]] = {
    **{f"feeds/{feed}": (MONTHLY, {"completeness"}, set()) for feed in FEEDS},
    **{f"validation/{feed}": (MONTHLY, {"contract_rules", "place_coverage"}, {f"feeds/{feed}"}) for feed in FEEDS},
    "indicators/values": (MONTHLY, set(), VALIDATED),
    "indicators/members": (MONTHLY, set(), VALIDATED),
    # From the months before it too, in their order; the engine need not know.
    "normalise/shares": (MONTHLY, set(), {"indicators/values"}),
    "normalise/totals": (MONTHLY, set(), {"normalise/shares"}),
    "weight/alphas": (NONE, set(), set()),
    "index/links": (NONE, set(), {"normalise/shares", "normalise/totals", "weight/alphas"}),
    "index/points": (
        MONTHLY,
        {"imputed_share"},
        {"normalise/shares", "normalise/totals", "weight/alphas", "index/links"},
    ),
    "index/member_links": (NONE, set(), {"normalise/shares", "indicators/members", "index/links"}),
    "index/members": (MONTHLY, set(), {"normalise/shares", "normalise/totals", "indicators/members", "index/links"}),
    **{name: (MONTHLY, set(), reads) for name, reads in BY_MONTH.items()},
    "marts/quality_month": (MONTHLY, set(), {"normalise/totals", *VALIDATED}),
    **{
        name: (YEARLY, {"effective_weights"} if name == "marts/effective_weights_year" else set(), reads)
        for name, reads in BY_YEAR.items()
    },
    "marts/exhibit_values": (YEARLY, set(), {*BY_MONTH, *BY_YEAR}),
    "marts/weights": (NONE, {"kendall"}, {"weight/alphas"}),
    **{f"marts/{name}": (NONE, set(), set()) for name in DIMENSIONS},
}
DCI["marts/catalogue"] = (NONE, set(), {name for name in DCI if name.startswith("marts/")})
# What has no partitions and a month reads is in the job of the months.
JOBS = {
    "dci_periods": {name for name, (partitions, _, _) in DCI.items() if partitions == MONTHLY}
    | {"weight/alphas", "index/links", "index/member_links"},
    "dci_years": {name for name, (partitions, _, _) in DCI.items() if partitions == YEARLY},
    "dci_catalogue": {*(f"marts/{name}" for name in DIMENSIONS), "marts/weights", "marts/catalogue"},
}


def months(*years: int) -> list[str]:
    return [f"{year}-{month:02d}" for year in years for month in range(1, 13)]


# (reader, read, its partition): the partitions of what it reads, as far as the engine can say it exactly: stretches up
# to its own. The same month of the year before is left out, as the months between would have to come with it.
READS = {
    ("validation/transactions", "feeds/transactions", "2019-03"): ["2019-03"],
    ("normalise/totals", "normalise/shares", "2019-03"): ["2019-03"],
    ("index/points", "normalise/totals", "2021-05"): months(2015)[3:],
    ("marts/index_month", "index/points", "2019-03"): ["2019-02", "2019-03"],
    ("marts/index_month", "index/points", "2015-01"): ["2015-01"],
    ("marts/breakdown_month", "index/members", "2019-03"): ["2019-03"],
    ("marts/index_year", "index/points", "2015"): months(2015),
    ("marts/index_year", "index/points", "2019"): months(2017, 2018, 2019),
    ("marts/index_half", "normalise/shares", "2017"): months(2016, 2017),
    ("marts/exhibit_values", "marts/index_month", "2016"): months(2015, 2016),
    ("marts/exhibit_values", "marts/index_half", "2016"): ["2015", "2016"],
}


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_definitions(Settings(tmp_path_factory.mktemp("warehouse"), CONTRACTS, "polars"))


@pytest.fixture(scope="module")
def graph(defs: dg.Definitions):
    return defs.resolve_asset_graph()


def named(key: dg.AssetKey) -> str:
    """stage/table of an asset key."""
    return "/".join(key.path[1:])


def cron(definition: object) -> str:
    return definition.cron_schedule if isinstance(definition, dg.TimeWindowPartitionsDefinition) else NONE


def test_every_definition_loads(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)


def test_assets_of_the_product(graph) -> None:
    nodes = {named(key): graph.get(key) for key in graph.get_all_asset_keys() if key.path[0] == "dci"}
    checks: dict[str, set[str]] = {name: set() for name in nodes}
    for check in graph.asset_check_keys:
        if check.asset_key.path[0] == "dci":
            checks[named(check.asset_key)].add(check.name)
    found = {
        name: (cron(node.partitions_def), checks[name], {named(key) for key in node.parent_keys})
        for name, node in nodes.items()
    }
    assert found == DCI


def test_every_index_s_assets_lie_in_the_groups_of_the_stages(graph) -> None:
    assert {key.path[0] for key in graph.get_all_asset_keys()} == {"dci", "pulse"}
    for key in graph.get_all_asset_keys():
        assert graph.get(key).group_name == key.path[1]


def test_an_index_of_quarters_has_quarters(graph) -> None:
    definition = graph.get(dg.AssetKey(["pulse", "marts", "index_quarter"])).partitions_def
    assert cron(definition) == QUARTERLY
    assert definition.get_partition_keys()[:5] == ["2018-01", "2018-04", "2018-07", "2018-10", "2019-01"]


def test_every_asset_says_what_it_is(graph) -> None:
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description and list(node.owners) == ["team:data-engineering"], key
        assert {tag for tag in node.tags if tag.startswith("dagster/kind/")}, key
        assert not node.is_partitioned or node.backfill_policy == dg.BackfillPolicy.single_run(), key


def test_every_check_blocks_and_has_its_asset_s_partitions(graph) -> None:
    for key in graph.asset_check_keys:
        check = graph.get(key)
        assert check.blocking and check.partitions_def == graph.get(key.asset_key).partitions_def, key
        assert check.description, key


def test_a_published_table_shows_its_contract(graph) -> None:
    node = graph.get(dg.AssetKey(["dci", "marts", "index_month"]))
    columns = node.metadata["dagster/column_schema"].value.columns
    assert [column.name for column in columns][:5] == ["entity_type", "entity_code", "node", "month", "points"]
    assert all(column.description for column in columns)
    assert node.metadata["dagster/table_name"].value == "dci.index_month"


@pytest.mark.parametrize(("reader", "read", "partition"), READS)
def test_a_partition_reads(graph, reader: str, read: str, partition: str) -> None:
    node, parent = (graph.get(dg.AssetKey(["dci", *name.split("/")])) for name in (reader, read))
    mapping = graph.get_partition_mapping(key=node.key, parent_asset_key=parent.key)
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(
        node.partitions_def.subset_with_partition_keys([partition]), node.partitions_def, parent.partitions_def
    )
    assert sorted(found.partitions_subset.get_partition_keys()) == READS[reader, read, partition]
    assert not list(found.required_but_nonexistent_subset.get_partition_keys())


def test_the_running_year_exists_and_the_running_month_does_not(graph) -> None:
    today = datetime.now(ZoneInfo("Asia/Shanghai"))
    periods = graph.get(dg.AssetKey(["dci", "marts", "index_month"])).partitions_def.get_partition_keys()
    years = graph.get(dg.AssetKey(["dci", "marts", "index_year"])).partitions_def.get_partition_keys()
    assert today.strftime("%Y-%m") not in periods and periods[0] == "2015-01"
    assert years[0] == "2015" and years[-1] == str(today.year)


def test_jobs(defs: dg.Definitions) -> None:
    for name, expected in JOBS.items():
        job = defs.resolve_job_def(name)
        assert {named(key) for key in job.asset_layer.executable_asset_keys} == expected, name
        assert job.executor_def is dg.in_process_executor and job.description, name


def test_a_month_can_be_launched_from_the_period_job(defs: dg.Definitions) -> None:
    assert cron(defs.resolve_job_def("dci_periods").partitions_def) == MONTHLY
    assert cron(defs.resolve_job_def("dci_years").partitions_def) == YEARLY
    assert defs.resolve_job_def("dci_catalogue").partitions_def is None


@pytest.mark.parametrize(
    ("name", "cron_schedule", "tick", "requested"),
    [
        ("dci_periods_when_due", "0 6 10 * *", "2019-03-10", "2019-02"),
        ("dci_periods_when_due", "0 6 10 * *", "2020-01-10", "2019-12"),
        ("pulse_periods_when_due", "0 6 15 2,5,8,11 *", "2019-02-15", "2018-10"),
        ("pulse_periods_when_due", "0 6 15 2,5,8,11 *", "2019-05-15", "2019-01"),
    ],
)
def test_a_schedule_asks_for_the_last_complete_period(
    defs: dg.Definitions, name: str, cron_schedule: str, tick: str, requested: str
) -> None:
    schedule = defs.resolve_schedule_def(name)
    assert schedule.cron_schedule == cron_schedule
    assert schedule.execution_timezone == "Asia/Shanghai"
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    at = datetime.fromisoformat(tick).replace(hour=6, tzinfo=ZoneInfo("Asia/Shanghai"))
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=at, repository_def=defs.get_repository_def()
        )
        (request,) = schedule.evaluate_tick(context).run_requests
    assert request.partition_key == requested


def test_an_unknown_time_zone_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DCI_TIMEZONE", "Middle/Earth")
    with pytest.raises(Finding, match="unknown time zone"):
        build_definitions(Settings(tmp_path, CONTRACTS, "polars"))


def test_loading_the_definitions_imports_no_engine() -> None:
    code = "import sys, dci_pipeline.definitions; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, cwd=CONTRACTS.parent
    )
    assert done.returncode == 0, done.stderr
    assert not {"polars", "duckdb", "pandas", "great_expectations", "narwhals", "pyarrow"} & set(done.stdout.split())
