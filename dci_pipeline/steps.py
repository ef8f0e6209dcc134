"""One function per table: load, call the pure function, commit. Dagster assets and `dci run` each call one of these.

A step first compares the stamp its inputs would give with the committed one and does nothing when they agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import polars as pl

from dci_pipeline import engines
from dci_pipeline.contracts import content_hash
from dci_pipeline.findings import Held
from dci_pipeline.framework import Link
from dci_pipeline.index import imputed, reference_means, span, with_place_limit
from dci_pipeline.index import points as index_points
from dci_pipeline.indicators.values import values as indicator_values
from dci_pipeline.marts import dimensions, index_period, index_year, quality
from dci_pipeline.marts.promise import promised
from dci_pipeline.normalise.shares import shares as normalised
from dci_pipeline.normalise.totals import totals as national_totals
from dci_pipeline.periods import Period
from dci_pipeline.validation import scan as heavy
from dci_pipeline.validation import verdict as judged
from dci_pipeline.warehouse import deliveries
from dci_pipeline.warehouse.stamps import Stamp
from dci_pipeline.weight import agreement, scores, tree
from dci_pipeline.work import CheckResult, Outcome, Work

SHOWN_ROWS = 10
LOOK_BACK = 12


def take_stock(work: Work, period: Period | None, *, feed: str) -> Outcome:
    """What has arrived for a feed × period: which partners have delivered, and which the contract still waits for."""
    assert period is not None
    contract = work.framework.feeds[feed]
    arrived = deliveries.current(work.warehouse.layout, feed, period)
    late = [partner for partner in contract.partners if partner not in arrived]
    percent = 100.0 * (len(contract.partners) - len(late)) / len(contract.partners)
    check = CheckResult(
        "completeness", percent >= contract.completeness.percent, contract.completeness.severity,
        f"{len(contract.partners) - len(late)} of {len(contract.partners)} partners have delivered",
        tuple({"partner": partner, "name": contract.partners[partner].get("name_en", "")} for partner in late),
    )
    return Outcome(
        ("feeds", feed), period, "unchanged", sum(item.rows for item in arrived.values()),
        content_hash(sorted((item.partner, item.sha256) for item in arrived.values())), (check,),
        {"partners": ", ".join(sorted(arrived)), "waiting_for": ", ".join(late),
         "deliveries": ", ".join(f"{item.partner} {item.sha256[:12]}" for item in arrived.values())},
    )


def validate(work: Work, period: Period | None, *, feed: str) -> Outcome:
    """The heavy stage for every partner's delivery: rule counts, quarantine, sums and the verdict, then coverage."""
    assert period is not None
    contract = work.framework.feeds[feed]
    arrived = deliveries.current(work.warehouse.layout, feed, period)
    if not arrived:
        raise Held("no delivery", where=f"{feed} {period}", found="nothing landed",
                   expected=", ".join(contract.partners), todo=f"dci land FILE --feed {feed} --partner P --month {period}")
    if work.dry:
        return Outcome(("validation", feed), period, _validation_state(work, period, feed, arrived), -1, "")
    with work.warehouse.lock(f"{feed}-{period}"):
        for gone in set(work.warehouse.slices("validation", f"{feed}_verdict", period)) - set(arrived):
            for table in ("rule_counts", "quarantine", "sums", "verdict"):
                work.warehouse.remove("validation", f"{feed}_{table}", period, partner=gone)
        written = [
            _validate_slice(work, period, feed, partner, delivery) for partner, delivery in sorted(arrived.items())
        ]
        coverage_changed = _cover(work, period, feed, sorted(arrived))
    return _validated(work, period, feed, sorted(arrived), written=any(written) or coverage_changed)


def _slice_stamp(work: Work, period: Period, feed: str, delivery: deliveries.Delivery) -> Stamp:
    leaves = work.framework.leaves_of(feed)
    return work.warehouse.stamp({
        "delivery": delivery.sha256, "geography": work.geography.period_hash(period),
        "leaves": content_hash([(leaf.node, leaf.measure, sorted(leaf.where.items())) for leaf in leaves]),
    }, contract=work.framework.feeds[feed].sha256)


