"""The small stages against dense NumPy for the same numbers: CPU over many months, as ratios.

    python benchmarks/small_stages.py --rounds 5 --out small_stages.json

Points, the monthly index table and the monthly breakdown table of a computed warehouse are made again twice over: by
the pipeline's steps, which read, check, compute, stamp and commit a partition a month; and by NumPy over arrays of
every month at once, written for these tables alone, from the same Parquet files. The floor comes in two: numbers in
memory, and numbers written as one Parquet file a month. Points, growth and ranks of both must agree.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
from measuring import ROOT, keep, rounds, summary, tell, used

INDEX = "dci"
GOAL = 2.0
STEPS = (("index", "points"), ("marts", "index_month"), ("marts", "breakdown_month"))
WAYS = {"arrays": "dense NumPy, in memory", "files": "dense NumPy, written", "steps": "the steps"}
TOLERANCE = 1e-9


def work(warehouse: Path):
    from dci_pipeline.settings import Settings
    from dci_pipeline.work import Work

    return Work(Settings(warehouse, ROOT / "data_contracts", "polars"), INDEX)


def steps(warehouse: Path, folder: Path) -> float:
    """The three steps over every month of a copy without them; CPU seconds within them."""
    from dci_pipeline import refresh

    copy = folder / "warehouse"
    shutil.copytree(warehouse, copy, copy_function=lambda source, target: Path(target).hardlink_to(source))
    for stage, table in STEPS:
        shutil.rmtree(copy / INDEX / stage / table)
    found = work(copy)
    months = found.warehouse.existing("normalise", "shares", refresh.delivered_periods(found)[0])
    before = used()["cpu_s"]
    report = refresh.run_direct(found, months, only={key: list(months) for key in STEPS})
    spent = used()["cpu_s"] - before
    if report.held or report.count("written") != len(STEPS) * len(months):
        raise SystemExit(f"{report.count('written')} tables written, {len(report.held)} months held")
    return spent


class Dense:
    """Every month at once: arrays by month × place × node or cell, and the entities that places make."""

    def __init__(self, warehouse: Path):
        import polars as pl

        from dci_pipeline.periods import parse

        found, home = work(warehouse), warehouse / INDEX
        nation = found.framework.nation["code"]
        shares = pl.read_parquet(home / "normalise/shares/**/part.parquet", hive_partitioning=False)
        cells = pl.read_parquet(home / "index/members/**/part.parquet", hive_partitioning=False)
        self.months, self.places = shares["period"].unique().sort(), shares["place"].unique().sort()
        self.leaves = shares["indicator"].unique().sort()
        time, place = ("period", self.months), ("place", self.places)
        self.estimates = cube(shares, "estimate", (time, place, ("indicator", self.leaves)))
        cells = cells.with_columns(cell=pl.concat_str("node", "dimension", "member", separator="|"))
        self.cells = cells["cell"].unique().sort()
        self.members = cube(cells, "points", (time, place, ("cell", self.cells)))
        last = parse(str(self.months[-1])[:7], "month")
        link = found.framework.link_at(last)
        self.nodes, self.weights = weights(found, link, self.leaves)
        memberships = found.geography.members_at(last).filter(pl.col("place").is_in(self.places.implode()))
        types = found.types.filter(pl.col("place").is_in(self.places.implode())).sort("type", "place")
        self.entities = [
            *((kind, place) for kind, place in types.select("type", "place").iter_rows()),
            *memberships.select("group_type", "group").unique().sort("group_type", "group").iter_rows(),
            ("nation", nation),
        ]
        at = {code: number for number, code in enumerate(self.places.to_list())}
        rows = {key: number for number, key in enumerate(self.entities)}
        self.belongs = np.zeros((len(self.entities), len(self.places)))
        for kind, code in types.select("type", "place").iter_rows():
            self.belongs[rows[kind, code], at[code]] = 1.0
        for kind, group, code in memberships.select("group_type", "group", "place").iter_rows():
            self.belongs[rows[kind, group], at[code]] = 1.0
        self.belongs[-1] = 1.0
        self.own = [rows[kind, code] for code, kind in types.sort("place").select("place", "type").iter_rows()]
        kinds = [kind for kind, _ in self.entities]
        self.kinds = [
            (kinds.index(kind), kinds.index(kind) + kinds.count(kind))
            for kind in dict.fromkeys(kinds)
            if kind in found.ranked
        ]

    def numbers(self) -> dict[str, dict[str, Any]]:
        """The figures of the index table and of the breakdown table, by month × entity × node or cell."""
        points = np.einsum("mcj,jn->mcn", self.estimates, self.weights, optimize=True)
        nodes = np.array([cell.split("|")[0] for cell in self.cells.to_list()])
        own = np.searchsorted(np.array(self.nodes), nodes)
        level = np.einsum("ec,mcn->men", self.belongs, points, optimize=True)
        index = self.compared(level) | {"points": level, "points_share": level / level[:, -1:, :]}
        found = np.einsum("ec,mck->mek", self.belongs, np.nan_to_num(self.members), optimize=True)
        share = found / level[:, :, own]
        split = [cell.rsplit("|", 1)[0] for cell in self.cells.to_list()]
        frames = [(split.index(name), split.index(name) + split.count(name)) for name in dict.fromkeys(split)]
        cells = self.compared(found) | {
            "points": found,
            "share_of_entity": share,
            "share_change_pp": 100.0 * before(share)[1],
        }
        for name, values in (("", found), ("growth_", cells["growth_yoy"])):
            rank = np.empty(values.shape)
            for first, after in frames:
                rank[:, :, first:after] = ranked(values[:, :, first:after].swapaxes(1, 2)).swapaxes(1, 2)
            cells |= {f"{name}rank_in_entity": rank, f"{name}rank_in_entity_change": -before(rank)[1]}
        rank = self.rank(cells["growth_yoy"])
        cells |= {"growth_rank": rank, "growth_rank_change": -before(rank)[1]}
        return {"index_month": index, "breakdown_month": cells}

    def compared(self, level: Any) -> dict[str, Any]:
        """Growth, mean of the members and ranks, each with its change on the year before."""
        count = self.belongs.sum(axis=1)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            month = np.vstack([np.full_like(level[:1], np.nan), level[1:] / level[:-1] - 1.0])
            year = np.vstack([np.full_like(level[:12], np.nan), level[12:] / level[:-12] - 1.0])
        known = np.nan_to_num(year[:, self.own])
        grown = np.einsum("ec,mcn->men", self.belongs, ~np.isnan(year[:, self.own]), optimize=True)
        rank = self.rank(level)
        return {
            "mean_points": level / count,
            "growth_mom": month,
            "growth_yoy": year,
            "growth_members_mean": np.einsum("ec,mcn->men", self.belongs, known, optimize=True)
            / np.maximum(grown, 1.0),
            "rank": rank,
            "rank_change": -before(rank)[1],
        }

    def rank(self, values: Any) -> Any:
        found = np.full(values.shape, np.nan)
        for first, after in self.kinds:
            found[:, first:after] = ranked(values[:, first:after])
        return found


def before(values: Any) -> tuple[Any, Any]:
    """The values a year before, and the change since."""
    earlier = np.vstack([np.full_like(values[:12], np.nan), values[:-12]])
    return earlier, values - earlier


def ranked(values: Any) -> Any:
    """Competition ranks along the second axis, descending; what is equal in twelve digits shares one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = 10.0 ** (11 - np.floor(np.log10(np.abs(values))))
        rounded = np.where(values == 0.0, 0.0, np.round(values * size) / size)
    order = np.argsort(-rounded, axis=1, kind="stable")
    ordered = np.take_along_axis(rounded, order, axis=1)
    place = np.arange(values.shape[1])[None, :, None]
    new = np.ones(values.shape, dtype=bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.maximum.accumulate(np.where(new, place, 0), axis=1) + 1.0
    found = np.empty(values.shape)
    np.put_along_axis(found, order, first, axis=1)
    return np.where(np.isnan(values), np.nan, found)


def weights(found: Any, link: Any, leaves: Any) -> tuple[list[str], Any]:
    """Points of each node that one unit of a leaf makes: scale × weight ÷ mean of the reference."""
    from dci_pipeline.steps.links import basket

    position = {leaf: number for number, leaf in enumerate(leaves.to_list())}
    columns: dict[str, Any] = {}
    for root in sorted(link.basket):
        tree = basket(found, link, root)
        means = dict(tree.reference_totals.select("indicator", "mean_total").iter_rows())
        scales = dict(tree.scales.select("node", "scale").iter_rows()) if tree.scales is not None else {}
        for node, leaf, weight in tree.node_weights.select("node", "indicator", "weight").iter_rows():
            column = columns.setdefault(node, np.zeros(len(leaves)))
            column[position[leaf]] += scales.get(node, 100.0) * weight / means[leaf]
    nodes = sorted(columns)
    return nodes, np.stack([columns[node] for node in nodes], axis=1)


def cube(frame: Any, value: str, axes: Any) -> Any:
    """A column as an array; NaN where there is no row."""
    import polars as pl

    at = tuple(
        frame[name].cast(pl.Enum(values)).to_physical().to_numpy()
        if values.dtype == pl.String
        else np.searchsorted(values.to_numpy(), frame[name].to_numpy())
        for name, values in axes
    )
    found = np.full([len(values) for _, values in axes], np.nan)
    found[at] = frame[value].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return found


def arrays(warehouse: Path, folder: Path, *, write: bool) -> tuple[float, Dense, dict[str, dict[str, Any]]]:
    """The same by NumPy; with `write`, one Parquet file a month of each table."""
    import polars as pl

    start = used()["cpu_s"]
    dense = Dense(warehouse)
    prepared = used()["cpu_s"]
    tables = dense.numbers()
    for name, figures in tables.items() if write else ():
        keys = dense.nodes if name == "index_month" else dense.cells.to_list()
        axis = {
            "entity_type": np.repeat([kind for kind, _ in dense.entities], len(keys)),
            "entity_code": np.repeat([code for _, code in dense.entities], len(keys)),
            "key": np.tile(keys, len(dense.entities)),
        }
        for number, month in enumerate(dense.months.to_list()):
            frame = pl.DataFrame(axis | {figure: values[number].reshape(-1) for figure, values in figures.items()})
            frame.with_columns(month=month).write_parquet(
                folder / f"{name}-{month}.parquet", compression="zstd", compression_level=1
            )
    spent = used()["cpu_s"]
    print(f"reading {prepared - start:.2f} s, the rest {spent - prepared:.2f} s", file=sys.stderr)
    return spent - start, dense, tables


def agree(warehouse: Path) -> None:
    """Raises SystemExit unless points, growth and ranks of both are the same."""
    import polars as pl

    with tempfile.TemporaryDirectory() as folder:
        _, dense, tables = arrays(warehouse, Path(folder), write=False)
    published = pl.read_parquet(warehouse / INDEX / "marts/index_month/**/part.parquet", hive_partitioning=False)
    published = published.with_columns(entity=pl.concat_str("entity_type", "entity_code", separator="|"))
    entities = pl.Series(["|".join(key) for key in dense.entities])
    rows = published.filter(pl.col("entity").is_in(entities.implode()), pl.col("obs_status") == "A")
    at = tuple(
        np.array([{value: number for number, value in enumerate(values)}[item] for item in rows[name].to_list()])
        for name, values in (("month", dense.months.to_list()), ("entity", entities.to_list()), ("node", dense.nodes))
    )
    for figure in ("points", "growth_yoy", "growth_mom", "rank"):
        theirs, ours = rows[figure].cast(pl.Float64).to_numpy(), tables["index_month"][figure][at]
        off = np.abs(theirs - ours) > TOLERANCE * np.maximum(1.0, np.abs(theirs))
        share = 1.0 - np.isnan(theirs).mean()
        print(f"{figure}: {len(theirs):,} rows, {share:.0%} with a figure, {int(off.sum()):,} differ", file=sys.stderr)
        if off.mean() > 0.0 or share == 0.0:
            raise SystemExit(f"{figure}: {int(off.sum()):,} of {len(theirs):,} differ")


def demo(warehouse: Path) -> Path:
    """Two simulated years, computed."""
    environment = os.environ | {"DCI_WAREHOUSE": str(warehouse), "DCI_CONTRACTS": str(ROOT / "data_contracts")}
    command = [sys.executable, "-m", "dci_pipeline.cli", "demo"]
    subprocess.run(command, cwd=ROOT, check=True, env=environment, stdout=subprocess.DEVNULL)
    return warehouse


def one(way: str, warehouse: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=warehouse.parent) as folder:
        if way == "steps":
            spent = steps(warehouse, Path(folder))
        else:
            spent = arrays(warehouse, Path(folder), write=way == "files")[0]
    return used() | {"cpu_s": spent}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--warehouse",
        type=Path,
        help="a computed warehouse of the default contracts; otherwise two years are simulated and computed",
    )
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--out", type=Path, help="write the figures of every run as JSON")
    options.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        print(json.dumps(one(given.one[0], Path(given.one[1]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        warehouse = given.warehouse or demo(Path(folder) / "warehouse")
        agree(warehouse)
        runs = rounds(__file__, {name: [way, str(warehouse)] for way, name in WAYS.items()}, given.rounds)
    floors = {WAYS["steps"]: [WAYS["files"]]}
    table = summary(runs, floors)
    tell(table, goal=GOAL)
    if given.out:
        keep(given.out, runs, table)


if __name__ == "__main__":
    main()
