"""The simulated partners: repeatable, within their contracts, shaped by the profile; and written in every form."""

from __future__ import annotations

import copy
import io
from typing import Any

import polars as pl
import pytest

from dci_pipeline import geography, periods
from dci_pipeline.contracts import FeedContract
from dci_pipeline.data_files import read_yaml
from dci_pipeline.feeds import encoding, simulation
from dci_pipeline.findings import Finding
from dci_pipeline_tests.feeds.conftest import CONTRACTS, feed_contracts, read

ROOT = CONTRACTS / "dci"
GEOGRAPHY = geography.read_geography(ROOT)
RAW = read_yaml(ROOT / "simulation.yaml")
PROFILE = simulation.read_profile(RAW, "dci/simulation.yaml")
FEEDS = feed_contracts("dci")


def simulate(
    contract: FeedContract,
    *,
    month: str = "2019-06",
    partner: str | None = None,
    seed: int = 1,
    profile: simulation.Profile = PROFILE,
    shuffled: bool = False,
    **options: Any,
) -> pl.DataFrame:
    period = periods.parse(month, "month")
    places = GEOGRAPHY.places.join(GEOGRAPHY.places_at(period), on="code", how="semi").select("code", "level")
    aliases = GEOGRAPHY.aliases_at(period)
    if shuffled:
        places, aliases = places.sample(fraction=1, shuffle=True), aliases.sample(fraction=1, shuffle=True)
    return simulation.simulate(
        contract,
        cadence="month",
        period=period,
        places=places,
        aliases=aliases,
        partner=partner or next(iter(contract.partners)),
        profile=profile,
        seed=seed,
        **options,
    )


def places_of(month: str) -> list[str]:
    return GEOGRAPHY.places_at(periods.parse(month, "month"))["code"].to_list()


def named(sent: pl.DataFrame, contract: FeedContract, month: str = "2019-06") -> pl.DataFrame:
    """The records with the place each names, under `place`."""
    known = GEOGRAPHY.aliases_at(periods.parse(month, "month")).select("alias", "place")
    return sent.join(known, left_on=contract.place.source, right_on="alias")


@pytest.mark.parametrize("contract", FEEDS, ids=lambda item: item.feed)
class TestDelivery:
    @pytest.mark.parametrize("month", ["2015-01", "2019-06", "2027-12"])
    def test_keeps_its_contract(self, contract: FeedContract, month: str) -> None:
        for partner in contract.partners:
            sent = simulate(contract, month=month, partner=partner)
            usual = max(PROFILE.feeds[contract.feed].rows, len(places_of(month)))
            assert usual <= sent.height <= 1.01 * usual
            got = read(encoding.encode(sent, contract), contract)
            assert got["unparsed"].null_count() == got.height == sent.height
            assert got.select(contract.key).is_unique().all()
            period = periods.parse(month, "month")
            known = GEOGRAPHY.aliases_at(period).filter(pl.col("scope") == "in")
            assert got.join(known, left_on=contract.place.name, right_on="alias", how="anti").height == 0
            places = got.join(known, left_on=contract.place.name, right_on="alias")["place"].unique().sort().to_list()
            assert places == GEOGRAPHY.places_at(period)["code"].to_list()
            for column in contract.columns:
                values = got[column.name]
                assert values.null_count() == 0
                if column.role == "date":
                    assert values.is_between(period.start, period.end, closed="left").all()
                if column.role == "measure":
                    assert values.is_between(column.minimum, column.maximum).all()
                if column.values:
                    assert set(values) <= set(column.values)
                if column.pattern:
                    assert values.str.contains(column.pattern).all()

    def test_is_the_same_each_time_and_whatever_the_order_of_places(self, contract: FeedContract) -> None:
        first = encoding.encode(simulate(contract), contract)
        assert encoding.encode(simulate(contract, shuffled=True), contract) == first
        others = [
            simulate(contract, seed=2),
            simulate(contract, month="2019-07"),
            *(simulate(contract, partner=partner) for partner in list(contract.partners)[1:]),
        ]
        assert all(encoding.encode(other, contract) != first for other in others)

    def test_grows_to_the_rows_asked_for(self, contract: FeedContract) -> None:
        assert simulate(contract, rows=100_000).height == 100_000
        feed, places = PROFILE.feeds[contract.feed], places_of("2019-06")
        seen: dict[str, set[tuple[str, str]]] = {name: set() for name in feed.everywhere}
        for partner in contract.partners:
            sent = named(simulate(contract, rows=1, partner=partner), contract)
            own = [
                value
                for name, values in feed.everywhere.items()
                for value in values
                if value in feed.sends.get(partner, {}).get(name, values)
            ]
            assert sent.height == len(places) * (len(own) or 1) + len(places) * len(feed.totals)
            for name in seen:
                seen[name] |= set(sent.select("place", name).iter_rows())
        for name, values in feed.everywhere.items():
            assert {(place, value) for place in places for value in values} <= seen[name]

    @pytest.mark.parametrize("form", encoding.FORMS)
    def test_reads_the_same_in_every_form(self, contract: FeedContract, form: str) -> None:
        sent = simulate(contract)
        data = encoding.encode(sent, contract, form=form)
        assert data == encoding.encode(sent, contract, form=form)
        name = f"part.{form}"
        assert read(data, contract, name=name).equals(read(encoding.encode(sent, contract), contract, name="part.csv"))

    def test_nation_follows_the_profile(self, contract: FeedContract) -> None:
        feed = PROFILE.feeds[contract.feed]
        first = periods.parse(PROFILE.first, "month")
        for column in (item for item in contract.roles("measure") if item.name not in feed.rates):
            for month in ("2016-03", "2020-10"):
                period = periods.parse(month, "month")
                wanted = simulation.level(feed.measures[column.name], period, first)
                sent = pl.concat([simulate(contract, month=month, partner=partner) for partner in contract.partners])
                for dimension, (value, _) in feed.totals.items():
                    sent = sent.filter(pl.col(dimension) == value)
                assert sent[column.source].sum() == pytest.approx(wanted, rel=0.02)


