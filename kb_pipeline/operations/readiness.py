"""What would refuse the next sync. One list of checks; `kb doctor`, `kb plan` and `kb verify` show what they find."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from kb_pipeline.chunking.vocabulary import Vocabulary
from kb_pipeline.core.errors import KbError
from kb_pipeline.embedding.client import ModelInfo
from kb_pipeline.local import stack
from kb_pipeline.local.dagster_storage import check_dagster_storage
from kb_pipeline.masking import load_models
from kb_pipeline.pipeline.catalogue import catalogue
from kb_pipeline.pipeline.executors import embedding_client
from kb_pipeline.pipeline.opening import object_store_config
from kb_pipeline.settings import Settings
from kb_pipeline.store.database import (
    MINIMUM_PGVECTOR,
    connect,
    database_errors,
    describe,
    pgvector_version,
)
from kb_pipeline.store.objects.object_store import ObjectStore
from kb_pipeline.store.published.spaces import Space, check_answered, check_space
from kb_pipeline.store.verify.writable import check_writable

MINIMUM_POSTGRES = 160000
LONGEST_SECONDS = 30  # for one plain word: whoever asks for a plan does not wait for a server that hangs


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, whether it is well, what was seen, and what to do if it is not."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def obstacles(settings: Settings) -> list[Finding]:
    """What would refuse the next sync; empty when nothing would. What is written to see that is taken back at once, and
    the model is asked for one plain word."""
    return [finding for finding in examine_next_sync(settings) if not finding.ok]


def examine_next_sync(settings: Settings) -> list[Finding]:
    """Every check of what a sync needs, whether it is well or not. None stops the others."""
    checks = _Checks(settings)
    named: tuple[tuple[str, Callable[[], str]], ...] = (
        ("database", checks.database),
        ("database rows", checks.rows),
        ("object store", checks.objects),
        ("embedding service", checks.service),
        ("embedding space", checks.space),
        ("source settings", checks.sources),
        ("Dagster's storage", checks.dagster),
        *((("masking models", checks.masking_models),) if settings.masking_models else ()),
    )
    findings = []
    for name, check in named:
        with suppress(_NotAsked):
            findings.append(guarded(name, check))
    return findings


class _NotAsked(Exception):
    """What the check needs was found wanting already."""


def guarded(name: str, check: Callable[[], str | Finding]) -> Finding:
    """A finding from a check that says what it saw, or raises what is wrong."""
    try:
        seen = check()
        return Finding(name, True, seen) if isinstance(seen, str) else seen
    except KbError as error:
        return Finding(name, False, error.message, error.remedy)
    except OSError as error:
        return Finding(name, False, f"{type(error).__name__}: {error.strerror}", "Check KB_HOME and its rights.")


class _Checks:
    """The checks in order: later ones use what earlier ones learned, and are not asked where those failed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._database_answers = False
        self._takes_rows = False
        self._active: Space | None = None
        self._served: ModelInfo | None = None

    def database(self) -> str:
        dsn = stack.database_dsn(self.settings)
        with connect(dsn) as connection:
            server, vector = connection.info.server_version, pgvector_version(connection)
        wanted = ".".join(map(str, MINIMUM_PGVECTOR))
        seen = ".".join(map(str, vector)) if vector else "none"
        detail = f"PostgreSQL {server // 10000}.{server % 10000} at {describe(dsn)}, pgvector {seen}"
        if server < MINIMUM_POSTGRES or vector is None or vector < MINIMUM_PGVECTOR:
            raise KbError(detail, f"Install PostgreSQL 16 or later with pgvector {wanted} or later.")
        self._database_answers = True
        return detail

    def rows(self) -> str:
        if not self._database_answers:
            raise _NotAsked
        with connect(stack.database_dsn(self.settings)) as connection, database_errors():
            self._active = check_writable(connection)
        self._takes_rows = True
        return "a row was written and taken back"

    def objects(self) -> str:
        ObjectStore(object_store_config(self.settings)).check()
        return f"{self.settings.object_store_url}: list, write, read, delete"

    def service(self) -> str:
        urls = stack.embedding_urls(self.settings)
        client = embedding_client(self.settings, max_retries=0, longest_seconds=LONGEST_SECONDS)
        try:
            self._served = client.probe()
        finally:
            client.close()
        return f"{self._served.model}, {self._served.dimension} dimensions, at {', '.join(urls)}"

    def space(self) -> str:
        """What the space was filled with, against the settings and against what is served now."""
        wanted, space = self.settings.embedding, self._active
        if not self._takes_rows or not (space or self._served):
            raise _NotAsked
        native = space.native_dimension if space else self._served.dimension if self._served else 0
        asked = check_space(
            space, model=wanted.model, revision=wanted.revision, native_dimension=native, dimension=wanted.dimension
        )
        if space and self._served:
            check_answered(space, self._served.dimension)
        return asked if space else f"none yet; the first sync makes {asked}"

    def sources(self) -> str:
        """Policies, tokenizers and models that stages ask for by name."""
        names = sorted(self.settings.sources) or [""]
        for name in names:
            catalogue(self.settings, name)
        if self.settings.chunking.tokenizer:
            Vocabulary(self.settings.chunking.tokenizer)
        return "policies, keys and models that they name are there"

    def dagster(self) -> str:
        return check_dagster_storage(self.settings)

    def masking_models(self) -> str:
        load_models(self.settings.masking_for(""))
        return ", ".join(f"{language}: {model.model}" for language, model in self.settings.masking_models.items())
