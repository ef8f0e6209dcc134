"""What `dci doctor` says of one thing it looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One thing looked at; state is ok, warn or fail."""

    name: str
    state: str
    found: str
    todo: str = ""
