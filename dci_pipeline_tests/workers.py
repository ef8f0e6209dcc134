"""What the test processes share: where their folders lie, and who gets which file of tests when."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

# Several times what the folders of one session come to, so that a machine with little memory uses its disk.
MEMORY, ROOM = Path("/dev/shm"), 6_000_000_000


def pytest_configure(config: pytest.Config) -> None:
    """Temporary folders lie in memory where there is room for them.

    Warehouses and records of runs are thousands of small files, and each is waited for until the disk has it: most of
    the time of many tests. A disk is used where TMPDIR, PYTEST_DEBUG_TEMPROOT or --basetemp names it.
    """
    given = config.option.basetemp or {"TMPDIR", "PYTEST_DEBUG_TEMPROOT"} & set(os.environ)
    if not given and MEMORY.is_dir() and min(shutil.disk_usage(MEMORY).free, _available()) > ROOM:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(MEMORY)


def _available() -> int:
    """Bytes of memory that are free for new work, within the limit of the control group if there is one."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):
        limit, used = (int((group / f"memory.{name}").read_text(encoding="ascii")) for name in ("max", "current"))
        return min(free, limit - used)
    return free


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: left to the end, one of them would keep one process busy and the others idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("browser")}
    items.sort(key=lambda item: item.path not in slow)
