"""The index as data: every file loads, follows its standard, agrees with the others; a wrong one says so."""

from __future__ import annotations

import json
import shutil
from datetime import date
from importlib import resources
from pathlib import Path

import jsonschema
import polars as pl
import pytest
import yaml
from open_data_contract_standard.model import OpenDataContractStandard

from dci_pipeline.findings import Finding
from dci_pipeline.framework_files import read_framework
from dci_pipeline.geography import read_geography
from dci_pipeline_tests.test_geography import geography_of

ROOT = Path(__file__).resolve().parent.parent / "data_contracts"
INDEXES = sorted(path.parent.name for path in ROOT.glob("*/index.yaml"))
CONTRACTS = sorted(
    path.relative_to(ROOT).as_posix() for kind in ("feeds", "marts") for path in ROOT.glob(f"*/{kind}/*.yaml")
)


@pytest.mark.parametrize("index", INDEXES)
def test_an_index_loads_and_names_only_what_exists(index: str) -> None:
    framework, geography = read_framework(ROOT, index), geography_of(index)
    assert {entity.type for entity in framework.place_types} == set(geography.places["type"])
    assert {entity.type for entity in framework.group_types} == set(geography.groups["type"])
    for period in framework.links[0].reference:
        placed = geography.members_at(period).join(
            geography.places_at(period), left_on="place", right_on="code", how="semi"
        )
        assert placed.filter(pl.struct("group_type", "place").is_duplicated()).is_empty()


PUBLIC = {"app_usage": ("active_users", "usage_seconds"), "mobile_traffic": ("bytes", "subscribers")}


def test_only_what_is_public_may_be_published_as_an_amount() -> None:
    for index in INDEXES:
        for feed, contract in read_framework(ROOT, index).feeds.items():
            assert contract.public_totals == (PUBLIC.get(feed, ()) if index == "dci" else ()), feed


def test_quality_volumes_fit() -> None:
    """A record's measure times the span of a rate, thousands of times over, stays below 2^63 (METHOD section 5)."""
    framework = read_framework(ROOT, "dci")
    rated = [node for node in framework.leaves if node.quality]
    assert {node.feed for node in rated} == {"government_services"}
    for node in rated:
        assert node.quality is not None
        contract = framework.feeds[str(node.feed)]
        volume, rate = contract.by_name[str(node.measure)], contract.by_name[node.quality.column]
        assert volume.maximum is not None
        assert rate.minimum is not None
        assert rate.maximum is not None
        assert {node.quality.worst, node.quality.best} <= {rate.minimum, rate.maximum}
        assert volume.maximum * abs(node.quality.best - node.quality.worst) * 9000 < 2**63


@pytest.mark.parametrize("path", CONTRACTS)
def test_a_contract_follows_the_standard(path: str) -> None:
    raw = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    known = OpenDataContractStandard.model_validate(raw).model_dump(by_alias=True, exclude_none=True)
    assert lost(raw, known) == []


@pytest.mark.parametrize("path", CONTRACTS)
def test_a_contract_passes_the_standard_s_own_schema(path: str) -> None:
    schema = json.loads((resources.files("open_data_contract_standard") / "schema.json").read_text(encoding="utf-8"))
    raw = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    errors = jsonschema.validators.validator_for(schema)(schema).iter_errors(raw)
    assert [error.message for error in errors] == []


def lost(given: object, kept: object, at: str = "") -> list[str]:
    """Keys of `given` that the standard's model did not keep: ones it does not know."""
    if isinstance(given, dict):
        if not isinstance(kept, dict):
            return [at]
        return [
            found
            for key, value in given.items()
            if value is not None
            for found in (lost(value, kept[key], f"{at}.{key}") if key in kept else [f"{at}.{key}"])
        ]
    if isinstance(given, list):
        assert isinstance(kept, list)
        return [found for number, value in enumerate(given) for found in lost(value, kept[number], f"{at}[{number}]")]
    return []


def test_a_key_the_standard_does_not_know_is_seen() -> None:
    raw = yaml.safe_load((ROOT / CONTRACTS[0]).read_text(encoding="utf-8"))
    raw["schema"][0]["properties"][0]["requird"] = True
    known = OpenDataContractStandard.model_validate(raw).model_dump(by_alias=True, exclude_none=True)
    assert lost(raw, known) == [".schema[0].properties[0].requird"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "dci", tmp_path / "dci")
    return tmp_path