def _coverage_stamp(work: Work, period: Period, feed: str, partners: list[str]) -> Stamp:
    return work.warehouse.stamp(
        {"places": work.geography.members_hash(period), "leaves": content_hash(_expected_leaves(work, feed, period)),
         **_versions(work, "validation", f"{feed}_sums", period, partners)},
        contract=work.framework.feeds[feed].sha256)


def _validation_state(work: Work, period: Period, feed: str, arrived: Mapping[str, deliveries.Delivery]) -> str:
    warehouse = work.warehouse
    fresh = warehouse.slices("validation", f"{feed}_verdict", period) == sorted(arrived) and all(
        warehouse.fresh("validation", f"{feed}_verdict", period, _slice_stamp(work, period, feed, delivery),
                        partner=partner) for partner, delivery in arrived.items()
    ) and warehouse.fresh("validation", f"{feed}_coverage", period, _coverage_stamp(work, period, feed, sorted(arrived)))
    return "unchanged" if fresh else "stale"


def _validate_slice(work: Work, period: Period, feed: str, partner: str, delivery: deliveries.Delivery) -> bool:
    """One partner's slice; True when it was computed, False when the committed one is up to date."""
    warehouse, contract = work.warehouse, work.framework.feeds[feed]
    stamp = _slice_stamp(work, period, feed, delivery)
    # The verdict is committed last, so that its stamp vouches for the other tables of the slice.
    if warehouse.fresh("validation", f"{feed}_verdict", period, stamp, partner=partner):
        return False
    from dci_pipeline.validation.expectations import judge

    names = pl.DataFrame({"file": pl.Series(range(len(delivery.parts)), dtype=pl.Int32),
                          "name": [part.name for part in delivery.parts]})
    with engines.engine(work.settings.engine) as engine, warehouse.scratch() as scratch:
        found = heavy.scan(
            engine, engine.scan([delivery.typed]), contract=contract, period=period, partner=partner,
            aliases=work.geography.aliases_at(period), leaves=work.framework.leaves_of(feed),
        )
        if found.quarantine is None:
            rejected = engine.collect(engine.scan([delivery.typed]).head(0)).with_columns(
                rules=pl.lit(None, dtype=pl.String))
        else:
            engine.sink(found.quarantine, scratch / "quarantine.parquet")
            rejected = pl.read_parquet(scratch / "quarantine.parquet")
    rejected = (
        rejected.join(names, on="file", how="left").sort("name", "file_row")
        .select(file="name", file_row="file_row", rules="rules", unparsed="unparsed",
                **{column.name: column.name for column in contract.columns})
    )
    judgement = judge(found.counts, contract=contract, name=f"{feed} {period} {partner}")
    commit = partial(warehouse.commit, "validation", stamp=stamp, period=period, partner=partner)
    commit(f"{feed}_rule_counts", found.counts)
    commit(f"{feed}_quarantine", rejected)
    commit(f"{feed}_sums", found.sums)
    for name, document in (("suite.json", judgement.suite), ("result.json", judgement.result)):
        warehouse.commit_document("validation", f"{feed}_expectations", name, document, period=period, partner=partner)
    commit(f"{feed}_verdict", judgement.verdict)
    return True


def _cover(work: Work, period: Period, feed: str, partners: list[str]) -> bool:
    """Completeness and coverage over all partners of a feed × period; True when it was computed."""
    warehouse, contract = work.warehouse, work.framework.feeds[feed]
    stamp = _coverage_stamp(work, period, feed, partners)
    if warehouse.fresh("validation", f"{feed}_coverage", period, stamp):
        return False
    covered = judged.coverage(
        _sums(work, period, feed, partners), contract=contract, period=period,
        leaves=[leaf for leaf in work.framework.leaves_of(feed) if leaf.node in _expected_leaves(work, feed, period)],
        places=work.geography.places_at(period),
        expected_types=[entity.type for entity in work.framework.place_types if entity.member], delivered=partners,
    )
    warehouse.commit("validation", f"{feed}_coverage", covered, stamp=stamp, period=period)
    return True


def _expected_leaves(work: Work, feed: str, period: Period) -> list[str]:
    """Leaves in the basket of the link the period lies in: those whose coverage the index depends on."""
    link = work.framework.link_at(period)
    basket = {leaf for leaves in link.basket.values() for leaf in leaves} if link else set()
    return [leaf.node for leaf in work.framework.leaves_of(feed) if leaf.node in basket]


