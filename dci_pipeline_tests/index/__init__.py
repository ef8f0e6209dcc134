"""Tests of dci_pipeline.index."""
