"""The monthly steps: points, spans, reference means, effective weights, limits."""

import io
import math
from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dci_pipeline.index import (
    compute,
    concentration,
    drifted,
    effective_weights,
    imputed,
    links,
    places_over,
    points,
    reference_means,
    span,
    span_points,
    with_place_limit,
)
from dci_pipeline.normalise import shares, totals
from dci_pipeline.weight import node_weights
from dci_pipeline_tests.index.exact import lookup

Month = dict[str, list[int | None]]
DAYS = [date(2020, month, 1) for month in range(1, 13)]
PLACES = "ABCDEFGH"
# root = g (1/2: one 3/5, two 2/5) and three (1/2)
TREE = node_weights(
    pl.DataFrame({"node": ["r", "r", "g", "g"], "child": ["g", "three", "one", "two"], "alpha": [0.5, 0.5, 0.6, 0.4]}),
    root="r",
)
BASE: Month = {"one": [60, 30, 10], "two": [5, 3, 2], "three": [20, 50, 30]}


def history(months: list[Month]) -> list[pl.DataFrame]:
    """Shares of consecutive months, each carried from the one before."""
    found: list[pl.DataFrame] = []
    for day, month in zip(DAYS, months, strict=False):
        rows = [(PLACES[c], j, x) for j, given in month.items() for c, x in enumerate(given)]
        schema = {"place": pl.String, "indicator": pl.String, "value": pl.Int64}
        values = pl.DataFrame(rows, schema=schema, orient="row")
        found.append(shares(values, period=day, previous=found[-1] if found else None))
    return found


def levels(months: list[Month], *, base_points: float = 100.0) -> list[pl.DataFrame]:
    """Points of consecutive months; the first is the reference."""
    periods = history(months)
    means = reference_means(totals(periods[0]))
    return [points(p, node_weights=TREE, reference_totals=means, base_points=base_points) for p in periods]


@pytest.mark.parametrize(
    ("month", "node", "place", "expected"),
    [
        pytest.param(BASE, "r", "A", (38.0, 38.0, 0.38, 0.0, "A", 1.0), id="the root in its reference"),
        pytest.param(
            BASE, "g", "A", (56.0, 28.0, 0.56, 0.0, "A", 1.0), id="a group: own level and additive in the root"
        ),
        pytest.param(BASE, "two", "C", (20.0, 4.0, 0.2, 0.0, "A", 1.0), id="a leaf"),
        pytest.param(
            {**BASE, "one": [72, None, 33]},
            "one",
            "B",
            (45.0, 13.5, 0.3, 1.0, "E", 1.0),
            id="a carried leaf is all imputed",
        ),
        pytest.param(
            {**BASE, "one": [72, None, 33]},
            "r",
            "B",
            (44.5, 44.5, 0.4, 0.225, "E", 1.0),
            id="the root over a carried leaf",
        ),
        pytest.param({**BASE, "one": [72, None, 33]}, "r", "A", (41.6, 41.6, 0.344, 0.0, "A", 1.0), id="its neighbour"),
        pytest.param(
            {**BASE, "two": [0, 0, 0]}, "g", "A", (36.0, 18.0, 0.6, 0.0, "A", 0.6), id="X = 0: others scaled up"
        ),
        pytest.param({**BASE, "two": [0, 0, 0]}, "two", "A", (0.0, 0.0, None, None, "A", 0.0), id="X = 0: no share"),
        pytest.param({**BASE, "one": [None] * 3}, "g", "A", (None, None, None, None, "M", 1.0), id="undefined above"),
        pytest.param({**BASE, "one": [None] * 3}, "three", "A", (20.0, 10.0, 0.2, 0.0, "A", 1.0), id="and not beside"),
    ],
)
def test_points(month: Month, node: str, place: str, expected: tuple[float | str | None, ...]) -> None:
    row = levels([BASE, month])[1].row(by_predicate=(pl.col("node") == node) & (pl.col("place") == place), named=True)
    names = ("points", "composite_points", "share", "imputed_share", "obs_status", "share_weight")
    for name, want in zip(names, expected, strict=True):
        assert row[name] == (pytest.approx(want, rel=1e-12) if isinstance(want, float) else want), name