def _validated(work: Work, period: Period, feed: str, partners: list[str], *, written: bool) -> Outcome:
    """The outcome of a validated feed × period, read back from what is committed."""
    warehouse = work.warehouse
    failing: list[Mapping[str, object]] = []
    blocking = False
    rows = rejected = 0
    for partner in partners:
        verdict = warehouse.read("validation", f"{feed}_verdict", period, partner=partner)
        rows += int(verdict["rows"][0])
        rejected += _rejected(work, period, feed, partner)
        for rule in verdict.filter(~pl.col("passed")).iter_rows(named=True):
            blocking = blocking or rule["severity"] == "error"
            failing.append({"partner": partner, **{name: rule[name] for name in (
                "rule", "severity", "unexpected", "rows", "percent", "threshold")}})
    coverage = warehouse.read("validation", f"{feed}_coverage", period).filter(pl.col("check") == "coverage")
    thin = coverage.filter(~pl.col("passed"))
    offending = first_offending(work, period, feed) if failing else []
    checks = (
        CheckResult("contract_rules", not failing, "error" if blocking else "warning",
                    f"{rejected:,} of {rows:,} rows rejected", (*failing, *offending)),
        CheckResult("place_coverage", thin.is_empty(), work.framework.feeds[feed].coverage.severity,
                    "every indicator covers the places its contract promises",
                    tuple(thin.select("subject", "found", "threshold", "missing").iter_rows(named=True))),
    )
    version = content_hash(_versions(work, "validation", f"{feed}_sums", period, partners))
    return Outcome(("validation", feed), period, "written" if written else "unchanged", rows, version, checks,
                   {"rejected_rows": rejected, "partners": ", ".join(partners)})


def _rejected(work: Work, period: Period, feed: str, partner: str) -> int:
    """Rows of a slice in quarantine, each counted once."""
    counts = work.warehouse.read("validation", f"{feed}_rule_counts", period, partner=partner)
    return int(counts.filter(pl.col("rule") == "any")["unexpected"].sum())


def first_offending(work: Work, period: Period, feed: str) -> list[Mapping[str, object]]:
    """The first ten rejected rows of a feed × period, with partner, file, row and the rules they break."""
    shown: list[Mapping[str, object]] = []
    for partner in work.warehouse.slices("validation", f"{feed}_quarantine", period):
        frame = work.warehouse.read("validation", f"{feed}_quarantine", period, partner=partner)
        for row in frame.head(SHOWN_ROWS - len(shown)).iter_rows(named=True):
            shown.append({"partner": partner, **{name: row[name] for name in row if name != "partner"}})
    return shown


def values(work: Work, period: Period | None) -> Outcome:
    """Promotes the accepted sums of every feed to indicator values, once no blocking check has failed."""
    assert period is not None
    warehouse, framework = work.warehouse, work.framework
    inputs = {"places": work.geography.members_hash(period),
              "leaves": content_hash([(leaf.node, leaf.feed, leaf.since) for leaf in framework.leaves])}
    frames: list[pl.DataFrame] = []
    used = sorted({str(leaf.feed) for leaf in framework.leaves})
    for feed in used:
        partners = _passed(work, period, feed)
        inputs |= {f"{feed}.{name}": version
                   for name, version in _versions(work, "validation", f"{feed}_sums", period, partners).items()}
        frames.append(_sums(work, period, feed, partners))
    stamp = warehouse.stamp(inputs, contract=content_hash([framework.feeds[feed].absent_row for feed in used]))

    def compute() -> pl.DataFrame:
        return indicator_values(
            pl.concat(frames), period=period.start, places=work.geography.places_at(period),
            indicators={leaf.node: framework.feeds[str(leaf.feed)].absent_row for leaf in framework.leaves},
            always_zero=frozenset(entity.type for entity in framework.place_types if not entity.member),
        )

    return _commit(work, ("indicators", "values"), period, stamp.inputs, stamp.contract, compute)


