"""The tables of cells, one after the other: nodes by place first, then the members of each node inside its places.

Each table is started from sizes and mixes drawn with the seed, fitted to its facts, and told how far it came. A fact
about the mean of the members' growths is no linear condition; it becomes one in a second round, in which the sums of
the year before stay as they were found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dci_pipeline.feeds.calibration.atlas import Atlas
from dci_pipeline.feeds.calibration.collected import Collected
from dci_pipeline.feeds.calibration.facts import Fact, assumed
from dci_pipeline.feeds.calibration.growths import mean_growths
from dci_pipeline.feeds.calibration.reading import Reading, Subject
from dci_pipeline.feeds.calibration.risers import rank_gains
from dci_pipeline.feeds.calibration.solve import Miss, Solution, proportional, solve
from dci_pipeline.feeds.calibration.targets import read
from dci_pipeline.feeds.calibration.unknowns import Condition, Unknowns
from dci_pipeline.feeds.draws import normals

Floats = NDArray[np.float64]
INFINITE = float("inf")
FIRST_ROUNDS, ROUNDS = 20, 40


@dataclass(frozen=True)
class Profile:
    """What every table needs: the profile's settings, places, printed facts, weights and the seed."""

    settings: Mapping[str, Any]
    atlas: Atlas
    facts: Sequence[Fact]
    alphas: Mapping[tuple[str, str], float]
    """(node, child) -> weight of the child in the node."""
    seed: int

    def reading(self, unknowns: Unknowns, own: Mapping[str, Any], members: Mapping[str, tuple[str, ...]]) -> Reading:
        everything = {str(key): str(value) for key, value in self.settings["everything"].items()}
        shared = {key: self.settings[key] for key in ("meaningless", "mean_over") if key in self.settings}
        if "ranked" in own:
            shared["ranked_members"] = {own["subject"]: own["ranked"]}
        return Reading(
            self.atlas,
            unknowns,
            self.settings["kinds"],
            self.settings.get("exhibit_kinds", {}),
            everything,
            members,
            {**own, **shared},
        )

    def sizes(self) -> Floats:
        """A place's size before any fact: by the group it is in, with a spread of its own."""
        sizes = np.full(len(self.atlas.codes), float(self.settings["residual"]))
        for name, size in self.settings["sizes"].items():
            kind = next(kind for kind, group in self.atlas.groups if group == name)
            sizes[self.atlas.groups[kind, name]] = size
        sizes[~self.atlas.members] = self.settings["residual"]
        drawn = normals(list(self.atlas.codes), self.seed, "size")[:, 0]
        return sizes * np.exp(self.settings["spread"] * drawn)


@dataclass(frozen=True)
class Table:
    """A fitted table: cells by (member, span) and what was missed."""

    unknowns: Unknowns
    cells: Floats
    misses: tuple[Miss, ...]
    unread: tuple[Fact, ...]

    def grid(self, member: str, span: str) -> Floats:
        return self.unknowns.grid(self.cells, member, span)

    def of(self, subject: str, period: str) -> Floats:
        """A subject by place in a period."""
        at = np.arange(self.unknowns.n_places)
        row = self.unknowns.row(subject, at, period)
        values = np.bincount(row.at % self.unknowns.n_places, row.factor * self.cells[row.at], self.unknowns.n_places)
        return values.astype(np.float64)


def fitted(
    profile: Profile,
    own: Mapping[str, Any],
    reading: Reading,
    prior: Floats,
    always: Sequence[Condition],
    *,
    fixed: NDArray[np.bool_] | None = None,
) -> Table:
    """A table fitted to all facts it can hold. `always` are conditions of its own, `fixed` cells that stay."""
    facts = [*profile.facts, *assumed(own.get("facts", ()))]
    start = prior.copy()
    targets = _targets(reading, start, facts, always)
    start = proportional(start, targets.conditions, rounds=FIRST_ROUNDS, fixed=fixed)
    targets = _targets(reading, start, facts, always)
    start = proportional(start, targets.conditions, rounds=ROUNDS, fixed=fixed)
    found = solve(start, targets.conditions, fixed=fixed)
    conditions = targets.conditions
    unread = [fact for fact in targets.unread if reading.find(fact) is not None]
    gained = rank_gains(reading, found.cells, unread) if own.get("whole_order") else []
    if gained:
        conditions = [item for item in conditions if item.label not in {one.label for one in gained}] + gained
        found = _again(found, conditions, fixed)
    elif found.misses:
        found = _again(found, conditions, fixed)
    means = mean_growths(reading, found.cells, unread)
    if means:
        found = _again(found, [*conditions, *means], fixed)
    return Table(reading.unknowns, found.cells, found.misses, tuple(unread))


