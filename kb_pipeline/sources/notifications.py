"""Bucket notifications from an SQS queue: which keys of which source systems are to be looked at.

A message is acknowledged only after the ledger holds what it names: a run that dies between the two reads it again,
and a key that is named twice is looked at once. What a message says happened is not believed, only that something did.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote_plus, urlsplit

from kb_pipeline.core.errors import NotificationsUnavailable, SettingsError
from kb_pipeline.core.faults import fault_point
from kb_pipeline.settings import SOURCE_NAME, Settings

BATCH = 10  # the most that SQS gives and takes at once
WAIT_SECONDS = 1  # any wait makes SQS ask all its servers; without one it may say "empty" although messages are there
ENVELOPES = 3  # EventBridge through SNS is two

# Control characters no client can ask for, half characters no database can hold, what was no UTF-8 when it was decoded.
_NOT_IN_KEYS = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffd]")
_log = logging.getLogger(__name__)


class Named(NamedTuple):
    """An object that a message names: its bucket and its whole key."""

    bucket: str
    key: str


class Notified(NamedTuple):
    """A key of a source system to look at, relative to the source's prefix."""

    source_system: str
    key: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that names no object in any form known here. `reason` holds nothing of its text."""

    reason: str


@dataclass(slots=True)
class Drained:
    """What one call took from the queue. `messages` were read and acknowledged; `hints` of their keys were written.

    `ignored` keys are not those of a source system here, `malformed` messages were not understood. `more`: the call
    ended at its bounds, and messages may be waiting.
    """

    messages: int = 0
    hints: int = 0
    ignored: int = 0
    malformed: int = 0
    more: bool = False


def named_in(body: str) -> list[Named] | Malformed:
    """The objects that a message names: S3's own form (also of MinIO and Ceph), through SNS, or through EventBridge.

    The test message that S3 sends when notifications are set up names none.
    """
    for _ in range(ENVELOPES):
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            return Malformed("not JSON")
        if not isinstance(message, dict):
            return Malformed("not a JSON object")
        if message.get("Event") == "s3:TestEvent":
            return []
        if not isinstance(message.get("Message"), str):
            return _objects(message)
        body = message["Message"]
    return Malformed("too many envelopes")


def _objects(message: dict[str, Any]) -> list[Named] | Malformed:
    try:
        if "detail" in message:  # EventBridge gives keys as they are, S3 itself URL-encoded
            return [_named(message["detail"])]
        return [_named(record["s3"], unquote_plus) for record in message["Records"]]
    except (KeyError, TypeError, ValueError):
        return Malformed("no object named")


def _named(event: Any, decode: Callable[[str], str] = str) -> Named:
    bucket, key = event["bucket"]["name"], event["object"]["key"]
    if not isinstance(bucket, str) or not isinstance(key, str):
        raise TypeError
    return Named(bucket, decode(key))


def notified(named: Named, object_store_url: str, known: Collection[str], new_sources: bool) -> Notified | None:
    """The document that an object is, or None: another bucket or prefix, no source system here, or no document.

    A key that ends in a slash is the folder that a console made. One that no client can ask for by its path (empty,
    `.` or `..` segments, control characters) is left to the listing, which says what is wrong with it.
    """
    place = urlsplit(object_store_url)
    prefix = "/".join(part for part in (place.path.strip("/"), "raw") if part) + "/"
    if named.bucket != place.netloc or not named.key.startswith(prefix):
        return None
    source, _, key = named.key.removeprefix(prefix).partition("/")
    if not SOURCE_NAME.fullmatch(source) or not (new_sources or source in known):
        return None
    if _NOT_IN_KEYS.search(key) or any(segment in ("", ".", "..") for segment in key.split("/")):
        return None
    return Notified(source, key)


def drain(
    settings: Settings,
    write: Callable[[Sequence[Notified]], object],
    known: Collection[str],
    *,
    messages: int = 1000,
    seconds: float = 20.0,
) -> Drained:
    """Take what is in the queue, up to about so many messages or seconds: read ten, `write` and commit, acknowledge.

    `known` are the source systems of kb.yaml and the ledger; others count only with notifications.new_sources. Raises
    SettingsError when no queue is set or the store is no bucket, NotificationsUnavailable when the queue cannot be
    used, and what `write` raises: those messages then come again.
    """
    url = _queue_url(settings)
    total = Drained()
    ends = time.monotonic() + seconds
    with _errors(url):
        queue = _client(settings, url)
        while total.messages < messages and time.monotonic() < ends:
            answer = queue.receive_message(QueueUrl=url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=WAIT_SECONDS)
            batch = answer.get("Messages", [])
            if not batch:
                return total
            found = _understand(settings, known, [message["Body"] for message in batch], total)
            if found:
                write(found)
            fault_point("notifications.before_acknowledge")
            receipts = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(batch)]
            queue.delete_message_batch(QueueUrl=url, Entries=receipts)
            total.messages += len(batch)
    total.more = True
    return total


def check(settings: Settings) -> None:
    """Ask the queue for its name, to tell whether it can be used. Raises as `drain` does."""
    url = _queue_url(settings)
    with _errors(url):
        _client(settings, url).get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])


def _understand(settings: Settings, known: Collection[str], bodies: Sequence[str], total: Drained) -> list[Notified]:
    """The keys that a batch names, each once; adds up what was in it."""
    found: dict[Notified, None] = {}
    for body in bodies:
        named = named_in(body)
        if isinstance(named, Malformed):
            _log.warning("A bucket notification was not understood (%s); it is dropped.", named.reason)
            total.malformed += 1
            continue
        for item in named:
            hint = notified(item, settings.object_store_url, known, settings.notifications.new_sources)
            if hint:
                found[hint] = None
            else:
                total.ignored += 1
    total.hints += len(found)
    return list(found)


def _queue_url(settings: Settings) -> str:
    url = settings.notifications.queue_url
    if url is None:
        raise SettingsError("There is no queue of notifications.", "Set notifications.queue_url.")
    if not settings.object_store_url.startswith("s3://"):
        raise SettingsError(
            "notifications.queue_url is set, but the object store is no bucket.",
            "Set object_store.url (KB_OBJECT_STORE_URL) to s3://bucket/prefix, or notifications.queue_url to null.",
        )
    return url


def region_in(queue_url: str) -> str | None:
    """The region that an address of AWS names: sqs.REGION.amazonaws.com, or the older REGION.queue.amazonaws.com."""
    host = urlsplit(queue_url).hostname or ""
    found = re.match(r"sqs(?:-fips)?\.([a-z0-9-]+)\.|([a-z0-9-]+)\.queue\.", host)
    return (found[1] or found[2]) if found else None


def _client(settings: Settings, url: str) -> Any:
    import boto3
    from botocore.config import Config

    section, parts = settings.notifications, urlsplit(url)
    return boto3.session.Session().client(
        "sqs",
        endpoint_url=section.endpoint or f"{parts.scheme}://{parts.netloc}",
        region_name=section.region or region_in(url) or settings.object_store.region,
        config=Config(connect_timeout=5, read_timeout=20, retries={"max_attempts": 3, "mode": "standard"}),
    )


@contextmanager
def _errors(url: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

    try:
        yield
    except NoCredentialsError:
        raise NotificationsUnavailable(
            f"There are no credentials for the queue {url}.", "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from None
    except NoRegionError:
        raise NotificationsUnavailable(
            f"The region of the queue {url} is not known.", "Set notifications.region or AWS_DEFAULT_REGION."
        ) from None
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise _refused(url, error.response.get("Error", {}).get("Code", ""), status) from None
    except BotoCoreError as error:
        raise _silent(url, type(error).__name__) from None


def _silent(url: str, kind: str) -> NotificationsUnavailable:
    return NotificationsUnavailable(
        f"The queue {url} does not answer ({kind}).",
        "Check notifications.queue_url and notifications.endpoint and that the service runs.",
    )


def _refused(url: str, code: str, status: int) -> NotificationsUnavailable:
    if status >= 500 or "Throttl" in code:
        return _silent(url, code)
    if "NonExistentQueue" in code or "QueueDoesNotExist" in code:
        return NotificationsUnavailable(
            f"The queue {url} does not exist.",
            "Create it, or correct notifications.queue_url (KB_NOTIFICATION_QUEUE_URL).",
        )
    return NotificationsUnavailable(
        f"The queue {url} refuses to be read ({code}).",
        "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the rights to receive and delete its messages.",
    )
