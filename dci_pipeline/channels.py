"""Where messages go: a webhook and e-mail, as set in the environment, and how their secrets are kept from being shown.

DCI_ALERT_WEBHOOK, DCI_ALERT_EMAIL (addresses, comma between), DCI_ALERT_FROM, DCI_SMTP_HOST, DCI_SMTP_PORT,
DCI_SMTP_USER, DCI_SMTP_PASSWORD, DCI_SMTP_STARTTLS, DCI_UI_URL. A webhook's address is as good as a password.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from dci_pipeline.findings import Finding
from dci_pipeline.plain_text import plain

WEBHOOK, EMAIL = "webhook", "email"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_ADDRESS = re.compile(r"^[^@\s,<>\"\\]+@[A-Za-z0-9.-]+$")
_SUBMISSION, _TLS_FROM_THE_START = 587, 465
_STRUCK = "***"


class Secret:
    """A value that prints as stars."""

    def __init__(self, value: str):
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return _STRUCK

    __str__ = __repr__

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not written anywhere")


@dataclass(frozen=True)
class Mail:
    """How e-mail is sent. tls: 'starttls', 'from the start' or 'none'."""

    to: tuple[str, ...]
    sender: str
    host: str
    port: int
    user: str | None
    password: Secret | None
    tls: str


@dataclass(frozen=True)
class Channels:
    """What is set. `ui` is the address of the UI for links, without a slash at its end."""

    webhook: Secret | None = None
    mail: Mail | None = None
    ui: str | None = None

    @property
    def names(self) -> list[str]:
        return [name for name, there in ((WEBHOOK, self.webhook), (EMAIL, self.mail)) if there is not None]

    def describe(self, name: str) -> str:
        """A channel without its secrets."""
        if name == WEBHOOK and self.webhook is not None:
            return f"webhook at {urlsplit(self.webhook.reveal()).hostname}"
        if name == EMAIL and self.mail is not None:
            return f"e-mail to {', '.join(self.mail.to)} by {self.mail.host}:{self.mail.port} (TLS: {self.mail.tls})"
        return name

    def struck(self, text: object) -> str:
        """`text` as one line without any secret, in whatever form a library or a server may have repeated it."""
        said = plain(text)
        for secret in _forms(self):
            said = said.replace(secret, _STRUCK)
        return said


def read_channels(environ: Mapping[str, str] | None = None) -> Channels:
    """The channels that are set. Raises Finding for settings that cannot work, without repeating a secret."""
    given = {name: value.strip() for name, value in (os.environ if environ is None else environ).items()}
    webhook, email = given.get("DCI_ALERT_WEBHOOK"), given.get("DCI_ALERT_EMAIL")
    return Channels(
        webhook=_webhook(webhook) if webhook else None, mail=_mail(given, email) if email else None, ui=_ui(given)
    )


def _forms(channels: Channels) -> list[str]:
    """Every secret as it stands and as it travels, the longest first."""
    found: set[str] = set()
    if channels.webhook is not None:
        parts = urlsplit(channels.webhook.reveal())
        found |= {channels.webhook.reveal(), parts.path, parts.query, parts.password or ""}
    if channels.mail is not None and channels.mail.password is not None:
        password, user = channels.mail.password.reveal(), channels.mail.user or ""
        for text in (password, f"\0{user}\0{password}"):
            found |= {text, quote(text, safe=""), b64encode(text.encode()).decode()}
    return sorted((form for form in found if len(form) > 1), key=len, reverse=True)


def _webhook(address: str) -> Secret:
    parts = urlsplit(address)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
        raise Finding(
            "not an address messages can be sent to",
            where="DCI_ALERT_WEBHOOK",
            found=f"an address that begins with {parts.scheme}:" if parts.scheme else "no address",
            expected="https://… (http only to this machine)",
            todo="set the address the receiver gave you; it is not repeated here because it is a secret",
        )
    return Secret(address)


def _mail(given: Mapping[str, str], email: str) -> Mail:
    to = tuple(item.strip() for item in email.split(",") if item.strip())
    user, password = given.get("DCI_SMTP_USER") or None, given.get("DCI_SMTP_PASSWORD") or None
    sender = given.get("DCI_ALERT_FROM") or (user if user and "@" in user else to[0] if to else "")
    for name, addresses in (("DCI_ALERT_EMAIL", to or ("",)), ("DCI_ALERT_FROM", (sender,))):
        for address in addresses:
            if not _ADDRESS.match(address):
                raise Finding(
                    "not an e-mail address",
                    where=name,
                    found=plain(address) or "nothing",
                    expected="name@host, several with a comma between",
                )
    host = given.get("DCI_SMTP_HOST", "")
    if not host:
        raise Finding(
            "no mail server",
            where="DCI_SMTP_HOST",
            found="not set, but DCI_ALERT_EMAIL is",
            expected="the name of a mail server",
            todo="set DCI_SMTP_HOST, or unset DCI_ALERT_EMAIL",
        )
    port = _port(given.get("DCI_SMTP_PORT") or str(_SUBMISSION))
    wanted = given.get("DCI_SMTP_STARTTLS") or "1"
    if wanted not in ("0", "1"):
        raise Finding("neither yes nor no", where="DCI_SMTP_STARTTLS", found=plain(wanted), expected="1 or 0")
    tls = "from the start" if port == _TLS_FROM_THE_START else "starttls" if wanted == "1" else "none"
    if (user is None) != (password is None):
        raise Finding(
            "half of a login",
            where="DCI_SMTP_USER, DCI_SMTP_PASSWORD",
            found="one of the two",
            expected="both, or neither for a server that asks for none",
        )
    if tls == "none" and password is not None and host not in _LOOPBACK:
        raise Finding(
            "a password would travel in the clear",
            where="DCI_SMTP_STARTTLS",
            found="0, with DCI_SMTP_PASSWORD set",
            expected="1",
            todo="unset DCI_SMTP_STARTTLS, or unset user and password",
        )
    return Mail(to, sender, host, port, user, Secret(password) if password else None, tls)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise Finding("not a port", where="DCI_SMTP_PORT", found=plain(text), expected="1 to 65535")
    return int(text)


def _ui(given: Mapping[str, str]) -> str | None:
    address = given.get("DCI_UI_URL")
    if not address:
        return None
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.password or plain(address) != address:
        raise Finding(
            "not the address of the UI",
            where="DCI_UI_URL",
            found=f"{parts.scheme}://{parts.hostname}" if not parts.password else "an address with a password in it",
            expected="http:// or https://, as a browser opens it",
        )
    return address.rstrip("/")
