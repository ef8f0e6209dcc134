"""Deliveries: what partners sent, as received, append-only, by content; and the typed form the heavy stage reads.

A delivery belongs to feed × period × partner. A later one supersedes, never overwrites; the same bytes again are a
no-op. A delivery is put together out of sight and renamed into place, so it is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from dci_pipeline.contracts import FeedContract, Versions
from dci_pipeline.findings import Finding, Unfit
from dci_pipeline.framework import Framework
from dci_pipeline.periods import Period
from dci_pipeline.warehouse import refusals
from dci_pipeline.warehouse.disk import make_folder, sync
from dci_pipeline.warehouse.layout import RECEIPT, RECEIPT_COPY, TYPED, Layout, checked_partner, safe_name
from dci_pipeline.warehouse.locks import lock
from dci_pipeline.warehouse.objects import ObjectPath
from dci_pipeline.warehouse.places import place
from dci_pipeline.warehouse.receipts import content_of, is_whole, whole_receipt, write_receipt
from dci_pipeline.warehouse.store import put_object

_CHUNK = 1 << 18


@dataclass(frozen=True)
class Part:
    """One file of a delivery, as received."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Delivery:
    """One delivery. `sha256` is over its parts' hashes; `number` counts deliveries of feed, period, partner.

    `contract_version`, `reading`: the contract it was landed and typed under. See `retyping` for one that came later.
    """

    feed: str
    period: Period
    partner: str
    sha256: str
    number: int
    supersedes: str | None
    received: str
    contract_version: str
    reading: str
    rows: int
    parts: tuple[Part, ...]
    folder: Path
    typed_sha256: str | None = None

    @property
    def typed(self) -> Path:
        return self.folder / TYPED


@dataclass(frozen=True)
class Landing:
    """What landing did with one period's rows: `new` is False when the same bytes were already there."""

    delivery: Delivery
    new: bool


def current(layout: Layout, feed: str, period: Period) -> dict[str, Delivery]:
    """The current delivery of each partner for a feed × period, by partner."""
    folder = layout.deliveries(feed, period)
    found: dict[str, Delivery] = {}
    for path in sorted(folder.glob(f"partner=*/*/{RECEIPT}")):
        delivery = _read(path, period)
        held = found.get(delivery.partner)
        if held is None or delivery.number > held.number:
            found[delivery.partner] = delivery
    return found


def history(layout: Layout, feed: str, period: Period, partner: str) -> list[Delivery]:
    """Every delivery of a feed × period × partner, oldest first."""
    folder = layout.deliveries(feed, period, partner)
    return sorted((_read(path, period) for path in folder.glob(f"*/{RECEIPT}")), key=lambda item: item.number)


def with_sha256(layout: Layout, feed: str, period: Period, partner: str, sha256: str) -> list[Delivery]:
    """The deliveries of a feed × period × partner with these very bytes, oldest first: more than one if sent again."""
    folder = layout.deliveries(feed, period, partner)
    # Folders are named by the hash: none but these is opened.
    if isinstance(folder, ObjectPath):
        paths = list(folder.glob(f"{sha256[:12]}*/{RECEIPT}"))
    else:
        there = folder.iterdir() if folder.is_dir() else ()
        paths = [path / RECEIPT for path in there if path.name.startswith(sha256[:12])]
    found = (_read(path, period) for path in paths)
    return sorted((item for item in found if item.sha256 == sha256), key=lambda item: item.number)


def periods_delivered(layout: Layout, feed: str, cadence: str) -> list[Period]:
    """Periods for which anything of a feed has been landed, in order."""
    starts: set[date] = set()
    for path in layout.deliveries(feed).glob(f"year=*/*=*/partner=*/*/{RECEIPT}"):
        year = int(path.parts[-5].removeprefix("year="))
        unit, _, number = path.parts[-4].partition("=")
        if unit == cadence:
            months = 1 if cadence == "month" else 3
            starts.add(date(year, (int(number) - 1) * months + 1, 1))
    return [Period(start, cadence) for start in sorted(starts)]


def marks(layout: Layout, feeds: Sequence[str], periods: Sequence[Period]) -> dict[Period, str]:
    """A mark of each period that changes with every new delivery of these feeds; no file is opened."""
    if isinstance(layout.root, ObjectPath):
        # Without its receipt a folder is a landing under way, which must not be taken for the delivery.
        return {
            period: " ".join(
                path.parent.name
                for feed in feeds
                for path in sorted(layout.deliveries(feed, period).glob(f"partner=*/*/{RECEIPT}"))
            )
            for period in periods
        }
    return {
        period: " ".join(
            path.name for feed in feeds for path in sorted(layout.deliveries(feed, period).glob("partner=*/[!.]*"))
        )
        for period in periods
    }


