"""`dci contract`: draft one from a file, show one, check that all of an index hold together, the data dictionary."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dci_pipeline.cli import options, screen
from dci_pipeline.findings import Finding

if TYPE_CHECKING:
    from dci_pipeline.contracts import Column, FeedContract
    from dci_pipeline.work import Work

commands = typer.Typer(
    no_args_is_help=True,
    help="Contracts: what partners promise to send, in Open Data Contract "
    "Standard files, and what is published. Draft one from a file, show one, check them all.",
    epilog="Example: dci contract check",
)

Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", show_default=False, help="Write the draft there instead of printing it."),
]


@commands.command(epilog="Example: dci contract infer logistics_2019-04.csv --feed logistics --out draft.yaml")
def infer(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of the new feed.")],
    feed: options.Feed,
    out: Out = None,
    valid_from: Annotated[
        str | None,
        typer.Option(
            "--valid-from",
            metavar="PERIOD",
            show_default=False,
            help="The first period of such files: for a new version of a feed's contract.",
        ),
    ] = None,
    index: options.Index = None,
) -> None:
    """Draft the contract of a new feed from one of its files.

    Names, types, limits and lists of values are read off the file; roles and thresholds are proposed. A draft is a
    start for a person: read every line, then put it under data_contracts/INDEX/feeds and run: dci contract check
    """
    from dci_pipeline.feeds import drafting, sampling
    from dci_pipeline.warehouse.refusals import refuse_no_file

    work = options.open_work(index)
    if out is not None and out.exists():
        raise Finding(
            "the file is there already", where=str(out), expected="a new file", todo="give --out another name"
        )
    if valid_from is not None:
        valid_from = options.named_period(work.framework, valid_from, where="--valid-from").key
    refuse_no_file(file)
    with file.open("rb") as stream:
        frame, encoding, delimiter = sampling.sample(stream, file.name, file.stat().st_size)
    text = drafting.draft(
        frame,
        index=work.index,
        feed=feed,
        file=file.name,
        encoding=encoding,
        delimiter=delimiter,
        aliases=work.geography.aliases["alias"].to_list(),
        valid_from=valid_from,
    )
    if out is None:
        typer.echo(text, nl=False)
        return
    out.write_text(text, encoding="utf-8")
    name = f"{feed}.{valid_from}.yaml" if feed in work.framework.versions and valid_from else f"{feed}.yaml"
    screen.say(f"Draft: {out}. Read every line, then move it to data_contracts/{work.index}/feeds/{name}")


@commands.command(epilog="Example: dci contract show transactions")
def show(
    feed: Annotated[str, typer.Argument(metavar="FEED", help="The feed.")],
    month: Annotated[
        str | None,
        typer.Option(
            "--month",
            "--quarter",
            "--period",
            metavar="PERIOD",
            show_default=False,
            help="The version in force in this period. Default: the newest.",
        ),
    ] = None,
    index: options.Index = None,
) -> None:
    """Show a feed's contract: form of the file, columns, rules and thresholds.

    A partner that changes its files from a period on gets a new version: copy the contract to FEED.PERIOD.yaml beside
    it, give it that validFrom and another version, and describe the new files. Earlier periods keep theirs.
    """
    framework = options.open_work(index).framework
    period = options.named_period(framework, month, where=options.MONTH_OPTIONS) if month is not None else None
    versions, contract = options.feed_versions(framework, feed), options.feed_contract(framework, feed, period)
    screen.say(f"{contract.feed} {contract.version}, from {contract.valid_from}", style="bold")
    if len(versions.of) > 1:
        screen.say("Versions: " + ", ".join(f"{item.version} from {item.valid_from}" for item in versions.of))
    screen.say(contract.description)
    for line in _form(contract):
        screen.say(line)
    screen.show(
        "Columns",
        ("column", "in the file", "type", "role", "limits", "unit", "meaning"),
        [
            [
                ("* " if column.required else "  ") + column.name,
                " and ".join(column.sources),
                column.type,
                column.role,
                _limits(column),
                column.unit,
                column.description,
            ]
            for column in contract.columns
        ],
    )
    screen.say("* must be given")
    screen.show(
        "Rules",
        ("rule", "it says", "at most", "severity"),
        [[rule.id, rule.says, f"{rule.threshold:g} %", rule.severity] for rule in contract.rules],
        right=("at most",),
    )
    screen.say(
        f"All partners together: at least {contract.coverage.percent:g} % of the places "
        f"({contract.coverage.severity}), {contract.completeness.percent:g} % of the partners "
        f"({contract.completeness.severity})."
    )


def _form(contract: FeedContract) -> Iterator[str]:
    yield "Partners: " + ", ".join(
        f"{partner} ({names.get('name_en') or names.get('name_zh', '')})"
        for partner, names in contract.partners.items()
    )
    delimiter = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}.get(contract.delimiter, contract.delimiter)
    yield (
        f"Files: CSV ({contract.encoding}, {delimiter}) or Parquet, up to {contract.max_bytes:,} bytes, "
        f"by day {contract.expected_day} after the period"
    )
    yield "Names: " + "; ".join(
        pattern + ("" if len(set(contract.file_names.values())) == 1 else f" ({', '.join(whose)})")
        for pattern in dict.fromkeys(contract.file_names.values())
        for whose in [[partner for partner, own in contract.file_names.items() if own == pattern]]
    )
    yield f"Key: {', '.join(contract.key)}, within partner and period. A place without a row: {contract.absent_row}"
    if contract.row_filter:
        yield "Only rows with " + ", ".join(f"{name} = {value}" for name, value in contract.row_filter.items())
    if contract.ignored:
        yield "Known and not kept: " + ", ".join(contract.ignored)


def _limits(column: Column) -> str:
    said: list[str] = []
    if column.minimum is not None or column.maximum is not None:
        low = "" if column.minimum is None else f"{column.minimum:,}"
        high = "" if column.maximum is None else f"{column.maximum:,}"
        said.append(f"{low} … {high}")
    if column.pattern:
        said.append(column.pattern)
    if column.values:
        said.append(", ".join(column.values))
    if column.format:
        said.append(column.format.replace("%Y", "yyyy").replace("%m", "MM").replace("%d", "dd"))
    if column.multiplier:
        said.append(f"times {column.multiplier}" + (", rounded half to even" if column.rounds else ""))
    if column.collected_since:
        said.append(f"collected since {column.collected_since}")
    return "; ".join(said)


@commands.command(epilog="Example: dci contract check --index dci")
def check(index: options.Index = None) -> None:
    """Check every data file of an index: contracts against the standard, keys, names that must exist, geography.

    Every file is looked at, so all that is wrong is told at once. Exit code 1 when a file is not in order.
    """
    work = options.open_work(index)
    rows: list[list[object]] = []
    wrong: list[Finding] = []
    for name, look in _files(work):
        try:
            said = look()
            rows.append([name, screen.mark("ok"), said])
        except Finding as finding:
            wrong.append(finding)
            rows.append([name, screen.mark("fail"), finding.problem])
    screen.show(f"Data files of {work.index}", ("file", "state", "what it holds"), rows)
    for finding in wrong:
        screen.block(finding)
    if wrong:
        raise typer.Exit(1)
    screen.say(f"{screen.count(len(rows), 'file')} in order.", style="green")


def _files(work: Work) -> Iterator[tuple[str, Callable[[], str]]]:
    """Every data file of the index, with what looks at it: says what it holds, or raises Finding."""
    from dci_pipeline import contract_files, contract_versions

    home = work.settings.contracts / work.index

    def feed(path: Path) -> str:
        from dci_pipeline.validation import flags

        contract = contract_files.read_feed(path, index=work.index)
        _standard(path)
        contract_versions.check_name(path, contract)
        for column in contract.columns:
            if column.pattern:
                flags.portable(column)
        return (
            f"{screen.count(len(contract.columns), 'column')}, {screen.count(len(contract.rules), 'rule')}, "
            f"{screen.count(len(contract.partners), 'partner')}"
        )

    def table(path: Path) -> str:
        contract = contract_files.read_table(path, index=work.index)
        _standard(path)
        _named(path, contract.table)
        return f"{screen.count(len(contract.columns), 'column')}, key {', '.join(contract.key)}"

    for path in sorted((home / "feeds").glob("*.yaml")):
        yield f"feeds/{path.name}", lambda path=path: feed(path)
    for path in sorted((home / "marts").glob("*.yaml")):
        yield f"marts/{path.name}", lambda path=path: table(path)
    yield (
        "index.yaml, weights/",
        lambda: _held(
            node=work.framework.nodes,
            indicator=work.framework.leaves,
            link=work.framework.links,
            wave=work.framework.waves,
        ),
    )
    yield (
        "geography/",
        lambda: _held(place=work.geography.places, group=work.geography.groups, name=work.geography.aliases),
    )
    for path in sorted((home / "corrections").glob("*.yaml")):
        yield f"corrections/{path.name}", lambda path=path: _held(correction=work.framework.corrections[path.stem])
    simulation = home / "simulation.yaml"
    if simulation.is_file():
        yield simulation.name, lambda: _simulation(simulation)
    if (home / "exhibits.yaml").is_file():
        yield "exhibits.yaml", lambda: _exhibits(work)
    if (home / "map.yaml").is_file():
        yield "map.yaml", lambda: _map(work)
    if (home / "report").is_dir():
        yield "report/", lambda: _report(work)
    if (home / "published").is_dir():
        yield "published/", lambda: _printed(home)


def _held(**parts: Sized) -> str:
    return ", ".join(screen.count(len(part), word) for word, part in parts.items())


def _report(work: Work) -> str:
    from dci_pipeline.exhibit_files import FILE, read_exhibits
    from dci_pipeline.report_files import check_report, read_report

    declared = read_report(work.framework.folder, work.index)
    there = (work.framework.folder / FILE).is_file()
    exhibits = read_exhibits(work.framework, work.geography).exhibits if there else ()
    check_report(declared, {exhibit.exhibit: exhibit for exhibit in exhibits}, f"{work.index}/report")
    shown = [item for part in declared.parts for item in part.exhibits]
    return _held(part=declared.parts, exhibit=shown)


def _standard(path: Path) -> None:
    """Raise Finding when the file is not what the Open Data Contract Standard's own model accepts."""
    from open_data_contract_standard.model import OpenDataContractStandard
    from pydantic import ValidationError

    from dci_pipeline.data_files import read_yaml

    where = "/".join(path.parts[-3:])
    raw = read_yaml(path)
    if raw["kind"] != "DataContract":  # the model takes any text
        raise Finding(
            "not an Open Data Contract Standard file",
            where=where,
            found=f"kind: {raw['kind']}",
            expected="kind: DataContract",
        )
    try:
        OpenDataContractStandard.model_validate(raw)
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:5])
        raise Finding(
            "not an Open Data Contract Standard file", where=where, found=found, expected="the standard's own model"
        ) from error


