"""Committed tables: one Parquet file per partition, written beside and renamed over, and a stamp of what it came from.

Sealed as well: rows are read, counted and published only from a file whose bytes are those that were written.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import polars as pl

from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period
from dci_pipeline.retrying import is_transient
from dci_pipeline.warehouse import large
from dci_pipeline.warehouse.formats import refuse_newer
from dci_pipeline.warehouse.layout import PART, Layout
from dci_pipeline.warehouse.locks import lock
from dci_pipeline.warehouse.objects import ObjectPath, local
from dci_pipeline.warehouse.places import place
from dci_pipeline.warehouse.seals import BLANK, MARK, SEAL_KEY, UNSEALED, difference, seal
from dci_pipeline.warehouse.stamps import DATA_KEY, MADE_KEY, Stamp, code_version

_ROW_GROUP = 250_000
# Most tables read in a run are asked for again: by the next table, the next period, the same period a year later.
_REMEMBERED_BYTES = 512 << 20


@dataclass(frozen=True)
class Commit:
    """What a commit did: `changed` is False when the partition already held these rows."""

    path: Path
    rows: int
    data_version: str
    changed: bool


@dataclass(frozen=True)
class _Decoded:
    """The rows of a partition's file, which file it was, and what made it."""

    which: tuple[int, ...]
    made_by: str
    frame: pl.DataFrame
    size: int


