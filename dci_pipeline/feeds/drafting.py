"""A first draft of a feed's contract, guessed from the head of a file: a start for the person who writes the contract.

Every guess carries a comment that says so. The draft is valid as it stands, but a threshold, a maximum or a role that
nobody has thought about is not a promise the partner has made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from dci_pipeline.feeds import file_names
from dci_pipeline.findings import Finding

_RESERVED = {"file", "file_row", "unparsed"}
_DATES = {
    "yyyy-MM-dd": "%Y-%m-%d",
    "yyyyMMdd": "%Y%m%d",
    "yyyy/MM/dd": "%Y/%m/%d",
    "dd.MM.yyyy": "%d.%m.%Y",
    "dd/MM/yyyy": "%d/%m/%Y",
}
_PERIOD = r"^\d{4}-?(?:Q[1-4]|H[12])$|^\d{4}-\d{2}$"
_PARTNER_NAMES = re.compile(r"partner|provider|supplier|伙伴|来源", re.IGNORECASE)
_ID_NAMES = re.compile(r"(?:^|_)(?:id|no|nr|key|uuid)$|编号|流水号|record", re.IGNORECASE)
_FEW = 60
_EARLIEST, _LATEST = date(1990, 1, 1), date(2100, 1, 1)


@dataclass(frozen=True)
class _Guess:
    """What one column seems to be; role '' means known but not kept."""

    source: str
    name: str
    type: str
    role: str
    why: str
    required: bool
    format: str = ""
    values: tuple[str, ...] = ()
    maximum: int = 0
    multiplied: bool = False


def draft(
    frame: pl.DataFrame,
    *,
    index: str,
    feed: str,
    file: str,
    encoding: str = "utf-8",
    delimiter: str = ",",
    aliases: Collection[str] = (),
    valid_from: str | None = None,
) -> str:
    """The YAML text of a contract for files like `frame` (as `sampling.sample` gives it), guesses marked `# guess:`.

    `aliases` are names of places, if there are any to tell the place column by; `valid_from` is the first period the
    contract applies to, if somebody said it. Raises Finding when no column can be the place or none has numbers to
    measure.
    """
    guesses = _roles(frame, [_typed(frame[source], source) for source in frame.columns], frozenset(aliases))
    if not any(guess.role == "measure" for guess in guesses):
        raise Finding(
            "no column with numbers that are not negative: a feed needs a measure",
            where=file,
            found=", ".join(frame.columns),
        )
    lines = _lines(frame, _named(guesses), index=index, feed=feed, file=file, encoding=encoding, delimiter=delimiter)
    if valid_from is not None:
        at = next(number for number, line in enumerate(lines) if "property: validFrom" in line)
        lines[at] = f"  - {{property: validFrom, value: {_text(valid_from)}}}"
    return "\n".join(lines) + "\n"


def _typed(values: pl.Series, source: str) -> _Guess:
    """The type of a column and what follows from it alone."""
    guess = _Guess(source, source, "string", "dimension", "text", values.null_count() == 0)
    given = values.drop_nulls()
    if values.dtype.is_nested() or values.dtype == pl.Binary or given.is_empty():
        return replace(guess, role="", why="no plain values" if len(given) else "empty in the sample")
    if isinstance(values.dtype, pl.Datetime | pl.Date):
        return replace(guess, type="date", role="date", format="yyyy-MM-dd", why="dates")
    if values.dtype == pl.Boolean:
        return replace(guess, type="boolean", why="true or false")
    if values.dtype.is_numeric():
        return _number(given, guess)
    text = given.cast(pl.String)
    for form, strptime in _DATES.items():
        days = text.str.to_date(strptime, strict=False)
        if days.null_count() == 0 and days.is_between(_EARLIEST, _LATEST).all():
            return replace(guess, type="date", role="date", format=form, why=f"every value is a date {form}")
    if text.str.contains(_PERIOD).all():
        return replace(guess, role="period", why="every value names a period")
    if text.str.contains(r"^[+-]?\d+$").all() and not text.str.contains(r"^0\d").any():
        whole = text.cast(pl.Int64, strict=False)
        return guess if whole.null_count() else _number(whole, guess)
    if text.str.contains(r"^[+-]?\d+\.\d*$|^[+-]?\d+$").all() and not text.str.contains(r"^0\d").any():
        return _number(text.cast(pl.Float64), guess)
    return guess


def _number(given: pl.Series, guess: _Guess) -> _Guess:
    top = given.max()
    low = given.min()
    if not isinstance(top, int | float) or not isinstance(low, int | float) or not low >= 0 or top == float("inf"):
        return replace(guess, role="", why="numbers that are negative or no numbers cannot be a measure")
    if given.dtype.is_integer():
        return replace(
            guess, type="integer", role="measure", maximum=_round_above(int(top)), why="whole numbers, none negative"
        )
    return replace(
        guess,
        type="integer",
        role="measure",
        multiplied=True,
        maximum=_round_above(int(top * 100)),
        why="numbers with decimal places, kept in hundredths",
    )


def _round_above(top: int) -> int:
    """A power of ten with room above the largest value seen; the sum of many still has to fit 64 bits."""
    return min(10 ** (len(str(top)) + 1), 10**18)


def _roles(frame: pl.DataFrame, guesses: list[_Guess], aliases: frozenset[str]) -> list[_Guess]:
    """Roles that one column only can play, given to the column that fits best; small text columns become dimensions."""
    place = _place(frame, guesses, aliases)
    texts = [
        guess for guess in guesses if guess.source != place and guess.role == "dimension" and guess.type == "string"
    ]
    partner = next((guess.source for guess in texts if _PARTNER_NAMES.search(guess.source)), None)
    counted = [
        guess
        for guess in guesses
        if guess.source != place
        and guess.role in ("dimension", "measure")
        and guess.required
        and _ID_NAMES.search(guess.source)
    ]
    number = next((guess.source for guess in counted if frame[guess.source].is_unique().all()), None)
    taken: set[str] = set()
    found: list[_Guess] = []
    for guess in guesses:
        if guess.source == place:
            why = "most values are known names" if aliases else "text with many values"
            changed = replace(guess, type="string", role="place", required=True, format="", why=why)
        elif guess.source == partner:
            changed = replace(guess, role="partner", why="by its name", required=True)
        elif guess.source == number:
            changed = replace(guess, type="string", role="record_id", why="a different value in every record")
        elif guess.role in ("date", "period") and guess.role in taken:
            changed = replace(guess, role="", why=f"a second {guess.role}")
        elif guess.role == "dimension" and guess.type == "string":
            values = tuple(sorted(frame[guess.source].drop_nulls().cast(pl.String).unique().to_list()))
            few = len(values) <= _FEW
            changed = replace(guess, values=values if few else (), why=f"{len(values)} different values in the sample")
        else:
            changed = guess
        taken.add(changed.role)
        found.append(changed)
    return found


def _place(frame: pl.DataFrame, guesses: list[_Guess], aliases: frozenset[str]) -> str:
    usable = [
        guess
        for guess in guesses
        if guess.role in ("dimension", "measure") and not guess.multiplied and guess.type != "boolean"
    ]
    known: dict[str, float] = {}
    for guess in usable:
        values = frame[guess.source].drop_nulls().cast(pl.String)
        known[guess.source] = values.is_in(list(aliases)).cast(pl.Int64).to_numpy().mean() if len(values) else 0.0
    best = max(known, key=lambda source: known[source], default="")
    if best and known[best] >= 0.5:
        return best
    tests: list[Callable[[_Guess], bool]] = [
        lambda guess: (
            guess.type == "string" and not _ID_NAMES.search(guess.source) and not _PARTNER_NAMES.search(guess.source)
        ),
        lambda guess: guess.type == "string",
    ]
    for test in tests:
        fits = [guess.source for guess in usable if test(guess)]
        if fits:
            return max(fits, key=lambda source: frame[source].n_unique())
    raise Finding(
        "no column that could name places",
        where="draft",
        found=", ".join(frame.columns),
        expected="a text column with codes or names of places",
    )


def _named(guesses: list[_Guess]) -> list[_Guess]:
    """Names fit for columns of a table, each once."""
    taken: set[str] = set(_RESERVED)
    named: list[_Guess] = []
    for at, guess in enumerate(guesses, start=1):
        name = re.sub(r"\W+", "_", guess.source.strip().lower()).strip("_") or f"column_{at}"
        while name in taken:
            name = f"{name}_{at}"
        taken.add(name)
        named.append(replace(guess, name=name))
    return named


def _lines(
    frame: pl.DataFrame, guesses: list[_Guess], *, index: str, feed: str, file: str, encoding: str, delimiter: str
) -> list[str]:
    kept = [guess for guess in guesses if guess.role]
    key, unique = _key(frame, kept)
    partner = next((guess for guess in kept if guess.role == "partner"), None)
    partners = sorted(frame[partner.source].drop_nulls().cast(pl.String).unique().to_list()) if partner else []
    ignored = [guess for guess in guesses if not guess.role]
    inside = any(guess.role == "period" for guess in kept)
    name, why = file_names.guessed(file, partners[:_FEW] or ["partner_a"], periods_inside=inside)
    lines = [
        f"# Drafted from {_plain(file)}. Check every line marked `guess:` with the partner before relying on it.",
        "apiVersion: v3.1.0",
        "kind: DataContract",
        f"id: {_text(f'{index}.feeds.{feed}')}",
        f"name: {_text(feed)}",
        "version: 0.1.0",
        "status: draft",
        'description: {purpose: "", usage: "", limitations: ""}  # guess: say what the figures mean and leave out',
        "customProperties:",
        '  - {property: validFrom, value: "2000-01"}  # guess: the first period this contract applies to',
        "  - property: partners",
        "    value:",
        *(
            f'      - {{partner: {_text(name)}, name_zh: "", name_en: ""}}  # guess: '
            + ("a value of the partner column" if partner else "no column says who sends the file")
            for name in (partners[:_FEW] or ["partner_a"])
        ),
        "  - property: file",
        f"    value: {{encoding: {_text(encoding)}, delimiter: {_text(delimiter)}, maxBytes: 2000000000}}"
        "  # guess: encoding and delimiter from the sample, maxBytes generous",
        f"  - {{property: fileName, value: {_text(name)}}}  # guess: {why}",
        "  - {property: expectedDay, value: 10}  # guess: day after the period's end by which the file should be here",
        "  - {property: absentRow, value: missing}  # guess: a place without a row is missing, not zero",
        *(
            [
                f"  - {{property: ignoredColumns, value: [{', '.join(_text(guess.source) for guess in ignored)}]}}"
                "  # guess: " + _plain("; ".join(f"{guess.source}: {guess.why}" for guess in ignored))
            ]
            if ignored
            else []
        ),
        "  - property: thresholds",
        "    value:",
        "      every_rule: {at_most: 1, severity: error}  # guess: per cent of a delivery's rows",
        "      coverage: {at_least: 97, severity: error}  # guess: per cent of the expected places",
        "      completeness: {at_least: 100, severity: error}  # guess: per cent of the expected partners",
        "schema:",
        f"  - name: {_text(feed)}",
        "    logicalType: object",
        "    quality:",
        "      - {name: key.unique, type: library, metric: duplicateValues, mustBeLessOrEqualTo: 0.5, unit: percent, "
        "severity: error}  # guess: per cent of a delivery's rows",
        "    properties:",
    ]
    for guess in kept:
        lines += _property(guess, key.index(guess.name) + 1 if guess.name in key else 0, unique)
    return lines


def _key(frame: pl.DataFrame, kept: list[_Guess]) -> tuple[list[str], bool]:
    """Names of the key's columns, and whether they tell the sample's records apart."""
    number = [guess for guess in kept if guess.role == "record_id"]
    parts = number or [guess for guess in kept if guess.role in ("place", "dimension")]
    dated = [guess for guess in kept if guess.role in ("period", "date")]
    # By column and not by name: polars reads a name such as * as a pattern.
    unique = frame.select(frame[guess.source] for guess in [*parts, *dated]).is_unique().all()
    return [guess.name for guess in parts], bool(unique)


def _property(guess: _Guess, key: int, unique: bool) -> list[str]:
    lines = [f"      - name: {_text(guess.name)}", f"        logicalType: {guess.type}  # guess: {_plain(guess.why)}"]
    if guess.format:
        lines.append(f"        logicalTypeOptions: {{format: {_text(guess.format)}}}")
    if guess.role == "measure":
        lines.append(
            f"        logicalTypeOptions: {{minimum: 0, maximum: {guess.maximum}}}"
            "  # guess: a round number above the largest value of the sample"
        )
    lines.append(
        f"        required: {str(guess.required).lower()}"
        + ("  # guess: never empty in the sample" if guess.required else "  # guess: empty in places")
    )
    if key:
        told = "tells the sample's records apart" if unique else "does not tell all the sample's records apart"
        lines += [f"        primaryKey: true  # guess: the key {told}", f"        primaryKeyPosition: {key}"]
    if guess.values:
        lines += [
            "        quality:",
            f"          - name: {_text(guess.name + '.one_of')}",
            "            type: library",
            "            metric: invalidValues",
            f"            arguments: {{validValues: [{', '.join(map(_text, guess.values))}]}}"
            "  # guess: the values of the sample",
            "            mustBeLessOrEqualTo: 1.0",
            "            unit: percent",
            "            severity: error",
        ]
    custom = [("role", guess.role)]
    if guess.source != guess.name:
        custom.append(("source", guess.source))
    if guess.role == "measure":
        custom.append(("unit", ""))
    lines.append("        customProperties:")
    lines += [
        f"          - {{property: {name}, value: {_text(value)}}}  # guess: {said}"
        for name, value, said in (
            (
                name,
                value,
                {"role": _plain(guess.why), "source": "the name in the partner's file", "unit": "say what is counted"}[
                    name
                ],
            )
            for name, value in custom
        )
    ]
    if guess.multiplied:
        lines += [
            "          - {property: multiplier, value: 100}  # guess: hundredths, such as fen of a yuan",
            "          - {property: round, value: half_even}",
        ]
    return lines


def _text(value: str) -> str:
    """A string no YAML reader takes for anything else; letters kept where they can be printed."""
    letters = [
        f"\\{letter}" if letter in '"\\' else letter if letter.isprintable() else f"\\U{ord(letter):08X}"
        for letter in value
    ]
    return '"' + "".join(letters) + '"'


def _plain(value: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in value).split())
