"""Messages sent to a real web server and a real mail server; what cannot work is refused; no secret is ever shown."""

from __future__ import annotations

import base64
import json
import pickle
import socket
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from dci_pipeline.channels import Channels, Secret, read_channels
from dci_pipeline.findings import Finding
from dci_pipeline.messages import Message
from dci_pipeline.sending import send
from dci_pipeline_tests.receivers import Post, hook, post

MESSAGE = Message("failed-run-1", "[dci] 运行失败 run failed", "first line\nsecond line: 济南\n", {"run": "1"})
SECRETS = ("tok-secret", "T0-secret-path", "pass-secret-word", base64.b64encode(b"pass-secret-word").decode())


@pytest.fixture(autouse=True)
def no_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Post]:
    with post(tmp_path_factory.mktemp("certificate")) as made:
        yield made


@pytest.fixture
def mail(box: Post, monkeypatch: pytest.MonkeyPatch) -> Post:
    box.letters.clear()
    box.logins.clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(box.authority))
    return box


def shows_no_secret(text: object) -> None:
    assert not [secret for secret in SECRETS if secret in str(text)], text


def test_nothing_is_sent_where_nothing_is_set() -> None:
    assert send(MESSAGE, read_channels({})) == []


def test_a_webhook_gets_the_message_as_json_with_its_key() -> None:
    with hook() as receiver:
        (receipt,) = send(MESSAGE, read_channels({"DCI_ALERT_WEBHOOK": receiver.url}))
    assert receipt.taken and receipt.says == "webhook at 127.0.0.1: answered 200"
    ((path, headers, body),) = receiver.came
    assert path == "/hooks/T0-secret-path?token=tok-secret"
    assert headers["Idempotency-Key"] == MESSAGE.key
    assert json.loads(body) == {
        "text": f"{MESSAGE.subject}\n{MESSAGE.text}",
        "subject": MESSAGE.subject,
        "key": "failed-run-1",
        "run": "1",
    }


@pytest.mark.parametrize("answer", [302, 307, 400, 404, 429, 500])
def test_an_answer_that_is_no_yes_is_said_and_a_redirect_is_not_followed(answer: int) -> None:
    with hook(answer) as receiver, hook() as elsewhere:
        receiver.location = elsewhere.url if answer < 400 else ""
        (receipt,) = send(MESSAGE, read_channels({"DCI_ALERT_WEBHOOK": receiver.url}))
    assert not receipt.taken and f"answered {answer}" in receipt.says
    assert len(receiver.came) == 1 and elsewhere.came == []
    shows_no_secret(receipt)


def test_a_webhook_that_is_down_is_named_without_its_address() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/hooks/T0-secret-path?token=tok-secret"
    (receipt,) = send(MESSAGE, read_channels({"DCI_ALERT_WEBHOOK": url}))
    assert not receipt.taken and receipt.says == "webhook at 127.0.0.1: Connection refused"


