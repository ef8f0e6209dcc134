"""The method's formulas in fractions, written from the page for small cases: the answer the floats are held against.

Dictionaries, no arrays, every formula as it is printed: it shares nothing with the package but the notation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import cached_property
from typing import Any

import polars as pl

from dci_pipeline.index import Index, compute

Volumes = Mapping[tuple[date, str, str], int]


@dataclass(frozen=True)
class ExactLink:
    """One link: weights of its basket, periods of its reference, periods it publishes."""

    weights: Mapping[str, Fraction]
    reference: Sequence[date]
    published: Sequence[date]


@dataclass(frozen=True)
class Exact:
    """An index in fractions."""

    x: Volumes
    links: Sequence[ExactLink]
    known: dict[object, Fraction] = field(default_factory=dict[object, Fraction], compare=False)
    """values already worked out, because every number asks for the levels of all links before it"""

    @cached_property
    def places(self) -> list[str]:
        return sorted({place for _, place, _ in self.x})

    def at(self, t: date) -> int:
        """The number of the link that publishes t."""
        return next(k for k, link in enumerate(self.links) if t in link.published)

    def mean_x(self, c: str, j: str, days: Sequence[date]) -> Fraction:
        return Fraction(sum(self.x[day, c, j] for day in days), len(days))

    def mean_total(self, j: str, days: Sequence[date]) -> Fraction:
        key = ("total", j, *days)
        if key not in self.known:
            self.known[key] = sum((self.mean_x(c, j, days) for c in self.places), start=Fraction(0))
        return self.known[key]

    def p(self, c: str, days: Sequence[date], k: int) -> Fraction:
        """p_c over periods, under the basket of link k."""
        link, key = self.links[k], ("p", c, k, *days)
        if key not in self.known:
            terms = (w * self.mean_x(c, j, days) / self.mean_total(j, link.reference) for j, w in link.weights.items())
            self.known[key] = sum(terms, start=Fraction(0))
        return self.known[key]

    def reference_level(self, k: int) -> Fraction:
        """L_r of link k: 100, then the mean level of the link before over the new reference."""
        if ("level", k) not in self.known:
            self.known["level", k] = Fraction(100) if k == 0 else self.level(self.links[k].reference, k - 1)
        return self.known["level", k]

    def level(self, days: Sequence[date], k: int) -> Fraction:
        return sum((self.points(c, days, k) for c in self.places), start=Fraction(0))

    def points(self, c: str, days: Sequence[date], k: int) -> Fraction:
        whole = sum((self.p(d, self.links[k].reference, k) for d in self.places), start=Fraction(0))
        return self.reference_level(k) * self.p(c, days, k) / whole

    def share(self, c: str, t: date, k: int) -> Fraction | None:
        """S_c, indicators without volume left out."""
        weights = {j: w for j, w in self.links[k].weights.items() if self.mean_total(j, [t]) > 0}
        if not weights:
            return None
        parts = [w * self.x[t, c, j] / self.mean_total(j, [t]) for j, w in weights.items()]
        return sum(parts, start=Fraction(0)) / sum(weights.values(), start=Fraction(0))

    def link_effect(self, c: str, k: int) -> Fraction:
        r = self.links[k].reference
        return self.points(c, r, k) - self.points(c, r, k - 1)

    def growth(self, c: str, t: date, t0: date) -> Fraction | None:
        """Like for like, inside a link or across one."""
        new, old = self.at(t), self.at(t0)
        if new == old:
            base = self.p(c, [t0], old)
            return self.p(c, [t], new) / base - 1 if base else None
        assert new == old + 1
        r = self.links[new].reference
        base = self.p(c, r, new) * self.p(c, [t0], old)
        return self.p(c, [t], new) * self.p(c, r, old) / base - 1 if base else None

    def contribution(self, c: str, j: str, t: date, t0: date) -> Fraction:
        """Inside a link or across one."""
        new, old = self.at(t), self.at(t0)
        if new == old:
            return self._term(c, j, [t], [t0], new)
        assert new == old + 1
        r = self.links[new].reference
        return self._term(c, j, [t], r, new) + self._term(c, j, r, [t0], old)

    def _term(self, c: str, j: str, after: Sequence[date], before: Sequence[date], k: int) -> Fraction:
        link = self.links[k]
        if j not in link.weights:
            return Fraction(0)
        moved = self.mean_x(c, j, after) - self.mean_x(c, j, before)
        return self.reference_level(k) * link.weights[j] * moved / self.mean_total(j, link.reference)

    def values(self) -> pl.DataFrame:
        schema = {"period": pl.Date, "place": pl.String, "indicator": pl.String, "value": pl.Int64}
        return pl.DataFrame([(*key, value) for key, value in self.x.items()], schema=schema, orient="row")

    def weights(self) -> pl.DataFrame:
        rows = [(k, j, float(w)) for k, link in enumerate(self.links) for j, w in link.weights.items()]
        return pl.DataFrame(rows, schema={"link": pl.Int64, "indicator": pl.String, "alpha": pl.Float64}, orient="row")

    def chain(self) -> pl.DataFrame:
        rows = [
            (k, link.reference[0], link.reference[-1], link.published[0], link.published[-1])
            for k, link in enumerate(self.links)
        ]
        names = ("reference_start", "reference_end", "start", "end")
        return pl.DataFrame(rows, schema={"link": pl.Int64, **dict.fromkeys(names, pl.Date)}, orient="row")

    def compute(self) -> Index:
        """The same through the package."""
        return compute(self.values(), self.weights(), self.chain())


def lookup(frame: pl.DataFrame, column: str, **keys: Any) -> float:
    """The one value of a column where the keys hold."""
    found = frame.filter(*(pl.col(name) == value for name, value in keys.items())).get_column(column).to_list()
    assert len(found) == 1, (column, keys, found)
    return found[0]
