"""The denominators of the level (METHOD section 2): the national means that `normalise.reference` makes of totals."""

from dci_pipeline.normalise.reference import reference_means

__all__ = ["reference_means"]