def _again(found: Solution, conditions: Sequence[Condition], fixed: NDArray[np.bool_] | None) -> Solution:
    """Solve from what was found, and once more from there when the cells' reach was too short."""
    start = proportional(found.cells, conditions, rounds=ROUNDS, fixed=fixed)
    better = solve(start, conditions, fixed=fixed)
    return solve(better.cells, conditions, fixed=fixed) if better.misses else better


def _targets(reading: Reading, start: Floats, facts: Sequence[Fact], always: Sequence[Condition]) -> Collected:
    targets = Collected(reading, start)
    if reading.members:
        # what concerns the node as a whole was settled in the table above
        facts = [fact for fact in facts if (about := reading.find(fact)) is not None and about.members]
    read(targets, facts)
    targets.conditions += always
    return targets


def levels(profile: Profile, own: Mapping[str, Any], always: Sequence[Condition] = ()) -> Table:
    """Nodes by place; a root is their weighted sum, and its slack node takes what is left of it."""
    n = len(profile.atlas.codes)
    nodes = {str(name): [str(span) for span in spans] for name, spans in own["spans"].items()}
    root = str(own.get("root", ""))
    weights = {child: weight for (node, child), weight in profile.alphas.items() if node == root}
    subjects = {**{name: {name: 1.0} for name in nodes}, **({root: weights} if root else {})}
    unknowns = Unknowns(n, nodes, own["periods"], subjects)
    reading = profile.reading(unknowns, own, {})
    prior = np.zeros(unknowns.size)
    for (node, span), start in unknowns.blocks.items():
        share = profile.sizes() ** float(own["concentration"][node])
        share *= np.exp(profile.settings["spread"] * normals(list(profile.atlas.codes), profile.seed, node)[:, 0])
        for group, factor in own.get("tilt", {}).get(node, {}).get(span, {}).items():
            share[profile.atlas.of(group, list(profile.atlas.kinds))] *= factor
        prior[start : start + n] = share / share.sum() * own["nation"][node][span]
    for one in own.get("start", ()):
        at = unknowns.blocks[one["subject"], str(one["period"])]
        for name, value in one["values"].items():
            prior[at + profile.atlas.of(name, [])] = value
    held = [*always, *_totals(own, unknowns), *_inside(profile, own, unknowns), *_fastest(profile, own, reading)]
    return fitted(profile, own, reading, prior, held)


def _totals(own: Mapping[str, Any], unknowns: Unknowns) -> list[Condition]:
    """The nation's totals, which the monthly paths run through, exactly."""
    every = np.arange(unknowns.n_places)
    return [
        Condition(unknowns.row(node, every, span), float(value), float(value), f"{node} total {span}", 20.0)
        for node, levels_of in own["nation"].items()
        for span, value in levels_of.items()
    ]


def _inside(profile: Profile, own: Mapping[str, Any], unknowns: Unknowns) -> list[Condition]:
    """A child that is a table of its own leaves room in its parent for the parent's other children."""
    conditions: list[Condition] = []
    for child, parent in own.get("inside", {}).items():
        weight = profile.alphas[parent, child]
        for span in unknowns.spans[parent]:
            for at in range(len(profile.atlas.codes)):
                here = np.array([at])
                row = unknowns.row(parent, here, span).times(0.6).minus(unknowns.row(child, here, span).times(weight))
                conditions.append(Condition(row, 0.0, INFINITE, f"{child} inside {parent}"))
    return conditions


def _fastest(profile: Profile, own: Mapping[str, Any], reading: Reading) -> list[Condition]:
    """So many cities of a group among the fastest growing of all, drawn with the seed; all others grow less."""
    conditions: list[Condition] = []
    for rule in own.get("fastest", ()):
        chosen: list[int] = []
        barred = {int(profile.atlas.of(name, [])[0]) for name in rule.get("not", ())}
        for group, count in rule["groups"].items():
            places = [int(at) for at in profile.atlas.of(group, list(profile.atlas.kinds)) if at not in barred]
            draw = normals([profile.atlas.codes[at] for at in places], profile.seed, "fastest")[:, 0]
            chosen += [places[at] for at in np.argsort(-draw)[: int(count)]]
        subject, period = rule["subject"], str(rule["period"])
        targets = Collected(reading, np.zeros(0))
        for at in profile.atlas.cities:
            if not rule["groups"] and int(at) in barred:
                continue
            about = Subject(subject, np.array([at]))
            least = float(rule.get("least", -0.95))
            low, high = (rule["growth"] * 1.02, INFINITE) if int(at) in chosen else (least, rule["growth"])
            targets.between(about, period, low, high, f"{rule['exhibit']} fastest {subject}")
        conditions += targets.conditions
    return conditions


