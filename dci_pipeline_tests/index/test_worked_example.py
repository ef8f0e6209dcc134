"""Every value of the worked example that these stages define, through the package and again in fractions.

`FOUND` is computed by the package, `EXACT` from the formulas in fractions; both are keyed by the path of the value.
What neither covers is listed with its reason, and the lists together must be the whole example.
"""

from collections.abc import Callable, Sequence
from datetime import date
from fractions import Fraction

import polars as pl
import pytest

from dci_pipeline.index import Index, compute, effective_weights, links, points, reference_means, span_points
from dci_pipeline.normalise import shares, totals
from dci_pipeline.weight import alphas, exact_alphas, kendall, node_weights
from dci_pipeline_tests.index.exact import Exact, lookup
from dci_pipeline_tests.index.worked import DAYS, EXAMPLE, FRACTIONS, main_case

PLACES = ("A", "B", "C")
MAIN, EXTRA = EXAMPLE["main"], EXAMPLE["extra"]
LINK0, LINK1 = main_case().links

OTHER_STAGES = {
    "main.gini_points": "divide and concentration",
    "extra.divide.gini_unweighted": "divide and concentration",
    "extra.divide.hhi": "divide and concentration",
    "extra.intensive_volume_weighted.x": "conversion of ratings, in the indicator's definition",
    "extra.intensive_volume_weighted.mean_quality": "volume-weighted rate",
    "extra.intensive_volume_weighted.volume_effect_bennet": "volume and quality effect",
    "extra.intensive_volume_weighted.quality_effect_bennet": "volume and quality effect",
    "extra.intensive_volume_weighted.sum_check": "volume and quality effect",
}
OUTSIDE_THE_METHOD = {
    "main.option_multiplicative_points": "multiplicative points",
    "extra.intensive_volume_weighted.wrong_share_of_ratings": "the mistake the conversion avoids",
    "extra.experts.alpha_within_expert_normalised": "weights normalised within the expert",
    "extra.experts.kendall_W_no_tie_correction": "W without the correction for ties",
    "extra.divide.hoover": "Hoover index",
    "extra.denton_proportional": "Denton and pro rata benchmarking",
}
FORBIDDEN = {"extra.na_skip_breaks_additivity": "skipping the missing; shown to break below"}


def listed(path: str) -> bool:
    """Whether a path belongs to one of the lists of what is not computed here."""
    return any(
        path == name or path.startswith((f"{name}.", f"{name}["))
        for name in (*OTHER_STAGES, *OUTSIDE_THE_METHOD, *FORBIDDEN)
    )


def scores(node: str, by_child: dict[str, list[int]]) -> pl.DataFrame:
    rows = [(f"expert {i}", node, child, a) for child, given in by_child.items() for i, a in enumerate(given)]
    return pl.DataFrame(rows, schema=["expert", "node", "child", "score"], orient="row")


def period_values(volumes: dict[str, Sequence[int | None]]) -> pl.DataFrame:
    rows = [(place, j, x) for j, given in volumes.items() for place, x in zip(PLACES, given, strict=False)]
    return pl.DataFrame(rows, schema={"place": pl.String, "indicator": pl.String, "value": pl.Int64}, orient="row")


def one_place(volumes: dict[str, Sequence[int]], days: Sequence[date]) -> pl.DataFrame:
    rows = [(day, "nation", j, x) for j, given in volumes.items() for day, x in zip(days, given, strict=True)]
    return pl.DataFrame(rows, schema=["period", "place", "indicator", "value"], orient="row")


def equal_per_link(weights: dict[str, float], chain: pl.DataFrame) -> pl.DataFrame:
    leaves = pl.DataFrame({"indicator": list(weights), "alpha": list(weights.values())})
    return chain.select("link").join(leaves, how="cross")


def weighed() -> dict[str, float]:
    found: dict[str, float] = {}
    for link, by_child in MAIN["data"]["experts"].items():
        for child, alpha in alphas(scores("root", by_child)).select("child", "alpha").iter_rows():
            found[f"main.weights.{link}.{child}"] = alpha
    matrix = scores(
        "root", {f"{j}": list(column) for j, column in enumerate(zip(*EXTRA["experts"]["scores"], strict=True))}
    )
    for child, alpha in alphas(matrix).select("child", "alpha").iter_rows():
        found[f"extra.experts.alpha[{child}]"] = alpha
    agreement = kendall(matrix).row(0, named=True)
    return {**found, "extra.experts.kendall_W_ties": agreement["kendall_w"], "extra.experts.chi2": agreement["chi2"]}


