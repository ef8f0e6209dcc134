"""The heavy stage for one feed × period: every partner's slice scanned, judged and committed, then coverage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from dci_pipeline.data_files import content_hash
from dci_pipeline.findings import Held
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import Overtaken, slice_versions
from dci_pipeline.steps.feeds import arrived as arrived_of
from dci_pipeline.steps.feeds import take_stock
from dci_pipeline.steps.scanning import make_slice, slice_is_fresh
from dci_pipeline.steps.slices import applied_corrections, first_offending, rejected_rows, slice_sums
from dci_pipeline.validation import verdict as judged
from dci_pipeline.warehouse import deliveries
from dci_pipeline.warehouse.stamps import Stamp
from dci_pipeline.work import CheckResult, Outcome, Work


def validate(work: Work, period: Period | None, *, feed: str) -> Outcome:
    """The heavy stage for every partner's delivery: rule counts, quarantine, sums and the verdict, then coverage."""
    assert period is not None
    contract = work.framework.contract(feed, period)
    arrived = arrived_of(work, period, feed)
    if not arrived and work.framework.late_feed == "provisional":
        return Outcome(
            ("validation", feed), period, "unchanged", 0, "", (), {"waiting_for": ", ".join(contract.partners)}
        )
    if not arrived:
        raise Held(
            "no delivery",
            where=f"{feed} {period}",
            found="nothing landed",
            expected=", ".join(contract.partners),
            todo=f"dci land FILE --feed {feed} --partner P --month {period}",
        )
    if work.dry:
        return Outcome(("validation", feed), period, _validation_state(work, period, feed, arrived), -1, "")
    stale = [partner for partner, delivery in arrived.items() if not slice_is_fresh(work, period, feed, delivery)]
    written = [make_slice(work, period, feed, partner).state == "written" for partner in sorted(stale)]
    with work.warehouse.lock(f"{feed}-{period}"):
        now = arrived_of(work, period, feed)
        if _contents(now) != _contents(arrived):
            raise Overtaken(
                "deliveries arrived while the others were validated",
                where=f"{feed} {period}",
                found=", ".join(sorted(partner for partner, _ in _contents(now) ^ _contents(arrived))),
                expected="no other to be landed meanwhile",
                todo="wait for the landing to end, then start again",
            )
        for gone in set(work.warehouse.slices("validation", f"{feed}_verdict", period)) - set(arrived):
            for table in ("rule_counts", "quarantine", "sums", "members", "corrections", "verdict"):
                work.warehouse.remove("validation", f"{feed}_{table}", period, partner=gone)
        coverage_changed = _cover(work, period, feed, sorted(arrived))
    outcome = _validated(work, period, feed, sorted(arrived), written=any(written) or coverage_changed)
    engines = sorted({work.engine_for(delivery.rows) for delivery in arrived.values()})
    return replace(outcome, facts={**outcome.facts, "engine": ", ".join(engines)})


def _contents(arrived: Mapping[str, deliveries.Delivery]) -> set[tuple[str, str]]:
    return {(partner, delivery.sha256) for partner, delivery in arrived.items()}


def _coverage_stamp(work: Work, period: Period, feed: str, partners: list[str]) -> Stamp:
    return work.warehouse.stamp(
        {
            "places": work.geography.members_hash(period),
            "leaves": content_hash([_covered(work, feed, period), _expected_types(work, feed)]),
            **slice_versions(work, "validation", f"{feed}_sums", period, partners),
        },
        contract=work.framework.contract(feed, period).sha256,
    )


def _validation_state(work: Work, period: Period, feed: str, arrived: Mapping[str, deliveries.Delivery]) -> str:
    warehouse = work.warehouse
    fresh = (
        warehouse.slices("validation", f"{feed}_verdict", period) == sorted(arrived)
        and all(slice_is_fresh(work, period, feed, delivery) for delivery in arrived.values())
        and warehouse.fresh(
            "validation", f"{feed}_coverage", period, _coverage_stamp(work, period, feed, sorted(arrived))
        )
    )
    return "unchanged" if fresh else "stale"


def _cover(work: Work, period: Period, feed: str, partners: list[str]) -> bool:
    """Completeness and coverage over all partners of a feed × period; True when it was computed."""
    warehouse, contract = work.warehouse, work.framework.contract(feed, period)
    stamp = _coverage_stamp(work, period, feed, partners)
    if warehouse.fresh("validation", f"{feed}_coverage", period, stamp):
        return False
    covered = judged.coverage(
        slice_sums(work, period, feed, partners),
        contract=contract,
        period=period,
        leaves=[leaf for leaf in work.framework.leaves_at(feed, period) if leaf.node in _covered(work, feed, period)],
        places=work.geography.places_at(period),
        expected_types=_expected_types(work, feed),
        delivered=partners,
    )
    warehouse.commit("validation", f"{feed}_coverage", covered, stamp=stamp, period=period)
    return True


def expected_leaves(work: Work, feed: str, period: Period) -> list[str]:
    """Leaves in the basket of the link the period lies in: those whose coverage the index depends on."""
    link = work.framework.link_at(period)
    basket = {leaf for leaves in link.basket.values() for leaf in leaves} if link else set()
    return [leaf.node for leaf in work.framework.leaves_at(feed, period) if leaf.node in basket]


