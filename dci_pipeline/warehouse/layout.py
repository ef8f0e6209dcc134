"""Names of folders and files in the warehouse, and nothing else: no disk is touched here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period
from dci_pipeline.warehouse import objects

PART = "part.parquet"
STAMP = "stamp.json"
TYPED = "typed.parquet"
RECEIPT = "delivery.json"
RECEIPT_COPY = "delivery.copy.json"
_PARTNER = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")


@dataclass(frozen=True)
class Layout:
    """Where everything of one index lies under the warehouse's root."""

    root: Path
    index: str

    @property
    def home(self) -> Path:
        return self.root / self.index

    @property
    def catalogue(self) -> Path:
        """The file analysts open."""
        return self.root / f"{self.index}.duckdb"

    @property
    def catalogue_stamp(self) -> Path:
        return self.home / "catalogue.json"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    def table(self, stage: str, table: str, period: Period | None = None, partner: str | None = None) -> Path:
        """The file of one partition of one table."""
        return _table(self.home, stage, table, period, partner)

    @staticmethod
    def stamp(part: Path) -> Path:
        """What the partition in `part` was made from: a small file beside it."""
        return part.with_name(STAMP)

    def deliveries(self, feed: str, period: Period | None = None, partner: str | None = None) -> Path:
        """The folder of a feed's deliveries, of one period's, or of one partner's in it."""
        folder = self.home / "feeds" / feed
        if period is not None:
            folder = folder / period.path
            if partner is not None:
                folder = folder / f"partner={checked_partner(partner)}"
        return folder

    @property
    def releases(self) -> Path:
        """What has been released: one folder each, and which of them is current."""
        return self.home / "releases"

    @property
    def work(self) -> Path:
        """Where processes make what is not finished yet: on the same file system, or on this machine's disk."""
        return self.local / self.index / ".work"

    @property
    def drawn(self) -> Path:
        """Maps as they were made, to be drawn again: they may go at any time."""
        return self.local / self.index / ".drawn"

    @property
    def local(self) -> Path:
        """What this machine keeps on a disk: the root itself, or a folder beside a root on object storage."""
        return objects.scratch(self.root)

    def arrived(self) -> Path:
        """Notes of what was landed from the drop folder and has not been told to the engine yet."""
        return self.home / "feeds" / ".arrived"


@lru_cache(maxsize=100_000)
def _table(home: Path, stage: str, table: str, period: Period | None, partner: str | None) -> Path:
    # Asked for several times a partition; putting a path together takes longer than looking at its file.
    folder = home / stage / table
    if period is not None:
        folder = folder / period.path
    if partner is not None:
        folder = folder / f"partner={checked_partner(partner)}"
    return folder / PART


def checked_partner(partner: str) -> str:
    """`partner` when it may stand in a path. Raises Finding for anything that could leave its folder."""
    if not _PARTNER.match(partner) or ".." in partner:
        raise Finding(
            "not a partner's id",
            found=repr(partner),
            expected="letters, digits, _ . - (64 at most)",
            todo="check --partner, and how the contract names its partners",
        )
    return partner


def safe_name(name: str) -> str:
    """A partner's file name reduced to what may stand in a path; never empty, never hidden, never a folder."""
    stem = re.sub(r"[^\w.\-()]+", "_", Path(name.replace("\\", "/")).name).lstrip(".")
    return stem[-120:] or "part"
