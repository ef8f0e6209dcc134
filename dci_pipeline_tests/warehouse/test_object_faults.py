"""Object storage that refuses, fails for a while, or is not there: said clearly, within bounded time."""

from __future__ import annotations

import http.server
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dci_pipeline.findings import Unanswered, Unfit
from dci_pipeline.retrying import is_transient, run_step
from dci_pipeline.settings import Settings
from dci_pipeline.warehouse import objects
from dci_pipeline.work import Outcome, Step, Work
from dci_pipeline_tests.warehouse.conftest import KEY

pytestmark = pytest.mark.slow

DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>no</Message></Error>"


@dataclass
class Between:
    """A server between client and store that answers the next requests itself."""

    store: str
    answers: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])
    seen: int = 0


@pytest.fixture
def between(bucket: str, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Between]:
    state = Between(s3_server)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            state.seen += 1
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if state.answers:
                status, content = state.answers.pop(0)
                headers: dict[str, str] = {}
            else:
                passed = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                passed.setdefault("Content-Type", "application/octet-stream")
                request = urllib.request.Request(
                    state.store + self.path, data=body or None, headers=passed, method=self.command
                )
                try:
                    with urllib.request.urlopen(request, timeout=60) as got:
                        status, content, headers = got.status, got.read(), dict(got.headers)
                except urllib.error.HTTPError as error:
                    status, content, headers = error.code, error.read(), dict(error.headers)
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() in ("etag", "last-modified", "content-type"):
                    self.send_header(name, value)
            length = headers.get("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    objects._store.cache_clear()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_fault_that_passes_is_tried_again_by_the_client(bucket: str, between: Between) -> None:
    path = objects.at(bucket) / "one"
    path.put(b"1")
    between.answers = [(503, b""), (500, b"")]
    assert path.read_bytes() == b"1"
    assert between.answers == []


def test_a_longer_one_is_tried_again_by_the_step(bucket: str, between: Between, tmp_path: Path) -> None:
    path = objects.at(bucket) / "one"
    path.put(b"1")
    between.answers = [(503, b"")] * 6
    told: list[str] = []
    waits: list[float] = []

    def run(work: Work, _: object) -> Outcome:
        path.read_bytes()
        return Outcome(("index", "n"), None, "written", 1, "")

    work = Work(Settings(tmp_path, tmp_path, "polars"), "dci")
    done = run_step(Step(("index", "n"), "once", run, (), ""), work, None, say=told.append, pause=waits.append)
    assert done.state == "written" and len(told) == 1 and len(waits) == 1
    assert "object storage does not answer" in told[0] and KEY not in told[0]


def test_a_refusal_is_said_and_not_tried_again(bucket: str, between: Between) -> None:
    path = objects.at(bucket) / "one"
    path.put(b"1")
    seen, between.answers = between.seen, [(403, DENIED)] * 9
    with pytest.raises(Unfit, match="object storage refuses") as caught:
        path.read_bytes()
    assert "AccessDenied" in str(caught.value) and KEY not in str(caught.value) and "somebody" not in str(caught.value)
    assert between.seen == seen + 1 and not is_transient(caught.value)


def test_a_bucket_that_is_not_there_is_named(bucket: str) -> None:
    with pytest.raises(Unfit, match="no such bucket"):
        (objects.at("s3://no-such-bucket/warehouse") / "one").is_file()


def test_a_server_that_is_not_there_is_said_in_bounded_time(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    objects._store.cache_clear()
    started = time.monotonic()
    with pytest.raises(Unanswered, match="does not answer") as caught:
        (objects.at(bucket) / "one").read_bytes()
    assert time.monotonic() - started < 120
    assert is_transient(caught.value) and KEY not in str(caught.value)
