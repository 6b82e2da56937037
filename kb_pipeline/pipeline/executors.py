"""Executors of worker stages and of the model, made from settings and started only when there is work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from kb_pipeline.core.contracts import MaskedText, Outcome, Task
from kb_pipeline.core.errors import KbError, ServiceUnavailable, SettingsError
from kb_pipeline.embedding.client import EmbeddingClient, EmbeddingResult
from kb_pipeline.execution.local import Limits, LocalWorkers
from kb_pipeline.local.stack import embedding_urls
from kb_pipeline.pipeline.catalogue import PRELOAD, PRELOAD_LIGHT, WorkerJob, failure
from kb_pipeline.pipeline.runner import Executor
from kb_pipeline.settings import Settings


def embedding_client(
    settings: Settings, *, max_retries: int | None = None, longest_seconds: float | None = None
) -> EmbeddingClient:
    """A client of the settings' embedding service, with their retries and patience or less. Raises EmbeddingUnavailable
    with the remedy when there is none."""
    e, key = settings.embedding, settings.embedding_api_key
    return EmbeddingClient(
        embedding_urls(settings),
        e.model,
        api_key=key.get_secret_value() if key else None,
        batch_texts=e.batch_texts,
        concurrency=e.concurrency,
        timeout_seconds=min(e.timeout_seconds, longest_seconds or e.timeout_seconds),
        max_retries=e.max_retries if max_retries is None else min(e.max_retries, max_retries),
    )


class Workers:
    """Limited worker processes as the runner's executor. They start with the first task: no work, no process."""

    def __init__(self, job: WorkerJob, settings: Settings) -> None:
        self.job = job
        limits = settings.limits
        self.limits = Limits(limits.seconds, limits.memory_mb, limits.workers)

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Outcomes as they come. Raises ServiceUnavailable or SettingsError when a worker met it: the run stops
        there."""
        iterator = iter(tasks)
        first = next(iterator, None)
        if first is None:
            return
        preload = PRELOAD_LIGHT if self.job.light else PRELOAD
        with LocalWorkers(self.job, self.limits, preload, self.job.prepare) as workers:
            for task, result in workers.run(_chain(first, iterator)):
                if isinstance(result, ServiceUnavailable | SettingsError):
                    raise result
                yield Outcome(task, **failure(result)) if isinstance(result, KbError) else result


class LazyClient:
    """The embedding client, opened with the first text: a sync with nothing to embed needs no server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._client: EmbeddingClient | None = None
        self._calls = self._texts = self._tokens = self._truncated = 0

    def _open(self) -> EmbeddingClient:
        if self._client is None:
            client = embedding_client(self.settings)
            client.check()  # catches a wrong model behind an address before its vectors are mixed with ours
            self._client = client
        return self._client

    def embed(self, texts: Sequence[MaskedText]) -> EmbeddingResult:
        """Vectors of `texts`, with the usage added up."""
        result = self._open().embed(texts)
        self._calls += result.usage.calls
        self._texts += result.usage.texts
        self._tokens += result.usage.tokens
        self._truncated += result.usage.truncated
        return result

    def costs(self) -> dict[str, int]:
        """What the model was asked for so far."""
        return {
            "model_calls": self._calls,
            "model_texts": self._texts,
            "model_tokens": self._tokens,
            "model_truncated": self._truncated,
        }

    def close(self) -> None:
        """Close the connections, if any were opened."""
        if self._client:
            self._client.close()


class Model(Protocol):
    """The embedding model as a run sees it."""

    def embed(self, texts: Sequence[MaskedText]) -> EmbeddingResult: ...
    def costs(self) -> dict[str, int]: ...
    def close(self) -> None: ...


class Executors:
    """Where a run's stages work: on this machine, with the embedding service of the settings. A cluster is another."""

    def workers(self, job: WorkerJob, settings: Settings) -> Executor:
        """What runs a worker stage."""
        return Workers(job, settings)

    def model(self, settings: Settings) -> Model:
        """What turns texts into vectors."""
        return LazyClient(settings)


def _chain(first: Task, rest: Iterator[Task]) -> Iterator[Task]:
    yield first
    yield from rest