def land(
    layout: Layout,
    files: Sequence[Path],
    *,
    contract: FeedContract | Versions,
    cadence: str,
    partner: str,
    period: Period | None,
) -> list[Landing]:
    """Take in one delivery of one or more files; one Landing per period the files cover.

    `contract`: one version, or all of the feed's, of which each period takes the one in force. `period` is needed
    unless the contract has a period column, by which rows are split. Raises Finding, and lands nothing, for a file
    that cannot be read under the contract, whose dates all lie in another period, or whose rows all name another
    partner.
    """
    checked_partner(partner)
    versions = contract if isinstance(contract, Versions) else Versions((contract,))
    feed = versions.newest.feed
    if isinstance(contract, Versions) and period is not None:
        versions = Versions((contract.at(period),))
    splitting = Versions(tuple(item for item in versions.of if item.role("period") is not None))
    if period is None and not splitting.of:
        raise Finding(
            "no period given",
            where=f"{versions.newest.index}/{feed}",
            found="no --month",
            expected="the period the files cover, for this feed has no period column",
            todo="add --month",
        )
    if len(versions.of) == 1:
        refusals.refuse_unexpected_partner(partner, versions.newest)
    with place(layout) as own:
        incoming = own.folder
        parts = _copy(files, incoming, versions.newest)
        if len(versions.of) == 1:
            found = write_typed(
                parts, incoming, contract=versions.newest, cadence=cadence, period=period, partner=partner
            )
            slices = {at: (rows, versions.newest) for at, rows in found.items()}
        else:
            slices = _by_version(parts, incoming, versions, splitting, cadence=cadence, partner=partner)
        with lock(layout.locks, f"{layout.index}-land-{feed}-{partner}"):
            return [
                _settle(layout, incoming, at, rows, parts, version, partner)
                for at, (rows, version) in sorted(slices.items(), key=lambda item: item[0])
            ]


def read_file(path: Path, *, contract: FeedContract, cadence: str, period: Period | None) -> Iterator[pl.DataFrame]:
    """The typed batches of one file outside the warehouse: what a partner's check and landing both see."""
    from dci_pipeline.feeds import typing

    refusals.refuse_no_file(path)
    with path.open("rb") as stream:
        yield from typing.typed(
            stream, name=path.name, size=path.stat().st_size, contract=contract, cadence=cadence, file=0, period=period
        )


def _copy(files: Sequence[Path], incoming: Path, contract: FeedContract) -> list[tuple[Part, Path]]:
    """Copies of the files in `incoming`, each hashed while it is copied, in the order of their names."""
    folder = incoming / "parts"
    folder.mkdir()
    parts: dict[str, tuple[Part, Path]] = {}
    taken = {RECEIPT, RECEIPT_COPY, TYPED}
    # Small enough to be read, hashed and written out of the processor's cache.
    chunk = memoryview(bytearray(_CHUNK))
    for source in files:
        refusals.refuse_no_file(source)
        size = source.stat().st_size
        if size > contract.max_bytes:
            raise Finding(
                "file above the size limit",
                where=source.name,
                found=f"{size:,} bytes",
                expected=f"at most {contract.max_bytes:,} bytes (contract, file.maxBytes)",
                todo="split the delivery into part files",
            )
        digest = hashlib.sha256()
        target = folder / secrets.token_hex(8)
        with source.open("rb", buffering=0) as reader, target.open("wb", buffering=0) as writer:
            while count := reader.readinto(chunk):
                digest.update(chunk[:count])
                written = 0
                while written < count:
                    written += writer.write(chunk[written:count])
            os.fsync(writer.fileno())
        sha256 = digest.hexdigest()
        if sha256 in parts:
            raise Finding(
                "the same file twice in one delivery",
                where=source.name,
                found=parts[sha256][0].name,
                expected="part files that differ",
                todo="name each file once",
            )
        parts[sha256] = (Part(_unique(safe_name(source.name), taken), size, sha256), target)
    return sorted(parts.values(), key=lambda item: (item[0].name, item[0].sha256))


def _unique(name: str, taken: set[str]) -> str:
    """The name, or one made of it, that is not `taken` yet; now it is."""
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{number}-{name}"
    taken.add(candidate)
    return candidate


