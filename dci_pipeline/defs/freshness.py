"""The deadline of a feed as the engine knows it."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

import dagster as dg

from dci_pipeline import due
from dci_pipeline.contracts import FeedContract
from dci_pipeline.defs.partitions import Partitions


def freshness(contract: FeedContract, partitions: Partitions) -> dg.FreshnessPolicy:
    """Fails at the midnight after the expected day unless the feed was materialised since its period ended.

    The engine looks at the last materialisation, of whichever period and partner: `dci due` is exact.
    """
    return _policy(*due.deadline(contract, partitions.framework.cadence), partitions.timezone)


# The engine works through years of a cron to judge it, and feeds share their days.
@cache
def _policy(cron: str, before: timedelta, timezone: str) -> dg.FreshnessPolicy:
    return dg.FreshnessPolicy.cron(deadline_cron=cron, lower_bound_delta=before, timezone=timezone)
