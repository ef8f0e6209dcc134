"""`dci alert`: where messages about failed runs go, and whether they arrive."""

from __future__ import annotations

import secrets
import socket
from typing import Annotated

import typer

from dci_pipeline.cli import options, screen
from dci_pipeline.findings import Finding

EXAMPLES = "Example: dci alert --test\n\nWithout --test it shows what is set, and sends nothing."

Test = Annotated[bool, typer.Option("--test", help="Send a test message to every channel that is set.")]


def alert(*, test: Test = False, index: options.Index = None) -> None:
    """Show where a failed run's message goes, and send a test message there.

    The channels are set in the environment: DCI_ALERT_WEBHOOK, DCI_ALERT_EMAIL, DCI_SMTP_HOST and others. No secret is
    shown. Run it where the code server runs, with its environment. Exit code 1 when a channel did not take it.
    """
    from dci_pipeline.channels import read_channels
    from dci_pipeline.messages import trial
    from dci_pipeline.sending import send
    from dci_pipeline.settings import read_settings

    chosen = options.chosen_index(read_settings(), index)
    channels = read_channels()
    if not channels.names:
        raise Finding(
            "no channel is set",
            where="DCI_ALERT_WEBHOOK, DCI_ALERT_EMAIL",
            found="neither",
            expected="one of them, or both",
            todo="set one in the environment of the code server; until then a failed run sends no message",
        )
    if not test:
        screen.show("Messages about failed runs go to", ("",), [[channels.describe(name)] for name in channels.names])
        screen.say(f"Links lead to {channels.ui}." if channels.ui else "Without links: DCI_UI_URL is not set.")
        return
    receipts = send(trial(chosen, socket.gethostname(), secrets.token_hex(8)), channels)
    screen.show(
        "Test message",
        ("", "what happened"),
        [[screen.mark("ok" if receipt.taken else "fail"), receipt.says] for receipt in receipts],
    )
    if not all(receipt.taken for receipt in receipts):
        raise typer.Exit(1)
