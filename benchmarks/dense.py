"""The small tables by dense NumPy: the floor of `small_stages.py`, written for these tables and one link alone.

Arrays of every month at once, by month or span × place or entity × node, leaf or cell, from `indicators/values` and
`index/members`; one Parquet file for every partition that the steps commit. Nothing may be missing in the values, and
nothing is checked: what the pipeline does beyond the arithmetic is the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from measuring import ROOT, used

INDEX = "dci"
MONTHS_IN = {"month": 1, "janfeb": 2, "half": 6, "year": 12}


def work(warehouse: Path):
    from dci_pipeline.settings import Settings
    from dci_pipeline.work import Work

    return Work(Settings(warehouse, ROOT / "data_contracts", "polars"), INDEX)


@dataclass(frozen=True)
class Table:
    """Spans with the partition each lies in, key columns of a row of entity × key, figures by span × entity × key."""

    name: str
    partitions: Sequence[int]
    keys: dict[str, Any]
    figures: dict[str, Any]
    there: Any = None

    def write(self, folder: Path) -> int:
        """One file for each partition; how many."""
        import polars as pl

        for partition in dict.fromkeys(self.partitions):
            frames: list[pl.DataFrame] = []
            for span in (number for number, own in enumerate(self.partitions) if own == partition):
                figures = {name: values[span].reshape(-1) for name, values in self.figures.items()}
                frame = pl.DataFrame(self.keys | figures, nan_to_null=True).with_columns(span=span)
                frames.append(frame if self.there is None else frame.filter(self.there[span].reshape(-1)))
            target = folder / f"{self.name.replace('/', '-')}-{partition}.parquet"
            pl.concat(frames).write_parquet(target, compression="zstd", compression_level=1)
        return len(set(self.partitions))


class Dense:
    """The axes, the inputs as arrays, and what places make up."""

    def __init__(self, warehouse: Path):
        import polars as pl

        from dci_pipeline.periods import parse

        found, home = work(warehouse), warehouse / INDEX
        self.framework, self.nation = found.framework, found.framework.nation["code"]
        values = pl.read_parquet(home / "indicators/values/**/part.parquet", hive_partitioning=False)
        cells = pl.read_parquet(home / "index/members/**/part.parquet", hive_partitioning=False)
        if values["value"].null_count() or found.framework.links[1:]:
            raise SystemExit("the floor is written for deliveries without gaps and an index of one link")
        self.months, self.places = values["period"].unique().sort(), values["place"].unique().sort()
        self.leaves = values["indicator"].unique().sort()
        time, place = ("period", self.months), ("place", self.places)
        self.values = cube(values, "value", (time, place, ("indicator", self.leaves)))
        self.cells = cells.select("node", "dimension", "member").unique().sort("node", "dimension", "member")
        numbered = cells.join(self.cells.with_row_index("cell"), on=["node", "dimension", "member"])
        self.members = cube(numbered, "points", (time, place, ("cell", pl.Series(range(self.cells.height)))))
        last = parse(str(self.months[-1])[:7], "month")
        self.link = found.framework.link_at(last)
        self._weigh(found)
        self._gather(found, found.geography.members_at(last))

    def _weigh(self, found: Any) -> None:
        """Weight of every leaf in every node and in the node's root, reference means, the root of each node."""
        from dci_pipeline.steps.links import basket

        leaf = {name: number for number, name in enumerate(self.leaves.to_list())}
        rows = [
            (node, root, leaf[name], weight, inside, means[name])
            for root in sorted(self.link.basket)
            for tree in [basket(found, self.link, root)]
            for means in [dict(tree.reference_totals.select("indicator", "mean_total").iter_rows())]
            for node, name, weight, inside in tree.node_weights.select(
                "node", "indicator", "weight", "root_weight"
            ).iter_rows()
        ]
        self.nodes = sorted({row[0] for row in rows})
        at = {node: number for number, node in enumerate(self.nodes)}
        of = {row[0]: row[1] for row in rows}
        self.roots = np.array([at[of[node]] for node in self.nodes])
        self.weight, self.own, self.composite = (np.zeros((len(self.leaves), len(self.nodes))) for _ in range(3))
        for node, _, number, weight, inside, mean in rows:
            self.weight[number, at[node]] = weight
            self.own[number, at[node]] = 100.0 * weight / mean
            self.composite[number, at[node]] = 100.0 * inside / mean

    def _gather(self, found: Any, memberships: Any) -> None:
        """Entities in order, and which places and which members each is made of."""
        import polars as pl

        types = found.types.filter(pl.col("place").is_in(self.places.implode())).sort("type", "place")
        inside = memberships.filter(pl.col("place").is_in(self.places.implode()))
        self.entities = [
            *types.select("type", "place").iter_rows(),
            *inside.select("group_type", "group").unique().sort("group_type", "group").iter_rows(),
            ("nation", self.nation),
        ]
        at = {code: number for number, code in enumerate(self.places.to_list())}
        rows = {key: number for number, key in enumerate(self.entities)}
        self.belongs = np.zeros((len(self.entities), len(self.places)))
        for kind, code in types.select("type", "place").iter_rows():
            self.belongs[rows[kind, code], at[code]] = 1.0
        for kind, group, code in inside.select("group_type", "group", "place").iter_rows():
            self.belongs[rows[kind, group], at[code]] = 1.0
        self.belongs[-1] = 1.0
        # Means are over members, for what is made of several.
        self.meaning = self.belongs * types.sort("place")["member"].to_numpy()
        self.meaning[: types.height] = 0.0
        self.placed = [rows[kind, code] for code, kind in types.sort("place").select("place", "type").iter_rows()]
        kinds = [kind for kind, _ in self.entities]
        self.kinds = [
            (kinds.index(kind), kinds.index(kind) + kinds.count(kind))
            for kind in dict.fromkeys(kinds)
            if kind in found.ranked
        ]

    @cached_property
    def present(self) -> Any:
        """month × entity: something of it is there."""
        return np.einsum("ec,mc->me", self.belongs, ~np.isnan(self.values[:, :, 0])) > 0

    @cached_property
    def points(self) -> Any:
        """month × place × node."""
        return np.nan_to_num(self.values) @ self.own

    @cached_property
    def composites(self) -> Any:
        """month × place × node, in points of the root."""
        return np.nan_to_num(self.values) @ self.composite

    @cached_property
    def level(self) -> Any:
        """month × entity × node."""
        return self.entity(self.points)

    @cached_property
    def part(self) -> Any:
        """month × entity × node, in points of the root."""
        return self.entity(self.composites)

    def known(self, spans: list[list[int]], number: int) -> Any:
        """span × entity × key: the entity is there at the end of the span."""
        nothing = np.zeros(len(self.entities), dtype=bool)
        found = np.stack([self.present[span[-1]] if span else nothing for span in spans])
        return np.repeat(found[:, :, None], number, axis=2)

    def entity(self, values: Any) -> Any:
        """Sums over the places of each entity."""
        summed = np.tensordot(np.nan_to_num(values), self.belongs, axes=([1], [1]))
        return np.ascontiguousarray(np.moveaxis(summed, -1, 1))

    def means(self, values: Any) -> tuple[Any, Any]:
        """Means over the member places that have a value, and how many have; NaN for places."""
        given = np.moveaxis(np.tensordot(~np.isnan(values), self.meaning, axes=([1], [1])), -1, 1)
        total = np.moveaxis(np.tensordot(np.nan_to_num(values), self.meaning, axes=([1], [1])), -1, 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(given > 0, total / given, np.nan), given

    def rank(self, values: Any, *, decimals: bool = False) -> Any:
        """Ranks among entities of a kind."""
        found = np.full(values.shape, np.nan)
        for first, after in self.kinds:
            found[:, first:after] = ranked(values[:, first:after], decimals=decimals)
        return found

    def spans(self, kind: str) -> tuple[list[int], list[list[int]]]:
        """The partition and the months of every span of a kind; a running half or year has those there are."""
        if kind == "month":
            return list(range(len(self.months))), [[number] for number in range(len(self.months))]
        length, year = MONTHS_IN[kind], 12
        starts = list(range(0, len(self.months), year if kind == "janfeb" else length))
        return [start // year for start in starts], [
            list(range(start, min(start + length, len(self.months)))) for start in starts
        ]

    def keys(self, names: dict[str, list[str]]) -> dict[str, Any]:
        """Key columns of entity × key, made once a table."""
        import polars as pl

        number = len(next(iter(names.values())))
        columns = {
            "entity_type": np.repeat([kind for kind, _ in self.entities], number),
            "entity_code": np.repeat([code for _, code in self.entities], number),
        } | {name: np.tile(values, len(self.entities)) for name, values in names.items()}
        return {name: pl.Series(values.tolist(), dtype=pl.String) for name, values in columns.items()}


def growth(now: Any, base: Any) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(base != 0.0, now / base - 1.0, np.nan)


def before(months: list[list[int]], years: int = 1) -> list[list[int]]:
    """The same months of a year before; none unless all are there."""
    found = [[month - 12 * years for month in span] for span in months]
    return [span if min(span) >= 0 else [] for span in found]


def over(values: Any, spans: list[list[int]]) -> Any:
    """Means over the months of each span; NaN without any."""
    empty = np.full(values.shape[1:], np.nan)
    return np.stack([values[span].mean(axis=0) if span else empty for span in spans])


def ranked(values: Any, *, decimals: bool = False) -> Any:
    """Competition ranks along the second axis, descending; what is equal in twelve digits, or decimals, shares one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = 1e12 if decimals else 10.0 ** (11 - np.floor(np.log10(np.abs(values))))
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
    found[at] = frame[value].cast(pl.Float64).to_numpy()
    return found


def spent_on(make: Any) -> tuple[float, Any]:
    """CPU seconds of a call, and what it returns."""
    start = used()["cpu_s"]
    found = make()
    return used()["cpu_s"] - start, found