def new_basket_at_its_reference() -> pl.DataFrame:
    """Points and shares of period 1 under the new basket, which are computed but not published."""
    tree = alphas(scores("root", MAIN["data"]["experts"]["1"])).drop("wave")
    volumes = {j: MAIN["data"]["x"][j]["1"] for j in ("1", "3")}
    now = shares(period_values(volumes), period=DAYS[1], previous=None)
    return points(
        now,
        node_weights=node_weights(tree, root="root"),
        reference_totals=reference_means(totals(now)),
        base_points=154.0,
    ).filter(pl.col("node") == "root")


def through_the_links() -> dict[str, float]:
    index: Index = main_case().compute()
    level = [lookup(index.national, "level", period=DAYS[t]) for t in range(3)]
    found = {f"main.level.{t}": level[t] for t in range(3)}
    found |= {f"main.growth.{t}": level[t] / level[t - 1] - 1 for t in (1, 2)}
    found["main.growth.0to2"] = level[2] / level[0] - 1
    new = new_basket_at_its_reference()
    published = {"link0_t0": 0, "link0_t1": 1, "link1_t2": 2}
    chained: list[list[float]] = []
    for i, place in enumerate(PLACES):
        at = [
            index.places.filter(pl.col("place") == place, pl.col("period") == DAYS[t]).row(0, named=True)
            for t in range(3)
        ]
        for name, t in published.items():
            found[f"main.points.{name}[{i}]"] = at[t]["points"]
            found[f"main.share_composite.{name}[{i}]"] = at[t]["share"]
        found[f"main.points.link1_t1[{i}]"] = lookup(new, "points", place=place)
        found[f"main.share_composite.link1_t1[{i}]"] = lookup(new, "share", place=place)
        found[f"main.like_for_like_growth.0[{i}]"] = at[1]["growth_yoy"]
        found[f"main.like_for_like_growth.1[{i}]"] = at[2]["growth_yoy"]
        found[f"main.link_effect_t1[{i}]"] = lookup(index.link_effects, "link_effect_points", place=place)
        found[f"main.city_change_0to2[{i}]"] = at[2]["points"] - at[0]["points"]
        h = [at[0]["points"]]
        h += [h[0] * (1 + at[1]["growth_yoy"]), h[0] * (1 + at[1]["growth_yoy"]) * (1 + at[2]["growth_yoy"])]
        found |= {f"main.like_for_like_chained_points.{place}[{t}]": h[t] for t in range(3)}
        chained.append(h)
    found |= {f"main.like_for_like_sum[{t}]": sum(h[t] for h in chained) for t in range(3)}
    for place in PLACES:
        for j in ("1", "2", "3"):
            part = index.contributions.filter(pl.col("place") == place, pl.col("indicator") == j)
            in_link = dict(part.select("period", "contribution_points").iter_rows())
            if j != "3":
                found[f"main.contributions_link.0.{place}|{j}"] = in_link[DAYS[1]]
            if j != "2":
                found[f"main.contributions_link.1.{place}|{j}"] = in_link[DAYS[2]]
            found[f"main.contributions_0to2.{place}|{j}"] = sum(in_link.values())
    return found