def test_columns_and_order() -> None:
    found = levels([BASE])[0]
    names = [
        "period",
        "place",
        "node",
        "points",
        "composite_points",
        "share",
        "imputed_share",
        "obs_status",
        "share_weight",
    ]
    assert found.columns == names
    assert found.select("node", "place").rows() == [(n, c) for n in ("g", "one", "r", "three", "two") for c in "ABC"]


def test_a_place_never_observed_is_marked_and_wholly_imputed() -> None:
    row = levels([{j: [*given, None] for j, given in BASE.items()}])[0].row(
        by_predicate=(pl.col("node") == "r") & (pl.col("place") == "D"), named=True
    )
    assert (row["points"], row["share"], row["imputed_share"], row["obs_status"]) == (0.0, 0.0, 1.0, "M")


@pytest.mark.parametrize(
    ("taken", "message"),
    [
        pytest.param(pl.col("place") == "A", "1 of 9 place x indicator rows are absent", id="a row is absent"),
        pytest.param(pl.col("indicator") == "one", "no positive mean|absent", id="an indicator is absent"),
    ],
)
def test_points_refuse_holes(taken: pl.Expr, message: str) -> None:
    period = history([BASE])[0]
    means = reference_means(totals(period))
    holes = period.filter(~(taken & (pl.col("indicator") == "one")))
    with pytest.raises(ValueError, match=message):
        points(holes, node_weights=TREE, reference_totals=means, base_points=100.0)


def test_points_refuse_several_periods_and_a_leaf_without_reference() -> None:
    two, means = history([BASE, BASE]), reference_means(totals(history([BASE])[0]))
    with pytest.raises(ValueError, match="shares of 2 periods"):
        points(pl.concat(two), node_weights=TREE, reference_totals=means, base_points=100.0)
    with pytest.raises(ValueError, match=r"no positive mean for \['one'\]"):
        points(
            two[0], node_weights=TREE, reference_totals=means.filter(pl.col("indicator") != "one"), base_points=100.0
        )


def test_the_steps_and_the_public_door_agree() -> None:
    months: list[Month] = [BASE, {"one": [72, 45, 33], "two": [6, 6, 4], "three": [40, 120, 40]}]
    rows = [
        (DAYS[t], PLACES[c], j, x) for t, m in enumerate(months) for j, given in m.items() for c, x in enumerate(given)
    ]
    values = pl.DataFrame(rows, schema=["period", "place", "indicator", "value"], orient="row")
    chain = links("fixed_base", reference_start=DAYS[0], reference_end=DAYS[0], end=DAYS[1])
    root = (
        TREE.filter(pl.col("node") == "r").select("indicator", alpha="weight").join(chain.select("link"), how="cross")
    )
    index = compute(values, root, chain)
    steps = pl.concat(levels(months)).filter(pl.col("node") == "r")
    for name in ("points", "share"):
        for day in DAYS[:2]:
            for place in "ABC":
                one = lookup(steps, name, period=day, place=place)
                assert one == pytest.approx(lookup(index.places, name, period=day, place=place), rel=1e-14)


def test_reference_means_are_means_of_the_national_totals() -> None:
    found = reference_means(pl.concat([totals(p) for p in history([BASE, {**BASE, "one": [120, 60, 20]}])]))
    assert found.rows() == [("one", 150.0), ("three", 100.0), ("two", 10.0)]


@pytest.mark.parametrize(
    ("months", "keep", "message"),
    [
        pytest.param(
            [BASE, BASE],
            (pl.col("indicator") == "one") & (pl.col("period") == DAYS[1]),
            "'one': no national total in 1 of 2",
            id="a period is absent",
        ),
        pytest.param([{**BASE, "two": [0, 0, 0]}], pl.lit(False), "'two': mean total 0.0", id="no volume"),
        pytest.param(
            [BASE, {**BASE, "two": [None] * 3}],
            pl.lit(False),
            "'two': the national total of 2020-02-01 is undefined",
            id="undefined",
        ),
        pytest.param([BASE], pl.lit(True), "found no rows", id="nothing"),
    ],
)
def test_reference_means_refuse(months: list[Month], keep: pl.Expr, message: str) -> None:
    rows = pl.concat([totals(p) for p in history(months)]).filter(~keep)
    with pytest.raises(ValueError, match=message):
        reference_means(rows)


