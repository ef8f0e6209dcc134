"""Which renderer draws which kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dci_pipeline.report.exhibits.bars import bars
from dci_pipeline.report.exhibits.block import Block, Request
from dci_pipeline.report.exhibits.concentration import concentration
from dci_pipeline.report.exhibits.contribution import contribution
from dci_pipeline.report.exhibits.distribution import distribution
from dci_pipeline.report.exhibits.figures import figures
from dci_pipeline.report.exhibits.intervals import intervals
from dci_pipeline.report.exhibits.lines import lines
from dci_pipeline.report.exhibits.map import map
from dci_pipeline.report.exhibits.matrix import matrix
from dci_pipeline.report.exhibits.quadrant import quadrant
from dci_pipeline.report.exhibits.ranking import ranking
from dci_pipeline.report.exhibits.scatter import scatter
from dci_pipeline.report.exhibits.series import series
from dci_pipeline.report.exhibits.shares import shares
from dci_pipeline.report.exhibits.table import table
from dci_pipeline.report.exhibits.trails import trails
from dci_pipeline.report.exhibits.tree import tree

RENDERERS: Mapping[str, Callable[[Request], Block]] = {
    renderer.__name__: renderer
    for renderer in (
        bars,
        concentration,
        contribution,
        distribution,
        figures,
        intervals,
        lines,
        map,
        matrix,
        quadrant,
        ranking,
        scatter,
        series,
        shares,
        table,
        trails,
        tree,
    )
}
