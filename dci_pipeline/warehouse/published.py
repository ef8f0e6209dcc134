"""The published file as a reader opens it. Loads neither an engine nor the store: `dci sql` starts with it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from dci_pipeline.warehouse.layout import Layout
from dci_pipeline.warehouse.objects import ObjectPath
from dci_pipeline.warehouse.places import place


def opened(layout: Layout) -> Path:
    """The published file as a file of this machine: itself on a disk, else a copy, fetched when it has changed.

    Raises FileNotFoundError when nothing is published.
    """
    if not isinstance(layout.catalogue, ObjectPath):
        return layout.catalogue
    folder = layout.local / "published" / layout.index
    kept = folder / f"{hashlib.sha256(str(layout.catalogue.head()['e_tag']).encode()).hexdigest()[:16]}.duckdb"
    if not kept.is_file():
        with place(layout) as own:
            fetched = layout.catalogue.fetch(own.folder / kept.name)
            folder.mkdir(parents=True, exist_ok=True)
            os.replace(fetched, kept)
        for other in folder.glob("*.duckdb"):
            # Who has it open keeps what was opened.
            if other != kept:
                other.unlink(missing_ok=True)
    return kept


def sizes(layout: Layout) -> dict[str, int]:
    """The rows of every table of the published file. Raises FileNotFoundError when nothing is published."""
    import duckdb

    with duckdb.connect(str(opened(layout)), read_only=True) as connection:
        found = connection.execute(
            "SELECT table_name, estimated_size FROM duckdb_tables() WHERE NOT internal ORDER BY 1"
        ).fetchall()
    return {str(name): int(rows) for name, rows in found}