def shares(work: Work, period: Period | None) -> Outcome:
    """Each place's share of the national total by indicator; what is missing carries the share last observed."""
    assert period is not None
    before = _last_existing(work, "normalise", "shares", period)
    inputs = _of(work, "indicators", "values", [period])
    if before is not None:
        inputs |= _of(work, "normalise", "shares", [before])

    def compute() -> pl.DataFrame:
        previous = work.warehouse.read("normalise", "shares", before) if before is not None else None
        return normalised(work.warehouse.read("indicators", "values", period).drop("period"), period=period.start,
                          previous=previous, carry_periods=work.framework.carry_periods)

    return _commit(work, ("normalise", "shares"), period, inputs, str(work.framework.carry_periods), compute)


def totals(work: Work, period: Period | None) -> Outcome:
    """National total and imputed share of every indicator."""
    assert period is not None
    return _commit(work, ("normalise", "totals"), period, _of(work, "normalise", "shares", [period]), "",
                   lambda: national_totals(work.warehouse.read("normalise", "shares", period)))


def alphas(work: Work, period: Period | None = None) -> Outcome:
    """Weights of every wave in use, from the experts' scores."""
    inputs = {wave: item.sha256 for wave, item in work.framework.waves.items()}
    return _commit(work, ("weight", "alphas"), None, inputs, _structure(work), lambda: _alphas(work))


def _alphas(work: Work) -> pl.DataFrame:
    """Alphas of every wave over the basket of the link that uses it."""
    frames: list[pl.DataFrame] = []
    for link in work.framework.links:
        children = work.framework.basket_children(link)
        for root, wave in sorted(link.wave.items()):
            inside = {node: found for node, found in children.items() if work.framework.root_of(node) == root}
            frames.append(scores.alphas(_scores(work, wave), children=inside))
    return pl.concat(frames).unique(maintain_order=True).sort("wave", "node", "child")


def _scores(work: Work, wave: str) -> pl.DataFrame:
    return pl.DataFrame(
        [(wave, *row) for row in work.framework.waves[wave].scores], orient="row",
        schema={"wave": pl.String, "expert": pl.String, "node": pl.String, "child": pl.String, "score": pl.Int64},
    )


def _structure(work: Work) -> str:
    """Hash of trees, links and baskets."""
    framework = work.framework
    return content_hash([
        [(node.node, node.parent, node.status) for node in framework.nodes],
        [(link.link, [item.key for item in link.reference], link.start.key, sorted(link.wave.items()),
          sorted(link.basket.items())) for link in framework.links], framework.base_points,
    ])


def _node_weights(work: Work, link: Link, root: str) -> pl.DataFrame:
    """[node, indicator, weight, beta, root_weight] of one tree in one link."""
    committed = work.warehouse.read("weight", "alphas")
    below = {node for node in work.framework.by_node if work.framework.root_of(node) == root}
    return tree.node_weights(
        committed.filter((pl.col("wave") == link.wave[root]) & pl.col("node").is_in(sorted(below))), root=root)


def points(work: Work, period: Period | None) -> Outcome:
    """Level and position of every place × node; a check holds the period back when too much of it is imputed."""
    assert period is not None
    framework, warehouse = work.framework, work.warehouse
    link = framework.link_at(period)
    if link is None:
        raise Held("before the first link", where=f"{work.index} {period}",
                   expected=f"a {period.cadence} from {framework.links[0].start} on", todo="nothing: the index starts later")
    missing = [str(item) for item in link.reference
               if item not in warehouse.existing("normalise", "totals", link.reference)]
    if missing:
        raise Held("the reference period is not complete", where=f"{work.index} {period}",
                   found="no national totals for " + ", ".join(missing),
                   expected=f"{link.reference[0]} to {link.reference[-1]}, the reference of link {link.link}",
                   todo=f"land and run these first: dci run --index {work.index} --from {missing[0]} --to {missing[-1]}")
    inputs = (_of(work, "normalise", "shares", [period]) | _of(work, "normalise", "totals", link.reference)
              | {"weights": str(warehouse.data_version("weight", "alphas"))})

    def compute() -> pl.DataFrame:
        now = warehouse.read("normalise", "shares", period)
        reference = warehouse.read("normalise", "totals", link.reference)
        frames: list[pl.DataFrame] = []
        for root, basket in sorted(link.basket.items()):
            means = reference_means(reference.filter(pl.col("indicator").is_in(list(basket))))
            frame = index_points(now, node_weights=_node_weights(work, link, root), reference_totals=means,
                                 base_points=framework.base_points)
            frames.append(_with_status(work, frame))
        return pl.concat(frames).sort("node", "place")

    outcome = _commit(work, ("index", "points"), period, inputs,
                      _structure(work) + f"{framework.place_imputed_limit}", compute)
    if work.dry:
        return outcome
    return Outcome(outcome.key, outcome.period, outcome.state, outcome.rows, outcome.data_version,
                   (_imputed_check(work, period, link),), outcome.facts)


