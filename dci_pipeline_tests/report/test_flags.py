"""What the rows under an exhibit are: final, provisional, estimated, in words of both languages."""

from __future__ import annotations

import pytest

from dci_pipeline.exhibits import Condition, Exhibit, Item, Selection
from dci_pipeline.periods import parse
from dci_pipeline.report.flags import of_query, questions, worded


@pytest.mark.parametrize(
    ("answers", "zh", "en", "provisional"),
    [
        ([], "", "", False),
        ([("final", "A", 31)], "终值", "final", False),
        ([("provisional", "A", 31)], "初步数", "provisional", True),
        (
            [("final", "A", 30), ("provisional", "P", 1)],
            "初步数 1/31、预估 1/31",
            "provisional 1/31, projected 1/31",
            True,
        ),
        ([("final", "E", 4), ("final", "A", 27)], "估计 4/31", "estimated 4/31", False),
        ([(None, None, 2)], "初步数", "provisional", True),
    ],
)
def test_what_rows_are_in_words(
    answers: list[tuple[str | None, str | None, int]], zh: str, en: str, provisional: bool
) -> None:
    assert worded(answers, "zh") == (zh, provisional)
    assert worded(answers, "en") == (en, provisional)


def test_an_exhibit_asks_for_the_rows_it_reads() -> None:
    read = Selection("index_month", "points", (Condition("entity_type", ("town",)), Condition("node", ("n",), True)))
    item = Item("X", "", "", {}, "value", "half", "{half}", "", {}, read=read)
    (asked,) = questions(Exhibit("X", "1", "", "", "claim", "", (item,)), parse("2019", "year"), 2015)
    assert "FROM index_month" in asked and "entity_type IN ('town')" in asked and "node" not in asked
    assert asked.count("month = DATE") == 6 and "2019-07-01" in asked and "2019-06-01" not in asked
    assert questions(Exhibit("X", "1", "", "", "claim", "", (item,)), parse("2019-01", "month"), 2015) == []


def test_a_given_query_asks_for_the_kinds_of_row_it_names() -> None:
    columns = {"index_year": ("entity_type", "node", "maturity"), "index_half": ("maturity",), "node": ("node",)}
    sql = "SELECT 1 FROM index_year AS i JOIN node USING (node) WHERE entity_type = 'town' AND i.node = 'n'"
    (asked,) = of_query(sql, parse("2019", "year"), columns)
    assert asked.startswith("SELECT maturity, obs_status, count(*) AS rows FROM index_year WHERE year = 2019")
    assert "entity_type IN ('town') AND node IN ('n')" in asked
    assert of_query(sql, parse("2019H1", "half"), columns) == []
