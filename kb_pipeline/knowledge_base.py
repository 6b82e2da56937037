"""The Python API: one class, one method a verb of the command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from kb_pipeline.contracts import StageName
from kb_pipeline.errors import EmbeddingUnavailable, NotFound, SettingsError
from kb_pipeline.local import stack
from kb_pipeline.local.stack import ServiceStatus
from kb_pipeline.settings import Settings, check_source_name, load_settings

if TYPE_CHECKING:
    import pandas as pd

    from kb_pipeline.defs.running import SyncReport
    from kb_pipeline.doctor import Finding
    from kb_pipeline.search.hybrid import Result
    from kb_pipeline.sources.mirror import MirrorReport
    from kb_pipeline.store.database import Connection
    from kb_pipeline.store.overview import Quarantined, SourceOverview, SpaceOverview


@dataclass(frozen=True, slots=True)
class Status:
    """Services of the embedded stack, and what the knowledge base holds (empty while the database is down)."""

    services: list[ServiceStatus]
    sources: list[SourceOverview]
    spaces: list[SpaceOverview]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What mirroring the folder did, and the sync that followed."""

    mirror: MirrorReport
    sync: SyncReport


def _silent(event: str) -> None:
    """The default listener: says nothing."""


class KnowledgeBase:
    """A knowledge base by its settings. Nothing is read or connected to until a method needs it.

    `home` and `config` win over KB_HOME and KB_CONFIG. Every method raises errors of kb_pipeline.errors.
    """

    def __init__(self, home: Path | str | None = None, config: Path | str | None = None) -> None:
        self._home = Path(home) if home else None
        self._config = Path(config) if config else None
        self._settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        """The settings in force, read once. Raises SettingsError."""
        if self._settings is None:
            self._settings = load_settings(config=self._config, home=self._home)
        return self._settings

    def up(self, on_event: Callable[[str], None] = _silent) -> list[ServiceStatus]:
        """Start what the embedded stack lacks, and bring the schema up to date."""
        from kb_pipeline.store.database import migrate

        services = stack.up(self.settings, on_event)
        with self._connected() as connection:
            for name in migrate(connection):
                on_event(f"schema: applied {name}")
        return services

    def down(self, on_event: Callable[[str], None] = _silent) -> list[ServiceStatus]:
        """Stop the embedded stack; data stays."""
        return stack.down(self.settings, on_event)

    def status(self) -> Status:
        """How the services and sources stand."""
        from kb_pipeline.errors import DatabaseUnavailable
        from kb_pipeline.store import overview

        services = stack.status(self.settings)
        try:
            with self._connected() as connection:
                return Status(services, overview.sources(connection), overview.spaces(connection))
        except DatabaseUnavailable:
            if self.settings.database_dsn:
                raise
            return Status(services, [], [])

    def sources(self) -> list[str]:
        """Source systems known from kb.yaml and from the ledger, by name."""
        from kb_pipeline.store import overview

        with self._connected() as connection:
            known = {source.source_system for source in overview.sources(connection)}
        return sorted(known | set(self.settings.sources))

    def ingest(self, folder: Path | str, source: str) -> IngestReport:
        """Make the source's raw prefix mirror `folder`, then sync it."""
        from kb_pipeline.pipeline import object_store_config
        from kb_pipeline.sources.mirror import mirror
        from kb_pipeline.stages import raw_prefix
        from kb_pipeline.store.documents import known_versions
        from kb_pipeline.store.objects import ObjectStore

        _checked(source)
        with self._connected() as connection:
            known = known_versions(connection, source)
        store = ObjectStore(object_store_config(self.settings))
        mirrored = mirror(store, Path(folder), raw_prefix(source), known)
        if mirrored.failed:
            from kb_pipeline.masking import mask_name

            policy = self.settings.masking_for(source)
            mirrored.failed = [mask_name(name, policy) for name in mirrored.failed]
        return IngestReport(mirrored, self._run([source])[0])

    def sync(self, *names: str) -> list[SyncReport]:
        """Run the sync job for the named sources, or for all: the job of the UI, in this process."""
        known = self.sources()
        for name in names:
            _checked(name)
            if name not in known and not self._has_objects(name):
                raise _no_such_source(name, known)
        return self._run(names or known)

    def register_sources(self) -> None:
        """Make every known source system a Dagster partition, so that the UI offers it."""
        from kb_pipeline.defs.running import register_sources

        register_sources(self.settings, self.sources())

    def search(self, text: str, source: str | None = None, limit: int = 10) -> list[Result]:
        """The passages that best answer `text`, by meaning and by word. Empty before the first sync."""
        from kb_pipeline.embedding.vectors import truncate_and_renormalise
        from kb_pipeline.executors import embedding_client
        from kb_pipeline.search.hybrid import language_of_query, search
        from kb_pipeline.store.spaces import active_space

        if not text.strip():
            raise SettingsError("The search text is empty.", "Type a question or some words.")
        e = self.settings.embedding
        if source is not None and source not in (known := self.sources()):
            raise _no_such_source(source, known)
        with self._connected() as connection:
            connection.prepare_threshold = None
            space = active_space(connection)
            if space is None:
                return []
            client = embedding_client(self.settings)
            try:
                native = client.embed_query(text, e.instruction)
            finally:
                client.close()
            if native.shape[-1] != space.native_dimension:
                raise EmbeddingUnavailable(
                    f"The embedding server answers with {native.shape[-1]} dimensions; the space "
                    f"{space.space_id} was filled with {space.native_dimension}.",
                    "Serve the model that the space was filled with (embedding.model).",
                )
            vector = truncate_and_renormalise(native[None, :], space.dimension)[0]
            return search(
                connection,
                space,
                vector,
                text,
                sources=[source] if source else None,
                limit=limit,
                model_knows_language=e.knows(language_of_query(text)),
            )

    def quarantine(self, source: str | None = None) -> list[Quarantined]:
        """Documents in quarantine, the newest first."""
        from kb_pipeline.store import overview

        with self._connected() as connection:
            return overview.quarantined(connection, source)

    def retry(self, documents: Sequence[str] | None = None, source: str | None = None) -> int:
        """Let the next sync try quarantined documents again (by id; None means all). Returns how many."""
        from kb_pipeline.store import overview

        with self._connected() as connection:
            return overview.retry(connection, documents, source)

    def masked_spans(self, source: str) -> int:
        """How many spans masking replaced in the current documents of a source."""
        from kb_pipeline.store import overview

        with self._connected() as connection:
            return overview.stats(connection, source, "mask").get("masked", 0)

    def doctor(self) -> list[Finding]:
        """Check the installation; each finding has a remedy."""
        from kb_pipeline.doctor import examine

        return examine(self._config, self._home)

    def frame(self, stage: str, source: str, limit: int | None = None) -> pd.DataFrame:
        """A stage's current artifacts of one source as a DataFrame: a row an element, chunk or vector.

        `stage` is a stage (parse, chunk, mask, embed) or its asset (cleaned_elements, chunks, masked_chunks,
        embeddings); `limit` caps the documents read. Columns document_id and source_file come first.
        """
        import pandas as pd

        from kb_pipeline.pipeline import object_store_config
        from kb_pipeline.store import overview
        from kb_pipeline.store.artifacts import read_table
        from kb_pipeline.store.objects import ObjectStore

        name = _stage(stage)
        store = ObjectStore(object_store_config(self.settings))
        frames = []
        with self._connected() as connection:
            for document_id, source_file, ref in overview.current_artifacts(connection, source, name)[:limit]:
                frame = read_table(store, ref).to_pandas()
                frame.insert(0, "document_id", document_id)
                frame.insert(1, "source_file", source_file)
                frames.append(frame)
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def _run(self, names: Sequence[str]) -> list[SyncReport]:
        from kb_pipeline.definitions import defs
        from kb_pipeline.defs.running import run_sync

        return [run_sync(defs, self.settings, name) for name in names]

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        from kb_pipeline.store.database import connect, database_errors, migrate

        with connect(stack.database_dsn(self.settings)) as connection, database_errors():
            migrate(connection)
            yield connection

    def _has_objects(self, name: str) -> bool:
        from kb_pipeline.pipeline import object_store_config
        from kb_pipeline.stages import raw_prefix
        from kb_pipeline.store.objects import ObjectStore

        return next(ObjectStore(object_store_config(self.settings)).list(raw_prefix(name)), None) is not None


_STAGE_OF = {"cleaned_elements": "parse", "chunks": "chunk", "masked_chunks": "mask", "embeddings": "embed"}


def _stage(name: str) -> StageName:
    stage: Any = _STAGE_OF.get(name, name)
    if stage not in get_args(StageName) or stage in ("raw", "publish"):
        raise NotFound(f"There are no artifacts of {name!r}.", f"Use one of: {', '.join(_STAGE_OF)}.")
    return stage  # type: ignore[no-any-return]


def _no_such_source(name: str, known: Sequence[str]) -> NotFound:
    return NotFound(
        f"There is no source system {name}.",
        f"Known: {', '.join(known) or 'none'}. `kb ingest DIR --source NAME` makes a new one.",
    )


def _checked(source: str) -> str:
    try:
        return check_source_name(source)
    except ValueError as error:
        raise SettingsError(f"{error}.", "Choose another --source.") from None


def installed_command(name: str) -> str | None:
    """Path of a command of this environment, or None."""
    import sys

    beside = Path(sys.executable).parent / name
    return str(beside) if beside.is_file() else shutil.which(name)
