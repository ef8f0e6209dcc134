"""Places, groups and names as data: their numbers, their validity, groups made of two others, what is published."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from dci_pipeline.findings import Finding
from dci_pipeline.geography import Geography, read_geography
from dci_pipeline.marts import dimensions
from dci_pipeline.periods import parse
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import CONTRACTS as ROOT


def geography_of(index: str) -> Geography:
    """The geography as the pipeline reads it, crossed groups and all."""
    return Work(Settings(Path("unused"), ROOT, "polars"), index).geography


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "dci", tmp_path / "dci")
    return tmp_path


def test_the_product_s_geography() -> None:
    geography = read_geography(ROOT / "dci")
    places = geography.places.group_by("type").len().sort("type").rows()
    assert places == [("city", 351), ("residual", 2)]
    groups = dict(geography.groups.group_by("type").len().rows())
    assert groups == {"area7": 7, "belt": 2, "cluster": 11, "province": 31, "region3": 3, "region4": 4, "tier": 5}
    period = parse("2019-06", "month")
    in_province = geography.members_at(period).filter(pl.col("group_type") == "province")
    assert set(in_province["place"]) == set(geography.places_at(period)["code"])


TIERS = {
    "t1": (4, "北京 上海 广州 深圳"),
    "t2": (14, "成都 重庆 杭州 武汉 南京 苏州"),
    "t3": (19, "石家庄 南宁"),
    "t4": (65, "邯郸 临沂"),
    "t5": (249, "玉林 大同 仙桃 神农架 商洛 荆州 咸宁 恩施 临汾 朔州 吕梁 贵港"),
}


def members(geography: Geography, group_type: str, *, primary: bool = False) -> dict[str, set[str]]:
    """Short names of the places of every group of a type."""
    frame = geography.membership.filter(pl.col("group_type") == group_type)
    if primary:
        frame = frame.filter(pl.col("primary") == "1")
    placed = frame.join(geography.places.select("code", "short_zh"), left_on="place", right_on="code")
    return {group: set(names) for group, names in placed.group_by("group").agg("short_zh").iter_rows()}


def test_every_city_has_one_tier_and_the_named_ones_theirs() -> None:
    geography = read_geography(ROOT / "dci")
    by_tier = members(geography, "tier")
    assert {tier: len(names) for tier, names in by_tier.items()} == {tier: size for tier, (size, _) in TIERS.items()}
    assert {tier for tier, (_, names) in TIERS.items() if not set(names.split()) <= by_tier[tier]} == set()
    tiers = geography.membership.filter(pl.col("group_type") == "tier")
    assert tiers["place"].is_unique().all()
    assert set(tiers.join(geography.places, left_on="place", right_on="code")["type"]) == {"city"}
    # Fixed before any window whose growth is compared (METHOD section 7).
    assert set(tiers["valid_from"]) == {date(2015, 1, 1)}
    assert all(
        "assumption:" in source
        for source in geography.groups.filter(pl.col("type").is_in(["tier", "belt"]))["source"].to_list()
    )


def test_a_province_in_both_belts_counts_once() -> None:
    geography = read_geography(ROOT / "dci")
    province = dict(
        geography.membership.filter(pl.col("group_type") == "province")
        .join(geography.groups.filter(pl.col("type") == "province"), left_on="group", right_on="code")
        .select("place", "short_zh")
        .iter_rows()
    )
    belts = geography.membership.filter(pl.col("group_type") == "belt").with_columns(
        province=pl.col("place").replace_strict(province)
    )
    whole = {name: set(part["province"]) for (name,), part in belts.partition_by("group", as_dict=True).items()}
    assert whole["yangtze"] == {"上海", "江苏", "浙江", "安徽", "江西", "湖北", "湖南", "重庆", "四川", "云南", "贵州"}
    assert whole["coast"] & whole["yangtze"] == {"上海", "江苏", "浙江"}
    placed = {code for code, name in province.items() if name in whole["coast"] | whole["yangtze"]}
    assert set(belts["place"]) == placed
    counted = belts.filter(pl.col("primary") == "1")
    assert sorted(counted["place"].to_list()) == sorted(placed)


def test_a_crossed_group_holds_what_both_hold() -> None:
    geography = geography_of("dci")
    clusters, tiers, crossed = (members(geography, kind) for kind in ("cluster", "tier", "cluster_tier"))
    pairs = {
        f"{cluster}:{tier[1:]}": both
        for cluster, some in clusters.items()
        for tier, others in tiers.items()
        if (both := some & others)
    }
    assert crossed == pairs
    assert crossed["prd:4"] == {"中山", "珠海", "江门"}
    names = dict(geography.groups.filter(pl.col("type") == "cluster_tier").select("code", "name_zh").iter_rows())
    assert set(names) == set(pairs)
    assert names["prd:4"] == "珠三角·数字四线城市"
    period = parse("2019-06", "month")
    at = geography.members_at(period)
    in_one = {kind: set(at.filter(pl.col("group_type") == kind)["place"]) for kind in ("cluster", "cluster_tier")}
    assert in_one["cluster"] == in_one["cluster_tier"]
    assert read_geography(ROOT / "dci").sha256 != geography.sha256


def test_crossed_validity_is_the_common_stretch(copy: Path) -> None:
    path = copy / "dci/geography/membership.csv"
    text = path.read_text(encoding="utf-8")
    moved = (
        "130400,tier,t4,1,full,2015-01-01,2018-01-01\n130400,tier,t5,1,full,2018-01-01,\n"
        "130400,cluster,cy,0,partial,,2015-01-01\n"
    )
    path.write_text(text.replace("130400,tier,t4,1,full,2015-01-01,\n", moved), encoding="utf-8")
    geography = read_geography(copy / "dci", {"cluster_tier": ("cluster", "tier")})
    rows = geography.membership.filter((pl.col("group_type") == "cluster_tier") & (pl.col("place") == "130400"))
    first, change = date(2015, 1, 1), date(2018, 1, 1)
    # In 成渝 for a while that ended before tiers began: no group of the two ever held it.
    assert rows.select("group", "primary", "valid_from", "valid_to").sort("group").rows() == [
        ("jjj:4", "1", first, change),
        ("jjj:5", "1", change, None),
        ("zy:4", "0", first, change),
        ("zy:5", "0", change, None),
    ]


CROSSES = {
    "an unknown type": {"x": ("cluster", "teir")},
    "a type that is there": {"tier": ("cluster", "tier")},
    "three types": {"x": ("cluster", "tier", "belt")},
}


@pytest.mark.parametrize("cross", CROSSES)
def test_a_cross_that_cannot_be_made_is_named(cross: str) -> None:
    with pytest.raises(Finding, match=r"geography/groups\.csv.*\n.*cluster") as error:
        read_geography(ROOT / "dci", CROSSES[cross])
    assert "cannot be made of two others" in str(error.value)


def test_crossed_codes_must_differ(copy: Path) -> None:
    path = copy / "dci/geography/groups.csv"
    with path.open("a", encoding="utf-8") as file:
        file.write("tier,x4,Four,Four,Four,,,\n")
    with (copy / "dci/geography/membership.csv").open("a", encoding="utf-8") as file:
        file.write("442000,tier,x4,0,full,,\n")
    with pytest.raises(Finding, match=r"(?s)one code.*prd:4"):
        read_geography(copy / "dci", {"cluster_tier": ("cluster", "tier")})


def test_every_membership_is_published_primary_or_not() -> None:
    geography = geography_of("dci")
    table = dimensions.unit_group(geography.groups, geography.membership)
    assert table.height == geography.membership.height
    assert not table.select(pl.struct("group_type", "group_code", "place").is_duplicated().any()).item()
    shown = table.filter(pl.col("place") == "130400").select("group_type", "group_code", "is_primary").rows()
    assert {("cluster", "jjj", True), ("cluster", "zy", False), ("cluster_tier", "zy:4", False)} <= set(shown)
    assert set(table.filter(~pl.col("is_primary"))["group_type"]) == {"belt", "cluster", "cluster_tier"}


ALIASES = {
    "a code": ("510100", "2019-06", "510100"),
    "a full name": ("成都市", "2019-06", "510100"),
    "a short name": ("成都", "2019-06", "510100"),
    "an English name": ("Chengdu", "2019-06", "510100"),
    "a name several cities share": ("Suzhou", "2019-06", None),
    "a merged city before the merger": ("371200", "2018-12", "370100"),
    "a merged city after it": ("371200", "2019-01", None),
    "a county outside the 351": ("469001", "2019-06", "460000R"),
    "a place that is no more": ("341400", "2019-06", None),
    "a county that moved, before": ("512081", "2016-05", "512000"),
    "a county that moved, after": ("510185", "2016-06", "510100"),
}


@pytest.mark.parametrize("scenario", ALIASES)
def test_aliases_hold_for_their_time(scenario: str) -> None:
    alias, month, place = ALIASES[scenario]
    usable = dict(read_geography(ROOT / "dci").aliases_at(parse(month, "month")).select("alias", "place").iter_rows())
    assert usable.get(alias) == place


def test_known_units_outside_the_index_are_set_aside_not_unknown() -> None:
    aliases = read_geography(ROOT / "dci").aliases_at(parse("2019-06", "month"))
    assert aliases.filter(pl.col("alias") == "710000").select("place", "scope").rows() == [(None, "out")]
