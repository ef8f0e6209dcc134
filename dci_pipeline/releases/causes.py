"""Why a value can have moved from one release to the next: another definition, a correction, a new delivery.

What each of the three can reach is told from declarations alone, so that a rebuild comes to the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import polars as pl

from dci_pipeline import periods
from dci_pipeline.framework import Framework
from dci_pipeline.periods import MONTHS_IN, Period

BETTER, ROUTINE, METHOD, CORRECTION = "R1", "R2", "R3", "C"
_CORRECTIONS, _FEEDS, _WEIGHTS = "corrections/", "feeds/", "weights/"
# Of the index file what moves no level, rank or growth: words, and the definitions of other tables.
_OTHER_TABLES = {"name_zh", "name_en", "breakdowns", "tracker", "divide", "app_categories", "ranking", "auxiliary",
                 "revision_window"}  # fmt: skip
_WORDS = {"name_zh", "name_en", "assumption", "reason", "source_partner", "unit", "description"}
_OTHER_FILES = ("published/", "exhibits.yaml")
# What stands in a correction for people.
_FOR_PEOPLE = ("reason", "reporter", "since")
_KEY = re.compile(r"^(\w+)(?:\.\[([^\]]*)\])?(?:\.(\w+))?")
Slice = tuple[str, date]


@dataclass(frozen=True)
class Causes:
    """What is new in one release against the one before.

    framework: of the later one. method: the nodes whose values the change of the definition can move. corrected: the
    slices (feed, first day of the period) of which other corrections are in force. sent: [feed, start Date, sha256] of
    the deliveries that only the later one rests on.
    """

    framework: Framework
    method: frozenset[str]
    corrected: frozenset[Slice]
    sent: pl.DataFrame

    def kind(self, node: str, start: date, months: int) -> str:
        """R3, C or R2: what moved a value of a node over some months. Of several causes that reach it the first.

        Where none does by what the method declares, a slice of the node's feeds further back did, by a share that is
        carried; where there is none of these either, the code did, and that is R3 too.
        """
        if node in self.method:
            return METHOD
        feeds = self._feeds(node)
        corrected = {day for feed, day in self.corrected if feed in feeds}
        sent = {day for feed, day in self.sent.select("feed", "start").iter_rows() if feed in feeds}
        near, last = rests_on(self.framework, start, months), _last(start, months)
        for kind, days in ((CORRECTION, corrected), (ROUTINE, sent)):
            if days & near:
                return kind
        for kind, days in ((CORRECTION, corrected), (ROUTINE, sent)):
            if any(day <= last for day in days):
                return kind
        return METHOD

    def deliveries(self, node: str, start: date, months: int) -> str | None:
        """The new deliveries of the node's feeds for these months, with a space between.

        Where there is none, those for other periods that the value rests on, else for any period before; None without.
        """
        of_node = self.sent.filter(pl.col("feed").is_in(sorted(self._feeds(node))))
        day, last = pl.col("start"), _last(start, months)
        near = sorted(rests_on(self.framework, start, months))
        for wanted in (day.is_between(start, last), day.is_in(near), day <= last):
            named = of_node.filter(wanted)["sha256"].unique().sort().to_list()
            if named:
                return " ".join(named)
        return None

    def _feeds(self, node: str) -> set[str]:
        return {str(leaf.feed) for leaf in self.framework.leaves_under(node)}


def _last(start: date, months: int) -> date:
    """First day of the last of some months."""
    return Period(start, "month").shift(months - 1).start


def rests_on(framework: Framework, start: date, months: int) -> frozenset[date]:
    """First days of the periods that levels, ranks and growth over some months rest on.

    These, the period before and the same ones a year before, what any of them may carry a share from, and the
    references of every link up to theirs.
    """
    first = Period(start, framework.cadence)
    own = [first.shift(step) for step in range(max(months // MONTHS_IN[framework.cadence], 1))]
    carried = range(max(framework.carry_periods, 1) + 1)
    found = {item.shift(-back - year).start for item in own for back in carried for year in (0, item.per_year)}
    link = framework.link_at(own[-1])
    return frozenset(
        found | {item.start for part in (framework.chain(link) if link else ()) for item in part.reference}
    )


def reached(changes: Iterable[Mapping[str, Any]], framework: Framework) -> frozenset[str]:
    """The nodes whose values these changes of the definition (`changes.method_changes`) can move."""
    found: set[str] = set()
    for change in changes:
        found |= _reached(str(change["file"]), str(change["key"]), (change["from"], change["to"]), framework)
    return frozenset(found)


def _reached(file: str, key: str, values: Sequence[object], framework: Framework) -> set[str]:
    everything = set(framework.by_node)
    match = _KEY.match(key)
    top, entry, below = match.groups() if match else (key, None, None)
    if file.startswith((_CORRECTIONS, *_OTHER_FILES)) or below in _WORDS or top in _WORDS:
        return set()
    if file.startswith(_FEEDS):
        feed = file.removeprefix(_FEEDS).split(".", 1)[0]
        return {node for node in everything if feed in {leaf.feed for leaf in framework.leaves_under(node)}}
    if file.startswith(_WEIGHTS) and file.endswith(".csv"):
        # A row is wave, expert, node, child, score: the question is the node's, and moves it and what is above it.
        rows = [str(value).split(",") for value in values if isinstance(value, str)]
        asked = [row[2] for row in rows if len(row) == 5]
        return _with_above(asked, framework) if asked else everything
    if file == "index.yaml" and top in _OTHER_TABLES:
        return set()
    if file == "index.yaml" and top == "nodes" and entry in framework.by_node:
        return _with_above([str(entry)], framework)
    return everything


def _with_above(nodes: Iterable[str], framework: Framework) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        if node not in framework.by_node:
            return set(framework.by_node)
        current: str | None = node
        while current is not None:
            found.add(current)
            current = framework.by_node[current].parent
    return found


def corrected(before: Mapping[str, object], after: Mapping[str, object], cadence: str) -> frozenset[Slice]:
    """The slices whose corrections in force differ between two definitions (file name → what it says)."""
    found: set[Slice] = set()
    for file in {*before, *after}:
        if not file.startswith(_CORRECTIONS):
            continue
        feed = file.removeprefix(_CORRECTIONS).split(".", 1)[0]
        old, new = (_in_force(state.get(file)) for state in (before, after))
        for name in {*old, *new}:
            if old.get(name) != new.get(name):
                expected = {**old.get(name, {}).get("expect", {}), **new.get(name, {}).get("expect", {})}
                found |= {(feed, periods.parse(str(text), cadence).start) for text in expected}
    return frozenset(found)


def _in_force(said: object) -> dict[str, dict[str, Any]]:
    items = cast("dict[str, list[dict[str, Any]]]", said or {}).get("corrections", [])
    return {
        str(item["id"]): {name: value for name, value in item.items() if name not in _FOR_PEOPLE}
        for item in items
        if item.get("status") == "active"
    }
