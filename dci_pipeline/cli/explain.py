"""`dci explain`: where one published number comes from, and what moved it; printed, or whole as JSON."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from dci_pipeline.cli import options, screen

EXAMPLES = (
    "Example: dci explain 成都 --node dci --period 2019"
    "\n\nA group, with every delivery: dci explain cluster:prd --period 2020H1 --deliveries"
    "\n\nEverything, to calculate it again: dci explain Chengdu --period 2019-06 --json > chengdu.json"
)

Place = Annotated[
    str,
    typer.Argument(
        metavar="PLACE",
        show_default=False,
        help="A place, province or group, or the nation: Chinese name, alias, pinyin, English name, or code.",
    ),
]
NodeName = Annotated[
    str | None,
    typer.Option(
        "--node", metavar="NODE", help="A node of a tree, by id or name. Default: the root of the largest tree."
    ),
]
PeriodName = Annotated[
    str,
    typer.Option("--period", metavar="PERIOD", help="2019, 2020H1, or a period such as 2019-06.", show_default=False),
]
Kind = Annotated[
    str | None, typer.Option("--type", metavar="TYPE", help="The entity type, where a name is of several.")
]
AsJson = Annotated[bool, typer.Option("--json", help="All of it as JSON, every digit, with the formulas.")]
All = Annotated[
    bool, typer.Option("--deliveries", help="Every delivery behind it, with the rows that are the place's own.")
]

_FOLDED = 3
_COMPOUND = ("cagr", "cagr_2y")
Told = Mapping[str, Any]


def explain(
    place: Place,
    *,
    period: PeriodName,
    node: NodeName = None,
    kind: Kind = None,
    as_json: AsJson = False,
    deliveries: All = False,
    index: options.Index = None,
) -> None:
    """Say what one published number is made of: its rank, its change split over indicators, weights, deliveries."""
    with _kept():
        from dci_pipeline.steps import trail

        work = options.open_work(index, looking=True)
        told = trail.explain(work, place, node, period, kind=kind, rows_of_place=deliveries)
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1, allow_nan=False))
        return
    _headline(told)
    _split(told)
    _estimates(told)
    if deliveries:
        _deliveries(told)
    else:
        _feeds(told)
    _doubts(told)


@contextmanager
def _kept() -> Iterator[None]:
    """What is made in the block is needed until the command ends, a moment later: looking for garbage finds none."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _headline(told: Told) -> None:
    entity, node, number, base = told["entity"], told["node"], told["number"], told["base"]
    screen.say(
        f"{entity['name_zh']} {entity['name_en']} ({entity['type']} {entity['code']}) · "
        f"{node['name_zh']} {node['name_en']} ({node['node']}) · {told['period']}",
        style="bold",
    )
    used, compared = told["periods_used"], told["base_periods_used"]
    if len(used) > 1:
        with_them = f", compared with {_range(compared[0], compared[-1])}" if compared else ""
        screen.say(f"{_range(used[0], used[-1])}, {screen.count(len(used), 'period')}{with_them}")
    if number["points"] is None:
        screen.say(f"withheld: {_why_withheld(number)}", style="yellow")
    change = told["change"]["points"]
    rows: list[tuple[str, str, str, str]] = [
        ("points", _num(number["points"]), _num(base and base["points"]), _signed(change and change["change"])),
        ("share S", _pct(number["share"], 4), _pct(base and base["share"], 4), ""),
        ("share of points", _pct(number["points_share"], 4), _pct(base and base["points_share"], 4),
         _signed(number["points_share_change_pp"], " pp")),
        ("composite points", _num(number["composite_points"]), _num(base and base["composite_points"]), ""),
        ("rank", _rank(number["rank"], told["ranking"]["entities"]), _rank(number["rank_before"], None),
         "" if number["rank_change"] is None else f"{number['rank_change']:+d}"),
        ("growth, like for like", _pct(number["growth_yoy"], 2), "", ""),
        *((_grown(item), _pct(item["value"], 2), "", "") for item in told["growth"] if item["against"]),
        ("imputed", _pct(number["imputed_share"], 2), _pct(base and base["imputed_share"], 2), ""),
    ]  # fmt: skip
    screen.show(
        f"{number['obs_status']} · {number['maturity']} · {told['table']}",
        ("", told["period"], told["base_period"] or "no year before", "change"),
        rows,
        right=(told["period"], told["base_period"] or "no year before", "change"),
    )


def _grown(item: Told) -> str:
    if item["years"] == 1 and item["measure"] not in _COMPOUND:
        return f"growth on {item['against']}"
    return f"growth a year since {item['against']}"


def _why_withheld(number: Told) -> str:
    part = _pct(number["imputed_share"], 1)
    return f"{part} of it is estimated, or an indicator under it was carried too long or never observed"


