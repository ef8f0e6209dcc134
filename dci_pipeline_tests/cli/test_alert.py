"""`dci alert`: shows where messages go without a secret, and sends a test message to a real receiver."""

from __future__ import annotations

import json

import pytest

from dci_pipeline_tests.cli.conftest import Dci
from dci_pipeline_tests.receivers import hook


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DCI_ALERT_WEBHOOK", "DCI_ALERT_EMAIL", "DCI_UI_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_where_nothing_is_set_it_says_what_to_set(dci: Dci) -> None:
    result = dci("alert", "--test")
    assert result.code == 2 and "DCI_ALERT_WEBHOOK" in result.err and "sends no message" in result.err


@pytest.mark.parametrize(("answer", "code"), [(200, 0), (403, 1)])
def test_a_test_message_is_sent_and_the_answer_said(
    dci: Dci, monkeypatch: pytest.MonkeyPatch, answer: int, code: int
) -> None:
    with hook(answer) as receiver:
        monkeypatch.setenv("DCI_ALERT_WEBHOOK", receiver.url)
        result = dci("alert", "--test")
    assert result.code == code and f"webhook at 127.0.0.1: answered {answer}" in result.out
    ((_, _, body),) = receiver.came
    assert json.loads(body)["subject"] == "[dci] 测试 test message"
    assert "secret" not in result.all


def test_without_test_nothing_is_sent(dci: Dci, monkeypatch: pytest.MonkeyPatch) -> None:
    with hook() as receiver:
        monkeypatch.setenv("DCI_ALERT_WEBHOOK", receiver.url)
        monkeypatch.setenv("DCI_ALERT_EMAIL", "oncall@example.org")
        monkeypatch.setenv("DCI_SMTP_HOST", "mail.example.org")
        result = dci("alert")
    assert result.code == 0 and receiver.came == []
    assert "webhook at 127.0.0.1" in result.out and "oncall@example.org by mail.example.org:587" in result.out
    assert "DCI_UI_URL is not set" in result.out
    assert "secret" not in result.all
