"""A look at the warehouse that changes nothing: deliveries against receipts, tables against seals, leftovers.

Reads only. What is wrong is returned as text for `dci doctor`; mending is for a person or the next run.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from dci_pipeline.framework import Framework
from dci_pipeline.warehouse import deliveries
from dci_pipeline.warehouse.deliveries import Delivery
from dci_pipeline.warehouse.layout import PART, Layout
from dci_pipeline.warehouse.seals import SEAL_KEY, difference
from dci_pipeline.warehouse.stamps import DATA_KEY, MADE_KEY, code_version

_CHUNK = 1 << 20
_FEW = 5


@dataclass
class Deliveries:
    """Deliveries on disk: how many files of how many bytes, and which of them are not what their receipt says."""

    deliveries: int = 0
    files: int = 0
    bytes: int = 0
    wrong: list[str] = field(default_factory=list[str])


@dataclass
class Tables:
    """Committed partitions: of this code, of other code, damaged."""

    current: int = 0
    other_code: int = 0
    damaged: list[str] = field(default_factory=list[str])


def audit_deliveries(
    layout: Layout, framework: Framework, *, progress: Callable[[str], None] = lambda _: None
) -> Deliveries:
    """Hash every delivered file again and compare it with delivery.json; count typed rows."""
    found = Deliveries()
    for feed, versions in framework.versions.items():
        for period in deliveries.periods_delivered(layout, feed, framework.cadence):
            for partner in versions.partners:
                for delivery in deliveries.history(layout, feed, period, partner):
                    progress(f"{feed} {partner} {period}")
                    found.deliveries += 1
                    _audit(delivery, found)
    return found


def _audit(delivery: Delivery, found: Deliveries) -> None:
    at = f"{delivery.feed} {delivery.period} {delivery.partner} {delivery.sha256[:12]}"
    for part in delivery.parts:
        path = delivery.folder / part.name
        found.files += 1
        if not path.is_file():
            found.wrong.append(f"{at}: {part.name} is gone")
            continue
        found.bytes += path.stat().st_size
        if _sha256(path) != part.sha256:
            found.wrong.append(f"{at}: {part.name} has changed since it was received")
    try:
        rows = pl.scan_parquet(delivery.typed).select(pl.len()).collect().item()
        if rows != delivery.rows:
            found.wrong.append(f"{at}: {rows:,} typed rows, received {delivery.rows:,}")
    except (pl.exceptions.PolarsError, OSError) as error:
        found.wrong.append(f"{at}: typed rows cannot be read ({type(error).__name__})")


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


def leftovers(layout: Layout) -> list[str]:
    """Files and folders that work broken off has left: unfinished writes, scratch, incoming deliveries."""
    found = [
        *layout.root.glob(".*.tmp"),
        *layout.home.rglob("*.tmp"),
        *(layout.home / ".scratch").glob("*"),
        *layout.incoming().glob("*"),
    ]
    return sorted({path.relative_to(layout.root).as_posix() for path in found})


def few(items: list[str]) -> str:
    """The first few, and how many more."""
    more = f" and {len(items) - _FEW:,} more" if len(items) > _FEW else ""
    return "; ".join(items[:_FEW]) + more


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
