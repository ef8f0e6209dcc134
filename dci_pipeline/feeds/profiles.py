"""What an index's simulated world looks like, as data: levels, growth, seasons, sizes and shares (its simulation file).

Only read here, strictly; feeds.simulation makes deliveries of it. Every figure in such a file is invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from dci_pipeline import periods
from dci_pipeline.data_files import only
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period

_PROFILE = {"first", "places", "feeds"}
_PLACES = {"sizes", "spread", "growth_spread", "noise", "mix", "partner_spread", "other_names"}
_FEED = {"rows", "partners", "sends", "dimensions", "totals", "everywhere", "measures", "rates"}
_MEASURE = {"level", "growth", "season", "dispersion"}
_RATE = {"mean", "growth", "spread", "noise"}
_TOTAL = {"value", "of_sum"}


@dataclass(frozen=True)
class Places:
    """How places differ: size by level, and the logarithmic spread of size, growth, month, mix and partner."""

    sizes: Mapping[str, float]
    spread: float
    growth_spread: float
    noise: float
    mix: float
    partner_spread: float
    other_names: float


@dataclass(frozen=True)
class MeasureProfile:
    """The nation's `level` in the first period, growth a year from given years on, season, spread of the records."""

    level: float
    growth: Mapping[int, float]
    season: tuple[float, ...]
    dispersion: float


@dataclass(frozen=True)
class RateProfile:
    """A rating or rate: its middle over places in the first period, growth a year, logarithmic spread and noise.

    It is no volume: places differ by `spread` around the middle and from period to period by `noise`, neither their
    size nor the number of records moves it, and it stays within the contract's limits.
    """

    mean: float
    growth: Mapping[int, float]
    spread: float
    noise: float


@dataclass(frozen=True)
class FeedProfile:
    """One feed: usual rows of a delivery, partners' shares, shares of the dimensions' values, measures and rates.

    `follows` gives a dimension whose value another one decides: {layer: (service, {server: infrastructure})}. `totals`
    gives the value of a dimension that is a total without double counting, and by measure how large it is against the
    sum of the other values; no other value is larger than the total. `sends` gives a partner that sends some values
    only; partners share what more than one of them sends. `everywhere` gives the values of which every place has a
    record, however few rows are asked for.
    """

    rows: int
    partners: Mapping[str, float]
    sends: Mapping[str, Mapping[str, tuple[str, ...]]]
    shares: Mapping[str, Mapping[str, float]]
    follows: Mapping[str, tuple[str, Mapping[str, str]]]
    totals: Mapping[str, tuple[str, Mapping[str, float]]]
    everywhere: Mapping[str, tuple[str, ...]]
    measures: Mapping[str, MeasureProfile]
    rates: Mapping[str, RateProfile]


@dataclass(frozen=True)
class Profile:
    """What an index's simulated world looks like."""

    first: str
    places: Places
    feeds: Mapping[str, FeedProfile]
    where: str


