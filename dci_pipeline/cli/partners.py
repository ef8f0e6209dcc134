"""Files of simulated partners, and the truth about the faults in them: which delivery, which rule, which rows."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from dci_pipeline import contracts
from dci_pipeline.cli import options
from dci_pipeline.data_files import read_yaml
from dci_pipeline.feeds import encoding, faults, file_names, simulation
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period
from dci_pipeline.work import Work

USUAL_FAULTS = 5
TRUTH = "faults.json"
# May be planted together with others; the other faults of a whole file stand alone.
_TOGETHER = ("missing_places",)


@dataclass(frozen=True)
class Request:
    """One delivery to make."""

    feed: str
    partner: str
    period: Period


@dataclass(frozen=True)
class Wanted:
    """One kind of fault to plant in one delivery."""

    request: Request
    fault: str
    count: int


@dataclass(frozen=True)
class Made:
    """A file that was written; `truths` say what is wrong with it: fault, count, rows and places."""

    request: Request
    path: Path
    rows: int
    truths: tuple[dict[str, Any], ...]


def requests(
    work: Work, periods: Sequence[Period], *, feeds: Sequence[str] | None, partner: str | None
) -> list[Request]:
    """Every delivery of the chosen feeds, partners and periods. Raises Finding for a feed or partner nobody knows."""
    chosen = {feed: options.feed_versions(work.framework, feed) for feed in feeds or list(work.framework.versions)}
    if partner is not None and not any(partner in versions.partners for versions in chosen.values()):
        known = sorted({name for versions in chosen.values() for name in versions.partners})
        raise Finding("no such partner", where="--partner", found=partner, expected="one of " + ", ".join(known))
    return [
        Request(feed, name, period)
        for feed, versions in chosen.items()
        for name in versions.partners
        if partner in (None, name)
        for period in periods
        if name in versions.at(period).partners
    ]


def wanted_faults(
    given: Sequence[str],
    work: Work,
    requested: Sequence[Request],
    *,
    feed: str | None,
    partner: str | None,
    period: str | None,
) -> list[Wanted]:
    """The faults asked for, each with the delivery it goes into. Raises Finding when there is no such one."""
    if not given:
        return []
    at = options.named_period(work.framework, period, where="--fault-month") if period is not None else None
    open_to = [
        item
        for item in requested
        if feed in (None, item.feed) and partner in (None, item.partner) and at in (None, item.period)
    ]
    if not open_to:
        raise Finding(
            "no such delivery to plant faults in",
            where="--fault",
            found=", ".join(str(item) for item in (feed, partner, at) if item is not None),
            expected="a feed, partner and period among those simulated",
            todo="widen the range or --feed",
        )
    wanted: list[Wanted] = []
    for text in given:
        name, _, number = text.partition(":")
        if number and not (number.isdecimal() and int(number) > 0):
            raise Finding("not a number of faults", where="--fault", found=text, expected=f"{name}:{USUAL_FAULTS}")
        target = next((item for item in open_to if name in _faults_of(work, item)), None)
        if target is None:
            known = {fault for item in open_to for fault in _faults_of(work, item)}
            raise Finding(
                "no such fault",
                where="--fault",
                found=name,
                expected="one of " + ", ".join(sorted(known)),
                todo="dci simulate --list-faults",
            )
        wanted.append(Wanted(target, name, int(number or USUAL_FAULTS)))
    for item in wanted:
        beside = [other.fault for other in wanted if other.request == item.request and other is not item]
        if item.fault in faults.FAULTS and item.fault not in _TOGETHER and beside:
            raise Finding(
                "a fault of a whole file stands alone",
                where="--fault",
                found=", ".join([item.fault, *beside]),
                expected="one of them in a delivery",
                todo="simulate them one after the other, or for other periods",
            )
    # What takes rows away goes first, so that the row numbers told are those of the file.
    return sorted(wanted, key=lambda item: item.fault not in _TOGETHER)


def _faults_of(work: Work, item: Request) -> list[str]:
    return list(faults.names(work.framework.contract(item.feed, item.period)))


class Maker:
    """Makes the files of one index under one folder."""

    def __init__(self, work: Work, folder: Path, *, rows: int | None, seed: int, form: str):
        if form not in encoding.FORMS:
            raise Finding(
                "unknown form of file", where="--form", found=form, expected="one of " + ", ".join(encoding.FORMS)
            )
        self.work, self.folder, self.rows, self.seed, self.form = work, folder, rows, seed, form

    @cached_property
    def profile(self) -> simulation.Profile:
        """The index's simulation file. Raises Finding when it has none: its data are real."""
        path = self.work.settings.contracts / self.work.index / "simulation.yaml"
        where = f"{self.work.index}/{path.name}"
        if not path.is_file():
            raise Finding(
                "this index has no simulation",
                where=where,
                found="no such file",
                expected="the figures of an invented world",
                todo=f"land real files: dci land FILE --index {self.work.index} --feed F --partner P",
            )
        return simulation.read_profile(read_yaml(path), where)

    def make(self, request: Request, wanted: Sequence[Wanted] = ()) -> Made:
        """Write one delivery's file, with its faults."""
        contract = self.work.framework.contract(request.feed, request.period)
        geography = self.work.geography
        aliases = geography.aliases_at(request.period)
        places = geography.places.join(geography.places_at(request.period), on="code", how="semi")
        frame = simulation.simulate(
            contract,
            cadence=self.work.framework.cadence,
            period=request.period,
            partner=request.partner,
            places=places.select("code", "level"),
            aliases=aliases,
            profile=self.profile,
            seed=self.seed,
            rows=self.rows,
        )
        frame, truths = self._faulty(frame, wanted, aliases)
        spoilt = next((item.fault for item in wanted if item.fault in faults.BYTE_FAULTS), None)
        name = file_names.name_of(contract, request.partner, request.period, self.form)
        path = self.folder / request.feed / request.partner / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        with beside.open("wb") as out:
            if spoilt:
                out.write(self._spoilt(frame, contract, spoilt))
            else:
                encoding.write(frame, contract, out, form=self.form)
        os.replace(beside, path)
        return Made(request, path, frame.height, tuple(truths))

    def _faulty(
        self, frame: pl.DataFrame, wanted: Sequence[Wanted], aliases: pl.DataFrame
    ) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
        truths: list[dict[str, Any]] = []
        hit: set[int] = set()
        for item in wanted:
            truth: dict[str, Any] = {"fault": item.fault, "count": 0, "rows": [], "places": []}
            if item.fault not in faults.BYTE_FAULTS:
                planted = faults.plant(
                    frame,
                    self.work.framework.contract(item.request.feed, item.request.period),
                    rule=item.fault,
                    count=item.count,
                    seed=self.seed,
                    period=item.request.period,
                    avoid=sorted(hit),
                    aliases=aliases,
                    outside=aliases.filter(pl.col("scope") == "out")["alias"].to_list(),
                )
                frame = planted.frame
                hit |= planted.hit
                rows = sorted(row for found in planted.rows.values() for row in found)
                truth |= {"rows": rows, "places": list(planted.places), "count": len(rows) or len(planted.places)}
            truths.append(truth)
        return frame, truths

    def _spoilt(self, frame: pl.DataFrame, contract: contracts.FeedContract, fault: str) -> bytes:
        if fault != "wrong_encoding" or self.form == "csv":
            return faults.spoil(encoding.encode(frame, contract, form=self.form), contract, fault=fault)
        if self.form == "parquet":
            raise Finding(
                "a Parquet file has no encoding to get wrong", where="--fault", found=fault, todo="--form csv or csv.gz"
            )
        import gzip

        # The letters are wrong, not the packing.
        return gzip.compress(faults.spoil(encoding.encode(frame, contract), contract, fault=fault), mtime=0)


def write_truth(folder: Path, made: Sequence[Made]) -> None:
    """What is wrong with the files under `folder`, as JSON; entries of files not made again are kept."""
    path = folder / TRUTH
    again = {one.path.relative_to(folder).as_posix() for one in made}
    kept: list[dict[str, Any]] = []
    if path.is_file():
        kept = [entry for entry in json.loads(path.read_text(encoding="utf-8")) if entry["file"] not in again]
    new = [
        {
            "file": one.path.relative_to(folder).as_posix(),
            "feed": one.request.feed,
            "partner": one.request.partner,
            "period": one.request.period.key,
            **truth,
        }
        for one in made
        for truth in one.truths
    ]
    if new or path.is_file():
        path.write_text(json.dumps([*kept, *new], ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
