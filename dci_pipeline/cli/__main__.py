"""`python -m dci_pipeline.cli`: the command where no console script is installed."""

from dci_pipeline.cli import main

main()
