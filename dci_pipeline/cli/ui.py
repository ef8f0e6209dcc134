"""`dci ui`: Dagster's own web pages over the runs made here, on this machine only."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from dci_pipeline.cli import screen
from dci_pipeline.findings import Conflict, Finding

EXAMPLES = "Example: dci ui --port 3001\n\nStop it with Ctrl-C. The same as: make ui"

HOST = "127.0.0.1"
Port = Annotated[int, typer.Option("--port", min=1024, max=65535, help="Port on this machine.")]


def ui(port: Port = 3000) -> None:
    """Open the asset graph, the runs and the checks in a browser, on 127.0.0.1 and nowhere else.

    Shows what dci run and dci demo have made, of every index; from there a month can be materialised too.
    """
    from dci_pipeline.settings import read_settings

    settings = read_settings()
    if importlib.util.find_spec("dagster_webserver") is None:
        raise Finding(
            "the web pages are not installed",
            found="no package dagster-webserver",
            expected="the extra ui",
            todo="make ui, or: pip install 'dci_pipeline[ui]'",
        )
    _free(port)
    from dci_pipeline.defs.launch import ensure_home

    ensure_home(settings)
    screen.say(f"http://{HOST}:{port}", style="bold")
    for line in (
        "Lineage: the whole path, one group per stage; a table shows its columns, partitions and checks.",
        "Runs: what dci run has done. Jobs: launch a refresh of one period.",
        "A failed check lists its first offending rows. Stop with Ctrl-C.",
    ):
        screen.say(line)
    sys.stdout.flush()
    # The Dagster processes find warehouse and contracts where this one does, wherever they are started.
    environment = os.environ | {
        "DAGSTER_HOME": str(settings.dagster_home),
        "DCI_WAREHOUSE": str(settings.warehouse),
        "DCI_CONTRACTS": str(settings.contracts),
    }
    os.execve(sys.executable, command(port), environment)  # noqa: S606 - no shell is meant


def command(port: int) -> list[str]:
    """What starts the pages and the daemon: by the workspace file when it is here, by the module otherwise."""
    where = ["-w", "workspace.yaml"] if Path("workspace.yaml").is_file() else ["-m", "dci_pipeline.definitions"]
    # The engine announces a successor of this command, which does not read a workspace file.
    quiet = ["-W", "ignore:Function `dev_command` is superseded"]
    return [sys.executable, *quiet, "-m", "dagster", "dev", *where, "-h", HOST, "-p", str(port)]


def _free(port: int) -> None:
    """Raise Conflict when something listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise Conflict(
                "the port is taken",
                where=f"{HOST}:{port}",
                found=error.strerror,
                todo=f"look there with a browser, it may be this very page; or dci ui --port {port + 1}",
            ) from error
