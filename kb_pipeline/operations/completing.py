"""Names for shell completion: asked for at every press of a key, so the ledger has a second and nothing is migrated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kb_pipeline.core.errors import KbError
from kb_pipeline.local.stack import database_dsn
from kb_pipeline.settings import Settings

if TYPE_CHECKING:
    from kb_pipeline.store.database import Connection

MOST = 100


def source_names(settings: Settings, beginning: str) -> list[str]:
    """Source systems whose names begin so: of kb.yaml, and of the ledger while it answers."""
    from kb_pipeline.store.ledger.sources import ledger_sources

    names = set(settings.sources)
    try:
        with _asked(settings) as connection:
            names.update(source.name for source in ledger_sources(connection) if not source.removed)
    except KbError:
        pass
    return sorted(name for name in names if name.startswith(beginning))


def document_names(settings: Settings, beginning: str, source: str | None = None) -> list[str]:
    """Documents whose masked name, SOURCE/name or id begins so, at most MOST. Raises DatabaseUnavailable."""
    from kb_pipeline.store.views.finding import names_beginning

    with _asked(settings) as connection:
        return names_beginning(connection, beginning, source, MOST)


@contextmanager
def _asked(settings: Settings) -> Iterator[Connection]:
    from kb_pipeline.store.database import connect, database_errors

    with connect(database_dsn(settings), connect_seconds=2, most_seconds=1) as connection, database_errors():
        yield connection
