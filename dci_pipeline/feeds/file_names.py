"""What a partner's files are called: the contract's `fileName`, and which delivery a name that has arrived belongs to.

A pattern is text with placeholders and optional pieces in brackets, such as

    sales_{partner}_{period}[_{part}of{parts}].{form}

{feed}, {partner}: as the contract spells them. {period}: of the index's cadence, 2019-04 or 201904, 2019Q1 or 2019-Q1.
{part}, {parts}: number of a part file and how many there are. {stamp}: 8 to 14 digits that mean nothing here, such as
a time of sending. {form}: csv, csv.gz or parquet. A pattern stands for the whole name. Upper or lower case is all one,
and so is how an accent is put together. There are no other wildcards: a name belongs to one delivery or to none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from itertools import combinations, pairwise, product

from dci_pipeline import periods
from dci_pipeline.contracts import FeedContract
from dci_pipeline.feeds.spellings import FORMS, Choice, Letters, Named, common, expression, maybe, number, text
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period

USUAL = "{feed}_{partner}_{period}[_{part}of{parts}].{form}"
CHECKSUM = ".sha256"
# Names under which programs write while they upload, and rename from when they are done.
TEMPORARY = (".part", ".partial", ".tmp", ".filepart")

_SLOTS = ("feed", "partner", "period", "part", "parts", "stamp", "form")
_NUMBERS = ("period", "part", "parts", "stamp")
_PLAIN = frozenset(" _-.+()")
_TOKEN = re.compile(r"\{([^{}\[\]]*)\}|([\[\]{}])|([^\[\]{}]+)")
_MANY = 4

Token = tuple[str, str]  # ("slot", name) or ("text", characters)


@dataclass(frozen=True)
class Place:
    """The delivery a file belongs to; without `period` its rows say which; `part` of `parts` when it was split."""

    feed: str
    partner: str
    period: Period | None
    part: int | None = None
    parts: int | None = None


def check_pattern(pattern: str, *, periods_inside: bool, where: str) -> None:
    """Raise Finding unless a contract may have this pattern; `periods_inside`: rows name their period themselves."""
    for tokens in _spelled_out(pattern, where):
        slots = [value for kind, value in tokens if kind == "slot"]
        whole = "".join(value if kind == "text" else "0" for kind, value in tokens)
        wrong = ""
        if len(set(slots)) < len(slots):
            wrong = "a placeholder twice"
        elif "period" not in slots and not periods_inside:
            wrong = "names without {period}, and the feed has no column with the period"
        elif ("part" in slots) != ("parts" in slots):
            wrong = "{part} without {parts}: nobody could tell when all have arrived"
        elif any(_blurred(*pair) for pair in pairwise(tokens)):
            wrong = "a placeholder beside another, or a number beside a digit"
        elif whole.startswith(".") or whole.lower().endswith((*TEMPORARY, CHECKSUM)):
            wrong = "a name that hidden files, unfinished uploads or checksums have"
        elif not whole.strip() or whole != whole.strip():
            wrong = "nothing, or a blank at an end"
        if wrong:
            raise Finding(
                f"a pattern of file names that cannot be used: {wrong}",
                where=where,
                found=pattern,
                expected=f"one such as {USUAL}",
                todo="correct fileName",
            )


def name_of(contract: FeedContract, partner: str, period: Period, form: str) -> str:
    """The plainest name the contract allows for an unsplit file of this form. Raises Finding when it allows none."""
    pattern = contract.file_names[partner]
    given = {"feed": contract.feed, "partner": partner, "period": period.key, "form": form}
    for tokens in _spelled_out(pattern, contract.where):
        if all(kind == "text" or value in given for kind, value in tokens):
            name = "".join(value if kind == "text" else given[value] for kind, value in tokens)
            if name.lower().endswith(f".{form}"):
                return name
    raise Finding(
        f"the contract has no name for a {form} file",
        where=contract.where,
        found=pattern,
        expected="one of " + ", ".join(FORMS),
        todo="choose another form, or correct fileName",
    )


def guessed(file: str, partners: Sequence[str], *, periods_inside: bool) -> tuple[str, str]:
    """A pattern that fits a file's name, and why; the usual one when the name does not tell partner and period."""
    form = next((form for form in reversed(FORMS) if file.lower().endswith(f".{form}")), None)
    if form is None:
        return USUAL, "the usual pattern; the sample's name does not tell its form"
    stem = file[: -len(form) - 1]
    for partner in sorted(partners, key=len, reverse=True):
        stem, found = re.subn(re.escape(partner), "{partner}", stem, count=1, flags=re.IGNORECASE)
        if found:
            break
    stem = re.sub(r"(?<!\d)\d{4}-?(?:\d{2}|[Qq][1-4])(?!\d)", "{period}", stem, count=1)
    pattern = f"{stem}.{{form}}"
    try:
        check_pattern(pattern, periods_inside=periods_inside, where=file)
    except Finding:
        return USUAL, "the usual pattern; the sample's name does not tell the period"
    if "{partner}" not in pattern and len(partners) > 1:
        return USUAL, "the usual pattern; the sample's name does not tell the partner"
    return pattern, "from the sample's name"


