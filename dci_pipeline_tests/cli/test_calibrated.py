"""`dci simulate --profile`: what it refuses before anything is solved."""

from __future__ import annotations

from dci_pipeline_tests.cli.conftest import Dci


def test_an_unknown_profile_is_refused(dci: Dci) -> None:
    found = dci("simulate", "--profile", "nonsense")
    assert found.code != 0
    assert "no such profile" in found.out + found.err


def test_calibrated_feeds_take_no_faults_and_no_size(dci: Dci) -> None:
    for option in (("--fault", "city.known"), ("--rows", "100")):
        found = dci("simulate", "--profile", "report", *option)
        assert found.code != 0
        assert "calibrated feeds are clean" in found.out + found.err
