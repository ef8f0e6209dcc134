"""From which columns of which upstream tables every published column is computed: data, for who looks along the path.

A family of tables, the same measures by month, half and year, is declared once. A column that is a constant, or comes
from the index's own data files, has no upstream table and says so by an empty list.
"""

from __future__ import annotations

from collections.abc import Mapping

from dci_pipeline.framework import Framework
from dci_pipeline.work import Key, Step

Source = tuple[Key, str]
"""(stage and table, column)"""

_ENDINGS = ("_month", "_quarter", "_janfeb", "_half", "_year")
_PERIODS = ("month", "quarter", "half", "year", "base_period", "months_covered", "quarters_covered")

_POINTS, _COMPOSITE = "index/points.points", "index/points.composite_points"
_POSITION = ("normalise/shares.estimate", "normalise/shares.total", "weight/alphas.alpha")
_IMPUTED = ("index/points.imputed_share", "normalise/shares.estimate", "normalise/shares.total", "weight/alphas.alpha")
_STATUS = ("index/points.obs_status", "normalise/shares.obs_status")
_CHAINED = (_POINTS, "index/links.points_before", "index/links.points_after")
_LINKED = ("index/links.points_before", "index/links.points_after")
_ROOT_LINKED = ("index/links.composite_before", "index/links.composite_after")
_MEMBERS = ("index/members.points",)
_MEMBERS_CHAINED = (*_MEMBERS, "index/member_links.points_before", "index/member_links.points_after")
_USERS = ("indicators/members.value", "indicators/values.value")
_AMOUNT = ("normalise/shares.estimate",)
_RATE = ("indicators/values.value", "indicators/values.volume")

# Of every table that is made of levels, unless its family says otherwise.
_MEASURED: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_PERIODS, ("index/points.period",)),
    "entity_type": ("index/points.place",),
    "entity_code": ("index/points.place",),
    "scope_type": ("index/points.place",),
    "scope_code": ("index/points.place",),
    "node": ("index/points.node",),
    "n_members": ("index/points.place",),
    "member_type": ("index/points.place",),
    "obs_status": _STATUS,
    "conf_status": (),
    "maturity": ("index/points.obs_status", "index/points.period"),
    "imputed_share": _IMPUTED,
}
_FAMILIES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "index": {
        "points": (_POINTS,),
        "composite_points": (_COMPOSITE,),
        "share": ("index/points.share", *_POSITION),
        "points_share": (_POINTS,),
        "points_share_change_pp": (_POINTS,),
        "mean_points": (_POINTS,),
        "rank": (_POINTS,),
        "rank_change": (_POINTS,),
        "rank_change_yoy": (_POINTS,),
        "growth_mom": _CHAINED,
        "growth_qoq": _CHAINED,
        "growth_yoy": _CHAINED,
        "growth_members_mean": _CHAINED,
        "growth_members_mean_yoy": _CHAINED,
        "cagr": _CHAINED,
        "cagr_2y": _CHAINED,
        "link_effect_points": _LINKED,
    },
    "ranking": {
        "basis": (),
        "value": _CHAINED,
        "rank": _CHAINED,
        "rank_before": _CHAINED,
        "rank_change": _CHAINED,
        "share_of_scope": (_POINTS,),
        "share_of_scope_change_pp": (_POINTS,),
    },
    "breakdown": {
        "dimension": ("index/members.dimension",),
        "member": ("index/members.member",),
        "entity_type": ("index/members.place",),
        "entity_code": ("index/members.place",),
        "node": ("index/members.node",),
        "points": _MEMBERS,
        "mean_points": _MEMBERS,
        "n_members": ("index/members.place",),
        "share_of_entity": _MEMBERS,
        "share_change_pp": _MEMBERS,
        "growth_yoy": _MEMBERS_CHAINED,
        "growth_members_mean": _MEMBERS_CHAINED,
        "rank_in_entity": _MEMBERS,
        "rank_in_entity_change": _MEMBERS,
        "rank_in_member": _MEMBERS,
        "rank_in_member_change": _MEMBERS,
        "growth_rank_in_entity": _MEMBERS_CHAINED,
        "growth_rank_in_entity_change": _MEMBERS_CHAINED,
        "growth_rank_in_member": _MEMBERS_CHAINED,
        "growth_rank_in_member_change": _MEMBERS_CHAINED,
    },
    "contribution": {
        "contribution_points": (_COMPOSITE, *_ROOT_LINKED),
        "contribution_pp": (_COMPOSITE, *_ROOT_LINKED),
        "contribution_rate": (_COMPOSITE, *_ROOT_LINKED),
        "link_effect_points": _ROOT_LINKED,
    },
    "intensive": {"rate": _RATE, "growth_yoy": _RATE, "rank": _RATE, "volume_effect": _RATE, "quality_effect": _RATE},
    "inequality": {"measure": (), "value": _CHAINED},
    "tracker": {
        "value": (*_AMOUNT, _POINTS),
        "unit": (),
        "growth_yoy": _AMOUNT,
        "growth_end_over_begin": _AMOUNT,
        "share_of_nation": _AMOUNT,
        "rank": _AMOUNT,
        "obs_status": ("normalise/shares.obs_status",),
        "maturity": ("normalise/shares.obs_status", "normalise/shares.period"),
        "imputed_share": _AMOUNT,
    },
    "app_category": {
        "member": ("indicators/members.member",),
        "entity_type": ("indicators/members.place",),
        "entity_code": ("indicators/members.place",),
        "penetration": _USERS,
        "penetration_change_pp": _USERS,
        "daily_hours_per_user": _USERS,
        "growth_users": _USERS,
        "growth_hours": _USERS,
        "growth_daily_hours": _USERS,
    },
    "effective_weights": {
        "child": ("weight/alphas.child",),
        "node": ("weight/alphas.node",),
        "omega": ("normalise/totals.total", "weight/alphas.alpha"),
        "concentration": ("normalise/totals.total", "weight/alphas.alpha"),
    },
    "uncertainty": {
        "points_se": (_POINTS, "weight/alphas.alpha"),
        "rank_low": (_POINTS, "weight/alphas.alpha"),
        "rank_high": (_POINTS, "weight/alphas.alpha"),
        "p_top10": (_POINTS, "weight/alphas.alpha"),
    },
}
_WEIGHTS: Mapping[str, tuple[str, ...]] = {
    "wave": ("weight/alphas.wave",),
    "link": ("weight/alphas.link",),
    "effective_from": ("weight/alphas.wave",),
    "node": ("weight/alphas.node",),
    "child": ("weight/alphas.child",),
    "alpha": ("weight/alphas.alpha",),
    "effective_weight": ("weight/alphas.alpha",),
    "se": ("weight/alphas.wave", "weight/alphas.child"),
    "n_experts": ("weight/alphas.n_experts",),
    "kendall_w": ("weight/alphas.wave", "weight/alphas.child"),
    "assumption": ("weight/alphas.assumption",),
}
# Of a feed's validation, whose tables are named after the feed.
_QUALITY: Mapping[str, tuple[str, ...]] = {
    "rows": ("verdict.rows",),
    "rejected_rows": ("rule_counts.unexpected",),
    "rejected_by_rule": ("verdict.rule", "verdict.unexpected"),
    "places_present": ("sums.place",),
    "coverage": ("sums.place",),
    "checks_passed": ("verdict.passed",),
    "checks_failed": ("verdict.passed",),
}
_NAMED = ("entity_code", "scope_code", "node", "member")
_EXHIBITS: Mapping[str, tuple[str, ...]] = {
    "subject": _NAMED,
    "entity_type": ("entity_type", "scope_type"),
    "entity_zh": _NAMED,
    "period": ("month", "quarter", "half", "year"),
}


