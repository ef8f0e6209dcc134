"""The monthly values as records of each feed, by the shapes the settings name.

members     a combination of a column's value (and of products inside it) with its partners
layers      every value in every layer at one mix; kind and partner change from place to place
plain       measures without dimensions
categories  overlapping users and additive seconds of categories, and of all together
rated       volumes with ratings, so that the weighted sum of rated volumes gives the points exactly
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dci_pipeline.feeds.calibration.blocks import Block, split, with_late_places
from dci_pipeline.feeds.calibration.world import World
from dci_pipeline.feeds.draws import normals

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LATE = 0.0005


def blocks(made: World, late: int = 0) -> dict[str, list[Block]]:
    """The records of every feed, by the shapes the settings name; `late` places come after those of the atlas."""
    shapes: dict[str, Callable[[World, Mapping[str, Any]], list[Block]]] = {
        "members": _by_member,
        "layers": _by_layer,
        "plain": _plain,
        "categories": _categories,
        "rated": _rated,
    }
    return {
        str(feed): with_late_places(shapes[entry["shape"]](made, entry), made.n, late, LATE)
        for feed, entry in made.profile.settings["feeds"].items()
    }


def _beside(made: World, entry: Mapping[str, Any], values: Floats, *parts: object) -> dict[str, Floats]:
    """Measures that go along with the main one: so much per unit of it, by place."""
    return {
        str(column): values * float(ratio) * made.drawn("beside", column, *parts, spread_by=0.15)[:, None]
        for column, ratio in entry.get("beside", {}).items()
    }


def _by_member(made: World, entry: Mapping[str, Any]) -> list[Block]:
    """One block for each member (split among products where it has some) and each of its partners."""
    found: list[Block] = []
    every = np.arange(made.n)
    for value, source in entry["values"].items():
        share = made.profile.alphas[str(source["of"][0]), str(source["of"][1])] if "of" in source else 1.0
        cells = made.values[str(source["from"])] * (float(entry["base"]) / share)
        products: Mapping[str, float] = source.get("split", {"": 1.0})
        for product, part in zip(products, split(cells, made.shares(products, value)), strict=True):
            partners: Mapping[str, float] = source.get("partners", entry.get("partners", {}))
            shares = made.shares(partners, entry["column"], value)
            for partner, own in zip(partners, split(part.astype(np.float64), shares), strict=True):
                dimensions = {str(entry["column"]): str(value), **source.get("dimensions", {})}
                if product:
                    dimensions[str(entry["split_column"])] = product
                more = _beside(made, {**entry, **source}, own.astype(np.float64), value, product)
                measures = {
                    str(entry["measure"]): own,
                    **{column: np.rint(item).astype(np.int64) for column, item in more.items()},
                }
                found.append(Block(partner, every, dimensions, measures))
    return found


def _by_layer(made: World, entry: Mapping[str, Any]) -> list[Block]:
    """Every member in every layer at one mix for all places and months; kind and partner change from place to place."""
    found: list[Block] = []
    layers: Mapping[str, float] = entry["layers"]
    partners = list(entry["partners"])
    every = np.arange(made.n)
    for value, source in entry["values"].items():
        cells = made.values[str(source)] * float(entry["scale"])
        shares = np.tile(np.array(list(layers.values())) / sum(layers.values()), (made.n, 1))
        for layer, own in zip(layers, split(cells, shares), strict=True):
            kinds = list(entry["kinds"][layer])
            draw = normals(list(made.profile.atlas.codes), made.profile.seed, "kind", value, layer, width=2)
            kind = (np.abs(draw[:, 0]) * 7919).astype(np.int64) % len(kinds)
            sender = (np.abs(draw[:, 1]) * 7919).astype(np.int64) % len(partners)
            for at, partner in enumerate(partners):
                places = every[sender == at]
                dimensions = {
                    str(entry["column"]): str(value),
                    str(entry["layer_column"]): str(layer),
                    str(entry["kind_column"]): [str(kinds[item]) for item in kind[places]],
                }
                found.append(Block(partner, places, dimensions, {str(entry["measure"]): own[places]}))
    return found


def _plain(made: World, entry: Mapping[str, Any]) -> list[Block]:
    """One block for each partner; a measure is a node's values, or another measure's times a path of its own."""
    measures: dict[str, list[Ints]] = {}
    partners: Mapping[str, float] = entry["partners"]
    for column, source in entry["measures"].items():
        values = made.values[str(source["from"])]
        if "path" in source:
            values = values / values.sum(axis=0) * made.national[str(source["path"])] * float(source["scale"])
            values = values * made.drawn("plain", column, spread_by=float(source.get("spread", 0.0)))[:, None]
        else:
            values = values * made.scales[str(source["from"])]
        measures[str(column)] = split(values, made.shares(partners, entry["shape"]))
    return [
        Block(partner, np.arange(made.n), {}, {column: parts[at] for column, parts in measures.items()})
        for at, partner in enumerate(partners)
    ]


def _categories(made: World, entry: Mapping[str, Any]) -> list[Block]:
    """Users and seconds of every category and of all together: users overlap, seconds add up to the total."""
    users = made.values[str(entry["users"])] * made.scales[str(entry["users"])]
    total = np.rint(made.values[str(entry["seconds"])] * made.scales[str(entry["seconds"])]).astype(np.int64)
    slack = np.rint(made.values[str(entry["slack"])] * float(entry["slack_scale"])).astype(np.int64)
    rest = (total - slack).astype(np.float64)
    parts = {str(name): _category(made, item) for name, item in entry["categories"].items()}
    weights = np.stack(
        [
            part[1][None, :] * made.drawn("seconds", name, spread_by=0.05)[:, None]
            for name, part in parts.items()
            if name != entry["slack_category"]
        ]
    )
    weights = weights / weights.sum(axis=0)
    seconds: dict[str, Ints] = {}
    left = np.rint(rest).astype(np.int64)
    names = [name for name in parts if name != entry["slack_category"]]
    for name, weight in zip(names[:-1], weights[:-1], strict=True):
        seconds[name] = np.floor(rest * weight).astype(np.int64)
        left = left - seconds[name]
    seconds[names[-1]] = left
    seconds[str(entry["slack_category"])] = slack
    every = np.arange(made.n)
    column, partner = str(entry["column"]), str(entry["partner"])
    count, length = (str(item) for item in entry["measures"])
    found = [
        Block(partner, every, {column: str(entry["all"])}, {count: np.rint(users).astype(np.int64), length: total})
    ]
    for name, (reach, _) in parts.items():
        own = users * np.minimum(reach[None, :] * made.drawn("reach", name, spread_by=0.01)[:, None], 0.995)
        found.append(
            Block(partner, every, {column: name}, {count: np.rint(own).astype(np.int64), length: seconds[name]})
        )
    return found


def _category(made: World, item: Mapping[str, Any]) -> tuple[Floats, Floats]:
    """Reach [month] and weight of the time spent [month]: `reach` and `time` at given months, straight between."""
    at = np.arange(len(made.calendar.months))

    def line(points: Mapping[str, float]) -> Floats:
        return np.interp(at, [made.calendar.at(str(month)) for month in points], [float(x) for x in points.values()])

    return line(item["reach"]), line(item["time"])


def _rated(made: World, entry: Mapping[str, Any]) -> list[Block]:
    """Volumes with ratings: v = points / bracket, so that the weighted sum of rated volumes gives the points exactly.

    The rates are constant over places and months until the last year before `since`; bracket = sum of weight x
    rate / first rate over the node's leaves (1 for a leaf without a rate).
    """
    n, months = made.n, len(made.calendar.months)
    years = np.array([int(month[:4]) for month in made.calendar.months])
    rates: dict[str, Floats] = {}
    bracket = np.zeros((n, months))
    for rate, item in entry["rates"].items():
        grid = np.empty((n, months))
        for year, value in item["years"].items():
            grid[:, years >= int(year)] = float(value)
        late = years >= int(item["since"])
        drawn = made.drawn("rate", rate, spread_by=float(item.get("spread", 0.0)))
        for group, factors in item.get("groups", {}).items():
            places = made.profile.atlas.of(group, list(made.profile.atlas.kinds))
            drawn[places] = 1.0
            for year, value in factors.items():
                grid[np.ix_(places, np.flatnonzero(years >= int(year)))] = float(value)
        grid[:, late] *= drawn[:, None]
        rates[str(rate)] = np.rint(np.clip(grid, item["least"], item["most"]))
    for leaf, item in entry["leaves"].items():
        weight = made.profile.alphas[str(entry["node"]), str(leaf)]
        if "rate" in item:
            useful = np.abs(rates[item["rate"]] - float(item["worst"]))
            bracket += weight * useful / useful[0, 0]
        else:
            bracket += weight
    volume = made.values[str(entry["node"])] / bracket
    measures = {
        str(column): np.rint(volume * float(scale)).astype(np.int64) for column, scale in entry["volumes"].items()
    }
    measures |= {rate: values.astype(np.int64) for rate, values in rates.items()}
    return [Block(str(entry["partner"]), np.arange(n), {}, measures)]
