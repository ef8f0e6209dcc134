"""The calibrated world: fitted tables spread over months and written as blocks of records, feed by feed.

A leaf's measure is C v / (100 a): v its points inside the node it was fitted in, a its share of that node, C a scale
chosen only so that rounding to whole numbers cannot be seen. The level of a leaf in the reference is then 100.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dci_pipeline.feeds.calibration.months import Calendar, calendar, completed, national_path, spread
from dci_pipeline.feeds.calibration.tables import Profile, Table, levels
from dci_pipeline.feeds.calibration.unknowns import Condition, Row, Unknowns
from dci_pipeline.feeds.draws import normals
from dci_pipeline.findings import Finding

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """What the feeds are made of: monthly values [place, month] by name, and how to draw what nobody stated."""

    profile: Profile
    calendar: Calendar
    national: Mapping[str, Floats]
    values: dict[str, Floats]
    scales: Mapping[str, float]
    """Factors from the unit of an absolute indicator to that of its measure, by node."""

    @property
    def n(self) -> int:
        return len(self.profile.atlas.codes)

    def drawn(self, *parts: object, spread_by: float) -> Floats:
        """A factor for each place, lasting through all months."""
        return np.exp(spread_by * normals(list(self.profile.atlas.codes), self.profile.seed, *parts)[:, 0])

    def shares(self, partners: Mapping[str, float], *parts: object) -> Floats:
        """[place, partner] shares that sum to 1."""
        each = np.stack(
            [share * self.drawn("partner", name, *parts, spread_by=0.1) for name, share in partners.items()], axis=1
        )
        return each / each.sum(axis=1)[:, None]


def world(profile: Profile, tables: Mapping[str, Table], scales: Mapping[str, float]) -> tuple[World, dict[str, Table]]:
    """Monthly values of all nodes and members, and every table: those given (by name of the settings) and the digital
    one, which is fitted here because its nodes may not be smaller than the members known by then."""
    own = profile.settings["months"]
    known = calendar(str(profile.settings["first"]), str(profile.settings["last"]), own["spans"])
    national = {str(name): national_path(known, path) for name, path in own["paths"].items()}
    made = World(profile, known, national, {}, scales)
    for entry in own["members"]:
        _members(made, entry, tables[entry["table"]])
    digital = profile.settings["digital"]
    every = {
        **tables,
        "digital": levels(profile, digital, [item for one in own["rests"] for item in _floor(made, one)]),
    }
    for entry in own["nodes"]:
        _node(made, entry, every[entry["table"]])
    _hours(made, own["hours"])
    for entry in own["rests"]:
        _rest(made, entry)
    return made, every


def _parts(made: World, entry: Mapping[str, Any]) -> dict[str, Floats]:
    return {
        str(name): made.values[str(name)] * float(share) / made.profile.alphas[str(of), str(leaf)]
        for name, (of, leaf, share) in entry["parts"].items()
    }


def _floor(made: World, entry: Mapping[str, Any]) -> list[Condition]:
    """A node is at every place larger than the parts of it that are leaves elsewhere."""
    node, spans = str(entry["node"]), [str(span) for span in made.profile.settings["digital"]["spans"][entry["node"]]]
    unknowns = Unknowns(made.n, made.profile.settings["digital"]["spans"], {}, {})
    total = np.sum(list(_parts(made, entry).values()), axis=0)
    conditions: list[Condition] = []
    for span in spans:
        least = total[:, made.calendar.spans[span]].mean(axis=1) * float(entry["room"])
        start = unknowns.blocks[node, span]
        conditions += [
            Condition(
                Row(np.array([start + at]), np.ones(1)), float(least[at]), float("inf"), f"parts of {node} {span}"
            )
            for at in range(made.n)
        ]
    return conditions


def _hours(made: World, entry: Mapping[str, Any]) -> None:
    """A stock times hours of its own by place, on its own national path: a level, and a growth after the turn."""
    (level_spread, growth_spread), (before, after) = entry["spread"], entry["turn"]
    level = made.drawn("hours", "level", spread_by=float(level_spread))
    growth = made.drawn("hours", "growth", spread_by=float(growth_spread))
    for group, (own_level, own_growth) in entry["groups"].items():
        places = made.profile.atlas.of(group, list(made.profile.atlas.kinds))
        level[places] = own_level
        growth[places] = own_growth
    stops = [made.calendar.at(str(before)), made.calendar.at(str(after))]
    turned = np.interp(np.arange(len(made.calendar.months)), stops, [0.0, 1.0])
    values = made.values[str(entry["per"])] * level[:, None] * (1 + (growth[:, None] - 1) * turned)
    made.values[str(entry["node"])] = values / values.sum(axis=0) * made.national[str(entry["node"])]


def _rest(made: World, entry: Mapping[str, Any]) -> None:
    """Parts of a node that are leaves elsewhere, and others that share the rest; a place has at least a tenth left."""
    node = str(entry["node"])
    whole = made.values[node]
    parts = _parts(made, entry)
    left = whole - sum(parts.values(), np.zeros_like(whole))
    if np.any(left < 0.02 * whole):
        at = int(np.argmin((left / whole).min(axis=1)))
        raise Finding(
            "members exceed the node they are part of",
            where=f"calibration, node {node}",
            found=f"{made.profile.atlas.names[at]}, {float((left / whole).min()):.2f} left",
            expected="at least a fiftieth for the other members",
            todo="lower the members' shares in the calibration file",
        )
    months = np.arange(len(made.calendar.months))
    weights = np.stack(
        [
            np.interp(months, [made.calendar.at(str(month)) for month in line], [float(x) for x in line.values()])
            * made.drawn("rest", name, spread_by=0.1)[:, None]
            for name, line in entry["others"].items()
        ]
    )
    shares = weights / weights.sum(axis=0)
    made.values.update({f"{node}.{name}": values for name, values in parts.items()})
    made.values.update({f"{node}.{name}": left * share for name, share in zip(entry["others"], shares, strict=True)})


def _spans(made: World, path: str) -> list[str]:
    return [str(span) for span in made.profile.settings["months"]["paths"][path]["levels"]]


def _node(made: World, entry: Mapping[str, Any], table: Table) -> None:
    """A node's places along its own path."""
    name, path = str(entry["node"]), str(entry.get("path", entry["node"]))
    order = _spans(made, path)
    known = {
        span: table.of(name, source) / table.of(name, source).sum()
        for span in order
        if (source := str(entry.get("same", {}).get(span, span))) and table.unknowns.knows(name, source)
    }
    shares = completed(known, order)
    made.values[name] = spread(made.national[path], [made.calendar.spans[span] for span in order], shares)


