"""Tests of dci_pipeline.weight."""
