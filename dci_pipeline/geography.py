"""Places, groups, memberships and aliases of one index, as frames with validity dates (METHOD section 7).

Reads the geography folder; resolves nothing itself beyond giving, for one period, the names that are usable then.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period

_FILES = {
    "places": ("code", "type", "name_zh", "name_en", "short_zh", "level", "lon", "lat", "valid_from", "valid_to"),
    "groups": ("type", "code", "name_zh", "name_en", "short_zh", "valid_from", "valid_to", "source"),
    "membership": ("place", "group_type", "group", "primary", "coverage", "valid_from", "valid_to"),
    "aliases": ("alias", "alias_type", "place", "valid_from", "valid_to", "ambiguous", "note"),
    "excluded": ("alias", "name_zh", "reason"),
}

Answer = TypeVar("Answer")

_MEMBER = ("primary", "coverage", "valid_from", "valid_to")


@dataclass(frozen=True)
class Geography:
    """The geography of one index; every frame is text but for dates and coordinates."""

    places: pl.DataFrame
    groups: pl.DataFrame
    membership: pl.DataFrame
    aliases: pl.DataFrame
    excluded: pl.DataFrame
    sha256: str

    @cached_property
    def codes(self) -> list[str]:
        return self.places["code"].to_list()

    @cached_property
    def _seen(self) -> dict[tuple[object, ...], Any]:
        """Answers by question and by what is valid: many feeds and partners ask the same, and little ever changes."""
        return {}

    @cached_property
    def _changes(self) -> tuple[list[date], list[date]]:
        """Every day on which anything becomes valid, and on which anything ceases to be, in order."""
        frames = (self.places, self.groups, self.membership, self.aliases)
        dates = (pl.concat([frame[name] for frame in frames]) for name in ("valid_from", "valid_to"))
        first, last = (item.drop_nulls().sort().to_list() for item in dates)
        return first, last

    def _once(self, question: str, period: Period, answer: Callable[[Period], Answer]) -> Answer:
        begun, ended = self._changes
        # Periods between the same two changes have the same geography.
        key = (question, bisect_left(begun, period.end), bisect_right(ended, period.start))
        if key not in self._seen:
            self._seen[key] = answer(period)
        return self._seen[key]

    def places_at(self, period: Period) -> pl.DataFrame:
        """Places valid in `period`: [code, type], sorted by code."""
        return self._once(
            "places", period, lambda when: self.places.filter(_valid(when)).select("code", "type").sort("code")
        )

    def aliases_at(self, period: Period) -> pl.DataFrame:
        """Names usable in `period`: [alias, place, scope], each alias once, sorted.

        `scope` is 'in' for a place of the index and 'out' for a known unit outside it (place is then null).
        An ambiguous or expired alias is not there, so rows that use it are rejected as unknown.
        """
        return self._once("aliases", period, self._aliases_at)

    def _aliases_at(self, period: Period) -> pl.DataFrame:
        usable = (
            self.aliases.filter(_valid(period) & (pl.col("ambiguous") == "0"))
            .join(self.places_at(period), left_on="place", right_on="code", how="semi")
            .group_by("alias")
            .agg(pl.col("place").unique())
            .filter(pl.col("place").list.len() == 1)
            .select("alias", pl.col("place").list.first(), scope=pl.lit("in"))
        )
        outside = self.excluded.select("alias", place=pl.lit(None, dtype=pl.String), scope=pl.lit("out"))
        return pl.concat([usable, outside]).unique("alias", keep="any").sort("alias")

    def members_at(self, period: Period) -> pl.DataFrame:
        """Primary memberships of places valid in `period`: [group_type, group, place], sorted."""
        return self._once("members", period, self._members_at)

    def _members_at(self, period: Period) -> pl.DataFrame:
        return (
            self.membership.filter(_valid(period) & (pl.col("primary") == "1"))
            .join(self.places_at(period), left_on="place", right_on="code", how="semi")
            .select("group_type", "group", "place")
            .sort("group_type", "group", "place")
        )

    def period_hash(self, period: Period) -> str:
        """SHA-256 of what this geography means for the rows of one period: names and places usable then."""
        return self._once("period_hash", period, lambda when: _hash(self.aliases_at(when), self.places_at(when)))

    def members_hash(self, period: Period) -> str:
        """SHA-256 of the places and primary memberships valid in one period."""
        return self._once("members_hash", period, lambda when: _hash(self.members_at(when), self.places_at(when)))


def _hash(*frames: pl.DataFrame) -> str:
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(frame.write_csv().encode())
    return digest.hexdigest()


def _valid(period: Period) -> pl.Expr:
    """Valid at any time within the period; `valid_to` is the first day on which the row no longer holds."""
    return (pl.col("valid_from").is_null() | (pl.col("valid_from") < period.end)) & (
        pl.col("valid_to").is_null() | (pl.col("valid_to") > period.start)
    )


def read_geography(folder: Path, derived: Mapping[str, tuple[str, ...]] | None = None) -> Geography:
    """The geography under an index's folder, with the group types of `derived` added: {type: the two it crosses}.

    Raises Finding naming file and column for an unknown column, and file and code for a name that points nowhere.
    """
    where = f"{folder.name}/geography"
    frames: dict[str, pl.DataFrame] = {}
    digest = hashlib.sha256()
    for name, columns in _FILES.items():
        path = folder / "geography" / f"{name}.csv"
        if not path.is_file():
            raise Finding(
                "missing file",
                where=f"{where}/{name}.csv",
                expected=", ".join(columns),
                todo="write the file, with its header alone when there is nothing to say",
            )
        digest.update(path.read_bytes())
        frame = pl.read_csv(path, infer_schema=False)
        if tuple(frame.columns) != columns:
            unknown = [column for column in frame.columns if column not in columns]
            raise Finding(
                f"unknown or missing column {', '.join(unknown)}".rstrip(),
                where=f"{where}/{name}.csv",
                found=", ".join(frame.columns),
                expected=", ".join(columns),
            )
        dates = [column for column in ("valid_from", "valid_to") if column in columns]
        frames[name] = frame.with_columns(
            [pl.col(column).str.to_date("%Y-%m-%d") for column in dates]
            + [pl.col(column).cast(pl.Float64) for column in ("lon", "lat") if column in columns]
        )
    for crossed, of in sorted((derived or {}).items()):
        digest.update(repr((crossed, of)).encode())
        groups, membership = _cross(frames["groups"], frames["membership"], crossed, of, where=where)
        frames["groups"], frames["membership"] = groups, membership
    geography = Geography(**frames, sha256=digest.hexdigest())
    _check(geography, where)
    return geography


def _cross(
    groups: pl.DataFrame, membership: pl.DataFrame, crossed: str, of: tuple[str, ...], *, where: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Groups and memberships with one more type: a group for each pair of groups of two types that share a place.

    A place is in the pair while it is in both, and counts there in sums where it counts in both. The pair's code is
    'prd:4' for prd and t4: of a numbered code the number. Raises Finding for a type that is not there, one that is
    there already, and pairs whose codes do not differ.
    """
    kinds = set(groups["type"])
    if len(of) != 2 or not set(of) <= kinds or crossed in kinds:
        raise Finding(
            "a type of group that cannot be made of two others",
            where=f"{where}/groups.csv",
            found=f"{crossed} of {', '.join(of)}",
            expected=f"a new type of two among {', '.join(sorted(kinds))}",
            todo="correct the entry of the index file, or list the groups it names",
        )
    pairs = _pairs(membership, *of)
    named = (
        pairs.select("group", "group_2", "pair")
        .unique()
        .join(groups.filter(pl.col("type") == of[0]), left_on="group", right_on="code")
        .join(groups.filter(pl.col("type") == of[1]), left_on="group_2", right_on="code", suffix="_2")
        .sort("pair", "group_2")
    )
    alike = named.filter(pl.col("pair").is_duplicated())["pair"].unique().sort().to_list()
    if alike:
        raise Finding("crossed groups with one code", where=f"{where}/groups.csv", found=", ".join(alike[:10]))
    new_groups = named.select(
        type=pl.lit(crossed),
        code="pair",
        name_zh=pl.concat_str("name_zh", "name_zh_2", separator="·"),
        name_en=pl.concat_str("name_en", "name_en_2", separator=", "),
        short_zh=pl.concat_str("short_zh", "short_zh_2", separator="·"),
        valid_from=pl.max_horizontal("valid_from", "valid_from_2"),
        valid_to=pl.min_horizontal("valid_to", "valid_to_2"),
        source=pl.lit(f"derived: {of[0]} x {of[1]}"),
    )
    new_members = pairs.select(
        "place", pl.lit(crossed).alias("group_type"), group="pair", **{name: name for name in _MEMBER}
    )
    return pl.concat([groups, new_groups]), pl.concat([membership, new_members])


