"""Tests of dci_pipeline.report."""
