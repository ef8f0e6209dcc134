"""Deliveries of other shapes than an even one, with every fault a contract knows: few cities, a large partner, …

Simulated and planted from one seed, so that the same name gives the same bytes; and with them the truth, which rows
break which rule and what the accepted ones come to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from dci_pipeline.contracts import FeedContract
from dci_pipeline.data_files import read_yaml
from dci_pipeline.feeds import encoding, faults, simulation
from dci_pipeline.periods import parse
from dci_pipeline.settings import Settings
from dci_pipeline.warehouse import deliveries
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import CONTRACTS

PERIOD = parse("2019-05", "month")
Place = tuple[str, int]


@dataclass(frozen=True)
class Sent:
    """One partner's delivery: its files, the places (file, record) of the rows that break each rule, the good rows."""

    partner: str
    files: dict[str, bytes]
    rows: int
    broken: dict[str, list[Place]]
    accepted: pl.DataFrame

    @property
    def rejected(self) -> list[Place]:
        return sorted({place for places in self.broken.values() for place in places})


class Planting:
    """A partner's file into which faults are planted one after the other, each on rows of its own."""

    def __init__(self, feed: str, partner: int, rows: int) -> None:
        work = Work(Settings(Path("unused"), CONTRACTS, "polars"), "dci")
        self.contract: FeedContract = work.framework.feeds[feed]
        self.partner = list(self.contract.partners)[partner]
        self._outside = work.geography.excluded["alias"].to_list()
        self._aliases = work.geography.aliases_at(PERIOD)
        profile = simulation.read_profile(read_yaml(CONTRACTS / "dci" / "simulation.yaml"), "simulation.yaml")
        places = work.geography.places.join(work.geography.places_at(PERIOD), on="code", how="semi")
        self.frame = simulation.simulate(
            self.contract,
            cadence="month",
            period=PERIOD,
            partner=self.partner,
            places=places,
            aliases=self._aliases,
            profile=profile,
            seed=23,
            rows=rows,
        )
        self.broken: dict[str, list[int]] = {}
        self._taken: set[int] = set()

    @property
    def free(self) -> int:
        return self.frame.height - len(self._taken)

    def plant(self, rule: str, count: int) -> None:
        made = faults.plant(
            self.frame,
            self.contract,
            rule=rule,
            count=count,
            seed=count,
            period=PERIOD,
            avoid=self._taken,
            outside=self._outside,
            aliases=self._aliases,
        )
        self.frame = made.frame
        self._taken |= made.hit
        for name, rows in made.rows.items():
            self.broken.setdefault(name, []).extend(rows)

    def plant_all(self, count: int) -> None:
        """So many of every rule of the contract, one or two more of each, so that no number stands for another."""
        # A ragged row can only be written as text, so its fault comes last.
        rules = sorted((rule.id for rule in self.contract.rules), key=lambda rule: rule == "row.shape")
        for more, rule in enumerate(rules):
            self.plant(rule, count + more)

    def sent(self, parts: int = 1) -> Sent:
        """The rows as a delivery of so many files, cut in the order of the rows."""
        most = -(-self.frame.height // parts)
        names = [f"{self.contract.feed}_{at:04}.csv" for at in range(parts)]
        pieces = list(self.frame.iter_slices(most))
        files = {name: encoding.encode(piece, self.contract) for name, piece in zip(names, pieces, strict=False)}
        bad = {row - 1 for rows in self.broken.values() for row in rows}
        good = [row for row in range(self.frame.height) if row not in bad]
        return Sent(
            self.partner,
            files,
            self.frame.height,
            {
                rule: sorted((names[(row - 1) // most], (row - 1) % most + 1) for row in rows)
                for rule, rows in self.broken.items()
            },
            self.frame[good],
        )


def even(feed: str, rows: int) -> Iterator[Sent]:
    planting = Planting(feed, 0, rows)
    planting.plant_all(2)
    yield planting.sent()


def few_cities(feed: str, rows: int) -> Iterator[Sent]:
    """Nine rows of ten in three places, one of them by two names."""
    planting = Planting(feed, 0, rows)
    place = planting.contract.place.source
    draw = np.random.default_rng(23)
    few = planting.frame[place].unique().sort().head(4).gather(draw.integers(0, 4, planting.frame.height))
    most = pl.Series(draw.random(planting.frame.height) < 0.9)
    planting.frame = planting.frame.with_columns(pl.when(most).then(few).otherwise(place).alias(place))
    planting.plant_all(3)
    yield planting.sent()


def one_large_partner(feed: str, rows: int) -> Iterator[Sent]:
    """One partner with 95 % of the rows, another with the rest."""
    for partner, share in enumerate((rows - rows // 20, rows // 20)):
        planting = Planting(feed, partner, share)
        planting.plant_all(2 + partner)
        yield planting.sent()


def all_rejected(feed: str, rows: int) -> Iterator[Sent]:
    planting = Planting(feed, 0, rows)
    each = planting.free // (len(planting.contract.rules) + 2)
    # A copy that agrees with its original leaves that a good one.
    planting.plant("key.unique.conflict", each)
    rules = [rule for rule in planting.contract.rules if rule.kind not in ("unique", "shape")]
    for more, rule in enumerate(rules):
        planting.plant(rule.id, each - more)
    planting.plant("row.shape", planting.free)
    yield planting.sent()


def many_copies(feed: str, rows: int) -> Iterator[Sent]:
    """One key in ten repeats: half of the copies say the same as their originals, half something else."""
    planting = Planting(feed, 0, rows)
    planting.plant("key.unique.conflict", rows // 20)
    planting.plant("key.unique", rows // 20)
    for more, rule in enumerate(rule for rule in planting.contract.rules if rule.kind not in ("unique", "shape")):
        planting.plant(rule.id, 2 + more)
    planting.plant("row.shape", 3)
    yield planting.sent()


def many_parts(feed: str, rows: int) -> Iterator[Sent]:
    """Files of about fifty rows; a copy is in another file than its original."""
    planting = Planting(feed, 0, rows)
    planting.plant("key.unique.conflict", rows // 50)
    planting.plant_all(5)
    yield planting.sent(parts=max(rows // 50, 1))


SHAPES: dict[str, Callable[[str, int], Iterator[Sent]]] = {
    "even": even,
    "few cities": few_cities,
    "one large partner": one_large_partner,
    "all rejected": all_rejected,
    "many copies": many_copies,
    "many parts": many_parts,
}


@cache
def shaped(shape: str, feed: str, rows: int) -> tuple[Sent, ...]:
    """The deliveries of a feed's partners in that shape, about so many rows together."""
    return tuple(SHAPES[shape](feed, rows))


def land(work: Work, feed: str, sent: Sent, folder: Path) -> None:
    """The files written to `folder` and landed as one delivery."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in sent.files.items():
        (folder / name).write_bytes(content)
    deliveries.land(
        work.warehouse.layout,
        [folder / name for name in sent.files],
        contract=work.framework.feeds[feed],
        cadence="month",
        partner=sent.partner,
        period=PERIOD,
    )


def check(work: Work, feed: str, sent: Sent) -> None:
    """What was committed for a partner is the truth: every count, every row set aside, the sums of the accepted."""

    def read(table: str) -> pl.DataFrame:
        return work.warehouse.read("validation", f"{feed}_{table}", PERIOD, partner=sent.partner)

    counts = read("rule_counts")
    truth = {rule: len(places) for rule, places in sent.broken.items()} | {"any": len(sent.rejected)}
    assert {rule: number for rule, number in counts.select("rule", "unexpected").iter_rows() if number} == truth
    assert set(counts["rows"]) == {sent.rows}
    aside = read("quarantine").select("file", "file_row", "rules")
    assert aside.select("file", "file_row").rows() == sent.rejected
    told = [(rule, file, row) for file, row, rules in aside.iter_rows() for rule in rules.split(";")]
    assert sorted(told) == sorted((rule, *place) for rule, places in sent.broken.items() for place in places)
    sums = read("sums")
    for leaf in work.framework.leaves_at(feed, PERIOD):
        if leaf.quality is None:
            column = work.framework.feeds[feed].by_name[leaf.measure or ""]
            source = {name: work.framework.feeds[feed].by_name[name].source for name in leaf.where}
            rows = sent.accepted.filter(
                pl.lit(True), *[pl.col(source[name]) == value for name, value in leaf.where.items()]
            )
            expected = sum(Decimal(value) * (column.multiplier or 1) for value in rows[column.source].drop_nulls())
            assert sums.filter(pl.col("indicator") == leaf.node)["value"].sum() == expected, leaf.node


def committed(work: Work) -> dict[str, bytes]:
    """Every file of the validation stage, by its place."""
    home = work.settings.warehouse / work.index / "validation"
    return {str(path.relative_to(home)): path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}