def _by_version(
    parts: list[tuple[Part, Path]],
    incoming: Path,
    versions: Versions,
    splitting: Versions,
    *,
    cadence: str,
    partner: str,
) -> dict[Period, tuple[int, FeedContract]]:
    """Files of many periods, typed once under each version that splits by period; rows and version by period.

    A period takes the version in force in it alone. Raises Finding when a period's version cannot read the files.
    """
    found: dict[Period, tuple[int, FeedContract]] = {}
    seen: set[Period] = set()
    refused: dict[str, Finding] = {}
    for contract in reversed(splitting.of):

        def mine(at: Period, contract: FeedContract = contract) -> bool:
            seen.add(at)
            return versions.in_force(at) is contract

        try:
            rows = write_typed(
                parts, incoming, contract=contract, cadence=cadence, period=None, partner=partner, wanted=mine
            )
        except Finding as finding:
            refused[contract.version] = finding
            continue
        if rows:
            refusals.refuse_unexpected_partner(partner, contract)
        found |= {at: (number, contract) for at, number in rows.items()}
    if not seen:
        raise next(iter(refused.values()))
    lost = sorted(seen - set(found))
    if lost:
        version = versions.at(lost[0])
        why = refused.get(version.version)
        raise Finding(
            "a file that spans a change of the contract, and is not of both versions",
            where=", ".join(part.name for part, _ in parts),
            found=f"rows of {lost[0]}, which version {version.version} does not read"
            + (f": {why.problem}" if why else ": it has no period column"),
            expected=f"for each period the columns of the version in force ({version.where})",
            todo=f"ask the partner for one file for each version, and land the one of {lost[0]} by itself",
        )
    return found


def write_typed(
    parts: list[tuple[Part, Path]],
    folder: Path,
    *,
    contract: FeedContract,
    cadence: str,
    period: Period | None,
    partner: str,
    wanted: Callable[[Period], bool] | None = None,
) -> dict[Period, int]:
    """Typed Parquet of every period the parts cover, as `folder`/<period>.parquet; rows by period.

    `wanted` says which periods are kept where rows say their own. The bytes depend on parts and contract alone. Raises
    Finding as `land` does, and for a file without a row to keep unless `wanted` chooses.
    """
    import pyarrow.parquet as pq

    from dci_pipeline.feeds import typing

    writers: dict[Period, pq.ParquetWriter] = {}
    rows: dict[Period, int] = {}
    # A dictionary of values that hardly repeat costs a quarter of the writing and makes the file larger.
    apart = {column.name for role in ("record_id", "measure") for column in contract.roles(role)}
    repeating: Any = [*(column.name for column in contract.columns if column.name not in apart), "file", "unparsed"]
    # Least and greatest serve who reads a range of rows or of keys; of other columns they are only work.
    ranged: Any = ["file", "file_row", *(column.name for column in contract.roles("record_id"))]
    try:
        for number, (part, path) in enumerate(parts):
            tally: dict[str, Any] = {}
            with path.open("rb") as stream:
                for frame in typing.typed(
                    stream,
                    name=part.name,
                    size=part.bytes,
                    contract=contract,
                    cadence=cadence,
                    file=number,
                    period=period,
                ):
                    refusals.tally_dates(tally, frame, contract, period)
                    refusals.tally_partners(tally, frame, contract)
                    pieces = (
                        {period: frame} if contract.role("period") is None else typing.split(frame, contract, cadence)
                    )
                    for at, piece in pieces.items():
                        if at is None or period not in (None, at) or (wanted is not None and not wanted(at)):
                            continue
                        table = piece.to_arrow(compat_level=pl.CompatLevel.newest())
                        if at not in writers:
                            writers[at] = pq.ParquetWriter(
                                folder / f"{at}.parquet",
                                table.schema,
                                compression="zstd",
                                use_dictionary=repeating,
                                write_statistics=ranged,
                                store_schema=False,
                            )
                        writers[at].write_table(table, row_group_size=250_000)
                        rows[at] = rows.get(at, 0) + piece.height
            refusals.refuse_wrong_period(part.name, tally, contract, period)
            refusals.refuse_wrong_partner(part.name, tally, contract, partner)
    finally:
        for writer in writers.values():
            writer.close()
    if not rows and wanted is None:
        raise Finding(
            "no rows of the period",
            where=", ".join(part.name for part, _ in parts),
            found="nothing after the contract's row filter and period",
            expected=f"rows of {period or 'a period'}",
            todo="check the period and the contract's rowFilter",
        )
    return rows


