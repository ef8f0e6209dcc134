"""Notes of feeds and periods that something was landed for and that nobody has been told of yet.

Whoever tells (a sensor of the engine) may be stopped between landing and telling, so the note is written before the
file leaves the drop folder, and goes once telling is known to have worked. One note per feed and period.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from dci_pipeline.data_files import content_hash
from dci_pipeline.periods import Period, parse
from dci_pipeline.warehouse import deliveries
from dci_pipeline.warehouse.layout import Layout
from dci_pipeline.warehouse.store import put

# feed and period, with the state of its deliveries.
Notes = dict[tuple[str, Period], str]


def state(layout: Layout, feed: str, period: Period) -> str:
    """What stands for the current deliveries of a feed × period: another one, and the same one sent again, differ."""
    current = deliveries.current(layout, feed, period)
    return content_hash(sorted((item.partner, item.number, item.sha256) for item in current.values()))[:24]


def note(layout: Layout, feed: str, period: Period) -> None:
    """Something was landed for a feed × period."""
    put(layout, layout.arrived() / f"{feed}@{period}", state(layout, feed, period).encode())


def notes(layout: Layout, cadence: str) -> Notes:
    """Every note there is, in the order of feeds and periods."""
    found: Notes = {}
    for path in sorted(layout.arrived().glob("[!.]*@*")):
        feed, _, period = path.name.rpartition("@")
        found[feed, parse(period, cadence)] = path.read_text(encoding="utf-8")
    return found


def told(layout: Layout, those: Mapping[tuple[str, Period], str]) -> None:
    """Takes the notes away that say just this; one that says something newer stays."""
    for (feed, period), said in those.items():
        path = layout.arrived() / f"{feed}@{period}"
        with suppress(FileNotFoundError):
            if path.read_text(encoding="utf-8") == said:
                path.unlink()
