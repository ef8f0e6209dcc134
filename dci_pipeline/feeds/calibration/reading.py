"""How a fact is read: whose cells it is about, over which places, and among whom it ranks.

The readings that the printed text leaves open (which regions an exhibit means, what is above average) are settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dci_pipeline.feeds.calibration.atlas import SET, Atlas, Ints
from dci_pipeline.feeds.calibration.facts import Fact
from dci_pipeline.feeds.calibration.unknowns import Row, Unknowns


@dataclass(frozen=True)
class Subject:
    """What a fact is about: a subject's cells, or those of some members, over a set of places."""

    subject: str
    places: Ints
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """Settings of the profile and the names of members; `members` maps a printed name to the members it stands for."""

    atlas: Atlas
    unknowns: Unknowns
    kinds: Mapping[str, Sequence[str]]
    exhibit_kinds: Mapping[str, Sequence[str]]
    everything: Mapping[str, str]
    """Name of a set of all groups of a kind -> that kind; the nation's name -> ''."""
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def find(self, fact: Fact) -> Subject | None:
        """The cells a fact speaks of, None when this table does not have them."""
        if fact.subject not in self.unknowns.subjects:
            return None
        kinds = self.group_kinds(fact)
        where: Ints = np.arange(len(self.atlas.codes))
        members: tuple[str, ...] = ()
        for part in fact.entity.split("|"):
            if part in self.members:
                members = self.members[part]
            elif part in self.everything:
                kind = self.everything[part]
                where = self._all(kind) if kind else where
            elif self.atlas.knows(part, kinds):
                where = self.atlas.of(part, kinds)
        unread = {*self.settings.get("meaningless", ()), *self.members, *self.everything}
        known = fact.entity.isdecimal() or all(
            part in unread or self.atlas.knows(part, kinds) for part in fact.entity.split("|")
        )
        return Subject(fact.subject, where, members) if known else None

    def group_kinds(self, fact: Fact) -> Sequence[str]:
        """The kinds of group a name may be, those of the fact's own kind first."""
        own = self.exhibit_kinds.get(fact.exhibit, self.kinds.get(fact.kind, ()))
        return [*own, SET, *(kind for kinds in self.kinds.values() for kind in kinds if kind not in own)]

    def rivals(self, fact: Fact) -> dict[str, Subject]:
        """Everybody a ranked fact is ranked among, by name."""
        about = self.find(fact)
        assert about is not None
        scope = self._scope(fact)
        if fact.kind == "sector" or (fact.kind not in self.kinds and about.members):
            names = self.settings.get("ranked_members", {}).get(fact.subject) or sorted(
                name for name, of in self.members.items() if len(of) == 1
            )
            return {name: Subject(fact.subject, scope, self.members[name]) for name in names}
        kinds = list(self.exhibit_kinds.get(fact.exhibit, self.kinds.get(fact.kind, ())))
        if not kinds:
            return {
                self.atlas.names[at]: Subject(fact.subject, np.array([at]), about.members)
                for at in scope
                if self.atlas.members[at]
            }
        parts = fact.entity.split("|")
        kind = next((kind for kind in kinds if any((kind, part) in self.atlas.groups for part in parts)), kinds[0])
        return {
            name: Subject(fact.subject, self.atlas.groups[kind, name], about.members) for name in self.atlas.kinds[kind]
        }

    def _scope(self, fact: Fact) -> Ints:
        for part in fact.entity.split("|")[:-1]:
            if self.atlas.knows(part, self.group_kinds(fact)) and part not in self.members:
                return self.atlas.of(part, self.group_kinds(fact))
        return np.arange(len(self.atlas.codes))

    def _all(self, kind: str) -> Ints:
        return np.unique(np.concatenate([self.atlas.groups[kind, name] for name in self.atlas.kinds[kind]]))

    def scope_subject(self, fact: Fact) -> Subject:
        """The whole a share is of: the scope's subject, or the nation's."""
        return Subject(fact.subject, self._scope(fact))

    def can(self, about: Subject, period: str) -> bool:
        names = about.members or ("",)
        return all(self.unknowns.knows(about.subject, period, name) for name in names)

    def row(self, about: Subject, period: str) -> Row:
        if not about.members:
            return self.unknowns.row(about.subject, about.places, period)
        total = self.unknowns.row(about.subject, about.places, period, about.members[0])
        for name in about.members[1:]:
            total = total.plus(self.unknowns.row(about.subject, about.places, period, name))
        return total

    def n_members(self, about: Subject) -> int:
        return int(self.atlas.members[about.places].sum())


def year_before(period: str) -> str:
    """The same period a year earlier: 2019 -> 2018, 2020H1 -> 2019H1, 2020-06 -> 2019-06."""
    return f"{int(period[:4]) - 1}{period[4:]}"
