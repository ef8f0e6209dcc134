"""A delivery typed again, from the bytes as received, when the contract in force reads it otherwise than on landing.

A contract may get a version for months that have been landed already. Bytes and receipt stay as they are; the rows are
typed anew beside them, into a file named by the contract's reading, once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from dci_pipeline.contracts import FeedContract
from dci_pipeline.findings import Finding, Held
from dci_pipeline.warehouse.deliveries import Delivery, write_typed
from dci_pipeline.warehouse.objects import ObjectPath
from dci_pipeline.warehouse.store import put_object


def typed_under(delivery: Delivery, contract: FeedContract, *, cadence: str, scratch: Path) -> Path:
    """The file of a delivery's rows typed under `contract`; made now, in `scratch`, if it is not there.

    Raises Held when the files cannot be read under that contract, and Finding when they are not as received.
    """
    if delivery.reading == contract.reading:
        return delivery.typed
    # No part can bear this name: of a partner's file name only letters, digits and _ . - ( ) are kept.
    path = delivery.folder / f"typed.reading={contract.reading}.parquet"
    if path.is_file():
        return path
    at = f"{delivery.feed} {delivery.period} {delivery.partner}"
    parts = [(part, delivery.folder / part.name) for part in delivery.parts]
    for part, source in parts:
        if not _as_received(source, part.sha256):
            raise Finding(
                "a delivered file that is no longer as received",
                where=f"{at}: {part.name}",
                found="another content" if source.is_file() else "nothing",
                expected=f"sha256 {part.sha256[:12]}…",
                todo="put the file back from a copy, or land it again",
            )
    folder = scratch / f"retyped-{delivery.sha256[:12]}"
    folder.mkdir()
    try:
        write_typed(parts, folder, contract=contract, cadence=cadence, period=delivery.period, partner=delivery.partner)
    except Finding as finding:
        raise Held(
            "a delivery that the contract in force cannot read",
            where=at,
            found=f"{finding.problem} ({finding.where}); landed under version {delivery.contract_version}",
            expected=f"files of version {contract.version}, in force from {contract.valid_from} ({contract.where})",
            todo="set that version's validFrom to when the files change, or ask the partner for the file in the new "
            "form and land it",
        ) from finding
    ready = folder / f"{delivery.period}.parquet"
    with ready.open("rb") as file:
        os.fsync(file.fileno())
    if isinstance(path, ObjectPath):
        put_object(path, ready)
    else:
        os.replace(ready, path)
    shutil.rmtree(folder)
    return path


def _as_received(source: Path, sha256: str) -> bool:
    if not source.is_file():
        return False
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256
