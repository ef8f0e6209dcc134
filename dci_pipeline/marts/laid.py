"""Entities × nodes of a frame as arrays, for tables that look at one span from several sides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from dci_pipeline.index.dense import Floats, Integers, axis, numbered, positions
from dci_pipeline.index.points import STATUSES

ENTITY = ("entity_type", "entity_code")
STATUS = "obs_status"


@dataclass(frozen=True)
class Laid:
    """Entities and nodes, sorted, and the columns by entity × node: NaN for null, and where there is no row.

    A status is its place in STATUSES. The last row and the last column of every array are of nothing that is there.
    """

    keys: list[tuple[str, ...]]
    nodes: list[str]
    values: Mapping[str, Floats]

    def entities(self, keys: Iterable[tuple[str, ...]]) -> Integers:
        """In which row each entity stands."""
        return _found(self.keys, keys)

    def columns(self, nodes: Iterable[str]) -> Integers:
        """In which column each node stands."""
        return _found(self.nodes, nodes)


def laid(frame: pl.DataFrame, columns: Sequence[str]) -> Laid:
    """The columns of [entity_type, entity_code, node, …], whose rows have one key each."""
    keys, entity = numbered(frame, ENTITY)
    nodes = axis(frame, "node")
    (node,) = positions(frame, (("node", nodes),))
    values: dict[str, Floats] = {}
    for name in columns:
        array: Floats = np.full((keys.height + 1, len(nodes) + 1), np.nan)
        column = frame.get_column(name)
        if name == STATUS:
            column = column.replace_strict(STATUSES, range(len(STATUSES)), return_dtype=pl.Float64)
        array[entity, node] = column.cast(pl.Float64).to_numpy()
        values[name] = array
    return Laid(keys.rows(), nodes.to_list(), values)


def _found(there: Sequence[object], wanted: Iterable[object]) -> Integers:
    at = {key: number for number, key in enumerate(there)}
    return np.array([at.get(key, len(at)) for key in wanted], dtype=np.int64)
