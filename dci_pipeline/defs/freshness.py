"""The deadline of a feed as the engine knows it."""

from __future__ import annotations

import dagster as dg

from dci_pipeline import due
from dci_pipeline.contracts import FeedContract
from dci_pipeline.defs.partitions import Partitions


def freshness(contract: FeedContract, partitions: Partitions) -> dg.FreshnessPolicy:
    """Fails at the midnight after the expected day unless the feed was materialised since its period ended.

    The engine looks at the last materialisation, of whichever period and partner: `dci due` is exact.
    """
    cron, before = due.deadline(contract, partitions.framework.cadence)
    return dg.FreshnessPolicy.cron(deadline_cron=cron, lower_bound_delta=before, timezone=partitions.timezone)