def members(profile: Profile, own: Mapping[str, Any], names: Mapping[str, tuple[str, ...]], upper: Table) -> Table:
    """The members of one node by place, summing to the node's cells in `upper`."""
    n = len(profile.atlas.codes)
    subject, spans = str(own["subject"]), [str(span) for span in own["spans"]]
    given: Mapping[str, str] = own.get("given", {})
    every = [*own["nation"], *given]
    periods = profile.settings["levels"]["periods"]
    unknowns = Unknowns(n, dict.fromkeys(every, spans), periods, {subject: dict.fromkeys(every, 1.0)})
    reading = profile.reading(unknowns, own, {key: of for key, of in names.items() if set(of) <= set(every)})
    prior, fixed = np.zeros(unknowns.size), np.zeros(unknowns.size, dtype=np.bool_)
    always: list[Condition] = []
    for number, span in enumerate(spans):
        whole = upper.of(subject, span)
        left = whole.copy()
        for member, node in given.items():
            part = upper.of(node, span) * profile.alphas[subject, member]
            start = unknowns.blocks[member, span]
            prior[start : start + n], fixed[start : start + n] = part, True
            left = left - part
        mix = np.array([_mix(profile, own, member, number) for member in own["nation"]])
        mix = mix / mix.sum(axis=0)
        for member, share in zip(own["nation"], mix, strict=True):
            start = unknowns.blocks[member, span]
            prior[start : start + n] = np.maximum(left * share, 1e-9)
        for at in range(n):
            row = unknowns.row(subject, np.array([at]), span)
            always.append(Condition(row, float(whole[at]), float(whole[at]), f"{subject} of a place", 20.0))
    _steadied(profile, own, reading, prior, spans)
    prior = _spiked(profile, own, reading, prior, always)
    return fitted(profile, own, reading, prior, always, fixed=fixed if given else None)


def _mix(profile: Profile, own: Mapping[str, Any], member: str, span: int) -> Floats:
    """A member's part of every place: the nation's, leaning by group, with a spread that lasts over the spans."""
    codes = list(profile.atlas.codes)
    part = np.full(len(codes), float(own["nation"][member][span]))
    for group, factor in own.get("tilt", {}).get(member, {}).items():
        part[profile.atlas.of(group, list(profile.atlas.kinds))] *= factor
    drawn = normals(codes, profile.seed, own["subject"], member)[:, 0]
    return part * np.exp(float(own.get("spread", 0.12)) * drawn)


def _steadied(profile: Profile, own: Mapping[str, Any], reading: Reading, prior: Floats, spans: Sequence[str]) -> None:
    """Start a group of members with a growth of its own in every place; the other members take what is left."""
    n = len(profile.atlas.codes)
    for rule in own.get("steady", ()):
        of = reading.members[rule["members"]]
        growth = np.full(n, float(rule["growth"]))
        for group, other in rule.get("groups", {}).items():
            growth[profile.atlas.of(group, list(profile.atlas.kinds))] = other
        every = list(own["nation"])
        grids = {(name, span): reading.unknowns.grid(prior, name, span) for name in every for span in spans}
        before, now = spans[0], [str(span) for span in rule["spans"]]
        whole = {span: np.sum([grids[name, span] for name in every], axis=0) for span in spans}
        held = {span: np.sum([grids[name, span] for name in of], axis=0) for span in spans}
        later = np.mean([held[span] for span in now], axis=0)
        wanted = np.minimum(later / (1 + growth), 0.8 * whole[before])
        ratios = {before: wanted / held[before]}
        for span in now:
            ratios[span] = np.minimum(wanted * (1 + growth) / later, 0.9 * whole[span] / held[span])
        for span, ratio in ratios.items():
            rest = (whole[span] - held[span] * ratio) / (whole[span] - held[span])
            for name in every:
                grids[name, span] *= ratio if name in of else rest


def _spiked(
    profile: Profile, own: Mapping[str, Any], reading: Reading, prior: Floats, always: list[Condition]
) -> Floats:
    """Places where a group of members was next to nothing in a span, so that its growth after it is huge."""
    for rule in own.get("spikes", ()):
        of, span = reading.members[rule["members"]], str(rule["span"])
        places: list[int] = [int(profile.atlas.of(name, [])[0]) for name in rule.get("places", ())]
        barred = {int(profile.atlas.of(name, [])[0]) for name in rule.get("not", ())}
        for group, count in rule["groups"].items():
            free = [int(at) for at in profile.atlas.of(group, list(profile.atlas.kinds)) if at not in barred]
            draw = normals([profile.atlas.codes[at] for at in free], profile.seed, "spikes")[:, 0]
            places += [free[at] for at in np.argsort(-draw)[: int(count)]]
        every = [reading.unknowns.blocks[name, span] for name in own["nation"]]
        for at in places:
            whole = sum(prior[start + at] for start in every)
            factor = rule["share"] * whole / sum(prior[reading.unknowns.blocks[name, span] + at] for name in of)
            for name in of:
                prior[reading.unknowns.blocks[name, span] + at] *= factor
            row = reading.row(Subject(str(own["subject"]), np.array([at]), of), span)
            always.append(Condition(row, 0.5 * rule["share"] * whole, rule["share"] * whole, "spike"))
    return prior
