"""The explorer opened from disk in a real browser without a network: search, sort, links, keyboard, phone, downloads.

DCI_SCREENSHOTS names a folder for pictures of the pages as the tests left them.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from dci_pipeline import refresh
from dci_pipeline.map_files import read_maps
from dci_pipeline.periods import parse_span
from dci_pipeline.report.explorer.manifest import About, Sheet
from dci_pipeline.warehouse.explorer import of_database, write_explorer
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import World
from dci_pipeline_tests.defs.test_ui import browser, chromium
from dci_pipeline_tests.small_worlds import FIRST, Towns, drawn, land

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser", "chromium"]

pytestmark = [pytest.mark.slow, pytest.mark.browser]

APPROVAL = "GS(2026)1号"
Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def folder(browser: str, world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The explorer of fifteen months of everything, as a release would hold it."""
    made = tmp_path_factory.mktemp("explorer")
    # The map is kept in a warehouse, and the shared one is not to be changed.
    own = Work(replace(world.work.settings, warehouse=made / "warehouse"), world.work.index)
    maps = read_maps(own)
    assert maps is not None
    with duckdb.connect(str(world.work.warehouse.layout.catalogue), read_only=True) as connection:
        about = About("2019-03", "2019-04-15")
        write_explorer(made / "page", of_database(connection), world.work.framework, about, Sheet(maps, APPROVAL))
    return made / "page"


