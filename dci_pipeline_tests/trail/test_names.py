"""Names as people write them: each finds one place, or says what it may mean."""

from __future__ import annotations

import pytest

from dci_pipeline.findings import Finding
from dci_pipeline.geography import read_geography
from dci_pipeline.settings import Settings
from dci_pipeline.steps.trail import register
from dci_pipeline.trail.names import Register
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import CONTRACTS


@pytest.fixture(scope="module")
def names() -> Register:
    return register(Work(Settings(CONTRACTS, CONTRACTS, "polars"), "dci", looking=True))


@pytest.mark.parametrize(
    "text",
    ["成都", "成都市", "四川成都", "四川省成都市", "chengdu", "Chengdu", " CHENG DU ", "510100", "5101", "city:510100"],
)
def test_a_city_by_any_of_its_names(names: Register, text: str) -> None:
    assert (names.find(text).type, names.find(text).code) == ("city", "510100")


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("广东", "province", "440000"),
        ("Guangdong", "province", "440000"),
        ("珠三角", "cluster", "prd"),
        ("cluster:prd", "cluster", "prd"),
        ("prd:4", "cluster_tier", "prd:4"),
        ("cluster_tier:prd:4", "cluster_tier", "prd:4"),
        ("CN", "nation", "CN"),
        ("全国", "nation", "CN"),
        ("xi'an", "city", "610100"),
        ("Xian", "city", "610100"),
    ],
)
def test_other_entities_and_spellings(names: Register, text: str, kind: str, code: str) -> None:
    found = names.find(text)
    assert (found.type, found.code) == (kind, code)


def test_a_municipality_is_meant_as_a_city_unless_said(names: Register) -> None:
    assert names.find("北京").type == "city"
    assert names.find("北京", kind="province").type == "province"
    assert names.find("province:110000").type == "province"


@pytest.mark.parametrize(
    ("text", "both"), [("吉林", ("220200", "220000")), ("Suzhou", ("320500", "341300")), ("东北", ("region4", "area7"))]
)
def test_an_ambiguous_name_is_refused_with_its_meanings(names: Register, text: str, both: tuple[str, str]) -> None:
    with pytest.raises(Finding, match="ambiguous") as refused:
        names.find(text)
    assert all(meaning in str(refused.value) for meaning in both)


@pytest.mark.parametrize(("text", "near"), [("Chendu", "Chengdu"), ("成嘟", "成都"), ("Guangzou", "Guangzhou")])
def test_an_unknown_name_is_refused_with_the_nearest(names: Register, text: str, near: str) -> None:
    with pytest.raises(Finding, match="no such place") as refused:
        names.find(text)
    assert near in str(refused.value)


def test_a_place_outside_the_index_says_so(names: Register) -> None:
    with pytest.raises(Finding, match="outside the index"):
        names.find("台湾省")


def test_a_place_that_is_a_group_of_another_tree_is_one_name() -> None:
    other = register(Work(Settings(CONTRACTS, CONTRACTS, "polars"), "pulse", looking=True))
    assert (other.find("Bihar").type, other.find("Bihar").code) == ("state", "IN-BR")
    assert str(other.find("Aurangabad")) == "Aurangabad (district:IN-BR/aurangabad)"


def test_every_name_of_every_city_finds_it_or_is_ambiguous(names: Register) -> None:
    geography = read_geography(CONTRACTS / "dci")
    lost: list[tuple[str, str]] = []
    for alias, place, ambiguous in geography.aliases.select("alias", "place", "ambiguous").iter_rows():
        if ambiguous == "1":
            continue
        try:
            found = names.find(alias)
        except Finding as finding:
            if finding.problem != "an ambiguous name":
                lost.append((alias, place))
            continue
        if found.code != place:
            lost.append((alias, place))
    assert lost == []
