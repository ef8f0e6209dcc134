"""Mending what the audit found: derived files are removed to be made again, typed rows and receipts put right.

Nothing that came from a partner is removed or changed; bytes as received that are damaged are a person's to bring back.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from dci_pipeline.framework import Framework
from dci_pipeline.warehouse import audit, deliveries
from dci_pipeline.warehouse.disk import sync
from dci_pipeline.warehouse.layout import PART, RECEIPT, RECEIPT_COPY, Layout
from dci_pipeline.warehouse.objects import refuse
from dci_pipeline.warehouse.places import place
from dci_pipeline.warehouse.receipts import receipt_is_whole


def mend(layout: Layout, framework: Framework, *, progress: Callable[[str], None] = lambda _: None) -> list[str]:
    """What was done, a line each: receipts from their copies, typed rows from bytes as received, damaged files away."""
    refuse(
        layout.root,
        "mending",
        "put back an earlier version of the objects that dci doctor names; tables may be deleted: dci run makes them",
    )
    done = receipts(layout)
    with place(layout) as own:
        for delivery in audit.every_delivery(layout, framework, progress=progress):
            if deliveries.typed_is_whole(delivery):
                continue
            at = delivery.typed.relative_to(layout.root).as_posix()
            problem = deliveries.type_again(delivery, own.folder, framework=framework)
            done.append(f"{at}: typed again" if problem is None else f"{at}: not mended: {problem}")
    for name in [*audit.audit_tables(layout, progress=progress).damaged, *audit.damaged_documents(layout)]:
        path = layout.root / name
        path.unlink(missing_ok=True)
        if path.name == PART:
            layout.stamp(path).unlink(missing_ok=True)
        done.append(f"{name}: removed; the next run makes it again")
    return done


def receipts(layout: Layout) -> list[str]:
    """Damaged receipts and copies, each put right from the other."""
    done: list[str] = []
    for folder in audit.delivery_folders(layout):
        pair = (folder / RECEIPT, folder / RECEIPT_COPY)
        for damaged, whole in (pair, pair[::-1]):
            if receipt_is_whole(whole) and _differs(damaged, whole):
                with place(layout) as own:
                    ready = own.folder / damaged.name
                    ready.write_bytes(whole.read_bytes())
                    sync(ready)
                    os.replace(ready, damaged)
                done.append(f"{damaged.relative_to(layout.root).as_posix()}: put right from {whole.name}")
    return done


def _differs(damaged: Path, whole: Path) -> bool:
    return not receipt_is_whole(damaged) and whole.is_file()
