"""A drop folder on disk: what lies in it, taking files out of partners' reach, putting them back or setting them aside.

Partners write here, so nothing in it is trusted: links are not followed, only ordinary files are opened, and a file is
renamed into a folder of our own before it is read. Nothing is ever deleted but what has been landed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dci_pipeline.feeds.file_names import CHECKSUM, shown
from dci_pipeline.findings import Finding
from dci_pipeline.warehouse.layout import safe_name

REFUSED = "refused"
WHY = ".why.txt"
_TAKEN = ".taken"
_CHUNK = 1 << 20
_LONGEST = 200  # bytes of a name that still leave room for what is put before and behind it
_CHECKSUM_LINE = re.compile(r"\\?([0-9a-fA-F]{64})(?:[ \t]+\*?(.*))?")


@dataclass(frozen=True)
class Entry:
    """One thing in the folder as it was when looked at; times in nanoseconds."""

    name: str
    size: int
    changed: int
    inode: int
    regular: bool


class Changed(Exception):
    """A file is no longer the one that was looked at: somebody is still at it."""


@dataclass(frozen=True)
class DropFolder:
    """One index's drop folder."""

    home: Path

    def entries(self, most: int) -> tuple[list[Entry], int]:
        """What lies in the folder, by name, hidden things and what was refused left out: `most` of it, and the rest."""
        if not self.home.exists():
            return [], 0
        paths = sorted(path for path in self.home.iterdir() if not path.name.startswith(".") and path.name != REFUSED)
        found: list[Entry] = []
        for path in paths[:most]:
            with suppress(FileNotFoundError):  # renamed since by whoever put it there
                found.append(_entry(path))
        return found, max(0, len(paths) - most)

    def sha256(self, entry: Entry) -> str:
        """SHA-256 of a file that lies in the folder. Raises Changed when it is another by now."""
        digest = hashlib.sha256()
        with os.fdopen(self._open(entry), "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
            _unchanged(entry, os.fstat(file.fileno()))
        return digest.hexdigest()

    def checksum(self, entry: Entry, of: str) -> str:
        """The SHA-256 that a checksum file holds for the file `of`. Raises Finding for anything but one such line."""
        with os.fdopen(self._open(entry), "rb") as file:
            text = file.read(4096).decode("utf-8", "backslashreplace").removeprefix("\ufeff").strip()
        match = _CHECKSUM_LINE.fullmatch(text)
        if match is None or (match.group(2) is not None and match.group(2).removeprefix("./") != of):
            raise Finding(
                "not a checksum of this file",
                where=shown(entry.name),
                found=shown(text[:200]) or "nothing",
                expected=f"one line as sha256sum writes it: 64 hexadecimal digits, two blanks, {shown(of)}",
                todo=f"make it again: sha256sum {shown(of)} > {shown(of)}{CHECKSUM}",
            )
        return match.group(1).lower()

    def take(self, entries: Sequence[Entry]) -> list[Path]:
        """Moves files out of partners' reach, under their names. Raises Changed, and moves none, if one is another."""
        folder = _own(self.home / _TAKEN) / f"{os.getpid()}-{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700)
        taken: list[Path] = []
        try:
            for entry in entries:
                try:
                    os.rename(self.home / entry.name, folder / entry.name)
                except FileNotFoundError as error:
                    raise Changed(entry.name) from error
                taken.append(folder / entry.name)
            self.still(taken, entries)
        except BaseException:
            self.give_back()
            raise
        return taken

    def still(self, taken: Sequence[Path], entries: Sequence[Entry]) -> None:
        """Raises Changed unless files taken are what they were: one open for writing elsewhere may go on growing."""
        for path, entry in zip(taken, entries, strict=True):
            _unchanged(entry, os.lstat(path))

    def give_back(self) -> None:
        """Puts everything taken back under its name: work that broke off or could not be done now.

        One whose name has been used again is set aside: its sender has replaced it.
        """
        if not os.path.lexists(self.home / _TAKEN):
            return
        for path in sorted(_own(self.home / _TAKEN).glob("*/*")):
            if not _moved(path, self.home / path.name):
                replaced = Finding(
                    "replaced before it could be taken in",
                    where=shown(path.name),
                    found="a newer file of this name",
                    expected="one file of a name at a time",
                    todo="nothing, if the newer file is the right one",
                )
                self.refuse([path], replaced)
        self._tidy()

    def remove(self, taken: Iterable[Path]) -> None:
        """Deletes files that were taken and have been landed."""
        for path in taken:
            path.unlink()
        self._tidy()

    def refuse(self, paths: Sequence[Path], finding: Finding) -> Path:
        """Moves files into `refused`, the reason beside the first; never over anything there. The first one's place."""
        folder = _own(self.home / REFUSED, mode=0o755)
        base, number = _fitting(safe_name(paths[0].name)), 1
        while True:
            target = folder / (base if number == 1 else f"{number}-{base}")
            others = [folder / f"{target.name}.{at}.{_fitting(safe_name(path.name))[-40:]}" for at, path in
                      enumerate(paths[1:], start=2)]  # fmt: skip
            with suppress(FileExistsError):
                if not any(os.path.lexists(path) for path in (target, *others)):
                    self._say(target.with_name(target.name + WHY), paths, finding)
                    break
            number += 1
        for path, place in zip(paths, [target, *others], strict=True):
            os.rename(path, place)
        self._tidy()
        return target

    def _say(self, path: Path, paths: Sequence[Path], finding: Finding) -> None:
        """The reason as a text file that was not there before. Raises FileExistsError otherwise."""
        arrived = ", ".join(shown(item.name) for item in paths)
        text = f"{finding}\n\nfiles:    {arrived}\nrefused:  {datetime.now(UTC).isoformat(timespec='seconds')}\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def _open(self, entry: Entry) -> int:
        descriptor = os.open(self.home / entry.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _unchanged(entry, os.fstat(descriptor))
        except Changed:
            os.close(descriptor)
            raise
        return descriptor

    def _tidy(self) -> None:
        for folder in (self.home / _TAKEN).glob("*"):
            with suppress(OSError):  # not empty: what is in it is put back first
                folder.rmdir()


def _own(folder: Path, *, mode: int = 0o700) -> Path:
    """A folder in the drop folder that is ours. Raises OSError when somebody else has put something in its place."""
    folder.mkdir(mode=mode, exist_ok=True)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise NotADirectoryError(errno.ENOTDIR, "not a folder made by this program", str(folder))
    return folder


def _entry(path: Path) -> Entry:
    found = os.lstat(path)
    return Entry(path.name, found.st_size, found.st_mtime_ns, found.st_ino, stat.S_ISREG(found.st_mode))


def _unchanged(entry: Entry, found: os.stat_result) -> None:
    now = (found.st_size, found.st_mtime_ns, found.st_ino, stat.S_ISREG(found.st_mode))
    if now != (entry.size, entry.changed, entry.inode, entry.regular):
        raise Changed(entry.name)


def _moved(path: Path, target: Path) -> bool:
    """Moves a file to a name that nobody has; False, and nothing is moved, when somebody has it."""
    try:
        os.link(path, target, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError:
        # A file of somebody else may be moved but not linked, a folder never: then there is a moment between the two.
        if os.path.lexists(target):
            return False
        os.rename(path, target)
        return True
    path.unlink()
    return True


def _fitting(name: str) -> str:
    """The end of a name, no longer than what may stand in a folder with more around it."""
    while len(name.encode()) > _LONGEST:
        name = name[1:]
    return name
