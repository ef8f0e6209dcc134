"""What `dense.py` makes of its arrays: every small table that the floor of `small_stages.py` has."""

from __future__ import annotations

from typing import Any

import numpy as np
from dense import Dense, Table, before, growth, over, ranked


def shares(dense: Dense) -> Table:
    total = np.nansum(dense.values, axis=1, keepdims=True)
    figures = {
        "value": dense.values,
        "estimate": dense.values,
        "total": np.broadcast_to(total, dense.values.shape),
        "share": dense.values / total,
    }
    return _places(dense, "normalise/shares", figures, "indicator", dense.leaves.to_list())


def points(dense: Dense) -> Table:
    values = np.nan_to_num(dense.values)
    figures = {
        "points": dense.points,
        "composite_points": dense.composites,
        "share": (values / values.sum(axis=1, keepdims=True)) @ dense.weight,
    }
    return _places(dense, "index/points", figures, "node", dense.nodes)


def _places(dense: Dense, name: str, figures: dict[str, Any], key: str, keys: list[str]) -> Table:
    import polars as pl

    columns = {
        "place": pl.Series(np.repeat(dense.places.to_list(), len(keys)).tolist()),
        key: pl.Series(np.tile(keys, len(dense.places)).tolist()),
    }
    there = np.repeat(~np.isnan(dense.values[:, :, :1]), len(keys), axis=2)
    return Table(name, list(range(len(dense.months))), columns, figures, there)


def index(dense: Dense, kind: str) -> Table:
    partitions, months = dense.spans(kind)
    earlier = before(months)
    now, base = over(dense.level, months), over(dense.level, earlier)
    own, own_base = (over(dense.points, spans) for spans in (months, earlier))
    volume = np.stack([np.nan_to_num(dense.values[span]).sum(axis=0) for span in months])
    with np.errstate(divide="ignore", invalid="ignore"):
        share, share_base = now / now[:, -1:], base / base[:, -1:]
    share_base[~dense.known(earlier, len(dense.nodes))] = np.nan
    grown = growth(own, own_base)
    rank = dense.rank(now)
    figures = {
        "points": now,
        "composite_points": over(dense.part, months),
        "share": dense.entity((volume / volume.sum(axis=1, keepdims=True)) @ dense.weight),
        "points_share": share,
        "mean_points": dense.means(own)[0],
        "rank": rank,
        "rank_change_yoy" if kind == "month" else "rank_change": dense.rank(base) - rank,
        "growth_yoy": growth(now, base),
        "growth_members_mean_yoy" if kind == "month" else "growth_members_mean": dense.means(grown)[0],
    }
    if kind == "month":
        last = np.vstack([np.full_like(now[:1], np.nan), now[:-1]])
        figures["growth_mom"] = growth(now, last)
    else:
        figures["points_share_change_pp"] = 100.0 * (share - share_base)
    if kind == "year":
        figures |= _compound(now, [len(span) == 12 for span in months])
    there = dense.known(months, len(dense.nodes))
    return Table(f"marts/index_{kind}", partitions, dense.keys({"node": dense.nodes}), figures, there)


def _compound(level: Any, whole: list[bool]) -> dict[str, Any]:
    first, two = np.full_like(level, np.nan), np.full_like(level, np.nan)
    for year in range(1, len(whole)):
        if whole[year]:
            first[year] = (growth(level[year], level[0]) + 1.0) ** (1.0 / year) - 1.0
            two[year] = (growth(level[year], level[year - 2]) + 1.0) ** 0.5 - 1.0 if year > 1 else np.nan
    return {"cagr": first, "cagr_2y": two}


def contribution(dense: Dense, kind: str) -> Table:
    partitions, months = dense.spans(kind)
    earlier = before(months)
    now, base = over(dense.part, months), over(dense.part, earlier)
    moved = now - base
    level = base[:, -1, dense.roots][:, None, :]
    change = now[:, -1, dense.roots][:, None, :] - level
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(np.abs(change) >= 0.01 * (level + change), moved / change, np.nan)
        figures = {"contribution_points": moved, "contribution_pp": 100.0 * moved / level, "contribution_rate": rate}
    either = dense.known(months, len(dense.nodes)) | dense.known(earlier, len(dense.nodes))
    there = either & ~np.isnan(moved)
    return Table(f"marts/contribution_{kind}", partitions, dense.keys({"node": dense.nodes}), figures, there)


