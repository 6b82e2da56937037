"""What went wrong with one request to an embedding server, and how long to wait: pure of any request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import openai

from kb_pipeline.embedding.answers import MalformedAnswer

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
# Once texts were seen to fail, a request is given this many times what others of its size took.
PATIENCE = 10
LEAST_PATIENCE_SECONDS = 1.0
PASSAGE_CHARACTERS = 1000
TOO_MANY_REQUESTS, SERVER_FAILED = 429, 500


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why one attempt failed, in our words, and what the server asked for.

    `silent`: nobody gave an answer to these texts (no connection, not in time, too busy, a failure of the server's
    own); otherwise there is one, and it is of no use.
    """

    url: str
    what: str
    silent: bool = False
    timed_out: bool = False
    retry_after: float | None = None


def trouble_of(url: str, error: Exception) -> Trouble:
    """The trouble behind an exception of the openai package or a MalformedAnswer."""
    if isinstance(error, openai.APITimeoutError):
        return Trouble(url, "it gave no answer in time", silent=True, timed_out=True)
    if isinstance(error, openai.APIConnectionError):
        return Trouble(url, f"no connection ({type(error.__cause__ or error).__name__})", silent=True)
    if isinstance(error, openai.APIStatusError):
        silent = error.status_code == TOO_MANY_REQUESTS or error.status_code >= SERVER_FAILED
        return Trouble(url, f"HTTP {error.status_code}", silent, retry_after=_retry_after(error))
    if isinstance(error, MalformedAnswer):
        return Trouble(url, f"it returned {error}")
    return Trouble(url, f"its answer cannot be read ({type(error).__name__})")


@dataclass(slots=True)
class Pace:
    """How long answers have taken so far: the slowest one, and the one to the most characters. Of a word or two nothing
    is learned but what any request costs: it counts as a passage."""

    slowest: float = 0.0
    largest: tuple[int, float] = (PASSAGE_CHARACTERS, 0.0)

    def add(self, seconds: float, texts: Sequence[str]) -> None:
        """One request that was answered."""
        self.slowest = max(self.slowest, seconds)
        self.largest = max(self.largest, (max(sum(map(len, texts)), PASSAGE_CHARACTERS), seconds))

    def patience(self, texts: Sequence[str]) -> float:
        """Seconds after which an answer for `texts` is no longer to be expected, going by the others."""
        characters, seconds = self.largest
        usual = seconds * sum(map(len, texts)) / characters
        return max(PATIENCE * max(usual, self.slowest), LEAST_PATIENCE_SECONDS)


def wait_seconds(attempt: int, retry_after: float | None, jitter: float) -> float:
    """Pause before the attempt after `attempt` (from 0): 0.5 s doubled each time, at most 30 s.

    `jitter` in [0, 1) takes off up to half, so that clients that failed together do not come back together. A
    server's Retry-After is obeyed when it asks for longer, up to the same 30 s.
    """
    wait = min(FIRST_WAIT_SECONDS * 2.0**attempt, LONGEST_WAIT_SECONDS) * (1 - jitter / 2)
    return min(max(wait, retry_after or 0.0), LONGEST_WAIT_SECONDS)


def without_password(url: str) -> str:
    """`url` as messages may show it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _retry_after(error: openai.APIStatusError) -> float | None:
    """Seconds of a Retry-After header; the form that gives a date is rare and is left to the back-off."""
    try:
        return max(float(error.response.headers.get("retry-after", "")), 0.0)
    except ValueError:
        return None
