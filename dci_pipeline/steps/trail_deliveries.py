"""The deliveries behind some periods: which files, what was used and rejected of them, and by which contract.

Which delivery a slice was made from stands in its stamp, so that one that came later and is not used yet, or not fit,
is not taken for it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import date

import polars as pl

from dci_pipeline.periods import Period
from dci_pipeline.steps.slices import rejected_rows
from dci_pipeline.warehouse import deliveries
from dci_pipeline.warehouse.deliveries import Delivery
from dci_pipeline.work import Work

Told = dict[str, object]
_NOTHING: Told = {"rejected_of_place": 0, "rejected_unplaced": 0}


def delivered(
    work: Work, now: Sequence[Period], base: Sequence[Period], indicators: Sequence[str], places: Sequence[str] | None
) -> list[Told]:
    """Every delivery behind these indicators in both spans, by feed, period, partner.

    places: the entity's, to count the rows that are its own as well; None to leave that out.
    """
    wanted = set(indicators)
    feeds = {str(leaf.feed) for leaf in work.framework.indicators if leaf.node in wanted}
    quality = _quality(work, [*now, *base], feeds)
    found: list[Told] = []
    for span, items in (("now", now), ("base", base)):
        for item in items:
            for name, version in work.warehouse.inputs("indicators", "values", item).items():
                feed, _, partner = name.partition(".")
                if partner and feed in feeds:
                    row = quality.get((item.start, feed, partner))
                    found.append(_slice(work, item, span, feed, partner, version, row, places))
    return sorted(found, key=lambda told: tuple(str(told[name]) for name in ("feed", "period", "partner")))


def corrections_in(told: Iterable[Told]) -> list[Told]:
    """The corrections applied in these deliveries: [correction, feed, period, partner, rows]."""
    return [
        {"correction": name, "rows": rows, **{key: item[key] for key in ("feed", "period", "partner")}}
        for item in told
        for name, rows in dict(item["corrections"] or {}).items()  # pyright: ignore
    ]


def _quality(work: Work, items: Sequence[Period], feeds: Collection[str]) -> dict[tuple[date, str, str], Told]:
    table, column = work.quality_table, work.framework.cadence
    if table not in work.framework.tables:
        return {}
    there = work.warehouse.existing("marts", table, items)
    if not there:
        return {}
    rows = work.warehouse.rows_where("marts", table, there, pl.col("feed").is_in(sorted(feeds)))
    return {(row[column], row["feed"], row["partner"]): row for row in rows.iter_rows(named=True)}


def _slice(
    work: Work,
    item: Period,
    span: str,
    feed: str,
    partner: str,
    version: str,
    row: Told | None,
    places: Sequence[str] | None,
) -> Told:
    made = work.warehouse.stamped("validation", f"{feed}_sums", item, partner=partner)
    sha256 = str(made.get("inputs", {}).get("delivery", ""))
    delivery = _delivery(work, item, feed, partner, sha256)
    told: Told = {
        "feed": feed,
        "period": item.key,
        "span": span,
        "partner": partner,
        "files": [] if delivery is None else [{"name": part.name, "sha256": part.sha256} for part in delivery.parts],
        "sha256": sha256,
        "number": None if delivery is None else delivery.number,
        "received": None if delivery is None else delivery.received,
        "landed_under": None if delivery is None else delivery.contract_version,
        # The numbers rest on the sums of that version; a slice made again since may be of another delivery.
        "current": made.get("data_version") == version,
    }
    if row is not None and row["delivery_sha256"] == sha256:
        rows, rejected = int(str(row["rows"])), int(str(row["rejected_rows"]))
        by_rule, corrections = json.loads(str(row["rejected_by_rule"])), json.loads(str(row["corrections"]))
        contract = row["contract_version"]
    else:
        verdict = work.warehouse.read("validation", f"{feed}_verdict", item, partner=partner)
        broken = verdict.filter(pl.col("unexpected") > 0).sort("rule").select("rule", "unexpected")
        rows = int(verdict["rows"][0]) if verdict.height else 0
        rejected, by_rule = rejected_rows(work, item, feed, partner), dict(broken.iter_rows())
        contract, corrections = work.framework.contract(feed, item).version, _applied(work, item, feed, partner)
    told |= {
        "contract_version": contract,
        "rows": rows,
        "rows_used": rows - rejected,
        "rows_rejected": rejected,
        "rejected_by_rule": by_rule,
        "corrections": corrections,
    }
    if places is not None:
        sums = work.warehouse.read("validation", f"{feed}_sums", item, partner=partner)
        own = sums.filter(pl.col("place").is_in(list(places))).group_by("indicator").agg(pl.col("records").sum())
        told["rows_of_place"] = dict(own.sort("indicator").iter_rows())
        told |= _set_aside(work, item, feed, partner, places) if rejected else _NOTHING
    return told


def _set_aside(work: Work, item: Period, feed: str, partner: str, places: Sequence[str]) -> Told:
    """Of the rows in quarantine those that name one of the places, and those that name no place of the index."""
    table, column = f"{feed}_quarantine", work.framework.contract(feed, item).place.name
    rows = work.warehouse.rows_where("validation", table, [item], pl.lit(True), partner=partner)
    known = work.geography.aliases_at(item).filter(pl.col("place").is_not_null())
    named = rows.select(alias=pl.col(column)).join(known, on="alias", how="left")["place"]
    return {"rejected_of_place": int(named.is_in(list(places)).sum()), "rejected_unplaced": named.null_count()}


def _applied(work: Work, item: Period, feed: str, partner: str) -> Told:
    if partner not in work.warehouse.slices("validation", f"{feed}_corrections", item):
        return {}
    frame = work.warehouse.read("validation", f"{feed}_corrections", item, partner=partner)
    return dict(frame.select("correction", "rows").iter_rows())


def _delivery(work: Work, item: Period, feed: str, partner: str, sha256: str) -> Delivery | None:
    found = deliveries.with_sha256(work.warehouse.layout, feed, item, partner, sha256)
    return found[-1] if found else None
