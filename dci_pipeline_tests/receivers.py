"""Real receivers on loopback: a web server that takes messages, and a mail server with TLS and logins."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Hook:
    """A web server; `answers` are given in turn, the last one for ever. What came in is kept as it came."""

    port: int
    answers: list[int]
    path: str = "/hooks/T0-secret-path"
    location: str = ""
    came: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list[tuple[str, dict[str, str], bytes]])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}?token=tok-secret"


@contextmanager
def hook(*answers: int) -> Iterator[Hook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.came.append((self.path, dict(self.headers), body))
            code = made.answers.pop(0) if len(made.answers) > 1 else made.answers[0]
            self.send_response(code)
            if made.location:
                self.send_header("Location", made.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the screen."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Hook(server.server_address[1], list(answers) or [200])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Post:
    """A mail server and the letters it has taken."""

    port: int
    authority: Path
    user: str = "pipeline"
    password: str = "pass-secret-word"
    letters: list[EmailMessage] = field(default_factory=list[EmailMessage])
    logins: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])

    def settings(self) -> dict[str, str]:
        return {
            "DCI_ALERT_EMAIL": "oncall@example.org, second@example.org",
            "DCI_SMTP_HOST": "127.0.0.1",
            "DCI_SMTP_PORT": str(self.port),
            "DCI_SMTP_USER": self.user,
            "DCI_SMTP_PASSWORD": self.password,
            "SSL_CERT_FILE": str(self.authority),
        }


@contextmanager
def post(folder: Path) -> Iterator[Post]:
    """A mail server that asks for STARTTLS, then for the login, then takes letters. Skips where it cannot be made."""
    pytest.importorskip("aiosmtpd", reason="aiosmtpd is not installed (the dev extra has it)")
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import AuthResult

    certificate, key = certificate_of(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    made = Post(0, certificate)

    class Box:
        async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
            made.letters.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
            return "250 taken"

        async def handle_RCPT(
            self, _server: object, _session: object, envelope: Any, address: str, _options: object
        ) -> str:
            if address.startswith("nobody@"):
                return "550 no such box"
            envelope.rcpt_tos.append(address)
            return "250 ok"

    def login(_server: object, _session: object, _envelope: object, _how: str, given: Any) -> AuthResult:
        right = (given.login, given.password) == (made.user.encode(), made.password.encode())
        made.logins.append((given.login.decode(), right))
        if right:
            return AuthResult(success=True)
        # A server that repeats what it should not.
        return AuthResult(success=False, handled=False, message=f"535 no: {given.password.decode()}")

    controller = Controller(
        Box(),
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=login,
    )
    controller.start()
    try:
        made.port = controller.port
        yield made
    finally:
        controller.stop()


def certificate_of(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that vouches for itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl on the PATH to make a certificate with")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key
