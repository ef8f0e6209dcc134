"""Stamps: what a committed partition was made from, kept in a small file beside it; code and contract also inside it.

A stamp names inputs by content, the contract and the code; no clock, run, host, engine or thread count, so equal inputs
give equal bytes and a stamp that matches means there is nothing to do. Inputs stand beside the partition and not in it,
so that one whose rows come out the same from other inputs need not be written again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MADE_KEY = "dci.made_by"
DATA_KEY = "dci.data_version"

_OUTSIDE = ("cli", "defs", "trail", "definitions.py", "lineage.py", "settings.py")


@dataclass(frozen=True)
class Stamp:
    """Inputs by name and content hash, the contract's hash, the code's version."""

    inputs: Mapping[str, str]
    contract: str
    code: str

    @property
    def made_by(self) -> str:
        """Code and contract, as they stand in the partition itself."""
        return json.dumps({"code": self.code, "contract": self.contract}, sort_keys=True, separators=(",", ":"))

    def text(self, data_version: str) -> str:
        """The whole stamp as it stands beside a partition of this content, for people to read too."""
        said = {"code": self.code, "contract": self.contract, "data_version": data_version, "inputs": dict(self.inputs)}
        return json.dumps(said, ensure_ascii=False, sort_keys=True, indent=1) + "\n"


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
