"""Which document people mean: an id, the beginning of one, or a name, with or without its source system."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kb_pipeline.core.errors import NotFound
from kb_pipeline.core.identity import document_id
from kb_pipeline.store.database import Connection

SHORTEST_BEGINNING = 4  # of an id; fewer digits are more likely a name
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Found:
    """A document of the ledger. `name` is masked; a forgotten one has none and is shown by its id."""

    document_id: str
    source_system: str
    name: str
    deleted: bool
    forgotten: bool

    def __str__(self) -> str:
        return f"{self.source_system}/{self.name} ({self.document_id[:12]})"


_COLUMNS = (
    "SELECT document_id, source_system, coalesce(display_name, document_id), deleted_at IS NOT NULL,"
    " forgotten_at IS NOT NULL FROM kb.document"
)


def find_document(connection: Connection, text: str, source: str | None = None) -> Found:
    """The one document that `text` names: its id, its key, its masked name, SOURCE/ before either, or the unique
    beginning of its id. A forgotten one is still found by the key it had. Raises NotFound when it is none or several.
    """
    for matches in (_by_key, _by_name, _by_beginning):
        found = matches(connection, text, source)
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(str(item) for item in found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
            raise NotFound(f"{len(found)} documents match: {listed}.", "Name one by its id.")
    where = f"Source system {source} has no" if source else "There is no"
    raise NotFound(f"{where} document of that id or name.", "Name it as searches show it (SOURCE/NAME), or by its id.")


def names_beginning(connection: Connection, beginning: str, source: str | None, limit: int) -> list[str]:
    """Masked names of live documents that begin so, with their source system when `beginning` has it; ids when no name
    does. At most `limit`."""
    for shown in ("display_name", "source_system || '/' || display_name", "document_id"):
        rows = connection.execute(
            f"SELECT DISTINCT {shown} FROM kb.document WHERE starts_with({shown}, %(beginning)s)"  # noqa: S608
            " AND deleted_at IS NULL AND (%(source)s::text IS NULL OR source_system = %(source)s)"
            " ORDER BY 1 LIMIT %(limit)s",
            {"beginning": beginning, "source": source, "limit": limit},
        ).fetchall()
        if rows:
            return [row[0] for row in rows]
    return []


def _by_key(connection: Connection, text: str, source: str | None) -> list[Found]:
    """By id, or by the key that makes the id: so a tombstone, whose key is gone, is found too."""
    names = [source] if source else [row[0] for row in connection.execute("SELECT source_system FROM kb.source")]
    ids = [text] + [document_id(name, text) for name in names]
    system, slash, key = text.partition("/")
    if slash and system in names:
        ids.append(document_id(system, key))
    return _select(connection, "document_id = ANY(%(ids)s)", source, ids=ids)


def _by_name(connection: Connection, text: str, source: str | None) -> list[Found]:
    return _select(
        connection, "(display_name = %(text)s OR source_system || '/' || display_name = %(text)s)", source, text=text
    )


def _by_beginning(connection: Connection, text: str, source: str | None) -> list[Found]:
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST_BEGINNING},}}", text):
        return []
    return _select(connection, "starts_with(document_id, %(text)s)", source, text=text)


def _select(connection: Connection, condition: str, source: str | None, **values: object) -> list[Found]:
    rows = connection.execute(
        f"{_COLUMNS} WHERE {condition} AND (%(source)s::text IS NULL OR source_system = %(source)s)"
        " ORDER BY source_system, document_id",
        {**values, "source": source},
    )
    return [Found(*row) for row in rows]
