"""`dci report`: the report of one period as one HTML file that opens from disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dci_pipeline.cli import options, screen
from dci_pipeline.findings import Finding

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from dci_pipeline.periods import Period
    from dci_pipeline.warehouse.layout import Layout
    from dci_pipeline.warehouse.release_files import Release

EXAMPLES = (
    "Example: dci report --period 2019"
    "\n\nIn English, of half a year: dci report --period 2020H1 --lang en"
    "\n\nOf a release: dci report --period 2019 --release 2019-12"
)

Of = Annotated[
    str,
    typer.Option("--period", metavar="PERIOD", help="A year, half, quarter or month: 2019, 2020H1, 2020Q1, 2020-06."),
]
Language = Annotated[str, typer.Option("--lang", metavar="LANG", help="zh or en.")]
OfRelease = Annotated[
    str | None,
    typer.Option(
        "--release", metavar="ID", show_default=False, help="From a release, or 'current'; else from the warehouse."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        show_default=False,
        help="Where to write it. Default: report_INDEX_PERIOD_LANG.html here.",
    ),
]
_PACKAGES = ("great_tables", "jinja2", "vl_convert")
_LANGUAGES = ("zh", "en")
_FORMS = {"year": r"\d{4}", "half": r"\d{4}-?H[12]", "quarter": r"\d{4}-?Q[1-4]", "month": r"\d{4}-\d{2}"}


def report(
    *, period: Of, lang: Language = "zh", release: OfRelease = None, out: Out = None, index: options.Index = None
) -> None:
    """Write the report of a period: every exhibit that has values then, as one HTML file that needs no network."""
    from dci_pipeline.cli.report_made import written
    from dci_pipeline.report_files import read_report
    from dci_pipeline.work import Work

    if lang not in _LANGUAGES:
        raise Finding("no such language", where="--lang", found=lang, expected=" or ".join(_LANGUAGES))
    wanted = _period(period)
    _installed()
    work = options.open_work(index, looking=True)
    found = options.chosen_release(work.warehouse.layout, release, "the report of a release")
    if found is not None and (found.method / work.index / "report").is_dir():
        # A release's report is what was declared with it.
        work = Work(replace(work.settings, contracts=found.method), work.index, looking=True)
    declared = read_report(work.framework.folder, work.index)
    target = out or Path(f"report_{work.index}_{wanted}_{lang}.html")
    if not target.absolute().parent.is_dir():
        raise Finding("no such folder", where=str(target.parent), todo="make the folder, or give another path")
    with _published(work.warehouse.layout, found) as connection, screen.progress() as bar:
        task = bar.add_task("exhibits".ljust(24), total=None)
        page = written(
            work,
            declared,
            connection,
            wanted,
            lang,
            found,
            told=lambda done, of, name: bar.update(task, completed=done, total=of, description=name[:24].ljust(24)),
        )
    content = page.html.encode()
    target.write_bytes(content)
    screen.say(
        f"Written: {target} ({len(content) / 1e6:.1f} MB, {screen.count(page.shown, 'exhibit')} in "
        f"{screen.count(page.parts, 'part')}; {page.absent} without a value for {wanted})."
    )


def _installed() -> None:
    """Raises Finding, naming the extra to install, when what draws or lays out the page is not there."""
    lost = [package for package in _PACKAGES if find_spec(package) is None]
    if lost:
        raise Finding(
            "what makes the report is not installed", found=", ".join(lost), todo="pip install 'dci_pipeline[report]'"
        )


def _period(text: str) -> Period:
    """The period of whatever cadence the text has the form of. Raises Finding for none."""
    from dci_pipeline.periods import parse

    cadence = next((name for name, form in _FORMS.items() if re.fullmatch(form, text.strip())), None)
    if cadence is None:
        raise Finding("not a period", where="--period", found=text, expected="such as 2019, 2020H1, 2020Q1 or 2020-06")
    return parse(text, cadence, where="--period")


@contextmanager
def _published(layout: Layout, release: Release | None) -> Iterator[DuckDBPyConnection]:
    from dci_pipeline.cli.published_rows import published_file

    if release is None:
        with published_file(layout) as connection:
            yield connection
        return
    import duckdb

    connection = duckdb.connect(str(release.database), read_only=True)
    try:
        yield connection
    finally:
        connection.close()
