"""The report in a real browser, opened from disk with the network off: whole, readable, without an error, printable.

Pictures of it go to DCI_SCREENSHOTS where that is set.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from dci_pipeline.cli.report_made import Written, written
from dci_pipeline.periods import parse
from dci_pipeline.report_files import read_report
from dci_pipeline_tests.conftest import World

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SEEN = ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser, started once."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (the dev extra has it)")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no chromium on the PATH")
    with driver.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Written]:
    """The report of the world's year, as a file."""
    work = world.work
    with duckdb.connect(str(work.warehouse.layout.catalogue), read_only=True) as connection:
        declared = read_report(work.framework.folder, work.index)
        made = written(work, declared, connection, parse("2018", "year"), "en", None, told=lambda *_: None)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(made.html, encoding="utf-8")
    return path, made


@contextmanager
def opened(chromium: Browser, path: Path, width: int, scheme: str) -> Iterator[tuple[Page, list[str]]]:
    """The page without a network, and what went wrong on it."""
    context = chromium.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # pyright: ignore[reportArgumentType]
        offline=True,
    )
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(request.url))
    page.goto(path.as_uri())
    try:
        yield page, wrong
    finally:
        folder = os.environ.get("DCI_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=str(Path(folder) / f"report_{width}_{scheme}.png"))
        context.close()


@pytest.mark.parametrize(("width", "scheme"), SEEN)
def test_every_exhibit_is_seen_and_nothing_goes_wrong(
    chromium: Browser, report: tuple[Path, Written], width: int, scheme: str
) -> None:
    path, made = report
    with opened(chromium, path, width, scheme) as (page, wrong):
        for item in made.made:
            article = page.locator(f"#{item.exhibit}")
            assert article.is_visible(), item.exhibit
            box = article.locator(".drawings").bounding_box()
            assert box is not None and box["height"] > 20 and box["width"] > 200, item.exhibit
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert wrong == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_axe_finds_no_serious_violation(
    chromium: Browser, report: tuple[Path, Written], width: int, scheme: str
) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed (the dev extra has it)"
    )
    with opened(chromium, report[0], width, scheme) as (page, _):
        found = axe.Axe().run(page).response["violations"]
    assert [(rule["id"], len(rule["nodes"])) for rule in found if rule["impact"] in ("serious", "critical")] == []


def test_it_is_painted_at_once_and_reads_without_scripts(chromium: Browser, report: tuple[Path, Written]) -> None:
    context = chromium.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(report[0].as_uri())
    assert page.locator("#theme").is_hidden() and page.locator("h1").is_visible()
    assert page.locator("article.exhibit svg").count() > 40
    context.close()


def test_the_theme_can_be_chosen_and_charts_follow(chromium: Browser, report: tuple[Path, Written]) -> None:
    with opened(chromium, report[0], 1280, "light") as (page, _):
        bar = page.locator("article.exhibit svg path[fill^='var(']").first
        before = bar.evaluate("element => getComputedStyle(element).fill")
        page.locator("#theme").click()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert bar.evaluate("element => getComputedStyle(element).fill") != before


def test_it_is_read_with_the_keyboard_alone(chromium: Browser, report: tuple[Path, Written]) -> None:
    with opened(chromium, report[0], 1280, "light") as (page, _):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        summary = page.locator("article.exhibit summary").first
        summary.focus()
        page.keyboard.press("Enter")
        assert page.locator("article.exhibit details[open]").count() == 1
        assert page.locator("article.exhibit details[open] code").first.is_visible()


def test_printed_it_is_pages_of_a4(chromium: Browser, report: tuple[Path, Written]) -> None:
    with opened(chromium, report[0], 1280, "dark") as (page, _):
        page.emulate_media(media="print")
        assert page.locator("article.exhibit details").first.is_hidden()
        # Paper is white, whatever the reader's theme is.
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        content = page.pdf(prefer_css_page_size=True)
    assert content.startswith(b"%PDF") and len(content) > 100_000
