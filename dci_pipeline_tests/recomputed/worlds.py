"""Worlds with damage planted on purpose: rejected rows, places that stop arriving, deliveries sent again.

Everything follows from a seed. What is rejected stays within the thresholds of the contracts, so that every month is
published but for those that are meant to be held back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from dci_pipeline import refresh
from dci_pipeline.contracts import FeedContract
from dci_pipeline.feeds import encoding, faults
from dci_pipeline.periods import Period, parse_span
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import Simulated, World, land, simulate, small_contracts


@dataclass(frozen=True)
class Plan:
    """What a world is made of; `flooded` is a month of which most of one feed is missing."""

    seed: int
    months: str
    rows: int = 300
    damaged: float = 0.35
    absent: int = 10
    flooded: int | None = None


PLANS = {
    "a_month_held": Plan(seed=23, months="2018-01:2019-03", flooded=13),
    "third_year_begun": Plan(seed=5, months="2018-01:2020-03", absent=16),
}
# The tables compared here; a table is on the path because its contract is there.
TABLES = ("index_month", "index_year", "breakdown_year", "contribution_year", "ranking_year", "inequality_year")
NEEDED = ("weights", "node", "city", "province", "unit_group", "alias", "quality_month")
# Feeds and places that are lost: the number of months each is away. None is for good, from the first month on.
AWAY = (1, 2, 3, 4, 5, None, 4, 5, 3, 1, 2, None, 5, 4, 3, 2)
FLOODED = "mobile_traffic"


def build(folder: Path, plan: Plan) -> World:
    """A computed world of the plan, in `folder`.

    The reference is not the span that the last year is compared with: over the reference all nodes of the nation are
    100, and members of equal weight would be ranked by their last digit.
    """
    months = parse_span(plan.months, "month")
    contracts = small_contracts(folder, reference=(months[1].key, months[3].key))
    for path in (contracts / "dci/marts").glob("*.yaml"):
        if path.stem not in TABLES + NEEDED:
            path.unlink()
    if plan.flooded is not None:
        # The coverage check would stop the month first; let it pass, so that it is held for what is imputed.
        path = contracts / "dci/feeds" / f"{FLOODED}.yaml"
        path.write_text(path.read_text(encoding="utf-8").replace("at_least: 97", "at_least: 10"), encoding="utf-8")
    work = Work(Settings(folder / "warehouse", contracts, "polars"), "dci")
    files = list(simulate(work, folder, months, seed=plan.seed, rows=plan.rows))
    rng = np.random.default_rng(plan.seed)
    gone = absences(work, plan, months, rng)
    for item in files:
        superseded(work, folder, item, rng)
        land(work, [spoiled(work, item, gone, plan, rng)])
    return World(work, months, refresh.run_direct(work, months))


def absences(work: Work, plan: Plan, months: list[Period], rng: np.random.Generator) -> set[tuple[str, str, str]]:
    """(feed, period, place) that no row names: one place in one feed at a time, and one place in all of them."""
    feeds = sorted(work.framework.feeds)
    cities = work.geography.places.filter(pl.col("type") == "city")["code"].sort().to_list()
    places = rng.choice(cities, plan.absent + 2, replace=False).tolist()
    gone: set[tuple[str, str, str]] = set()
    for at in range(plan.absent):
        away = AWAY[at % len(AWAY)]
        feed = feeds[at % len(feeds)]
        start = 0 if away is None else int(rng.integers(1, len(months) - away + 1))
        gone |= {(feed, period.key, places[at]) for period in months[start:][:away]}
    gone |= {(feed, period.key, places[-1]) for feed in feeds for period in months[6:8]}
    # Residuals stop arriving too; in its first months here a place may be unknown and come later.
    gone |= {("app_usage", period.key, "460000R") for period in months[9:11]}
    gone |= {("cloud_usage", period.key, places[-2]) for period in months[:2]}
    if plan.flooded is not None:
        gone |= {(FLOODED, months[plan.flooded].key, place) for place in cities[:150]}
    return gone


def table(item: Simulated, contract: FeedContract) -> pl.DataFrame:
    text = item.path.read_bytes().decode(contract.encoding)
    return pl.read_csv(text.encode(), infer_schema=False)


def spoiled(
    work: Work, item: Simulated, gone: set[tuple[str, str, str]], plan: Plan, rng: np.random.Generator
) -> Simulated:
    """The file without the places that are gone and, now and then, with rows that break rules."""
    contract = work.framework.feeds[item.feed]
    before = frame = table(item, contract)
    places = sorted(place for feed, key, place in gone if (feed, key) == (item.feed, item.period.key))
    if places:
        names = work.geography.aliases_at(item.period).filter(pl.col("place").is_in(places))["alias"]
        frame = frame.filter(~pl.col(contract.place.source).is_in(names.implode()))
    if rng.random() < plan.damaged:
        taken: set[int] = set()
        for rule, count in sorted(chosen(contract, frame.height, rng)):
            planted = faults.plant(
                frame,
                contract,
                rule=rule,
                count=count,
                seed=int(rng.integers(1 << 30)),
                period=item.period,
                avoid=taken,
                outside=work.geography.excluded["alias"].to_list(),
                aliases=work.geography.aliases_at(item.period),
            )
            frame, taken = planted.frame, taken | planted.hit
    return item if frame is before else written(item, frame, contract, "spoiled")


def chosen(contract: FeedContract, rows: int, rng: np.random.Generator) -> Iterator[tuple[str, int]]:
    """Up to three faults of rows, each on fewer rows than the thresholds of the contracts allow."""
    names = [rule.id for rule in contract.rules if rule.kind != "shape"] + ["key.unique.conflict"]
    for name in rng.choice(names, 3, replace=False).tolist():
        count = int(rows * 0.0022) if name.startswith("key.") else int(rows * 0.003)
        if count:
            yield name, int(rng.integers(1, count + 1))


def superseded(work: Work, folder: Path, item: Simulated, rng: np.random.Generator) -> None:
    """Now and then a worse file comes before the one that counts: half of its rows, or the good rows twice as high."""
    if rng.random() > 0.06:
        return
    contract = work.framework.feeds[item.feed]
    frame = table(item, contract)
    if rng.random() < 0.5:
        frame = frame.head(frame.height // 2)
    else:
        measure = contract.roles("measure")[0].source
        frame = frame.with_columns((pl.col(measure).cast(pl.Int64) * 2).cast(pl.String))
    land(work, [written(item, frame, contract, "first")])


def written(item: Simulated, frame: pl.DataFrame, contract: FeedContract, mark: str) -> Simulated:
    path = item.path.with_name(f"{mark}_{item.path.name}")
    path.write_bytes(encoding.encode(frame, contract, form="csv"))
    return Simulated(item.feed, item.partner, item.period, path)
