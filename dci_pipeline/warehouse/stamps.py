"""Stamps: what a committed table was made from, kept in its own Parquet metadata.

A stamp names inputs by content, the contract and the code; no clock, run, host, engine or thread count, so equal inputs
give equal bytes and a stamp that matches means there is nothing to do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

STAMP_KEY = "dci.stamp"
DATA_KEY = "dci.data_version"

_OUTSIDE = ("cli", "defs", "definitions.py", "settings.py")


@dataclass(frozen=True)
class Stamp:
    """Inputs by name and content hash, the contract's hash, the code's version."""

    inputs: Mapping[str, str]
    contract: str
    code: str

    def text(self) -> str:
        return json.dumps(
            {"code": self.code, "contract": self.contract, "inputs": dict(self.inputs)},
            sort_keys=True,
            separators=(",", ":"),
        )


@cache
def code_version() -> str:
    """Twelve digits of the SHA-256 of the package's sources that compute; declarations and commands do not count."""
    package = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if name.split("/")[0] not in _OUTSIDE:
            digest.update(name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