def _with_status(work: Work, frame: pl.DataFrame) -> pl.DataFrame:
    """A leaf carried too long is M; a node above it is E, unless more of it is imputed than the index file allows."""
    inner = pl.col("node").is_in(_inner_nodes(work))
    softened = pl.when(inner & (pl.col("obs_status") == "M") & pl.col("points").is_not_null()).then(pl.lit("E"))
    return _limited(work, frame.with_columns(obs_status=softened.otherwise("obs_status")))


def _limited(work: Work, frame: pl.DataFrame) -> pl.DataFrame:
    """Status M for places of which more than the index file allows is imputed, at every node above the leaves."""
    for node in _inner_nodes(work):
        frame = with_place_limit(frame, node=node, limit=work.framework.place_imputed_limit)
    return frame


def _inner_nodes(work: Work) -> list[str]:
    return [node.node for node in work.framework.nodes if node.feed is None]


def _imputed_check(work: Work, period: Period, link: Link) -> CheckResult:
    """METHOD section 6: a period of which more than the limit is imputed does not publish."""
    now = work.warehouse.read("normalise", "shares", period)
    over: list[Mapping[str, object]] = []
    largest = 0.0
    for root in sorted(link.basket):
        nation = imputed(now, node_weights=_node_weights(work, link, root)).filter(pl.col("node") == root)
        # Null means that no indicator of the tree has a total above zero: nothing was observed, nothing is published.
        share = 1.0 if nation["imputed_share"][0] is None else float(nation["imputed_share"][0])
        largest = max(largest, share)
        if share > work.framework.nation_imputed_limit:
            over.append({"node": root, "imputed_share": share, "limit": work.framework.nation_imputed_limit})
    return CheckResult("imputed_share", not over, "error", f"{largest:.2%} of the nation is imputed", tuple(over))


def index_of_period(work: Work, period: Period | None) -> Outcome:
    """The published table of one period: entities, ranks, growth."""
    assert period is not None
    framework, warehouse = work.framework, work.warehouse
    link = framework.link_at(period)
    if link is not None:
        check = _imputed_check(work, period, link)
        if not check.passed:
            raise Held("too much of the nation is imputed to publish", where=f"{work.index} {period}",
                       found=check.says, expected=f"at most {framework.nation_imputed_limit:.0%}",
                       todo="ask the partners for the missing places, then run again")
    table = framework.table(work.period_table)
    around = {"before": period.shift(-1), "year_before": period.year_before()}
    there = {name: item for name, item in around.items() if warehouse.existing("index", "points", [item])}
    inputs = _of(work, "index", "points", [period, *there.values()]) | {
        "members": work.geography.members_hash(period), "ranked": ",".join(work.ranked)}

    def compute() -> pl.DataFrame:
        members = work.geography.members_at(period)
        nation = framework.nation["code"]

        def of(item: Period) -> pl.DataFrame:
            return index_period.ranked_entities(warehouse.read("index", "points", item), members=members,
                                                types=work.types, nation=nation, ranked=work.ranked)

        frame = index_period.index_period(
            of(period), before=of(there["before"]) if "before" in there else None,
            year_before=of(there["year_before"]) if "year_before" in there else None, period=period.start,
            period_column=framework.cadence, before_column={"month": "growth_mom", "quarter": "growth_qoq"}[
                framework.cadence], members=members, types=work.types, nation=nation)
        return promised(frame, table)

    return _commit(work, ("marts", table.table), period, inputs, table.sha256, compute)


