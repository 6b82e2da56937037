"""Alerts reach a webhook as JSON, and one that hangs, fails or is gone neither stops a run nor holds it up."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from kb_pipeline.core.errors import SettingsError
from kb_pipeline.operations.alerts import ATTEMPTS, Alert, send
from kb_pipeline.settings import AlertSettings, Settings, load_settings

SECRET = "T0KEN"
ALERT = Alert(
    "braked",
    "hr",
    "57 of 60 documents are gone.",
    run_id="r1",
    error_class="DeletesUnconfirmed",
    numbers={"gone": 57, "live": 60},
    at=datetime(2026, 11, 21, 3, 4, 5, tzinfo=UTC),
)


@dataclass
class Webhook:
    """`answers` are the status codes it gives, the last one again and again; 0 hangs until the test ends."""

    answers: list[int] = field(default_factory=lambda: [200])
    received: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    url: str = ""


def _handler(hook: Webhook) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.asked.append(f"{self.command} {self.path} {self.headers['Content-Type']}")
            hook.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            code = hook.answers.pop(0) if len(hook.answers) > 1 else hook.answers[0]
            if code == 0:
                hook.ended.wait(60)
                return
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            hook.asked.append(f"{self.command} {self.path}")
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    hook = Webhook()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hook))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hook.url = f"http://127.0.0.1:{server.server_port}/hooks/{SECRET}"
    try:
        yield hook
    finally:
        hook.ended.set()
        server.shutdown()
        server.server_close()


def settings(url: str, seconds: float = 10) -> Settings:
    return Settings(alerts=AlertSettings.model_validate({"webhook_url": url, "timeout_seconds": seconds}))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_webhook_gets_what_happened_to_which_source(hook: Webhook) -> None:
    assert send(settings(hook.url), ALERT)
    assert hook.asked == [f"POST /hooks/{SECRET} application/json"]
    assert hook.received == [
        {
            "text": "kb: hr braked: 57 of 60 documents are gone.",
            "kind": "braked",
            "source_system": "hr",
            "run_id": "r1",
            "error_class": "DeletesUnconfirmed",
            "message": "57 of 60 documents are gone.",
            "numbers": {"gone": 57, "live": 60},
            "at": "2026-11-21T03:04:05+00:00",
        }
    ]


def test_without_a_webhook_nothing_is_posted(caplog: pytest.LogCaptureFixture) -> None:
    assert not send(Settings(), ALERT)
    assert warnings(caplog) == []


def test_a_server_in_trouble_is_asked_again(hook: Webhook, caplog: pytest.LogCaptureFixture) -> None:
    hook.answers = [503, 429, 200]
    assert send(settings(hook.url), ALERT)
    assert len(hook.received) == 3
    assert warnings(caplog) == []


@pytest.mark.parametrize(("answer", "attempts"), [(500, ATTEMPTS), (404, 1), (302, 1)])
def test_one_that_refuses_is_one_warning_without_its_address(
    hook: Webhook, caplog: pytest.LogCaptureFixture, answer: int, attempts: int
) -> None:
    hook.answers = [answer]
    assert not send(settings(hook.url), ALERT)
    assert len(hook.asked) == attempts, "and a redirect is not followed"
    assert warnings(caplog) == [f"The alert (braked, hr) was not delivered: the webhook answers {answer}."]


def _closed(hook: Webhook) -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/{SECRET}"


def _unknown(hook: Webhook) -> str:
    return f"http://kb.invalid/{SECRET}"


def _hangs(hook: Webhook) -> str:
    hook.answers = [0]
    return hook.url


@pytest.mark.parametrize("where", [_closed, _unknown, _hangs])
def test_one_that_is_gone_or_hangs_holds_a_run_up_no_longer_than_the_settings_allow(
    hook: Webhook, caplog: pytest.LogCaptureFixture, where: Callable[[Webhook], str]
) -> None:
    url, started = where(hook), time.monotonic()
    assert not send(settings(url, seconds=2), ALERT)
    assert time.monotonic() - started < 20, "the limit is 2 seconds; the rest is a busy machine"
    (said,) = warnings(caplog)
    assert said.startswith("The alert (braked, hr) was not delivered: ")
    assert SECRET not in said
    assert "http" not in said


def test_a_server_that_drips_is_left(caplog: pytest.LogCaptureFixture) -> None:
    """Each byte comes in time, the answer never does: a limit on every read alone would never end."""
    ended = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            while not ended.wait(0.2):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        dripping = threading.Thread(target=drip, args=(listener,))
        dripping.start()
        try:
            assert not send(settings(f"http://127.0.0.1:{listener.getsockname()[1]}/", seconds=1), ALERT)
        finally:
            ended.set()
            dripping.join()
    assert warnings(caplog) == ["The alert (braked, hr) was not delivered: no answer within 1 s."]


def test_the_address_comes_from_the_environment_and_is_never_shown() -> None:
    found = load_settings({"KB_ALERT_WEBHOOK_URL": f"https://chat.example.com/{SECRET}"})
    assert found.alerts.webhook_url is not None
    assert found.alerts.webhook_url.get_secret_value() == f"https://chat.example.com/{SECRET}"
    assert SECRET not in repr(found)
    assert SECRET not in found.model_dump_json()


def test_an_address_that_is_none_is_refused_without_repeating_it() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"KB_ALERT_WEBHOOK_URL": f"file:///{SECRET}"})
    assert "KB_ALERT_WEBHOOK_URL" in caught.value.message
    assert SECRET not in str(caught.value)
