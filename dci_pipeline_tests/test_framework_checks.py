"""Mistakes in an index file, one by one: each is refused by a Finding with file, key, and what could stand there.

Feeds, geography and scores have theirs in test_data_contracts.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from dci_pipeline.findings import Finding
from dci_pipeline.framework_files import read_framework
from dci_pipeline_tests.conftest import CONTRACTS

RATING = "quality: {column: quality_rating, worst: 100, best: 500, per: 100}"
CLOUD = "{tracked: cloud_usage, node: cloud_usage_volume, name_zh: 用云量, name_en: Cloud usage, form: index"
SUBSCRIBERS = "  - node: subscribers\n"
SECOND = """\
  - link: {name}
    reference_start: "{first}"
    reference_end: "{last}"
    start: "{start}"
    wave: {{digital_first: survey_2015, dci: survey_2015}}
    basket: {{digital_first: [mobile_traffic], dci: [life]}}

missing: {{late_feed"""


def second(name: str = "next", first: str = "2016-01", last: str = "2016-12", start: str = "2017-01") -> str:
    """A second link before the key `missing`."""
    return SECOND.format(name=name, first=first, last=last, start=start)


BEFORE_MISSING = "\nmissing: {late_feed"

MISTAKES: dict[str, tuple[str, str, str, str]] = {
    # what is written, what it becomes, where it is found, what is said
    "a quality that is no measure": (
        RATING,
        RATING.replace("quality_rating", "quality_ratng"),
        "node 'service_quality'",
        "not a measure of the feed.*found: +quality_ratng.*quality_rating",
    ),
    "a quality of a text": (
        RATING,
        RATING.replace("quality_rating", "city"),
        "node 'service_quality'",
        "not a measure of the feed",
    ),
    "a quality whose best is its worst": (
        RATING,
        RATING.replace("best: 500", "best: 100"),
        "node 'service_quality' quality",
        "cannot differ.*worst 100, best 100.*apart",
    ),
    "a quality per nothing": (
        RATING,
        RATING.replace("per: 100", "per: 0"),
        "node 'service_quality' quality",
        "per above 0",
    ),
    "a quality without its worst": (
        RATING,
        "quality: {column: quality_rating, best: 500, per: 100}",
        "node 'service_quality' quality",
        "missing key 'worst'",
    ),
    "a quality in words": (
        RATING,
        RATING.replace("best: 500", "best: five"),
        "node 'service_quality' quality",
        "best is not a number.*'five'",
    ),
    "a quality by halves": (
        RATING,
        RATING.replace("best: 500", "best: 4.5"),
        "node 'service_quality' quality",
        "best is not a whole number.*4.5",
    ),
    "an unknown key of a quality": (
        RATING,
        RATING.replace("worst", "wurst"),
        "node 'service_quality' quality",
        "unknown key 'wurst'",
    ),
    "a breakdown of no node": (
        "node: usage_duration\n    name_zh: 应用类别",
        "node: usage_durations\n    name_zh: 应用类别",
        "breakdown 'app_category' of 'usage_durations'",
        "unknown node",
    ),
    "a member that is no value of the column": (
        "{member: 数据库,",
        "{member: 数据酷,",
        "breakdown 'service' of 'cloud_usage'",
        "not a value of the column.*数据酷.*数据库",
    ),
    "a member that is no child": (
        "of: [paas]",
        "of: [pass]",
        "breakdown 'layer' of 'cloud_usage'",
        "not a child of the node.*pass.*paas",
    ),
    "a member twice": (
        "{member: 数据库, name_zh: 数据库",
        "{member: 存储, name_zh: 数据库",
        "breakdown 'service' of 'cloud_usage'",
        "each once.*found: +存储",
    ),
    "a value in two members": (
        "of: [电商, 生活互联, 智慧零售]",
        "of: [电商, 生活互联, 智慧零售, 游戏]",
        "breakdown 'sector_group' of 'cloud_usage'",
        "each once.*found: +游戏",
    ),
    "the reserved member": (
        "{member: pure_digital,",
        "{member: unallocated,",
        "breakdown 'sector_group' of 'cloud_usage'",
        "a reserved member.*unallocated",
    ),
    "a breakdown by no column of the feed": (
        "column: service\n",
        "column: servce\n",
        "breakdown 'service' of 'cloud_usage'",
        "not a dimension of the feed.*servce in cloud_usage.*service",
    ),
    "persons put together": (
        "{member: 移动社交, ",
        "{member: 移动社交, of: [移动社交, all], ",
        "breakdown 'app_category' of 'active_users'",
        "distinct persons",
    ),
    "an unknown form of a key indicator": (
        f"{CLOUD}, unit",
        f"{CLOUD.replace('form: index', 'form: indexed')}, unit",
        "tracker 'cloud_usage'",
        "unknown form.*form indexed.*index, absolute, or ratio",
    ),
    "a ratio to nothing": (", per: subscribers}", "}", "tracker 'traffic_per_subscriber'", "ratio with per"),
    "points per something": (
        f"{CLOUD}, unit",
        f"{CLOUD}, per: subscribers, unit",
        "tracker 'cloud_usage'",
        "form index, per subscribers",
    ),
    "a key indicator of a node that is no indicator": (
        "tracked: cloud_usage, node: cloud_usage_volume",
        "tracked: cloud_usage, node: industry",
        "tracker 'cloud_usage'",
        "unknown indicator.*industry",
    ),
    "a ratio to an unknown indicator": (
        "per: subscribers}",
        "per: subscriber}",
        "tracker 'traffic_per_subscriber'",
        "unknown indicator.*subscriber",
    ),
    "a divisor of zero": (
        "unit: hours per user and day, divisor: 3600",
        "unit: hours per user and day, divisor: 0",
        "tracker 'daily_hours_per_user'",
        "above 0",
    ),
    "an unknown divide": (
        "measure: range_over_mean",
        "measure: range_by_mean",
        "divide",
        "unknown measure of the divide.*range_by_mean.*range_over_mean, mean_over_min, p50_p10, p75_p25, p80_p20",
    ),
    "Theil by no group": (
        "theil_groups: province",
        "theil_groups: provinces",
        "divide",
        "unknown kind of group.*provinces.*province",
    ),
    "app categories of no breakdown": (
        "app_categories: {dimension: app_category, users: active_users",
        "app_categories: {dimension: app_category, users: transactions",
        "app_categories",
        "not a breakdown of the index.*app_category of transactions",
    ),
    "app categories without users": (
        "app_categories: {dimension: app_category, users: active_users,",
        "app_categories: {dimension: app_category,",
        "app_categories",
        "missing key 'users'",
    ),
    "rankings in no group": (
        "scopes: [nation, cluster",
        "scopes: [nation, clusters",
        "ranking.scopes",
        "unknown kind of group.*clusters.*cluster,",
    ),
    "rankings by city": ("scopes: [nation,", "scopes: [city,", "ranking.scopes", "unknown kind of group.*city"),
    "an unknown chaining": (
        "chaining: fixed_base",
        "chaining: monthly",
        "chaining",
        "unknown chaining.*monthly.*fixed_base or annual_overlap.*chaining by month is not offered",
    ),
    "a yearly link on nine months": (
        "chaining: fixed_base",
        "chaining: annual_overlap",
        "link 'base2015'",
        "one whole year.*2015-04 to 2015-12.*2015-01 and the 11 periods after it",
    ),
    "a link that starts with the one before": (
        BEFORE_MISSING,
        second(start="2015-01"),
        "link 'next'",
        "links that do not follow each other.*start 2015-01.*after 2015-01",
    ),
    "a link that ends before it starts": (
        BEFORE_MISSING,
        second(start='2017-01"\n    end: "2016-12'),
        "link 'next'",
        "ends before it starts.*start 2017-01, end 2016-12",
    ),
    "a gap between links": (
        '    reference_end: "2015-12"\n',
        '    reference_end: "2015-12"\n    end: "2016-06"\n',
        "link 'next'",
        "do not follow each other.*start 2017-01, the link before ends 2016-06",
    ),
    "a reference before the link before": (
        BEFORE_MISSING,
        second(first="2014-12"),
        "link 'next'",
        "a reference outside the link before.*2014-12 to 2016-12.*within 2015-01 to 2016-12",
    ),
    "a reference in the link itself": (
        BEFORE_MISSING,
        second(last="2017-01"),
        "link 'next'",
        "a reference outside the link before.*2016-01 to 2017-01",
    ),
    "a reference turned round": (
        BEFORE_MISSING,
        second(first="2016-12", last="2016-01"),
        "link 'next'",
        "ends before it begins.*2016-12 to 2016-01",
    ),
    "a link twice": (BEFORE_MISSING, second(name="base2015"), "links", "a link is listed twice.*base2015"),
    "a link on no month": (
        'reference_start: "2015-04"',
        'reference_start: "2015-13"',
        "link 'base2015' reference_start",
        "not a month.*2015-13",
    ),
    "a link without waves": (
        "    wave: {digital_first: survey_2015, dci: survey_2015}\n",
        "",
        "link 'base2015'",
        "missing key 'wave'",
    ),
    "a wave for one tree only": (
        "wave: {digital_first: survey_2015, dci: survey_2015}",
        "wave: {dci: survey_2015}",
        "link 'base2015'",
        "wave and basket name the same trees.*wave \\['dci'\\]",
    ),
    "an unknown wave": (
        "dci: survey_2015}",
        "dci: survey_2016}",
        "link 'base2015'",
        "unknown wave.*survey_2016.*survey_2015",
    ),
    "a leaf in the basket of another tree": (
        "dci:\n        - finance\n",
        "dci:\n        - mobile_traffic\n",
        "link 'base2015'",
        "not an active leaf of this tree.*mobile_traffic.*finance",
    ),
    "types of place on a leaf": (
        "    parent: digital_first\n    name_zh: 移动数据流量\n",
        "    parent: digital_first\n    places: [city]\n    name_zh: 移动数据流量\n",
        "node 'mobile_traffic'",
        "only a root names its types of place.*found: +city",
    ),
    "an unknown type of place": (
        "  - node: dci\n    parent: null\n",
        "  - node: dci\n    parent: null\n    places: [citty]\n",
        "node 'dci'",
        "only a root names its types of place.*citty.*city, residual",
    ),
    "a cross of groups that are not listed": (
        "of: [cluster, tier]",
        "of: [cluster, teir]",
        "entities 'cluster_tier'",
        "a cross of groups that are not listed.*cluster, teir",
    ),
    "a cross of three": ("of: [cluster, tier]", "of: [cluster, tier, belt]", "entities 'cluster_tier'", "two of"),
    "an indicator beside the trees with a parent": (
        SUBSCRIBERS,
        SUBSCRIBERS + "    parent: dci\n",
        "auxiliary 'subscribers'",
        "has a feed and no parent.*parent dci, feed mobile_traffic",
    ),
    "an indicator beside the trees of no measure": (
        "    measure: subscribers\n",
        "    measure: subscriber\n",
        "auxiliary 'subscribers'",
        "not a measure of the feed.*bytes, subscribers",
    ),
    "an indicator beside the trees named as a leaf": (
        SUBSCRIBERS,
        "  - node: mobile_traffic\n",
        "",
        "a node is listed twice.*mobile_traffic",
    ),
    "a node above itself": (
        "  - node: industry\n    parent: dci\n",
        "  - node: industry\n    parent: cloud_usage\n",
        "node 'industry'",
        "a node above itself.*industry under cloud_usage under industry",
    ),
    "an unknown policy for a late feed": (
        "late_feed: waits",
        "late_feed: guessed",
        "missing.late_feed",
        "unknown policy.*guessed.*waits .*provisional",
    ),
    "no policy for a late feed": ("{late_feed: waits, ", "{", "missing", "missing key 'late_feed'"),
    "a limit in words": (
        "nation_imputed_limit: 0.05",
        "nation_imputed_limit: 5%",
        "missing",
        "nation_imputed_limit is not a number.*'5%'",
    ),
    "periods carried by halves": ("carry_periods: 3", "carry_periods: 2.5", "missing", "not a whole number"),
    "no trees": ("\nchaining:", "\nchaning:", "", "unknown key 'chaning'"),
    "an unknown row of a feed": (
        "where: {sector: 金融}",
        "where: {sector: 金瓜}",
        "node 'finance'",
        "not a value of a dimension of the feed.*sector: 金瓜",
    ),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(CONTRACTS / "dci", tmp_path / "dci")
    return tmp_path


def changed(folder: Path, right: str, wrong: str) -> None:
    path = folder / "dci/index.yaml"
    text = path.read_text(encoding="utf-8")
    assert right in text, f"{right!r} is not in the index file any more"
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_names_file_and_key(mistake: str, copy: Path) -> None:
    right, wrong, where, says = MISTAKES[mistake]
    changed(copy, right, wrong)
    if mistake == "a gap between links":
        changed(copy, BEFORE_MISSING, second())
    with pytest.raises(Finding) as refused:
        read_framework(copy, "dci")
    assert refused.value.where == f"dci/index.yaml {where}".strip()
    assert re.search(says, str(refused.value), re.DOTALL), str(refused.value)


def test_an_index_needs_a_link(copy: Path) -> None:
    path = copy / "dci/index.yaml"
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(raw | {"links": []}, allow_unicode=True), encoding="utf-8")
    with pytest.raises(Finding, match=r"dci/index\.yaml links: an index without a link"):
        read_framework(copy, "dci")


def test_what_is_allowed_passes(copy: Path) -> None:
    """A second link right after the first, on a reference inside it; every whole year of a yearly chain."""
    changed(copy, BEFORE_MISSING, second())
    links = read_framework(copy, "dci").links
    assert [link.link for link in links] == ["base2015", "next"]
    changed(copy, 'reference_start: "2015-04"', 'reference_start: "2015-01"')
    changed(copy, "chaining: fixed_base", "chaining: annual_overlap")
    framework = read_framework(copy, "dci")
    starts = [framework.period(f"{year}-05") for year in (2015, 2016, 2017, 2018)]
    found = [framework.link_at(start) for start in starts]
    assert [link.link for link in found if link] == ["base2015", "base2015_2016", "next", "next_2018"]
