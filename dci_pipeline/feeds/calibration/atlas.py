"""Which places an entity of the printed numbers stands for, by its Chinese name.

Pure: geography frames in, positions of places out. No numbers here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dci_pipeline.findings import Finding

Ints = NDArray[np.int64]

SET = "set"


@dataclass(frozen=True)
class Atlas:
    """Places in the order of their codes, with the groups they belong to."""

    codes: tuple[str, ...]
    names: tuple[str, ...]
    members: NDArray[np.bool_]
    """Places that count in means and ranks; a residual does not."""
    groups: Mapping[tuple[str, str], Ints]
    """(group type, Chinese name) -> positions, primary memberships first come first."""
    kinds: Mapping[str, tuple[str, ...]]
    """group type -> names of its groups."""

    def of(self, name: str, kinds: Sequence[str]) -> Ints:
        """Positions of a group or place; `A+B` is A and B together. Raises Finding for a name nobody knows."""
        if "+" in name:
            return np.unique(np.concatenate([self.of(part, kinds) for part in name.split("+")]))
        for kind in kinds:
            if (kind, name) in self.groups:
                return self.groups[kind, name]
        if name in self.names:
            return np.array([self.names.index(name)])
        raise Finding("no such place or group", where="printed values", found=name, expected=", ".join(kinds))

    def knows(self, name: str, kinds: Sequence[str]) -> bool:
        return all(part in self.names or any((kind, part) in self.groups for kind in kinds) for part in name.split("+"))

    @property
    def cities(self) -> Ints:
        return np.flatnonzero(self.members)


def with_sets(known: Atlas, sets: Mapping[str, Sequence[str]]) -> Atlas:
    """The atlas with sets of its own kind `set`: places that are in every one of the named groups."""
    groups = dict(known.groups)
    for name, parts in sets.items():
        inside = np.ones(len(known.codes), dtype=np.bool_)
        for part in parts:
            inside &= np.isin(np.arange(len(known.codes)), known.of(part, list(known.kinds)))
        groups[SET, name] = np.flatnonzero(inside)
    return replace(known, groups=groups)


def atlas(places: pl.DataFrame, groups: pl.DataFrame, membership: pl.DataFrame, ranked: Sequence[str]) -> Atlas:
    """In: places [code, type, name_zh], groups [type, code, name_zh], membership [place, group_type, group, primary]
    (primary as text "1" or "0"), the place types that are ranked. Only primary memberships count here.
    """
    known = places.sort("code")
    codes, names = known["code"].to_list(), known["name_zh"].to_list()
    at = {code: position for position, code in enumerate(codes)}
    called = {(kind, code): name for kind, code, name in groups.select("type", "code", "name_zh").iter_rows()}
    found: dict[tuple[str, str], list[int]] = {}
    for place, kind, group, primary in membership.select("place", "group_type", "group", "primary").iter_rows():
        if primary in ("1", True) and place in at and (kind, group) in called:
            found.setdefault((kind, called[kind, group]), []).append(at[place])
    kinds: dict[str, tuple[str, ...]] = {}
    for kind, name in found:
        kinds[kind] = (*kinds.get(kind, ()), name)
    return Atlas(
        tuple(codes),
        tuple(names),
        known["type"].is_in(list(ranked)).to_numpy(),
        {key: np.array(sorted(set(where))) for key, where in found.items()},
        kinds,
    )
