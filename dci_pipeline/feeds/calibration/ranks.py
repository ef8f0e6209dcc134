"""Rank lists as conditions.

rank, rank change   each above the next by a margin, all others below the last; the year before likewise
growth rank         the listed growths are facts of their own; all others grow less than the least of them
growth ladder       where no growth is printed: so many times the growth of the scope, for each listed and the rest
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from dci_pipeline.feeds.calibration.collected import INFINITE, MARGIN, Collected, window
from dci_pipeline.feeds.calibration.facts import Fact
from dci_pipeline.feeds.calibration.reading import Subject, year_before


def read_ranks(into: Collected, facts: list[Fact]) -> None:
    """Rank lists of every subject, scope and period, that of the year before from the printed changes."""
    lists: dict[tuple[str, ...], dict[str, tuple[int, Subject]]] = {}
    heads: dict[tuple[str, ...], Fact] = {}
    place: dict[tuple[str, ...], int] = {}
    for fact in facts:
        if fact.bound != "exact" or fact.measure == "rank_change":
            continue
        key = _list(into, fact, fact.period)
        if key is not None:
            place[(*key, _who(into, fact))] = int(fact.value)
            heads.setdefault(key, fact)
            lists.setdefault(key, {})[_who(into, fact)] = (int(fact.value), into.reading.rivals(fact)[_who(into, fact)])
    for fact in facts:
        now = _list(into, fact, fact.period) if fact.measure == "rank_change" else None
        then = _list(into, fact, year_before(fact.period)) if fact.measure == "rank_change" else None
        if now is None or then is None or fact.bound != "exact":
            continue
        rank = place.get((*now, _who(into, fact)))
        if rank is None:
            into.unread.append(fact)
            continue
        heads.setdefault(then, fact)
        lists.setdefault(then, {})[_who(into, fact)] = (
            rank + int(fact.value),
            into.reading.rivals(fact)[_who(into, fact)],
        )
    for key, listed in lists.items():
        _order(into, key[-1], listed, into.reading.rivals(heads[key]), heads[key])


def read_growth_ranks(into: Collected, facts: list[Fact], grown: Mapping[tuple[str, str, str], Fact]) -> None:
    """Lists of growth; `grown` are the growths stated, by subject, entity and period."""
    lists: dict[tuple[str, ...], list[Fact]] = {}
    for fact in facts:
        who = _who(into, fact)
        if not who or not into.reading.can(into.reading.rivals(fact)[who], fact.period):
            into.unread.append(fact)
            continue
        if not into.reading.can(into.reading.rivals(fact)[who], year_before(fact.period)):
            into.unread.append(fact)
            continue
        scope = "|".join(part for part in fact.entity.split("|") if part != who)
        lists.setdefault((fact.exhibit, fact.subject, fact.kind, scope, fact.period), []).append(fact)
    for key, listed in lists.items():
        listed.sort(key=lambda fact: fact.value)
        _growth_list(into, key, listed, grown)


def _order(
    into: Collected, period: str, listed: Mapping[str, tuple[int, Subject]], rivals: Mapping[str, Subject], head: Fact
) -> None:
    """Conditions for a rank list; places of it that nobody states go to those who are largest so far."""
    last = max(rank for rank, _ in listed.values())
    named = dict(listed.values())
    _arrange(into, period, listed, rivals)
    others = [one for name, one in into.by_prior(rivals, period) if name not in listed]
    chain: list[Subject] = []
    for rank in range(1, last + 1):
        if rank in named:
            chain.append(named[rank])
        elif others:
            chain.append(others.pop(0))
    label = f"{head.exhibit} {head.subject} {head.entity} order of {period}"
    mean = head.measure == "mean_rank"
    for upper, lower in itertools.pairwise(chain):
        stand_above(into, upper, lower, period, label, mean=mean)
    for other in others:
        stand_above(into, chain[-1], other, period, label, mean=mean)


def _who(into: Collected, fact: Fact) -> str:
    """The one that is ranked: the last part of the name that is a rival."""
    rivals = into.reading.rivals(fact)
    return next((part for part in reversed(fact.entity.split("|")) if part in rivals), "")


def _list(into: Collected, fact: Fact, period: str) -> tuple[str, ...] | None:
    """The list a ranked fact belongs to; None when this table does not hold it."""
    about, who = into.reading.find(fact), _who(into, fact)
    if about is None or not who or not into.reading.can(into.reading.rivals(fact)[who], period):
        return None
    scope = "|".join(part for part in fact.entity.split("|") if part != who)
    if not into.reading.atlas.knows(scope, into.reading.group_kinds(fact)) and scope not in into.reading.members:
        scope = ""
    mean = "mean" if fact.measure == "mean_rank" else ""
    return (fact.subject, fact.kind, scope, mean, period)


def _arrange(
    into: Collected, period: str, listed: Mapping[str, tuple[int, Subject]], rivals: Mapping[str, Subject]
) -> None:
    """Deal the prior's own sizes out again so that it starts in the listed order."""
    sizes = sorted((into.reading.row(one, period).value(into.prior) for one in rivals.values()), reverse=True)
    free = [size for rank, size in enumerate(sizes, 1) if rank not in {rank for rank, _ in listed.values()}]
    dealt = {name: sizes[rank - 1] for name, (rank, _) in listed.items()}
    for name, _ in into.by_prior(rivals, period):
        if name not in dealt:
            dealt[name] = free.pop(0)
    for name, one in rivals.items():
        row = into.reading.row(one, period)
        into.prior[row.at] *= dealt[name] / row.value(into.prior)


