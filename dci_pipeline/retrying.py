"""A step tried again after a fault of disk or network that may pass; never after a verdict or a mistake.

The one place where anything is retried, whether a step is called by the engine or directly. A step commits atomically
and computes only what is out of date, so that a second call takes up where the first one stopped.
"""

from __future__ import annotations

import errno
import os
import random
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from dci_pipeline.findings import Unanswered

if TYPE_CHECKING:
    from dci_pipeline.periods import Period
    from dci_pipeline.work import Outcome, Step, Work

# Interrupted or not ready; a network file system's server restarted or its file handle lost; a connection cut. EIO is
# what network disks report of a lost answer; on a local disk that is dying it costs the waits and is raised all the
# same. A full disk, a missing right, a read-only or missing path do not mend themselves within seconds, and waiting
# would only hide them: ENOSPC, EDQUOT, EACCES, EPERM, EROFS, ENOENT and all others are raised at once.
TRANSIENT = frozenset(
    {
        errno.EINTR,
        errno.EAGAIN,
        errno.EIO,
        errno.EREMOTEIO,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.EPIPE,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENETRESET,
    }
)
WAITS = (1.0, 4.0, 16.0)
_JITTER = 0.5
# The engines raise classes of their own; the system's number stands in their text.
_ENGINES = {"polars", "duckdb", "_duckdb"}
_NUMBER = re.compile(r"\(os error (\d+)\)|\"errno\":\"(\d+)\"")

Say = Callable[[str], None]


def is_transient(error: BaseException) -> bool:
    """Whether the fault may be gone in a few seconds: an error of the system whose number is one of TRANSIENT."""
    return _number(error) in TRANSIENT


def _number(error: BaseException) -> int | None:
    if isinstance(error, Unanswered):
        return errno.ETIMEDOUT
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if not isinstance(error, OSError) and type(error).__module__.split(".")[0] not in _ENGINES:
        return None
    found = _NUMBER.search(str(error))
    return int(found.group(1) or found.group(2)) if found else None


def run_step(
    step: Step, work: Work, period: Period | None, *, say: Say, pause: Callable[[float], None] = time.sleep
) -> Outcome:
    """The step's outcome, after up to three more tries; `say` is told of each. Raises what the last try raised.

    The waits are 1, 4 and 16 seconds, each up to half longer or shorter, so that runs that met the same fault do not
    come back together.
    """
    for wait in WAITS:
        try:
            return step.run(work, period)
        except Exception as error:
            if not is_transient(error):
                raise
            wait *= 1 + random.uniform(-_JITTER, _JITTER)  # noqa: S311 - no secret is made of it
            where = f"{work.index}/{'/'.join(step.key)} {period or ''}".strip()
            reason = os.strerror(_number(error) or 0)
            say(f"{where}: {reason} ({error}); tried again after {wait:.1f} s")
            pause(wait)
    return step.run(work, period)
