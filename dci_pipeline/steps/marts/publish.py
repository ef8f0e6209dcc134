"""The catalogue: every published table in one file."""

from __future__ import annotations

from dci_pipeline.periods import Period
from dci_pipeline.work import Outcome, Work


def publish(work: Work, period: Period | None = None) -> Outcome:
    """Builds the catalogue analysts open, beside the last one, and renames it into place."""
    from dci_pipeline.warehouse.catalogue import build, up_to_date

    if work.dry:
        return Outcome(
            ("marts", "catalogue"), None, "unchanged" if up_to_date(work.warehouse, work.framework) else "stale", -1, ""
        )
    with work.warehouse.lock("catalogue"):
        built = build(work.warehouse, work.framework)
    return Outcome(
        ("marts", "catalogue"),
        None,
        "written" if built.changed else "unchanged",
        built.rows,
        built.data_version,
        (),
        {"file": str(built.path), "tables": built.tables},
    )
