"""How far the committed tables reach, and so which of their rows are still open to revision."""

from __future__ import annotations

from dci_pipeline.framework import Framework
from dci_pipeline.periods import Period, of_folder
from dci_pipeline.releases.window import Window
from dci_pipeline.warehouse.store import Warehouse


def window(warehouse: Warehouse, framework: Framework, last: Period | None = None) -> Window | None:
    """The revision window up to `last`, by default the newest committed period; None before the first one."""
    end = last or newest(warehouse, framework)
    return None if end is None else Window(end, framework.revision_window.months)


def newest(warehouse: Warehouse, framework: Framework) -> Period | None:
    """The newest period of which the table of the index is committed; None before the first one."""
    table = f"index_{framework.cadence}"
    at = ("marts", table) if table in framework.tables else ("index", "points")
    folders = (path.relative_to(warehouse.layout.home).parts for path in warehouse.partitions(*at))
    return max(filter(None, (of_folder(parts, framework.cadence) for parts in folders)), default=None)
