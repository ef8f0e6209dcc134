"""The published tables: index by period and year, quality, weights, dimensions, and the catalogue."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from dci_pipeline.data_files import content_hash
from dci_pipeline.findings import Held
from dci_pipeline.marts import dimensions, index_period, index_year, quality
from dci_pipeline.marts.promise import promised
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import commit, slice_versions, versions_of
from dci_pipeline.steps.index import imputed_check, publishable, span_of
from dci_pipeline.steps.validation import expected_leaves, rejected_rows
from dci_pipeline.steps.weight import node_weights, structure_hash, wave_scores
from dci_pipeline.warehouse import deliveries
from dci_pipeline.weight import agreement
from dci_pipeline.work import Outcome, Work


def index_of_period(work: Work, period: Period | None) -> Outcome:
    """The published table of one period: entities, ranks, growth."""
    assert period is not None
    framework, warehouse = work.framework, work.warehouse
    link = framework.link_at(period)
    now = versions_of(work, "index", "points", [period]) | versions_of(work, "normalise", "shares", [period])
    if link is not None:
        check = imputed_check(work, period, link)
        if not check.passed:
            raise Held(
                "too much of the nation is imputed to publish",
                where=f"{work.index} {period}",
                found=check.says,
                expected=f"at most {framework.nation_imputed_limit:.0%}",
                todo="ask the partners for the missing places, then run again",
            )
    table = framework.table(work.period_table)
    around = {"before": period.shift(-1), "year_before": period.year_before()}
    there = {name: item for name, item in around.items() if publishable(work, [item])}
    inputs = (
        now
        | versions_of(work, "index", "points", there.values())
        | {"members": work.geography.members_hash(period), "ranked": ",".join(work.ranked)}
    )

    def compute() -> pl.DataFrame:
        members = work.geography.members_at(period)
        nation = framework.nation["code"]

        def of(item: Period) -> pl.DataFrame:
            return index_period.ranked_entities(
                warehouse.read("index", "points", item),
                members=members,
                types=work.types,
                nation=nation,
                ranked=work.ranked,
            )

        frame = index_period.index_period(
            of(period),
            before=of(there["before"]) if "before" in there else None,
            year_before=of(there["year_before"]) if "year_before" in there else None,
            period=period.start,
            period_column=framework.cadence,
            before_column={"month": "growth_mom", "quarter": "growth_qoq"}[framework.cadence],
            members=members,
            types=work.types,
            nation=nation,
        )
        return promised(frame, table)

    return commit(work, ("marts", table.table), period, inputs, table.sha256, compute)


def index_of_year(work: Work, period: Period | None) -> Outcome:
    """The published table of one year, running or whole: mean level, position of the summed volumes, growth, CAGR."""
    assert period is not None
    framework, warehouse = work.framework, work.warehouse
    table = framework.table("index_year")
    now = _year_parts(work, period)
    if not now:
        raise Held(
            "no period of the year can be published", where=f"{work.index} {period}", todo="run its periods first"
        )
    same_before = [item.year_before() for item in now]
    before = same_before if publishable(work, same_before) == same_before else []
    two_before = _whole_year(work, period.shift(-2))
    first = next((year for year in _years_from_start(work, period) if _whole_year(work, year)), None)
    first_parts = _whole_year(work, first) if first is not None else []
    everything = sorted({*now, *before, *two_before, *first_parts})
    inputs = (
        versions_of(work, "index", "points", everything)
        | versions_of(work, "normalise", "shares", everything)
        | {
            "members": work.geography.members_hash(period),
            "ranked": ",".join(work.ranked),
            "weights": str(warehouse.data_version("weight", "alphas")),
        }
    )

    def compute() -> pl.DataFrame:
        members = work.geography.members_at(now[-1])
        nation = framework.nation["code"]

        def of(items: list[Period]) -> pl.DataFrame:
            return index_period.ranked_entities(
                span_of(work, items), members=members, types=work.types, nation=nation, ranked=work.ranked
            )

        frame = index_year.index_year(
            of(now),
            same_periods_before=of(before) if before else None,
            first=(first.start.year, of(first_parts)) if first is not None else None,
            two_before=of(two_before) if two_before else None,
            year=period.start.year,
            covered=len(now),
            whole=now[0].per_year,
            covered_column=f"{framework.cadence}s_covered",
            members=members,
            types=work.types,
            nation=nation,
        )
        return promised(frame, table)

    return commit(
        work, ("marts", "index_year"), period, inputs, table.sha256 + f"{framework.place_imputed_limit}", compute
    )


def _year_parts(work: Work, year: Period) -> list[Period]:
    return publishable(work, year.parts(work.framework.cadence))


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
    # A period held back before its shares are made shows its deliveries all the same; what is imputed is then unknown.
    shared = warehouse.existing("normalise", "totals", [period])
    inputs = {"places": work.geography.members_hash(period)} | versions_of(work, "normalise", "totals", shared)
    for feed, found in arrived.items():
        inputs |= {f"{feed}.delivery.{partner}": item.sha256 for partner, item in found.items()}
        inputs |= {
            f"{feed}.verdict.{name}": version
            for name, version in slice_versions(work, "validation", f"{feed}_verdict", period, sorted(found)).items()
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
                framework.feeds[feed].version,
            )
            for feed, found in sorted(arrived.items())
            for partner in sorted({*framework.feeds[feed].partners, *found})
        ]
        members = {entity.type for entity in framework.place_types if entity.member}
        expected = work.geography.places_at(period).filter(pl.col("type").is_in(sorted(members)))["code"].to_list()
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

    return commit(
        work,
        ("marts", table.table),
        period,
        inputs,
        table.sha256 + content_hash([framework.feeds[feed].version for feed in sorted(arrived)]),
        compute,
    )


def weights_table(work: Work, period: Period | None = None) -> Outcome:
    """The published weights: alphas, effective weights, standard errors and agreement by wave."""
    table = work.framework.table("weights")
    inputs = {"alphas": str(work.warehouse.data_version("weight", "alphas"))} | {
        wave: item.sha256 for wave, item in work.framework.waves.items()
    }

    def compute() -> pl.DataFrame:
        committed = work.warehouse.read("weight", "alphas")
        paths = pl.concat(
            [node_weights(work, link, root) for link in work.framework.links for root in sorted(link.basket)]
        )
        used = sorted({wave for link in work.framework.links for wave in link.wave.values()})
        raw = pl.concat([wave_scores(work, wave) for wave in used]).join(
            committed.select("wave", "node", "child"), on=["wave", "node", "child"], how="semi"
        )
        frame = dimensions.weights(
            committed,
            node_weights=paths,
            agreement=agreement.kendall(raw),
            errors=agreement.alpha_se(raw),
            waves={
                wave: (work.framework.waves[wave].effective_from, work.framework.waves[wave].assumption)
                for wave in used
            },
        )
        return promised(
            frame.select([column.name for column in table.columns]).with_columns(pl.col("n_experts").cast(pl.Int64)),
            table,
        )

    return commit(work, ("marts", "weights"), None, inputs, table.sha256 + structure_hash(work), compute)


def dimension(work: Work, period: Period | None = None, *, table: str) -> Outcome:
    """A dimension table from the index's data files: places or groups of a kind, members, aliases, nodes."""
    contract = work.framework.table(table)

    def compute() -> pl.DataFrame:
        return promised(_dimension(work, table), contract)

    return commit(
        work,
        ("marts", table),
        None,
        {"geography": work.geography.sha256, "framework": work.framework.sha256},
        contract.sha256,
        compute,
    )


