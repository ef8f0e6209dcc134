"""The `dci` command: one file per group of commands, each thin over the pipeline.

Here is what a person types and what is printed. Starting up imports nothing heavy; a command imports what it needs.
Exports that a person asks for are written here; nothing else under the warehouse is.
"""

from __future__ import annotations


def main() -> None:
    """Entry point of the console script."""
    import gc
    import sys

    # What importing makes stays, and what is left at the end goes with the process: looking through either for garbage
    # takes longer than many a command. DuckDB complains of what is left of it.
    gc.disable()
    from dci_pipeline.cli.app import app

    gc.freeze()
    gc.enable()
    try:
        app(prog_name="dci")
    finally:
        if "duckdb" not in sys.modules:
            gc.freeze()