def _settle(
    layout: Layout,
    incoming: Path,
    period: Period,
    rows: int,
    parts: list[tuple[Part, Path]],
    contract: FeedContract,
    partner: str,
) -> Landing:
    """Move one period's delivery into place, unless the current one is the same bytes."""
    sha256 = hashlib.sha256("".join(sorted(part.sha256 for part, _ in parts)).encode()).hexdigest()
    before = history(layout, contract.feed, period, partner)
    if before and before[-1].sha256 == sha256:
        restore(before[-1], {part.sha256: source for part, source in parts})
        return Landing(before[-1], new=False)
    ready = incoming / f"ready-{period}"
    ready.mkdir()
    for part, source in parts:
        os.link(source, ready / part.name)
    os.replace(incoming / f"{period}.parquet", ready / TYPED)
    sync(ready / TYPED)
    number = before[-1].number + 1 if before else 1
    receipt = {
        "feed": contract.feed,
        "period": period.key,
        "partner": partner,
        "sha256": sha256,
        "number": number,
        "supersedes": before[-1].sha256 if before else None,
        "received": datetime.now(UTC).isoformat(timespec="seconds"),
        "contract_version": contract.version,
        "reading": contract.reading,
        "rows": rows,
        "typed": content_of(ready / TYPED),
        "parts": [{"name": part.name, "bytes": part.bytes, "sha256": part.sha256} for part, _ in parts],
    }
    write_receipt(ready, receipt)
    again = sum(1 for item in before if item.sha256 == sha256)
    target = layout.deliveries(contract.feed, period, partner) / (sha256[:12] + (f"-{again + 1}" if again else ""))
    if isinstance(target, ObjectPath):
        # The receipt last: without it nothing is there. Whoever was killed before is written over with the same bytes.
        for name in (*(part.name for part, _ in parts), TYPED, RECEIPT_COPY, RECEIPT):
            put_object(target / name, ready / name)
    else:
        make_folder(target.parent)
        sync(ready)
        os.rename(ready, target)
        # Before anybody is told that it has landed.
        sync(target.parent)
    return Landing(_read(target / RECEIPT, period), new=True)


def restore(delivery: Delivery, copies: Mapping[str, Path]) -> list[str]:
    """Put files of a delivery back that are gone or have changed, from copies by SHA-256 in a place; their names."""
    mended: list[str] = []
    for part in delivery.parts:
        kept = delivery.folder / part.name
        if part.sha256 in copies and not is_whole(kept, part.sha256):
            mended.append(part.name)
            if isinstance(kept, ObjectPath):
                put_object(kept, copies[part.sha256])
                continue
            # Under another name first: one copy may be of several deliveries.
            again = copies[part.sha256].with_name(secrets.token_hex(8))
            os.link(copies[part.sha256], again)
            os.replace(again, kept)
    if mended and not isinstance(delivery.folder, ObjectPath):
        sync(delivery.folder)
    return mended


def typed_is_whole(delivery: Delivery) -> bool:
    """Whether the typed rows are those of the landing; without a hash, of before receipts had one, by their number."""
    if delivery.typed_sha256 is not None:
        return is_whole(delivery.typed, delivery.typed_sha256)
    try:
        return pl.scan_parquet(delivery.typed).select(pl.len()).collect().item() == delivery.rows
    except (pl.exceptions.PolarsError, OSError):
        return False


def type_again(delivery: Delivery, folder: Path, *, framework: Framework) -> str | None:
    """Typed rows from the bytes as received, put where they were; why not, when they do not come out as on landing."""
    parts = [(part, delivery.folder / part.name) for part in delivery.parts]
    if not all(is_whole(path, part.sha256) for part, path in parts):
        return "the bytes as received are damaged too: put them back first"
    versions = framework.versions[delivery.feed]
    contract = next((item for item in versions.of if item.reading == delivery.reading), versions.at(delivery.period))
    write_typed(
        parts, folder, contract=contract, cadence=framework.cadence, period=delivery.period, partner=delivery.partner
    )
    made = folder / f"{delivery.period}.parquet"
    if not is_whole(made, delivery.typed_sha256):
        return "the contract or the libraries read it otherwise today: land the files again"
    sync(made)
    os.replace(made, delivery.typed)
    return None


def refuse_damaged(delivery: Delivery) -> None:
    """Raise Finding unless the typed rows of a delivery are those that were written on landing."""
    if not is_whole(delivery.typed, delivery.typed_sha256):
        raise Finding(
            "damaged typed rows",
            where=str(delivery.typed),
            found="other bytes than were written" if delivery.typed.is_file() else "nothing",
            expected=f"SHA-256 {delivery.typed_sha256 or 'of the landing'}",
            todo="dci doctor --mend (it types the delivery again from the bytes as received), then dci run",
        )


def _read(path: Path, period: Period) -> Delivery:
    raw = whole_receipt(path)
    if raw is None:
        raise Unfit(
            "a damaged receipt",
            where=str(path),
            found="other bytes than were written",
            expected=f"those of {RECEIPT_COPY} beside it",
            todo="dci doctor --mend (it puts the copy back)",
        )
    return Delivery(
        feed=raw["feed"],
        period=period,
        partner=raw["partner"],
        sha256=raw["sha256"],
        number=raw["number"],
        supersedes=raw["supersedes"],
        received=raw["received"],
        contract_version=raw["contract_version"],
        reading=raw.get("reading", ""),
        rows=raw["rows"],
        parts=tuple(Part(**part) for part in raw["parts"]),
        folder=path.parent,
        typed_sha256=raw.get("typed", {}).get("sha256"),
    )