def _named(path: Path, name: str) -> None:
    if path.stem != name:
        raise Finding(
            "the file and the contract have different names",
            where="/".join(path.parts[-3:]),
            found=name,
            expected=path.stem,
            todo="rename one of them",
        )


def _exhibits(work: Work) -> str:
    from dci_pipeline.exhibit_files import read_exhibits

    found = read_exhibits(work.framework, work.geography)
    return _held(exhibit=found.exhibits, item=found.items)


def _map(work: Work) -> str:
    from dci_pipeline.map_files import read_plan

    plan = read_plan(work)
    return f"areas of {plan.places}, borders of {plan.groups}"


def _printed(home: Path) -> str:
    from dci_pipeline.printed import read_printed

    printed = read_printed(home)
    return f"{screen.count(printed.values.height, 'printed value')}, {screen.count(len(printed.notes), 'note')}"


def _simulation(path: Path) -> str:
    from dci_pipeline.data_files import read_yaml
    from dci_pipeline.feeds.simulation import read_profile

    profile = read_profile(read_yaml(path), "/".join(path.parts[-2:]))
    return f"{screen.count(len(profile.feeds), 'feed')}, levels of {profile.first}"


@commands.command(epilog="Example: dci contract dictionary --out docs/data_dictionary.md")
def dictionary(
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", show_default=False, help="Write the page there instead of printing it."),
    ] = None,
    index: options.Index = None,
) -> None:
    """The data dictionary: what every published table and column means, made from the tables' contracts.

    Of one index, or of all when none is named. A page that is there is written anew.
    """
    from dci_pipeline.framework_files import read_framework
    from dci_pipeline.report.dictionary import Described
    from dci_pipeline.report.dictionary import dictionary as page
    from dci_pipeline.settings import read_settings

    settings = read_settings()
    names = settings.indexes() if index is None else [options.chosen_index(settings, index)]
    found = [read_framework(settings.contracts, name) for name in names]
    text = page([Described(item.index, item.name_zh, item.name_en, list(item.tables.values())) for item in found])
    if out is None:
        typer.echo(text, nl=False)
        return
    if not out.absolute().parent.is_dir():
        raise Finding("no such folder", where=str(out.parent), todo="make the folder, or give another path")
    beside = out.with_name(f".{out.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(out)
    screen.say(f"Written: {out}")
