"""The heavy stage for one feed × period: every partner's slice scanned, judged and committed, then coverage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import polars as pl

from dci_pipeline.contracts import FeedContract
from dci_pipeline.data_files import content_hash
from dci_pipeline.findings import Finding, Held
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import slice_versions
from dci_pipeline.steps.feeds import arrived as arrived_of
from dci_pipeline.steps.feeds import take_stock
from dci_pipeline.steps.slices import applied_corrections, first_offending, rejected_rows, slice_sums
from dci_pipeline.validation import scan as heavy
from dci_pipeline.validation import verdict as judged
from dci_pipeline.validation.corrections import corrected
from dci_pipeline.warehouse import deliveries
from dci_pipeline.warehouse.large import GROUP_ROWS
from dci_pipeline.warehouse.retyping import typed_under
from dci_pipeline.warehouse.stamps import Stamp
from dci_pipeline.work import CheckResult, Outcome, Work

_DOCUMENTS = ("suite.json", "result.json")


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
    with work.warehouse.lock(f"{feed}-{period}"):
        # Looked at again: who waited for the lock may have been overtaken by a later delivery.
        arrived = arrived_of(work, period, feed)
        for gone in set(work.warehouse.slices("validation", f"{feed}_verdict", period)) - set(arrived):
            for table in ("rule_counts", "quarantine", "sums", "members", "corrections", "verdict"):
                work.warehouse.remove("validation", f"{feed}_{table}", period, partner=gone)
        written = [
            _validate_slice(work, period, feed, partner, delivery) for partner, delivery in sorted(arrived.items())
        ]
        coverage_changed = _cover(work, period, feed, sorted(arrived))
    return _validated(work, period, feed, sorted(arrived), written=any(written) or coverage_changed)


def _slice_stamp(work: Work, period: Period, feed: str, delivery: deliveries.Delivery) -> Stamp:
    framework = work.framework
    leaves = [
        (
            leaf.node,
            leaf.measure,
            sorted(leaf.where.items()),
            leaf.quality and (leaf.quality.column, leaf.quality.worst),
        )
        for leaf in framework.leaves_at(feed, period)
    ]
    # Only the slices a correction names know of it: any other keeps the stamp it has without one.
    corrections = framework.corrections_of(feed, period, delivery.partner)
    named = {"corrections": content_hash([item.content(period) for item in corrections])} if corrections else {}
    return work.warehouse.stamp(
        named
        | {
            "delivery": delivery.sha256,
            "geography": work.geography.period_hash(period),
            "leaves": content_hash(leaves),
            "splits": content_hash(framework.splits_at(feed, period)),
            "kinds": ",".join(framework.places_of_feed(feed)),
        },
        contract=framework.contract(feed, period).sha256,
    )


def slice_is_fresh(work: Work, period: Period, feed: str, delivery: deliveries.Delivery) -> bool:
    """Whether the committed slice was made from this delivery under contract, corrections and index as they are."""
    # The verdict is committed last, so that its stamp vouches for the other tables of the slice, if they are there.
    stamp = _slice_stamp(work, period, feed, delivery)
    warehouse, partner = work.warehouse, delivery.partner
    tables = ["rule_counts", "quarantine", "sums", "members"]
    if work.framework.corrections_of(feed, period, partner):
        tables.append("corrections")
    return (
        warehouse.fresh("validation", f"{feed}_verdict", period, stamp, partner=partner)
        and all(warehouse.holds("validation", f"{feed}_{table}", period, partner=partner) for table in tables)
        and warehouse.holds("validation", f"{feed}_expectations", period, partner=partner, names=_DOCUMENTS)
    )


def names_of(work: Work, feed: str, period: Period) -> pl.DataFrame:
    """The names a feed may use: of the places it is about. A place of another tree is unknown to it."""
    names = work.geography.aliases_at(period)
    kinds = work.framework.places_of_feed(feed)
    if len(kinds) == len(work.framework.place_types):
        return names
    inside = work.types.filter(pl.col("type").is_in(list(kinds)))
    return names.filter(pl.col("place").is_null() | pl.col("place").is_in(inside["place"].implode()))


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


def _validate_slice(work: Work, period: Period, feed: str, partner: str, delivery: deliveries.Delivery) -> bool:
    """One partner's slice; True when it was computed, False when the committed one is up to date."""
    warehouse, contract = work.warehouse, work.framework.contract(feed, period)
    stamp = _slice_stamp(work, period, feed, delivery)
    if slice_is_fresh(work, period, feed, delivery):
        return False
    deliveries.refuse_damaged(delivery)
    from dci_pipeline.validation.expectations import judge

    with warehouse.scratch() as scratch, work.engine(scratch) as engine:
        made = typed_under(delivery, contract, cadence=work.framework.cadence, scratch=scratch)
        typed = warehouse.local(made, scratch)
        rows, corrections = engine.scan([typed]), work.framework.corrections_of(feed, period, partner)
        applied: pl.DataFrame | None = None
        if corrections:
            rows, applied = corrected(engine, rows, corrections, contract=contract, period=period)
        found = heavy.scan(
            engine,
            rows,
            contract=contract,
            period=period,
            partner=partner,
            aliases=names_of(work, feed, period),
            leaves=work.framework.leaves_at(feed, period),
            splits=work.framework.splits_at(feed, period),
        )
        files = [
            file
            for number, part in enumerate(found.quarantine)
            for file in engine.sink(part, scratch / f"quarantine-{number}.parquet")
        ]
        _refuse_loss(files, found.rejected, f"{feed} {period} {partner}")
        frames = _rejected(files, engine.collect(rows.head(0)), delivery, contract)
        warehouse.commit_frames("validation", f"{feed}_quarantine", frames, stamp=stamp, period=period, partner=partner)
    judgement = judge(found.counts, contract=contract, name=f"{feed} {period} {partner}")
    commit = partial(warehouse.commit, "validation", stamp=stamp, period=period, partner=partner)
    commit(f"{feed}_rule_counts", found.counts)
    commit(f"{feed}_sums", found.sums)
    commit(f"{feed}_members", found.members)
    if applied is not None:
        commit(f"{feed}_corrections", applied)
    else:
        warehouse.remove("validation", f"{feed}_corrections", period, partner=partner)
    for name, document in zip(_DOCUMENTS, (judgement.suite, judgement.result), strict=True):
        warehouse.commit_document("validation", f"{feed}_expectations", name, document, period=period, partner=partner)
    commit(f"{feed}_verdict", judgement.verdict)
    return True


