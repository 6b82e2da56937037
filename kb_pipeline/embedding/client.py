"""From masked texts to unit vectors, over any OpenAI-compatible embedding service (SGLang in production).

Texts are sorted by length into batches, sent from a few threads, checked, and put back in order. A batch that is
refused is split until the text at fault stands alone: that text is cut if it is too long, and rejected otherwise.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from kb_pipeline.contracts import MaskedText
from kb_pipeline.embedding.answers import is_length_refusal, names_same_model, shortened
from kb_pipeline.embedding.servers import Answer, Failing, Refused, Servers
from kb_pipeline.embedding.vectors import Vectors
from kb_pipeline.errors import EmbeddingUnavailable, SettingsError, TextRejected

CONTROL_TEXT = "test"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelInfo:
    """What the service serves: `dimension` is the model's own; a text of `max_tokens` tokens is already too long."""

    model: str
    dimension: int
    max_tokens: int | None


@dataclass
class EmbeddingUsage:
    """`calls` counts requests, refused ones too, retries not; `truncated` counts texts cut to what the model takes."""

    calls: int = 0
    texts: int = 0
    tokens: int = 0
    truncated: int = 0

    def add(self, other: EmbeddingUsage) -> None:
        """Add `other`'s counts to these."""
        self.calls += other.calls
        self.texts += other.texts
        self.tokens += other.tokens
        self.truncated += other.truncated


@dataclass(frozen=True)
class EmbeddingResult:
    """`vectors` is (n, d) float32, unit length, row i for texts[i]; a rejected text's row is zeros."""

    vectors: Vectors
    rejected: Mapping[int, TextRejected]
    usage: EmbeddingUsage


