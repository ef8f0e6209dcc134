"""What the process loads from which commands are forked; no test imports it.

None of the libraries starts a thread before it is used, and what reads the environment when loaded is not among them.
"""

from __future__ import annotations

import gc

import duckdb  # noqa: F401
import great_expectations  # noqa: F401
import narwhals  # noqa: F401
import polars  # noqa: F401

import dci_pipeline.cli.app
import dci_pipeline.defs.launch
import dci_pipeline.feeds.typing  # noqa: F401
import dci_pipeline_tests.commands  # noqa: F401

# What is here now is never collected: a look at it would copy its pages in every process forked.
gc.freeze()
