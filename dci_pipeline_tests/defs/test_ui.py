"""The engine's own UI on a refreshed warehouse, in a real browser: the graph, a month's rows, a failed check's rows."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dci_pipeline.periods import parse
from dci_pipeline_tests.conftest import PROJECT
from dci_pipeline_tests.defs.conftest import BROKEN, FEED, RULE, Launched

if TYPE_CHECKING:
    from playwright.sync_api import Page

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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(browser: str, launched: Launched, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, log = free_port(), tmp_path_factory.mktemp("webserver") / "log.txt"
    settings = launched.work.settings
    environment = os.environ | {
        "DAGSTER_HOME": str(settings.dagster_home),
        "DCI_WAREHOUSE": str(settings.warehouse),
        "DCI_CONTRACTS": str(settings.contracts),
        "DCI_ENGINE": settings.engine,
    }
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


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"the webserver did not come up:\n{log.read_text(encoding='utf-8', errors='replace')}")


@pytest.fixture
def page(server: str, browser: str) -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=browser, args=ARGUMENTS)
        try:
            context = opened.new_context(base_url=server, viewport={"width": 1700, "height": 1000})
            context.set_default_timeout(PATIENCE * 1000)
            yield context.new_page()
        finally:
            opened.close()


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