def index_of_year(work: Work, period: Period | None) -> Outcome:
    """The published table of one year, running or whole: mean level, position of the summed volumes, growth, CAGR."""
    assert period is not None
    framework, warehouse = work.framework, work.warehouse
    table = framework.table("index_year")
    now = _year_parts(work, period)
    if not now:
        raise Held("no period of the year is computed", where=f"{work.index} {period}", todo="run its periods first")
    same_before = [item.year_before() for item in now]
    before = same_before if warehouse.existing("index", "points", same_before) == same_before else []
    two_before = _whole_year(work, period.shift(-2))
    first = next((year for year in _years_from_start(work, period) if _whole_year(work, year)), None)
    first_parts = _whole_year(work, first) if first is not None else []
    everything = sorted({*now, *before, *two_before, *first_parts})
    inputs = (_of(work, "index", "points", everything) | _of(work, "normalise", "shares", everything)
              | {"members": work.geography.members_hash(period), "ranked": ",".join(work.ranked),
                 "weights": str(warehouse.data_version("weight", "alphas"))})

    def compute() -> pl.DataFrame:
        members = work.geography.members_at(now[-1])
        nation = framework.nation["code"]

        def of(items: list[Period]) -> pl.DataFrame:
            return index_period.ranked_entities(_span(work, items), members=members, types=work.types, nation=nation,
                                                ranked=work.ranked)

        frame = index_year.index_year(
            of(now), same_periods_before=of(before) if before else None,
            first=(first.start.year, of(first_parts)) if first is not None else None,
            two_before=of(two_before) if two_before else None, year=period.start.year, covered=len(now),
            whole=now[0].per_year, covered_column=f"{framework.cadence}s_covered", members=members, types=work.types,
            nation=nation)
        return promised(frame, table)

    return _commit(work, ("marts", "index_year"), period, inputs,
                   table.sha256 + f"{framework.place_imputed_limit}", compute)


def _span(work: Work, items: list[Period]) -> pl.DataFrame:
    """Level and position of a span of periods of one link, every tree."""
    link = work.framework.link_at(items[-1])
    assert link is not None
    warehouse = work.warehouse
    level = warehouse.read("index", "points", items)
    volumes = warehouse.read("normalise", "shares", items)
    frames: list[pl.DataFrame] = []
    for root in sorted(link.basket):
        weights = _node_weights(work, link, root)
        own = level.filter(pl.col("node").is_in(weights["node"].unique().implode()))
        frames.append(span(own, volumes, node_weights=weights))
    # In a span what counts is how much of it is imputed, not how the worst of its periods stood.
    status = (
        pl.when(pl.col("points").is_null() | pl.col("imputed_share").is_null()
                | ((pl.col("obs_status") == "M") & (pl.col("imputed_share") >= 1.0))).then(pl.lit("M"))
        .when(pl.col("imputed_share") > 0).then(pl.lit("E")).otherwise(pl.lit("A"))
    )
    return _limited(work, pl.concat(frames).with_columns(obs_status=status)).sort("node", "place")


def _year_parts(work: Work, year: Period) -> list[Period]:
    return work.warehouse.existing("index", "points", year.parts(work.framework.cadence))


def _whole_year(work: Work, year: Period | None) -> list[Period]:
    parts = _year_parts(work, year) if year is not None else []
    return parts if parts and len(parts) == parts[0].per_year else []


def _years_from_start(work: Work, last: Period) -> Iterable[Period]:
    year = work.framework.links[0].start.year()
    while year.start < last.start:
        yield year
        year = year.shift(1)


def quality_of_period(work: Work, period: Period | None) -> Outcome:
    """The published quality table: rows, rejections, coverage and provenance of every delivery of the period."""
    assert period is not None
    framework, warehouse = work.framework, work.warehouse
    table = framework.table(work.quality_table)
    arrived = {feed: deliveries.current(warehouse.layout, feed, period) for feed in framework.feeds}
    inputs = {"places": work.geography.members_hash(period)} | _of(work, "normalise", "totals", [period])
    for feed, found in arrived.items():
        inputs |= {f"{feed}.delivery.{partner}": item.sha256 for partner, item in found.items()}
        inputs |= {f"{feed}.verdict.{name}": version for name, version in
                   _versions(work, "validation", f"{feed}_verdict", period, sorted(found)).items()}

    def compute() -> pl.DataFrame:
        shares_imputed = dict(
            warehouse.read("normalise", "totals", period).select("indicator", "imputed_share").iter_rows())
        slices = [
            quality.SliceQuality(
                feed, partner,
                warehouse.read("validation", f"{feed}_verdict", period, partner=partner) if partner in found else None,
                warehouse.read("validation", f"{feed}_sums", period, partner=partner) if partner in found else None,
                _rejected(work, period, feed, partner) if partner in found else 0,
                found[partner].sha256 if partner in found else None, framework.feeds[feed].version)
            for feed, found in sorted(arrived.items()) for partner in sorted({*framework.feeds[feed].partners, *found})
        ]
        members = {entity.type for entity in framework.place_types if entity.member}
        expected = work.geography.places_at(period).filter(pl.col("type").is_in(sorted(members)))["code"].to_list()
        worst = {feed: max([shares_imputed.get(leaf.node) or 0.0 for leaf in framework.leaves_of(feed)
                            if leaf.node in _expected_leaves(work, feed, period)] or [0.0]) for feed in framework.feeds}
        return promised(quality.quality(slices, period=period.start, period_column=framework.cadence,
                                        expected=expected, imputed=worst), table)

    return _commit(work, ("marts", table.table), period, inputs,
                   table.sha256 + content_hash([framework.feeds[feed].version for feed in sorted(arrived)]), compute)


