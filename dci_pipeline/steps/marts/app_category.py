"""The published tables of app categories: by period and half-year."""

from __future__ import annotations

from datetime import date

import polars as pl

from dci_pipeline.data_files import content_hash
from dci_pipeline.findings import Finding
from dci_pipeline.framework import AppCategories, Breakdown
from dci_pipeline.marts.app_category import Scopes, app_category, pairs
from dci_pipeline.marts.promise import promised
from dci_pipeline.periods import Period
from dci_pipeline.steps import spans
from dci_pipeline.steps.commits import commit, versions_of
from dci_pipeline.work import Outcome, Work

# A period is compared with the same one a year before, and with the first of its half-year.
_KEPT = 24


def of_period(work: Work, period: Period | None) -> Outcome:
    """App categories of one period; penetration is compared with the first period of its half-year."""
    assert period is not None
    cadence = work.framework.cadence
    base = _half_of(period).parts(cadence)[0]
    key = pl.lit(period.start, dtype=pl.Date).alias(cadence)
    return _table(work, f"app_category_{cadence}", period, [(period, key, base)])


def of_half(work: Work, period: Period | None) -> Outcome:
    """App categories of a year's halves; penetration is compared between their last and first period."""
    assert period is not None
    cadence = work.framework.cadence
    halves = [(half, pl.lit(half.key).alias("half"), half.parts(cadence)[0]) for half in period.parts("half")]
    return _table(work, "app_category_half", period, halves)


def _table(work: Work, name: str, period: Period, wanted: list[tuple[Period, pl.Expr, Period]]) -> Outcome:
    table = work.framework.table(name)
    apps = work.framework.app_categories
    if apps is None:
        raise Finding(
            "a table without what it is made of",
            where=f"{work.index}/index.yaml",
            found=f"marts/{name}.yaml, and no app_categories",
            expected="app_categories: {dimension, users, seconds}",
            todo="say where users and seconds come from, or take the contract away",
        )
    there: list[tuple[spans.Compared, pl.Expr, Period | None]] = []
    for span, key, base in wanted:
        found = spans.published_parts(work, span, _parts(work, span))
        if found.now:
            there.append((found, key, base if spans.published_parts(work, base, [base]).now else None))
    if not there:
        # Raises, and says what is lacking.
        spans.compared(work, period)
    inputs: dict[str, str] = {}
    for span, _, base in there:
        based = [base] if base is not None else []
        periods: list[Period] = sorted({*span.now, *span.before, *based})
        own = (
            spans.inputs(work, span.now, at=span.last)
            | versions_of(work, "indicators", "members", periods)
            | versions_of(work, "indicators", "values", periods)
        )
        inputs |= {f"{span.span} {key}": version for key, version in own.items()}

    def compute() -> pl.DataFrame:
        return promised(pl.concat([_rows(work, apps, *item) for item in there]), table)

    settings = content_hash([str(apps), [str(_breakdown(work, apps, node)) for node in (apps.users, apps.seconds)]])
    return commit(work, ("marts", name), period, inputs, table.sha256 + settings, compute)


def _rows(work: Work, apps: AppCategories, span: spans.Compared, key: pl.Expr, base: Period | None) -> pl.DataFrame:
    status = spans.span_entities(work, span.now, at=span.last).filter(pl.col("node") == apps.users)
    change: tuple[date, pl.DataFrame, pl.DataFrame] | None = None
    if base is not None:
        change = (base.start, _pairs(work, apps, [base]), _pairs(work, apps, [span.last]))
    return app_category(
        _pairs(work, apps, span.now),
        year_before=_pairs(work, apps, span.before) if span.before else None,
        change=change,
        status=status,
        scopes=work.once("scopes", work.geography.members_hash(span.last), lambda: _scopes(work, span.last)),
        whole=span.whole,
    ).with_columns(key)


def _scopes(work: Work, at: Period) -> Scopes:
    return Scopes(work.geography.members_at(at), work.types, work.framework.nation["code"])


def _pairs(work: Work, apps: AppCategories, items: list[Period]) -> pl.DataFrame:
    key = versions_of(work, "indicators", "members", items) | versions_of(work, "indicators", "values", items)
    return work.once("pairs", tuple(key.items()), lambda: _read_pairs(work, apps, items), most=_KEPT)


def _read_pairs(work: Work, apps: AppCategories, items: list[Period]) -> pl.DataFrame:
    users, seconds = _breakdown(work, apps, apps.users), _breakdown(work, apps, apps.seconds)
    leaf = next(leaf for leaf in work.framework.leaves if leaf.node == apps.users)
    return pairs(
        work.warehouse.read("indicators", "members", items),
        work.warehouse.read("indicators", "values", items),
        column=str(users.column),
        users=(apps.users, _categories(users)),
        seconds=(apps.seconds, _categories(seconds)),
        absent_is_zero=work.framework.feeds[str(leaf.feed)].absent_row == "zero",
    )


def _breakdown(work: Work, apps: AppCategories, node: str) -> Breakdown:
    """The breakdown that splits users, or seconds, by category; `index.yaml` is checked to have it."""
    return next(item for item in work.framework.breakdowns if item.dimension == apps.dimension and item.node == node)


def _categories(breakdown: Breakdown) -> dict[str, str]:
    """Value of the column → member. Raises Finding for a member of several: distinct users do not add."""
    several = [member.member for member in breakdown.members if len(member.of) != 1]
    if several:
        raise Finding(
            "distinct users do not add over categories",
            where=f"index.yaml breakdown {breakdown.dimension!r} of {breakdown.node!r}",
            found=", ".join(several),
            expected="one value of the column for each member",
        )
    return {member.of[0]: member.member for member in breakdown.members}


def _parts(work: Work, span: Period) -> list[Period]:
    return [span] if span.cadence == work.framework.cadence else span.parts(work.framework.cadence)


def _half_of(period: Period) -> Period:
    return period.year().parts("half")[0 if period.start.month <= 6 else 1]
