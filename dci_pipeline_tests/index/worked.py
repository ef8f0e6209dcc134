"""The worked example: reading the fixture, and what stands where in it.

Facts only, kept as received; every value with a fraction is named by its path.
"""

import json
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl

from dci_pipeline_tests.index.exact import Exact, ExactLink

EXAMPLE: dict[str, Any] = json.loads(Path(__file__).with_name("worked_example.json").read_text())
DAYS = [date(2000 + t, 1, 1) for t in range(4)]


def flat(node: Any, path: str = "") -> dict[str, Fraction]:
    """Every value with a fraction, by its path."""
    if isinstance(node, dict) and set(node) == {"frac", "float"}:
        return {path: Fraction(node["frac"])}
    pairs: list[tuple[str, Any]] = []
    if isinstance(node, dict):
        pairs = [(f"{path}.{key}" if path else key, value) for key, value in node.items()]
    elif isinstance(node, list):
        pairs = [(f"{path}[{i}]", value) for i, value in enumerate(node)]
    return {name: value for key, child in pairs for name, value in flat(child, key).items()}


FRACTIONS = flat(EXAMPLE)


def main_case() -> Exact:
    """The two links of `main`: its periods 0, 1, 2 as years."""
    data = EXAMPLE["main"]["data"]
    x = {
        (DAYS[int(t)], place, j): value
        for j, by_period in data["x"].items()
        for t, values in by_period.items()
        for place, value in zip(data["cities"], values, strict=True)
    }
    weights = [{j: Fraction(w["frac"]) for j, w in EXAMPLE["main"]["weights"][k].items()} for k in ("0", "1")]
    return Exact(x, [ExactLink(weights[0], DAYS[:1], DAYS[:2]), ExactLink(weights[1], DAYS[1:2], DAYS[2:3])])


def changed(frame: pl.DataFrame, name: str, where: pl.Expr, value: object) -> pl.DataFrame:
    """The frame with another value in a column wherever a condition holds."""
    return frame.with_columns(pl.when(where).then(pl.lit(value)).otherwise(name).cast(frame.schema[name]).alias(name))
