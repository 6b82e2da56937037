"""From masked texts to unit vectors, over any OpenAI-compatible embedding service (SGLang in production).

Texts are sorted by length into batches, sent from a few threads, checked, and put back in order. batch.py says what
becomes of a batch that is refused, servers.py how a request is tried again, answers.py what counts as an answer.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from kb_pipeline.core.contracts import MaskedText
from kb_pipeline.core.errors import SettingsError, TextRejected, TextUnanswered
from kb_pipeline.embedding.answers import names_same_model
from kb_pipeline.embedding.batch import CONTROL_TEXT, Batch, EmbeddingUsage, fault_of, refuses_all
from kb_pipeline.embedding.servers import Failing, Refused, Servers
from kb_pipeline.embedding.troubles import without_password
from kb_pipeline.embedding.vectors import Vectors

__all__ = ["EmbeddingClient", "EmbeddingResult", "EmbeddingUsage", "ModelInfo"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelInfo:
    """What the service serves: `dimension` is the model's own; a text of `max_tokens` tokens is already too long."""

    model: str
    dimension: int
    max_tokens: int | None


@dataclass(frozen=True)
class EmbeddingResult:
    """`vectors` is (n, d) float32, unit length, row i for texts[i]; zeros for a text that is rejected (asking again
    would be in vain) or unanswered (it may be answered another time)."""

    vectors: Vectors
    rejected: Mapping[int, TextRejected]
    usage: EmbeddingUsage
    unanswered: Mapping[int, TextUnanswered] = field(default_factory=dict)


class EmbeddingClient:
    """A client of the servers of `embedding.urls`. Safe to use from one thread at a time; it has threads of its own."""

    def __init__(
        self,
        urls: Sequence[str],
        model: str,
        *,
        api_key: str | None = None,
        batch_texts: int = 32,
        concurrency: int = 2,
        timeout_seconds: float = 120,
        max_retries: int = 4,
    ) -> None:
        if not urls:
            raise SettingsError("No embedding server is named.", "Set embedding.urls, or run `kb up` for a local one.")
        self._servers = Servers(urls, model, api_key, timeout_seconds, max_retries)
        self._batch_texts = batch_texts
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="embed")

    def probe(self) -> ModelInfo:
        """What is served, from /v1/models and one word embedded on every server. Needs one server that answers, and
        waits for it as long as for an answer.

        Raises EmbeddingUnavailable naming the address when none answers, SettingsError when one serves another
        model, wants another API key, or disagrees with its peers about the dimension.
        """
        for attempt in itertools.count():
            found, down = self._ask_all()
            if found:
                break
            if attempt >= self._servers.retries or all(failing.trouble.timed_out for failing in down):
                raise down[0].unavailable
            self._servers.wait(attempt)
        dimensions = sorted({info.dimension for info in found})
        if len(dimensions) > 1:
            raise SettingsError(
                f"The embedding servers return vectors of different lengths: {dimensions}.",
                "Every address in embedding.urls must serve embedding.model, at one revision.",
            )
        return found[0]

    def check(self) -> None:
        """As `probe`, but a single server is believed when it names what it serves: no text is embedded for that."""
        if len(self._servers.urls) == 1:
            with suppress(Failing):  # probe waits for it
                if self._limits(self._servers.urls[0]):
                    return
        self.probe()

    def _ask_all(self) -> tuple[list[ModelInfo], list[Failing]]:
        found: list[ModelInfo] = []
        down: list[Failing] = []
        for url in self._servers.urls:
            try:
                found.append(self._probe_one(url))
            except Failing as failing:
                log.warning("%s", failing.unavailable)
                down.append(failing)
        return found, down

    def _limits(self, url: str) -> list[int | None]:
        """Token limits of what the server serves under the model's name; empty when it names nothing at all."""
        model = self._servers.model
        offered = self._servers.models(url)
        matching = [limit for name, limit in offered if names_same_model(model, name)]
        if offered and not matching:
            names = ", ".join(name for name, _ in offered[:5])
            raise SettingsError(
                f"The embedding server {without_password(url)} serves {names}, not {model}.",
                "Correct embedding.model or embedding.urls: vectors of two models cannot be compared.",
            )
        return matching

    def _probe_one(self, url: str) -> ModelInfo:
        matching = self._limits(url)
        self._servers.dimension = None  # each server speaks for itself; probe compares them
        try:
            answer = self._servers.embed([CONTROL_TEXT], url=url, retries=0)
        except Refused as error:
            raise refuses_all(without_password(url), error) from None
        if answer.unusable:
            raise refuses_all(without_password(url), None)
        return ModelInfo(self._servers.model, answer.vectors.shape[1], matching[0] if matching else None)

    def embed(self, texts: Sequence[MaskedText]) -> EmbeddingResult:
        """Vectors for `texts`, in their order. Texts without one are in `rejected` or `unanswered`; the others are not
        affected.

        Raises EmbeddingUnavailable when the service stays away, SettingsError when it refuses key or model. Nothing
        of a failed call is kept: the caller commits what earlier calls returned.
        """
        return self._embed(texts)

    def _embed(self, texts: Sequence[str]) -> EmbeddingResult:
        self._servers.resume()
        faults = {i: fault for i, text in enumerate(texts) if (fault := fault_of(text))}
        wanted = sorted((i for i in range(len(texts)) if i not in faults), key=lambda i: len(texts[i]), reverse=True)
        batches = [wanted[at : at + self._batch_texts] for at in range(0, len(wanted), self._batch_texts)]
        futures = [self._threads.submit(Batch(self._servers, texts).embed, batch) for batch in batches]
        try:
            done = [future.result() for future in futures]
        except BaseException:
            self._servers.give_up()
            for future in futures:
                future.cancel()
            raise
        return self._result(len(texts), faults, done)

    def _result(self, count: int, faults: Mapping[int, TextRejected], done: Sequence[Batch]) -> EmbeddingResult:
        vectors = np.zeros((count, self._servers.dimension or 0), dtype=np.float32)
        rejected, usage = dict(faults), EmbeddingUsage()
        unanswered: dict[int, TextUnanswered] = {}
        for batch in done:
            for i, vector in batch.vectors.items():
                vectors[i] = vector
            rejected.update(batch.rejected)
            unanswered.update(batch.unanswered)
            usage.add(batch.usage)
        return EmbeddingResult(vectors, rejected, usage, unanswered)

    def embed_query(self, text: str, instruction: str = "") -> Vectors:
        """The vector (d,) float32 of a search text; too long a text is cut.

        With an instruction the model sees "Instruct: {instruction}\\nQuery:{text}", the form Qwen3-Embedding was
        trained on (no blank after "Query:"). Raises TextRejected, TextUnanswered, or what `embed` raises.
        """
        prompt = f"Instruct: {instruction}\nQuery:{text}" if instruction and text.strip() else text
        result = self._embed([prompt])
        for missing in (result.rejected, result.unanswered):
            if 0 in missing:
                raise missing[0]
        row: Vectors = result.vectors[0]
        return row

    def close(self) -> None:
        """Close connections and threads."""
        self._threads.shutdown(cancel_futures=True)
        self._servers.close()