def _rejected(
    files: Sequence[Path], empty: pl.DataFrame, delivery: deliveries.Delivery, contract: FeedContract
) -> Iterator[pl.DataFrame]:
    """The rejected rows by file and row, with the names of the files; first a frame without rows."""
    names = pl.DataFrame(
        {"file": pl.Series(range(len(delivery.parts)), dtype=pl.Int32), "name": [part.name for part in delivery.parts]}
    )
    columns = {column.name: column.name for column in contract.columns}

    def shown(rows: pl.DataFrame) -> pl.DataFrame:
        # The parts of a delivery are numbered in the order of their names.
        named = rows.join(names, on="file", how="left", maintain_order="left")
        return named.select(file="name", file_row="file_row", rules="rules", unparsed="unparsed", **columns)

    yield shown(empty.with_columns(rules=pl.lit(None, dtype=pl.String)))
    for file in files:
        for start in range(0, _height(file), GROUP_ROWS):
            yield shown(pl.scan_parquet(file, glob=False).slice(start, GROUP_ROWS).collect())


def _height(file: Path) -> int:
    return int(pl.scan_parquet(file, glob=False).select(pl.len()).collect().item())


def _refuse_loss(files: Sequence[Path], rejected: int, where: str) -> None:
    """Raises Finding when the engine wrote fewer or more rows than it counted: nothing is set aside unseen."""
    rows = sum(map(_height, files))
    if rows != rejected:
        raise Finding(
            "a quarantine that is not all there",
            where=where,
            found=f"{rows:,} rows",
            expected=f"the {rejected:,} rows counted as rejected",
            todo="run again; if it stays, see to it that all machines of the engine share the warehouse's storage",
        )


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
