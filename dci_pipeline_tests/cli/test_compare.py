"""Another definition computed on the same feeds: what moves is what the formula says, and nothing is left of it."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from dci_pipeline import refresh
from dci_pipeline.periods import parse_span
from dci_pipeline.settings import Settings
from dci_pipeline.weight import alphas
from dci_pipeline.work import Work
from dci_pipeline_tests.cli.conftest import Dci
from dci_pipeline_tests.conftest import CONTRACTS, land, once, simulate, small_contracts

pytestmark = pytest.mark.slow

MONTHS = parse_span("2018-01:2018-05", "month")
ROOT = "digital_first"


@pytest.fixture(scope="session")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the contracts of one tree, and a warehouse with five months of it."""

    def make(folder: Path) -> Path:
        contracts = small_contracts(folder, reference=("2018-01", "2018-03"), narrow=True)
        shutil.copy(CONTRACTS / "dci" / "marts" / "effective_weights_year.yaml", contracts / "dci" / "marts")
        work = Work(Settings(folder / "warehouse", contracts, "polars"), "dci")
        land(work, list(simulate(work, folder, MONTHS, rows=400)))
        assert not refresh.run_direct(work, MONTHS).held
        return folder

    return once(tmp_path_factory, "compared", make)


@pytest.fixture
def other(computed: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the definition to be changed; the warehouse is looked at file by file before and after."""
    monkeypatch.setenv("DCI_WAREHOUSE", str(computed / "warehouse"))
    monkeypatch.setenv("DCI_CONTRACTS", str(computed / "data_contracts"))
    return Path(shutil.copytree(computed / "data_contracts" / "dci", home / "trial"))


@pytest.fixture(autouse=True)
def untouched(computed: Path) -> Any:
    """No comparison changes a byte of the warehouse, or leaves a file there."""
    before = files(computed / "warehouse")
    yield
    assert files(computed / "warehouse") == before


def files(root: Path) -> dict[str, tuple[str, int]]:
    return {
        path.relative_to(root).as_posix(): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    } | {path.relative_to(root).as_posix(): ("folder", 0) for path in root.rglob("*") if path.is_dir()}


def weigh(folder: Path, child: str, score: int) -> None:
    """Every expert gives a child of the root this score."""
    (path,) = (folder / "weights").glob("*.csv")
    with path.open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines)
    rows = [[*row[:-1], str(score)] if row[2:4] == [ROOT, child] else row for row in rows]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def edit(folder: Path, **links: object) -> None:
    """Changes the first link of an index file."""
    path = folder / "index.yaml"
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    raw["links"][0] |= links
    path.write_text(yaml.safe_dump(raw, allow_unicode=True, sort_keys=False), encoding="utf-8")


def compared(dci: Dci, *args: object) -> dict[str, Any]:
    result = dci("compare-methods", *args, "--json")
    assert result.code == 0, result.all
    return json.loads(result.out)


def by_hand(folder: Path, warehouse: Path) -> pl.DataFrame:
    """[place, points] of the root over 2018: 100 times the weighted mean of volumes over the reference's means."""
    work = Work(Settings(warehouse, folder.parent, "polars"), folder.name)
    (path,) = (folder / "weights").glob("*.csv")
    scores = pl.read_csv(path, schema_overrides={"score": pl.Int64}).filter(pl.col("node") == ROOT)
    weights = dict(alphas(scores.drop("wave")).select("child", "alpha").iter_rows())
    rows = pl.concat(
        work.warehouse.read("normalise", "shares", month).select(
            "place", "indicator", "share", month=pl.lit(month.start)
        )
        for month in MONTHS
    ).join(
        pl.concat(
            work.warehouse.read("normalise", "totals", month).select("indicator", "total", month=pl.lit(month.start))
            for month in MONTHS
        ),
        on=["indicator", "month"],
    )
    base = rows.filter(pl.col("month") <= MONTHS[2].start).unique(["indicator", "month"])
    means = dict(base.group_by("indicator").agg(pl.col("total").mean()).iter_rows())
    factor = {name: 100 * weight / means[name] for name, weight in weights.items()}
    points = rows.filter(pl.col("indicator").is_in(list(factor))).with_columns(
        points=pl.col("share") * pl.col("total") * pl.col("indicator").replace_strict(factor)
    )
    return points.group_by("place").agg(points=pl.col("points").sum() / len(MONTHS))


def test_the_same_definition_moves_nothing(dci: Dci, other: Path) -> None:
    result = dci("compare-methods", "--with", other)
    assert result.code == 0, result.all
    assert "Nothing moves" in result.out
    said = compared(dci, "--with", other)
    assert said["same"] is True
    assert said["computed"] == [{}, {}]
    assert said["largest_points_changes"] == said["largest_rank_changes"] == []


def test_other_weights_move_points_as_the_formula_says_and_no_share(dci: Dci, other: Path, computed: Path) -> None:
    weigh(other, "cloud_usage_volume", 1)
    weigh(other, "transactions", 5)
    said = compared(dci, "--with", other, "--top", 1000)
    assert said["same"] is False
    assert said["computed"][0] == {}
    # What is validated, summed and shared is used as it is.
    assert {key.split("/")[0] for key in said["computed"][1]} == {"weight", "index", "marts"}
    moved = {row["entity_code"]: row for row in said["largest_points_changes"]}
    assert len(moved) > 300
    for side, folder in (("before", computed / "data_contracts" / "dci"), ("after", other)):
        own = Path(shutil.copytree(folder, other.parent / side / "dci"))
        expected = dict(by_hand(own, computed / "warehouse").iter_rows())
        for code, row in moved.items():
            assert row[f"points_{side}"] == pytest.approx(expected[code], rel=1e-9), code
    first = [row for row in said["nation"] if row["node"] == ROOT]
    assert [row["year"] for row in first] == [2018]
    leaves = [row for row in said["nation"] if row["node"] != ROOT]
    assert leaves
    assert all(row["points_change"] == 0 for row in leaves)
    omega = {row["child"]: row for row in said["effective_weights"]}
    assert omega["cloud_usage_volume"]["omega_change"] < 0 < omega["transactions"]["omega_change"]
    for side in ("before", "after"):
        assert sum(row[f"omega_{side}"] for row in omega.values()) == pytest.approx(1)
    (cities,) = [row for row in said["ranks"] if (row["node"], row["entity_type"]) == (ROOT, "city")]
    assert 0 < cities["moved"] <= cities["entities"]
    assert 0.5 < cities["kendall"] < cities["spearman"] < 1
    assert cities["largest_rank_change"] == max(abs(row["rank_change"]) for row in said["largest_rank_changes"])


def test_the_tables_show_what_moves(dci: Dci, other: Path, computed: Path) -> None:
    weigh(other, "transactions", 5)
    result = dci("compare-methods", "--with", other, "--top", 3)
    assert result.code == 0, result.all
    for title in ("Level of the nation", "Effective weights, 2018", "Ranks, 2018", "Points that move most", "Kendall"):
        assert title in result.out
    assert "Nothing was published" in result.out
    assert result.err.strip() == ""
    assert f"{computed / 'data_contracts' / 'dci'} (before) and {other} (after), 2018 to 2018" in result.out


def test_a_smaller_basket_has_no_weight_for_what_is_not_in_it(dci: Dci, other: Path) -> None:
    raw = yaml.safe_load((other / "index.yaml").read_text(encoding="utf-8"))
    kept = [leaf for leaf in raw["links"][0]["basket"][ROOT] if leaf != "transactions"]
    edit(other, basket={ROOT: kept})
    said = compared(dci, "--with", other)
    omega = {row["child"]: row for row in said["effective_weights"]}
    assert omega["transactions"]["omega_before"] > 0
    assert omega["transactions"]["omega_after"] is None
    assert sum(row["omega_after"] for row in omega.values() if row["omega_after"] is not None) == pytest.approx(1)


def test_what_one_definition_holds_back_is_not_taken_from_the_other(dci: Dci, other: Path, computed: Path) -> None:
    """A link that begins later leaves two months out; the year is the mean of the others."""
    edit(other, start="2018-03")
    said = compared(dci, "--with", other)
    assert {key: "before the first link" in reason for key, reason in said["held"][1].items()} == {
        "2018-01": True,
        "2018-02": True,
    }
    (root,) = [row for row in said["nation"] if row["node"] == ROOT]
    work = Work(Settings(computed / "warehouse", computed / "data_contracts", "polars"), "dci")
    months = [
        work.warehouse.read("marts", "index_month", month)
        .filter(pl.col("entity_code") == "CN", pl.col("node") == ROOT)
        .get_column("points")[0]
        for month in MONTHS
    ]
    assert root["points_before"] == pytest.approx(sum(months) / 5)
    assert root["points_after"] == pytest.approx(sum(months[2:]) / 3)


def test_a_definition_that_holds_everything_back_is_no_comparison(dci: Dci, other: Path) -> None:
    edit(other, start="2018-06")
    result = dci("compare-methods", "--with", other)
    assert result.code == 1
    assert "no year can be computed" in result.err
    assert "before the first link" in result.err


def test_another_contract_of_a_feed_is_validated_anew(dci: Dci, other: Path) -> None:
    path = other / "feeds" / "transactions.yaml"
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    (thresholds,) = [item for item in raw["customProperties"] if item["property"] == "thresholds"]
    thresholds["value"]["every_rule"]["at_most"] = 7
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    said = compared(dci, "--with", other)
    assert said["computed"][0] == {}
    assert said["computed"][1]["validation/transactions"] == len(MONTHS)
    assert said["same"] is True


def test_a_range_ends_the_year_earlier(dci: Dci, other: Path, computed: Path) -> None:
    said = compared(dci, "--with", other, "--from", "2018-01", "--to", "2018-04")
    assert said["same"] is True
    assert set(said["computed"][0]) == {"marts/index_year", "marts/effective_weights_year"}


def test_the_folder_may_stand_above_the_index(dci: Dci, other: Path) -> None:
    (other.parent / "above").mkdir()
    other.rename(other.parent / "above" / "dci")
    assert compared(dci, "--with", other.parent / "above")["same"] is True


WRONG = {
    "an unknown key": ("index.yaml", "base_points:", "base_pionts:", "base_pionts"),
    "a score of six": ("weights/survey_2015.csv", ",5\n", ",6\n", "not a score"),
    "an unknown column of places": ("geography/places.csv", "code,type", "code,tpye", "geography/places.csv"),
    "an unknown feed": ("index.yaml", "feed: cloud_usage", "feed: cloud_usge", "unknown feed"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_faulty_definition_is_named_with_file_and_key(dci: Dci, other: Path, mistake: str) -> None:
    file, right, wrong, said = WRONG[mistake]
    text = (other / file).read_text(encoding="utf-8")
    assert right in text
    (other / file).write_text(text.replace(right, wrong, 1), encoding="utf-8")
    result = dci("compare-methods", "--with", other)
    assert result.code == 2
    assert str(other) in result.err
    assert said in result.err
    assert file.rpartition("/")[2] in result.err


def test_a_folder_that_is_no_definition_is_refused(dci: Dci, other: Path) -> None:
    for folder in (other / "feeds", other / "nowhere"):
        result = dci("compare-methods", "--with", folder)
        assert result.code == 2
        assert "no definition of an index" in result.err


def test_nothing_to_compare_is_said(dci: Dci, other: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCI_WAREHOUSE", str(home / "empty"))
    result = dci("compare-methods", "--with", other)
    assert result.code == 2
    assert "no period is complete" in result.err
    assert not (home / "empty").exists()
