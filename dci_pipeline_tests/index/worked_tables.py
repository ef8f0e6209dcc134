"""The values of the worked example through what the published tables are made of, keyed by the path of the value."""

from datetime import date
from functools import cached_property

import polars as pl

from dci_pipeline.framework import Quality
from dci_pipeline.index import Basket, entry_scales, link_levels, linked_scales, points, reference_means
from dci_pipeline.marts import growth, spread
from dci_pipeline.marts.contribution import contribution, standing
from dci_pipeline.marts.effective import effective_children, span_totals
from dci_pipeline.marts.entities import entities
from dci_pipeline.marts.index_span import index_period
from dci_pipeline.marts.inequality import inequality_year
from dci_pipeline.marts.intensive import Span, bennet, intensive_year, place_sums
from dci_pipeline.marts.linked import linked_entities, with_links
from dci_pipeline.normalise import shares, totals
from dci_pipeline.weight import alphas, node_weights
from dci_pipeline_tests.index.exact import lookup
from dci_pipeline_tests.index.worked import DAYS
from dci_pipeline_tests.index.worked_stages import EXTRA, MAIN, PLACES, period_values, scores

NATION = "N"
TYPES = pl.DataFrame({"place": PLACES, "type": ["city"] * 3, "member": [True] * 3})
# Jinan is B with C, as the merger of the example; a group here, so that both stand in one table.
MEMBERS = pl.DataFrame({"group_type": ["merged"] * 2, "group": ["Jinan"] * 2, "place": ["B", "C"]})
_ABOUT = {"members": MEMBERS, "types": TYPES, "nation": NATION}
LEAVES = ("1", "2", "3")


