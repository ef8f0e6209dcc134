"""The published breakdowns: members of nodes by period, half-year and year."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from dci_pipeline.data_files import content_hash
from dci_pipeline.framework import Framework, Link
from dci_pipeline.index.members import CELL, mean_members
from dci_pipeline.marts.breakdown import Span, breakdown
from dci_pipeline.marts.grid import Stretch
from dci_pipeline.marts.promise import promised
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import commit, versions_of
from dci_pipeline.steps.index import publishable
from dci_pipeline.steps.spans import Compared, by_link, compared, inputs, published_parts, span_entities
from dci_pipeline.work import Outcome, Work

# A period, half or year is compared with the two years before it: those of two years and what they are compared with.
_KEPT = 36
_LINK = {
    **dict.fromkeys(("link", *CELL, "place"), pl.String()),
    **dict.fromkeys(("points_before", "points_after"), pl.Float64()),
}


def of_period(work: Work, period: Period | None) -> Outcome:
    """Members of every node that is broken down, in one period."""
    assert period is not None
    cadence = work.framework.cadence
    key = pl.lit(period.start, dtype=pl.Date).alias(cadence)
    return _of_spans(work, f"breakdown_{cadence}", period, [(key, compared(work, period))])


def of_half(work: Work, period: Period | None) -> Outcome:
    """The halves of a year, each against the same periods of the years before."""
    assert period is not None
    compared(work, period)
    halves = [(half, published_parts(work, half, half.parts(work.framework.cadence))) for half in period.parts("half")]
    spans = [(pl.lit(half.key).alias("half"), found) for half, found in halves if found.now]
    return _of_spans(work, "breakdown_half", period, spans)


def of_year(work: Work, period: Period | None) -> Outcome:
    """A year, running or whole, against the same periods of the years before."""
    assert period is not None
    key = pl.lit(period.start.year, dtype=pl.Int32).alias("year")
    return _of_spans(work, "breakdown_year", period, [(key, compared(work, period))])


def _of_spans(work: Work, name: str, period: Period, spans: Sequence[tuple[pl.Expr, Compared]]) -> Outcome:
    """One partition of a table: a key and the periods of each span in it."""
    table = work.framework.table(name)
    stamp: dict[str, str] = {}
    earlier = [_two_before(work, found) for _, found in spans]
    for (_, found), two_before in zip(spans, earlier, strict=True):
        items = [*found.now, *found.before, *two_before]
        stamp |= {f"{found.span} {what}": version for what, version in inputs(work, items, at=found.last).items()}
        stamp |= versions_of(work, "index", "members", items)
        stamp |= versions_of(work, "index", "member_links", [link.start for link in _passed(work.framework, items)])

    def compute() -> pl.DataFrame:
        rows = [_rows(work, key, found, two) for (key, found), two in zip(spans, earlier, strict=True)]
        return promised(pl.concat(rows), table)

    return commit(work, ("marts", name), period, stamp, table.sha256 + _sources_hash(work), compute)


def _rows(work: Work, key: pl.Expr, found: Compared, two_before: Sequence[Period]) -> pl.DataFrame:
    passed = _passed(work.framework, [*found.now, *found.before, *two_before])
    starts = [link.start for link in passed]
    return breakdown(
        _span(work, found.now, at=found.last),
        before=_span(work, found.before, at=found.last) if found.before else None,
        two_before=_span(work, two_before, at=found.last) if two_before else None,
        links=work.warehouse.read("index", "member_links", starts) if starts else pl.DataFrame(schema=_LINK),
        sources=_sources(work.framework),
        span=key,
        whole=found.whole,
        ranked=work.ranked,
        members=work.geography.members_at(found.last),
        types=work.types,
        nation=work.framework.nation["code"],
    )


def _two_before(work: Work, found: Compared) -> list[Period]:
    """The same periods two years before: growth ranks of the year before are made of them."""
    same = [item.year_before() for item in found.before]
    return same if publishable(work, same) == same else []


def _span(work: Work, items: Sequence[Period], *, at: Period) -> Span:
    made_of = inputs(work, items, at=at) | versions_of(work, "index", "members", items)
    return work.once("breakdown", content_hash(sorted(made_of.items())), lambda: _made(work, items, at), most=_KEPT)


def _made(work: Work, items: Sequence[Period], at: Period) -> Span:
    return Span(tuple(_stretch(work, part) for part in by_link(work, items)), span_entities(work, items, at=at))


def _stretch(work: Work, part: Sequence[Period]) -> Stretch:
    key = tuple(versions_of(work, "index", "members", part).items())
    return work.once(
        "stretch",
        key,
        lambda: Stretch(
            tuple(link.link for link in _passed(work.framework, part)),
            len(part),
            mean_members(work.warehouse.read("index", "members", part), periods=len(part)),
        ),
        most=_KEPT,
    )


def _passed(framework: Framework, items: Iterable[Period]) -> list[Link]:
    """Every link after the first up to the last of these periods, in order."""
    link = framework.link_at(max(items))
    assert link is not None
    return list(framework.chain(link)[1:])


def _sources(framework: Framework) -> pl.DataFrame:
    """[node, dimension, member, source]: a member of children stands as they do, any other as the node."""
    rows = [
        (item.node, item.dimension, member.member, source)
        for item in framework.breakdowns
        for member in item.members
        for source in (member.of if item.column is None else (item.node,))
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys((*CELL, "source"), pl.String()), orient="row")


def _sources_hash(work: Work) -> str:
    return content_hash(_sources(work.framework).rows())
