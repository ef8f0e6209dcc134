"""A delivery outside the warehouse, judged: read and typed as on landing, scanned as in validation, marked by contract.

The verdict is the pure one, so that a partner's machine needs no Great Expectations. Writes into a folder it is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from dci_pipeline.cli import options, screen
from dci_pipeline.contracts import FeedContract, Versions
from dci_pipeline.feeds import typing
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period
from dci_pipeline.steps.scanning import names_of
from dci_pipeline.validation import scan as heavy
from dci_pipeline.validation import verdict as judged
from dci_pipeline.warehouse import deliveries, refusals
from dci_pipeline.warehouse.layout import safe_name
from dci_pipeline.work import Work

SHOWN_ROWS = 10
_KNOWN_PARTNERS = 6


@dataclass(frozen=True)
class Slice:
    """The verdict on one period: rule table, first rejected rows, and by indicator the places covered and expected."""

    period: Period
    rows: int
    rejected: int
    verdict: pl.DataFrame
    offending: tuple[dict[str, Any], ...]
    covered: tuple[tuple[str, int, int], ...]
    promised: float

    @property
    def accepted(self) -> bool:
        return not judged.blocked(self.verdict)

    @property
    def coverage_notes(self) -> list[str]:
        return [
            f"Note: {indicator} covers {found} of {expected} places; all partners together must cover "
            f"{self.promised:g} %."
            for indicator, found, expected in self.covered
        ]


@dataclass(frozen=True)
class Checked:
    """The verdict on a delivery, one slice per period."""

    index: str
    feed: str
    partner: str
    files: tuple[str, ...]
    notes: tuple[str, ...]
    slices: tuple[Slice, ...]

    @property
    def accepted(self) -> bool:
        return all(item.accepted for item in self.slices)

    @property
    def periods(self) -> str:
        return screen.ranges(item.period for item in self.slices)

    def as_data(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "accepted": self.accepted,
            "index": self.index,
            "feed": self.feed,
            "partner": self.partner,
            "files": list(self.files),
            "notes": list(self.notes),
            "periods": [
                {
                    "period": item.period.key,
                    "accepted": item.accepted,
                    "rows": item.rows,
                    "rejected": item.rejected,
                    "rules": item.verdict.to_dicts(),
                    "first_rejected": list(item.offending),
                    "coverage": [
                        {"indicator": name, "places": found, "expected": expected}
                        for name, found, expected in item.covered
                    ],
                }
                for item in self.slices
            ],
        }


@dataclass
class _Typed:
    """What reading the files showed: typed Parquet by period (None: not known yet), partners, days, by name of file."""

    paths: dict[Period | None, Path] = field(default_factory=dict[Period | None, Path])
    partners: Counter[str] = field(default_factory=Counter[str])
    days: Counter[date] = field(default_factory=Counter[date])


def check_delivery(
    work: Work, files: Sequence[Path], *, feed: str, partner: str | None, month: str | None, folder: Path
) -> Checked:
    """Judge the files as one delivery. Raises Finding for what landing would refuse, and for what cannot be told."""
    versions = options.feed_versions(work.framework, feed)
    cadence = work.framework.cadence
    period = options.named_period(work.framework, month, where=options.MONTH_OPTIONS) if month is not None else None
    ordered = sorted(files, key=lambda path: safe_name(path.name))
    notes: list[str] = []
    if partner is not None and partner not in versions.partners:
        refusals.refuse_unexpected_partner(partner, versions.newest)
    if period is not None or len(versions.of) == 1:
        contract = versions.newest if period is None else versions.at(period)
        typed = _read_for(ordered, folder, contract, cadence, period, partner, notes)
    else:
        contract, typed = _by_version(ordered, folder, versions, cadence, partner, notes)
    if partner is None:
        partner, how = _partner_of(typed.partners, contract)
        notes.append(how)
    else:
        refusals.refuse_unexpected_partner(partner, contract)
    names = tuple(path.name for path in ordered)
    slices = [
        _judge(work, contract, typed.paths[at], period=at, partner=partner, names=names, folder=folder)
        for at in sorted(at for at in typed.paths if at is not None)
    ]
    return Checked(work.index, feed, partner, names, tuple(notes), tuple(slices))


def _by_version(
    files: Sequence[Path], folder: Path, versions: Versions, cadence: str, partner: str | None, notes: list[str]
) -> tuple[FeedContract, _Typed]:
    """The files read under the version that is in force in every period they turn out to hold, newest tried first.

    Raises the newest version's Finding when no version reads them, and Finding for files of more than one version.
    """
    refused: list[Finding] = []
    for contract in reversed(versions.of):
        said: list[str] = []
        try:
            typed = _read_for(files, folder, contract, cadence, None, partner, said)
        except Finding as finding:
            refused.append(finding)
            continue
        if all(at is not None and versions.in_force(at) is contract for at in typed.paths):
            notes += [*said, f"Read under version {contract.version} of the contract, by its periods."]
            return contract, typed
        held = ", ".join(str(at) for at in sorted(at for at in typed.paths if at is not None))
        refused.append(
            Finding(
                "files of periods in which another version of the contract is in force",
                where=", ".join(path.name for path in files),
                found=held,
                expected=f"periods of version {contract.version} alone ({contract.where})",
                todo="check one period at a time: add --month",
            )
        )
    raise refused[0]


def _read_for(
    files: Sequence[Path],
    folder: Path,
    contract: FeedContract,
    cadence: str,
    period: Period | None,
    partner: str | None,
    notes: list[str],
) -> _Typed:
    """The files typed under one version; a period not given is read off the dates, and said in `notes`."""
    typed = _read(files, folder, contract=contract, cadence=cadence, period=period, partner=partner)
    if contract.role("period") is None and period is None:
        period = _period_of(typed.days, contract, cadence)
        notes.append(f"No {cadence} was given; every date lies in {period}.")
        if any(column.collected_since for column in contract.columns):
            typed = _read(files, folder, contract=contract, cadence=cadence, period=period, partner=partner)
        else:
            typed.paths = dict(zip([period], typed.paths.values(), strict=True))
    return typed


def _read(
    files: Sequence[Path],
    folder: Path,
    *,
    contract: FeedContract,
    cadence: str,
    period: Period | None,
    partner: str | None,
) -> _Typed:
    """Type every file into Parquet in `folder`, by period where rows say their own."""
    found = _Typed()
    named, day = contract.role("partner"), contract.role("date")
    writers: dict[Period | None, pq.ParquetWriter] = {}
    try:
        for number, path in enumerate(files):
            tally: dict[str, Any] = {}
            for batch in deliveries.read_file(path, contract=contract, cadence=cadence, period=period):
                frame = batch.with_columns(pl.lit(number, dtype=pl.Int32).alias("file"))
                refusals.tally_dates(tally, frame, contract, period)
                refusals.tally_partners(tally, frame, contract)
                if named is not None and len(found.partners) < _KNOWN_PARTNERS:
                    found.partners.update(dict(frame[named.name].drop_nulls().value_counts().iter_rows()))
                if day is not None:
                    found.days.update(dict(frame[day.name].drop_nulls().value_counts().iter_rows()))
                for at, piece in _pieces(frame, contract, cadence, period, path.name):
                    table = piece.to_arrow(compat_level=pl.CompatLevel.oldest())
                    if at not in writers:
                        found.paths[at] = folder / f"typed-{at or 'all'}.parquet"
                        writers[at] = pq.ParquetWriter(found.paths[at], table.schema, compression="zstd")
                    writers[at].write_table(table)
            refusals.refuse_wrong_period(path.name, tally, contract, period)
            if partner is not None:
                refusals.refuse_wrong_partner(path.name, tally, contract, partner)
    finally:
        for writer in writers.values():
            writer.close()
    if not writers:
        raise Finding(
            "no rows of the period",
            where=", ".join(path.name for path in files),
            found="nothing in that period",
            expected=f"rows of {period}",
            todo="check --month",
        )
    return found


def _pieces(
    frame: pl.DataFrame, contract: FeedContract, cadence: str, period: Period | None, name: str
) -> Iterator[tuple[Period | None, pl.DataFrame]]:
    if contract.role("period") is None:
        yield period, frame
        return
    for at, piece in typing.split(frame, contract, cadence, name=name).items():
        if period in (None, at):
            yield at, piece


def _judge(
    work: Work, contract: FeedContract, typed: Path, *, period: Period, partner: str, names: Sequence[str], folder: Path
) -> Slice:
    leaves = work.framework.leaves_at(contract.feed, period)
    rejected: list[Path] = []
    rows = int(pl.scan_parquet(typed, glob=False).select(pl.len()).collect().item())
    with work.engine(folder, rows=rows) as engine:
        found = heavy.scan(
            engine,
            engine.scan([typed]),
            contract=contract,
            period=period,
            partner=partner,
            aliases=names_of(work, contract.feed, period),
            leaves=leaves,
        )
        for number, part in enumerate(found.quarantine):
            rejected += engine.sink(part, folder / f"rejected-{period}-{number}.parquet")
    shown = pl.scan_parquet(rejected, glob=False).head(SHOWN_ROWS).collect() if rejected else pl.DataFrame()
    kinds = {kind for leaf in leaves for kind in work.framework.places_of(leaf)}
    members = kinds & {entity.type for entity in work.framework.place_types if entity.member}
    expected = work.geography.places_at(period).filter(pl.col("type").is_in(sorted(members)))["code"]
    present = found.sums.filter(pl.col("value").is_not_null() & pl.col("place").is_in(expected.implode()))
    by_leaf = dict(present.group_by("indicator").agg(pl.col("place").n_unique()).iter_rows())
    return Slice(
        period=period,
        rows=found.rows,
        rejected=found.rejected,
        verdict=judged.verdict(found.counts, contract),
        offending=tuple(_offending(row, contract, names) for row in shown.iter_rows(named=True)),
        covered=tuple((leaf.node, int(by_leaf.get(leaf.node, 0)), len(expected)) for leaf in leaves),
        promised=contract.coverage.percent,
    )


def _offending(row: dict[str, Any], contract: FeedContract, names: Sequence[str]) -> dict[str, Any]:
    """A rejected row with a reason for each rule it breaks."""
    rules = {rule.id: rule for rule in contract.rules}
    reasons: list[str] = []
    for rule_id in str(row["rules"]).split(";"):
        rule = rules[rule_id]
        if rule.kind in ("shape", "type"):
            reasons.append(str(row["unparsed"]))
        elif rule.kind == "unique":
            reasons.append(", ".join(f"{name} {row[name]!r}" for name in contract.key) + " is there more than once")
        elif rule.kind == "not_null":
            reasons.append(f"{rule.column} is empty")
        else:
            value = row[rule.column]
            reasons.append(f"found {str(value) if isinstance(value, date) else value!r}, but {rule.says}")
    return {"file": names[row["file"]], "file_row": row["file_row"], "rules": row["rules"], "reasons": reasons}


def _period_of(days: Counter[date], contract: FeedContract, cadence: str) -> Period:
    """The one period the dates lie in. Raises Finding when there is none, or more than one."""
    found: Counter[Period] = Counter()
    for day, rows in days.items():
        found[_containing(day, cadence)] += rows
    column = contract.role("date")
    if len(found) == 1:
        only = next(iter(found))
        if not options.FIRST_YEAR <= only.start.year <= options.LAST_YEAR:
            raise Finding(
                "dates that cannot be meant",
                where=f"column {column.name if column else ''}",
                found=only,
                expected=f"{options.FIRST_YEAR} to {options.LAST_YEAR}",
                todo="correct the year",
            )
        return only
    if not found:
        raise Finding(
            f"no {cadence} given",
            where=f"{contract.index}/{contract.feed}",
            found="no date that can be read" if column else "no date column",
            expected="--month",
            todo=f"add --month, the {cadence} the files are for",
        )
    most = ", ".join(f"{period} ({rows:,} rows)" for period, rows in found.most_common(5))
    raise Finding(
        f"dates of more than one {cadence}",
        where=f"column {column.name if column else ''}",
        found=most,
        expected=f"one {cadence} in a delivery",
        todo=f"add --month {found.most_common(1)[0][0]}, or split the file",
    )


def _containing(day: date, cadence: str) -> Period:
    months = Period(day, cadence).months
    return Period(date(day.year, (day.month - 1) // months * months + 1, 1), cadence)


def _partner_of(found: Counter[str], contract: FeedContract) -> tuple[str, str]:
    """The partner a delivery is of, and how that is known. Raises Finding when it cannot be told."""
    if len(contract.partners) == 1:
        only = next(iter(contract.partners))
        return only, f"No partner was given; the contract expects {only} alone."
    if len(found) == 1:
        named = next(iter(found))
        refusals.refuse_unexpected_partner(named, contract)
        return named, f"No partner was given; the files say {named}."
    raise Finding(
        "no partner given",
        where=f"{contract.index}/{contract.feed}",
        found=", ".join(found) + " in the files" if found else "no partner in the files",
        expected="one of " + ", ".join(contract.partners),
        todo="add --partner",
    )
