"""The format of a warehouse: a number in it, so that another version's is recognised and not misread.

1: what a partition was made from stood in its own Parquet metadata, and there was no number. 2: it stands beside it.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from pathlib import Path

from dci_pipeline.findings import Unfit
from dci_pipeline.warehouse.objects import ObjectPath

FORMAT = 2
_FILE = "format.json"
_STAGES = ("feeds", "validation", "indicators", "normalise", "weight", "index", "marts")


def held(root: Path) -> int | None:
    """The format of the warehouse at `root`; None when it is empty. Raises Finding when it is unclear."""
    path = root / _FILE
    try:
        number = json.loads(path.read_text(encoding="utf-8"))["format"]
    except FileNotFoundError:
        return 1 if any(any(root.glob(f"*/{stage}/*")) for stage in _STAGES) else None
    except (ValueError, KeyError, TypeError):
        number = None
    if not isinstance(number, int) or number < 1:
        raise Unfit(
            "the warehouse's format cannot be told",
            where=str(path),
            found="no number",
            expected=f'{{"format": {FORMAT}}}',
            todo=f"if this version of dci wrote the warehouse: echo '{{\"format\": {FORMAT}}}' > '{path}'",
        )
    return number


def refuse_newer(root: Path) -> None:
    """Raises Finding for a warehouse that a newer version wrote."""
    number = held(root) if (root / _FILE).exists() else None
    if number is not None and number > FORMAT:
        raise Unfit(
            "a warehouse written by a newer version",
            where=str(root),
            found=f"format {number}",
            expected=f"format {FORMAT} or older",
            todo="update the package (pip install --upgrade dci_pipeline), or set DCI_WAREHOUSE to another folder",
        )


def settle(root: Path) -> None:
    """Give the warehouse its number; one of the format before keeps its deliveries, and says once what comes next."""
    if (root / _FILE).exists():
        return  # looked at when the warehouse was opened
    before = held(root)
    root.mkdir(parents=True, exist_ok=True)
    said = json.dumps({"format": FORMAT}) + "\n"
    if isinstance(root, ObjectPath):
        (root / _FILE).put(said.encode())
        return
    # One name for all: whoever was killed here is written over, and who comes second finds it done.
    beside = root / f".{_FILE}.tmp"
    beside.write_text(said, encoding="utf-8")
    with suppress(FileNotFoundError):
        os.replace(beside, root / _FILE)
    if before is not None:
        logging.getLogger(__name__).warning(
            "%s: a warehouse of format %d, now of format %d: deliveries are kept as they are, "
            "and the next dci run makes every table again",
            root,
            before,
            FORMAT,
        )