def drifting() -> dict[str, float]:
    found: dict[str, float] = {}
    for link, basket, reference, last in (("0", ("1", "2"), 0, 1), ("1", ("1", "3"), 1, 2)):
        tree = node_weights(alphas(scores("root", MAIN["data"]["experts"][link])).drop("wave"), root="root")
        end, base = (
            totals(
                shares(period_values({j: MAIN["data"]["x"][j][str(t)] for j in basket}), period=DAYS[t], previous=None)
            )
            for t in (last, reference)
        )
        omega = effective_weights(end, reference_means=reference_means(base), node_weights=tree, root="root")
        for j in basket:
            found[f"main.effective_weights_end_of_link.{link}.{j}"] = lookup(omega, "omega", indicator=j)
    fast, slow = [10**t for t in range(4)], [2**t for t in range(4)]
    values, weights = one_place({"fast": fast, "slow": slow}, DAYS), {"fast": 1 / 50, "slow": 49 / 50}
    tree = pl.DataFrame({"node": "root", "child": list(weights), "alpha": list(weights.values())})
    means = pl.DataFrame({"indicator": ["fast", "slow"], "mean_total": [1.0, 1.0]})
    span = {"reference_start": DAYS[0], "reference_end": DAYS[0], "end": DAYS[3]}
    for chaining, path in (("fixed_base", "fixed_base[{t}].level"), ("annual_overlap", "annual_chain_level[{t}]")):
        chain = links(chaining, cadence="year", **span)
        level = compute(values, equal_per_link(weights, chain), chain).national.get_column("level")
        found |= {f"extra.weight_drift.{path.format(t=t)}": level[t] for t in range(4)}
    for t in range(4):
        year = pl.DataFrame({"indicator": ["fast", "slow"], "total": [float(fast[t]), float(slow[t])]})
        omega = effective_weights(
            year, reference_means=means, node_weights=node_weights(tree, root="root"), root="root"
        )
        found[f"extra.weight_drift.fixed_base[{t}].eff_weight_fast"] = lookup(omega, "omega", indicator="fast")
    # a link of one year: growth of one year away from its reference
    found["extra.weight_drift.annual_chain_eff_weight_end_of_link"] = found[
        "extra.weight_drift.fixed_base[1].eff_weight_fast"
    ]
    return found


def imputed() -> dict[str, float]:
    found: dict[str, float] = {}
    case = EXTRA["missing_share_carry_forward"]
    before = shares(period_values({"x": case["prev"]}), period=DAYS[0], previous=None)
    now = shares(period_values({"x": case["current"]}), period=DAYS[1], previous=before)
    name = "extra.missing_share_carry_forward"
    found[f"{name}.imputed_B"] = lookup(now, "estimate", place="B")
    found[f"{name}.total"] = lookup(now, "total", place="B")
    found |= {f"{name}.shares[{i}]": lookup(now, "share", place=place) for i, place in enumerate(PLACES)}
    found[f"{name}.growth_total"] = lookup(now, "total", place="B") / lookup(before, "total", place="B") - 1
    observed = now.drop_nulls("value").join(before, on=["place", "indicator"], suffix="_before")
    found[f"{name}.growth_matched_cities"] = observed["value"].sum() / observed["value_before"].sum() - 1
    two = shares(period_values({"x": EXTRA["missing_two_cities"]["current"]}), period=DAYS[1], previous=before)
    found |= {f"extra.missing_two_cities.imputed[{i}]": lookup(two, "estimate", place=PLACES[i]) for i in range(2)}
    found["extra.missing_two_cities.total"] = lookup(two, "total", place="A")
    return found


def merged() -> dict[str, float]:
    """Two places of the first link become one, in every period of the history."""
    case = main_case()
    apart = Exact({key: x for key, x in case.x.items() if key[0] != DAYS[2] and key[2] != "3"}, [LINK0])
    together: dict[tuple[date, str, str], int] = {}
    for (day, place, j), x in apart.x.items():
        key = (day, "A" if place == "A" else "Jinan", j)
        together[key] = together.get(key, 0) + x
    before, after = apart.compute(), Exact(together, [LINK0]).compute()
    return {
        "extra.merger.points_before.Jinan": lookup(before.places, "points", place="B", period=DAYS[1]),
        "extra.merger.points_before.Laiwu": lookup(before.places, "points", place="C", period=DAYS[1]),
        "extra.merger.points_after.Jinan": lookup(after.places, "points", place="Jinan", period=DAYS[1]),
        "extra.merger.level_unchanged": lookup(after.national, "level", period=DAYS[1]),
        "extra.merger.like_for_like_growth_link0": lookup(after.places, "growth_yoy", place="Jinan", period=DAYS[1]),
    }


def converted() -> dict[str, float]:
    """Shares of converted ratings; in half units, because volumes are integers."""
    found: dict[str, float] = {}
    national: list[float] = []
    for t, given in enumerate(EXTRA["intensive_volume_weighted"]["x"]):
        volumes = [int(2 * Fraction(x["frac"])) for x in given]
        period = shares(period_values({"rating": volumes}), period=DAYS[t], previous=None)
        for i, share in enumerate(period.get_column("share")):
            found[f"extra.intensive_volume_weighted.share[{t}][{i}]"] = share
        national.append(totals(period).get_column("total")[0])
    # the example names the ratio of the two totals "growth"
    found["extra.intensive_volume_weighted.growth_total"] = national[1] / national[0]
    return found


