"""Options that several commands share, and what they stand for: an index opened for work, a feed, periods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period

if TYPE_CHECKING:
    from dci_pipeline.contracts import FeedContract, Versions
    from dci_pipeline.framework import Framework
    from dci_pipeline.settings import Settings
    from dci_pipeline.warehouse.layout import Layout
    from dci_pipeline.warehouse.release_files import Release
    from dci_pipeline.work import Work

# The command carries this index's name, so it is what the command means when several are described.
DEFAULT_INDEX = "dci"
# Arithmetic on periods needs the years around them; no statistics are as old or as far ahead as these.
FIRST_YEAR, LAST_YEAR = 1900, 2199
# One option under three names; which of them was typed is not known afterwards.
MONTH_OPTIONS = "--month/--quarter/--period"

Index = Annotated[
    str | None,
    typer.Option(
        "--index",
        envvar="DCI_INDEX",
        metavar="NAME",
        show_default=False,
        help="Which index: a folder under data_contracts. Default: the only one there, else dci.",
    ),
]
Feed = Annotated[str, typer.Option("--feed", metavar="FEED", help="The feed: a file under data_contracts/INDEX/feeds.")]
First = Annotated[str | None, typer.Option("--from", metavar="PERIOD", help="First period, such as 2018-01 or 2018Q1.")]
Last = Annotated[str | None, typer.Option("--to", metavar="PERIOD", help="Last period, included.")]
Months = Annotated[
    str | None, typer.Option("--months", metavar="FIRST:LAST", help="The same range in one word: 2018-01:2019-12.")
]
Month = Annotated[
    str | None,
    typer.Option(
        "--month", "--quarter", "--period", metavar="PERIOD", help="The period the files are for, such as 2019-04."
    ),
]
Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...", help="CSV or Parquet, packed with gzip or not. Several files are parts of one delivery."
    ),
]


def chosen_index(settings: Settings, given: str | None) -> str:
    """The index named, the only one, or the default. Raises Finding listing the indexes when none of these is there."""
    known = settings.indexes()
    if given is not None:
        if given in known:
            return given
        raise Finding(
            "no such index",
            where="--index",
            found=given,
            expected="one of " + ", ".join(known),
            todo="check --index and DCI_INDEX",
        )
    if len(known) == 1:
        return known[0]
    if DEFAULT_INDEX in known:
        return DEFAULT_INDEX
    raise Finding(
        "no index named",
        where=str(settings.contracts),
        found="no --index",
        expected="one of " + ", ".join(known) if known else "a folder with an index.yaml",
        todo="give --index or set DCI_INDEX",
    )


def open_work(index: str | None, *, looking: bool = False) -> Work:
    """The index opened for work, or only to be looked at, under the environment's settings."""
    from dci_pipeline.settings import read_settings
    from dci_pipeline.work import Work

    settings = read_settings()
    return Work(settings, chosen_index(settings, index), looking=looking)


def feed_contract(framework: Framework, feed: str, period: Period | None = None) -> FeedContract:
    """The contract of a feed: the one in force in a period, else the newest. Raises Finding as `feed_versions` does."""
    versions = feed_versions(framework, feed)
    return versions.newest if period is None else versions.at(period)


def feed_versions(framework: Framework, feed: str) -> Versions:
    """Every version of a feed's contract. Raises Finding listing the feeds when there is none of that name."""
    if feed not in framework.versions:
        raise Finding(
            "no such feed",
            where=f"{framework.index}/feeds",
            found=feed,
            expected="one of " + ", ".join(framework.feeds),
            todo="check --feed, or draft a contract: dci contract infer FILE --feed " + feed,
        )
    return framework.versions[feed]


def chosen_release(layout: Layout, name: str | None, what: str) -> Release | None:
    """The release of --release; None when none was given. Raises Finding for one there is not, and off a disk."""
    from dci_pipeline.warehouse import objects, release_files

    if name is None:
        return None
    objects.refuse(layout.root, what, "copy the warehouse to a disk and run it there")
    return release_files.named(layout, name)


def chosen_periods(
    framework: Framework, first: str | None, last: str | None, months: str | None
) -> list[Period] | None:
    """The periods of --from and --to, or of --months; None when nothing was given. Raises Finding for half a range."""
    from dci_pipeline import periods

    if months is not None:
        if first is not None or last is not None:
            raise Finding("the range is given twice", found="--months and --from or --to", expected="one of the two")
        start, _, end = months.partition(":")
        return periods.span(
            named_period(framework, start, where="--months"), named_period(framework, end or start, where="--months")
        )
    if first is None and last is None:
        return None
    if first is None or last is None:
        raise Finding(
            "half a range",
            found="--from alone" if last is None else "--to alone",
            expected="--from and --to",
            todo="give both, or --months FIRST:LAST",
        )
    return periods.span(named_period(framework, first, where="--from"), named_period(framework, last, where="--to"))


def named_period(framework: Framework, text: str, *, where: str) -> Period:
    """The period a person named. Raises Finding when it is none of the index's cadence, or of no year of this kind."""
    year = text.strip()[:4]
    if year.isdecimal() and not FIRST_YEAR <= int(year) <= LAST_YEAR:
        raise Finding(
            "a year that cannot be meant",
            where=where,
            found=text,
            expected=f"{FIRST_YEAR} to {LAST_YEAR}",
            todo="correct the year",
        )
    return framework.period(text, where=where)
