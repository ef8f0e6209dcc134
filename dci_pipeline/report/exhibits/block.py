"""What every renderer is given and gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from dci_pipeline.report.declared import Column
from dci_pipeline.report.numbers import form_of, unit_label
from dci_pipeline.report.writing import Writing, writing


@dataclass(frozen=True)
class Request:
    """One drawing to be made.

    frame: the rows, with `entity` and what else is named in the language; source_name: the entity as it is published.
    columns: what the measures are called, and their units; label: what the whole shows, for those who do not see it.
    chart: a Vega-Lite specification to HTML. mapped: rows, type of place and unit to a map, None without geometry.
    narrow: in half of the page's width.
    """

    frame: pl.DataFrame
    columns: Mapping[str, Column]
    options: Mapping[str, Any]
    language: str
    name: str
    label: str
    chart: Callable[[dict[str, Any]], str]
    mapped: Callable[[pl.DataFrame, str, str], str] | None = None
    narrow: bool = False

    def option(self, name: str, usual: Any = None) -> Any:
        return self.options.get(name, usual)

    def title(self, column: str) -> str:
        """What a column is called, in the language."""
        return self.columns[column].label.of(self.language) if column in self.columns else column

    def head(self, column: str) -> str:
        """What a column is called, with its unit where its values do not carry it."""
        form, unit = form_of(self.unit(column)), unit_label(self.unit(column), self.language)
        return self.title(column) if not unit or form.after.get(self.language) else f"{self.title(column)} ({unit})"

    def wide(self, full: int, narrow: int) -> int:
        """The width of what is drawn, in a column of the page or in half of it."""
        return narrow if self.narrow else full

    def plotted(self, column: str) -> float:
        """What values of a column are multiplied by before they are drawn: as its axis counts them."""
        form = form_of(self.unit(column))
        return 1.0 if "%" in form.d3 else form.scale

    def writes(self, column: str) -> Writing:
        return writing(self.unit(column), self.frame[column].to_list(), self.language)

    def unit(self, column: str) -> str:
        return self.columns[column].unit if column in self.columns else ""

    @property
    def measures(self) -> list[str]:
        """The columns of values, in the order of the rows."""
        return [name for name in self.frame.columns if name in self.columns]

    def says(self, zh: str, en: str) -> str:
        return zh if self.language == "zh" else en


@dataclass(frozen=True)
class Block:
    """A drawing as HTML; `tabled`: it is a table itself and needs no other beside it."""

    html: str
    tabled: bool = False


def records(frame: pl.DataFrame, *columns: str) -> list[dict[str, Any]]:
    """Rows as Vega-Lite takes them, of these columns, without those that have no value in the last."""
    return frame.select(columns).drop_nulls(columns[-1]).to_dicts()


def spec(values: Sequence[Mapping[str, Any]], **beside: Any) -> dict[str, Any]:
    """A Vega-Lite specification over rows; the theme's configuration is added where it is drawn."""
    return {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "data": {"values": list(values)}, **beside}


def axis_format(unit: str) -> str:
    """The format of an axis in this unit: no decimals that are all noughts."""
    return form_of(unit).d3.replace(".1f", "~f").replace(".2f", "~f").replace(".3f", "~f").replace(".1%", "~%")


# Vega writes a hyphen before a negative number of some formats.
MINUS_SIGNED = "replace(datum.label, '-', '−')"