@dataclass(frozen=True)
class _Known:
    """The names of one partner's files for one feed."""

    contract: FeedContract
    partner: str
    cadence: str

    @cached_property
    def spelling(self) -> Letters:
        return [
            Choice(tuple([item for token in tokens for item in _slot(token, self)] for tokens in choice))
            for choice in _choices(self.contract.file_names[self.partner], self.contract.where)
        ]

    @cached_property
    def regex(self) -> re.Pattern[str]:
        return re.compile(expression(self.spelling))

    def __str__(self) -> str:
        return f"{self.contract.feed} of {self.partner}: {self.contract.file_names[self.partner]}"


class Names:
    """Every name the contracts of an index know."""

    def __init__(self, feeds: Mapping[str, FeedContract], cadence: str):
        self.cadence = cadence
        self._known = [
            _Known(contract, partner, cadence) for contract in feeds.values() for partner in contract.partners
        ]

    def check(self, where: str) -> None:
        """Raise Finding with an example when a name could belong to two deliveries of different feeds or partners."""
        for one, other in combinations(self._known, 2):
            both = common(one.spelling, other.spelling)
            if both is not None:
                raise Finding(
                    "a file name that would belong to two partners or feeds",
                    where=f"{where} fileName",
                    found=f"{both} is of {one} and of {other}",
                    expected="patterns that share no name",
                    todo="change one of the two",
                )

    def place(self, name: str) -> Place:
        """The delivery a file belongs to. Raises Finding that says what is known, and which name was likely meant."""
        folded = _folded(name)
        for known in self._known:
            match = known.regex.fullmatch(folded)
            if match is not None:
                return self._place(name, known, match.groupdict())
        raise Finding(
            "a file name no contract knows",
            where=shown(name),
            found=shown(name),
            expected="; ".join(dict.fromkeys(f"{item.contract.feed}: {self._pattern(item)}" for item in self._known)),
            todo=self._advice(folded),
        )

    def _place(self, name: str, known: _Known, found: Mapping[str, str | None]) -> Place:
        period = None
        if found.get("period"):
            period = _period(str(found["period"]), self.cadence, shown(name))
        part, parts = (int(found[key] or 0) if found.get(key) else None for key in ("part", "parts"))
        if part is not None and parts is not None and not 1 <= part <= parts:
            raise Finding(
                "a part file with an impossible number",
                where=shown(name),
                found=f"part {part} of {parts}",
                expected=f"1 to {parts}" if parts else "at least one part",
                todo="rename it and send it again",
            )
        return Place(known.contract.feed, known.partner, period, part, parts)

    def _pattern(self, known: _Known) -> str:
        own = known.contract.file_names[known.partner]
        return own.replace("{feed}", known.contract.feed)

    def _advice(self, folded: str) -> str:
        """What to do with a name nobody knows: the nearest known one, if any is near."""
        period = next(iter(_periods_in(folded, self.cadence)), None)
        near: dict[str, str] = {}
        for known in self._known:
            for form in FORMS:
                try:
                    name = name_of(known.contract, known.partner, period or _example(self.cadence), form)
                except Finding:  # no such form, or a pattern that always has a stamp
                    continue
                near[_folded(name)] = name
        nearest = get_close_matches(folded, list(near), n=1, cutoff=0.6)
        if not nearest:
            return "rename it as a contract says and put it back, or add the name to the feed's contract (fileName)"
        return f"the nearest name is {near[nearest[0]]}: if that is what the file holds, rename it and put it back"


