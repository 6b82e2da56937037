"""A knowledge base's database and object store, opened from its settings; and which source systems it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kb_pipeline.errors import NotFound, SettingsError
from kb_pipeline.local import stack
from kb_pipeline.settings import Settings, check_source_name

if TYPE_CHECKING:
    from kb_pipeline.store.database import Connection
    from kb_pipeline.store.objects import ObjectStore


@contextmanager
def connected(settings: Settings) -> Iterator[Connection]:
    """A connection to the database, its schema up to date. Raises DatabaseUnavailable."""
    from kb_pipeline.store.database import connect, database_errors, migrate

    with connect(stack.database_dsn(settings)) as connection, database_errors():
        migrate(connection)
        yield connection


def object_store(settings: Settings) -> ObjectStore:
    """The store of raw documents and artifacts."""
    from kb_pipeline.pipeline import object_store_config
    from kb_pipeline.store.objects import ObjectStore

    return ObjectStore(object_store_config(settings))


def known_sources(settings: Settings) -> list[str]:
    """Source systems known from kb.yaml and from the ledger, by name."""
    from kb_pipeline.store import overview

    with connected(settings) as connection:
        known = {source.source_system for source in overview.sources(connection)}
    return sorted(known | set(settings.sources))


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
