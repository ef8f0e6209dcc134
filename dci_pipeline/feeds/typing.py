"""From text to typed rows, strictly: one bad value costs one row, never the file.

A value that is not of its column's type becomes null and leaves its reason in `unparsed`; nothing is corrected, trimmed
or guessed. Rules (ranges, names, keys) are the next stage's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import BinaryIO, TypeVar

import polars as pl

from dci_pipeline import periods
from dci_pipeline.contracts import Column, FeedContract
from dci_pipeline.feeds import reading
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period

DTYPES: Mapping[str, type[pl.DataType]] = {
    "integer": pl.Int64,
    "string": pl.String,
    "date": pl.Date,
    "number": pl.Float64,
    "boolean": pl.Boolean,
}

_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?$"
_CUT = 40
# Rows of which each is dealt with sooner than what repeats among them is found.
_FEW = 5_000
_INT64 = 2**63

Typed = tuple[pl.Series, str]
T = TypeVar("T")


def typed(
    stream: BinaryIO,
    *,
    name: str,
    size: int,
    contract: FeedContract,
    cadence: str,
    file: int,
    period: Period | None = None,
) -> Iterator[pl.DataFrame]:
    """The typed rows of one file in batches: [contract columns in order, file Int32, file_row Int64, unparsed String].

    `name` and `size` (bytes) are those of the file as received; `file` is its place in the delivery. Rows outside the
    contract's row filter are left out, `file_row` counts them all the same. `period` is that of the delivery, for
    columns collected only since some period; a column with role period decides row by row instead.
    Raises Finding when the file as a whole cannot be read; batches given before that are void.
    """
    before = seen = 0
    for batch in reading.batches(stream, name=name, size=size, contract=contract):
        seen += batch.rows.height
        wanted = _filtered(batch.rows, contract)
        if wanted.height:
            before += wanted.height
            yield _typed_batch(reading.Batch(wanted, batch.nul), contract, cadence, file, period)
    if not before:
        raise Finding(
            "no rows",
            where=name,
            found=f"none of {seen:,} records matches the row filter",
            expected=", ".join(f"{key} = {value}" for key, value in contract.row_filter.items()),
            todo="ask the partner, or correct rowFilter in the contract",
        )


def split(frame: pl.DataFrame, contract: FeedContract, cadence: str, *, name: str = "") -> dict[Period, pl.DataFrame]:
    """The rows of a typed frame by the period their period column names, in order of period.

    Raises Finding naming file and row for a row without a period and for text that is none.
    """
    column = contract.role("period")
    if column is None:
        raise Finding("no column with role period", where=contract.where, todo="give the period on landing the file")
    parts: dict[Period, list[pl.DataFrame]] = {}
    for (text,), part in frame.partition_by(column.name, as_dict=True, maintain_order=True).items():
        row = part.row(0, named=True)
        at = f"{name or 'file ' + str(row['file'])} row {row['file_row']} column {column.source}"
        if text is None:
            raise Finding(
                "a row without a period",
                where=at,
                found=row["unparsed"] or "an empty field",
                expected=f"a {cadence}",
                todo="ask the partner to send the file again",
            )
        parts.setdefault(periods.parse(str(text), cadence, where=at), []).append(part)
    return {
        period: pl.concat(parts[period]).sort("file", "file_row")
        for period in sorted(parts, key=lambda item: item.start)
    }


def _filtered(batch: pl.DataFrame, contract: FeedContract) -> pl.DataFrame:
    """Rows whose filter columns have the contract's values; a ragged row cannot be told apart, so it stays."""
    if not contract.row_filter:
        return batch
    # By column: polars reads a name such as * as a pattern.
    matches = [batch[column].cast(pl.String) == value for column, value in contract.row_filter.items()]
    return batch.filter(pl.all_horizontal(matches).fill_null(False) | pl.col(reading.RAGGED).is_not_null())