def lineage(framework: Framework, step: Step) -> dict[str, tuple[Source, ...]]:
    """Published column -> the upstream columns it is computed from, of the tables the step reads; in contract order.

    Empty for a step that publishes nothing.
    """
    if not step.published:
        return {}
    name = step.key[1]
    read = {key for key, _ in step.reads}
    columns = [column.name for column in framework.table(name).columns]
    family = next((name.removesuffix(end) for end in _ENDINGS if name.endswith(end)), name)
    if family in _FAMILIES:
        declared = {**_MEASURED, **_FAMILIES[family]}
        return {column: tuple(map(_source, declared[column])) for column in columns}
    if family == "weights":
        return {column: tuple(map(_source, _WEIGHTS[column])) for column in columns}
    if family == "quality":
        return {column: _of_quality(framework, column) for column in columns}
    if family == "exhibit_values":
        tables = sorted(key for key in read if key[0] == step.key[0])
        return {column: _of_exhibits(framework, tables, column) for column in columns}
    # A dimension, from the index's own data files; or revisions, from what was released.
    return dict.fromkeys(columns, ())


def _source(text: str) -> Source:
    table, _, column = text.partition(".")
    stage, _, name = table.partition("/")
    return (stage, name), column


def _of_quality(framework: Framework, column: str) -> tuple[Source, ...]:
    """Columns of the tables that validation keeps for each feed, as `verdict.rows` of the feed's asset."""
    if column == "imputed_share":
        return ((("normalise", "totals"), "imputed_share"),)
    return tuple((("validation", feed), text) for feed in framework.feeds for text in _QUALITY.get(column, ()))


def _of_exhibits(framework: Framework, tables: list[Key], column: str) -> tuple[Source, ...]:
    """Exhibits select from every published table: the values of any measure, and the keys that name what is shown."""
    keys = _EXHIBITS.get(column, ())
    return tuple(
        (key, item.name)
        for key in tables
        for item in framework.table(key[1]).columns
        if item.name in keys or (column == "value" and item.type in ("number", "integer") and not item.key)
    )
