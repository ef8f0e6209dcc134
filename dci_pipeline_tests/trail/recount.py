"""Every number of an explanation calculated again from the JSON alone: fractions and floats of Python, nothing else.

Weights are multiplied from the alphas, points from weights, shares and relatives, everything else from these.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

Told = dict[str, Any]
Basket = dict[str, tuple[Fraction, Fraction]]
"""indicator -> (weight in the root, weight in the node)"""


class Recount:
    """One explanation, counted again; of a node under the one explained when it is named."""

    def __init__(self, told: Told, node: str | None = None):
        self.told = told
        self.links: list[Told] = told["links"]
        if node is not None:
            inside = next(line["indicators"] for line in told["change"]["by_node"] if line["node"] == node)
            self.links = [
                link
                | {
                    "in_basket": node in link["scales"],
                    "scale": link["scales"].get(node),
                    "indicators": [item for item in link["indicators"] if item["indicator"] in inside],
                }
                for link in self.links
            ]
        self.number = {link["link"]: place for place, link in enumerate(self.links)}

    def basket(self, link: Told) -> Basket:
        weights = {
            item["indicator"]: math.prod((Fraction(step["alpha"]) for step in item["path"]), start=Fraction(1))
            for item in link["indicators"]
        }
        beta = sum(weights.values(), Fraction(0))
        return {name: (weight, weight / beta) for name, weight in weights.items()}

    def periods(self, span: str) -> list[Told]:
        return [item for item in self.told["periods"] if item["span"] == span]

    @staticmethod
    def relative(cell: Told) -> Fraction:
        if cell["national_relative"] == 0.0:
            return Fraction(0)
        return Fraction(cell["share"]) * Fraction(cell["national_relative"])

    def parts(self, period: Told, *, composite: bool) -> dict[str, Fraction]:
        """What each indicator adds to one period's points."""
        link = self.links[self.number[period["link"]]]
        cells = {cell["indicator"]: cell for cell in period["indicators"]}
        if not link["in_basket"]:
            return {}
        scale = Fraction(link["composite_scale" if composite else "scale"])
        return {
            name: scale * (weight if composite else inside) * self.relative(cells[name])
            for name, (weight, inside) in self.basket(link).items()
        }

    def passed(self, period: Told) -> Iterator[tuple[Told, Told]]:
        """The links a period has passed, each with the one before."""
        for place in range(1, self.number[period["link"]] + 1):
            yield self.links[place - 1], self.links[place]

    def reference(self, link: Told, relatives: dict[str, float], *, composite: bool) -> dict[str, Fraction]:
        if not link["in_basket"] or not relatives:
            return {}
        scale = Fraction(link["composite_scale" if composite else "scale"])
        return {
            name: scale * (weight if composite else inside) * Fraction(relatives[name])
            for name, (weight, inside) in self.basket(link).items()
        }

    def moved(self, period: Told, *, composite: bool) -> dict[str, Fraction]:
        """What links had moved each indicator by when the period came."""
        found: dict[str, Fraction] = {}
        for old, new in self.passed(period):
            before = self.reference(old, new["before"], composite=composite)
            after = self.reference(new, new["after"], composite=composite)
            if not composite and not (before and after):
                continue
            for name in {*before, *after}:
                step = after.get(name, Fraction(0)) - before.get(name, Fraction(0))
                found[name] = found.get(name, Fraction(0)) + step
        return found

    def inside(self, span: str) -> list[Told]:
        """The periods of a span in which the node is in the basket."""
        return [item for item in self.periods(span) if self.links[self.number[item["link"]]]["in_basket"]]

    def level(self, span: str, *, composite: bool = False) -> Fraction:
        over = self.periods(span) if composite else self.inside(span)
        whole = sum((sum(self.parts(item, composite=composite).values(), Fraction(0)) for item in over), Fraction(0))
        return whole / len(over)

    def chained(self, span: str) -> Fraction | None:
        over = self.inside(span)
        whole, breaks = Fraction(0), set[int]()
        for period in over:
            factor, broken = Fraction(1), 0
            for old, new in self.passed(period):
                before = sum(self.reference(old, new["before"], composite=False).values(), Fraction(0))
                after = sum(self.reference(new, new["after"], composite=False).values(), Fraction(0))
                if before > 0 and after > 0:
                    factor *= before / after
                else:
                    broken += 1
            breaks.add(broken)
            whole += factor * sum(self.parts(period, composite=False).values(), Fraction(0))
        return whole / len(over) if len(breaks) == 1 else None

    def growth(self) -> Fraction | None:
        now, base = self.chained("now"), self.chained("base")
        return now / base - 1 if now is not None and base else None

    def share(self, span: str, column: str = "share") -> Fraction | None:
        """The position over a span, or its imputed part."""
        found, over = Fraction(0), self.periods(span)
        for link in self.links:
            mine = [item for item in over if item["link"] == link["link"]]
            if not mine or not link["in_basket"]:
                continue
            terms, used, basket = Fraction(0), Fraction(0), self.basket(link)
            for name, (_, inside) in basket.items():
                cells = [cell for item in mine for cell in item["indicators"] if cell["indicator"] == name]
                nation = sum((Fraction(cell["national_relative"]) for cell in cells), Fraction(0))
                if nation == 0:
                    continue
                used += inside
                volume = sum(
                    (Fraction(cell[column] or 0) * Fraction(cell["national_relative"]) for cell in cells), Fraction(0)
                )
                terms += inside * volume / nation
            if used == 0:
                return None
            found += terms / used * len(mine) / len(over)
        return found

    def contribution(self, indicator: str, *, composite: bool = False) -> Fraction:
        """What one indicator contributes to the change between the spans."""
        return (
            self._mean("now", indicator, composite=composite, links=False)
            - self._mean("base", indicator, composite=composite, links=False)
            - self.link_effect(indicator, composite=composite)
        )

    def link_effect(self, indicator: str, *, composite: bool = False) -> Fraction:
        return self._mean("now", indicator, composite=composite, links=True) - self._mean(
            "base", indicator, composite=composite, links=True
        )

    def _mean(self, span: str, indicator: str, *, composite: bool, links: bool) -> Fraction:
        over = self.periods(span) if composite else self.inside(span)
        of = self.moved if links else self.parts
        whole = sum((of(item, composite=composite).get(indicator, Fraction(0)) for item in over), Fraction(0))
        return whole / len(over) if over else Fraction(0)

    def rank(self, values: str) -> int | None:
        known: dict[str, float] = self.told["ranking"][values]
        code = self.told["entity"]["code"]
        if code not in known:
            return None
        comparable = {name: float(f"{value:.11e}") for name, value in known.items()}
        return 1 + sum(1 for value in comparable.values() if value > comparable[code])
