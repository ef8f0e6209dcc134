"""The engine's own UI on a refreshed warehouse, in a real browser: the graph, a month's rows, a failed check's rows.

Then, on a copy of the warehouse: a month that is out of sync with a corrected delivery, and that month launched by
clicking, which a real webserver, daemon and run carry out. DCI_SCREENSHOTS names a folder for pictures of the pages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dci_pipeline.periods import parse
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import PROJECT, land
from dci_pipeline_tests.defs.conftest import BROKEN, FEED, RULE, Launched
from dci_pipeline_tests.receivers import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

# A browser that asks nothing of the network by itself.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE = 120.0


@pytest.fixture(scope="module")
def browser() -> str:
    """The browser to drive, before anything slow is made for it."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed (the dev extra has it)")
    pytest.importorskip("dagster_webserver", reason="dagster-webserver is not installed (the ui extra has it)")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no chromium on the PATH")
    return found


@contextmanager
def serving(settings: Settings, folder: Path) -> Iterator[str]:
    """The pages over a warehouse, on a free port of this machine."""
    port, log = free_port(), folder / "webserver.log"
    environment = environment_of(settings)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "dagster_webserver",
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
                "--workspace",
                str(PROJECT / "workspace.yaml"),
            ],
            cwd=PROJECT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_up(f"http://127.0.0.1:{port}/server_info", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def environment_of(settings: Settings) -> dict[str, str]:
    return os.environ | {
        "DAGSTER_HOME": str(settings.dagster_home),
        "DCI_WAREHOUSE": str(settings.warehouse),
        "DCI_CONTRACTS": str(settings.contracts),
        "DCI_ENGINE": settings.engine,
    }


@pytest.fixture(scope="module")
def server(browser: str, launched: Launched, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(launched.work.settings, tmp_path_factory.mktemp("webserver")) as address:
        yield address


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"the webserver did not come up:\n{log.read_text(encoding='utf-8', errors='replace')}")


@pytest.fixture(scope="module")
def chromium(browser: str) -> Iterator[Browser]:
    """The browser, started once; every test has a window of its own that shares nothing with the others."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=browser, args=ARGUMENTS)
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def visiting(chromium: Browser, address: str, name: str) -> Iterator[Page]:
    """A page of its own; a picture of how it was left goes to DCI_SCREENSHOTS."""
    context = chromium.new_context(base_url=address, viewport={"width": 1700, "height": 1000})
    context.set_default_timeout(PATIENCE * 1000)
    page = context.new_page()
    try:
        yield page
    finally:
        if "DCI_SCREENSHOTS" in os.environ:
            page.screenshot(path=Path(os.environ["DCI_SCREENSHOTS"]) / f"{name}.png")
        context.close()


@pytest.fixture
def page(server: str, chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    with visiting(chromium, server, request.node.name) as made:
        yield made


def shows(page: Page, text: str) -> None:
    page.locator(f":text('{text}'):visible").first.wait_for()


def test_the_graph_shows_the_path_by_stage(page: Page) -> None:
    page.goto("/asset-groups")
    for stage in ("feeds", "validation", "indicators", "normalise", "weight", "index", "marts"):
        shows(page, stage)


def test_the_lineage_of_the_index_goes_back_to_the_feeds(page: Page) -> None:
    page.goto("/assets/dci/marts/index_month?view=lineage&lineageScope=upstream&lineageDepth=5")
    for name in (
        "app_usage",
        "cloud_usage",
        "mobile_traffic",
        "transactions",
        "values",
        "shares",
        "totals",
        "alphas",
        "points",
        "index_month",
    ):
        shows(page, name)


def test_a_month_s_page_shows_its_rows_and_its_file(page: Page, launched: Launched) -> None:
    page.goto("/assets/dci/marts/index_month?view=partitions&partition=2018-04")
    shows(page, "dagster/row_count")
    rows = launched.work.warehouse.read("marts", "index_month", parse("2018-04", "month")).height
    shows(page, str(rows))
    shows(page, "marts/index_month/year=2018/month=04/part.parquet")


def test_a_month_s_page_shows_a_picture_and_the_leading_rows(page: Page) -> None:
    page.goto("/assets/dci/marts/index_month?view=partitions&partition=2018-04")
    page.get_by_text("at a glance").first.wait_for()
    page.get_by_text("Show Markdown").first.click()
    picture = page.get_by_role("dialog").get_by_role("img", name="index_month 2018-04")
    picture.wait_for()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 400
    assert page.get_by_role("dialog").locator("table tr").count() > 4


def test_the_overview_shows_the_contract_s_columns(page: Page) -> None:
    page.goto("/assets/dci/marts/index_month?view=overview")
    shows(page, "composite_points")
    shows(page, "data-engineering")


def test_the_failed_check_shows_the_rows_that_broke_it(page: Page, launched: Launched) -> None:
    page.goto(f"/assets/dci/validation/{FEED}?view=checks&checkDetail=contract_rules")
    page.get_by_role("tab", name="Execution history").click()
    page.locator("tr", has_text=BROKEN.key).locator("button").last.click()
    shows(page, "broken rules")
    shows(page, "offending rows")
    shows(page, RULE)
    text = page.locator("table:visible", has_text="file_row").last.inner_text()
    assert f"transactions_pay_a_{BROKEN}.csv" in text
    assert all(str(row) in text for row in launched.broken_rows[:10])


def test_the_run_that_held_a_month_back_says_which_and_why(page: Page, launched: Launched) -> None:
    import dagster as dg

    with dg.DagsterInstance.from_config(str(launched.work.settings.dagster_home)) as instance:
        (run,) = instance.get_runs(filters=dg.RunsFilter(job_name="dci_periods"))
    page.goto(f"/runs/{run.run_id}")
    shows(page, f"held back: {BROKEN}")
    shows(page, "contract_rules: 60 of")


def _take_stock(work: Work) -> bool:
    """The feed alone, as the run of its page or of a sensor would record it."""
    import dagster as dg

    from dci_pipeline.defs.assembly import index_definitions

    with dg.DagsterInstance.from_config(str(work.settings.dagster_home)) as instance:
        job = index_definitions(work).resolve_job_def("dci_periods")
        key = dg.AssetKey(["dci", "feeds", FEED])
        return job.execute_in_process(instance=instance, partition_key=BROKEN.key, asset_selection=[key]).success


@pytest.fixture(scope="module")
def corrected(browser: str, launched: Launched, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Work, str]]:
    """A copy of the warehouse whose corrected delivery has been landed and taken stock of; its pages, with a daemon."""
    folder = tmp_path_factory.mktemp("corrected")
    shutil.copytree(launched.work.settings.warehouse, folder / "warehouse")
    settings = Settings(folder / "warehouse", launched.work.settings.contracts, "polars")
    work = Work(settings, "dci")
    land(work, [launched.good])
    # In a thread of its own: in this one the browser's driver has an event loop.
    with ThreadPoolExecutor(1) as aside:
        assert aside.submit(_take_stock, work).result()
    log = folder / "daemon.log"
    with serving(settings, folder) as address, log.open("wb") as out:
        workspace = str(PROJECT / "workspace.yaml")
        daemon = subprocess.Popen(
            [sys.executable, "-m", "dagster._daemon", "run", "-w", workspace],
            cwd=PROJECT,
            env=environment_of(settings),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            yield work, address
        finally:
            daemon.terminate()
            daemon.wait(timeout=60)


def test_a_month_out_of_sync_with_a_corrected_delivery_says_so_and_why(
    corrected: tuple[Work, str], chromium: Browser
) -> None:
    _, address = corrected
    with visiting(chromium, address, "out_of_sync") as page:
        page.goto(f"/assets/dci/validation/{FEED}?view=partitions&partition={BROKEN.key}")
        shows(page, "Unsynced")
        page.locator(":text('Unsynced'):visible").first.hover()
        shows(page, "has a new data version")
        shows(page, f"dci / feeds / {FEED}")


def test_a_month_launched_by_clicking_is_computed(corrected: tuple[Work, str], chromium: Browser) -> None:
    import dagster as dg

    work, address = corrected
    published = dg.AssetKey(["dci", "marts", "index_month"])
    with visiting(chromium, address, "launched") as page:
        page.goto("/locations/dci_pipeline.definitions/jobs/dci_periods")
        shows(page, "indicators")
        chosen = page.locator(":text('Partition selection'):visible")
        deadline = time.monotonic() + PATIENCE
        while not chosen.count() and time.monotonic() < deadline:
            # The button is there before it does anything.
            page.locator("button:visible", has_text="Materialize all").first.click()
            page.wait_for_timeout(1000)
        page.locator("input[type=text]:visible").last.fill(BROKEN.key)
        page.keyboard.press("Tab")
        page.locator("button:visible", has_text="Launch 1 run").click(timeout=60_000)
        with dg.DagsterInstance.from_config(str(work.settings.dagster_home)) as instance:
            deadline = time.monotonic() + 2 * PATIENCE
            while BROKEN.key not in instance.get_materialized_partitions(published):
                failed = instance.get_runs(
                    filters=dg.RunsFilter(
                        statuses=[dg.DagsterRunStatus.FAILURE], tags={"dagster/partition": BROKEN.key}
                    )
                )
                assert not failed and time.monotonic() < deadline
                time.sleep(0.5)
        page.goto(f"/assets/dci/marts/index_month?view=partitions&partition={BROKEN.key}")
        shows(page, "marts/index_month/year=2018/month=03/part.parquet")
    assert work.warehouse.rows("marts", "index_month", BROKEN) > 0