def weights_table(work: Work, period: Period | None = None) -> Outcome:
    """The published weights: alphas, effective weights, standard errors and agreement by wave."""
    table = work.framework.table("weights")
    inputs = {"alphas": str(work.warehouse.data_version("weight", "alphas"))} | {
        wave: item.sha256 for wave, item in work.framework.waves.items()}

    def compute() -> pl.DataFrame:
        committed = work.warehouse.read("weight", "alphas")
        paths = pl.concat([_node_weights(work, link, root)
                           for link in work.framework.links for root in sorted(link.basket)])
        used = sorted({wave for link in work.framework.links for wave in link.wave.values()})
        raw = pl.concat([_scores(work, wave) for wave in used]).join(
            committed.select("wave", "node", "child"), on=["wave", "node", "child"], how="semi")
        frame = dimensions.weights(
            committed, node_weights=paths, agreement=agreement.kendall(raw), errors=agreement.alpha_se(raw),
            waves={wave: (work.framework.waves[wave].effective_from, work.framework.waves[wave].assumption)
                   for wave in used})
        return promised(frame.select([column.name for column in table.columns])
                        .with_columns(pl.col("n_experts").cast(pl.Int64)), table)

    return _commit(work, ("marts", "weights"), None, inputs, table.sha256 + _structure(work), compute)


def dimension(work: Work, period: Period | None = None, *, table: str) -> Outcome:
    """A dimension table from the index's data files: places or groups of one kind, groups and members, aliases, nodes."""
    contract = work.framework.table(table)

    def compute() -> pl.DataFrame:
        return promised(_dimension(work, table), contract)

    return _commit(work, ("marts", table), None,
                   {"geography": work.geography.sha256, "framework": work.framework.sha256}, contract.sha256, compute)


def _dimension(work: Work, table: str) -> pl.DataFrame:
    geography, framework = work.geography, work.framework
    kinds = {entity.table: entity for entity in framework.entities if entity.table}
    if table in kinds:
        contract = framework.table(table)
        group_types = [entity.type for entity in framework.group_types]
        promised_groups = [column.name for column in contract.columns if column.name in group_types]
        if kinds[table].is_group:
            frame = dimensions.groups(geography.groups, geography.membership, kind=kinds[table].type,
                                      group_types=promised_groups)
        else:
            frame = dimensions.places(geography.places, geography.membership, kind=kinds[table].type,
                                      group_types=promised_groups)
        return frame.select([column.name for column in contract.columns])
    if table == "unit_group":
        return dimensions.unit_group(geography.groups, geography.membership)
    if table == "alias":
        return dimensions.alias(geography.aliases)
    rows = [(framework.root_of(node.node), node.node, node.parent, node.name_zh, node.name_en, node.status,
             node.source_partner or None, node.unit, node.kind or None, node.since or None, node.feed, node.measure,
             node.assumption, node.reason or None) for node in framework.nodes]
    text = pl.String
    return pl.DataFrame(rows, orient="row", schema={
        "root": text, "node": text, "parent": text, "name_zh": text, "name_en": text, "status": text,
        "source_partner": text, "unit": text, "kind": text, "since": text, "feed": text, "measure": text,
        "assumption": pl.Boolean, "reason": text})


