"""Shares of the national total, one period at a time (METHOD section 2 and 6).

The only normalisation of this index; weights and levels come later. Pure: one period's values and the shares of the
period before in, shares out.
"""

from dci_pipeline.normalise.provisional import estimates
from dci_pipeline.normalise.shares import shares
from dci_pipeline.normalise.totals import totals

__all__ = ["estimates", "shares", "totals"]
