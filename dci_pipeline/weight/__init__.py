"""Weights (METHOD section 1 and 9): expert scores of one survey wave become the weights of a tree.

Pure: scores in, weights out. Which leaves are in the basket is the index file's business, not this package's.
"""

from dci_pipeline.weight.agreement import alpha_se, kendall
from dci_pipeline.weight.scores import alphas, exact_alphas
from dci_pipeline.weight.tree import node_weights

__all__ = ["alpha_se", "alphas", "exact_alphas", "kendall", "node_weights"]
