"""Tables of an exhibit's rows, laid out by Great Tables: headings with scope, numbers aligned, changes of rank marked.

Great Tables gives every table a style sheet of ten kilobytes; the page has one for all, so it is taken off here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

import polars as pl

from dci_pipeline.report.exhibits.block import Block, Request
from dci_pipeline.report.numbers import form_of

_STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)
_TABLE = re.compile(r"<table.*</table>", re.DOTALL)
_BETWEEN = re.compile(r">\s+<")
# What Great Tables says to a program that the page is never put into.
_QUARTO = ' data-quarto-disable-processing="false" data-quarto-bootstrap="false"'
# One row of headings and one of names: their scope says which cell belongs to which.
_ADDRESSES = re.compile(r' (?:id|headers)="[^"]*"| (?:row|col)span="1"')


def table(request: Request) -> Block:
    """The rows as they are, one column per measure; `option` bars: columns with a bar behind the number."""
    return Block(laid(request, request.option("columns") or request.measures), tabled=True)


def laid(request: Request, columns: Sequence[str], *, limit: int = 0) -> str:
    """A table of the entity and some columns; `limit`: only so many rows, with a line that says so."""
    frame = request.frame.head(limit) if limit else request.frame
    names = [name for name in ("row", "period") if name in frame.columns] + ["entity"]
    if frame["entity"].n_unique() == 1 and len(names) > 1:
        names.remove("entity")
    heads = {"row": request.says("范围", "scope"), "period": request.says("时期", "period")}
    heads["entity"] = str(request.says(*request.option("entity", ("名称", "name"))))
    made = pl.DataFrame(
        {name: [str(value) for value in frame[name]] for name in names}
        | {column: _cells(request, frame, column) for column in columns}
    )
    text = _html(request, made, names, heads, columns)
    if limit and request.frame.height > limit:
        rest = request.says(
            f"前{limit}行，共{request.frame.height}行；查询给出全部。",
            f"The first {limit} of {request.frame.height} rows; the query gives them all.",
        )
        text += f'<p class="rest">{rest}</p>'
    return (
        f'<div class="scroll" role="group" tabindex="0" aria-label="{escape(request.label, quote=True)}">{text}</div>'
    )


def _html(
    request: Request, made: pl.DataFrame, names: Sequence[str], heads: dict[str, str], columns: Sequence[str]
) -> str:
    from great_tables import GT

    stub = names[-1]
    laid_out: Any = GT(made, rowname_col=stub, id=request.name)
    laid_out = laid_out.tab_stubhead(heads[stub])
    labels = {name: heads[name] for name in names[:-1]} | {column: request.head(column) for column in columns}
    laid_out = laid_out.cols_label(**labels).cols_align("right", columns=list(columns))
    laid_out = laid_out.fmt(str, columns=list(columns))  # the cells are HTML already
    raw = _STYLE.sub("", laid_out.as_raw_html())
    found = _TABLE.search(raw)
    assert found is not None
    return _BETWEEN.sub("><", _ADDRESSES.sub("", found[0].replace(_QUARTO, "")))


def _cells(request: Request, frame: pl.DataFrame, column: str) -> list[str]:
    """The values of a column as HTML: with its mark where ranks change, with a bar behind where the option asks."""
    write = request.writes(column)
    written = [escape(write(value)) for value in frame[column]]
    if form_of(request.unit(column)).form == "places":
        return [_change(value, text) for value, text in zip(frame[column], written, strict=True)]
    if column in request.option("bars", ()):
        numbers = [0.0 if value is None else max(float(value), 0.0) for value in frame[column]]
        longest = max(numbers, default=0.0) or 1.0
        return [
            f'<span class="behind" style="--part:{value / longest:.3f}">{text}</span>'
            for value, text in zip(numbers, written, strict=True)
        ]
    return written


def _change(value: float | None, text: str) -> str:
    if value is None or value == 0:
        return f'<span class="same">{text}</span>'
    return f'<span class="{"rise" if value > 0 else "fall"}">{text}</span>'