def _typed_batch(
    read: reading.Batch, contract: FeedContract, cadence: str, file: int, period: Period | None
) -> pl.DataFrame:
    batch = read.rows
    values: list[pl.Series] = []
    reasons: list[pl.Series] = []
    for column in contract.columns:
        raw = _raw(batch, column)
        value, says = _value(raw, column, nul=read.nul)
        if column.collected_since is not None:
            early = _too_early(batch, column, contract, cadence, period)
            raw, value = raw.set(early, None), value.set(early, None)
        # What was empty stays empty, so as many empty values as texts are the same ones.
        if value.null_count() > raw.null_count():
            reasons.append(_reason(raw, value.is_null() & raw.is_not_null(), column, says))
        values.append(value)
    unparsed = batch[reading.RAGGED]
    if reasons:
        # concat_str joins the reasons that are there, in the order of the columns.
        unparsed = pl.select(pl.concat_str([unparsed, *reasons], separator="; ", ignore_nulls=True)).to_series()
        unparsed = unparsed.set(unparsed == "", None)
    rows = pl.DataFrame(values)
    return rows.with_columns(
        pl.lit(file, dtype=pl.Int32).alias("file"),
        batch[reading.FILE_ROW].alias("file_row"),
        unparsed.alias("unparsed"),
    )


def _raw(batch: pl.DataFrame, column: Column) -> pl.Series:
    """A column as it was sent; one joined from parts is empty where any part is."""
    if not column.parts:
        return batch[column.source].alias(column.name)
    texts = [_as_text(batch[name]) for name in column.parts]
    return pl.select(pl.concat_str(texts, separator=column.separator).alias(column.name)).to_series()


def _reason(raw: pl.Series, bad: pl.Series, column: Column, says: str) -> pl.Series:
    text = _as_text(raw)
    shown = pl.when(text.str.len_chars() > _CUT).then(text.str.slice(0, _CUT) + "…").otherwise(text)
    words = pl.concat_str(pl.lit(f"{column.name}: '"), shown, pl.lit(f"' {says}"))
    return pl.select(pl.when(bad).then(words).alias(column.name)).to_series()


def _value(raw: pl.Series, column: Column, *, nul: bool) -> Typed:
    """The typed values, null where the value is not of the type, and what is wrong with those."""
    kind = raw.dtype
    if kind == pl.Null:
        return raw.cast(DTYPES[column.type]), ""
    if column.type == "string":
        return _string(raw, nul=nul)
    if column.type == "date":
        return _date(raw, column)
    if column.type == "boolean":
        return _boolean(raw)
    if column.type == "number":
        return _number(raw)
    if column.multiplier is not None or column.rounds:
        return _scaled(raw, column.multiplier or 1)
    return _integer(raw)


def _string(raw: pl.Series, *, nul: bool) -> Typed:
    if raw.dtype == pl.String:
        return raw.set(raw.str.contains("\0", literal=True), None) if nul else raw, "has a NUL byte"
    if raw.dtype.is_integer() or raw.dtype == pl.Date:
        return raw.cast(pl.String), ""
    return _nothing(raw, pl.String), f"is a {_kind(raw)}, not text"


def _integer(raw: pl.Series) -> Typed:
    says = "is not an integer"
    if raw.dtype == pl.String:
        # The cast takes exactly [+-]?digits within 64 bits; test_typing holds it to that.
        return raw.cast(pl.Int64, strict=False), says
    if raw.dtype.is_integer():
        return raw.cast(pl.Int64, strict=False), "does not fit in 64 bits"
    if raw.dtype.is_float():
        whole = raw.is_finite() & (raw == raw.floor()) & (raw.abs() < float(_INT64))
        return _where(whole, raw).cast(pl.Int64, strict=False), says
    return _nothing(raw, pl.Int64), says


def _scaled(raw: pl.Series, multiplier: int) -> Typed:
    """value × multiplier, rounded half to even, as an integer; text is multiplied exactly, a float as it is."""
    says = f"is not a number that times {multiplier} fits in 64 bits"
    if raw.dtype == pl.String:
        exact = _each(raw, lambda text: _times(text, multiplier))
        return pl.Series(raw.name, exact, dtype=pl.Int64), says
    if raw.dtype.is_integer():
        limit = (_INT64 - 1) // max(abs(multiplier), 1)
        fits = raw.is_between(-limit, limit)
        return _where(fits, raw).cast(pl.Int64) * multiplier, says
    if raw.dtype.is_float():
        product = (raw.cast(pl.Float64) * multiplier).round(0, mode="half_to_even")
        fits = product.is_finite() & (product.abs() < float(_INT64))
        return _where(fits, product).cast(pl.Int64), says
    return _nothing(raw, pl.Int64), says