def breakdown(dense: Dense, kind: str) -> Table:
    partitions, months = dense.spans(kind)
    spans = [months, before(months), before(months, 2)]
    node = np.searchsorted(np.array(dense.nodes), dense.cells["node"].to_numpy())
    nodes = [over(dense.level, item)[:, :, node] for item in spans[:2]]
    nothing = np.zeros(dense.members.shape[1:], dtype=bool)
    rows = ~np.isnan(dense.members)
    given = [np.stack([rows[span].any(axis=0) if span else nothing for span in item]) for item in spans]
    mean = [over(np.nan_to_num(dense.members), item) for item in spans]
    known = [dense.entity(item.astype(np.float64)) > 0 for item in given]
    found = [np.where(is_there, dense.entity(item), np.nan) for is_there, item in zip(known, mean, strict=True)]
    there = known[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        share, share_base = found[0] / nodes[0], found[1] / nodes[1]
    # What is left over has neither mean, growth nor rank.
    allocated = (dense.cells["member"] != "unallocated").to_numpy()
    level = [np.where(allocated, item, np.nan) for item in found]
    grown = [growth(level[0], level[1]), growth(level[1], level[2])]
    own = np.where(given[0] & allocated, mean[0], np.nan)
    average, count = dense.means(own)
    splits = dense.cells.select("node", "dimension").rows()
    frames = [(splits.index(split), splits.index(split) + splits.count(split)) for split in dict.fromkeys(splits)]
    figures = {
        "points": found[0],
        "mean_points": average,
        "n_members": np.where(count > 0, count, np.nan),
        "share_of_entity": share,
        "share_change_pp": 100.0 * (share - share_base),
        "growth_yoy": grown[0],
        "growth_members_mean": dense.means(growth(own, mean[1]))[0],
    }
    for prefix, (now, then), decimals in (("", level[:2], False), ("growth_", grown, True)):
        base = np.where(there, then, np.nan)
        within, within_base = (_within(values, frames, decimals=decimals) for values in (now, base))
        among, among_base = (dense.rank(values, decimals=decimals) for values in (now, base))
        figures |= {
            f"{prefix}rank_in_entity": within,
            f"{prefix}rank_in_entity_change": within_base - within,
            f"{prefix}rank_in_member": among,
            f"{prefix}rank_in_member_change": among_base - among,
        }
    keys = dense.keys({name: dense.cells[name].to_list() for name in ("node", "dimension", "member")})
    return Table(f"marts/breakdown_{kind}", partitions, keys, figures, there)


def _within(values: Any, frames: list[tuple[int, int]], *, decimals: bool) -> Any:
    rank = np.empty(values.shape)
    for first, after in frames:
        rank[:, :, first:after] = ranked(values[:, :, first:after].swapaxes(1, 2), decimals=decimals).swapaxes(1, 2)
    return rank


def tracker(dense: Dense, kind: str) -> Table:
    partitions, months = dense.spans(kind)
    leaf = {name: number for number, name in enumerate(dense.leaves.to_list())}
    kinds = {item.node: item.kind for item in dense.framework.indicators}
    feeds = dense.framework.feeds
    public = {item.node for item in dense.framework.indicators if item.measure in feeds[item.feed].public_totals}
    days = np.array([(after - day).days for day, after in zip(*_ends(dense), strict=True)])
    tracked = list(dense.framework.tracker)
    amounts = dense.entity(dense.values)

    def measured(spans: list[list[int]]) -> Any:
        def amount(name: str) -> Any:
            one = amounts[:, :, leaf[name]]
            empty = np.full(one.shape[1], np.nan)
            sums = [
                (one[span].mean(0) if kinds[name] == "stock" else one[span].sum(0)) if span else empty for span in spans
            ]
            return np.stack(sums)

        found = []
        for item in tracked:
            own = amount(item.node)
            if item.per is not None:
                length = np.array([days[span].sum() if item.per_day else 1.0 for span in spans])[:, None]
                with np.errstate(divide="ignore", invalid="ignore"):
                    own = own / amount(item.per) / item.divisor / length
            found.append(own)
        return np.stack(found, axis=2)

    now, base = measured(months), measured(before(months))
    ratios = np.array([item.per is not None for item in tracked])
    level = over(dense.level, months)
    part = np.array([len(span) / 12 for span in months])[:, None]
    value = np.full(now.shape, np.nan)
    for number, item in enumerate(tracked):
        if item.form == "index":
            own = level[:, :, dense.nodes.index(item.node)]
            value[:, :, number] = own if kinds[item.node] == "stock" else own * part
        elif item.per is not None:
            value[:, :, number] = now[:, :, number]
        elif item.node in public:
            value[:, -1, number] = now[:, -1, number] / item.divisor
    figures = {
        "value": value,
        "growth_yoy": growth(now, base),
        "share_of_nation": np.where(ratios, np.nan, now / now[:, -1:]),
        "rank": dense.rank(now),
    }
    if kind != "month":
        ends = (measured([span[:1] for span in months]), measured([span[-1:] for span in months]))
        figures["growth_end_over_begin"] = growth(ends[1], ends[0])
    there = dense.known(months, len(tracked))
    keys = dense.keys({"node": [item.tracked for item in tracked]})
    return Table(f"marts/tracker_{kind}", partitions, keys, figures, there)


def _ends(dense: Dense) -> tuple[list[Any], list[Any]]:
    from dci_pipeline.periods import parse

    months = dense.months.to_list()
    return months, [parse(str(day)[:7], "month").end for day in months]


TABLES = {
    "normalise/shares": shares,
    "index/points": points,
    **{
        f"marts/index_{kind}": lambda dense, kind=kind: index(dense, kind)
        for kind in ("month", "janfeb", "half", "year")
    },
    **{f"marts/contribution_{kind}": lambda dense, kind=kind: contribution(dense, kind) for kind in ("month", "year")},
    **{
        f"marts/breakdown_{kind}": lambda dense, kind=kind: breakdown(dense, kind) for kind in ("month", "half", "year")
    },
    **{f"marts/tracker_{kind}": lambda dense, kind=kind: tracker(dense, kind) for kind in ("month", "half", "year")},
}