@pytest.fixture
def opened(chromium: Browser, folder: Path, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens the page at an address; whatever the browser complained of fails the test in the end."""
    troubles: list[str] = []
    pages: list[Page] = []

    def open_(address: str = "", *, at: Path = folder, width: int = 1440, height: int = 1000, **options: Any) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, offline=True, locale="en-GB", accept_downloads=True, **options
        )
        page = context.new_page()
        page.on("console", lambda told: troubles.append(f"{told.type}: {told.text}"))
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on("requestfailed", lambda asked: troubles.append(f"failed: {asked.url}"))
        page.on("request", lambda asked: _own(asked.url, at, troubles))
        page.goto(f"{(at / 'index.html').as_uri()}{address}")
        ready(page)
        pages.append(page)
        return page

    yield open_
    for number, page in enumerate(pages):
        if "DCI_SCREENSHOTS" in os.environ:
            name = f"explorer_{request.node.name}_{number}.png"
            page.screenshot(path=Path(os.environ["DCI_SCREENSHOTS"]) / name)
        page.context.close()
    assert troubles == []


def _own(url: str, at: Path, troubles: list[str]) -> None:
    if not url.startswith((at.as_uri(), "data:", "blob:")):
        troubles.append(f"asked for {url}")


def ready(page: Page) -> None:
    """Waits for rows and charts."""
    page.locator(".rows tbody th[scope=row]").first.wait_for()
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))")
    page.evaluate("() => dciExplorer.settled()")


def names(page: Page) -> list[str]:
    """The names in the rows that are on the page, from the top."""
    return page.locator(".rows .place").all_inner_texts()


def chosen(page: Page) -> dict[str, str]:
    return dict(
        part.split("=", 1) for part in page.evaluate("() => decodeURIComponent(location.hash.slice(1))").split("&")
    )


def published(world: World, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(world.work.warehouse.layout.catalogue), read_only=True) as connection:
        return connection.execute(sql).fetchall()


CARDS = ("map", "table", "trend", "ranks", "contributions", "uncertainty")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_it_opens_with_everything_in_sight(opened: Open, theme: str, lang: str) -> None:
    page = opened(f"#lang={lang}&period=2019", color_scheme=theme, height=2400)
    for card in CARDS:
        assert page.locator(f"#{card}").is_visible(), card
    assert page.locator(".chart canvas, .chart svg").count() >= len(CARDS) - 1
    assert page.evaluate("() => document.documentElement.dataset.theme") == theme
    assert page.locator(".release").inner_text().startswith({"zh": "发布版本 2019-03", "en": "Release 2019-03"}[lang])
    assert page.locator("html").get_attribute("lang") == {"zh": "zh-CN", "en": "en"}[lang]
    assert names(page)[0] in {"zh": "北京上海深圳广州重庆", "en": "Beijing Shanghai Shenzhen Guangzhou Chongqing"}[lang]


@pytest.mark.parametrize("text", ["成都", "chengdu", "Chéngdū", "510100", "cd"])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_search_finds_a_city_by_name_spelling_code_and_initials(opened: Open, text: str, lang: str) -> None:
    page = opened(f"#lang={lang}")
    page.locator("#search").fill(text)
    found = {"zh": "成都", "en": "Chengdu"}[lang]
    page.wait_for_function("(name) => document.querySelector('.rows .place')?.textContent === name", arg=found)
    assert found in names(page)
    if text != "cd":
        assert len(names(page)) == 1
    assert chosen(page)["q"] == text


def test_what_is_sorted_is_sorted_by_the_published_numbers(opened: Open, world: World) -> None:
    page = opened("#lang=en&period=2019")
    page.locator("#table th", has_text="Growth").first.locator("button").click()
    ready(page)
    heading = page.locator("#table th[aria-sort=descending]")
    assert "Growth" in heading.inner_text()
    expected = published(
        world,
        "SELECT name_en FROM index_month JOIN city ON code = entity_code "
        "WHERE entity_type = 'city' AND node = 'dci' AND month = '2019-03-01' ORDER BY growth_yoy DESC LIMIT 5",
    )
    page.goto(page.url.replace("freq=year", "freq=month").replace("period=2019", "period=2019-03"))
    ready(page)
    assert names(page)[:5] == [name for (name,) in expected]
    assert chosen(page)["sort"] == "-growth_yoy"


def test_back_goes_back_and_a_link_opens_the_same_view(opened: Open) -> None:
    page = opened("#lang=en")
    before = page.evaluate("() => location.hash")
    page.locator("[data-node=culture]").click()
    page.locator("#type").select_option("province")
    page.get_by_role("button", name="Half-year").click()
    page.locator("#measure").select_option("growth_yoy")
    page.locator("#table th button", has_text="Points").click()
    page.locator(".rows input").nth(1).check()
    page.locator(".rows input").nth(3).check()
    page.get_by_role("button", name="Dark").click()
    page.locator("#search").fill("o")
    ready(page)
    address = page.evaluate("() => location.hash")
    told = chosen(page)
    assert told["node"] == "culture" and told["type"] == "province" and told["freq"] == "half"
    assert told["sort"] == "-points" and told["theme"] == "dark" and len(told["sel"].split(",")) == 2
    other = opened(address)
    assert seen(other) == seen(page)
    for _ in range(20):
        if page.evaluate("() => location.hash") == before:
            break
        page.go_back()
    ready(page)
    assert page.evaluate("() => location.hash") == before
    assert seen(page) == seen(opened(before))


def seen(page: Page) -> list[str]:
    """What there is to read."""
    return page.locator(
        "h1, h2, .sub, .rows tr, .selection li, .legend li, .segments [aria-pressed=true]"
    ).all_inner_texts()


def test_nonsense_in_the_address_is_as_if_it_were_not_there(opened: Open) -> None:
    page = opened(
        "#node=nowhere&freq=day&period=1066&type=planet&sort=%3Cb%3E&sel=city:1,city:510100&lang=fr&q=%E6%88%90"
    )
    assert chosen(page)["sel"] == "city:510100"
    assert chosen(page)["node"] == "dci" and chosen(page)["freq"] == "year"
    assert "Chengdu" in names(page)


def focused(page: Page) -> str:
    return str(
        page.evaluate(
            "() => { const e = document.activeElement; return e.id || e.dataset.node || e.ariaLabel || e.textContent; }"
        )
    )


def test_the_keyboard_alone_does_everything(opened: Open) -> None:
    page = opened("#lang=en")
    keys = page.keyboard
    keys.press("Tab")
    assert focused(page) == "Skip to the table"
    assert page.locator(".skip").bounding_box()["y"] >= 0  # pyright: ignore[reportOptionalSubscript]
    keys.press("Enter")
    assert focused(page) == "table-title"
    page.locator("[data-node=dci]").focus()
    keys.press("ArrowDown")
    assert focused(page) == "industry"
    keys.press("ArrowRight")
    keys.press("ArrowDown")
    keys.press("Enter")
    ready(page)
    assert chosen(page)["node"] == "finance"
    keys.press("ArrowLeft")
    assert focused(page) == "industry"
    keys.press("[")
    ready(page)
    assert chosen(page)["period"] == "2018" and "Finance 2018" in page.locator("h1").inner_text()
    keys.press("/")
    assert focused(page) == "search"
    keys.type("chengdu")
    keys.press("Tab")
    while not focused(page).startswith("Choose "):
        keys.press("Tab")
    assert focused(page) == "Choose Chengdu to compare"
    keys.press("Space")
    assert chosen(page)["sel"] == "city:510100"
    keys.press("/")
    keys.press("Control+A")
    keys.press("Delete")
    while not focused(page).startswith("Choose "):
        keys.press("Tab")
    keys.press("End")
    page.wait_for_function("() => document.querySelector('.rows').scrollTop > 10000")
    page.wait_for_function("() => document.activeElement.dataset.at === '350'")
    keys.press("Home")
    page.wait_for_function("() => document.activeElement.dataset.at === '0'")
    style = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert style == "solid"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_serious(opened: Open, theme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the dev extra has axe")
    page = opened("#lang=zh&sel=city:510100,city:110000&period=2019", color_scheme=theme, width=width, height=2400)
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    serious = [item for item in found if item["impact"] in ("serious", "critical")]
    assert [(item["id"], [node["html"][:200] for node in item["nodes"]][:3]) for item in serious] == []


def test_a_phone_scrolls_in_one_direction(opened: Open) -> None:
    page = opened("#lang=en&sel=city:510100,city:500000", width=390, height=844, has_touch=True, is_mobile=True)
    assert page.evaluate("() => document.scrollingElement.scrollWidth") == 390
    assert not page.locator("[role=tree]").is_visible()
    page.locator(".unfold").tap()
    page.locator("[data-node=life]").tap()
    ready(page)
    assert chosen(page)["node"] == "life"
    assert not page.locator("[role=tree]").is_visible()
    for card in CARDS[:-1]:
        page.locator(f"#{card}").scroll_into_view_if_needed()
        page.wait_for_timeout(50)
    ready(page)
    assert page.evaluate("() => document.scrollingElement.scrollWidth") == 390


def test_six_places_at_most_are_compared(opened: Open) -> None:
    page = opened("#lang=en")
    for at in range(6):
        page.locator(".rows input").nth(at).check()
    assert page.locator(".rows input").nth(7).is_disabled()
    assert page.locator(".selection li").count() == 6
    page.get_by_role("button", name="Remove").first.click()
    assert page.locator(".rows input").nth(7).is_enabled()
    page.get_by_role("button", name="Clear all").click()
    assert page.locator(".selection li").count() == 0


def test_places_stand_side_by_side(opened: Open, world: World, tmp_path: Path) -> None:
    page = opened("#lang=en&freq=month&period=2019-03&sel=city:510100,province:510000")
    heads = page.locator("#comparison thead th").all_inner_texts()
    assert [head.split("\n") for head in heads] == [["Chengdu", "Provisional"], ["Sichuan", "Provisional"]]
    with page.expect_download() as download:
        page.locator("#comparison").get_by_role("button", name="CSV").click()
    download.value.save_as(tmp_path / "rows.csv")
    rows = list(csv.DictReader((tmp_path / "rows.csv").open(encoding="utf-8-sig", newline="")))
    expected = published(
        world,
        "SELECT entity_code, rank FROM index_month WHERE entity_code IN ('510100', '510000') "
        "AND node = 'dci' AND month = '2019-03-01' ORDER BY 1 DESC",
    )
    assert [(row["entity_code"], int(row["rank"])) for row in rows] == expected
    page.get_by_role("button", name="Remove Sichuan").click()
    assert page.locator("#comparison").count() == 0


def test_a_running_year_is_called_provisional(opened: Open) -> None:
    page = opened("#lang=en&period=2019")
    assert "Provisional" in page.locator("h1").inner_text()
    assert "Covers 3 months only" in page.locator(".headline .sub").inner_text()
    # Its revision window has closed by March of 2019, that of the whole year has not.
    assert "Provisional" not in opened("#lang=en&freq=month&period=2018-06").locator("h1").inner_text()


def test_what_is_shown_can_be_had_as_rows(opened: Open, world: World, tmp_path: Path) -> None:
    page = opened("#lang=en&freq=month&period=2019-03&type=province&sort=-growth_yoy&node=culture")
    with page.expect_download() as download:
        page.locator("#table").get_by_role("button", name="CSV").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.name == "dci_2019-03_culture_2019-03_table.csv"
    rows = list(csv.DictReader(path.open(encoding="utf-8-sig", newline="")))
    there = {
        code: (points, growth)
        for code, points, growth in published(
            world,
            "SELECT entity_code, points, growth_yoy FROM index_month "
            "WHERE entity_type = 'province' AND node = 'culture' AND month = '2019-03-01'",
        )
    }
    assert [row["name_en"] for row in rows][:3] == names(page)[:3]
    assert {row["entity_code"] for row in rows} == set(there)
    for row in rows:
        points, growth = there[row["entity_code"]]
        assert float(row["points"]) == pytest.approx(points, abs=0.5e-4 + 1e-9)
        assert float(row["growth_yoy"]) == pytest.approx(growth, abs=0.5e-4 + 1e-9)
        assert row["table"] == "index_month" and row["release"] == "2019-03"
        assert "points: 4 decimals" in row["rounding"]


@pytest.mark.parametrize("card", ["map", "trend", "ranks", "contributions", "uncertainty"])
def test_every_chart_can_be_had_as_a_picture(opened: Open, card: str, tmp_path: Path) -> None:
    page = opened("#lang=zh&sel=city:510100,city:110000&period=2019", height=2400)
    for kind, begins in (("PNG", b"\x89PNG\r\n"), ("SVG", b"<svg")):
        with page.expect_download() as download:
            page.locator(f"#{card}").get_by_role("button", name=kind).click()
        path = tmp_path / f"{card}.{kind.lower()}"
        download.value.save_as(path)
        content = path.read_bytes()
        assert content.startswith(begins) and len(content) > 3000
    text = (tmp_path / f"{card}.svg").read_text(encoding="utf-8")
    assert page.locator(f"#{card}-title").inner_text() in text
    assert "2019-03" in text and "index_year" in text
    if card == "map":
        assert APPROVAL in text and page.locator("#map .source").is_visible()
    if "DCI_SCREENSHOTS" in os.environ:
        shutil.copy(tmp_path / f"{card}.png", Path(os.environ["DCI_SCREENSHOTS"]) / f"explorer_picture_{card}.png")


def test_names_that_would_run_do_not(opened: Open, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "page"
    shutil.copytree(folder, copy)
    path = copy / "data" / "manifest.js"
    text = path.read_text(encoding="utf-8")
    hostile = '=HYPERLINK("x")<img src=x onerror=alert(1)>'
    for name in ("成都市", "成都", "Chengdu"):
        text = text.replace(json.dumps(name, ensure_ascii=False), json.dumps(hostile))
    path.write_text(text, encoding="utf-8")
    page = opened("#lang=en&q=510100&sel=city:510100", at=copy)
    assert names(page) == [hostile]
    with page.expect_download() as download:
        page.locator("#table").get_by_role("button", name="CSV").click()
    saved = tmp_path / "rows.csv"
    download.value.save_as(saved)
    (row,) = csv.DictReader(saved.open(encoding="utf-8-sig", newline=""))
    assert row["name_en"] == "'" + hostile


def test_an_index_of_quarters_without_a_map(opened: Open, tmp_path: Path) -> None:
    quarters = parse_span("2018Q1:2019Q4", "quarter")
    values = drawn(quarters)
    work = Towns([FIRST], quarters, values).write(tmp_path)
    land(work, tmp_path / "sent", values, quarters)
    refresh.run_direct(work, quarters)
    with duckdb.connect(str(work.warehouse.layout.catalogue), read_only=True) as connection:
        write_explorer(tmp_path / "page", of_database(connection), work.framework, About(None, None), None)
    page = opened("#lang=en&freq=quarter&node=pay", at=tmp_path / "page", height=2000)
    assert page.locator("h1").inner_text().startswith("Pay Q4 2019")
    assert page.locator("#map").count() == 0 and page.locator(".release").inner_text().startswith("current tables")
    assert sorted(names(page)) == ["T1", "T2", "T3", "T4", "T5", "T6"]
    page.get_by_role("button", name="Previous period").click()
    page.locator("#within").select_option("region:west")
    ready(page)
    assert sorted(names(page)) == ["T4", "T5", "T6"]
    assert page.locator("h1").inner_text().startswith("Pay Q3 2019")


def test_a_folder_in_pieces_says_so(chromium: Browser, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "page"
    shutil.copytree(folder, copy)
    (copy / "data" / "year" / "life.js").unlink()
    page = chromium.new_context(offline=True, locale="en-GB").new_page()
    page.goto(f"{(copy / 'index.html').as_uri()}#lang=en&node=life")
    page.get_by_role("alert").wait_for()
    assert "data/year/life.js could not be read" in page.get_by_role("alert").inner_text()
    page.context.close()
