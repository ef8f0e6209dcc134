"""What the public door refuses: each message says what was found, what was expected and where."""

from datetime import date

import polars as pl
import pytest

from dci_pipeline.index import compute
from dci_pipeline_tests.index.worked import changed, main_case

CASE = main_case()
VALUES, WEIGHTS, CHAIN = CASE.values(), CASE.weights(), CASE.chain()
LAST = pl.col("period") == date(2002, 1, 1)


@pytest.mark.parametrize(
    ("values", "weights", "chain", "message"),
    [
        pytest.param(
            VALUES.filter(~(LAST & (pl.col("place") == "B") & (pl.col("indicator") == "3"))),
            WEIGHTS,
            CHAIN,
            "1 of 12 values are absent, first period 2002-01-01, place 'B', indicator '3'",
            id="a value is absent",
        ),
        pytest.param(
            changed(VALUES, "value", LAST, None), WEIGHTS, CHAIN, "6 rows with an empty field", id="a value is null"
        ),
        pytest.param(
            changed(VALUES, "value", LAST, -4), WEIGHTS, CHAIN, "6 negative, first .*'value': -4", id="negative"
        ),
        pytest.param(pl.concat([VALUES, VALUES[:1]]), WEIGHTS, CHAIN, "values: .*found twice", id="a value twice"),
        pytest.param(
            VALUES.cast({"value": pl.Float64}), WEIGHTS, CHAIN, "type Float64; expected integers", id="floats"
        ),
        pytest.param(
            VALUES.cast({"period": pl.String}), WEIGHTS, CHAIN, "type String; expected Date", id="text periods"
        ),
        pytest.param(VALUES.drop("place"), WEIGHTS, CHAIN, r"lack \['place'\]", id="no place column"),
        pytest.param(VALUES.clear(), WEIGHTS, CHAIN, "found no rows", id="no values"),
        pytest.param(
            VALUES.with_columns(pl.col("period").dt.offset_by("1d")),
            WEIGHTS,
            CHAIN,
            "not the first day",
            id="mid-month",
        ),
        pytest.param(
            changed(VALUES, "value", pl.col("indicator") == "2", 0),
            WEIGHTS,
            CHAIN,
            r"\['2'\] have no volume",
            id="mean 0",
        ),
        pytest.param(
            VALUES,
            changed(WEIGHTS, "alpha", pl.col("indicator") == "2", 0.3),
            CHAIN,
            "link 0 sums to 0.8",
            id="weights short of 1",
        ),
        pytest.param(VALUES, pl.concat([WEIGHTS, WEIGHTS[:1]]), CHAIN, "weights: .*found twice", id="a weight twice"),
        pytest.param(
            VALUES,
            changed(WEIGHTS, "alpha", pl.col("indicator") == "2", -0.4),
            CHAIN,
            "alpha above 0",
            id="a negative weight",
        ),
        pytest.param(
            VALUES,
            WEIGHTS.filter(pl.col("link") == 0),
            CHAIN,
            r"weights have links \['0'\], links \['0', '1'\]",
            id="unweighted link",
        ),
        pytest.param(VALUES, WEIGHTS, pl.concat([CHAIN, CHAIN[1:]]), "link 1 comes twice", id="a link twice"),
        pytest.param(VALUES, WEIGHTS, CHAIN.clear(), "found none", id="no links"),
        pytest.param(
            VALUES,
            WEIGHTS,
            changed(CHAIN, "reference_start", pl.col("link") == 0, date(1999, 1, 1)),
            "reference is 1999-01-01 to 2000-01-01, values cover 2000-01-01",
            id="reference before the values",
        ),
        pytest.param(
            VALUES,
            WEIGHTS,
            changed(CHAIN, "reference_end", pl.col("link") == 1, date(2003, 1, 1)),
            "link 1: its reference is 2001-01-01 to 2003-01-01",
            id="reference after the values",
        ),
        pytest.param(
            VALUES,
            WEIGHTS,
            changed(CHAIN, "reference_end", pl.col("link") == 1, date(2002, 1, 1)),
            "not inside link 0",
            id="reference beyond the link before",
        ),
        pytest.param(
            VALUES,
            WEIGHTS,
            changed(CHAIN, "end", pl.col("link") == 1, date(2001, 1, 1)),
            "an end comes before",
            id="end before start",
        ),
        pytest.param(
            VALUES,
            WEIGHTS,
            changed(changed(CHAIN, "start", pl.col("link") == 1, date(2005, 1, 1)), "end", pl.col("link") == 1, None),
            "link 1: no period with values from 2005-01-01 to the end",
            id="a link without values",
        ),
        pytest.param(
            VALUES.filter(pl.col("period") != date(2001, 1, 1)).vstack(
                VALUES.filter(LAST).with_columns(period=pl.date(2003, 1, 1))
            ),
            WEIGHTS,
            CHAIN,
            "nothing between 2000-01-01 and 2002-01-01",
            id="a gap",
        ),
    ],
)
def test_what_is_refused(values: pl.DataFrame, weights: pl.DataFrame, chain: pl.DataFrame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compute(values, weights, chain)
