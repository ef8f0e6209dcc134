"""Like for like across links (METHOD sections 3 and 4): what an entity carries along so that any two compare.

A link rebases an entity by its points over the reference under both baskets, groups on summed points. Between any two
periods or spans growth is the ratio of `chained_points`, the link effect the difference of `link_points`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from dci_pipeline.marts.entities import KEY, entity_sums, in_order

BOTH = ("points_before", "points_after", "composite_before", "composite_after")


def linked_entities(links: pl.DataFrame, *, members: pl.DataFrame, types: pl.DataFrame, nation: str) -> pl.DataFrame:
    """One link's points over its reference, by entity.

    links [node, place, points_before, points_after, composite_before, composite_after]; members and types as in
    `entities`. Out: [entity_type, entity_code, node, the four sums], sorted; null where a node is in one basket only.
    """
    return entity_sums(links, columns=BOTH, members=members, types=types, nation=nation)


def with_links(entities: pl.DataFrame, passed: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Adds what later comparisons need to entities of one link.

    passed: `linked_entities` of every link up to this one but the first, in order. Adds:
    chained_points         points times the product of before / after over the links
    chain_breaks           links at which that ratio is undefined, a node that enters or leaves included: no
                           growth leads across them
    link_points            sum of after - before, own points; composite_link_points the same of composite points
    A node that a link brings in starts there: its chain has nothing before it.
    """
    frame = entities.with_columns(
        chained_points=pl.col("points"),
        chain_breaks=pl.lit(0, pl.Int64),
        link_points=pl.lit(0.0),
        composite_link_points=pl.lit(0.0),
    )
    for link in passed:
        frame = frame.join(link.select(*KEY, *BOTH), on=list(KEY), how="left", maintain_order="left")
        both = pl.col("points_before").is_not_null() & pl.col("points_after").is_not_null()
        usable = both & (pl.col("points_before") > 0) & (pl.col("points_after") > 0)
        moved = pl.when(both).then(pl.col("points_after") - pl.col("points_before")).otherwise(0.0)
        composite = pl.col("composite_after").fill_null(0.0) - pl.col("composite_before").fill_null(0.0)
        frame = frame.with_columns(
            chained_points=pl.when(usable)
            .then(pl.col("chained_points") * (pl.col("points_before") / pl.col("points_after")))
            .otherwise("chained_points"),
            chain_breaks=pl.col("chain_breaks") + (~usable).cast(pl.Int64),
            link_points=pl.col("link_points") + moved,
            composite_link_points=pl.col("composite_link_points") + composite,
        ).drop(BOTH)
    return frame


def together(parts: Sequence[tuple[int, pl.DataFrame]], *, statuses: Sequence[str]) -> pl.DataFrame:
    """Entities of a span that several links publish: means over its periods, each part weighing as many as it covers.

    parts: (periods, entities with links), in order. A node's own level is the mean over the periods in which it is in
    the basket; composite points and positions are means over the span. Status is the strongest of `statuses` (weakest
    first); members are those of the last part.
    """
    if len(parts) == 1:
        return in_order(parts[0][1])
    own = ("points", "mean_points", "chained_points", "link_points")
    spread = ("composite_points", "share", "composite_link_points")
    keys = pl.concat([frame.select(KEY) for _, frame in parts]).unique().sort(KEY)
    whole = sum(periods for periods, _ in parts)
    aligned = [
        (periods, keys.join(frame.with_columns(there=pl.lit(True)), on=list(KEY), how="left", maintain_order="left"))
        for periods, frame in parts
    ]
    columns: dict[str, pl.Series] = {}
    # By node, not by row: a place that enters or leaves in between counts 0 outside, so that places add up.
    covered = sum(
        np.where(keys["node"].is_in(frame["node"].unique().implode()).to_numpy(), periods, 0)
        for periods, frame in parts
    )
    for name in (*own, *spread):
        total = np.zeros(keys.height)
        for periods, frame in aligned:
            there = frame["there"].fill_null(False).to_numpy()
            total += np.where(there, periods * frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy(), 0.0)
        columns[name] = pl.Series(total / (covered if name in own else whole)).fill_nan(None)
    imputed = np.zeros(keys.height)
    for periods, frame in aligned:
        part = (frame["share"] * frame["imputed_share"]).fill_null(0.0).to_numpy()
        imputed += periods * part / whole
    share = columns["share"].fill_null(float("nan")).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        columns["imputed_share"] = pl.Series(np.where(share > 0, imputed / share, 0.0))
    order = {name: number for number, name in enumerate(statuses)}
    strongest = np.max(
        [frame["obs_status"].replace_strict(order, default=0).to_numpy() for _, frame in aligned], axis=0
    )
    columns["obs_status"] = pl.Series([statuses[number] for number in strongest.tolist()], dtype=pl.String)
    # A span on both sides of a break is half in one chain and half in another: it compares with nothing.
    breaks = pl.DataFrame({str(number): frame["chain_breaks"] for number, (_, frame) in enumerate(aligned)})
    most = breaks.max_horizontal()
    unbroken = most == breaks.min_horizontal()
    columns["chain_breaks"] = pl.select(pl.when(unbroken).then(most)).to_series()
    columns["chained_points"] = pl.select(pl.when(unbroken).then(columns["chained_points"])).to_series()
    last = aligned[-1][1].select("n_members", "member_type")
    earlier = aligned[0][1].select("n_members", "member_type")
    for name in ("n_members", "member_type"):
        columns[name] = last[name].fill_null(earlier[name]) if last[name].null_count() else last[name]
    return keys.with_columns(**columns).sort(KEY)
