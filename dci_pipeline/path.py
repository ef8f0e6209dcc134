"""The path of the data as declarations: every step of an index in order, with what it reads. No computation here.

Dagster and the command line both build on this list, so a dependency is stated once.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from dci_pipeline.framework import Framework
from dci_pipeline.periods import Period
from dci_pipeline.reads import BEFORE, HISTORY, REFERENCE, SAME, WHOLE, Back, Reading
from dci_pipeline.work import Key, Outcome, Step, Work

Reads = tuple[tuple[Key, Reading], ...]


def _call(stage: str, name: str, **fixed: str) -> Callable[[Work, Period | None], Outcome]:
    """A step by its module and name, so that nothing heavy is imported before it runs."""

    def run(work: Work, period: Period | None) -> Outcome:
        step: Callable[..., Outcome] = getattr(import_module(f"dci_pipeline.steps.{stage}"), name)
        latest: Callable[..., Outcome] = import_module("dci_pipeline.steps.commits").latest
        return latest(work, lambda: step(work, period, **fixed))

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
                ((("feeds", feed), SAME),),
                "Rule counts, quarantine, accepted sums and the contract's verdict on every delivery of the period.",
                (
                    ("contract_rules", "No rule of the contract is broken by more rows than its threshold allows."),
                    ("place_coverage", "Every indicator covers the places the contract promises."),
                ),
            )
        )
    validated = tuple((("validation", feed), SAME) for feed in feeds)
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
            ((("indicators", "values"), SAME), (("normalise", "shares"), BEFORE)),
            "Share of the national total by place and indicator; missing places carry the share last observed.",
        ),
        Step(
            ("normalise", "totals"),
            "period",
            _call("normalise", "totals"),
            ((("normalise", "shares"), SAME),),
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
            "link",
            _call("links", "links"),
            ((("normalise", "shares"), REFERENCE), (("normalise", "totals"), REFERENCE), (("weight", "alphas"), WHOLE)),
            "Scales that keep the level at a link, and its reference under the basket before and its own.",
        ),
        Step(
            ("index", "points"),
            "period",
            _call("index", "points"),
            (
                (("normalise", "shares"), SAME),
                (("normalise", "totals"), REFERENCE),
                (("index", "links"), WHOLE),
                (("weight", "alphas"), WHOLE),
            ),
            "Level and position of every place and node.",
            (("imputed_share", "No more of the nation is imputed than the index file allows."),),
        ),
    ]
    if framework.breakdowns:
        reads = [(("normalise", "shares"), SAME), (("normalise", "totals"), REFERENCE), (("index", "links"), WHOLE)]
        found += [
            Step(
                ("index", "member_links"),
                "link",
                _call("members", "links"),
                (
                    (("normalise", "shares"), REFERENCE),
                    (("index", "links"), WHOLE),
                    *([(("indicators", "members"), REFERENCE)] if split else []),
                ),
                "The members of every breakdown over a link's reference, under the basket before and its own.",
            ),
            Step(
                ("index", "members"),
                "period",
                _call("members", "members"),
                (*reads, *([(("indicators", "members"), SAME)] if split else [])),
                "Points of every place and member of a breakdown, in points of the node it splits.",
            ),
        ]
    return found


def _compared(*steps: int, first: bool = False) -> Reads:
    """What a table of the index reads that compares its span with those so many periods, or years, before."""
    back = Back(steps, first)
    return (
        (("index", "points"), back),
        (("normalise", "shares"), back),
        (("index", "links"), WHOLE),
        (("weight", "alphas"), WHOLE),
    )


def _raw(*steps: int) -> Reads:
    back = Back(steps)
    return ((("indicators", "members"), back), (("indicators", "values"), back))


def _published(framework: Framework) -> list[Step]:
    """Every published table that has a contract, then the catalogue."""
    cadence = framework.cadence
    feeds = tuple((("validation", feed), SAME) for feed in framework.feeds)
    year = framework.links[0].start.per_year
    # A category is compared with the first period of its half-year too.
    half = tuple(range(max(year // 2, 1)))
    on_year, on_two_years = _compared(0, year), _compared(0, year, 2 * year)
    members, member_links = ("index", "members"), ((("index", "member_links"), WHOLE),)
    by_period: list[tuple[str, str, str, Reads]] = [
        (f"index_{cadence}", "index", "of_period", _compared(0, 1, year)),
        (
            f"breakdown_{cadence}",
            "breakdown",
            "of_period",
            ((members, Back((0, year, 2 * year))), *member_links, *on_two_years),
        ),
        (f"contribution_{cadence}", "contribution", "of_period", on_year),
        (f"tracker_{cadence}", "tracker", "of_period", on_year),
        (f"app_category_{cadence}", "app_category", "of_period", (*_raw(*half, year), *_compared(*half, year))),
        (f"quality_{cadence}", "quality", "of_period", ((("normalise", "totals"), SAME), *feeds)),
    ]
    two, three = _compared(0, 1), _compared(0, 1, 2)
    by_year: list[tuple[str, str, str, Reads]] = [
        ("index_janfeb", "index", "of_janfeb", two),
        ("index_half", "index", "of_half", two),
        ("index_year", "index", "of_year", _compared(0, 1, 2, first=True)),
        ("ranking_half", "ranking", "of_half", three),
        ("ranking_year", "ranking", "of_year", three),
        ("breakdown_half", "breakdown", "of_half", ((members, Back((0, 1, 2))), *member_links, *three)),
        ("breakdown_year", "breakdown", "of_year", ((members, Back((0, 1, 2))), *member_links, *three)),
        ("contribution_year", "contribution", "of_year", two),
        ("intensive_year", "intensive", "of_year", ((("indicators", "values"), Back((0, 1))), *two)),
        ("inequality_year", "inequality", "of_year", _compared(0, first=True)),
        ("tracker_half", "tracker", "of_half", two),
        ("tracker_year", "tracker", "of_year", two),
        ("app_category_half", "app_category", "of_half", (*_raw(0, 1), *two)),
        ("effective_weights_year", "effective", "of_year", ((("normalise", "totals"), SAME), *_compared(0))),
        ("uncertainty_year", "uncertainty", "of_year", _compared(0)),
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
        within = tuple((step.key, HISTORY) for step in found if step.key[1] != f"quality_{cadence}")
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
            ((("weight", "alphas"), WHOLE),),
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
    if "revisions" in framework.tables:
        # It reads what has been released, which no step makes.
        found.append(
            Step(
                ("marts", "revisions"),
                "once",
                _call("marts.revisions", "revisions"),
                (),
                framework.table("revisions").description,
                published=True,
            )
        )
    found.append(
        Step(
            ("marts", "catalogue"),
            "once",
            _call("marts.publish", "publish"),
            tuple((step.key, WHOLE) for step in found),
            "The DuckDB file analysts open: every published table with a comment on every column.",
        )
    )
    return found
