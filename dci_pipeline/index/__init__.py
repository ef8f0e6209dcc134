"""The index (METHOD section 2 to 4, 6 and 8): levels and positions of places, links, growth and contributions.

`compute` makes a whole index from plain frames; `points`, `span` and `limits` are the steps of a pipeline that works
one period at a time. Pure: no disk, no settings; weights and shares come from the stages to the left.
"""

from dci_pipeline.index.compute import Index, compute
from dci_pipeline.index.effective import concentration, drifted, effective_weights
from dci_pipeline.index.limits import imputed, places_over, with_place_limit
from dci_pipeline.index.linking import Basket, entry_scales, link_levels, linked_scales
from dci_pipeline.index.links import links
from dci_pipeline.index.points import points
from dci_pipeline.index.reference import reference_means
from dci_pipeline.index.span import span, span_points, span_shares

__all__ = [
    "Basket",
    "Index",
    "compute",
    "concentration",
    "drifted",
    "effective_weights",
    "entry_scales",
    "imputed",
    "link_levels",
    "linked_scales",
    "links",
    "places_over",
    "points",
    "reference_means",
    "span",
    "span_points",
    "span_shares",
    "with_place_limit",
]
