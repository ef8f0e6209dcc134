"""What an index file says about its published tables: breakdowns, key indicators, divide, app categories, rankings.

One entry at a time; whether the names in it exist is `framework_checks`'s to say.
"""

from __future__ import annotations

from dci_pipeline.data_files import list_of, need, number_of, only, whole_of
from dci_pipeline.findings import Finding
from dci_pipeline.framework import AppCategories, Breakdown, Divide, Member, RevisionWindow, Tracked
from dci_pipeline.framework_checks import NATION

DIVIDES = ("range_over_mean", "mean_over_min", "p50_p10", "p75_p25", "p80_p20")

_BREAKDOWN = {"dimension", "node", "name_zh", "name_en", "column", "members", "assumption", "reason"}
_MEMBER = {"member", "name_zh", "name_en", "of"}
_TRACKED = {"tracked", "node", "name_zh", "name_en", "form", "unit", "divisor", "per", "per_day"}
_DIVIDE = {"measure", "theil_groups", "assumption", "reason"}
_APP_CATEGORIES = {"dimension", "users", "seconds"}
_RANKING = {"scopes"}
_WINDOW = {"months", "assumption", "reason"}


def read_breakdown(item: object, where: str) -> Breakdown:
    """One entry of `breakdowns`. Raises Finding for a member that comes twice."""
    raw = only(item, _BREAKDOWN, where=f"{where} breakdowns")
    at = f"{where} breakdown {raw.get('dimension')!r} of {raw.get('node')!r}"
    members: list[Member] = []
    for item_of in list_of(raw, "members", at):
        entry = only(item_of, _MEMBER, where=f"{at} members")
        own = str(need(entry, "member", f"{at} members"))
        of = tuple(str(value) for value in entry.get("of") or (own,))
        name = str(entry.get("name_zh") or own)
        members.append(Member(own, name, str(entry.get("name_en") or name), of))
    gathered = [value for member in members for value in member.of]
    names = [member.member for member in members]
    twice = sorted({name for listed in (gathered, names) for name in listed if listed.count(name) > 1})
    if twice or not members:
        raise Finding(
            "a breakdown needs members, each once",
            where=at,
            found=", ".join(twice) or "none",
            expected="every value in one member",
        )
    return Breakdown(
        dimension=str(need(raw, "dimension", at)),
        node=str(need(raw, "node", at)),
        name_zh=str(raw.get("name_zh", "")),
        name_en=str(raw.get("name_en", "")),
        column=str(raw["column"]) if raw.get("column") else None,
        members=tuple(members),
        assumption=bool(raw.get("assumption", False)),
        reason=str(raw.get("reason") or ""),
    )


def read_tracked(item: object, where: str) -> Tracked:
    """One entry of `tracker`. Raises Finding for an unknown form and a divisor that is not above 0."""
    raw = only(item, _TRACKED, where=f"{where} tracker")
    at = f"{where} tracker {raw.get('tracked')!r}"
    form = str(need(raw, "form", at))
    if form not in ("index", "absolute", "ratio") or (form == "ratio") != bool(raw.get("per")):
        raise Finding(
            "unknown form of a key indicator",
            where=at,
            found=f"form {form}, per {raw.get('per')}",
            expected="index, absolute, or ratio with per",
        )
    divisor = float(number_of(raw, "divisor", at, default=1.0))
    if not divisor > 0:
        raise Finding("a divisor is above 0", where=at, found=divisor, expected="what one unit holds, such as 3600")
    return Tracked(
        tracked=str(need(raw, "tracked", at)),
        node=str(need(raw, "node", at)),
        name_zh=str(raw.get("name_zh", "")),
        name_en=str(raw.get("name_en", "")),
        form=form,
        unit=str(raw.get("unit", "")),
        divisor=divisor,
        per=str(raw["per"]) if raw.get("per") else None,
        per_day=bool(raw.get("per_day", False)),
    )


def read_divide(item: object, where: str) -> Divide:
    """The entry `divide`. Raises Finding for an unknown measure."""
    raw = only(item, _DIVIDE, where=f"{where} divide")
    measure = str(raw.get("measure", DIVIDES[0]))
    if measure not in DIVIDES:
        raise Finding(
            "unknown measure of the divide",
            where=f"{where} divide",
            found=measure,
            expected="one of " + ", ".join(DIVIDES),
        )
    groups = str(raw["theil_groups"]) if raw.get("theil_groups") else None
    return Divide(measure, groups, bool(raw.get("assumption", False)), str(raw.get("reason") or ""))


def read_app_categories(item: object, where: str) -> AppCategories | None:
    """The entry `app_categories`, None where there is none."""
    if item is None:
        return None
    raw = only(item, _APP_CATEGORIES, where=f"{where} app_categories")
    at = f"{where} app_categories"
    return AppCategories(*(str(need(raw, key, at)) for key in ("dimension", "users", "seconds")))


def read_scopes(item: object, where: str) -> tuple[str, ...]:
    """The scopes of `ranking`: the nation alone when it names none."""
    raw = only(item, _RANKING, where=f"{where} ranking")
    return tuple(str(scope) for scope in raw.get("scopes") or (NATION,))


def read_revision_window(item: object, where: str) -> RevisionWindow:
    """The entry `revision_window`; without one what is published is final. Raises Finding for months below 0."""
    if item is None:
        return RevisionWindow(0)
    raw = only(item, _WINDOW, where=f"{where} revision_window")
    at = f"{where} revision_window"
    months = whole_of(raw, "months", at)
    if months < 0:
        raise Finding("a window that ends before the period does", where=at, found=months, expected="0 months or more")
    if raw.get("assumption") and not raw.get("reason"):
        raise Finding("an assumption needs its reason", where=at, todo="add reason:")
    return RevisionWindow(months, bool(raw.get("assumption", False)), str(raw.get("reason") or ""))
