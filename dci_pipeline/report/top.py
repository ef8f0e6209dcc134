"""The table of the leading entities of one year, from the rows of `index_year` (METHOD section 4: rank and growth).

Numbers are those published; nothing is ranked again here, so the exhibit cannot disagree with the table it comes from.
"""

from __future__ import annotations

import polars as pl

_TOP = ("rank", "code", "name_zh", "name_en", "points", "share", "growth_yoy", "rank_change")


def top(year: pl.DataFrame, places: pl.DataFrame, *, entity_type: str, node: str, count: int = 10) -> pl.DataFrame:
    """The `count` best ranked entities of one type on one node.

    Out: [rank, code, name_zh, name_en, points, share, growth_yoy, rank_change], by rank, then code.

    `year`: rows of `index_year` of a single year. `places` [code, name_zh, name_en]: their names; an entity without one
    keeps null names. Entities that share the last rank are all there, so there may be more than `count` rows.
    """
    rows = year.filter((pl.col("entity_type") == entity_type) & (pl.col("node") == node) & (pl.col("rank") <= count))
    names = places.select("code", "name_zh", "name_en").unique("code", keep="first", maintain_order=True)
    return rows.rename({"entity_code": "code"}).join(names, on="code", how="left").select(_TOP).sort("rank", "code")