def test_totals_stand_above_their_parts_and_beside_their_sum() -> None:
    for contract in FEEDS:
        for dimension, (value, of_sum) in PROFILE.feeds[contract.feed].totals.items():
            sent = simulate(contract).with_columns(place=pl.col(contract.place.source))
            assert (
                sent.filter(pl.col(dimension) == value).height
                == GEOGRAPHY.places_at(periods.parse("2019-06", "month")).height
            )
            for name, share in of_sum.items():
                by_value = dict(sent.group_by(dimension).agg(pl.col(name).sum()).iter_rows())
                total = by_value.pop(value)
                assert max(by_value.values()) < total
                assert total / sum(by_value.values()) == pytest.approx(share, rel=0.1)


RATED = [(contract, name) for contract in FEEDS for name in PROFILE.feeds[contract.feed].rates]


@pytest.mark.parametrize(("contract", "name"), RATED, ids=[name for _, name in RATED])
def test_a_rate_is_no_volume(contract: FeedContract, name: str) -> None:
    column, rate = contract.by_name[name], PROFILE.feeds[contract.feed].rates[name]
    first = periods.parse(PROFILE.first, "month")

    def by_place(month: str, **options: Any) -> dict[str, int]:
        sent = simulate(contract, month=month, **options)
        read_back = read(encoding.encode(sent, contract), contract)
        known = GEOGRAPHY.aliases_at(periods.parse(month, "month")).select("alias", "place")
        rows = read_back.join(known, left_on=contract.place.name, right_on="alias")
        values = rows.group_by("place").agg(pl.col(name).unique())
        assert (values[name].list.len() == 1).all()
        return dict(values.select("place", pl.col(name).list.first()).iter_rows())

    months = {month: by_place(month) for month in ("2015-01", "2019-06", "2027-12")}
    for month, values in months.items():
        middle = simulation.grown(rate.mean, rate.growth, period=periods.parse(month, "month"), first=first)
        assert pl.Series(list(values.values())).median() == pytest.approx(middle, rel=rate.spread / 4, abs=0.51)
        assert column.minimum <= min(values.values()) < max(values.values()) <= column.maximum
    assert by_place("2019-06", rows=3000) == months["2019-06"]
    before, after = months["2015-01"], by_place("2015-02")
    moved = [after[place] / before[place] - 1 for place in after]
    assert 0 < max(map(abs, moved)) < 6 * rate.noise + 1 / min(before.values())


def test_a_rate_stays_within_its_contract() -> None:
    contract, name = RATED[0]
    wild = broken(lambda raw: raw["feeds"][contract.feed]["rates"][name].update(spread=3))
    values = simulate(contract, profile=simulation.read_profile(wild, "x"))[name]
    column = contract.by_name[name]
    scale = column.multiplier or 1
    assert (values.min(), values.max()) == (column.minimum / scale, column.maximum / scale)


def test_partners_that_send_some_values_only_send_no_others_and_make_the_whole() -> None:
    chosen = [contract for contract in FEEDS if PROFILE.feeds[contract.feed].sends]
    assert chosen
    for contract in chosen:
        feed = PROFILE.feeds[contract.feed]
        for partner, own in feed.sends.items():
            sent = simulate(contract, partner=partner)
            assert {name: set(sent[name]) for name in own} == {name: set(values) for name, values in own.items()}


