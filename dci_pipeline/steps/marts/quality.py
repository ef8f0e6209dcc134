"""The published table of the deliveries' quality."""

from __future__ import annotations

import polars as pl

from dci_pipeline.marts import quality
from dci_pipeline.marts.promise import promised
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import commit, slice_versions, versions_of
from dci_pipeline.steps.feeds import arrived as arrived_of
from dci_pipeline.steps.slices import rejected_rows
from dci_pipeline.steps.validation import expected_leaves
from dci_pipeline.work import Outcome, Work


def expected_places(work: Work, feed: str, period: Period) -> list[str]:
    """Codes of the places a feed should cover: the members of the trees it feeds."""
    members = {entity.type for entity in work.framework.place_types if entity.member}
    kinds = members & set(work.framework.places_of_feed(feed))
    here = work.geography.places_at(period).filter(pl.col("type").is_in(sorted(kinds)))
    return here["code"].to_list()


def of_period(work: Work, period: Period | None) -> Outcome:
    """The published quality table: rows, rejections, coverage and provenance of every delivery of the period."""
    assert period is not None
    framework, warehouse = work.framework, work.warehouse
    table = framework.table(work.quality_table)
    contracts = {feed: framework.contract(feed, period) for feed in framework.feeds}
    arrived = {feed: arrived_of(work, period, feed) for feed in framework.feeds}
    # A period held back before its shares are made shows its deliveries all the same; what is imputed is then unknown.
    shared = warehouse.existing("normalise", "totals", [period])
    inputs = {"places": work.geography.members_hash(period)} | versions_of(work, "normalise", "totals", shared)
    for feed, found in arrived.items():
        inputs[f"{feed}.contract"] = f"{contracts[feed].version} {','.join(contracts[feed].partners)}"
        inputs |= {f"{feed}.delivery.{partner}": item.sha256 for partner, item in found.items()}
        inputs |= {
            f"{feed}.verdict.{name}": version
            for name, version in slice_versions(work, "validation", f"{feed}_verdict", period, sorted(found)).items()
        }

    # What is applied shows in this table even where it changes no verdict.
    corrected = {feed: warehouse.slices("validation", f"{feed}_corrections", period) for feed in framework.feeds}
    for feed, partners in corrected.items():
        inputs |= {
            f"{feed}.corrections.{name}": version
            for name, version in slice_versions(work, "validation", f"{feed}_corrections", period, partners).items()
        }
    validated = {feed: warehouse.slices("validation", f"{feed}_verdict", period) for feed in framework.feeds}

    def slice_of(feed: str, name: str, partner: str) -> pl.DataFrame | None:
        if partner not in validated[feed]:
            return None
        return warehouse.read("validation", f"{feed}_{name}", period, partner=partner)

    def compute() -> pl.DataFrame:
        shares_imputed: dict[str, float | None] = {}
        for item in shared:
            totals = warehouse.read("normalise", "totals", item)
            shares_imputed |= dict(totals.select("indicator", "imputed_share").iter_rows())
        slices = [
            quality.SliceQuality(
                feed,
                partner,
                slice_of(feed, "verdict", partner),
                slice_of(feed, "sums", partner),
                rejected_rows(work, period, feed, partner) if partner in validated[feed] else 0,
                found[partner].sha256 if partner in found else None,
                contracts[feed].version,
                slice_of(feed, "corrections", partner) if partner in corrected[feed] else None,
            )
            for feed, found in sorted(arrived.items())
            for partner in sorted({*contracts[feed].partners, *found})
        ]
        expected = {feed: expected_places(work, feed, period) for feed in framework.feeds}
        worst = {
            feed: max((shares_imputed.get(leaf) or 0.0 for leaf in expected_leaves(work, feed, period)), default=0.0)
            for feed in framework.feeds
            if shared
        }
        return promised(
            quality.quality(
                slices, period=period.start, period_column=framework.cadence, expected=expected, imputed=worst
            ),
            table,
        )

    return commit(work, ("marts", table.table), period, inputs, table.sha256, compute)
