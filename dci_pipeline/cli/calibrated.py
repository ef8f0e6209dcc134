"""The profile `report`: deliveries calibrated to the printed numbers, made at once, written file by file.

Reads the calibration file, the printed values, the geography and the expert scores of an index; what is done with them
is `feeds.calibration`. The pipeline that reads the files knows nothing of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dci_pipeline import periods
from dci_pipeline.cli.partners import Made, Request
from dci_pipeline.data_files import read_yaml
from dci_pipeline.feeds import encoding, file_names
from dci_pipeline.feeds.calibration import atlas, blocks, facts, records, tables, world
from dci_pipeline.findings import Finding
from dci_pipeline.framework import Breakdown
from dci_pipeline.periods import Period
from dci_pipeline.weight import exact_alphas
from dci_pipeline.work import Work

SETTINGS, PRINTED = "calibration.yaml", "published/values.csv"
SAID = (
    "These feeds are simulated and calibrated to printed numbers: the cells were solved for so that the pipeline "
    "arrives at them. They show that the method can produce the numbers, not that the numbers are true."
)


@dataclass(frozen=True)
class Calibrated:
    """Records of every feed through all months, and what could not be met on the way."""

    work: Work
    folder: Path
    form: str
    seed: int
    codes: tuple[str, ...]
    months: tuple[str, ...]
    blocks: Mapping[str, list[blocks.Block]]
    misses: tuple[tables.Miss, ...]

    @property
    def periods(self) -> list[Period]:
        return [periods.parse(month, self.work.framework.cadence) for month in self.months]

    def make(self, request: Request) -> Made:
        """Write one delivery's file. Raises Finding for a period outside the calibrated ones."""
        if request.period.key not in self.months:
            raise Finding(
                "a period that is not calibrated",
                where="--profile report",
                found=str(request.period),
                expected=f"{self.months[0]} to {self.months[-1]}",
            )
        geography = self.work.geography
        valid = set(geography.places_at(request.period)["code"].to_list())
        names = (
            geography.aliases_at(request.period)
            .filter(pl.col("scope") == "in")
            .sort("place", pl.col("alias").str.len_chars(), "alias", descending=[False, True, False])
            .unique("place", keep="first", maintain_order=True)
        )
        called = dict(names.select("place", "alias").iter_rows())
        contract = self.work.framework.contract(request.feed, request.period)
        frame = blocks.delivery(
            contract,
            self.blocks[request.feed],
            month=self.months.index(request.period.key),
            period=request.period,
            partner=request.partner,
            names=[called.get(code, code) for code in self.codes],
            valid=np.array([code in valid for code in self.codes]),
            seed=self.seed,
        )
        file = file_names.name_of(contract, request.partner, request.period, self.form)
        path = self.folder / request.feed / request.partner / file
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        with beside.open("wb") as out:
            encoding.write(frame, contract, out, form=self.form)
        os.replace(beside, path)
        return Made(request, path, frame.height, ())


def calibrate(
    work: Work, folder: Path, *, form: str, seed: int, told: Callable[[str], None] = lambda text: None
) -> Calibrated:
    """Solve for the cells of every feed. `told` hears which table is at work. Raises Finding for missing files."""
    home = work.settings.contracts / work.index
    if not (home / SETTINGS).is_file() or not (home / PRINTED).is_file():
        raise Finding(
            "this index has no printed numbers to calibrate to",
            where=f"{work.index}/{SETTINGS}",
            found="no such file",
            todo="use --profile sample",
        )
    settings = read_yaml(home / SETTINGS)
    first = periods.parse(str(settings["first"]), work.framework.cadence)
    profile = _profile(work, settings, pl.read_csv(home / PRINTED, infer_schema=False), first, seed)
    told("sub-indices by place")
    solved: dict[str, tables.Table] = {"levels": tables.levels(profile, settings["levels"])}
    for own in settings["members"]:
        told(f"members of {own['subject']}")
        solved[own["subject"]] = tables.members(profile, own, _names(work, own), solved["levels"])
    told("months")
    scales = {item.node: item.divisor for item in work.framework.tracker if item.form == "absolute"}
    made, solved = world.world(profile, solved, scales)
    late = [code for code in sorted(work.geography.codes) if code not in profile.atlas.codes]
    return Calibrated(
        work,
        folder,
        form,
        seed,
        (*profile.atlas.codes, *late),
        made.calendar.months,
        records.blocks(made, len(late)),
        tuple(miss for table in solved.values() for miss in table.misses),
    )


def _profile(
    work: Work, settings: Mapping[str, Any], printed: pl.DataFrame, first: Period, seed: int
) -> tables.Profile:
    geography, framework = work.geography, work.framework
    places = geography.places.join(geography.places_at(first), on="code", how="semi")
    ranked = [item.type for item in framework.place_types if item.ranked]
    known = atlas.atlas(places, geography.groups, geography.membership, ranked)
    rows = [(wave, *row) for wave, item in framework.waves.items() for row in item.scores]
    schema = {"wave": pl.String, "expert": pl.String, "node": pl.String, "child": pl.String, "score": pl.Int64}
    scores = pl.DataFrame(rows, orient="row", schema=schema)
    alphas = {(node, child): float(weight) for (_, node, child), weight in exact_alphas(scores).items()}
    return tables.Profile(settings, atlas.with_sets(known, settings["sets"]), facts.printed(printed), alphas, seed)


def _names(work: Work, own: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Chinese names of members -> the members they stand for, from the breakdowns of a node."""

    def of(breakdown: Breakdown) -> dict[str, tuple[str, ...]]:
        return {member.name_zh: tuple(member.of) or (member.member,) for member in breakdown.members}

    found: dict[str, tuple[str, ...]] = {}
    for breakdown in work.framework.breakdowns:
        if breakdown.node == own["subject"] and breakdown.dimension in own["dimensions"]:
            found |= of(breakdown)
    return found | {name: tuple(members) for name, members in own.get("names", {}).items()}
