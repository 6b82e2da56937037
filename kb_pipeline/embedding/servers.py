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
from typing import Any, NoReturn
from urllib.parse import urlsplit

import openai

from kb_pipeline.core.errors import EmbeddingUnavailable, SettingsError
from kb_pipeline.embedding.answers import MalformedAnswer, base_url, decode
from kb_pipeline.embedding.troubles import Pace, Trouble, trouble_of, wait_seconds, without_password
from kb_pipeline.embedding.vectors import Vectors

CONNECT_SECONDS = 10.0
LONGEST_REST_SECONDS = 2.0
SECOND_CHANCES = 16

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
    """Every attempt failed in a way that may pass: either the servers are down, or it is these texts' doing."""

    def __init__(self, unavailable: EmbeddingUnavailable, trouble: Trouble) -> None:
        super().__init__(unavailable.message)
        self.unavailable = unavailable
        self.trouble = trouble


def is_loopback(url: str) -> bool:
    """Whether `url` is on this machine; such a server is never reached through a proxy of the environment."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
        self._pace = Pace()
        self._texts_at_fault = False
        self._blamed = 0
        self._lock = threading.Lock()
        self._given_up = threading.Event()

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(self._clients)

    def models(self, url: str) -> list[tuple[str, int | None]]:
        """(name, most tokens of a text or None) of each model one server offers; empty when it has no such list.

        One attempt. Raises SettingsError (401, 403) or Failing.
        """
        try:
            page = self._clients[url].models.list(timeout=min(self._timeout, CONNECT_SECONDS))
            return [(str(card.id), getattr(card, "max_model_len", None)) for card in page.data]
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            self._refuse_settings(url, error.status_code)
        except openai.NotFoundError:
            return []
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            trouble = trouble_of(url, error)
            raise Failing(self._unavailable(trouble), trouble) from None

    def embed(
        self, texts: Sequence[str], *, url: str | None = None, retries: int | None = None, patient: bool = False
    ) -> Answer:
        """One request for `texts`, tried until it is answered: on `url`, or on each server in turn.

        A server that gives no answer in time is not asked again: that may take minutes each time. `patient`: wait for
        as long as the settings say, whatever happened before. Raises Refused (the texts are at fault), SettingsError
        (401, 403, 404) or Failing (anything else, to the end).
        """
        choices = 1 if url else len(self._clients)
        attempts = (self._usual_retries() if retries is None else retries) + choices
        for attempt in itertools.count():
            chosen = url or self._next()
            try:
                return self._request(chosen, texts, self._timeout if patient else self._patience(texts))
            except (openai.OpenAIError, MalformedAnswer) as error:
                trouble = self._sort_out(chosen, error)
            last = choices if trouble.timed_out else attempts
            if attempt + 1 >= last or self._given_up.is_set():
                break
            self._pause(attempt, trouble, alone=choices == 1)
        raise Failing(self._unavailable(trouble), trouble)

    def blame_texts(self) -> None:
        """Texts have failed while the service embeds others: from now on less time is spent on whoever fails."""
        self._texts_at_fault = True

    @property
    def second_chances(self) -> int:
        """Retries of a text that failed with others and now stands alone. Each takes a pause, so only some get one."""
        return int(self._blamed < SECOND_CHANCES)

    def count_blamed(self) -> None:
        """One more text has no vector."""
        self._blamed += 1

    def rest(self, trouble: Trouble) -> None:
        """Wait as a server asked, before it is asked for other texts; 2 seconds at most."""
        self._given_up.wait(min(trouble.retry_after or 0.0, LONGEST_REST_SECONDS))

    def wait(self, attempt: int) -> None:
        """The pause after attempt number `attempt` (from 0) of something that is made of several requests."""
        self._given_up.wait(wait_seconds(attempt, None, random.random()))  # noqa: S311 - jitter, no secret

    @property
    def retries(self) -> int:
        return self._retries

    @property
    def given_up(self) -> bool:
        return self._given_up.is_set()

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

    def _request(self, url: str, texts: Sequence[str], seconds: float) -> Answer:
        began = time.monotonic()
        try:
            # As JSON: the package's own objects take as long again as everything else that a client does for a text.
            answer: Any = self._clients[url].post(
                "/embeddings",
                cast_to=object,
                body={"model": self.model, "input": list(texts), "encoding_format": "base64"},
                options={"timeout": _timeout(seconds)},
            )
            vectors, unusable = decode(answer["data"], len(texts), self.dimension)
            tokens = (answer.get("usage") or {}).get("prompt_tokens") or 0
        except MalformedAnswer:
            raise
        except (AttributeError, KeyError, TypeError, ValueError):  # not JSON, or JSON of another shape
            raise MalformedAnswer("an answer that is no list of embeddings") from None
        with self._lock:
            if self.dimension not in (None, vectors.shape[1]):  # another thread's first answer came meanwhile
                raise MalformedAnswer(f"vectors of {vectors.shape[1]} numbers where {self.dimension} were expected")
            self.dimension = vectors.shape[1]
            self._pace.add(time.monotonic() - began, texts)
            self._resting.pop(url, None)
        return Answer(vectors, unusable, int(tokens))

    def _patience(self, texts: Sequence[str]) -> float:
        return min(self._timeout, self._pace.patience(texts)) if self._texts_at_fault else self._timeout

    def _usual_retries(self) -> int:
        return min(self._retries, 1) if self._texts_at_fault else self._retries

    def _next(self) -> str:
        """The next server that is not resting after a failure; the next one of all when every one is."""
        now = time.monotonic()
        with self._lock:
            for _ in self._clients:
                url = next(self._turns)
                if self._resting.get(url, 0.0) <= now:
                    return url
            return next(self._turns)

    def _sort_out(self, url: str, error: Exception) -> Trouble:
        """What may pass if tried again, as a Trouble; raises for what will not."""
        if isinstance(error, openai.APIStatusError):
            if error.status_code in (401, 403, 404):
                self._refuse_settings(url, error.status_code)
            if error.status_code in (400, 413, 422):
                raise Refused(error.status_code, str(error.message)) from None
        return trouble_of(url, error)

    def _pause(self, attempt: int, trouble: Trouble, *, alone: bool) -> None:
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

    def _unavailable(self, trouble: Trouble) -> EmbeddingUnavailable:
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


def _timeout(seconds: float) -> openai.Timeout:
    return openai.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))


def _openai_client(url: str, api_key: str | None, timeout: float) -> openai.OpenAI:
    client = openai.OpenAI(
        base_url=base_url(url),
        api_key=api_key or "none",
        timeout=_timeout(timeout),
        max_retries=0,  # those of Servers.embed are the only ones
        http_client=openai.DefaultHttpxClient(trust_env=not is_loopback(url)),
    )
    # Taken from OPENAI_ORG_ID and OPENAI_PROJECT_ID when not given, and they are no business of this service's.
    client.organization = client.project = None
    return client
