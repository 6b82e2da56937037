"""Tell someone: a failed or braked run as JSON to the webhook of the settings. Never in the way of the run."""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException, HTTPMessage
from typing import IO, Literal

from kb_pipeline.settings import Settings

log = logging.getLogger("kb_pipeline.progress")

ATTEMPTS = 3
PAUSE_SECONDS = 0.25
TOO_MANY = 429

Kind = Literal["failed", "braked"]


@dataclass(frozen=True, slots=True)
class Alert:
    """What happened to which source system. `message` is an error's own words, `numbers` counts: no document's text, no
    raw key."""

    kind: Kind
    source_system: str
    message: str
    run_id: str = ""
    error_class: str = ""
    numbers: Mapping[str, int | float | str] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


def send(settings: Settings, alert: Alert) -> bool:
    """Post the alert; True once the webhook took it. Without a webhook in the settings nothing happens.

    Raises nothing. Takes `alerts.timeout_seconds` at the most, all attempts together, whatever the other end does; a
    webhook that fails is one warning in the log, without its address, for that may hold a secret.
    """
    url = settings.alerts.webhook_url
    if url is None:
        return False
    delivery = _Delivery(url.get_secret_value(), _body(alert), settings.alerts.timeout_seconds)
    # A thread, because urllib's time limit is for each read: a server that drips bytes would hold the run for hours.
    courier = threading.Thread(target=delivery.run, name="alert", daemon=True)
    courier.start()
    courier.join(settings.alerts.timeout_seconds)
    if not delivery.taken:
        log.warning("The alert (%s, %s) was not delivered: %s.", alert.kind, alert.source_system, delivery.reason)
    return delivery.taken


def _body(alert: Alert) -> bytes:
    """`text` is what chat systems show; the rest is for programs."""
    numbers = dict(alert.numbers)
    return json.dumps(
        {
            "text": f"kb: {alert.source_system} {alert.kind}: {alert.message}",
            "kind": alert.kind,
            "source_system": alert.source_system,
            "run_id": alert.run_id,
            "error_class": alert.error_class,
            "message": alert.message,
            "numbers": numbers,
            "at": alert.at.isoformat(),
        },
        ensure_ascii=False,
        default=str,
    ).encode()


class _Delivery:
    """Some attempts within a time. `reason` says why the last one failed."""

    def __init__(self, url: str, body: bytes, seconds: float) -> None:
        self.url = url
        self.body = body
        self.deadline = time.monotonic() + seconds
        self.taken = False
        self.reason = f"no answer within {seconds:g} s"

    def run(self) -> None:
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_SECONDS * 2**attempt)
            left = self.deadline - time.monotonic()
            if left <= 0 or not self._again(left):
                return

    def _again(self, seconds: float) -> bool:
        """One attempt; True if another may help."""
        request = urllib.request.Request(  # noqa: S310 - the settings take http and https alone
            self.url, self.body, {"Content-Type": "application/json", "User-Agent": "kb-pipeline"}, method="POST"
        )
        try:
            with _OPENER.open(request, timeout=seconds):
                self.taken = True
                return False
        except urllib.error.HTTPError as error:
            error.close()
            self.reason = f"the webhook answers {error.code}"
            return error.code >= 500 or error.code == TOO_MANY
        except (OSError, HTTPException) as error:
            cause = getattr(error, "reason", error)
            self.reason = f"the webhook cannot be reached ({type(cause).__name__})"
            return True


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would turn the POST into a GET somewhere else, and look like success."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)