def test_a_webhook_that_says_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    from dci_pipeline import sending

    monkeypatch.setattr(sending, "_ANSWER", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/T0-secret-path"
        (receipt,) = send(MESSAGE, read_channels({"DCI_ALERT_WEBHOOK": url}))
    assert not receipt.taken and "no answer in time" in receipt.says
    shows_no_secret(receipt)


def test_a_certificate_of_nobody_is_refused_by_the_webhook_and_by_mail(
    mail: Post, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    (receipt,) = send(MESSAGE, read_channels(mail.settings()))
    assert not receipt.taken and "the certificate does not hold: self-signed certificate" in receipt.says
    assert mail.letters == [] and mail.logins == []


def test_mail_goes_encrypted_after_a_login_to_every_address(mail: Post) -> None:
    (receipt,) = send(MESSAGE, read_channels(mail.settings() | {"DCI_ALERT_FROM": "index@example.org"}))
    assert receipt.taken, receipt
    assert mail.logins == [("pipeline", True)]
    (letter,) = mail.letters
    assert letter["Subject"] == MESSAGE.subject and letter["To"] == "oncall@example.org, second@example.org"
    assert letter["Message-ID"] == "<failed-run-1@example.org>" and letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content_type() == "text/plain"
    assert letter.get_content().replace("\r\n", "\n") == MESSAGE.text
    shows_no_secret(letter.as_bytes())


def test_a_wrong_password_is_said_even_by_a_server_that_repeats_it(mail: Post) -> None:
    mail.password, right = "another-word", mail.password
    try:
        (receipt,) = send(MESSAGE, read_channels(mail.settings() | {"DCI_SMTP_PASSWORD": right}))
    finally:
        mail.password = right
    assert mail.logins[0] == ("pipeline", False)
    assert not receipt.taken and "answered 535" in receipt.says
    assert "***" in receipt.says
    shows_no_secret(receipt)


def test_an_address_that_is_refused_is_named_and_the_others_get_theirs(mail: Post) -> None:
    (receipt,) = send(
        MESSAGE, read_channels(mail.settings() | {"DCI_ALERT_EMAIL": "oncall@example.org,nobody@example.org"})
    )
    assert receipt.taken and "not for nobody@example.org" in receipt.says
    (receipt,) = send(MESSAGE, read_channels(mail.settings() | {"DCI_ALERT_EMAIL": "nobody@example.org"}))
    assert not receipt.taken and "550 no such box" in receipt.says
    assert len(mail.letters) == 1


def test_one_channel_that_fails_does_not_keep_the_other(mail: Post) -> None:
    with hook(500) as receiver:
        channels = read_channels({**mail.settings(), "DCI_ALERT_WEBHOOK": receiver.url})
        receipts = send(MESSAGE, channels)
        assert [(receipt.channel, receipt.taken) for receipt in receipts] == [("webhook", False), ("email", True)]
        assert [receipt.channel for receipt in send(MESSAGE, channels, only=["webhook"])] == ["webhook"]
    assert len(mail.letters) == 1


MAIL = {"DCI_ALERT_EMAIL": "a@example.org", "DCI_SMTP_HOST": "mail.example.org"}
LOGIN = {"DCI_SMTP_USER": "pipeline", "DCI_SMTP_PASSWORD": "pass-secret-word"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"DCI_ALERT_WEBHOOK": "http://hooks.example.org/T0-secret-path"}, "DCI_ALERT_WEBHOOK"),
        ({"DCI_ALERT_WEBHOOK": "tok-secret"}, "DCI_ALERT_WEBHOOK"),
        ({"DCI_ALERT_WEBHOOK": "file:///etc/tok-secret"}, "DCI_ALERT_WEBHOOK"),
        ({"DCI_ALERT_EMAIL": "a@example.org"}, "DCI_SMTP_HOST"),
        ({**MAIL, "DCI_ALERT_EMAIL": "a@example.org\nBcc: b@example.org"}, "DCI_ALERT_EMAIL"),
        ({**MAIL, "DCI_ALERT_EMAIL": ","}, "DCI_ALERT_EMAIL"),
        ({**MAIL, "DCI_ALERT_FROM": "nobody"}, "DCI_ALERT_FROM"),
        ({**MAIL, "DCI_SMTP_PORT": "x"}, "DCI_SMTP_PORT"),
        ({**MAIL, "DCI_SMTP_STARTTLS": "maybe"}, "DCI_SMTP_STARTTLS"),
        ({**MAIL, "DCI_SMTP_PASSWORD": "pass-secret-word"}, "half of a login"),
        ({**MAIL, **LOGIN, "DCI_SMTP_STARTTLS": "0"}, "in the clear"),
        ({"DCI_UI_URL": "javascript:alert(1)"}, "DCI_UI_URL"),
        ({"DCI_UI_URL": "https://user:pass-secret-word@ui.example.org"}, "DCI_UI_URL"),
    ],
)
def test_settings_that_cannot_work_are_refused_without_a_secret(given: dict[str, str], says: str) -> None:
    with pytest.raises(Finding, match=says) as raised:
        read_channels(given)
    shows_no_secret("".join(traceback.format_exception(raised.value)))


def test_no_secret_is_in_what_is_printed_or_kept() -> None:
    channels = read_channels(
        {**MAIL, **LOGIN, "DCI_ALERT_WEBHOOK": "https://hooks.example.org/T0-secret-path?tok-secret"}
    )
    shows_no_secret(f"{channels!r} {channels} {vars(channels)}" + "".join(map(channels.describe, channels.names)))
    assert channels.mail is not None and channels.mail.port == 587 and channels.mail.tls == "starttls"
    with pytest.raises(TypeError):
        pickle.dumps(Secret("tok-secret"))
    struck = channels.struck("POST /T0-secret-path?tok-secret HTTP/1.1 as pass-secret-word cGFzcy1zZWNyZXQtd29yZA==")
    shows_no_secret(struck)
    assert Channels().struck("nothing to hide") == "nothing to hide"
