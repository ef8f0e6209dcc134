"""The path of the data as declarations: every step of an index in order, with what it reads. No computation here.

Dagster and the command line both build on this list, so a dependency is stated once.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from dci_pipeline.framework import Framework
from dci_pipeline.periods import Period
from dci_pipeline.work import Key, Outcome, Step, Work


def _call(stage: str, name: str, **fixed: str) -> Callable[[Work, Period | None], Outcome]:
    """A step by its module and name, so that nothing heavy is imported before it runs."""

    def run(work: Work, period: Period | None) -> Outcome:
        step: Callable[..., Outcome] = getattr(import_module(f"dci_pipeline.steps.{stage}"), name)
        return step(work, period, **fixed)

    return run


def path(framework: Framework) -> list[Step]:
    """Every step of an index, each after what it reads. A published table is there when it has a contract."""
    return [*_of_stages(framework), *_published(framework)]


def _of_stages(framework: Framework) -> list[Step]:
    """From deliveries to levels."""
    feeds = list(framework.feeds)
    found: list[Step] = []
    for feed in feeds:
        found.append(
            Step(
                ("feeds", feed),
                "period",
                _call("feeds", "take_stock", feed=feed),
                (),
                f"{framework.feeds[feed].description} Current deliveries of the period, by partner.",
                (("completeness", "Every partner the contract expects has delivered."),),
            )
        )
    for feed in feeds:
        found.append(
            Step(
                ("validation", feed),
                "period",
                _call("validation", "validate", feed=feed),
                ((("feeds", feed), "same"),),
                "Rule counts, quarantine, accepted sums and the contract's verdict on every delivery of the period.",
                (
                    ("contract_rules", "No rule of the contract is broken by more rows than its threshold allows."),
                    ("place_coverage", "Every indicator covers the places the contract promises."),
                ),
            )
        )
    validated = tuple((("validation", feed), "same") for feed in feeds)
    split = any(breakdown.column is not None for breakdown in framework.breakdowns)
    found.append(
        Step(
            ("indicators", "values"),
            "period",
            _call("indicators", "values"),
            validated,
            "One integer, or nothing, per place and indicator: accepted sums of all partners.",
        )
    )
    if split:
        found.append(
            Step(
                ("indicators", "members"),
                "period",
                _call("indicators", "members"),
                validated,
                "Accepted sums of all partners by the members of every breakdown.",
            )
        )
    found += [
        Step(
            ("normalise", "shares"),
            "period",
            _call("normalise", "shares"),
            (
                (("indicators", "values"), "same"),
                (("normalise", "shares"), "stand_in" if framework.late_feed == "provisional" else "previous"),
            ),
            "Share of the national total by place and indicator; missing places carry the share last observed.",
        ),
        Step(
            ("normalise", "totals"),
            "period",
            _call("normalise", "totals"),
            ((("normalise", "shares"), "same"),),
            "National total and imputed share by indicator.",
        ),
        Step(
            ("weight", "alphas"),
            "once",
            _call("weight", "alphas"),
            (),
            "Weights of every wave in use, from the experts' scores.",
        ),
        Step(
            ("index", "links"),
            "once",
            _call("links", "links"),
            (
                (("normalise", "shares"), "references"),
                (("normalise", "totals"), "references"),
                (("weight", "alphas"), "all"),
            ),
            "Scales that keep the level at a link, and its reference under the basket before and its own.",
        ),
        Step(
            ("index", "points"),
            "period",
            _call("index", "points"),
            (
                (("normalise", "shares"), "same"),
                (("normalise", "totals"), "reference"),
                (("index", "links"), "all"),
                (("weight", "alphas"), "all"),
            ),
            "Level and position of every place and node.",
            (("imputed_share", "No more of the nation is imputed than the index file allows."),),
        ),
    ]
    if framework.breakdowns:
        reads = [(("normalise", "shares"), "same"), (("normalise", "totals"), "reference"), (("index", "links"), "all")]
        found += [
            Step(
                ("index", "member_links"),
                "once",
                _call("members", "links"),
                (
                    (("normalise", "shares"), "references"),
                    (("index", "links"), "all"),
                    *([(("indicators", "members"), "references")] if split else []),
                ),
                "The members of every breakdown over a link's reference, under the basket before and its own.",
            ),
            Step(
                ("index", "members"),
                "period",
                _call("members", "members"),
                (*reads, *([(("indicators", "members"), "same")] if split else [])),
                "Points of every place and member of a breakdown, in points of the node it splits.",
            ),
        ]
    return found


# What the published tables read. Levels and shares are compared with every year before, for growth since the first.
_POINTS: tuple[tuple[Key, str], ...] = (
    (("index", "points"), "history"),
    (("normalise", "shares"), "history"),
    (("index", "links"), "all"),
    (("weight", "alphas"), "all"),
)
_WINDOW: tuple[tuple[Key, str], ...] = ((("index", "points"), "window"), (("index", "links"), "all"))
_TWO_YEARS: tuple[tuple[Key, str], ...] = ((("index", "points"), "two_years"), (("index", "links"), "all"))
_MEMBERS: tuple[tuple[Key, str], ...] = ((("index", "members"), "history"), (("index", "member_links"), "all"))
_VALUES: tuple[tuple[Key, str], ...] = (
    (("indicators", "values"), "history"),
    (("normalise", "shares"), "history"),
    (("index", "points"), "history"),
    (("index", "links"), "all"),
    (("weight", "alphas"), "all"),
)


def _published(framework: Framework) -> list[Step]:
    """Every published table that has a contract, then the catalogue."""
    cadence = framework.cadence
    feeds = tuple((("validation", feed), "same") for feed in framework.feeds)
    raw: tuple[tuple[Key, str], ...] = ((("indicators", "members"), "window"), (("indicators", "values"), "window"))
    by_period: list[tuple[str, str, str, tuple[tuple[Key, str], ...]]] = [
        (f"index_{cadence}", "index", "of_period", _WINDOW),
        (
            f"breakdown_{cadence}",
            "breakdown",
            "of_period",
            ((("index", "members"), "two_years"), (("index", "member_links"), "all"), *_TWO_YEARS),
        ),
        (f"contribution_{cadence}", "contribution", "of_period", _WINDOW),
        (f"tracker_{cadence}", "tracker", "of_period", ((("normalise", "shares"), "window"), *_WINDOW)),
        (f"app_category_{cadence}", "app_category", "of_period", (*raw, (("normalise", "shares"), "window"), *_WINDOW)),
        (f"quality_{cadence}", "quality", "of_period", ((("normalise", "totals"), "same"), *feeds)),
    ]
    by_year: list[tuple[str, str, str, tuple[tuple[Key, str], ...]]] = [
        ("index_janfeb", "index", "of_janfeb", _POINTS),
        ("index_half", "index", "of_half", _POINTS),
        ("index_year", "index", "of_year", _POINTS),
        ("ranking_half", "ranking", "of_half", _POINTS),
        ("ranking_year", "ranking", "of_year", _POINTS),
        ("breakdown_half", "breakdown", "of_half", (*_MEMBERS, *_POINTS)),
        ("breakdown_year", "breakdown", "of_year", (*_MEMBERS, *_POINTS)),
        ("contribution_year", "contribution", "of_year", _POINTS),
        ("intensive_year", "intensive", "of_year", _VALUES),
        ("inequality_year", "inequality", "of_year", _POINTS),
        ("tracker_half", "tracker", "of_half", _VALUES),
        ("tracker_year", "tracker", "of_year", _VALUES),
        (
            "app_category_half",
            "app_category",
            "of_half",
            ((("indicators", "members"), "history"), (("indicators", "values"), "history"), *_POINTS),
        ),
        ("effective_weights_year", "effective", "of_year", (*_VALUES, (("normalise", "totals"), "history"))),
        ("uncertainty_year", "uncertainty", "of_year", _POINTS),
    ]
    checks = {
        "effective_weights_year": (
            (
                "effective_weights",
                "No indicator weighs more than twice its weight, and the link is under five years old.",
            ),
        )
    }
    found = [
        Step(("marts", name), scope, _call(f"marts.{module}", call), reads, framework.table(name).description,
             checks.get(name, ()), published=True)
        for scope, tables in (("period", by_period), ("year", by_year))
        for name, module, call, reads in tables
        if name in framework.tables
    ]  # fmt: skip
    if "exhibit_values" in framework.tables:
        within = tuple((step.key, "history") for step in found if step.key[1] != f"quality_{cadence}")
        found.append(
            Step(
                ("marts", "exhibit_values"),
                "year",
                _call("marts.exhibits", "of_year"),
                within,
                framework.table("exhibit_values").description,
                published=True,
            )
        )
    found.append(
        Step(
            ("marts", "weights"),
            "once",
            _call("marts.dimensions", "weights_table"),
            ((("weight", "alphas"), "all"),),
            framework.table("weights").description,
            (("kendall", "The experts agree: Kendall's W is 0.3 or more at every node."),),
            published=True,
        )
    )
    for name in [str(entity.table) for entity in framework.entities if entity.table] + [
        "unit_group",
        "alias",
        "node",
        *(["member"] if "member" in framework.tables else []),
    ]:
        found.append(
            Step(
                ("marts", name),
                "once",
                _call("marts.dimensions", "dimension", table=name),
                (),
                framework.table(name).description,
                published=True,
            )
        )
    found.append(
        Step(
            ("marts", "catalogue"),
            "once",
            _call("marts.publish", "publish"),
            tuple((step.key, "all") for step in found),
            "The DuckDB file analysts open: every published table with a comment on every column.",
        )
    )
    return found