def test_what_two_partners_send_they_share() -> None:
    contract = next(item for item in FEEDS if PROFILE.feeds[item.feed].sends)
    one, two = list(contract.partners)[:2]
    name, value = next((name, values[0]) for name, values in PROFILE.feeds[contract.feed].sends[one].items())

    def shared(raw: dict[str, Any]) -> None:
        raw["feeds"][contract.feed]["sends"][two][name] += [value]

    def volume(profile: simulation.Profile, partner: str) -> int:
        sent = simulate(contract, partner=partner, profile=profile)
        return sent.filter(pl.col(name) == value)[contract.roles("measure")[0].name].sum()

    both = simulation.read_profile(broken(shared), "x")
    parts = [volume(both, one), volume(both, two)]
    assert min(parts) > 0.3 * sum(parts)
    assert sum(parts) == pytest.approx(volume(PROFILE, one), rel=0.02)


def test_larger_places_and_growth_show() -> None:
    contract = next(item for item in FEEDS if not PROFILE.feeds[item.feed].totals)
    measure = contract.roles("measure")[0].name

    def by_code(month: str) -> dict[str, int]:
        known = GEOGRAPHY.aliases_at(periods.parse(month, "month"))
        sent = simulate(contract, month=month).join(known, left_on=contract.place.source, right_on="alias")
        return dict(sent.group_by("place").agg(pl.col(measure).sum()).iter_rows())

    levels = dict(GEOGRAPHY.places.select("code", "level").iter_rows())
    now, before = by_code("2019-06"), by_code("2018-06")
    mean = {level: [now[code] for code in now if levels[code] == level] for level in set(levels.values())}
    mean_of = {level: sum(values) / len(values) for level, values in mean.items()}
    assert mean_of["municipality"] > mean_of["sub_provincial"] > mean_of["prefecture"] > mean_of["direct_county"]
    growth = [now[code] / before[code] for code in now if code in before]
    assert 0.5 < min(growth) < max(growth) and len({round(value, 3) for value in growth}) > 50


def broken(change: Any) -> dict[str, Any]:
    raw = copy.deepcopy(RAW)
    change(raw)
    return raw


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda raw: raw.update(colour=1), "unknown key 'colour'"),
        (lambda raw: raw.pop("first"), "missing key 'first'"),
        (lambda raw: raw["places"].pop("mix"), "missing key 'mix'"),
        (lambda raw: raw["places"]["sizes"].update(x="large"), "a value of the wrong kind"),
        (lambda raw: next(iter(raw["feeds"].values())).update(colour=1), "unknown key 'colour'"),
        (lambda raw: next(iter(raw["feeds"].values())).update(partners=3), "not a mapping"),
        (lambda raw: next(iter(raw["feeds"].values())).update(everywhere={"x": "y"}), "not a mapping to lists"),
        (lambda raw: next(iter(raw["feeds"].values())).update(sends={"x": 3}), "not a mapping to lists"),
        (lambda raw: next(iter(raw["feeds"].values())).update(rates={"x": {"mean": 1}}), "missing key 'growth'"),
    ],
)
def test_a_profile_is_read_strictly(change: Any, says: str) -> None:
    with pytest.raises(Finding) as raised:
        simulation.read_profile(broken(change), "dci/simulation.yaml")
    assert says in str(raised.value) and "dci/simulation.yaml" in str(raised.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda raw: raw["feeds"].pop(FEEDS[0].feed), "does not know this feed"),
        (lambda raw: raw["feeds"][FEEDS[0].feed].update(partners={"other": 1}), "says nothing of partner"),
        (lambda raw: raw["feeds"][FEEDS[0].feed].update(measures={}), "says nothing of"),
        (lambda raw: raw["places"].update(sizes={"village": 1}), "a level of places without a size"),
        (
            lambda raw: raw["feeds"][FEEDS[0].feed].update(everywhere={"app_category": ["none"]}),
            "values that are no combination's",
        ),
        (
            lambda raw: raw["feeds"][FEEDS[0].feed].update(sends={"appstat_a": {"app_category": ["all"]}}),
            "combinations that no partner sends",
        ),
        (
            lambda raw: [item.update(level=1e30) for item in raw["feeds"][FEEDS[0].feed]["measures"].values()],
            "past its maximum",
        ),
        (
            lambda raw: [item.update(season=[1]) for item in raw["feeds"][FEEDS[0].feed]["measures"].values()],
            "one seasonal factor",
        ),
    ],
)
def test_a_profile_that_does_not_fit_the_contract_is_a_finding(change: Any, says: str) -> None:
    with pytest.raises(Finding, match=says):
        simulate(FEEDS[0], profile=simulation.read_profile(broken(change), "dci/simulation.yaml"))


def test_writing_into_a_stream_gives_the_same_bytes() -> None:
    out = io.BytesIO()
    sent = simulate(FEEDS[0])
    encoding.write(sent, FEEDS[0], out, form="csv.gz")
    assert out.getvalue() == encoding.encode(sent, FEEDS[0], form="csv.gz")
    with pytest.raises(Finding, match="unknown form"):
        encoding.encode(sent, FEEDS[0], form="xlsx")
