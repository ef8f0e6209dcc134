"""Links of both kinds of chaining."""

from datetime import date
from typing import Any

import pytest

from dci_pipeline.index import links

YEAR = {"reference_start": date(2015, 1, 1), "reference_end": date(2015, 12, 1)}


@pytest.mark.parametrize(
    ("chaining", "settings", "expected"),
    [
        pytest.param(
            "fixed_base",
            {**YEAR, "end": date(2020, 6, 1)},
            [(0, date(2015, 1, 1), date(2015, 12, 1), date(2015, 1, 1), date(2020, 6, 1))],
            id="fixed base: one link",
        ),
        pytest.param(
            "fixed_base",
            {
                "reference_start": date(2018, 2, 1),
                "reference_end": date(2018, 3, 1),
                "start": date(2017, 1, 1),
                "end": date(2020, 6, 1),
            },
            [(0, date(2018, 2, 1), date(2018, 3, 1), date(2017, 1, 1), date(2020, 6, 1))],
            id="a free reference inside",
        ),
        pytest.param(
            "annual_overlap",
            {**YEAR, "end": date(2017, 2, 1)},
            [
                (0, date(2015, 1, 1), date(2015, 12, 1), date(2015, 1, 1), date(2015, 12, 1)),
                (1, date(2015, 1, 1), date(2015, 12, 1), date(2016, 1, 1), date(2016, 12, 1)),
                (2, date(2016, 1, 1), date(2016, 12, 1), date(2017, 1, 1), date(2017, 2, 1)),
            ],
            id="months: the running year ends early",
        ),
        pytest.param(
            "annual_overlap",
            {
                "reference_start": date(2015, 4, 1),
                "reference_end": date(2016, 1, 1),
                "end": date(2016, 7, 1),
                "cadence": "quarter",
            },
            [
                (0, date(2015, 4, 1), date(2016, 1, 1), date(2015, 4, 1), date(2016, 1, 1)),
                (1, date(2015, 4, 1), date(2016, 1, 1), date(2016, 4, 1), date(2016, 7, 1)),
            ],
            id="quarters of a year from April",
        ),
        pytest.param(
            "annual_overlap",
            {
                "reference_start": date(2015, 1, 1),
                "reference_end": date(2015, 1, 1),
                "end": date(2016, 1, 1),
                "cadence": "year",
            },
            [
                (0, date(2015, 1, 1), date(2015, 1, 1), date(2015, 1, 1), date(2015, 1, 1)),
                (1, date(2015, 1, 1), date(2015, 1, 1), date(2016, 1, 1), date(2016, 1, 1)),
            ],
            id="years",
        ),
    ],
)
def test_links(chaining: str, settings: dict[str, Any], expected: list[tuple[object, ...]]) -> None:
    found = links(chaining, **settings)
    assert found.columns == ["link", "reference_start", "reference_end", "start", "end"]
    assert found.rows() == expected


@pytest.mark.parametrize(
    ("chaining", "settings", "message"),
    [
        pytest.param("monthly", {**YEAR, "end": date(2020, 6, 1)}, "chaining 'monthly'", id="never by month"),
        pytest.param(
            "fixed_base", {**YEAR, "end": date(2020, 6, 1), "cadence": "week"}, "cadence 'week'", id="unknown cadence"
        ),
        pytest.param("fixed_base", {**YEAR, "end": date(2014, 6, 1)}, "an end comes before", id="end before start"),
        pytest.param(
            "fixed_base",
            {**YEAR, "end": date(2020, 5, 1), "cadence": "quarter"},
            "first day of a quarter",
            id="not a quarter",
        ),
        pytest.param(
            "annual_overlap",
            {"reference_start": date(2015, 1, 1), "reference_end": date(2015, 6, 1), "end": date(2020, 6, 1)},
            "expected a reference_end of 2015-12-01",
            id="half a year of reference",
        ),
        pytest.param(
            "annual_overlap",
            {**YEAR, "start": date(2016, 1, 1), "end": date(2020, 6, 1)},
            "its own reference",
            id="a later start",
        ),
    ],
)
def test_what_is_refused(chaining: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        links(chaining, **settings)
