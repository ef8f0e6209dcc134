"""What one look at a drop folder finds: whole files by delivery, what has to be refused, what waits and for what.

A file is whole when it has been the same for a settling time by our own clock, as seen by two looks (the times on a
file are its sender's), or when a checksum lies beside it and agrees. Between looks the caller keeps what was seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dci_pipeline.feeds.file_names import CHECKSUM, TEMPORARY, Names, Place, shown
from dci_pipeline.findings import Finding
from dci_pipeline.warehouse.deliveries import Landing
from dci_pipeline.warehouse.drop_folder import Changed, DropFolder, Entry

# More than these wait until some of these are gone: what a look remembers stays small.
MOST = 1000


@dataclass(frozen=True)
class Seen:
    """A file as it was when it was first seen so, in seconds of our own clock."""

    size: int
    changed: int
    inode: int
    since: float


Memory = dict[str, Seen]


@dataclass(frozen=True)
class Bundle:
    """The files of one delivery: one, or all its parts; with the checksums that lay beside them."""

    place: Place
    entries: tuple[Entry, ...]
    checksums: tuple[Entry, ...] = ()

    @property
    def names(self) -> str:
        return ", ".join(shown(entry.name) for entry in self.entries)


@dataclass(frozen=True)
class Landed:
    """A delivery that was taken in, and is no longer in the folder."""

    bundle: Bundle
    landings: tuple[Landing, ...]


@dataclass(frozen=True)
class Refused:
    """Files that were set aside, why, and where they are now; without a place they would be set aside."""

    names: str
    finding: Finding
    place: Path | None


@dataclass
class Look:
    """What one look at the folder found and did. `seen` is for the next look."""

    landed: list[Landed] = field(default_factory=list[Landed])
    ready: list[Bundle] = field(default_factory=list[Bundle])
    refused: list[Refused] = field(default_factory=list[Refused])
    waiting: dict[str, str] = field(default_factory=dict[str, str])
    trouble: dict[str, str] = field(default_factory=dict[str, str])
    seen: Memory = field(default_factory=dict[str, Seen])
    # Files that were not looked at yet, because there are so many.
    more: int = 0
    # Whether anything waits for nothing but time.
    settling: bool = False


def look_at(
    drop: DropFolder, names: Names, seen: Mapping[str, Seen], *, now: float, settle: float
) -> tuple[Look, list[tuple[list[Entry], Finding]]]:
    """Everything in the folder by what is to be done with it; apart from it what has to be refused, with the reason."""
    look = Look()
    wrong: list[tuple[list[Entry], Finding]] = []
    whole: list[tuple[Place, Entry, Entry | None]] = []
    listed, look.more = drop.entries(MOST)
    entries = {entry.name: entry for entry in listed}
    for entry in entries.values():
        before = seen.get(entry.name)
        same = before is not None and (before.size, before.changed, before.inode) == (
            entry.size,
            entry.changed,
            entry.inode,
        )
        since = before.since if before is not None and same and before.since <= now else now
        look.seen[entry.name] = Seen(entry.size, entry.changed, entry.inode, since)
    for entry in entries.values():
        item = look.seen[entry.name]
        settled = now - item.since >= settle
        try:
            if entry.name.lower().endswith(TEMPORARY) and entry.regular:
                look.waiting[entry.name] = "an upload that is not finished, by its name"
                continue
            of = entry.name[: -len(CHECKSUM)] if entry.name.lower().endswith(CHECKSUM) else None
            if of is not None and of in entries and entry.regular:
                continue
            if of is not None and entry.regular:
                look.waiting[entry.name] = "a checksum whose file is not here"
                continue
            place = _placed(names, entry)
            checksum = next((entries[name] for name in _checksums(entry.name) if name in entries), None)
            if checksum is not None and checksum.regular:
                grows = entry.name in seen and item.since == now and not settled
                # A large file that is still growing is not read again at every look.
                if not grows and drop.checksum(checksum, entry.name) == drop.sha256(entry):
                    whole.append((place, entry, checksum))
                elif settled and now - look.seen[checksum.name].since >= settle:
                    raise _disagrees(entry)
                else:
                    look.waiting[entry.name], look.settling = "its checksum does not agree yet", True
            elif settled:
                whole.append((place, entry, None))
            else:
                look.waiting[entry.name] = f"unchanged for {now - item.since:.0f} of {settle:.0f} s"
                look.settling = True
        except Changed:
            look.waiting[entry.name], look.settling = "somebody is writing it", True
        except Finding as finding:
            beside = [entries[name] for name in _checksums(entry.name) if name in entries]
            if settled and all(now - look.seen[other.name].since >= settle for other in beside):
                wrong.append(([entry, *beside], finding))
            else:
                look.waiting[entry.name], look.settling = f"to be refused, unless it changes: {finding.problem}", True
        except OSError as error:
            look.trouble[entry.name] = system_says(error)
    _bundled(look, wrong, whole)
    return look, wrong


def _placed(names: Names, entry: Entry) -> Place:
    """The delivery an entry belongs to. Raises Finding for a name nobody knows and for what is no ordinary file."""
    if not entry.regular:
        raise Finding(
            "not an ordinary file",
            where=shown(entry.name),
            found="a folder, a link or a device",
            expected="files, side by side",
            todo="send the file itself; folders and links are not followed",
        )
    return names.place(entry.name)


def _checksums(name: str) -> tuple[str, str]:
    return name + CHECKSUM, name + CHECKSUM.upper()


def _disagrees(entry: Entry) -> Finding:
    return Finding(
        "the checksum is of another file",
        where=shown(entry.name),
        found="a SHA-256 that is not the one in the checksum file",
        expected="the two to agree",
        todo="send file and checksum again; it was damaged on the way, or changed after the checksum was made",
    )


def _bundled(
    look: Look, wrong: list[tuple[list[Entry], Finding]], whole: Sequence[tuple[Place, Entry, Entry | None]]
) -> None:
    """Whole files as deliveries, the earlier sent first; parts of one that is not complete wait for the others."""
    single: list[Bundle] = []
    split: dict[tuple[str, str, object, int], list[tuple[Place, Entry, Entry | None]]] = {}
    for place, entry, checksum in whole:
        if place.parts is None:
            single.append(Bundle(place, (entry,), (checksum,) if checksum else ()))
        else:
            split.setdefault((place.feed, place.partner, place.period, place.parts), []).append(
                (place, entry, checksum)
            )
    for (_, _, _, count), files in split.items():
        numbers = sorted(place.part or 0 for place, _, _ in files)
        twice = sorted({number for number in numbers if numbers.count(number) > 1})
        if twice:
            listed = [entry for _, entry, checksum in files for entry in (entry, checksum) if entry is not None]
            wrong.append((listed, _part_twice(listed, twice)))
            continue
        missing = sorted(set(range(1, count + 1)) - set(numbers))
        if missing:
            few = ", ".join(map(str, missing[:5])) + (", …" if len(missing) > 5 else "")
            look.waiting |= dict.fromkeys((entry.name for _, entry, _ in files), f"waits for part {few} of {count}")
            continue
        files.sort(key=lambda item: item[0].part or 0)
        checksums = tuple(checksum for _, _, checksum in files if checksum is not None)
        single.append(Bundle(files[0][0], tuple(entry for _, entry, _ in files), checksums))
    look.ready = sorted(single, key=lambda bundle: (max(entry.changed for entry in bundle.entries), bundle.names))


def _part_twice(entries: Sequence[Entry], twice: Sequence[int]) -> Finding:
    return Finding(
        "a part file that is there twice",
        where=", ".join(shown(entry.name) for entry in entries),
        found="part " + ", ".join(map(str, twice)) + " more than once",
        expected="each part once",
        todo="send the parts of the delivery again, each once",
    )


def system_says(error: OSError) -> str:
    """What the operating system refused, in one line."""
    return f"the system refused: {error.strerror or error}" + (
        f" ({shown(str(error.filename))})" if error.filename else ""
    )
