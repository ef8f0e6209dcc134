"""A release's datapackage.json (Frictionless Data Package 1): what its tables hold and what they were made of.

No clock: the day of the release is handed in. Equal content gives an equal text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from dci_pipeline.contracts import TableContract
from dci_pipeline.framework import Framework
from dci_pipeline.releases import resources
from dci_pipeline.releases.resources import DataFile
from dci_pipeline.releases.revisions import TABLE
from dci_pipeline.releases.window import Window

# What may differ between two packages that hold the same release: when it was made, under which name, by which sources.
_APART = (
    "name", "id", "title", "version", "vintage", "created", "note", "supersedes", "compared_with", "before", "code"
)  # fmt: skip


@dataclass(frozen=True)
class TableFile:
    """One table of a release as a file: its rows, its bytes and the SHA-256 of its content."""

    rows: int
    bytes: int
    sha256: str


def describe(
    framework: Framework,
    *,
    release: str,
    vintage: date,
    period: str,
    window: Window,
    files: Mapping[str, TableFile],
    deliveries: Sequence[Mapping[str, Any]],
    periods: Sequence[str],
    method: Mapping[str, str],
    code: Mapping[str, str],
    writers: Mapping[str, str],
    supersedes: str | None,
    compared_with: str | None,
    before: Mapping[str, str],
    note: str,
) -> dict[str, Any]:
    """The package as plain values.

    window: the revision window up to the period.
    files: by table. deliveries: what the tables rest on (feed, period, partner, sha256, folder, parts). periods: those
    that a rebuild computes. method: content hash of every file of the index's definition. code: version and hash of
    the sources. writers: versions of the libraries whose encoding the bytes depend on. before: the releases there were,
    with the SHA-256 of their SHA256SUMS; compared_with: the one whose differences this one tells.
    """
    return {
        "profile": "data-package",
        "name": f"{framework.index}-{release}".lower(),
        "id": f"{framework.index}/{release}",
        "title": f"{framework.name_en} / {framework.name_zh}, {release}",
        "version": release,
        "vintage": vintage.isoformat(),
        "created": f"{vintage.isoformat()}T00:00:00Z",
        "note": note,
        "supersedes": supersedes,
        "compared_with": compared_with,
        "before": dict(before),
        "index": framework.index,
        "cadence": framework.cadence,
        "period": period,
        "revision_window": {"months": window.months, "final_to": window.final_to(framework.cadence).key},
        "periods": list(periods),
        "code": dict(code),
        "writers": dict(writers),
        "contracts": _versions(framework),
        "method": dict(sorted(method.items())),
        "deliveries": [dict(item) for item in deliveries],
        "resources": [resource(framework.tables[name], files[name]) for name in sorted(files)],
    }


def resource(contract: TableContract, file: TableFile) -> dict[str, Any]:
    """One table as a resource: where it lies, its hash, and what its contract says of every column."""
    path = f"tables/{contract.table}.parquet"
    return resources.resource(DataFile(contract, path, file.bytes, file.sha256, file.rows))


def text(package: Mapping[str, Any]) -> str:
    """The file: the same values, the same text."""
    return json.dumps(package, ensure_ascii=False, indent=1) + "\n"


def content(package: Mapping[str, Any]) -> dict[str, Any]:
    """What counts when two releases are asked whether they are the same: tables, descriptions, method, deliveries."""
    kept = {name: value for name, value in package.items() if name not in _APART}
    # What earlier releases revised is the same whatever this one holds.
    return {**kept, "resources": [item for item in package["resources"] if item["name"] != TABLE]}


def replaced(package: Mapping[str, Any], contract: TableContract, file: TableFile) -> dict[str, Any]:
    """The package with another file for one of its tables."""
    again = [item if item["name"] != contract.table else resource(contract, file) for item in package["resources"]]
    return {**package, "resources": again}


def _versions(framework: Framework) -> dict[str, Any]:
    return {
        "feeds": {
            feed: [
                {"version": item.version, "valid_from": item.valid_from, "sha256": item.sha256} for item in versions.of
            ]
            for feed, versions in sorted(framework.versions.items())
        },
        "tables": {
            name: {"version": contract.version, "sha256": contract.sha256}
            for name, contract in sorted(framework.tables.items())
        },
        "waves": {name: wave.sha256 for name, wave in sorted(framework.waves.items())},
    }