def test_effective_weights_drift_with_the_totals() -> None:
    periods = history([BASE, {**BASE, "one": [600, 300, 100]}])
    means = reference_means(totals(periods[0]))
    at_base, later = (effective_weights(totals(p), reference_means=means, node_weights=TREE, root="r") for p in periods)
    assert at_base.get_column("omega").to_list() == pytest.approx([0.3, 0.5, 0.2])
    assert later.get_column("omega").to_list() == pytest.approx([3 / 3.7, 0.5 / 3.7, 0.2 / 3.7])
    assert concentration(at_base) == pytest.approx(1 / 0.38)
    assert drifted(at_base, node_weights=TREE).is_empty()
    assert drifted(later, node_weights=TREE).get_column("indicator").to_list() == ["one"]
    nothing = totals(history([{j: [0, 0, 0] for j in BASE}])[0])
    empty = effective_weights(nothing, reference_means=means, node_weights=TREE, root="r")
    assert empty.get_column("omega").to_list() == [None] * 3
    assert concentration(empty) is None
    with pytest.raises(ValueError, match=r"without total or reference mean \['one'\]"):
        effective_weights(
            totals(periods[0]).filter(pl.col("indicator") != "one"), reference_means=means, node_weights=TREE, root="r"
        )


@pytest.mark.parametrize(
    ("month", "expected"),
    [
        pytest.param(BASE, {"r": 0.0, "g": 0.0, "one": 0.0}, id="complete"),
        pytest.param(
            {**BASE, "one": [72, None, 33]}, {"r": 0.09, "g": 0.18, "one": 0.3}, id="one place of one indicator"
        ),
        pytest.param(
            {**BASE, "one": [None] * 3}, {"r": 0.3, "g": 0.6, "one": 1.0, "three": 0.0}, id="an undefined total"
        ),
        pytest.param(
            {**BASE, "one": [72, None, 33], "two": [0, 0, 0]}, {"r": 0.1125, "g": 0.3, "two": None}, id="beside X = 0"
        ),
    ],
)
def test_the_nations_imputed_share(month: Month, expected: dict[str, float | None]) -> None:
    found = imputed(history([BASE, month])[1], node_weights=TREE)
    for node, want in expected.items():
        got = lookup(found, "imputed_share", node=node)
        assert got == (want if want is None else pytest.approx(want, rel=1e-12)), node


def test_places_above_the_limit_are_named_and_marked() -> None:
    found = levels([BASE, {**BASE, "one": [None, None, 33], "three": [None, 50, 30]}])[1]
    over = places_over(found, node="r", limit=0.3)
    assert over.get_column("place").to_list() == ["A"]
    marked = with_place_limit(found, nodes=["r"], limit=0.3)
    assert marked.filter(pl.col("obs_status") == "M").select("place", "node").rows() == [("A", "r")]
    assert marked.drop("obs_status").equals(found.drop("obs_status"))


def test_a_span_is_the_mean_of_its_periods_and_its_position_is_made_of_summed_volumes() -> None:
    months: list[Month] = [BASE, {"one": [40, 50, 10], "two": [5, 5, 10], "three": [100, 50, 150]}]
    found = span(pl.concat(levels(months)), pl.concat(history(months)), node_weights=TREE)
    names = ["place", "node", "points", "composite_points", "share", "imputed_share", "obs_status", "periods_covered"]
    assert found.columns == names
    row = found.row(by_predicate=(pl.col("node") == "r") & (pl.col("place") == "A"), named=True)
    # p = .3 * 60/100 + .2 * 5/10 + .5 * 20/100 = .38, then .3 * 40/100 + .2 * 5/10 + .5 * 100/100 = .72
    assert row["points"] == pytest.approx(55.0)
    assert row["share"] == pytest.approx(0.3 * 100 / 200 + 0.2 * 10 / 30 + 0.5 * 120 / 400)
    assert (row["imputed_share"], row["obs_status"], row["periods_covered"]) == (0.0, "A", 2)


