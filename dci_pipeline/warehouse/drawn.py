"""What took long to make for drawing and is made of files elsewhere: kept by a name that says what it was made of.

Only the last one is kept. Where it cannot be kept, it is made again.
"""

from __future__ import annotations

import logging
import os
import tempfile

from dci_pipeline.warehouse.layout import Layout


def kept(layout: Layout, name: str) -> bytes | None:
    """What was kept under a name; None when there is nothing, or it cannot be read."""
    try:
        return (layout.drawn / f"{name}.json").read_bytes()
    except OSError:
        return None


def keep(layout: Layout, name: str, content: bytes) -> None:
    """Keep it under a name, instead of what there was. A folder that cannot be written to is said in the log only."""
    try:
        layout.drawn.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=layout.drawn, delete=False) as ready:
            ready.write(content)
        os.replace(ready.name, layout.drawn / f"{name}.json")
        for older in layout.drawn.glob("*.json"):
            if older.stem != name:
                older.unlink(missing_ok=True)
    except OSError as error:
        logging.getLogger(__name__).warning("the map is made again next time: %s", error)
