"""Tests of dci_pipeline.normalise."""
