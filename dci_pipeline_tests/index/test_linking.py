"""The pipeline's algebra of links against `compute`, which walks the same history another way (METHOD section 3, 4)."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dci_pipeline.index import Basket, compute, entry_scales, link_levels, linked_scales, points, reference_means
from dci_pipeline.marts.entities import entities
from dci_pipeline.marts.linked import linked_entities, with_links
from dci_pipeline.normalise import shares, totals
from dci_pipeline.weight import node_weights

PLACES = ("a", "b", "c", "d")
# Two links of a tree of two branches; e enters with the second, b1 leaves with it.
TREES = (
    {"root": {"left": 0.6, "right": 0.4}, "left": {"a1": 0.5, "b1": 0.5}, "right": {"c1": 1.0}},
    {"root": {"left": 0.3, "right": 0.7}, "left": {"a1": 1.0}, "right": {"c1": 0.25, "e1": 0.75}},
)
LEAVES = ("a1", "b1", "c1", "e1")
QUARTERS = [date(2018 + n // 4, 3 * (n % 4) + 1, 1) for n in range(12)]
FIRST, SECOND = QUARTERS[:4], QUARTERS[4:8]
# link -> reference, published
LINKS = ((FIRST, QUARTERS[:8]), (SECOND, QUARTERS[8:]))

volumes = st.lists(st.integers(1, 9_999), min_size=192, max_size=192)


def weights_of(tree: dict[str, dict[str, float]]) -> pl.DataFrame:
    rows = [(node, child, alpha) for node, children in tree.items() for child, alpha in children.items()]
    return node_weights(pl.DataFrame(rows, schema=["node", "child", "alpha"], orient="row"), root="root")


def history(numbers: list[int]) -> pl.DataFrame:
    keys = [(quarter, place, leaf) for quarter in QUARTERS for place in PLACES for leaf in LEAVES]
    return pl.DataFrame(
        [(*key, number) for key, number in zip(keys, numbers, strict=True)],
        schema={"period": pl.Date, "place": pl.String, "indicator": pl.String, "value": pl.Int64},
        orient="row",
    )


class Chained:
    """The history as the pipeline computes it: shares, totals, links, points, entities."""

    def __init__(self, values: pl.DataFrame):
        self.shares = {
            quarter: shares(values.filter(pl.col("period") == quarter).drop("period"), period=quarter, previous=None)
            for quarter in QUARTERS
        }
        self.baskets: list[Basket] = []
        self.links: list[pl.DataFrame] = []
        for (reference, _), tree in zip(LINKS, TREES, strict=True):
            stacked = pl.concat([self.shares[quarter] for quarter in reference])
            national, weights = totals(stacked), weights_of(tree)
            means = reference_means(national.filter(pl.col("indicator").is_in(weights["indicator"].unique().implode())))
            before = self.baskets[-1] if self.baskets else None
            scales = (
                entry_scales(weights, base_points=100.0)
                if before is None
                else linked_scales(national, before=before, node_weights=weights, root="root", base_points=100.0)
            )
            self.baskets.append(Basket(weights, means, scales))
            self.links.append(link_levels(stacked, before=before, after=self.baskets[-1]))

    def places(self, quarter: date) -> pl.DataFrame:
        basket = self.baskets[0] if quarter in LINKS[0][1] else self.baskets[1]
        return points(
            self.shares[quarter],
            node_weights=basket.node_weights,
            reference_totals=basket.reference_totals,
            scales=basket.scales,
        )

    def entities(self, quarter: date, members: pl.DataFrame) -> pl.DataFrame:
        types = pl.DataFrame({"place": PLACES, "type": ["city"] * 4, "member": [True] * 4})
        frame = entities(self.places(quarter), members=members, types=types, nation="N")
        passed = self.links[1:] if quarter in LINKS[1][1] else []
        return with_links(frame, [linked_entities(link, members=members, types=types, nation="N") for link in passed])


NO_GROUPS = pl.DataFrame(schema={"group_type": pl.String, "group": pl.String, "place": pl.String})
GROUPS = pl.DataFrame(
    [("pair", "p", "a"), ("pair", "p", "b"), ("pair", "q", "c"), ("pair", "q", "d")],
    schema=["group_type", "group", "place"],
    orient="row",
)


def computed(values: pl.DataFrame):
    alphas = pl.concat(
        [
            weights_of(tree)
            .filter(pl.col("node") == "root")
            .select(pl.lit(link).alias("link"), "indicator", alpha="weight")
            for link, tree in enumerate(TREES)
        ]
    )
    links = pl.DataFrame(
        [(number, ref[0], ref[-1], pub[0], pub[-1]) for number, (ref, pub) in enumerate(LINKS)],
        schema=["link", "reference_start", "reference_end", "start", "end"],
        orient="row",
    )
    return compute(values, alphas, links)


@given(volumes)
@settings(max_examples=30)
def test_levels_growth_and_link_effects_are_those_of_compute(numbers: list[int]) -> None:
    values = history(numbers)
    chained, whole = Chained(values), computed(values)
    base, now = QUARTERS[6], QUARTERS[10]
    frames = {quarter: chained.entities(quarter, NO_GROUPS).filter(pl.col("node") == "root") for quarter in (base, now)}
    expected = whole.places.filter(pl.col("period") == now).sort("place")
    found = (
        frames[now]
        .join(frames[base], on=["entity_type", "entity_code"], suffix="_base")
        .filter(pl.col("entity_type") == "city")
        .sort("entity_code")
    )
    assert found["points"].to_list() == pytest.approx(expected["points"].to_list(), rel=1e-12)
    growth = found["chained_points"] / found["chained_points_base"] - 1.0
    assert growth.to_list() == pytest.approx(expected["growth_yoy"].to_list(), rel=1e-9, abs=1e-12)
    effect = found["link_points"] - found["link_points_base"]
    assert effect.to_list() == pytest.approx(expected["link_effect_points"].to_list(), rel=1e-9, abs=1e-9)
    nation = frames[now].filter(pl.col("entity_type") == "nation")
    level = whole.national.filter(pl.col("period") == now)["level"][0]
    assert nation["points"][0] == pytest.approx(level, rel=1e-12)
    # like for like and the ratio of points agree for the nation
    assert nation["chained_points"][0] == pytest.approx(nation["points"][0], rel=1e-12)


@given(volumes)
@settings(max_examples=30)
def test_contributions_are_those_of_compute_and_add_up(numbers: list[int]) -> None:
    values = history(numbers)
    chained, whole = Chained(values), computed(values)
    base, now = QUARTERS[7], QUARTERS[11]
    changed: dict[tuple[str, str], float] = {}
    moved = 0.0
    frames = {quarter: chained.entities(quarter, NO_GROUPS) for quarter in (base, now)}
    for sign, quarter in ((1.0, now), (-1.0, base)):
        rows = frames[quarter].filter((pl.col("entity_type") == "city") & pl.col("node").is_in(LEAVES))
        for code, node, composite, effect in rows.select(
            "entity_code", "node", "composite_points", "composite_link_points"
        ).iter_rows():
            changed[code, node] = changed.get((code, node), 0.0) + sign * (composite - effect)
    # what has left the basket took its link effect with it
    gone = chained.links[1].filter(pl.col("composite_after").is_null() & pl.col("node").is_in(LEAVES))
    for code, node, before in gone.select("place", "node", "composite_before").iter_rows():
        changed[code, node] += before
    expected = {
        (place, leaf): value
        for place, leaf, value in whole.contributions.filter(pl.col("period") == now)
        .select("place", "indicator", "contribution_points")
        .iter_rows()
    }
    for key, value in expected.items():
        assert changed.get(key, 0.0) == pytest.approx(value, rel=1e-9, abs=1e-9)
    level = {
        quarter: frames[quarter].filter((pl.col("entity_type") == "nation") & (pl.col("node") == "root"))["points"][0]
        for quarter in (base, now)
    }
    assert sum(changed.values()) + moved == pytest.approx(level[now] - level[base], rel=1e-9, abs=1e-9)


@given(volumes)
@settings(max_examples=20)
def test_a_link_does_not_move_the_level_and_its_effects_cancel(numbers: list[int]) -> None:
    chained = Chained(history(numbers))
    link = chained.links[1].filter(pl.col("node") == "root")
    assert link["points_before"].sum() == pytest.approx(link["points_after"].sum(), rel=1e-12)
    leaves = chained.links[1].filter(pl.col("node").is_in(LEAVES))
    change = leaves["composite_after"].fill_null(0.0) - leaves["composite_before"].fill_null(0.0)
    assert change.sum() == pytest.approx(0.0, abs=1e-9)


@given(volumes)
@settings(max_examples=20)
def test_groups_are_rebased_on_summed_points(numbers: list[int]) -> None:
    chained = Chained(history(numbers))
    rows = chained.entities(QUARTERS[9], GROUPS).filter(pl.col("node") == "root")
    link = chained.links[1].filter(pl.col("node") == "root")
    for group, places in (("p", ["a", "b"]), ("q", ["c", "d"])):
        part = link.filter(pl.col("place").is_in(places))
        row = rows.filter((pl.col("entity_type") == "pair") & (pl.col("entity_code") == group)).row(0, named=True)
        factor = part["points_before"].sum() / part["points_after"].sum()
        assert row["chained_points"] == pytest.approx(row["points"] * factor, rel=1e-12)
        effect = part["points_after"].sum() - part["points_before"].sum()
        assert row["link_points"] == pytest.approx(effect, rel=1e-9, abs=1e-9)
    nation = rows.filter(pl.col("entity_type") == "nation")
    assert nation["link_points"][0] == pytest.approx(0.0, abs=1e-9)
    # a leaf that enters has no past: its chain starts with it
    entered = chained.entities(QUARTERS[9], GROUPS).filter(pl.col("node") == "e1")
    assert entered["chained_points"].to_list() == entered["points"].to_list()