def _members(made: World, entry: Mapping[str, Any], table: Table) -> None:
    """Members of a node by place: the mix before the first span comes from the weights, that after it from `later`."""
    name, path = str(entry["table"]), str(entry["path"])
    order = _spans(made, path)
    members = [str(member) for member in entry["members"]]
    known: dict[str, Floats] = {}
    for span in order:
        source = str(entry.get("same", {}).get(span, span))
        if all(table.unknowns.knows(name, source, member) for member in members):
            cells = np.concatenate([table.grid(member, source) for member in members])
            known[span] = cells / cells.sum()
    shares = completed(known, order).reshape(len(members), made.n, len(order))
    first = np.array([made.profile.alphas.get((str(entry.get("node", "")), member), 0.0) for member in members])
    starts = [span for span in order if span not in known and order.index(span) < order.index(next(iter(known)))]
    if first.sum() > 0:
        first = first / first.sum()
        then = shares[:, :, order.index(next(iter(known)))].sum(axis=1)
        for number, span in enumerate(order):
            if span in starts:
                # the basket's own weights in the reference, halfway later on
                part = max(0.0, (number - 1) / (len(starts) - 1)) if len(starts) > 1 else 0.0
                mix = first * (1 - part) + then * part
                mix = first if number < 2 else mix
                shares[:, :, number] *= (mix / shares[:, :, number].sum(axis=1))[:, None]
    for member, factors in entry.get("bend", {}).items():
        for span, factor in factors.items():
            shares[members.index(member), :, order.index(str(span))] *= float(factor)
    shares = shares / shares.sum(axis=(0, 1))
    national = made.national[path]
    for child, weight_of in entry.get("less", {}).items():
        national = national - made.profile.alphas[str(entry["node"]), str(weight_of)] * made.national[str(child)]
    flat = spread(national, [made.calendar.spans[span] for span in order], shares.reshape(-1, len(order))).reshape(
        len(members), made.n, -1
    )
    for member, values in zip(members, flat, strict=True):
        made.values[f"{name}.{member}"] = values