def read_profile(raw: Mapping[str, Any], where: str) -> Profile:
    """The profile a simulation file holds. Raises Finding naming file and key for anything unknown or missing."""
    top = _all(raw, _PROFILE, where)
    places = _all(top["places"], _PLACES, f"{where} places")
    try:
        return Profile(
            first=str(top["first"]),
            places=Places(
                sizes=_numbers(places["sizes"], f"{where} places.sizes"),
                **{key: float(places[key]) for key in _PLACES - {"sizes"}},
            ),
            feeds={
                str(feed): _feed(spec, f"{where} feeds.{feed}")
                for feed, spec in cast("dict[str, Any]", top["feeds"]).items()
            },
            where=where,
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise Finding("a value of the wrong kind", where=where, found=str(error), todo="correct the file") from error


def _feed(raw: object, where: str) -> FeedProfile:
    spec = only(raw, _FEED, where=where)
    shares: dict[str, dict[str, float]] = {}
    follows: dict[str, tuple[str, Mapping[str, str]]] = {}
    for name, values in cast("dict[str, Any]", spec.get("dimensions") or {}).items():
        if set(values) == {"of", "values"}:
            follows[str(name)] = (str(values["of"]), {str(key): str(value) for key, value in values["values"].items()})
        else:
            shares[str(name)] = _numbers(values, f"{where} dimensions.{name}")
    totals: dict[str, tuple[str, Mapping[str, float]]] = {}
    for name, total in cast("dict[str, Any]", spec.get("totals") or {}).items():
        parts = _all(total, _TOTAL, f"{where} totals.{name}")
        totals[str(name)] = (str(parts["value"]), _numbers(parts["of_sum"], f"{where} totals.{name} of_sum"))
    return FeedProfile(
        rows=int(spec.get("rows", 6000)),
        partners=_numbers(spec.get("partners") or {}, f"{where} partners"),
        sends={
            str(name): _lists(values, f"{where} sends.{name}")
            for name, values in cast("dict[str, Any]", spec.get("sends") or {}).items()
        },
        shares=shares,
        follows=follows,
        totals=totals,
        everywhere=_lists(spec.get("everywhere") or {}, f"{where} everywhere"),
        measures={
            str(name): _measure(item, f"{where} measures.{name}")
            for name, item in cast("dict[str, Any]", spec.get("measures") or {}).items()
        },
        rates={
            str(name): _rate(item, f"{where} rates.{name}")
            for name, item in cast("dict[str, Any]", spec.get("rates") or {}).items()
        },
    )


def _measure(raw: object, where: str) -> MeasureProfile:
    spec = _all(raw, _MEASURE, where)
    return MeasureProfile(
        level=float(spec["level"]),
        growth=_by_year(spec["growth"]),
        season=tuple(float(factor) for factor in spec["season"]),
        dispersion=float(spec["dispersion"]),
    )


def _rate(raw: object, where: str) -> RateProfile:
    spec = _all(raw, _RATE, where)
    return RateProfile(
        mean=float(spec["mean"]),
        growth=_by_year(spec["growth"]),
        spread=float(spec["spread"]),
        noise=float(spec["noise"]),
    )


def _by_year(growth: object) -> dict[int, float]:
    by_year = cast("dict[Any, Any]", growth if isinstance(growth, dict) else {1: growth})
    return {int(year): float(rate) for year, rate in by_year.items()}


def _all(raw: object, keys: set[str], where: str) -> dict[str, Any]:
    mapping = only(raw, keys, where=where)
    missing = sorted(keys - set(mapping))
    if missing:
        raise Finding(
            f"missing key {', '.join(map(repr, missing))}",
            where=where,
            found=", ".join(sorted(mapping)),
            expected=", ".join(sorted(keys)),
        )
    return mapping


def _numbers(raw: object, where: str) -> dict[str, float]:
    if not isinstance(raw, dict):
        raise Finding("not a mapping", where=where, found=repr(raw), expected="name: number lines")
    return {str(key): float(value) for key, value in cast("dict[Any, Any]", raw).items()}


def _lists(raw: object, where: str) -> dict[str, tuple[str, ...]]:
    by_name = cast("dict[Any, Any]", raw if isinstance(raw, dict) else {"": raw})
    if not all(isinstance(values, list) for values in by_name.values()):
        raise Finding("not a mapping to lists", where=where, found=repr(by_name), expected="name: [value, value] lines")
    return {str(key): tuple(str(value) for value in values) for key, values in by_name.items()}


def level(measure: MeasureProfile, period: Period, first: Period) -> float:
    """The nation's level of a measure in `period`: growth compounded by period from `first`, times the season."""
    if len(measure.season) != period.per_year:
        raise Finding(
            "one seasonal factor per period of a year",
            found=f"{len(measure.season)} factors",
            expected=str(period.per_year),
            todo="mend season in the simulation file",
        )
    return grown(measure.level, measure.growth, period=period, first=first) * measure.season[period.number - 1]


def grown(value: float, growth: Mapping[int, float], *, period: Period, first: Period) -> float:
    """What `value` in `first` has become in `period`, growing by year and compounded by period."""
    forward = period.start >= first.start
    early, late = (first, period) if forward else (period, first)
    for step in periods.span(early, late)[1:]:
        years = [year for year in growth if year <= step.start.year]
        rate = growth[max(years)] if years else growth[min(growth)]
        value *= (1 + rate) ** ((1 if forward else -1) / period.per_year)
    return value
