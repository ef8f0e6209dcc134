"""Sends a message to every channel that is set, and says what became of it.

No text that a library or a server gave is passed on before every secret has been struck out of it.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate

from dci_pipeline.channels import EMAIL, WEBHOOK, Channels, Mail, read_channels
from dci_pipeline.messages import Message
from dci_pipeline.plain_text import plain

_CONNECT, _ANSWER = 5.0, 15.0


@dataclass(frozen=True)
class Receipt:
    """What became of a message on one channel."""

    channel: str
    taken: bool
    says: str


def send(message: Message, channels: Channels | None = None, *, only: Collection[str] | None = None) -> list[Receipt]:
    """Send to every channel that is set, or to those of `only`; nothing is raised for one that does not take it.

    The list is empty when no channel is set. Raises Finding for settings that cannot work.
    """
    channels = read_channels() if channels is None else channels
    wanted = [name for name in channels.names if only is None or name in only]
    return [(_post if name == WEBHOOK else _mail_out)(message, channels) for name in wanted]


def _post(message: Message, channels: Channels) -> Receipt:
    import requests

    assert channels.webhook is not None
    where = channels.describe(WEBHOOK)
    body = {
        "text": f"{message.subject}\n{message.text}",
        "subject": message.subject,
        "key": message.key,
        **message.facts,
    }
    try:
        answer = requests.post(
            channels.webhook.reveal(),
            json=body,
            headers={"Idempotency-Key": message.key},
            timeout=(_CONNECT, _ANSWER),
            allow_redirects=False,  # another host may not be meant to know
            stream=True,  # what is answered beside the number is not read
        )
        answer.close()
    except requests.RequestException as error:
        # The library's text repeats the address; its kind says enough.
        return Receipt(WEBHOOK, False, f"{where}: {_kind(error)}")
    if answer.is_redirect:
        return Receipt(WEBHOOK, False, f"{where}: answered {answer.status_code}, a redirect, which is not followed")
    return Receipt(WEBHOOK, answer.ok, f"{where}: answered {answer.status_code}")


def _mail_out(message: Message, channels: Channels) -> Receipt:
    mail = channels.mail
    assert mail is not None
    where = channels.describe(EMAIL)
    context = ssl.create_default_context()
    try:
        opened = (
            smtplib.SMTP_SSL(mail.host, mail.port, timeout=_ANSWER, context=context)
            if mail.tls == "from the start"
            else smtplib.SMTP(mail.host, mail.port, timeout=_ANSWER)
        )
        with opened as server:
            if mail.tls == "starttls":
                server.starttls(context=context)
            if mail.user and mail.password:
                server.login(mail.user, mail.password.reveal())
            refused = server.send_message(_letter(message, mail))
    except (OSError, smtplib.SMTPException) as error:
        return Receipt(EMAIL, False, f"{where}: {channels.struck(_kind(error))}")
    said = f"{where}: taken" + (f", but not for {', '.join(refused)}" if refused else "")
    return Receipt(EMAIL, True, channels.struck(said))


def _letter(message: Message, mail: Mail) -> EmailMessage:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = mail.sender, ", ".join(mail.to), plain(message.subject)
    letter["Date"] = formatdate()
    letter["Message-ID"] = f"<{message.key}@{mail.sender.rpartition('@')[2]}>"
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(message.text)
    return letter


def _kind(error: Exception) -> str:
    """The innermost reason: a certificate that does not hold, a name that is not known, the server's own answer."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "every address was refused: " + "; ".join(
            f"{code} {text.decode(errors='replace')}" for code, text in error.recipients.values()
        )
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return f"answered {error.smtp_code} {said.decode(errors='replace') if isinstance(said, bytes) else said}"
    seen, inner = set[int](), error
    while id(inner) not in seen:
        seen.add(id(inner))
        below = (
            inner.__cause__
            or inner.__context__
            or next(
                (item for item in (*inner.args, getattr(inner, "reason", None)) if isinstance(item, Exception)), None
            )
        )
        inner = below if isinstance(below, Exception) else inner
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"the certificate does not hold: {inner.verify_message}"
    if isinstance(inner, TimeoutError):
        return "no answer in time"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return type(error).__name__