def by_month() -> dict[str, float]:
    case, name = EXTRA["months_years_annual_overlap"], "extra.months_years_annual_overlap"
    # the example's year has three periods: every fourth month stands for one
    days = [date(2000 + year, 1 + month, 1) for year in range(2) for month in (0, 4, 8)]
    volumes = {j: [x for year in given for x in year] for j, given in case["X_monthly"].items()}
    weights = {"1": 0.5, "2": 0.5}
    chain = pl.DataFrame(
        {
            "link": [0, 1],
            "reference_start": [days[0]] * 2,
            "reference_end": [days[2]] * 2,
            "start": [days[0], days[3]],
            "end": [days[2], days[5]],
        }
    )
    index = compute(one_place(volumes, days), equal_per_link(weights, chain), chain)
    level = index.national.get_column("level").to_list()
    found = {f"{name}.months[{i // 3}][{i % 3}]": level[i] for i in range(6)}
    annual: list[float] = []
    for year in range(2):
        stacked = index.places.filter(pl.col("period").dt.year() == 2000 + year).select(
            "period", "place", "points", node=pl.lit("root"), composite_points="points", obs_status=pl.lit("A")
        )
        annual.append(span_points(stacked).get_column("points")[0])
        found[f"{name}.annual[{year}]"] = annual[year]
    growth = index.places.get_column("growth_yoy").to_list()
    found |= {f"{name}.yoy_by_month[{i}]": growth[3 + i] for i in range(3)}
    found[f"{name}.yoy_annual"] = annual[1] / annual[0] - 1
    for j in ("1", "2"):
        part = lookup(index.contributions, "contribution_points", period=days[5], indicator=j)
        found[f"{name}.contrib_month3_pp.{j}"] = part / level[2]
    return found


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


PARTS: tuple[Callable[[], dict[str, float]], ...] = (
    weighed,
    through_the_links,
    drifting,
    imputed,
    merged,
    converted,
    by_month,
)
FOUND: dict[str, float] = {path: value for part in PARTS for path, value in part().items()}
EXACT = in_fractions()


def test_nothing_of_the_example_is_left_out_unsaid() -> None:
    assert len(FRACTIONS) == 189
    assert set(FOUND) == {path for path in FRACTIONS if not listed(path)}


@pytest.mark.parametrize("path", sorted(FOUND))
def test_the_package_gives_the_value(path: str) -> None:
    assert FOUND[path] == pytest.approx(float(FRACTIONS[path]), rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("path", sorted(EXACT))
def test_the_formula_gives_the_fraction(path: str) -> None:
    assert EXACT[path] == FRACTIONS[path]


def test_skipping_the_missing_breaks_what_a_carried_share_keeps() -> None:
    case = EXTRA["na_skip_breaks_additivity"]
    w = [Fraction(text) for text in case["w"]]
    rows = zip(case["s1"], case["s2"], strict=True)
    skipped = [Fraction(a) if b is None else w[0] * Fraction(a) + w[1] * Fraction(b) for a, b in rows]
    name = "extra.na_skip_breaks_additivity"
    assert skipped == [FRACTIONS[f"{name}.composite[{i}]"] for i in range(3)]
    assert sum(skipped) == FRACTIONS[f"{name}.sum"] == Fraction(28, 25)

    before = period_values({"1": [5, 3, 2], "2": [6, 3, 4]})
    now = period_values({"1": [5, 3, 2], "2": [6, None, 4]})
    carried = shares(now, period=DAYS[1], previous=shares(before, period=DAYS[0], previous=None))
    tree = pl.DataFrame({"node": "root", "child": ["1", "2"], "alpha": [float(weight) for weight in w]})
    found = points(
        carried,
        node_weights=node_weights(tree, root="root"),
        reference_totals=reference_means(totals(carried)),
        base_points=100.0,
    )
    assert found.filter(pl.col("node") == "root").get_column("share").sum() == pytest.approx(1, rel=1e-15)


def test_the_links_of_the_example_are_read_as_they_stand() -> None:
    assert [link["reference"] for link in MAIN["data"]["links"]] == [0, 1]
    assert [link["basket"] for link in MAIN["data"]["links"]] == [[1, 2], [1, 3]]
    assert [sorted(link.weights) for link in (LINK0, LINK1)] == [["1", "2"], ["1", "3"]]