def test_a_place_with_fewer_periods_keeps_the_sum_over_places() -> None:
    first, second = levels([{j: given[:2] for j, given in BASE.items()}, BASE])
    found = span_points(pl.concat([first, second])).filter(pl.col("node") == "r")
    assert found.get_column("periods_covered").to_list() == [2, 2, 1]
    national = [frame.filter(pl.col("node") == "r").get_column("points").sum() for frame in (first, second)]
    assert found.get_column("points").sum() == pytest.approx(sum(national) / 2)


def test_a_span_takes_the_same_periods_once() -> None:
    found, periods = levels([BASE, BASE]), history([BASE, BASE])
    with pytest.raises(ValueError, match="expected the same periods in both"):
        span(found[0], pl.concat(periods), node_weights=TREE)
    with pytest.raises(ValueError, match="found twice"):
        span_points(pl.concat([found[0], found[0]]))


volumes = st.integers(1, 10**9)


@st.composite
def years(draw: st.DrawFn) -> list[Month]:
    """A few months of three indicators, the later ones with holes."""
    size = draw(st.integers(2, 5))
    full = st.lists(volumes, min_size=size, max_size=size)
    holes = st.lists(st.one_of(volumes, volumes, st.none()), min_size=size, max_size=size).filter(
        lambda x: x[0] is not None
    )
    first: Month = {j: [*draw(full)] for j in BASE}
    return [first, *({j: draw(holes) for j in BASE} for _ in range(draw(st.integers(0, 3))))]


@settings(max_examples=25, deadline=None)
@given(years())
def test_law_sums_over_places_and_nodes(months: list[Month]) -> None:
    for found in levels(months):
        nation = found.group_by("node").agg("points", "composite_points", "share")
        for _, _, _, share in nation.iter_rows():
            assert math.fsum(share) == pytest.approx(1, rel=1e-9)
        for (place,), rows in found.group_by("place"):
            part = dict(rows.select("node", "composite_points").iter_rows())
            assert part["g"] + part["three"] == pytest.approx(part["r"], rel=1e-12), place
            assert part["one"] + part["two"] == pytest.approx(part["g"], rel=1e-12), place
            own = dict(rows.select("node", "points").iter_rows())
            assert own["g"] * 0.5 == pytest.approx(part["g"], rel=1e-12), place
    reference = levels(months)[0].group_by("node").agg("points")
    for _, own in reference.iter_rows():
        assert math.fsum(own) == pytest.approx(100, rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(years())
def test_law_months_average_to_the_span(months: list[Month]) -> None:
    found = levels(months)
    whole = span(pl.concat(found), pl.concat(history(months)), node_weights=TREE)
    for place, node, value in whole.select("place", "node", "points").iter_rows():
        by_month = [lookup(frame, "points", place=place, node=node) for frame in found]
        assert value == pytest.approx(math.fsum(by_month) / len(by_month), rel=1e-12)
    for _, share in whole.group_by("node").agg("share").iter_rows():
        assert math.fsum(share) == pytest.approx(1, rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(years(), st.integers(0, 99))
def test_law_the_order_of_rows_does_not_change_a_byte(months: list[Month], seed: int) -> None:
    def shuffle(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.sample(fraction=1, shuffle=True, seed=seed)

    def written(frame: pl.DataFrame) -> bytes:
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        return buffer.getvalue()

    periods = history(months)
    means = reference_means(totals(periods[0]))
    one = [points(p, node_weights=TREE, reference_totals=means, base_points=100.0) for p in periods]
    other = [
        points(shuffle(p), node_weights=shuffle(TREE), reference_totals=shuffle(means), base_points=100.0)
        for p in periods
    ]
    assert [written(frame) for frame in one] == [written(frame) for frame in other]
    spans = [
        span(pl.concat(one), pl.concat(periods), node_weights=TREE),
        span(shuffle(pl.concat(other)), shuffle(pl.concat(periods)), node_weights=shuffle(TREE)),
    ]
    assert written(spans[0]) == written(spans[1])
    limits = [imputed(p, node_weights=TREE) for p in (periods[-1], shuffle(periods[-1]))]
    assert written(limits[0]) == written(limits[1])
