"""Two values of every entity on a plane, without parting it: for a correlation."""

from __future__ import annotations

from dci_pipeline.report.exhibits.block import Block, Request
from dci_pipeline.report.exhibits.quadrant import quadrant


def scatter(request: Request) -> Block:
    """Options as for a quadrant, without parts."""
    return quadrant(request)
