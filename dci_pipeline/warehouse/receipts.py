"""Receipts: what is known of a delivery, sealed, with a copy beside it; whether files are as a receipt names them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from dci_pipeline.warehouse.disk import sync
from dci_pipeline.warehouse.layout import RECEIPT, RECEIPT_COPY
from dci_pipeline.warehouse.seals import UNSEALED, difference, seal


def is_whole(path: Path, sha256: str | None) -> bool:
    """Whether a file is there and has this content, where it is known."""
    return path.is_file() and (sha256 is None or content_of(path)["sha256"] == sha256)


def content_of(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file, as a receipt names them."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": digest}


def write_receipt(folder: Path, receipt: Mapping[str, Any]) -> None:
    """The receipt, sealed, and a copy of it: bytes as received can be had again from the partner, a receipt cannot."""
    text = json.dumps({**receipt, "seal": UNSEALED}, ensure_ascii=False, indent=1) + "\n"
    for name in (RECEIPT_COPY, RECEIPT):
        (folder / name).write_bytes(seal(text.encode()))
        sync(folder / name)


def receipt_is_whole(path: Path) -> bool:
    """Whether a receipt is as it was written; one of before receipts were sealed is when it can be read."""
    return whole_receipt(path) is not None


def whole_receipt(path: Path) -> dict[str, Any] | None:
    """What a receipt says, None when it is not as it was written."""
    try:
        content = path.read_bytes()
        raw = json.loads(content)
    except (OSError, ValueError):
        return None
    if not isinstance(raw, dict) or "parts" not in raw or ("seal" in raw and difference(content) is not None):
        return None
    return cast("dict[str, Any]", raw)
