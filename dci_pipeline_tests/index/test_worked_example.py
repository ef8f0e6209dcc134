"""Every one of the 189 values of the worked example: through the package, and the main case again in fractions.

A value is computed by the stages and the public door, by the published tables, or by both; what METHOD does not define
is listed with the one reason, and the lists together are the whole example.
"""

from fractions import Fraction

import polars as pl
import pytest

from dci_pipeline.index import compute, links, points, reference_means
from dci_pipeline.marts import growth
from dci_pipeline.normalise import shares, totals
from dci_pipeline.weight import exact_alphas, node_weights
from dci_pipeline_tests.index.exact import lookup
from dci_pipeline_tests.index.worked import DAYS, FRACTIONS, main_case
from dci_pipeline_tests.index.worked_stages import (
    EXTRA,
    LINK0,
    LINK1,
    MAIN,
    PLACES,
    equal_per_link,
    one_place,
    period_values,
    scores,
    through_the_stages,
)
from dci_pipeline_tests.index.worked_tables import Main, through_the_tables

OUT_OF_SCOPE = {
    "main.option_multiplicative_points": "multiplicative points: an option METHOD does not take",
    "extra.experts.alpha_within_expert_normalised": "METHOD 1 divides sums of scores, it normalises no expert",
    "extra.experts.kendall_W_no_tie_correction": "METHOD 9 corrects W for ties",
    "extra.divide.hoover": "the Hoover index is out of scope",
    "extra.denton_proportional": "Denton and pro rata benchmarking are out of scope",
}
ROUTES = {"stages": through_the_stages(), "tables": through_the_tables()}
FOUND = sorted((route, path) for route, values in ROUTES.items() for path in values)


def out_of_scope() -> list[str]:
    """The values METHOD does not define."""
    return [
        path
        for path in FRACTIONS
        if any(path.startswith((f"{name}.", f"{name}[")) or path == name for name in OUT_OF_SCOPE)
    ]


def in_fractions() -> dict[str, Fraction]:
    """The main case again, exactly."""
    case, (t0, t1, t2) = main_case(), DAYS[:3]
    level = [case.level([t], case.at(t)) for t in (t0, t1, t2)]
    exact = {f"main.level.{t}": level[t] for t in range(3)}
    exact |= {"main.growth.1": level[1] / level[0] - 1, "main.growth.2": level[2] / level[1] - 1}
    exact["main.growth.0to2"] = level[2] / level[0] - 1
    for link, given in MAIN["data"]["experts"].items():
        exact |= {f"main.weights.{link}.{child}": a for (_, _, child), a in exact_alphas(scores("root", given)).items()}
    sums = [Fraction(0)] * 3
    for i, place in enumerate(PLACES):
        for name, t, k in (("link0_t0", t0, 0), ("link0_t1", t1, 0), ("link1_t1", t1, 1), ("link1_t2", t2, 1)):
            exact[f"main.points.{name}[{i}]"] = case.points(place, [t], k)
            exact[f"main.share_composite.{name}[{i}]"] = case.share(place, t, k) or Fraction(0)
        growth = [case.growth(place, t1, t0) or Fraction(0), case.growth(place, t2, t1) or Fraction(0)]
        exact |= {f"main.like_for_like_growth.{k}[{i}]": growth[k] for k in range(2)}
        first = case.points(place, [t0], 0)
        h = [first, first * (1 + growth[0]), first * (1 + growth[0]) * (1 + growth[1])]
        exact |= {f"main.like_for_like_chained_points.{place}[{t}]": h[t] for t in range(3)}
        sums = [total + part for total, part in zip(sums, h, strict=True)]
        exact[f"main.link_effect_t1[{i}]"] = case.link_effect(place, 1)
        exact[f"main.city_change_0to2[{i}]"] = case.points(place, [t2], 1) - first
        for j in ("1", "2", "3"):
            exact[f"main.contributions_0to2.{place}|{j}"] = case.contribution(place, j, t2, t0)
            for k, (t, base) in enumerate([(t1, t0), (t2, t1)]):
                if j in case.links[k].weights:
                    exact[f"main.contributions_link.{k}.{place}|{j}"] = case.contribution(place, j, t, base)
    return exact | {f"main.like_for_like_sum[{t}]": sums[t] for t in range(3)}


def test_every_value_is_computed_or_out_of_scope() -> None:
    computed = {path for _, path in FOUND}
    assert len(FRACTIONS) == 189
    assert len(computed) + len(out_of_scope()) == 189
    assert computed | set(out_of_scope()) == set(FRACTIONS)


def test_no_reason_stands_for_nothing() -> None:
    for name in OUT_OF_SCOPE:
        assert any(path.startswith(name) for path in out_of_scope()), name


@pytest.mark.parametrize(("route", "path"), FOUND)
def test_the_package_gives_the_value(route: str, path: str) -> None:
    assert ROUTES[route][path] == pytest.approx(float(FRACTIONS[path]), rel=1e-12, abs=1e-13)


EXACT = in_fractions()


@pytest.mark.parametrize("path", sorted(EXACT))
def test_the_formula_gives_the_fraction(path: str) -> None:
    assert EXACT[path] == FRACTIONS[path]


def test_skipping_the_missing_breaks_what_a_carried_share_keeps() -> None:
    assert FRACTIONS["extra.na_skip_breaks_additivity.sum"] == Fraction(28, 25)
    before = period_values({"1": [5, 3, 2], "2": [6, 3, 4]})
    now = period_values({"1": [5, 3, 2], "2": [6, None, 4]})
    carried = shares(now, period=DAYS[1], previous=shares(before, period=DAYS[0], previous=None))
    tree = pl.DataFrame({"node": "root", "child": ["1", "2"], "alpha": [0.6, 0.4]})
    weights = node_weights(tree, root="root")
    found = points(carried, node_weights=weights, reference_totals=reference_means(totals(carried)))
    assert found.filter(pl.col("node") == "root").get_column("share").sum() == pytest.approx(1, rel=1e-15)


def test_what_the_example_gives_without_a_fraction() -> None:
    """CAGR, ranks on both sides of the link, and the drift of a yearly chain that comes back to where it began."""
    case = Main()
    cagr = growth.compound(case.entities(2), case.entities(0), years=2, name="cagr")
    assert lookup(cagr, "cagr", entity_code="N", node="root") == pytest.approx(
        MAIN["growth"]["cagr_0to2_float"], rel=1e-12
    )
    for t, name in enumerate(("t0", "t1_old", "t2")):
        ranks = [lookup(case.entities(t), "rank", entity_code=place, node="root") for place in PLACES]
        assert ranks == MAIN["rank_points"][name]
    drift = EXTRA["chain_drift"]
    span = {"reference_start": DAYS[0], "reference_end": DAYS[0], "end": DAYS[2]}
    for chaining, expected in (("fixed_base", drift["fixed_base"]), ("annual_overlap", drift["annual_chain"])):
        chain = links(chaining, cadence="year", **span)
        weights = equal_per_link({"1": 0.5, "2": 0.5}, chain)
        level = compute(one_place(drift["X"], DAYS[:3]), weights, chain).national.get_column("level").to_list()
        assert level == pytest.approx([float(Fraction(value)) for value in expected], rel=1e-12)


def test_the_links_of_the_example_are_read_as_they_stand() -> None:
    assert [link["reference"] for link in MAIN["data"]["links"]] == [0, 1]
    assert [link["basket"] for link in MAIN["data"]["links"]] == [[1, 2], [1, 3]]
    assert [sorted(link.weights) for link in (LINK0, LINK1)] == [["1", "2"], ["1", "3"]]
