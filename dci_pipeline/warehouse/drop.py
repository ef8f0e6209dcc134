"""Deliveries taken from a drop folder: what is whole is landed, what cannot be landed is set aside with the reason.

A look that breaks off loses nothing: a file leaves the folder after it has been landed, and the same bytes landed
again are one delivery. What the system refuses (no room, no permission) is said and stays where it is.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from dci_pipeline.contracts import FeedContract, Versions
from dci_pipeline.feeds.file_names import Names, Place, shown
from dci_pipeline.findings import Conflict, Finding, Unfit
from dci_pipeline.settings import Settings
from dci_pipeline.warehouse import arrived, deliveries
from dci_pipeline.warehouse.deliveries import Landing
from dci_pipeline.warehouse.drop_folder import Changed, DropFolder, Entry
from dci_pipeline.warehouse.drop_look import Bundle, Landed, Look, Refused, Seen, look_at, system_says
from dci_pipeline.warehouse.layout import Layout
from dci_pipeline.warehouse.locks import lock


def folder_of(settings: Settings, index: str) -> Path:
    """The drop folder of an index, made when it is missing. Raises Finding when DCI_DROP names no folder."""
    if settings.drop is not None and not settings.drop.is_dir():
        # Made here, a folder would hide that a share is not mounted or that the name is wrong.
        raise Finding(
            "no such folder",
            where="DCI_DROP",
            found=str(settings.drop),
            expected=f"the folder that holds {index}/, in which partners put their files",
            todo="make it, mount it, or correct DCI_DROP",
        )
    folder = settings.drop_of(index)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def collect(
    layout: Layout,
    folder: Path,
    *,
    feeds: Mapping[str, FeedContract],
    cadence: str,
    seen: Mapping[str, Seen],
    now: float,
    settle: float,
    notes: bool = False,
    seconds: float = float("inf"),
    versions: Mapping[str, Versions] | None = None,
) -> Look:
    """Land what is whole, set aside what cannot be landed, and say what waits.

    `feeds` say what files are called; a file is read under the version of `versions` in force in its period.
    `seen` is what the look before remembered, `now` the time in seconds. With `notes` a note of every feed and period
    landed is left for whoever tells the engine. No delivery is begun after `seconds`. Raises Conflict while another
    look is at work, OSError when the folder cannot be read.
    """
    drop = DropFolder(folder)
    started = time.monotonic()
    try:
        with lock(layout.locks, f"{layout.index}-collect", wait_seconds=0):
            drop.give_back()
            look, wrong = look_at(drop, Names(feeds, cadence), seen, now=now, settle=settle)
            for entries, finding in wrong:
                _refuse(drop, look, entries, finding)
            for bundle in look.ready:
                if time.monotonic() - started > seconds:
                    look.waiting |= dict.fromkeys(
                        (entry.name for entry in bundle.entries), "whole; its turn comes next"
                    )
                    continue
                feed = bundle.place.feed
                _land(layout, drop, look, bundle, (versions or feeds)[feed], cadence, notes=notes)
            look.ready = []
    except Conflict as conflict:
        raise Conflict(
            "another look at the drop folder is at work",
            where=str(folder),
            found="its lock is held",
            expected="one look at a time",
            todo="wait until it is done; a large file takes minutes",
        ) from conflict
    gone = {entry.name for item in look.landed for entry in (*item.bundle.entries, *item.bundle.checksums)}
    look.seen = {name: item for name, item in look.seen.items() if name not in gone}
    return look


def foresee(layout: Layout, folder: Path, *, feeds: Mapping[str, FeedContract], cadence: str) -> Look:
    """What `collect` would do with the files as they are, once they have settled. Changes nothing."""
    look, wrong = look_at(DropFolder(folder), Names(feeds, cadence), {}, now=0.0, settle=0.0)
    for entries, finding in wrong:
        look.refused.append(Refused(", ".join(shown(entry.name) for entry in entries), finding, None))
    return look


def _land(
    layout: Layout,
    drop: DropFolder,
    look: Look,
    bundle: Bundle,
    contract: FeedContract | Versions,
    cadence: str,
    *,
    notes: bool,
) -> None:
    """Land one delivery and let go of its files; whatever stands in the way is said in `look`."""
    place, entries = bundle.place, (*bundle.entries, *bundle.checksums)
    names = [entry.name for entry in bundle.entries]
    try:
        taken = drop.take(entries)
        try:
            files = taken[: len(bundle.entries)]
            landings = _again(layout, place, files) or deliveries.land(
                layout, files, contract=contract, cadence=cadence, partner=place.partner, period=place.period
            )
            drop.still(taken, entries)
            if notes:
                for landing in landings:
                    arrived.note(layout, place.feed, landing.delivery.period)
            drop.remove(taken)
        except Conflict as conflict:
            look.waiting |= dict.fromkeys(names, conflict.problem)
        except Unfit as unfit:
            # Not the file's fault: it stays where it is for the next look.
            look.trouble |= dict.fromkeys(names, str(unfit))
        except Finding as finding:
            look.refused.append(Refused(bundle.names, finding, drop.refuse(taken, finding)))
        else:
            look.landed.append(Landed(bundle, tuple(landings)))
        finally:
            drop.give_back()
    except Changed:
        look.waiting |= dict.fromkeys(names, "somebody is writing it")
    except OSError as error:
        look.trouble |= dict.fromkeys(names, system_says(error))
    except Exception as error:
        # One file the program cannot cope with must not keep all others waiting.
        look.trouble |= dict.fromkeys(names, f"an error in the program: {type(error).__name__}: {error}")


def _again(layout: Layout, place: Place, files: Sequence[Path]) -> list[Landing]:
    """The landing these very files have had already, if any: a look broke off, or they were sent twice."""
    if place.period is None:
        return []
    before = deliveries.history(layout, place.feed, place.period, place.partner)[-1:]
    if not before or sorted(part.bytes for part in before[0].parts) != sorted(file.stat().st_size for file in files):
        return []
    digests: list[str] = []
    for file in files:
        with file.open("rb") as stream:
            digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    same = sorted(part.sha256 for part in before[0].parts) == sorted(digests)
    return [Landing(before[0], new=False)] if same else []


def _refuse(drop: DropFolder, look: Look, entries: Sequence[Entry], finding: Finding) -> None:
    names = ", ".join(shown(entry.name) for entry in entries)
    try:
        try:
            look.refused.append(Refused(names, finding, drop.refuse(drop.take(entries), finding)))
        finally:
            drop.give_back()
    except Changed:
        look.waiting |= dict.fromkeys((entry.name for entry in entries), "somebody is writing it")
    except OSError as error:
        look.trouble |= dict.fromkeys((entry.name for entry in entries), system_says(error))