def dimension_tables(work: Work) -> list[str]:
    """Names of the index's dimension tables."""
    return [str(entity.table) for entity in work.framework.entities if entity.table] + ["unit_group", "alias", "node"]


def publish(work: Work, period: Period | None = None) -> Outcome:
    """Builds the catalogue analysts open, beside the last one, and renames it into place."""
    from dci_pipeline.warehouse.catalogue import build, up_to_date

    if work.dry:
        return Outcome(("marts", "catalogue"), None,
                       "unchanged" if up_to_date(work.warehouse, work.framework) else "stale", -1, "")
    with work.warehouse.lock("catalogue"):
        built = build(work.warehouse, work.framework)
    return Outcome(("marts", "catalogue"), None, "written" if built.changed else "unchanged", built.rows,
                   built.data_version, (), {"file": str(built.path), "tables": built.tables})


def _commit(work: Work, key: tuple[str, str], period: Period | None, inputs: Mapping[str, str], contract: str,
            compute: object) -> Outcome:
    """Commits what `compute` returns, unless the committed partition has this very stamp."""
    assert callable(compute)
    warehouse = work.warehouse
    stamp = warehouse.stamp(inputs, contract=content_hash(contract))
    if warehouse.fresh(*key, period, stamp):
        return Outcome(key, period, "unchanged", -1, str(warehouse.data_version(*key, period)))
    if work.dry:
        return Outcome(key, period, "stale", -1, "")
    frame = compute()
    with warehouse.lock(f"{key[0]}-{key[1]}-{period or 'all'}"):
        done = warehouse.commit(*key, frame, stamp=stamp, period=period)
    return Outcome(key, period, "written" if done.changed else "same", done.rows, done.data_version)


def _of(work: Work, stage: str, table: str, periods: Iterable[Period]) -> dict[str, str]:
    """Data versions of committed partitions, as named inputs of a stamp. Raises Held when one is not there."""
    found: dict[str, str] = {}
    for period in periods:
        version = work.warehouse.data_version(stage, table, period)
        if version is None:
            raise Held("an input is not computed", where=f"{stage}/{table} {period}", found="no partition",
                       expected="a committed one", todo=f"dci run --index {work.index} --from {period} --to {period}")
        found[f"{stage}/{table} {period}"] = version
    return found


def _versions(work: Work, stage: str, table: str, period: Period, partners: Iterable[str]) -> dict[str, str]:
    return {partner: str(work.warehouse.data_version(stage, table, period, partner=partner)) for partner in partners}


def _sums(work: Work, period: Period, feed: str, partners: list[str]) -> pl.DataFrame:
    """Accepted sums of a feed × period: [partner, place, indicator, value, records]."""
    return pl.concat([
        work.warehouse.read("validation", f"{feed}_sums", period, partner=partner)
        .select(pl.lit(partner).alias("partner"), "place", "indicator", "value", "records")
        for partner in partners
    ])


def _passed(work: Work, period: Period, feed: str) -> list[str]:
    """The partners of a validated feed × period. Raises Held when it is not validated or a blocking check failed."""
    arrived = deliveries.current(work.warehouse.layout, feed, period)
    committed = work.warehouse.slices("validation", f"{feed}_verdict", period)
    if not arrived or sorted(arrived) != committed:
        raise Held("a feed is not validated", where=f"{feed} {period}",
                   found="validated: " + (", ".join(committed) or "none"),
                   expected="delivered: " + (", ".join(sorted(arrived)) or "none"),
                   todo=f"dci run --index {work.index} --from {period} --to {period}")
    failures = [*take_stock(work, period, feed=feed).failures,
                *_validated(work, period, feed, committed, written=False).failures]
    if failures:
        raise Held("a blocking check failed", where=f"{feed} {period}",
                   found="; ".join(f"{check.name}: {check.says}" for check in failures),
                   expected="every blocking check passed",
                   todo=f"look at the quarantine of {feed} {period}, ask the partner for a corrected delivery, land it")
    return committed


def _last_existing(work: Work, stage: str, table: str, period: Period) -> Period | None:
    """The latest committed period before this one, at most a year back: whose carried shares go on."""
    for back in range(1, LOOK_BACK + 1):
        earlier = period.shift(-back)
        if work.warehouse.existing(stage, table, [earlier]):
            return earlier
    return None