def _dimension(work: Work, table: str) -> pl.DataFrame:
    geography, framework = work.geography, work.framework
    kinds = {entity.table: entity for entity in framework.entities if entity.table}
    if table in kinds:
        contract = framework.table(table)
        group_types = [entity.type for entity in framework.group_types]
        promised_groups = [column.name for column in contract.columns if column.name in group_types]
        if kinds[table].is_group:
            frame = dimensions.groups(
                geography.groups, geography.membership, kind=kinds[table].type, group_types=promised_groups
            )
        else:
            frame = dimensions.places(
                geography.places, geography.membership, kind=kinds[table].type, group_types=promised_groups
            )
        return frame.select([column.name for column in contract.columns])
    if table == "unit_group":
        return dimensions.unit_group(geography.groups, geography.membership)
    if table == "alias":
        return dimensions.alias(geography.aliases)
    rows = [
        (
            framework.root_of(node.node),
            node.node,
            node.parent,
            node.name_zh,
            node.name_en,
            node.status,
            node.source_partner or None,
            node.unit,
            node.kind or None,
            node.since or None,
            node.feed,
            node.measure,
            node.assumption,
            node.reason or None,
        )
        for node in framework.nodes
    ]
    text = pl.String
    return pl.DataFrame(
        rows,
        orient="row",
        schema={
            "root": text,
            "node": text,
            "parent": text,
            "name_zh": text,
            "name_en": text,
            "status": text,
            "source_partner": text,
            "unit": text,
            "kind": text,
            "since": text,
            "feed": text,
            "measure": text,
            "assumption": pl.Boolean,
            "reason": text,
        },
    )


def publish(work: Work, period: Period | None = None) -> Outcome:
    """Builds the catalogue analysts open, beside the last one, and renames it into place."""
    from dci_pipeline.warehouse.catalogue import build, up_to_date

    if work.dry:
        return Outcome(
            ("marts", "catalogue"), None, "unchanged" if up_to_date(work.warehouse, work.framework) else "stale", -1, ""
        )
    with work.warehouse.lock("catalogue"):
        built = build(work.warehouse, work.framework)
    return Outcome(
        ("marts", "catalogue"),
        None,
        "written" if built.changed else "unchanged",
        built.rows,
        built.data_version,
        (),
        {"file": str(built.path), "tables": built.tables},
    )
