"""Where the heavy stage runs: one engine per name, opened for one piece of work and closed after it.

A name is `polars`, `duckdb`, or the address of a Spark Connect server; `auto` takes one of the first two by the number
of rows, which shows in no figure. An engine scans and sinks only the paths it is handed, and moves frames between
Narwhals and Polars. What is computed is written in `validation`, once; no rule, sum or column name belongs here. An
engine that is unknown or cannot be reached is refused, never replaced.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from dci_pipeline.engines.protocol import MEMORY, Engine, rows_in
from dci_pipeline.findings import Finding

# Those that work in this process; besides, an address.
NAMES = ("polars", "duckdb")
ADDRESS = "sc://"
AUTO = "auto"

__all__ = ["ADDRESS", "AUTO", "NAMES", "Engine", "chosen", "engine"]


def chosen(name: str, *, rows: int, memory: int = MEMORY) -> str:
    """The name of the engine that works at so many rows: `name` itself, or what AUTO takes.

    Polars where the rows fit in the memory at once, which costs a fifth of what DuckDB does for a thousand rows and the
    same for a million; above that DuckDB, which spills, and costs less the more rows there are.
    """
    if name != AUTO:
        return name
    return "polars" if rows <= rows_in(memory) else "duckdb"


@contextmanager
def engine(
    name: str, *, memory: int = MEMORY, temp_directory: Path | None = None, parameters: str = ""
) -> Generator[Engine]:
    """The engine of that name, closed at the end of the block.

    memory: bytes it may work in, beside what the process has; `temp_directory` is where an engine that spills to disk
    may do so; without it nothing is spilled. `parameters` of a connection may hold a secret and are repeated nowhere.
    Raises Finding for a name that is neither in NAMES nor an address, and for an engine that cannot be reached.
    """
    if name == "polars":
        from dci_pipeline.engines.polars import Polars

        yield Polars(memory=memory)
    elif name == "duckdb":
        from dci_pipeline.engines.duckdb import DuckDB

        opened = DuckDB(memory=memory, temp_directory=temp_directory)
        try:
            yield opened
        finally:
            opened.close()
    elif name.startswith(ADDRESS):
        from dci_pipeline.engines.spark import Spark

        connected = Spark(name, parameters=parameters)
        try:
            yield connected
        finally:
            connected.close()
    else:
        raise Finding(
            "no such engine",
            found=name,
            expected="one of " + ", ".join(NAMES) + ", or sc://host:port",
            todo="correct the engine in the settings",
        )