def shown(name: str) -> str:
    """A file's name as one line a person can read: whatever could steer a terminal or is no text is spelled out."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape", "replace").decode() for char in name)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _slot(token: Token, known: _Known) -> Letters:
    """The spellings of one token; what has to be read back has a name."""
    kind, value = token
    if kind == "text":
        return text(_folded(value))
    if value in ("feed", "partner"):
        return text(_folded(known.contract.feed if value == "feed" else known.partner))
    if value == "form":
        return [Choice(tuple(map(text, FORMS)))]
    if value == "stamp":
        return number(8, 14)
    if value in ("part", "parts"):
        return [Named(value, number(1, 4))]
    tail = number(2, 2) if known.cadence == "month" else [*text("q"), *number(1, 1)]
    return [Named("period", [*number(4, 4), maybe(text("-")), *tail])]


def _choices(pattern: str, where: str) -> list[list[list[Token]]]:
    """The pattern as a sequence of choices: one for a piece that must be there, two for one that may be left out."""
    found: list[list[list[Token]]] = []
    inside: list[Token] | None = None
    for match in _TOKEN.finditer(pattern):
        slot, mark, plain = match.groups()
        if mark == "[" and inside is None:
            inside = []
        elif mark == "]" and inside:
            found.append([inside, []])
            inside = None
        elif slot in _SLOTS or (plain and all(char.isalnum() or char in _PLAIN for char in plain)):
            token = ("slot", slot) if slot is not None else ("text", plain)
            if inside is None:
                found.append([[token]])
            else:
                inside.append(token)
        else:
            raise _unreadable(pattern, where, match.group())
    optional = sum(len(choice) > 1 for choice in found)
    if inside is not None or optional > _MANY or not pattern:
        raise _unreadable(pattern, where, "[ without ]" if inside is not None else pattern)
    return found


def _unreadable(pattern: str, where: str, what: str) -> Finding:
    return Finding(
        "a pattern of file names that cannot be read",
        where=where,
        found=f"{what} in {pattern}" if what != pattern else repr(pattern),
        expected="letters, digits, blank and _-.+(), placeholders "
        + ", ".join(f"{{{slot}}}" for slot in _SLOTS)
        + f", up to {_MANY} optional pieces in brackets, not within each other",
        todo="correct fileName",
    )


def _spelled_out(pattern: str, where: str) -> Iterator[list[Token]]:
    """The pattern with every choice of optional pieces made, the fewest pieces first."""
    made = product(*[list(reversed(choice)) for choice in _choices(pattern, where)])
    for pieces in sorted(made, key=lambda choice: sum(map(len, choice))):
        tokens: list[Token] = []
        for token in (token for piece in pieces for token in piece):
            if tokens and tokens[-1][0] == token[0] == "text":
                tokens[-1] = ("text", tokens[-1][1] + token[1])
            else:
                tokens.append(token)
        yield tokens


def _blurred(one: Token, other: Token) -> bool:
    """Whether nobody could say where the one ends and the other begins."""
    if one[0] == other[0] == "slot":
        return True
    if one[0] == "slot":
        return one[1] in _NUMBERS and other[1][0].isdigit()
    return other[0] == "slot" and other[1] in _NUMBERS and one[1][-1].isdigit()


def _period(spelled: str, cadence: str, where: str) -> Period:
    plain = spelled.replace("-", "").upper()
    return periods.parse(f"{plain[:4]}-{plain[4:]}" if cadence == "month" else plain, cadence, where=where)


def _periods_in(folded: str, cadence: str) -> Iterator[Period]:
    form = r"[0-9]{4}-?[0-9]{2}" if cadence == "month" else r"[0-9]{4}-?q[0-9]"
    for match in re.finditer(form, folded):
        try:
            yield _period(match.group(), cadence, "")
        except Finding:
            continue


def _example(cadence: str) -> Period:
    return periods.parse("2019-04", cadence)
