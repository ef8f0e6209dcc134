"""The position S_c = sum of w_j s_cj on arrays (METHOD section 2 and 6), for one period or a span.

An indicator whose national total is 0 has no shares: it leaves and the other weights are scaled up. An undefined total
(NaN) makes the position undefined. The callers bring frames.
"""

from dataclasses import dataclass

import numpy as np

from dci_pipeline.index.dense import Flags, Floats, weighted


@dataclass(frozen=True)
class Position:
    """By place x node: the position, the part of it that is imputed, the weight behind it (1 when complete)."""

    share: Floats
    imputed_share: Floats
    share_weight: Floats


def position(share: Floats, imputed: Floats, missing: Flags, total: Floats, weights: Floats) -> Position:
    """Weigh the shares of the indicators.

    share, imputed (the imputed part of the share), missing: place x indicator; total: national, by indicator; weights:
    indicator x node, summing to 1 per node, 0 outside the node.
    """
    empty: Flags = total == 0.0
    used: Floats = np.where(empty[:, None], 0.0, weights)
    ones: Floats = np.ones((1, len(total)))
    left = weighted(ones, used)
    # a complete node is not divided by the rounding of its weights
    left = np.where(left == weighted(ones, weights), 1.0, left)
    whole = weighted(np.where(empty, 0.0, share), used)
    part = weighted(np.where(empty, 0.0, imputed), used)
    any_missing = weighted(missing.astype(np.float64), weights) > 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        imputed_share = np.where(whole > 0.0, part / whole, np.where(any_missing, 1.0, 0.0))
        result = whole / left
    imputed_share = np.where(np.isnan(result), np.nan, imputed_share)
    return Position(result, imputed_share, np.broadcast_to(left, result.shape))