def _pairs(membership: pl.DataFrame, first: str, second: str) -> pl.DataFrame:
    """Places in a group of both types at once: [place, group, group_2, pair, primary, coverage, valid_from, valid_to].

    Sorted by place, pair, valid_from.
    """
    one, other = (membership.filter(pl.col("group_type") == kind).drop("group_type") for kind in (first, second))
    counts = (pl.col("primary") == "1") & (pl.col("primary_2") == "1")
    return (
        one.join(other, on="place", suffix="_2")
        .with_columns(
            pair=pl.concat_str("group", pl.col("group_2").str.replace("^[^0-9]+([0-9]+)$", "$1"), separator=":"),
            primary=pl.when(counts).then(pl.lit("1")).otherwise(pl.lit("0")),
            coverage=pl.when(pl.col("coverage") == pl.col("coverage_2")).then("coverage").otherwise(pl.lit("partial")),
            valid_from=pl.max_horizontal("valid_from", "valid_from_2"),
            valid_to=pl.min_horizontal("valid_to", "valid_to_2"),
        )
        .filter((pl.col("valid_from") < pl.col("valid_to")).fill_null(True))
        .select("place", "group", "group_2", "pair", *_MEMBER)
        .sort("place", "pair", "valid_from", nulls_last=False)
    )


