"""`dci explore` as a person uses it, the explorer in a release, and the page built from the sources there are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from dci_pipeline import report
from dci_pipeline.warehouse.explorer import page
from dci_pipeline_tests.cli.conftest import Dci
from dci_pipeline_tests.conftest import PROJECT

SOURCES, BUILT = PROJECT / "explorer", Path(report.__file__).parent / "explorer" / "built"


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("towns")
def test_it_says_where_the_page_is_and_writes_the_same_again(dci: Dci) -> None:
    result = dci("explore")
    assert result.code == 0, result.all
    folder = Path("warehouse/exports/explorer_towns")
    assert str(folder / "index.html") in result.out
    first = content(folder)
    assert {"index.html", "explorer.js", "explorer.css", "licences.txt", "data/manifest.js"} <= set(first)
    assert {"data/year/total.js", "data/quarter/visits.js", "data/contributions/year/pay.js"} <= set(first)
    assert b'"release":null' in first["data/manifest.js"]
    (folder / "left over.txt").write_text("from before", encoding="utf-8")
    assert dci("explore").code == 0
    assert content(folder) == first
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.usefixtures("towns")
def test_what_is_no_explorer_is_left_alone(dci: Dci) -> None:
    Path("mine").mkdir()
    Path("mine/letter.txt").write_text("dear", encoding="utf-8")
    result = dci("explore", "--out", "mine")
    assert result.code == 2 and "there is something already" in result.err
    assert content(Path("mine")) == {"letter.txt": b"dear"}
    assert dci("explore", "--out", "nowhere/page").code == 2
    assert dci("explore", "--out", "page").code == 0
    assert Path("page/index.html").is_file()


def test_without_tables_it_says_what_to_do(dci: Dci) -> None:
    result = dci("explore", "--index", "dci")
    assert result.code == 2 and "nothing is published yet" in result.err
    assert "dci run --index dci" in result.err


@pytest.mark.usefixtures("towns")
def test_a_release_holds_one_and_it_is_what_the_command_makes_of_it(dci: Dci) -> None:
    assert dci("release", "--period", "2019Q4", "--date", "2020-01-20").code == 0
    release = Path("warehouse/towns/releases/2019Q4")
    inside = content(release / "explorer")
    assert b'"release":"2019Q4","vintage":"2020-01-20"' in inside["data/manifest.js"]
    sums = (release / "SHA256SUMS").read_text(encoding="utf-8")
    assert all(f"{hashlib.sha256(made).hexdigest()}  explorer/{name}\n" in sums for name, made in inside.items())
    again = dci("explore", "--release", "current", "--out", "page")
    assert again.code == 0, again.all
    assert content(Path("page")) == inside
    verified = dci("verify", "2019Q4")
    assert verified.code == 0, verified.all


def of_files(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(paths)
        if path.is_file()
    }


def test_the_page_is_built_from_the_sources_there_are() -> None:
    recorded = json.loads((BUILT / "build.json").read_text(encoding="utf-8"))
    sources = [SOURCES / name for name in ("package.json", "package-lock.json", "tsconfig.json", "vite.config.js")]
    sources += [*(SOURCES / "src").rglob("*"), *(SOURCES / "public").rglob("*")]
    assert recorded["sources"] == of_files(SOURCES, sources), "run: make explorer"
    assert recorded["built"] == of_files(BUILT, (path for path in BUILT.iterdir() if path.name != "build.json"))
    assert set(page()) == set(recorded["built"])


def test_the_page_needs_nothing_from_elsewhere() -> None:
    html = page()["index.html"].decode()
    assert "http" not in html and 'type="module"' not in html
    assert b"url(" not in page()["explorer.css"] and b"@import" not in page()["explorer.css"]
    lock = json.loads((SOURCES / "package-lock.json").read_text(encoding="utf-8"))
    assert not [name for name, item in lock["packages"].items() if "resolved" in item]
    assert all("integrity" in item for name, item in lock["packages"].items() if name)


def test_the_licence_of_everything_bundled_is_told() -> None:
    told = page()["licences.txt"].decode()
    for name in (
        "preact",
        "@tanstack/table-core",
        "@tanstack/virtual-core",
        "vega",
        "vega-lite",
        "vega-embed",
        "d3-geo",
    ):
        assert f"\n{name} " in told, name
    assert "holds no licence text" not in told