def stand_above(
    into: Collected, upper: Subject, lower: Subject, period: str, label: str, *, mean: bool = False
) -> None:
    """One above another by the margin, by their sums or by their means over cities."""
    high, low = into.reading.row(upper, period), into.reading.row(lower, period)
    if mean:
        high, low = high.times(1 / into.reading.n_members(upper)), low.times(1 / into.reading.n_members(lower))
    names = into.reading.atlas.names
    pair = "" if mean else f": {names[upper.places[0]]} above {names[lower.places[0]]}"
    into.add(high.minus(low.times(1 + MARGIN)), 0.0, INFINITE, label + pair)


def _growth_list(
    into: Collected, key: tuple[str, ...], listed: list[Fact], grown: Mapping[tuple[str, str, str], Fact]
) -> None:
    """All others grow less than the least of a list; a gap in it has to be `filled` by name, else nothing is said."""
    rivals = into.reading.rivals(listed[0])
    names = [_who(into, fact) for fact in listed]
    period, label = key[-1], " ".join(key)
    ladder = into.reading.settings.get("ladders", {}).get(key[0])
    if ladder is not None:
        _ladder(into, listed[0], [rivals[name] for name in names], rivals, period, ladder)
        return
    least: float | None = None
    for fact, name in zip(listed, names, strict=True):
        stated = (
            grown.get((fact.subject, fact.entity, period))
            or grown.get((fact.subject, name, period))
            or grown.get((fact.subject, f"{fact.scope}|{name}", period))
        )
        if stated is None:
            into.unread.append(fact)
        else:
            least = window(stated)[0] if least is None else min(least, window(stated)[0])
    spared = {int(fact.value) for fact in listed}
    gaps = [rank for rank in range(1, max(spared) + 1) if rank not in spared]
    if least is None or (gaps and not into.reading.settings.get("filled", {}).get(key[0])):
        return
    filled = set(into.reading.settings.get("filled", {}).get(key[0], ()))
    for name, other in rivals.items():
        if name not in names and name not in filled:
            into.between(other, period, -INFINITE, least - MARGIN, f"{label} others")


def _ladder(
    into: Collected, fact: Fact, first: list[Subject], rivals: Mapping[str, Subject], period: str, ladder: list[float]
) -> None:
    """Growth factors against the scope's own, which is known already: so many for the first, one for the others."""
    whole = into.reading.scope_subject(fact)
    now = into.reading.row(whole, period).value(into.prior)
    own = now / into.reading.row(whole, year_before(period)).value(into.prior)
    label = f"{fact.exhibit} {fact.entity} growth ladder"
    for number, one in enumerate(first):
        high = own * ladder[number - 1] - 1 if number else INFINITE
        into.between(one, period, own * ladder[number] - 1 + MARGIN, high - MARGIN, label)
    for other in rivals.values():
        if not any(other.members == one.members and other.places is one.places for one in first):
            into.between(other, period, -INFINITE, own * ladder[-1] - 1, label)
