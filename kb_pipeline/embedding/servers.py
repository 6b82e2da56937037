"""One or several embedding servers behind one call: round-robin, fail-over, retries with back-off."""

from __future__ import annotations

import ipaddress
import itertools
import logging
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlsplit

import openai

from kb_pipeline.embedding.answers import MalformedAnswer, base_url, decode
from kb_pipeline.embedding.vectors import Vectors
from kb_pipeline.errors import EmbeddingUnavailable, SettingsError

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
CONNECT_SECONDS = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """Vectors (n, d), the rows among them that are unusable (zeros), and the tokens the server counted."""

    vectors: Vectors
    unusable: list[int]
    tokens: int


class Refused(Exception):
    """A server refuses these very texts (HTTP 400, 413, 422). `server_message` may quote them: never pass it on."""

    def __init__(self, status: int, server_message: str) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.server_message = server_message


class Failing(Exception):
    """Every attempt got HTTP 5xx: either the servers are down, or these texts bring them down."""

    def __init__(self, unavailable: EmbeddingUnavailable) -> None:
        super().__init__(unavailable.message)
        self.unavailable = unavailable


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why one attempt failed, in our words, and what the server asked for."""

    url: str
    what: str
    status: int | None = None
    retry_after: float | None = None


def wait_seconds(attempt: int, retry_after: float | None, jitter: float) -> float:
    """Pause before the attempt after `attempt` (from 0): 0.5 s doubled each time, at most 30 s.

    `jitter` in [0, 1) takes off up to half, so that clients that failed together do not come back together. A
    server's Retry-After is obeyed when it asks for longer, up to the same 30 s.
    """
    wait = min(FIRST_WAIT_SECONDS * 2.0**attempt, LONGEST_WAIT_SECONDS) * (1 - jitter / 2)
    return min(max(wait, retry_after or 0.0), LONGEST_WAIT_SECONDS)


def is_loopback(url: str) -> bool:
    """Whether `url` is on this machine; such a server is never reached through a proxy of the environment."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def without_password(url: str) -> str:
    """`url` as messages may show it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


class Servers:
    """The servers of `embedding.urls`, all serving one model. Safe to call from several threads."""

    def __init__(self, urls: Sequence[str], model: str, api_key: str | None, timeout: float, max_retries: int) -> None:
        # The openai package writes request bodies, which hold texts, to its log at DEBUG.
        logging.getLogger("openai").setLevel(logging.INFO)
        self.model = model
        self.dimension: int | None = None
        self._retries = max_retries
        self._timeout = timeout
        self._clients = {url: _openai_client(url, api_key, timeout) for url in urls}
        self._turns = itertools.cycle(urls)
        self._resting: dict[str, float] = {}
        self._lock = threading.Lock()
        self._given_up = threading.Event()

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(self._clients)

    def models(self, url: str) -> list[tuple[str, int | None]]:
        """(name, most tokens of a text or None) of each model one server offers; empty when it has no such list."""
        try:
            page = self._clients[url].models.list()
            return [(str(card.id), getattr(card, "max_model_len", None)) for card in page.data]
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            self._refuse_settings(url, error.status_code)
        except openai.NotFoundError:
            return []
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise self._unavailable(_trouble(url, error)) from None

    def embed(self, texts: Sequence[str], *, url: str | None = None, retries: int | None = None) -> Answer:
        """One request for `texts`, tried until it is answered: on `url`, or on each server in turn.

        Raises Refused (the texts are at fault), SettingsError (401, 403, 404), Failing (5xx to the end) or
        EmbeddingUnavailable (no connection, no answer in time, 429 or a malformed answer to the end).
        """
        choices = 1 if url else len(self._clients)
        attempts = (self._retries if retries is None else retries) + choices
        for attempt in itertools.count():
            chosen = url or self._next()
            try:
                return self._request(chosen, texts)
            except (openai.OpenAIError, MalformedAnswer) as error:
                trouble = self._sort_out(chosen, error)
            if attempt + 1 >= attempts or self._given_up.is_set():
                break
            self._pause(attempt, trouble, alone=choices == 1)
        unavailable = self._unavailable(trouble)
        if trouble.status is not None and trouble.status >= 500:
            raise Failing(unavailable)
        raise unavailable

    def give_up(self) -> None:
        """End every pause at once: one request has failed for good, so the others need not wait their turns out."""
        self._given_up.set()

    def resume(self) -> None:
        """Undo give_up, before a new set of texts."""
        self._given_up.clear()

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    def _request(self, url: str, texts: Sequence[str]) -> Answer:
        try:
            response = self._clients[url].embeddings.create(
                model=self.model, input=list(texts), encoding_format="base64"
            )
            vectors, unusable = decode(response.data, len(texts), self.dimension)
            tokens = response.usage.prompt_tokens if response.usage else 0
        except MalformedAnswer:
            raise
        except (AttributeError, TypeError, ValueError):  # not JSON, or JSON of another shape
            raise MalformedAnswer("an answer that is no list of embeddings") from None
        with self._lock:
            if self.dimension not in (None, vectors.shape[1]):  # another thread's first answer came meanwhile
                raise MalformedAnswer(f"vectors of {vectors.shape[1]} numbers where {self.dimension} were expected")
            self.dimension = vectors.shape[1]
            self._resting.pop(url, None)
        return Answer(vectors, unusable, int(tokens))

    def _next(self) -> str:
        """The next server that is not resting after a failure; the next one of all when every one is."""
        now = time.monotonic()
        with self._lock:
            for _ in self._clients:
                url = next(self._turns)
                if self._resting.get(url, 0.0) <= now:
                    return url
            return next(self._turns)

    def _sort_out(self, url: str, error: Exception) -> _Trouble:
        """What may pass if tried again, as a _Trouble; raises for what will not."""
        if isinstance(error, openai.APIStatusError):
            if error.status_code in (401, 403, 404):
                self._refuse_settings(url, error.status_code)
            if error.status_code in (400, 413, 422):
                raise Refused(error.status_code, str(error.message)) from None
        return _trouble(url, error)

    def _pause(self, attempt: int, trouble: _Trouble, *, alone: bool) -> None:
        seconds = wait_seconds(attempt, trouble.retry_after, random.random())  # noqa: S311 - jitter, no secret
        log.warning(
            "Embedding server %s: %s. Next attempt in at most %.1f s.",
            without_password(trouble.url),
            trouble.what,
            seconds,
        )
        with self._lock:
            self._resting[trouble.url] = time.monotonic() + seconds
            another_is_ready = not alone and any(
                self._resting.get(url, 0.0) <= time.monotonic() for url in self._clients
            )
        if not another_is_ready:
            self._given_up.wait(seconds)

    def _unavailable(self, trouble: _Trouble) -> EmbeddingUnavailable:
        url = without_password(trouble.url)
        return EmbeddingUnavailable(
            f"The embedding server {url} (setting embedding.urls) is of no use: {trouble.what}.",
            f"Start it (`kb up` starts the embedded one), correct embedding.urls, or raise "
            f"embedding.timeout_seconds (now {self._timeout:g}); then sync again: what is done stays done.",
        )

    def _refuse_settings(self, url: str, status: int) -> NoReturn:
        if status == 404:
            raise SettingsError(
                f"The embedding server {without_password(url)} answered HTTP 404 for the model {self.model}.",
                "Correct embedding.model, or embedding.urls if the server is another one.",
            )
        raise SettingsError(
            f"The embedding server {without_password(url)} refuses the API key (HTTP {status}).",
            "Set KB_EMBEDDING_API_KEY to a key that may use embedding.model.",
        )


def _openai_client(url: str, api_key: str | None, timeout: float) -> openai.OpenAI:
    client = openai.OpenAI(
        base_url=base_url(url),
        api_key=api_key or "none",
        timeout=openai.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS)),
        max_retries=0,  # those of Servers.embed are the only ones
        http_client=openai.DefaultHttpxClient(trust_env=not is_loopback(url)),
    )
    # Taken from OPENAI_ORG_ID and OPENAI_PROJECT_ID when not given, and they are no business of this service's.
    client.organization = client.project = None
    return client


def _trouble(url: str, error: Exception) -> _Trouble:
    if isinstance(error, openai.APITimeoutError):
        return _Trouble(url, "it gave no answer in time")
    if isinstance(error, openai.APIConnectionError):
        return _Trouble(url, f"no connection ({type(error.__cause__ or error).__name__})")
    if isinstance(error, openai.APIStatusError):
        return _Trouble(url, f"HTTP {error.status_code}", error.status_code, _retry_after(error))
    if isinstance(error, MalformedAnswer):
        return _Trouble(url, f"it returned {error}")
    return _Trouble(url, f"its answer cannot be read ({type(error).__name__})")


def _retry_after(error: openai.APIStatusError) -> float | None:
    """Seconds of a Retry-After header; the form that gives a date is rare and is left to the back-off."""
    try:
        return max(float(error.response.headers.get("retry-after", "")), 0.0)
    except ValueError:
        return None