class Warehouse:
    """The committed tables of one index."""

    def __init__(self, root: Path, index: str):
        self.layout = Layout(root, index)
        self._seen: dict[Path, tuple[int, ...]] | None = None
        self._frames: dict[Path, _Decoded] = {}
        self._remembered = 0  # bytes
        self._footers: dict[Path, tuple[tuple[int, ...], dict[str, str]]] = {}
        refuse_newer(root)

    @property
    def index(self) -> str:
        return self.layout.index

    def stamp(self, inputs: Mapping[str, str], *, contract: str = "") -> Stamp:
        """A stamp of this code over `inputs`."""
        return Stamp(inputs=inputs, contract=contract, code=code_version())

    def lock(self, name: str) -> AbstractContextManager[None]:
        """The lock that serialises equal work on this index."""
        return lock(self.layout.locks, f"{self.index}-{name}")

    def fresh(self, stage: str, table: str, period: Period | None, stamp: Stamp, *, partner: str | None = None) -> bool:
        """Whether the committed partition was made from exactly this, or came out the same from it."""
        path = self.layout.table(stage, table, period, partner)
        self._note(path)
        held = self._metadata(path)
        return held.get(MADE_KEY) == stamp.made_by and _said(path) == stamp.text(held[DATA_KEY])

    def inputs(
        self, stage: str, table: str, period: Period | None = None, *, partner: str | None = None
    ) -> dict[str, str]:
        """What a committed partition was made from, by name and content hash; empty when there is none."""
        return dict(self.stamped(stage, table, period, partner=partner).get("inputs", {}))

    def stamped(
        self, stage: str, table: str, period: Period | None = None, *, partner: str | None = None
    ) -> dict[str, Any]:
        """The whole stamp beside a partition: code, contract, data_version, inputs; empty when there is none."""
        try:
            return dict(json.loads(_said(self.layout.table(stage, table, period, partner)) or "{}"))
        except ValueError:
            return {}

    def data_version(
        self, stage: str, table: str, period: Period | None = None, *, partner: str | None = None
    ) -> str | None:
        """Content hash of a committed partition, or None when there is none."""
        path = self.layout.table(stage, table, period, partner)
        self._note(path)
        return self._metadata(path).get(DATA_KEY)

    def rows(self, stage: str, table: str, period: Period | None = None) -> int:
        """Rows of a committed partition, from its footer. Raises Finding for a damaged one."""
        content = io.BytesIO(self._content(self.layout.table(stage, table, period)))
        return int(pl.scan_parquet(content).select(pl.len()).collect().item())

    def commit(
        self,
        stage: str,
        table: str,
        frame: pl.DataFrame,
        *,
        stamp: Stamp,
        period: Period | None = None,
        partner: str | None = None,
    ) -> Commit:
        """Write one partition atomically; rows must come sorted by key. The bytes depend on rows, contract and code.

        A partition that holds these very rows already is left as it is, and only its stamp is renewed.
        """
        path = self.layout.table(stage, table, period, partner)
        frame = frame.rechunk()
        content, data_version = _versioned(frame, stamp.made_by)
        before = self._metadata(path)
        changed = before.get(DATA_KEY) != data_version
        text = stamp.text(data_version).encode()
        if changed or before.get(MADE_KEY) != stamp.made_by or difference(path.read_bytes()) is not None:
            # The rows first: a process that dies in between leaves a stamp of other rows, which vouches for nothing.
            put_all(self.layout, {path: content}, {self.layout.stamp(path): text})
            self._note(path, anew=True)
            if partner is None:  # slices are many, and asked for once
                self._remember(path, _Decoded(_which(path), stamp.made_by, frame, int(frame.estimated_size())))
        else:
            self._vouch(path, stamp, data_version)
        return Commit(path=path, rows=frame.height, data_version=data_version, changed=changed)

    def commit_frames(
        self,
        stage: str,
        table: str,
        frames: Iterable[pl.DataFrame],
        *,
        stamp: Stamp,
        period: Period | None = None,
        partner: str | None = None,
    ) -> Commit:
        """As `commit`, for rows that come in frames and are more than memory may hold; the first frame may be empty."""
        path = self.layout.table(stage, table, period, partner)
        blanks = _blanks(stamp.made_by)
        with place(self.layout) as own:
            ready = own.folder / path.name
            rows = large.write(ready, frames, blanks)
            data_version = large.sha256(ready)
            before = self._metadata(path)
            changed = before.get(DATA_KEY) != data_version
            if changed or before.get(MADE_KEY) != stamp.made_by or large.difference(local(path, own.folder)):
                large.fill(ready, {blanks[DATA_KEY]: data_version, blanks[MADE_KEY]: stamp.made_by})
                large.seal(ready)
                if isinstance(path, ObjectPath):
                    put_object(path, ready)
                else:
                    with ready.open("rb") as file:
                        os.fsync(file.fileno())
                    path.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(ready, path)
                self._note(path, anew=True)
        self._vouch(path, stamp, data_version)
        return Commit(path=path, rows=rows, data_version=data_version, changed=changed)

    def head(self, stage: str, table: str, period: Period, *, partner: str, rows: int) -> pl.DataFrame:
        """The first rows of a partition, which is not read whole. Raises Finding when it is damaged."""
        path = self.layout.table(stage, table, period, partner)
        self._note(path)
        if not isinstance(path, ObjectPath):
            return self._head(path, path, rows)
        with self.scratch() as scratch:
            return self._head(path, local(path, scratch), rows)

    def _head(self, path: Path, file: Path, rows: int) -> pl.DataFrame:
        wrong = large.difference(file)
        if wrong is not None:
            raise self._damaged(path, *wrong)
        return pl.scan_parquet(file, glob=False, hive_partitioning=False).head(rows).collect()

    def _vouch(self, path: Path, stamp: Stamp, data_version: str) -> None:
        # After the rows, as in `commit`.
        text = stamp.text(data_version)
        if _said(path) != text:
            put(self.layout, self.layout.stamp(path), text.encode(), durable=False)

    def commit_document(
        self, stage: str, table: str, name: str, document: object, *, period: Period, partner: str
    ) -> Path:
        """Write a JSON document, a suite or a result, into a table's folder: atomically, sealed as rows are."""
        path = self.layout.table(stage, table, period, partner).with_name(name)
        sealed = {"document": document, "seal": UNSEALED}
        text = json.dumps(sealed, ensure_ascii=False, indent=1, sort_keys=True, default=str)
        put(self.layout, path, seal(text.encode()))
        return path

    def holds(self, stage: str, table: str, period: Period, *, partner: str, names: Sequence[str] = (PART,)) -> bool:
        """Whether the files of a slice are there: the stamp of one table may vouch for several."""
        folder = self.layout.table(stage, table, period, partner).parent
        return all((folder / name).is_file() for name in names)

    def read(
        self, stage: str, table: str, periods: Iterable[Period] | Period | None = None, *, partner: str | None = None
    ) -> pl.DataFrame:
        """The rows of the named partitions, in the order named.

        Raises Finding for a partition that is not there or is damaged, and for partitions that different code or
        contracts wrote.
        """
        if periods is None:
            wanted: list[Period | None] = [None]
        else:
            wanted = [periods] if isinstance(periods, Period) else list(periods)
        paths = [self.layout.table(stage, table, period, partner) for period in wanted]
        for period, path in zip(wanted, paths, strict=True):
            self._note(path)
            if not path.is_file():
                raise self._absent(stage, table, period)
        decoded = [self._decoded(path) for path in paths]
        self._refuse_mix(stage, table, {item.made_by for item in decoded})
        return decoded[0].frame if len(decoded) == 1 else pl.concat([item.frame for item in decoded], how="vertical")

    def rows_where(
        self,
        stage: str,
        table: str,
        periods: Sequence[Period],
        predicate: pl.Expr,
        *,
        partner: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Rows of the named partitions that a predicate chooses, in the order named; of the others little is decoded.

        `columns`: these alone. Raises Finding as `read` does.
        """
        paths = [self.layout.table(stage, table, period, partner) for period in periods]
        contents: list[IO[bytes]] = [
            io.BytesIO(self._there(stage, table, path, period)) for period, path in zip(periods, paths, strict=True)
        ]
        self._refuse_mix(stage, table, {self._metadata(path).get(MADE_KEY, "{}") for path in paths})
        found = pl.scan_parquet(contents).filter(predicate)
        return (found if columns is None else found.select(columns)).collect()

    def existing(self, stage: str, table: str, periods: Iterable[Period]) -> list[Period]:
        """Those of `periods` whose partition is committed, in order."""
        found: list[Period] = []
        for period in periods:
            path = self.layout.table(stage, table, period)
            self._note(path)
            if path.is_file():
                found.append(period)
        return found

    def written(self, stage: str, table: str, period: Period) -> int:
        """When a partition was last written, in nanoseconds; 0 when there is none."""
        try:
            return self.layout.table(stage, table, period).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def partitions(self, stage: str, table: str) -> list[Path]:
        """Every committed partition file of a table, sorted by path."""
        return sorted((self.layout.home / stage / table).rglob(PART))

    def remove(self, stage: str, table: str, period: Period, *, partner: str) -> None:
        """Take away a derived slice whose delivery is no longer there."""
        path = self.layout.table(stage, table, period, partner)
        for gone in (self.layout.stamp(path), path):
            with suppress(FileNotFoundError):
                gone.unlink()

    def slices(self, stage: str, table: str, period: Period) -> list[str]:
        """Partners that have a committed slice of a table for a period."""
        folder = self.layout.table(stage, table, period).parent
        return sorted(path.parent.name.removeprefix("partner=") for path in folder.glob(f"partner=*/{PART}"))

    def version_of(self, path: Path) -> str:
        """Content hash of a committed partition, for who reads its file. Raises Finding for a damaged one."""
        return pl.read_parquet_metadata(io.BytesIO(self._content(path))).get(DATA_KEY, "")

    def frame_of(self, path: Path) -> pl.DataFrame:
        """The rows of a committed partition, for who knows its file; not kept in memory. Raises Finding: damaged."""
        return pl.read_parquet(self._content(path))

    @staticmethod
    def local(path: Path, scratch: Path) -> Path:
        """A file of the warehouse as an engine opens it: itself on a disk, a copy in `scratch` of an object."""
        return local(path, scratch)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder on the warehouse's disk for an engine to spill and sink into; gone when the block ends."""
        with place(self.layout) as own:
            yield own.folder

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Notes every partition asked for in the block, for `moved`."""
        before, self._seen = self._seen, {}
        try:
            yield
        finally:
            self._seen = before

    def moved(self) -> list[Path]:
        """The partitions asked for, and the one to be written, that another process has put others in place of."""
        return [path for path, was in (self._seen or {}).items() if _which(path) != was]

    def _note(self, path: Path, *, anew: bool = False) -> None:
        """Notes which file a partition is, before it is looked at; the first look counts, or one's own writing."""
        if self._seen is not None and (anew or path not in self._seen):
            self._seen[path] = _which(path)

    def _decoded(self, path: Path) -> _Decoded:
        """The rows of a partition; those of a file that is still the one read before are not read again."""
        which = _which(path)
        found = self._frames.get(path)
        if found is None or found.which != which:
            content = self._content(path)
            made_by = pl.read_parquet_metadata(io.BytesIO(content)).get(MADE_KEY, "{}")
            frame = pl.read_parquet(content)
            found = _Decoded(which, made_by, frame, int(frame.estimated_size()))
        self._remember(path, found)
        return found

    def _remember(self, path: Path, found: _Decoded) -> None:
        before = self._frames.pop(path, None)
        self._remembered += found.size - (before.size if before is not None else 0)
        self._frames[path] = found  # asked for last, forgotten last
        while self._remembered > _REMEMBERED_BYTES and len(self._frames) > 1:
            self._remembered -= self._frames.pop(next(iter(self._frames))).size

    def _refuse_mix(self, stage: str, table: str, made_by: Collection[str]) -> None:
        if len(made_by) > 1:
            stamps = {_code_and_contract(text) for text in made_by}
            raise Finding(
                "partitions written by different code or contracts",
                where=f"{self.index}/{stage}/{table}",
                found="; ".join(sorted(f"code {code}, contract {contract[:12]}" for code, contract in stamps)),
                expected="one code and contract version",
                todo=f"dci run --index {self.index} (it recomputes what is out of date)",
            )

    def _there(self, stage: str, table: str, path: Path, period: Period) -> bytes:
        self._note(path)
        try:
            return self._content(path)
        except FileNotFoundError:
            raise self._absent(stage, table, period) from None

    def _absent(self, stage: str, table: str, period: Period | None) -> Finding:
        return Finding(
            "not computed yet",
            where=f"{self.index}/{stage}/{table}",
            found=f"no partition {period or ''}".strip(),
            expected=PART,
            todo=f"dci run --index {self.index} --from {period} --to {period}"
            if period
            else f"dci run --index {self.index}",
        )

    def _content(self, path: Path) -> bytes:
        """The bytes of a partition, which are those that were committed."""
        content = path.read_bytes()
        wrong = difference(content)
        if wrong is not None:
            raise self._damaged(path, *wrong)
        return content

    def _metadata(self, path: Path) -> dict[str, str]:
        """What a partition says of itself, without its rows being looked at; empty when there is none."""
        which = _which(path)
        if which and path in self._footers and self._footers[path][0] == which:
            return self._footers[path][1]
        try:
            if isinstance(path, ObjectPath):
                with path.open("rb") as copy:
                    said = pl.read_parquet_metadata(copy)
            else:
                said = pl.read_parquet_metadata(path)
            self._footers[path] = (which, said)
            return said
        except FileNotFoundError:
            return {}
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            if is_transient(error):
                raise  # the disk did not answer, which says nothing of the file
            raise self._damaged(path, str(error), "a Parquet file") from error

    def _damaged(self, path: Path, found: str, expected: str) -> Finding:
        return Finding(
            "a damaged table",
            where=path.relative_to(self.layout.root).as_posix(),
            found=found,
            expected=expected,
            todo="delete this file and run again (dci doctor --mend does it)",
        )


def _said(path: Path) -> str | None:
    """The stamp beside a partition, as text; None when there is none or it is no text."""
    try:
        return Layout.stamp(path).read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def put(layout: Layout, path: Path, content: bytes, *, durable: bool = True) -> None:
    """Put `content` at `path` so that a reader sees the old file or the new one, whole; `durable` as in `put_all`."""
    put_all(layout, *(({path: content}, {}) if durable else ({}, {path: content})))


def put_all(layout: Layout, durable: Mapping[Path, bytes], others: Mapping[Path, bytes]) -> None:
    """Put files in their order, the durable ones first, each as `put` does.

    The others may be lost or empty after a power cut: for what is made again when it does not fit.
    """
    files = {**durable, **others}
    if isinstance(next(iter(files)), ObjectPath):
        for path, content in files.items():
            assert isinstance(path, ObjectPath)
            put_object(path, content)
        return
    with place(layout) as own:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            ready = own.folder / path.name
            with ready.open("wb") as file:
                file.write(content)
                file.flush()
                if path in durable:
                    os.fsync(file.fileno())
            os.replace(ready, path)


def put_object(path: ObjectPath, content: bytes | Path) -> None:
    """Put an object, bytes or a file of this machine, unless the lease on this work has lapsed."""
    from dci_pipeline.warehouse.leases import refuse_lapsed

    refuse_lapsed()
    path.put(content)


def _which(path: Path) -> tuple[int, ...]:
    """Which file it is: a commit puts another in its place."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _versioned(frame: pl.DataFrame, made_by: str) -> tuple[bytes, str]:
    """The file of a partition, sealed, and its data version: the hash of the file with what made it left blank."""
    blanks = _blanks(made_by)
    buffer = io.BytesIO()
    # Level 1 takes half the time of level 3 for files a thirtieth larger.
    frame.write_parquet(
        buffer, compression="zstd", compression_level=1, statistics=True, row_group_size=_ROW_GROUP, metadata=blanks
    )
    content = bytearray(buffer.getbuffer())
    # The last one counts, as the footer is last.
    places = {blank: content.rfind(blank.encode()) for blank in blanks.values()}
    # All of them stand in the footer, so that the rows before it are hashed once, for the version and for the seal.
    footer = min(places.values())
    rows = hashlib.sha256(memoryview(content)[:footer])
    version = _hashed_on(rows, content[footer:])
    for blank, text in ((blanks[DATA_KEY], version), (blanks[MADE_KEY], made_by)):
        # Both are of one length, so that nothing else moves.
        content[places[blank] : places[blank] + len(blank)] = text.encode()
    digest = places[UNSEALED] + len(MARK)
    content[digest : digest + len(BLANK)] = _hashed_on(rows, content[footer:]).encode()
    return bytes(content), version


def _hashed_on(start: hashlib._Hash, rest: bytes | bytearray) -> str:
    digest = start.copy()
    digest.update(rest)
    return digest.hexdigest()


def _blanks(made_by: str) -> dict[str, str]:
    """What stands in a file for its version, what made it and its seal until they are known, as long as they are."""
    return {
        DATA_KEY: "dci:version:".ljust(64, "-"),
        MADE_KEY: "dci:made_by:".ljust(len(made_by), "-"),
        SEAL_KEY: UNSEALED,
    }


def _code_and_contract(made_by: str) -> tuple[str, str]:
    stamp: dict[str, Any] = json.loads(made_by)
    return str(stamp.get("code", "")), str(stamp.get("contract", ""))