def _split(told: Told) -> None:
    change, base = told["change"], told["base_period"]
    lines: list[list[object]] = [
        [
            "  " * line["depth"] + f"{line['name_zh']} {line['node']}",
            _pct(line["weight_in_node"], 2),
            _num(line["points"]),
            _pct(line["share"], 3),
            _signed(line["contribution_points"]),
            _signed(line["growth_pp"], " pp"),
            _signed(line["link_effect_points"]) if line["link_effect_points"] else "",
        ]
        for line in change["by_node"]
    ]
    columns = ("node", "weight", "points", "share", "contributes", "to growth", "links moved")
    screen.show(f"Split of the change on {base}" if base else "What it is made of", columns, lines, right=columns[1:])
    whole = change["points"]
    if whole is None:
        screen.say("No change to split: the same periods a year before are not published, or a level is withheld.")
        return
    sums = f"{_signed(whole['contribution_points'])} contributed"
    if whole["link_effect_points"]:
        sums += f" {_signed(whole['link_effect_points'])} moved by links"
    rest = "nothing" if whole["exact"] else f"{whole['remainder']:.3g}"
    screen.say(f"{sums} = {_signed(whole['change'])} points; {rest} remains.")


def _estimates(told: Told) -> None:
    found: Sequence[Told] = told["imputed"]
    if not found:
        return
    shown = found[: _FOLDED * 3]
    screen.show(
        "Estimated",
        ("indicator", "place", "periods", "carried since", "share", "status"),
        [
            [item["indicator"], item["place"], _range(item["first"], item["last"]), item["observed"] or "never seen",
             _pct(item["share"], 3), item["obs_status"]]
            for item in shown
        ],
    )  # fmt: skip
    if len(found) > len(shown):
        screen.say(f"and {len(found) - len(shown):,} more: --json")


def _feeds(told: Told) -> None:
    feeds: dict[str, list[Told]] = {}
    for item in told["deliveries"]:
        feeds.setdefault(item["feed"], []).append(item)
    screen.show(
        "Deliveries behind both spans",
        ("feed", "partners", "periods", "deliveries", "rows used", "rejected", "contract", "last received"),
        [
            [
                feed,
                len({item["partner"] for item in found}),
                len({item["period"] for item in found}),
                len(found),
                f"{sum(item['rows_used'] for item in found):,}",
                f"{sum(item['rows_rejected'] for item in found):,}",
                ", ".join(sorted({item["contract_version"] for item in found})),
                max((item["received"] or "" for item in found), default=""),
            ]
            for feed, found in sorted(feeds.items())
        ],
        right=("partners", "periods", "deliveries", "rows used", "rejected"),
    )
    for item in told["corrections"]:
        screen.say(f"corrected: {item['feed']} {item['period']} {item['partner']}: {item['correction']}")
    screen.say("Each file with its SHA-256: --deliveries. Everything to calculate it again: --json.", stderr=True)


def _deliveries(told: Told) -> None:
    screen.show(
        "Deliveries",
        (
            "feed",
            "period",
            "partner",
            "file",
            "sha256",
            "received",
            "used, of the place",
            "rejected, of the place",
            "contract",
        ),
        [
            [
                item["feed"],
                item["period"],
                item["partner"],
                ", ".join(part["name"] for part in item["files"]),
                item["sha256"][:12],
                item["received"],
                f"{item['rows_used']:,}, {max(item['rows_of_place'].values(), default=0):,}",
                f"{item['rows_rejected']:,}, {item['rejected_of_place']:,}",
                item["contract_version"],
            ]
            for item in told["deliveries"]
        ],
        right=("used, of the place", "rejected, of the place"),
    )
    unplaced = sum(item["rejected_unplaced"] for item in told["deliveries"])
    if unplaced:
        screen.say(f"{screen.count(unplaced, 'rejected row')} of these name no place of the index.")


def _doubts(told: Told) -> None:
    """What has been computed or delivered anew since, so that the parts are of another number than the one shown."""
    again = told["outdated"] + [
        f"{item['feed']} {item['period']} {item['partner']}" for item in told["deliveries"] if not item["current"]
    ]
    if again:
        named = ", ".join(again[:_FOLDED]) + (f" and {len(again) - _FOLDED} more" if len(again) > _FOLDED else "")
        screen.say(f"Computed anew since this was published: {named}. dci run brings it up to date.", style="yellow")


def _num(value: float | None) -> str:
    return "∅" if value is None else f"{value:,.4f}"


def _signed(value: float | None, unit: str = "") -> str:
    return "∅" if value is None else f"{value:+,.4f}{unit}"


def _pct(value: float | None, digits: int) -> str:
    return "∅" if value is None else f"{100 * value:.{digits}f} %"


def _rank(rank: int | None, of: int | None) -> str:
    return "∅" if rank is None else f"{rank} of {of}" if of else str(rank)


def _range(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"
