"""What `dci compare-methods` says: tables for a person, and one document for a program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dci_pipeline.cli import screen

if TYPE_CHECKING:
    import polars as pl

    from dci_pipeline.framework import Framework
    from dci_pipeline.trial import Trial
    from dci_pipeline.work import Work

NOTHING = "Nothing moves: both definitions give the same rows, digit for digit."
_SHOWN_WEIGHTS = 20


def document(
    definitions: Sequence[Work],
    trials: tuple[Trial, Trial],
    beside: pl.DataFrame,
    weights: pl.DataFrame,
    *,
    other: Path,
    top: int,
) -> dict[str, Any]:
    """Everything that is compared, in plain values; of places the `top` that move most on the roots of every year."""
    from dci_pipeline.report import methods

    framework = definitions[0].framework
    ranked, roots = _ranked(framework), _roots(definitions)
    places = beside.filter(beside["entity_type"].is_in([kind for kind in ranked if kind in _places(framework)]))
    places = places.filter(places["node"].is_in(roots))
    return {
        "index": framework.index,
        "with": str(other),
        "same": methods.nothing_moves(beside, weights),
        "years": sorted(beside["year"].unique().to_list()),
        "held": [{str(at): reason for at, reason in trial.held.items()} for trial in trials],
        "computed": [{"/".join(key): number for key, number in trial.computed.items()} for trial in trials],
        "nation": _plain(_nation(beside, framework)),
        "ranks": _plain(methods.ranks(beside, types=ranked)),
        "largest_points_changes": _plain(methods.largest(places, "points_change", count=top)),
        "largest_rank_changes": _plain(methods.largest(places, "rank_change", count=top)),
        "effective_weights": _plain(weights.drop("there_before", "there_after")),
    }


def show(
    definitions: Sequence[Work],
    trials: tuple[Trial, Trial],
    beside: pl.DataFrame,
    weights: pl.DataFrame,
    *,
    folders: tuple[Path, Path],
    top: int,
) -> None:
    """The same in tables: the roots in every year, of the rest the last year."""
    from dci_pipeline.report import methods

    framework = definitions[0].framework
    years, roots = sorted(beside["year"].unique().to_list()), _roots(definitions)
    screen.say(
        f"{framework.index}: {folders[0]} (before) and {folders[1]} (after), {years[0]} to {years[-1]}", style="bold"
    )
    _held(trials)
    if methods.nothing_moves(beside, weights):
        screen.say(NOTHING, style="green")
        return
    _levels(_nation(beside, framework), roots, years[-1])
    _weights(weights.filter(weights["year"] == years[-1]), years[-1])
    last = beside.filter((beside["year"] == years[-1]) & beside["node"].is_in(roots))
    order = methods.ranks(last, types=_ranked(framework))
    columns = ("node", "type", "entities", "moved", "by up to", "Spearman", "Kendall")
    rows = [[*row[:5], _number(row[5]), _number(row[6])] for row in order.drop("year").rows()]
    screen.show(f"Ranks, {years[-1]}", columns, rows, right=columns[2:])
    names = _names(definitions)
    places = last.filter(last["entity_type"].is_in([kind for kind in _ranked(framework) if kind in _places(framework)]))
    for by, title in (("points_change", "Points"), ("rank_change", "Ranks")):
        _largest(methods.largest(places, by, count=top), f"{title} that move most, {years[-1]}", names)
    screen.say("Every node and year: --json. Nothing was published.")


def _levels(nation: pl.DataFrame, roots: Sequence[str], last: int) -> None:
    shown = [
        row
        for row in nation.iter_rows(named=True)
        if row["node"] in roots or (row["year"] == last and row["points_change"] != 0)
    ]
    columns = ("node", "year", "points before", "after", "change", "growth before", "after ")
    rows = [
        [
            row["node"],
            row["year"],
            *(_number(row[name]) for name in ("points_before", "points_after", "points_change")),
            *(_percent(row[name]) for name in ("growth_yoy_before", "growth_yoy_after")),
        ]
        for row in shown
    ]
    screen.show("Level of the nation", columns, rows, right=columns[1:])


def _weights(weights: pl.DataFrame, year: int) -> None:
    moving = weights.filter(weights["omega_before"].ne_missing(weights["omega_after"]))
    moving = moving.sort(moving["omega_change"].abs().fill_null(1.0), descending=True, maintain_order=True)
    columns = ("node", "child", "before", "after", "change")
    rows = [
        [row["node"], row["child"], *(_percent(row[f"omega_{name}"]) for name in columns[2:])]
        for row in moving.head(_SHOWN_WEIGHTS).iter_rows(named=True)
    ]
    left = moving.height - len(rows)
    screen.show(
        f"Effective weights, {year}" + (f" (and {left} more)" if left else ""), columns, rows, right=columns[2:]
    )


def _largest(rows: pl.DataFrame, title: str, names: dict[tuple[str, str], str]) -> None:
    columns = ("node", "", "points before", "after", "change", "rank before", "after ", "moves up")
    screen.show(
        title,
        columns,
        [
            [
                row["node"],
                names.get((row["entity_type"], row["entity_code"]), row["entity_code"]),
                *(_number(row[name]) for name in ("points_before", "points_after", "points_change")),
                *(row[name] for name in ("rank_before", "rank_after", "rank_change")),
            ]
            for row in rows.iter_rows(named=True)
        ],
        right=columns[2:],
    )


def _held(trials: tuple[Trial, Trial]) -> None:
    rows = [
        [name, at or "", reason.splitlines()[0]]
        for name, trial in zip(("before", "after"), trials, strict=True)
        for at, reason in trial.held.items()
    ]
    if rows:
        screen.show("Held back, and in no number here", ("definition", "period", "why"), rows)


def _nation(beside: pl.DataFrame, framework: Framework) -> pl.DataFrame:
    rows = beside.filter(beside["entity_code"] == framework.nation["code"])
    columns = ["node", "year"] + [
        f"{measure}_{side}" for measure in ("points", "growth_yoy") for side in ("before", "after")
    ]
    return rows.select(*columns, "points_change").sort("node", "year")


def _ranked(framework: Framework) -> list[str]:
    return [entity.type for entity in framework.entities if entity.ranked]


def _places(framework: Framework) -> set[str]:
    return {entity.type for entity in framework.place_types}


def _roots(definitions: Sequence[Work]) -> list[str]:
    return list(dict.fromkeys(root for item in definitions for root in item.framework.roots))


def _names(definitions: Sequence[Work]) -> dict[tuple[str, str], str]:
    """What places are called, by type and code."""
    found: dict[tuple[str, str], str] = {}
    for item in definitions:
        for kind, code, name in item.geography.places.select("type", "code", "name_zh").iter_rows():
            found[kind, code] = name
    return found


def _plain(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return frame.drop("there_before", "there_after", strict=False).to_dicts()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"