def _check(geography: Geography, where: str) -> None:
    twice = geography.places.filter(pl.col("code").is_duplicated())["code"].unique().sort().to_list()
    if twice:
        raise Finding("a place is listed twice", where=f"{where}/places.csv", found=", ".join(twice))
    codes = set(geography.codes)
    for name, column in (("membership", "place"), ("aliases", "place")):
        lost = sorted(set(getattr(geography, name)[column].to_list()) - codes)
        if lost:
            raise Finding("a place that is not in places.csv", where=f"{where}/{name}.csv", found=", ".join(lost[:10]))
    groups = set(geography.groups.select("type", "code").iter_rows())
    lost_groups = sorted(set(geography.membership.select("group_type", "group").iter_rows()) - groups)
    if lost_groups:
        raise Finding("a group that is not in groups.csv", where=f"{where}/membership.csv", found=lost_groups[:10])
    doubled = (
        geography.membership.filter(pl.col("primary") == "1")
        .group_by("place", "group_type")
        .len()
        .filter(pl.col("len") > 1)
        .sort("place", "group_type")
    )
    # Two memberships of one kind may follow each other in time; overlapping ones would count a place twice.
    for place, group_type, _ in doubled.iter_rows():
        spans = geography.membership.filter(
            (pl.col("primary") == "1") & (pl.col("place") == place) & (pl.col("group_type") == group_type)
        ).sort("valid_from", nulls_last=False)
        ends, starts = spans["valid_to"].to_list()[:-1], spans["valid_from"].to_list()[1:]
        if any(end is None or start is None or end > start for end, start in zip(ends, starts, strict=True)):
            raise Finding(
                "a place has two primary groups of one kind at once",
                where=f"{where}/membership.csv",
                found=f"{place} in {group_type}",
                expected="primary 1 once, 0 for the others",
            )
