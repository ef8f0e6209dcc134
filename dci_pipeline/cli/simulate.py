"""`dci simulate`: deliveries of invented partners, seeded, with faults on request, written as files and taken in.

Equal requests give equal bytes, so a second time nothing is new. What the invented world looks like is the index's
simulation file; an index of real data has none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    "Example: dci simulate --months 2015-01:2016-12"
    "\n\nWith faults: dci simulate --months 2016-06 --feed transactions --fault city.known:40"
    "\n\nCalibrated to the printed report: dci simulate --profile report"
    "\n\nWhat can be broken: dci simulate --list-faults --feed transactions"
)

YEARS = 2  # without a range: the year of the first reference and the next, so that there is growth to see
SAMPLE, REPORT = "sample", "report"

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
Form = Annotated[
    str | None,
    typer.Option(
        "--form", metavar="FORM", show_default=False, help="csv.gz (default), csv or parquet (default of report)."
    ),
]
World = Annotated[
    str,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="sample: an invented world. report: feeds solved for so that the pipeline arrives at printed numbers.",
    ),
]
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


def simulate(
    *,
    first: options.First = None,
    last: options.Last = None,
    months: options.Months = None,
    feed: Feeds = None,
    partner: Partner = None,
    rows: Rows = None,
    seed: Seed = 7,
    form: Form = None,
    profile: World = SAMPLE,
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

    Files lie at OUT/feed/partner under the names the contracts give them. Planted faults are listed in OUT/faults.json
    with the row numbers validation has to find. Without a range: the year of the reference period and the one after it.

    The profile `report` makes every feed for all months of the printed report, clean, so that the results come as close
    to its numbers as these allow. It shows that the method can produce them, not that they are true.
    """
    work = options.open_work(index)
    if list_faults:
        _show_faults(work, feed)
        return
    if profile not in (SAMPLE, REPORT):
        raise Finding("no such profile", where="--profile", found=profile, expected=f"{SAMPLE} or {REPORT}")
    if profile == REPORT:
        if fault or rows is not None:
            raise Finding(
                "calibrated feeds are clean and of one size",
                where="--profile report",
                found="--fault" if fault else "--rows",
                todo=f"leave it out, or take --profile {SAMPLE}",
            )
        chosen = options.chosen_periods(work.framework, first, last, months)
        _calibrated(work, chosen, feed, partner, folder=out, form=form or "parquet", seed=seed, take=take)
        return
    from dci_pipeline.cli import partners

    form = form or "csv.gz"
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
    """Whole years from the first link's reference on: the range without being told one."""
    from dci_pipeline import periods

    first = work.framework.links[0].reference[0].year()
    years = periods.span(first, first.shift(YEARS - 1))
    return [period for year in years for period in year.parts(work.framework.cadence)]


def _calibrated(
    work: Work,
    chosen: Sequence[Period] | None,
    feeds: Sequence[str] | None,
    partner: str | None,
    *,
    folder: Path | None,
    form: str,
    seed: int,
    take: bool,
) -> None:
    from dci_pipeline.cli import calibrated, partners

    folder = folder or Path("deliveries") / f"{work.index}_{REPORT}"
    screen.say(calibrated.SAID, style="yellow")
    maker = calibrated.calibrate(work, folder, form=form, seed=seed, told=lambda what: screen.say(f"Solving: {what}"))
    requested = partners.requests(work, chosen or maker.periods, feeds=feeds, partner=partner)
    made, landed = _written(work, requested, maker.make, take=take)
    _report(made, landed, {}, folder, take=take)
    if maker.misses:
        screen.say(f"Conditions that exclude each other, each missed by as little as can be: {len(maker.misses)}")
        for miss in maker.misses[:10]:
            screen.say(f"  {miss.label}: {miss.by:.2%}")
    if landed:
        for line in land.state_of_periods(work, landed):
            screen.say(line)


def _written(
    work: Work, requested: Sequence[Request], make: Callable[[Request], Made], *, take: bool
) -> tuple[list[Made], list[Landing]]:
    from dci_pipeline.warehouse import deliveries

    made: list[Made] = []
    landed: list[Landing] = []
    with screen.progress() as bar:
        task = bar.add_task("", total=len(requested))
        for request in requested:
            bar.update(task, description=f"{request.feed} {request.partner} {request.period}")
            made.append(make(request))
            if take:
                landed += deliveries.land(
                    work.warehouse.layout,
                    [made[-1].path],
                    contract=work.framework.contract(request.feed, request.period),
                    cadence=work.framework.cadence,
                    partner=request.partner,
                    period=request.period,
                )
            bar.advance(task)
    return made, landed


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
                        contract=work.framework.contract(request.feed, request.period),
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
