"""`dci ui`: loopback only, over this warehouse's history; a port that is taken is a conflict."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from dci_pipeline.cli import ui
from dci_pipeline_tests.cli.conftest import Dci

Started = list[tuple[list[str], Mapping[str, str]]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """What would have been started."""
    calls: Started = []
    monkeypatch.setattr(os, "execve", lambda _, command, environment: calls.append((command, environment)))
    return calls


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ui.HOST, 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("workspace", [True, False])
def test_it_starts_on_loopback_with_this_warehouse(dci: Dci, home: Path, started: Started, workspace: bool) -> None:
    if workspace:
        (home / "workspace.yaml").touch()
    port = free_port()
    result = dci("ui", "--port", port)
    assert result.code == 0
    assert f"http://127.0.0.1:{port}" in result.out
    command, environment = started[0]
    assert command[command.index("-h") + 1] == "127.0.0.1"
    assert ("workspace.yaml" in command) == workspace
    assert environment["DAGSTER_HOME"] == str(home / "warehouse" / "dagster")
    assert (home / "warehouse" / "dagster" / "dagster.yaml").is_file()


def test_a_taken_port_is_a_conflict(dci: Dci, started: Started) -> None:
    with socket.socket() as taken:
        taken.bind((ui.HOST, 0))
        taken.listen()
        result = dci("ui", "--port", taken.getsockname()[1])
    assert result.code == 3
    assert "the port is taken" in result.err
    assert not started


def test_without_the_web_pages_installed(dci: Dci, started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui.importlib.util, "find_spec", lambda _: None)
    result = dci("ui")
    assert (result.code, "make ui" in result.err) == (2, True)
    assert not started