MISTAKES = {
    "an unknown key in index.yaml": ("index.yaml", "base_points:", "base_pionts:", r"dci/index\.yaml.*base_pionts"),
    "an unknown key in a node": ("index.yaml", "    kind: flow", "    knid: flow", r"dci/index\.yaml nodes.*knid"),
    "a yearly link on less than a year": (
        "index.yaml",
        "chaining: fixed_base",
        "chaining: annual_overlap",
        "one whole year",
    ),
    "a late feed that is guessed": ("index.yaml", "late_feed: waits", "late_feed: guessed", "late feed"),
    "a revision window that ends before the period": (
        "index.yaml",
        "  months: 6",
        "  months: -6",
        "ends before the period",
    ),
    "a revision window in words": ("index.yaml", "  months: 6", "  months: six", "revision_window.*not a number"),
    "a revision window of other words": ("index.yaml", "  months: 6", "  monts: 6", r"revision_window.*monts"),
    "an unknown parent": ("index.yaml", "parent: digital_first", "parent: digital_frist", "unknown parent"),
    "an unknown feed": ("index.yaml", "feed: cloud_usage", "feed: cloud_usge", "unknown feed"),
    "a total made public that is none": (
        "feeds/app_usage.yaml",
        "publicTotals: [active_users",
        "publicTotals: [app_category",
        r"app_usage\.yaml disclosure\.publicTotals",
    ),
    "totals made public by a word": (
        "feeds/app_usage.yaml",
        "publicTotals: [active_users, usage_seconds]",
        "publicTotals: all",
        "not a list of measures",
    ),
    "a cross of groups that are not there": (
        "index.yaml",
        "of: [cluster, tier]",
        "of: [cluster, teir]",
        "a cross of groups",
    ),
    "an unknown measure": ("index.yaml", "measure: usage_units", "measure: usage_unts", "not a measure of the feed"),
    "an unknown key in a contract": (
        "feeds/cloud_usage.yaml",
        "required: true",
        "requird: true",
        r"dci/feeds/cloud_usage\.yaml.*requird",
    ),
    "an unknown threshold": ("feeds/cloud_usage.yaml", "at_most:", "atmost:", "atmost"),
    "a threshold for no rule": (
        "feeds/cloud_usage.yaml",
        "name: sector.one_of",
        "name: sector.oneof",
        r"sector\.oneof",
    ),
    "an unknown role": ("feeds/cloud_usage.yaml", "value: place}", "value: plaice}", "plaice"),
    "no place column": (
        "feeds/cloud_usage.yaml",
        "value: place}",
        "value: dimension}",
        "exactly one column with role place",
    ),
    "a measure without a maximum": (
        "feeds/cloud_usage.yaml",
        "maximum:",
        "minimum:",
        "a measure is an integer with a maximum",
    ),
    "a score of six": ("weights/survey_2015.csv", ",5\n", ",6\n", r"survey_2015\.csv line \d+: not a score"),
    "an unknown key beside the scores": ("weights/survey_2015.yaml", "assumption:", "asumption:", "asumption"),
    "an unknown column of places": ("geography/places.csv", "code,type", "code,tpye", r"geography/places\.csv"),
    "an alias of nowhere": (
        "geography/aliases.csv",
        ",510100,",
        ",510199,",
        r"aliases\.csv: a place that is not in places",
    ),
    "not YAML": ("index.yaml", "index: dci", "index: [dci", "not valid YAML"),
    "a published column of an unknown type": (
        "marts/node.yaml",
        "logicalType: boolean",
        "logicalType: bool",
        "unknown value",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(mistake: str, copy: Path) -> None:
    file, right, wrong, message = MISTAKES[mistake]
    path = copy / "dci" / file
    text = path.read_text(encoding="utf-8")
    assert right in text
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    with pytest.raises(Finding, match=message):
        read_framework(copy, "dci")
        read_geography(copy / "dci")


def test_an_index_that_is_not_there_lists_those_that_are() -> None:
    with pytest.raises(Finding, match="one of dci, pulse"):
        read_framework(ROOT, "dcii")


def test_everything_invented_says_so_and_why() -> None:
    for index in INDEXES:
        framework = read_framework(ROOT, index)
        for wave in framework.waves.values():
            assert wave.assumption
            assert wave.reason
            assert date.fromisoformat(wave.effective_from)
