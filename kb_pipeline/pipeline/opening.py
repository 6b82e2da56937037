"""A knowledge base's database and object store, opened from its settings; and which source systems it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kb_pipeline.core.errors import NotFound, SettingsError
from kb_pipeline.local import stack
from kb_pipeline.settings import Settings, check_source_name

if TYPE_CHECKING:
    from kb_pipeline.store.database import Connection
    from kb_pipeline.store.objects.object_store import ObjectStore, ObjectStoreConfig


@contextmanager
def connected(settings: Settings) -> Iterator[Connection]:
    """A connection to the database, its schema up to date. Raises DatabaseUnavailable."""
    from kb_pipeline.store.database import connect, database_errors, migrate

    with connect(stack.database_dsn(settings)) as connection, database_errors():
        migrate(connection)
        yield connection


def object_store(settings: Settings) -> ObjectStore:
    """The store of raw documents and artifacts."""
    from kb_pipeline.store.objects.object_store import ObjectStore

    return ObjectStore(object_store_config(settings))


def object_store_config(settings: Settings) -> ObjectStoreConfig:
    """Where raw documents and artifacts lie, as every process opens it."""
    from kb_pipeline.store.objects.object_store import Encryption, ObjectStoreConfig

    wanted, clear = settings.object_store, settings.object_store.clear_encryption
    encryption = Encryption(clear.algorithm, clear.kms_key_id) if clear else None
    return ObjectStoreConfig(settings.object_store_url, wanted.endpoint, wanted.region, encryption)


def known_sources(settings: Settings) -> list[str]:
    """Source systems known from kb.yaml and from the ledger, by name; not those that were removed."""
    from kb_pipeline.store.ledger.sources import ledger_sources

    with connected(settings) as connection:
        known = ledger_sources(connection)
    removed = {source.name for source in known if source.removed}
    return sorted(({source.name for source in known} | set(settings.sources)) - removed)


def refuse_removed(connection: Connection, source: str) -> None:
    """Raise NotFound for a source system that was removed: no sync brings it back by itself."""
    from kb_pipeline.store.ledger.sources import is_removed

    if is_removed(connection, source):
        raise NotFound(
            f"Source system {source} was removed.",
            f"`kb source add {source}` or `kb ingest DIR --source {source}` brings it back.",
        )


def checked(source: str) -> str:
    """A source system's name as given. Raises SettingsError when it cannot be one."""
    try:
        return check_source_name(source)
    except ValueError as error:
        raise SettingsError(f"{error}.", "Choose another --source.") from None


def no_such_source(name: str, known: Sequence[str]) -> NotFound:
    """What to raise for a source system that is neither in kb.yaml nor in the ledger."""
    return NotFound(
        f"There is no source system {name}.",
        f"Known: {', '.join(known) or 'none'}. `kb ingest DIR --source NAME` makes a new one.",
    )
