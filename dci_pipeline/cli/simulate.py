"""`dci simulate`: deliveries of invented partners, seeded, with faults on request, written as files and taken in.

Equal requests give equal bytes, so a second time nothing is new. What the invented world looks like is the index's
simulation file; an index of real data has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dci_pipeline.cli import land, options, screen
from dci_pipeline.findings import Finding

if TYPE_CHECKING:
    from dci_pipeline.cli.partners import Made, Request, Wanted
    from dci_pipeline.periods import Period
    from dci_pipeline.warehouse.deliveries import Landing
    from dci_pipeline.work import Work

EXAMPLES = (
    "Example: dci simulate --months 2018-01:2019-12"
    "\n\nWith faults: dci simulate --months 2019-06 --feed transactions --fault city.known:40"
    "\n\nWhat can be broken: dci simulate --list-faults --feed transactions"
)

Feeds = Annotated[list[str] | None, typer.Option("--feed", metavar="FEED", help="This feed only; may be repeated.")]
Partner = Annotated[str | None, typer.Option("--partner", metavar="PARTNER", help="This partner only.")]
Rows = Annotated[
    int | None,
    typer.Option(
        "--rows",
        min=1,
        metavar="N",
        show_default=False,
        help="Records of a delivery, about. Default: the simulation file's.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="The invented world; another seed, another world.")]
Form = Annotated[str, typer.Option("--form", metavar="FORM", help="csv.gz, csv or parquet.")]
Fault = Annotated[
    list[str] | None,
    typer.Option(
        "--fault",
        metavar="RULE:COUNT",
        help="Break a rule of the contract in COUNT records (5 if not said); may be repeated.",
    ),
]
FaultMonth = Annotated[
    str | None,
    typer.Option(
        "--fault-month", metavar="PERIOD", show_default=False, help="Where the faults go. Default: the first period."
    ),
]
FaultPartner = Annotated[
    str | None,
    typer.Option("--fault-partner", metavar="PARTNER", help="Default: the feed's first partner.", show_default=False),
]
FaultFeed = Annotated[
    str | None,
    typer.Option(
        "--fault-feed", metavar="FEED", show_default=False, help="Default: the first feed that has such a rule."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", show_default=False, help="Where the files go. Default: deliveries/INDEX."),
]
Land = Annotated[bool, typer.Option("--land/--no-land", help="Take the files in, or only write them.")]
ListFaults = Annotated[bool, typer.Option("--list-faults", help="Show what can be broken, and do nothing.")]

FIRST, LAST = "2018", "2019"


def simulate(
    *,
    first: options.First = None,
    last: options.Last = None,
    months: options.Months = None,
    feed: Feeds = None,
    partner: Partner = None,
    rows: Rows = None,
    seed: Seed = 7,
    form: Form = "csv.gz",
    fault: Fault = None,
    fault_month: FaultMonth = None,
    fault_partner: FaultPartner = None,
    fault_feed: FaultFeed = None,
    out: Out = None,
    take: Land = True,
    list_faults: ListFaults = False,
    index: options.Index = None,
) -> None:
    """Make deliveries of invented partners, for any range of periods and any size, and take them in.

    Files lie at OUT/feed/partner/feed_partner_period.csv.gz. Planted faults are listed in OUT/faults.json with the row
    numbers validation has to find. Without a range: 2018 and 2019.
    """
    work = options.open_work(index)
    if list_faults:
        _show_faults(work, feed)
        return
    from dci_pipeline.cli import partners

    periods = options.chosen_periods(work.framework, first, last, months) or usual_periods(work)
    requested = partners.requests(work, periods, feeds=feed, partner=partner)
    wanted = partners.wanted_faults(
        fault or (), work, requested, feed=fault_feed, partner=fault_partner, period=fault_month
    )
    folder = out or Path("deliveries") / work.index
    made, landed, refused = produce(
        work, requested, folder=folder, rows=rows, seed=seed, form=form, faults=wanted, take=take
    )
    _report(made, landed, refused, folder, take=take)
    if landed:
        for line in land.state_of_periods(work, landed):
            screen.say(line)


def usual_periods(work: Work) -> list[Period]:
    """Two whole years: the range without being told one."""
    from dci_pipeline import periods

    years = periods.parse_span(f"{FIRST}:{LAST}", "year")
    return [period for year in years for period in year.parts(work.framework.cadence)]


def produce(
    work: Work,
    requested: Sequence[Request],
    *,
    folder: Path,
    rows: int | None,
    seed: int,
    form: str,
    faults: Sequence[Wanted] = (),
    take: bool = True,
) -> tuple[list[Made], list[Landing], dict[Path, Finding]]:
    """Write and land the requested deliveries under a progress bar; deliveries broken on purpose may be refused."""
    from dci_pipeline.cli import partners
    from dci_pipeline.warehouse import deliveries

    maker = partners.Maker(work, folder, rows=rows, seed=seed, form=form)
    made: list[Made] = []
    landed: list[Landing] = []
    refused: dict[Path, Finding] = {}
    with screen.progress() as bar:
        task = bar.add_task("", total=len(requested))
        for request in requested:
            bar.update(task, description=f"{request.feed} {request.partner} {request.period}")
            one = maker.make(request, [item for item in faults if item.request == request])
            made.append(one)
            if take:
                try:
                    landed += deliveries.land(
                        work.warehouse.layout,
                        [one.path],
                        contract=work.framework.feeds[request.feed],
                        cadence=work.framework.cadence,
                        partner=request.partner,
                        period=request.period,
                    )
                except Finding as finding:
                    if not one.truths:
                        raise
                    refused[one.path] = finding
            bar.advance(task)
    partners.write_truth(folder, made)
    return made, landed, refused


def _report(
    made: Sequence[Made], landed: Sequence[Landing], refused: dict[Path, Finding], folder: Path, *, take: bool
) -> None:
    by_feed: dict[tuple[str, str], list[Made]] = {}
    for one in made:
        by_feed.setdefault((one.request.feed, one.request.partner), []).append(one)
    new = {(item.delivery.feed, item.delivery.partner, item.delivery.period) for item in landed if item.new}
    rows: list[list[object]] = []
    for (feed, partner), items in by_feed.items():
        fresh = sum((feed, partner, item.request.period) in new for item in items)
        gone = sum(item.path in refused for item in items)
        state = f"{fresh} new, {len(items) - fresh - gone} already there" if take else "written"
        rows.append(
            [
                feed,
                partner,
                screen.ranges(item.request.period for item in items),
                len(items),
                f"{sum(item.rows for item in items):,}",
                state + (f", {gone} refused" if gone else ""),
            ]
        )
    screen.show(
        "Simulated deliveries", ("feed", "partner", "periods", "files", "rows", "state"), rows, right=("files", "rows")
    )
    truths = [(one, truth) for one in made for truth in one.truths]
    if truths:
        screen.show(
            "Faults planted",
            ("feed", "partner", "period", "fault", "rows or places", "first of them"),
            [
                [
                    one.request.feed,
                    one.request.partner,
                    one.request.period,
                    truth["fault"],
                    truth["count"] or "all",
                    ", ".join(map(str, [*truth["rows"], *truth["places"]][:8])),
                ]
                for one, truth in truths
            ],
            right=("rows or places",),
        )
        screen.say(f"All of them: {folder / 'faults.json'}")
    for path, finding in refused.items():
        screen.say(f"Refused on landing, {path.name}: {finding.problem}", style="yellow")
    screen.say(f"Files: {folder}")


def _show_faults(work: Work, feeds: Sequence[str] | None) -> None:
    from dci_pipeline.feeds import faults

    for name in feeds or list(work.framework.feeds):
        contract = options.feed_contract(work.framework, name)
        says = (
            {rule.id: rule.says for rule in contract.rules}
            | faults.FAULTS
            | {"key.unique.conflict": "rows that share a key and say different things"}
        )
        screen.show(
            f"Faults of {name}", ("fault", "breaks"), [[fault, says[fault]] for fault in faults.names(contract)]
        )