def _times(text: str, multiplier: int) -> int | None:
    if not re.match(_NUMBER, text):
        return None
    value = Decimal(text)
    if value and value.adjusted() > 20:
        return None
    if value.adjusted() < -60:
        return 0
    scaled = int((value * multiplier).to_integral_value(ROUND_HALF_EVEN))
    return scaled if -_INT64 <= scaled < _INT64 else None


def _number(raw: pl.Series) -> Typed:
    if raw.dtype == pl.String:
        value = _where(raw.str.contains(_NUMBER), raw).cast(pl.Float64, strict=False)
    elif raw.dtype.is_numeric():
        value = raw.cast(pl.Float64)
    else:
        value = _nothing(raw, pl.Float64)
    return _where(value.is_finite(), value), "is not a number"


def _date(raw: pl.Series, column: Column) -> Typed:
    form = column.format or "%Y-%m-%d"
    says = f"is not a date of the form {form}"
    if raw.dtype == pl.Date:
        return raw, says
    if isinstance(raw.dtype, pl.Datetime):
        return raw.dt.date(), says
    if raw.dtype.is_integer():
        raw = raw.cast(pl.String)
    if raw.dtype != pl.String:
        return _nothing(raw, pl.Date), says
    text = pl.DataFrame({"text": raw})
    if text.height < _FEW:
        return text.select(_days(form))["text"].alias(raw.name), says
    # Days repeat: each text is parsed once, and found again by its place among them.
    known = text["text"].drop_nulls().unique()
    days = pl.DataFrame({"text": known}).select(_days(form).alias("day"))["day"]
    return days.gather(raw.cast(pl.Enum(known)).to_physical()).alias(raw.name), says


def _days(form: str) -> pl.Expr:
    """Of texts the days; the way back must give the same text, as the parser takes 2019-1-5 or +2019."""
    text = pl.col("text")
    day = text.str.to_date(form, strict=False)
    return pl.when(day.dt.year().is_between(1, 9999) & (day.dt.to_string(form) == text)).then(day)


def _boolean(raw: pl.Series) -> Typed:
    says = "is not true or false"
    if raw.dtype == pl.Boolean:
        return raw, says
    if raw.dtype != pl.String and not raw.dtype.is_integer():
        return _nothing(raw, pl.Boolean), says
    text = raw.cast(pl.String).str.to_lowercase()
    return pl.select(
        pl.when(text.is_in(["true", "1"])).then(True).when(text.is_in(["false", "0"])).then(False).alias(raw.name)
    ).to_series(), says


def _too_early(
    batch: pl.DataFrame, column: Column, contract: FeedContract, cadence: str, period: Period | None
) -> pl.Series:
    """Rows of periods in which the column was not collected yet. A period that cannot be read is left to `split`."""
    since = periods.parse(column.collected_since or "", cadence, where=f"{contract.where} {column.name}")
    by_row = contract.role("period")
    if by_row is None:
        return pl.repeat(period is not None and period.start < since.start, batch.height, dtype=pl.Boolean, eager=True)
    texts = _as_text(batch[by_row.source])

    def early(text: str) -> bool:
        try:
            return periods.parse(text, cadence).start < since.start
        except Finding:
            return False

    return pl.Series([bool(flag) for flag in _each(texts, early)], dtype=pl.Boolean)


def _each(texts: pl.Series, function: Callable[[str], T]) -> list[T | None]:
    """`function` of every text, called once for each distinct one; null stays null."""
    known: dict[str | None, T | None] = {None: None}
    found: list[T | None] = []
    for text in texts.to_list():
        if text not in known:
            known[text] = function(text)
        found.append(known[text])
    return found


def _where(holds: pl.Series, values: pl.Series) -> pl.Series:
    return pl.select(pl.when(holds).then(values).alias(values.name)).to_series()


def _nothing(raw: pl.Series, dtype: type[pl.DataType]) -> pl.Series:
    return pl.Series(raw.name, [None], dtype=dtype).new_from_index(0, len(raw))


def _as_text(raw: pl.Series) -> pl.Series:
    return raw if raw.dtype == pl.String else raw.cast(pl.String)


def _kind(raw: pl.Series) -> str:
    return "number" if raw.dtype.is_numeric() else "truth value" if raw.dtype == pl.Boolean else "time"
