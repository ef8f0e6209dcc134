"""The path of the data as declarations: every step of an index in order, with what it reads. No computation here.

Dagster and the command line both build on this list, so a dependency is stated once.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from dci_pipeline.framework import Framework
from dci_pipeline.periods import Period
from dci_pipeline.work import Outcome, Step, Work


def _call(stage: str, name: str, **fixed: str) -> Callable[[Work, Period | None], Outcome]:
    """A step by its stage and name, so that nothing heavy is imported before it runs."""

    def run(work: Work, period: Period | None) -> Outcome:
        step: Callable[..., Outcome] = getattr(import_module(f"dci_pipeline.steps.{stage}"), name)
        return step(work, period, **fixed)

    return run


def path(framework: Framework) -> list[Step]:
    """Every step of an index, each after what it reads."""
    feeds = list(framework.feeds)
    table, quality = f"index_{framework.cadence}", f"quality_{framework.cadence}"
    dimensions = [str(entity.table) for entity in framework.entities if entity.table] + ["unit_group", "alias", "node"]
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
    found += [
        Step(
            ("indicators", "values"),
            "period",
            _call("indicators", "values"),
            tuple((("validation", feed), "same") for feed in feeds),
            "One integer, or nothing, per place and indicator: accepted sums of all partners.",
        ),
        Step(
            ("normalise", "shares"),
            "period",
            _call("normalise", "shares"),
            ((("indicators", "values"), "same"), (("normalise", "shares"), "previous")),
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
            ("index", "points"),
            "period",
            _call("index", "points"),
            ((("normalise", "shares"), "same"), (("normalise", "totals"), "reference"), (("weight", "alphas"), "all")),
            "Level and position of every place and node.",
            (("imputed_share", "No more of the nation is imputed than the index file allows."),),
        ),
        Step(
            ("marts", table),
            "period",
            _call("marts", "index_of_period"),
            ((("index", "points"), "window"),),
            framework.table(table).description,
            published=True,
        ),
        Step(
            ("marts", quality),
            "period",
            _call("marts", "quality_of_period"),
            ((("normalise", "totals"), "same"), *(((("validation", feed)), "same") for feed in feeds)),
            framework.table(quality).description,
            published=True,
        ),
        Step(
            ("marts", "index_year"),
            "year",
            _call("marts", "index_of_year"),
            ((("index", "points"), "history"), (("normalise", "shares"), "history"), (("weight", "alphas"), "all")),
            framework.table("index_year").description,
            published=True,
        ),
        Step(
            ("marts", "weights"),
            "once",
            _call("marts", "weights_table"),
            ((("weight", "alphas"), "all"),),
            framework.table("weights").description,
            published=True,
        ),
    ]
    for name in dimensions:
        found.append(
            Step(
                ("marts", name),
                "once",
                _call("marts", "dimension", table=name),
                (),
                framework.table(name).description,
                published=True,
            )
        )
    published = tuple((step.key, "all") for step in found if step.published)
    found.append(
        Step(
            ("marts", "catalogue"),
            "once",
            _call("marts", "publish"),
            published,
            "The DuckDB file analysts open: every published table with a comment on every column.",
        )
    )
    return found