@dataclass
class _Batch:
    """Texts on their way through one thread, and what has become of them so far. Positions are those of the input."""

    vectors: dict[int, Vectors] = field(default_factory=dict)
    rejected: dict[int, TextRejected] = field(default_factory=dict)
    usage: EmbeddingUsage = field(default_factory=EmbeddingUsage)


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
        """What is served, from /v1/models and one word embedded on every server. Needs one server that answers.

        Raises EmbeddingUnavailable naming the address when none answers, SettingsError when one serves another
        model, wants another API key, or disagrees with its peers about the dimension.
        """
        found: list[ModelInfo] = []
        down: list[EmbeddingUnavailable] = []
        for url in self._servers.urls:
            try:
                found.append(self._probe_one(url))
            except EmbeddingUnavailable as error:
                log.warning("%s", error)
                down.append(error)
        if not found:
            raise down[0]
        return found[0]

    def _probe_one(self, url: str) -> ModelInfo:
        model = self._servers.model
        offered = self._servers.models(url)
        matching = [limit for name, limit in offered if names_same_model(model, name)]
        if offered and not matching:
            raise SettingsError(
                f"The embedding server {url} serves {', '.join(name for name, _ in offered[:5])}, not {model}.",
                "Correct embedding.model or embedding.urls: vectors of two models cannot be compared.",
            )
        try:
            answer = self._servers.embed([CONTROL_TEXT], url=url)
        except Failing as error:
            raise error.unavailable from None
        except Refused as error:
            raise _refuses_all(url, f"refuses every text (HTTP {error.status})") from None
        if answer.unusable:
            raise _refuses_all(url, "returns no usable vector, even for one plain word")
        return ModelInfo(model, answer.vectors.shape[1], matching[0] if matching else None)

    def embed(self, texts: Sequence[MaskedText]) -> EmbeddingResult:
        """Vectors for `texts`, in their order. Faulty texts are in `rejected`; the others are not affected.

        Raises EmbeddingUnavailable when the service stays away, SettingsError when it refuses key or model. Nothing
        of a failed call is kept: the caller commits what earlier calls returned.
        """
        self._servers.resume()
        total = _Batch()
        wanted = []
        for i, text in enumerate(texts):
            fault = _fault(text)
            if fault:
                total.rejected[i] = TextRejected(f"A text to embed {fault}.", "Look at the document's chunks.")
            else:
                wanted.append(i)
        wanted.sort(key=lambda i: len(texts[i]), reverse=True)
        batches = [wanted[at : at + self._batch_texts] for at in range(0, len(wanted), self._batch_texts)]
        futures = [self._threads.submit(self._embed_batch, texts, batch) for batch in batches]
        try:
            for future in futures:
                _merge(total, future.result())
        except BaseException:
            self._servers.give_up()
            for future in futures:
                future.cancel()
            raise
        vectors = np.zeros((len(texts), self._servers.dimension or 0), dtype=np.float32)
        for i, vector in total.vectors.items():
            vectors[i] = vector
        return EmbeddingResult(vectors, total.rejected, total.usage)

    def embed_query(self, text: str, instruction: str = "") -> Vectors:
        """The vector (d,) float32 of a search text; too long a text is cut.

        With an instruction the model sees "Instruct: {instruction}\\nQuery:{text}", the form Qwen3-Embedding was
        trained on (no blank after "Query:"). Raises TextRejected, or what `embed` raises.
        """
        prompt = f"Instruct: {instruction}\nQuery:{text}" if instruction and text.strip() else text
        result = self.embed([MaskedText(prompt)])
        if 0 in result.rejected:
            raise result.rejected[0]
        row: Vectors = result.vectors[0]
        return row

    def close(self) -> None:
        """Close connections and threads."""
        self._threads.shutdown(cancel_futures=True)
        self._servers.close()

    def _embed_batch(self, texts: Sequence[str], positions: list[int]) -> _Batch:
        batch = _Batch()
        self._fill(batch, texts, positions, retries=None)
        return batch

    def _fill(self, batch: _Batch, texts: Sequence[str], positions: list[int], retries: int | None) -> None:
        """Embed the texts at `positions`, splitting in halves what the service refuses as a whole."""
        try:
            answer = self._call(batch, [texts[i] for i in positions], retries)
        except (Refused, Failing) as error:
            if isinstance(error, Failing):
                self._check_others_pass(batch, error)
                retries = 1  # the servers are well: these texts are at fault, and long waits would not help
            if len(positions) > 1:
                half = len(positions) // 2
                self._fill(batch, texts, positions[:half], retries)
                self._fill(batch, texts, positions[half:], retries)
            elif isinstance(error, Refused) and is_length_refusal(error.status, error.server_message):
                self._cut_and_embed(batch, texts[positions[0]], positions[0], error)
            else:
                self._check_others_pass(batch, error)
                batch.rejected[positions[0]] = _rejection(error)
            return
        for row, i in enumerate(positions):
            if row not in answer.unusable:
                self._keep(batch, i, answer.vectors[row])
            else:
                self._try_alone(batch, texts[i], i)

    def _try_alone(self, batch: _Batch, text: str, position: int) -> None:
        """A text whose vector held NaN or only zeros gets one more chance, alone: its neighbours may be the cause."""
        try:
            answer = self._call(batch, [text], retries=1)
        except (Refused, Failing) as error:
            self._check_others_pass(batch, error)
            batch.rejected[position] = _rejection(error)
            return
        if answer.unusable:
            self._check_others_pass(batch, None)
            batch.rejected[position] = _rejection(None)
        else:
            self._keep(batch, position, answer.vectors[0])

    def _cut_and_embed(self, batch: _Batch, text: str, position: int, refusal: Refused) -> None:
        """Cut a text that is too long until the model takes it. Every cut is shorter than the last, so this ends."""
        error: Refused | Failing = refusal
        while isinstance(error, Refused) and is_length_refusal(error.status, error.server_message):
            text = shortened(text, error.server_message)
            if not text:
                break
            try:
                answer = self._call(batch, [text], retries=None)
            except (Refused, Failing) as again:
                error = again
                continue
            if not answer.unusable:
                batch.usage.truncated += 1
                self._keep(batch, position, answer.vectors[0])
                return
            break
        batch.rejected[position] = _rejection(error)

    def _check_others_pass(self, batch: _Batch, error: Refused | Failing | None) -> None:
        """Before blaming a text, see that the service embeds a plain word: if not, the service is at fault."""
        try:
            answer = self._call(batch, [CONTROL_TEXT], retries=0)
        except Failing as failing:
            raise failing.unavailable from None
        except Refused as refused:
            raise _refuses_all(", ".join(self._servers.urls), f"refuses every text (HTTP {refused.status})") from None
        if answer.unusable:
            raise _refuses_all(", ".join(self._servers.urls), "returns no usable vector, even for one plain word")

    def _call(self, batch: _Batch, texts: Sequence[str], retries: int | None) -> Answer:
        batch.usage.calls += 1
        answer = self._servers.embed(texts, retries=retries)
        batch.usage.tokens += answer.tokens
        return answer

    @staticmethod
    def _keep(batch: _Batch, position: int, vector: Vectors) -> None:
        batch.vectors[position] = vector
        batch.usage.texts += 1


def _merge(total: _Batch, batch: _Batch) -> None:
    total.vectors.update(batch.vectors)
    total.rejected.update(batch.rejected)
    total.usage.add(batch.usage)


def _fault(text: str) -> str | None:
    """Why a text cannot be sent at all: servers refuse blank texts, and a lone surrogate has no UTF-8."""
    if not text.strip():
        return "is empty"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half a character (a lone surrogate)"
    return None


def _rejection(error: Refused | Failing | None) -> TextRejected:
    """Why a text has no vector, without a word of it."""
    if isinstance(error, Refused):
        what = f"The embedding service refuses a text of this document (HTTP {error.status}), and no other."
    elif isinstance(error, Failing):
        what = "The embedding service fails on a text of this document every time, while it embeds others."
    else:
        what = "The model returns no usable vector (not finite, or of length zero) for a text of this document."
    return TextRejected(what, "Serve the model in bfloat16 or float32, then `kb quarantine retry`; or edit the text.")


def _refuses_all(url: str, what: str) -> SettingsError:
    return SettingsError(
        f"The embedding server {url} {what}.",
        "Check that embedding.model is served as an embedding model (SGLang: --is-embedding, --dtype bfloat16).",
    )
