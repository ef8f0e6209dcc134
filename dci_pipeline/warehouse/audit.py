"""A look at the warehouse that changes nothing: deliveries against receipts, tables against seals, leftovers.

Reads only. What is wrong is returned as text for `dci doctor`; mending is for a person or the next run.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from dci_pipeline.framework import Framework
from dci_pipeline.warehouse import deliveries
from dci_pipeline.warehouse.deliveries import Delivery
from dci_pipeline.warehouse.layout import PART, RECEIPT, RECEIPT_COPY, TYPED, Layout
from dci_pipeline.warehouse.objects import ObjectPath
from dci_pipeline.warehouse.receipts import is_whole, receipt_is_whole
from dci_pipeline.warehouse.seals import SEAL_KEY, difference
from dci_pipeline.warehouse.stamps import DATA_KEY, MADE_KEY, code_version

_FEW = 5


@dataclass
class Deliveries:
    """Deliveries on disk: files and their bytes; bytes as received that are wrong, and what can be mended."""

    deliveries: int = 0
    files: int = 0
    bytes: int = 0
    wrong: list[str] = field(default_factory=list[str])
    mendable: list[str] = field(default_factory=list[str])


@dataclass
class Tables:
    """Committed partitions: of this code, of other code, damaged."""

    current: int = 0
    other_code: int = 0
    damaged: list[str] = field(default_factory=list[str])


def delivery_folders(layout: Layout) -> list[Path]:
    """Every delivery's folder, found without its receipt: the receipt may be what is damaged."""
    found = _folders(layout)
    if not isinstance(layout.root, ObjectPath):
        return found
    # Without receipt and copy: a landing under way or killed, which was never told of and is landed again.
    return [path for path in found if (path / RECEIPT_COPY).is_file() or (path / RECEIPT).is_file()]


def _folders(layout: Layout) -> list[Path]:
    return sorted(path.parent for path in (layout.home / "feeds").glob(f"[!.]*/year=*/*=*/partner=*/*/{TYPED}")) + [
        path.parent
        for path in sorted((layout.home / "feeds").glob(f"[!.]*/year=*/*=*/partner=*/*/{RECEIPT}"))
        if not (path.parent / TYPED).exists()
    ]


def every_delivery(
    layout: Layout, framework: Framework, *, progress: Callable[[str], None] = lambda _: None
) -> Iterator[Delivery]:
    """Every delivery of the feeds and partners that contracts name, oldest first. Raises Finding: damaged receipt."""
    for feed, versions in framework.versions.items():
        for period in deliveries.periods_delivered(layout, feed, framework.cadence):
            for partner in versions.partners:
                progress(f"{feed} {partner} {period}")
                yield from deliveries.history(layout, feed, period, partner)


def audit_deliveries(
    layout: Layout, framework: Framework, *, progress: Callable[[str], None] = lambda _: None
) -> Deliveries:
    """Hash every delivered file, its typed rows and its receipt again and compare them with what was written."""
    found = Deliveries()
    for folder in delivery_folders(layout):
        for name in (RECEIPT, RECEIPT_COPY):
            # Receipts of before they were sealed have no copy.
            if not receipt_is_whole(folder / name) and (name == RECEIPT or (folder / name).exists()):
                found.mendable.append(f"{(folder / name).relative_to(layout.root).as_posix()} has changed")
    if any(item.endswith(f"/{RECEIPT} has changed") for item in found.mendable):
        return found
    for delivery in every_delivery(layout, framework, progress=progress):
        found.deliveries += 1
        _audit(layout, delivery, found)
    return found


def _audit(layout: Layout, delivery: Delivery, found: Deliveries) -> None:
    for part in delivery.parts:
        path = delivery.folder / part.name
        at = path.relative_to(layout.root).as_posix()
        found.files += 1
        if not path.is_file():
            found.wrong.append(f"{at} is gone")
            continue
        found.bytes += path.stat().st_size
        if not is_whole(path, part.sha256):
            found.wrong.append(f"{at} has changed since it was received")
    typed = delivery.typed.relative_to(layout.root).as_posix()
    if not deliveries.typed_is_whole(delivery):
        found.mendable.append(f"{typed}: typed rows cannot be read or have changed")


def damaged_documents(layout: Layout) -> list[str]:
    """Suites and results that are not as they were written."""
    return [
        path.relative_to(layout.root).as_posix()
        for path in sorted((layout.home / "validation").glob("*_expectations/**/*.json"))
        if difference(path.read_bytes()) is not None
    ]


def audit_tables(layout: Layout, *, progress: Callable[[str], None] = lambda _: None) -> Tables:
    """Hash every committed partition again, compare it with its seal, and its stamp with the code that is running."""
    found = Tables()
    code = code_version()
    for path in sorted(layout.home.glob(f"[!.]*/**/{PART}")):
        if path.relative_to(layout.home).parts[0] == "feeds":
            continue
        progress("/".join(path.relative_to(layout.home).parts[:-1]))
        state = _state(path, code)
        if state == "damaged":
            found.damaged.append(path.relative_to(layout.root).as_posix())
        elif state == "current":
            found.current += 1
        else:
            found.other_code += 1
    return found


def _state(path: Path, code: str) -> str:
    """Of this code, of other code or damaged. Other code may not have sealed what it wrote, or said so elsewhere."""
    try:
        content = path.read_bytes()
        whole = difference(content) is None
        metadata = pl.read_parquet_metadata(io.BytesIO(content))
        writer = json.loads(metadata.get(MADE_KEY, "{}")).get("code") if metadata[DATA_KEY] else None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, KeyError, ValueError):
        return "damaged"
    if not whole and (SEAL_KEY in metadata or writer == code):
        return "damaged"
    return "current" if writer == code else "other code"


def few(items: list[str]) -> str:
    """The first few, and how many more."""
    more = f" and {len(items) - _FEW:,} more" if len(items) > _FEW else ""
    return "; ".join(items[:_FEW]) + more