class Main:
    """The two links of `main` as the steps of a pipeline compute them."""

    @cached_property
    def shares(self) -> list[pl.DataFrame]:
        x = MAIN["data"]["x"]
        given = [{j: x[j][str(t)] for j in LEAVES if str(t) in x[j]} for t in range(3)]
        return [shares(period_values(found), period=DAYS[t], previous=None) for t, found in enumerate(given)]

    @cached_property
    def baskets(self) -> list[Basket]:
        found: list[Basket] = []
        for k, link in enumerate(MAIN["data"]["links"]):
            weights = node_weights(alphas(scores("root", MAIN["data"]["experts"][str(k)])), root="root")
            national = totals(self.shares[link["reference"]])
            scales = (
                linked_scales(national, before=found[0], node_weights=weights, root="root", base_points=100.0)
                if found
                else entry_scales(weights, base_points=100.0)
            )
            inside = pl.col("indicator").is_in([str(j) for j in link["basket"]])
            found.append(Basket(weights, reference_means(national.filter(inside)), scales))
        return found

    @cached_property
    def link(self) -> pl.DataFrame:
        """Both readings of period 1, the reference of the second link."""
        return link_levels(self.shares[1], before=self.baskets[0], after=self.baskets[1])

    def passed(self, t: int) -> list[pl.DataFrame]:
        return [linked_entities(self.link, **_ABOUT)] if t == 2 else []

    def points(self, t: int, link: int) -> pl.DataFrame:
        tree = self.baskets[link]
        return points(
            self.shares[t], node_weights=tree.node_weights, reference_totals=tree.reference_totals, scales=tree.scales
        )

    def entities(self, t: int) -> pl.DataFrame:
        """What is published of period t."""
        frame = with_links(entities(self.points(t, t // 2), **_ABOUT), self.passed(t))
        return growth.with_points_share(growth.with_ranks(frame, ranked=["city"]), nation=NATION)

    def table(self, t: int) -> pl.DataFrame:
        """`index_<period>` of period t, the period before taken for the year before."""
        return index_period(
            self.entities(t),
            before=None,
            year_before=self.entities(t - 1),
            period=DAYS[t],
            period_column="period",
            before_column="growth_before",
            **_ABOUT,
        )

    def contributions(self, t: int, base: int) -> pl.DataFrame:
        both = [standing(self.entities(n), [(1, self.entities(n), self.passed(n))]) for n in (t, base)]
        return contribution(*both, roots=dict.fromkeys(("root", *LEAVES), "root"), nation=NATION, whole=True)


def _of(frame: pl.DataFrame, column: str, code: str, node: str = "root") -> float:
    return lookup(frame, column, entity_code=code, node=node)


def indexed() -> dict[str, float]:
    case = Main()
    level = [case.entities(t) for t in range(3)]
    table = {t: case.table(t) for t in (1, 2)}
    far = growth.growth_on(level[2], level[0], name="grown")
    found = {f"main.level.{t}": _of(level[t], "points", NATION) for t in range(3)}
    found |= {f"main.growth.{t}": _of(table[t], "growth_yoy", NATION) for t in (1, 2)}
    found["main.growth.0to2"] = _of(far, "grown", NATION)
    second = case.points(1, 1)
    published = {"link0_t0": 0, "link0_t1": 1, "link1_t2": 2}
    for i, place in enumerate(PLACES):
        for name, t in published.items():
            found[f"main.points.{name}[{i}]"] = _of(level[t], "points", place)
            found[f"main.share_composite.{name}[{i}]"] = _of(level[t], "share", place)
        found[f"main.points.link1_t1[{i}]"] = lookup(case.link, "points_after", place=place, node="root")
        found[f"main.share_composite.link1_t1[{i}]"] = lookup(second, "share", place=place, node="root")
        for t in (1, 2):
            found[f"main.like_for_like_growth.{t - 1}[{i}]"] = _of(table[t], "growth_yoy", place)
        for t in range(3):
            found[f"main.like_for_like_chained_points.{place}[{t}]"] = _of(level[t], "chained_points", place)
        found[f"main.link_effect_t1[{i}]"] = _of(table[2], "link_effect_points", place)
    for t in range(3):
        chained = [found[f"main.like_for_like_chained_points.{place}[{t}]"] for place in PLACES]
        found[f"main.like_for_like_sum[{t}]"] = sum(chained)
    return found | {
        "extra.merger.points_before.Jinan": _of(level[1], "points", "B"),
        "extra.merger.points_before.Laiwu": _of(level[1], "points", "C"),
        "extra.merger.points_after.Jinan": _of(level[1], "points", "Jinan"),
        "extra.merger.level_unchanged": _of(level[1], "points", NATION),
        "extra.merger.like_for_like_growth_link0": _of(table[1], "growth_yoy", "Jinan"),
    }


def contributed() -> dict[str, float]:
    case = Main()
    found: dict[str, float] = {}
    for name, t, base, leaves in (
        ("contributions_link.0", 1, 0, ("1", "2")),
        ("contributions_link.1", 2, 1, ("1", "3")),
        ("contributions_0to2", 2, 0, LEAVES),
    ):
        table = case.contributions(t, base)
        for place in PLACES:
            for j in leaves:
                found[f"main.{name}.{place}|{j}"] = _of(table, "contribution_points", place, j)
    whole = case.contributions(2, 0)
    for i, place in enumerate(PLACES):
        parts = [_of(whole, name, place) for name in ("contribution_points", "link_effect_points")]
        found[f"main.city_change_0to2[{i}]"] = sum(parts)
    return found


def weighed_by_volume() -> dict[str, float]:
    case, found = Main(), dict[str, float]()
    for k, t in enumerate((1, 2)):
        tree = case.baskets[k]
        children = [str(j) for j in MAIN["data"]["links"][k]["basket"]]
        frame = effective_children(
            span_totals(totals(case.shares[t])),
            reference_means=tree.reference_totals,
            node_weights=tree.node_weights,
            children={"root": children},
        )
        for j in children:
            found[f"main.effective_weights_end_of_link.{k}.{j}"] = lookup(frame, "omega", child=j)
    return found


def spread_out() -> dict[str, float]:
    case, found = Main(), dict[str, float]()
    for t, name in enumerate(("t0", "t1_old", "t2")):
        found[f"main.gini_points.{name}"] = _measure(_unequal(case.entities(t)), "gini")
    after = case.link.filter(pl.col("node") == "root").get_column("points_after").sort().to_list()
    found["main.gini_points.t1_new"] = spread.gini(after) or 0.0
    given = EXTRA["divide"]["points"]
    rows = [("city", place, float(x)) for place, x in zip(PLACES, given, strict=True)] + [("nation", NATION, 100.0)]
    frame = pl.DataFrame(rows, schema=["entity_type", "entity_code", "points"], orient="row").with_columns(
        node=pl.lit("root"), chained_points="points", chain_breaks=0, obs_status=pl.lit("A"), imputed_share=0.0
    )
    table = _unequal(frame)
    return found | {"extra.divide.gini_unweighted": _measure(table, "gini"), "extra.divide.hhi": _measure(table, "hhi")}


def _unequal(now: pl.DataFrame) -> pl.DataFrame:
    return inequality_year(
        now, first=None, year=2000, whole=True, divide="range_over_mean", theil_groups=None, **_ABOUT
    )


def _measure(table: pl.DataFrame, measure: str) -> float:
    return lookup(table, "value", scope_type="nation", node="root", measure=measure)


def rated() -> dict[str, float]:
    """The volume-weighted rating on a scale from 0 to 1, and Bennet's split of the change of volume x rating."""
    case, name = EXTRA["intensive_volume_weighted"], "extra.intensive_volume_weighted"
    rating = Quality("rating", 1, 5, 1)
    found: dict[str, float] = {}
    spans: list[Span] = []
    for t in range(2):
        volumes = case["volume"][t]
        counted = [v * (int(r) - rating.worst) for v, r in zip(volumes, case["rating"][t], strict=True)]
        values = pl.DataFrame(
            {
                "period": [date(2000 + t, 1, 1)] * 3,
                "place": PLACES,
                "indicator": ["stars"] * 3,
                "value": counted,
                "volume": volumes,
            }
        )
        # Points in the unit of the example, x = volume (r - 1) / 4; a table's are these times a scale.
        own = [("city", place, x / 4) for place, x in zip(PLACES, counted, strict=True)]
        rows = [*own, ("nation", NATION, sum(counted) / 4)]
        frame = pl.DataFrame(rows, schema=["entity_type", "entity_code", "points"], orient="row").with_columns(
            node=pl.lit("stars"), obs_status=pl.lit("A"), imputed_share=0.0
        )
        spans.append(Span(frame, place_sums(values, leaves=["stars"])))
    tables = [
        intensive_year(
            now, before=before, qualities={"stars": rating}, ranked=["city"], year=2000, whole=True, **_ABOUT
        )
        for now, before in ((spans[0], None), (spans[1], spans[0]))
    ]
    for t, table in enumerate(tables):
        found[f"{name}.mean_quality[{t}]"] = (_of(table, "rate", NATION, "stars") - 1) / 4
    # The table's volume is points by distance from the worst; its effects are those of the example to the last digit.
    found[f"{name}.volume_effect_bennet"] = _of(tables[1], "volume_effect", NATION, "stars")
    found[f"{name}.quality_effect_bennet"] = _of(tables[1], "quality_effect", NATION, "stars")
    total = [sum(case["volume"][t]) * found[f"{name}.mean_quality[{t}]"] for t in range(2)]
    level = pl.DataFrame({"p": [total[1]], "q": [0.65], "p0": [total[0]], "q0": [0.75]})
    parts = level.select(*(part.alias(str(i)) for i, part in enumerate(bennet("p", "q", "p0", "q0")))).row(0)
    found[f"{name}.sum_check"] = sum(parts)
    return found


def through_the_tables() -> dict[str, float]:
    """Everything above, by path."""
    parts = (indexed, contributed, weighed_by_volume, spread_out, rated)
    return {path: value for part in parts for path, value in part().items()}
