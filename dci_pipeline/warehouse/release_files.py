"""A release on disk as a reader finds it: its folder, its package, whether every byte is as it was written.

A release never changes. Which one is current stands in `current`: a link to its folder, or, where links cannot be made,
a file with its name.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from dci_pipeline.data_files import read_yaml
from dci_pipeline.findings import Finding, Unfit
from dci_pipeline.warehouse.layout import Layout
from dci_pipeline.warehouse.receipts import content_of

CURRENT = "current"
SUMS, PACKAGE, NOTES, DIFF = "SHA256SUMS", "datapackage.json", "CHANGES.md", "diff.json"
TABLES, METHOD, EXPLORER = "tables", "method", "explorer"
# The first line of the sums, which sha256sum passes over: a digest of the other lines.
_SEAL = "# sha256 of the lines below: "
_ID = re.compile(r"(\d{4}(?:-\d{2}|Q[1-4]))(?:\.r([1-9]\d{0,5}))?")


@dataclass(frozen=True)
class Release:
    """One release in its folder."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @cached_property
    def package(self) -> dict[str, Any]:
        """What its datapackage.json says. Raises Unfit when it cannot be read."""
        path = self.folder / PACKAGE
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise Unfit(
                "a damaged release",
                where=f"{self.id}/{PACKAGE}",
                found=str(error),
                expected="the file that was released",
                todo="put the release back from a copy",
            ) from error

    @property
    def index(self) -> str:
        return str(self.package["index"])

    @property
    def vintage(self) -> date:
        return date.fromisoformat(str(self.package["vintage"]))

    @property
    def database(self) -> Path:
        """The file analysts open."""
        return self.folder / f"{self.index}.duckdb"

    def table(self, name: str) -> Path:
        return self.folder / TABLES / f"{name}.parquet"

    @property
    def method(self) -> Path:
        """The definition it was computed under: a folder of contracts with the one index in it."""
        return self.folder / METHOD


def order(release: str) -> tuple[str, int]:
    """Place of a release's id among the others: by period, then by how often that was released."""
    found = _ID.fullmatch(release)
    assert found is not None, release
    return found[1], int(found[2] or 0)


def releases(layout: Layout) -> list[Release]:
    """Every release of an index, by period and revision."""
    if not layout.releases.is_dir():
        return []
    found = [path for path in layout.releases.glob("*") if _ID.fullmatch(path.name) and not path.is_symlink()]
    return [Release(path) for path in sorted(found, key=lambda path: order(path.name))]


def current(layout: Layout) -> str | None:
    """Id of the current release, None without any."""
    pointer = layout.releases / CURRENT
    try:
        return pointer.readlink().name if pointer.is_symlink() else pointer.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def named(layout: Layout, name: str) -> Release:
    """The release of that id, or the current one for 'current'. Raises Finding naming those there are."""
    wanted = current(layout) if name == CURRENT else name
    found = {release.id: release for release in releases(layout)}
    if wanted not in found:
        raise Finding(
            "no such release",
            where=str(layout.releases),
            found=name,
            expected="one of " + ", ".join([*found, CURRENT]) if found else "a release; there is none yet",
            todo=f"dci release --index {layout.index} --period PERIOD" if not found else "name one of these",
        )
    return found[wanted]


def as_of(layout: Layout, day: date) -> Release:
    """The release that was the newest at the end of a day: the last of those made by then. Raises Finding: none yet."""
    made = [release for release in releases(layout) if release.vintage <= day]
    if not made:
        first = min((release.vintage for release in releases(layout)), default=None)
        raise Finding(
            "nothing had been released by then",
            where=layout.index,
            found=day.isoformat(),
            expected=f"{first} or later" if first else "a release; there is none yet",
            todo="name a later day",
        )
    return max(made, key=lambda release: (release.vintage, order(release.id)))


def differences(release: Release) -> list[str]:
    """Files of a release that are not as they were released, each with what is wrong; empty when all are."""
    listed = release.folder / SUMS
    try:
        content = listed.read_bytes()
    except FileNotFoundError:
        return [f"{release.id}/{SUMS} is gone"]
    seal, _, lines = content.partition(b"\n")
    if seal != (_SEAL + hashlib.sha256(lines).hexdigest()).encode():
        return [f"{release.id}/{SUMS} has changed"]
    found: list[str] = []
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines.decode().splitlines())}
    for name, digest in sums.items():
        path = release.folder / name
        if not path.is_file():
            found.append(f"{release.id}/{name} is gone")
        elif content_of(path)["sha256"] != digest:
            found.append(f"{release.id}/{name} has changed")
    here = {path.relative_to(release.folder).as_posix() for path in files(release.folder)}
    found += [f"{release.id}/{name} was not released" for name in sorted(here - {*sums, SUMS})]
    # Sums written anew over another table: the description still says which one it was.
    return found or [
        f"{release.id}/{item['path']} is not the file that {PACKAGE} describes"
        for item in release.package["resources"]
        if item["hash"] != f"sha256:{sums.get(item['path'])}"
    ]


def files(folder: Path) -> Iterator[Path]:
    """Every file below a folder, sorted."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() or path.is_symlink())


def sums(folder: Path) -> bytes:
    """The content of SHA256SUMS for what lies in `folder`."""
    lines = "".join(
        f"{content_of(path)['sha256']}  {path.relative_to(folder).as_posix()}\n"
        for path in files(folder)
        if path.name != SUMS
    ).encode()
    return f"{_SEAL}{hashlib.sha256(lines).hexdigest()}\n".encode() + lines


def definition(folder: Path) -> dict[str, object]:
    """What an index's folder of contracts says: file name → a mapping (YAML) or rows as tuples of text (CSV)."""
    found: dict[str, object] = {}
    for path in defining(folder):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as lines:
                found[name] = [tuple(row) for row in csv.reader(lines)]
        else:
            found[name] = read_yaml(path)
    return found


def defining(folder: Path) -> list[Path]:
    """The files of an index's folder that define it; what only invents deliveries is none of them."""
    return [
        path
        for path in files(folder)
        if path.suffix in (".yaml", ".csv") and path.relative_to(folder).as_posix() not in _INVENTING
    ]


_INVENTING = ("simulation.yaml", "calibration.yaml")


def point(layout: Layout, release: str, scratch: Path) -> None:
    """Make a release the current one, in one step; `scratch` is a place of this process on the same disk."""
    ready = scratch / CURRENT
    ready.unlink(missing_ok=True)
    try:
        ready.symlink_to(release)
    except OSError:
        # A disk without links.
        ready.write_text(release + "\n", encoding="utf-8")
    os.replace(ready, layout.releases / CURRENT)