def _covered(work: Work, feed: str, period: Period) -> list[str]:
    """What the contract's coverage is promised for: the expected leaves, and what is observed beside the trees."""
    beside = [
        item.node
        for item in work.framework.auxiliary
        if item.feed == feed and work.framework.period(item.since, where=item.node).start <= period.start
    ]
    return [*expected_leaves(work, feed, period), *beside]


def _expected_types(work: Work, feed: str) -> list[str]:
    """The member types of the trees a feed is made for."""
    kinds = work.framework.places_of_feed(feed)
    return [entity.type for entity in work.framework.place_types if entity.member and entity.type in kinds]


def _validated(work: Work, period: Period, feed: str, partners: list[str], *, written: bool) -> Outcome:
    """The outcome of a validated feed × period, read back from what is committed."""
    warehouse = work.warehouse
    failing: list[Mapping[str, object]] = []
    blocking = False
    rows = rejected = 0
    for partner in partners:
        verdict = warehouse.read("validation", f"{feed}_verdict", period, partner=partner)
        rows += int(verdict["rows"][0])
        rejected += rejected_rows(work, period, feed, partner)
        for rule in verdict.filter(~pl.col("passed")).iter_rows(named=True):
            blocking = blocking or rule["severity"] == "error"
            failing.append(
                {
                    "partner": partner,
                    **{name: rule[name] for name in ("rule", "severity", "unexpected", "rows", "percent", "threshold")},
                }
            )
    told = warehouse.read("validation", f"{feed}_coverage", period)
    complete = bool(told.filter(pl.col("check") == "completeness")["passed"].all())
    coverage = told.filter(pl.col("check") == "coverage")
    thin = coverage.filter(~pl.col("passed"))
    corrections = applied_corrections(work, period, feed, partners)
    offending = first_offending(work, period, feed) if failing else []
    checks = (
        CheckResult(
            "contract_rules",
            not failing,
            "error" if blocking else "warning",
            f"{rejected:,} of {rows:,} rows rejected" + "".join(map(_broken, failing)) + _corrected(corrections),
            (*failing, *offending),
        ),
        CheckResult(
            "place_coverage",
            thin.is_empty(),
            # Coverage is judged once all partners have delivered: until then it is told, and holds nothing back.
            work.framework.contract(feed, period).coverage.severity if complete else "warning",
            "every indicator covers the places its contract promises"
            if thin.is_empty()
            else f"too few places for {', '.join(thin['subject'])}",
            tuple(thin.select("subject", "found", "threshold", "missing").iter_rows(named=True)),
        ),
    )
    version = content_hash(
        [slice_versions(work, "validation", f"{feed}_{table}", period, partners) for table in ("sums", "members")]
    )
    return Outcome(
        ("validation", feed),
        period,
        "written" if written else "unchanged",
        rows,
        version,
        checks,
        {"rejected_rows": rejected, "partners": ", ".join(partners), "corrections": corrections or None},
    )


def _broken(rule: Mapping[str, object]) -> str:
    """One failed rule in words: whose, how many rows, against what threshold."""
    share = f"{rule['percent']:.2f} % of at most {rule['threshold']:g} %"
    return f"; {rule['rule']} of {rule['partner']}: {rule['unexpected']:,} rows, {share}"


def _corrected(corrections: list[dict[str, object]]) -> str:
    """The corrections behind the figures in words; one that only flags rows changes none of them."""
    rows = {(item["correction"], item["action"]): item["rows"] for item in corrections}
    return "".join(f"; correction {name}: {action} {number:,} rows" for (name, action), number in rows.items())


def passed(work: Work, period: Period, feed: str) -> list[str]:
    """The partners of a validated feed × period. Raises Held when it is not validated or a blocking check failed."""
    arrived = arrived_of(work, period, feed)
    committed = work.warehouse.slices("validation", f"{feed}_verdict", period)
    # A slice that a guard or an unreadable file keeps from being made anew must not be promoted beside newer ones.
    made = [
        partner
        for partner, delivery in sorted(arrived.items())
        if partner in committed and slice_is_fresh(work, period, feed, delivery)
    ]
    if not arrived or sorted(arrived) != committed or made != committed:
        raise Held(
            "a feed is not validated",
            where=f"{feed} {period}",
            found="validated: " + (", ".join(made) or "none"),
            expected="delivered: " + (", ".join(sorted(arrived)) or "none"),
            todo=f"dci run --index {work.index} --from {period} --to {period}",
        )
    versions = slice_versions(work, "validation", f"{feed}_verdict", period, committed)
    key = (feed, period, *versions.items(), work.warehouse.data_version("validation", f"{feed}_coverage", period))
    if key not in work.validated:
        work.validated[key] = _validated(work, period, feed, committed, written=False)
    failures = [*take_stock(work, period, feed=feed).failures, *work.validated[key].failures]
    if failures:
        raise Held(
            "a blocking check failed",
            where=f"{feed} {period}",
            found="; ".join(f"{check.name}: {check.says}" for check in failures),
            expected="every blocking check passed",
            todo=f"look at {work.index}/validation/{feed}_quarantine/{period.path} in the warehouse, ask the partner "
            "for a corrected delivery, land it and run again",
        )
    return committed
