"""The published weights, and the dimensions: places, groups, aliases, nodes."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from dci_pipeline.framework import Framework, Link
from dci_pipeline.marts import dimensions
from dci_pipeline.marts.promise import promised
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import commit
from dci_pipeline.steps.marts.agreement import kendall_check
from dci_pipeline.steps.weight import node_weights, structure_hash, wave_scores
from dci_pipeline.weight import agreement
from dci_pipeline.work import Outcome, Work

# The dimension under which the table of members lists the key indicators.
TRACKER = "tracker"


def weights_table(work: Work, period: Period | None = None) -> Outcome:
    """The published weights: alphas, effective weights, standard errors and agreement by wave."""
    table, links = work.framework.table("weights"), work.framework.links
    inputs = {"alphas": str(work.warehouse.data_version("weight", "alphas"))} | {
        wave: item.sha256 for wave, item in work.framework.waves.items()
    }

    def compute() -> pl.DataFrame:
        committed = work.warehouse.read("weight", "alphas")
        frame = pl.concat([_weights_of(work, link, committed.filter(pl.col("link") == link.link)) for link in links])
        return promised(
            frame.select([column.name for column in table.columns]).with_columns(pl.col("n_experts").cast(pl.Int64)),
            table,
        )

    outcome = commit(work, ("marts", "weights"), None, inputs, table.sha256 + structure_hash(work), compute)
    if work.dry:
        return outcome
    return replace(outcome, checks=(kendall_check(work.warehouse.read("marts", "weights")),))


def _weights_of(work: Work, link: Link, alphas: pl.DataFrame) -> pl.DataFrame:
    """The weights of one link: only what is in its basket was weighed."""
    used = sorted(set(link.wave.values()))
    raw = pl.concat([wave_scores(work, wave) for wave in used]).join(
        alphas.select("wave", "node", "child"), on=["wave", "node", "child"], how="semi"
    )
    waves = {wave: work.framework.waves[wave] for wave in used}
    return dimensions.weights(
        alphas,
        node_weights=pl.concat([node_weights(work, link, root) for root in sorted(link.basket)]),
        agreement=agreement.kendall(raw),
        errors=agreement.alpha_se(raw),
        waves={name: (wave.effective_from, wave.assumption) for name, wave in waves.items()},
    )


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
    if table == "member":
        return _members(framework)
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


def _members(framework: Framework) -> pl.DataFrame:
    """What each member of a breakdown, and each key indicator, is called and rests on."""
    rows = [
        (item.dimension, item.node, member.member, member.name_zh, member.name_en, item.assumption, item.reason or None)
        for item in framework.breakdowns
        for member in item.members
    ]
    rows += [(TRACKER, item.node, item.tracked, item.name_zh, item.name_en, False, None) for item in framework.tracker]
    names = ("dimension", "node", "member", "name_zh", "name_en")
    schema = dict.fromkeys(names, pl.String) | {"assumption": pl.Boolean, "reason": pl.String}
    return pl.DataFrame(rows, orient="row", schema=schema)
