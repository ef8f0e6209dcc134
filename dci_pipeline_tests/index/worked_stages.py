"""The values of the worked example through the stages and the public door, keyed by the path of the value."""

from collections.abc import Callable, Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from dci_pipeline.index import Index, compute, effective_weights, links, points, reference_means, span_points
from dci_pipeline.normalise import shares, totals
from dci_pipeline.weight import alphas, kendall, node_weights
from dci_pipeline_tests.index.exact import Exact, lookup
from dci_pipeline_tests.index.worked import DAYS, EXAMPLE, main_case
from dci_pipeline_tests.validation.deliveries import Leaf, Quality, contract, frame, row, run

PLACES = ("A", "B", "C")
MAIN, EXTRA = EXAMPLE["main"], EXAMPLE["extra"]
LINK0, LINK1 = main_case().links


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
    """Ratings from a delivery's rows to shares: a scan counts volume x (r - 1), which the 1/4 of the page divides."""
    name, case = "extra.intensive_volume_weighted", EXTRA["intensive_volume_weighted"]
    found: dict[str, float] = {}
    leaf = Leaf("satisfied", "visits", {}, Quality("stars", 1, 5))
    national: list[float] = []
    with TemporaryDirectory() as folder:
        of = contract(Path(folder))
        for t in range(2):
            volumes: list[int] = []
            for i, (visits, stars) in enumerate(zip(case["volume"][t], case["rating"][t], strict=True)):
                delivered = frame([row(1, visits=visits, stars=int(stars))])
                scanned, _ = run("polars", [delivered], Path(folder), of=of, leaves=(leaf,))
                volumes.append(scanned.sums["value"].item())
                found[f"{name}.x[{t}][{i}]"] = volumes[i] / 4
            period = shares(period_values({"rating": volumes}), period=DAYS[t], previous=None)
            found |= {f"{name}.share[{t}][{i}]": share for i, share in enumerate(period.get_column("share"))}
            national.append(totals(period).get_column("total")[0])
    # the example names the ratio of the two totals "growth"
    found[f"{name}.growth_total"] = national[1] / national[0]
    # what the conversion is for: ratings taken as volumes have shares as well, and they mean nothing
    stars = [int(rating) for rating in case["rating"][0]]
    wrong = shares(period_values({"rating": stars}), period=DAYS[0], previous=None).get_column("share")
    return found | {f"{name}.wrong_share_of_ratings[{i}]": share for i, share in enumerate(wrong)}


def skipped() -> dict[str, float]:
    """What is forbidden: each place weighed over the indicators it has, the other weights scaled up."""
    case, name = EXTRA["na_skip_breaks_additivity"], "extra.na_skip_breaks_additivity"
    w = dict(zip("12", case["w"], strict=True))
    composite: list[float] = []
    for i, place in enumerate(PLACES):
        given = {j: Fraction(case[f"s{j}"][i]) for j in "12" if case[f"s{j}"][i] is not None}
        whole = sum(Fraction(w[j]) for j in given)
        tree = pl.DataFrame(
            {"node": "root", "child": list(given), "alpha": [float(Fraction(w[j]) / whole) for j in given]}
        )
        rows = [(place, j, int(10 * s)) for j, s in given.items()] + [
            ("others", j, int(10 - 10 * s)) for j, s in given.items()
        ]
        values = pl.DataFrame(rows, schema=["place", "indicator", "value"], orient="row")
        now = shares(values, period=DAYS[0], previous=None)
        frame_ = points(
            now, node_weights=node_weights(tree, root="root"), reference_totals=reference_means(totals(now))
        )
        composite.append(lookup(frame_, "share", place=place, node="root"))
    return {f"{name}.composite[{i}]": share for i, share in enumerate(composite)} | {f"{name}.sum": sum(composite)}


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


PARTS: tuple[Callable[[], dict[str, float]], ...] = (
    weighed,
    through_the_links,
    drifting,
    imputed,
    merged,
    converted,
    skipped,
    by_month,
)


def through_the_stages() -> dict[str, float]:
    """Everything above, by path."""
    return {path: value for part in PARTS for path, value in part().items()}
