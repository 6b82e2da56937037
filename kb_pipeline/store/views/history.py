"""What became of one document: its versions, where it stands at each stage, and why it is in quarantine. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kb_pipeline.store.database import Connection


@dataclass(frozen=True, slots=True)
class VersionHistory:
    """A version that was seen: `content_hash` is the SHA-256 of its bytes."""

    content_hash: str
    seen_at: datetime
    published_at: datetime | None
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True)
class StageHistory:
    """A document at one stage, as last worked on. `size` is the artifact's in bytes, `rows` what it holds (elements,
    chunks, vectors); both None without an artifact. `at` is when, in the run `run_id`."""

    stage: str
    variant: str
    status: str
    fingerprint: str | None
    size: int | None
    rows: int | None
    attempts: int
    seconds: float | None
    error_class: str | None
    error_message: str | None
    run_id: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class DocumentHistory:
    """One document. `state` is what it comes to (see `state_of`), `retry_at` until when it waits.

    `chunks` are the passages that searches find of it now; `content_hash` is the version that was read last.
    """

    document_id: str
    source_system: str
    name: str
    media_type: str | None
    size: int | None
    content_hash: str | None
    state: str
    retry_at: datetime | None
    first_seen_at: datetime
    modified_at: datetime | None
    deleted_at: datetime | None
    forgotten_at: datetime | None
    chunks: int
    versions: list[VersionHistory]
    stages: list[StageHistory]


@dataclass(frozen=True, slots=True)
class Standing:
    """What `state_of` decides from. `hinted`: a key to look at; `gone`: its source lacks it; `waits`: not due yet."""

    forgotten: bool = False
    deleted: bool = False
    gone: bool = False
    hinted: bool = False
    quarantined: bool = False
    waits: bool = False
    settled: bool = False


def state_of(document: Standing) -> str:
    """One word for how a document stands, the one that explains most first:

    forgotten, deleted; gone (its delete comes with the next sync, or waits for a word); waiting (it failed for a
    passing reason and is tried again later); changed (to be read); quarantined; settled (nothing to do); pending (work
    is left).
    """
    for word, holds in (
        ("forgotten", document.forgotten),
        ("deleted", document.deleted),
        ("gone", document.gone),
        ("waiting", document.waits),
        ("changed", document.hinted),
        ("quarantined", document.quarantined),
        ("settled", document.settled),
    ):
        if holds:
            return word
    return "pending"


_DOCUMENT = """
SELECT d.source_system, coalesce(d.display_name, d.document_id), d.media_type, d.size, d.content_hash,
    d.first_seen_at, d.modified_at, d.deleted_at, d.forgotten_at,
    coalesce(h.gone, false), h.key IS NOT NULL,
    EXISTS (SELECT FROM kb.stage_state s WHERE s.document_id = d.document_id AND s.status = 'quarantined'),
    coalesce(d.settled_key = %(chain)s, false),
    nullif(greatest(coalesce(h.retry_at, '-infinity'), coalesce(d.retry_at, '-infinity'), now()), now()),
    (SELECT count(*) FROM kb.chunk c WHERE c.document_id = d.document_id)
FROM kb.document d LEFT JOIN kb.hint h ON h.source_system = d.source_system AND h.key = d.key
WHERE d.document_id = %(document)s
"""


def history(connection: Connection, document_id: str, chain: str) -> DocumentHistory | None:
    """The history of a document by its id, None if there is none. `chain` is the key of all stages of its source
    (stages.chain_key): what settled is measured by."""
    row = connection.execute(_DOCUMENT, {"document": document_id, "chain": chain}).fetchone()
    if row is None:
        return None
    source, name, media_type, size, content_hash, seen, modified, deleted, forgotten = row[:9]
    gone, hinted, quarantined, settled, retry_at, chunks = row[9:]
    standing = Standing(
        forgotten=forgotten is not None,
        deleted=deleted is not None,
        gone=gone,
        hinted=hinted,
        quarantined=quarantined,
        waits=retry_at is not None,
        settled=settled,
    )
    return DocumentHistory(
        document_id,
        source,
        name,
        media_type,
        size,
        content_hash,
        state_of(standing),
        retry_at,
        seen,
        modified,
        deleted,
        forgotten,
        chunks,
        versions(connection, document_id),
        stages(connection, document_id),
    )


def versions(connection: Connection, document_id: str) -> list[VersionHistory]:
    """The versions of a document that were seen, the oldest first."""
    rows = connection.execute(
        "SELECT content_hash, seen_at, published_at, withdrawn_at FROM kb.document_version WHERE document_id = %s"
        " ORDER BY seen_at, content_hash",
        (document_id,),
    )
    return [VersionHistory(*row) for row in rows]


def stages(connection: Connection, document_id: str) -> list[StageHistory]:
    """Where a document stands at each stage, in their order."""
    rows = connection.execute(
        "SELECT s.stage, s.variant, s.status, s.fingerprint, a.size, coalesce(s.rows, a.rows), s.attempts,"
        " s.duration_ms / 1000.0::float8, s.error_class, s.error_message, s.run_id, s.updated_at"
        " FROM kb.stage_state s LEFT JOIN kb.artifact a USING (fingerprint) WHERE s.document_id = %s"
        " ORDER BY array_position('{raw,parse,chunk,mask,embed,publish}'::text[], s.stage), s.variant",
        (document_id,),
    )
    return [StageHistory(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class QuarantinedDocument:
    """Everything about a document in quarantine. `content_hash` is the version that failed, `searchable` how many
    passages of an older one searches still find."""

    document_id: str
    source_system: str
    name: str
    stage: str
    error_class: str
    error_message: str
    attempts: int
    since: datetime
    media_type: str | None
    size: int | None
    content_hash: str | None
    searchable: int


def quarantined_document(connection: Connection, document_id: str) -> QuarantinedDocument | None:
    """Why a live document is in quarantine (at the stage it came to last), None when it is not."""
    row = connection.execute(
        "SELECT d.document_id, d.source_system, coalesce(d.display_name, d.document_id), s.stage,"
        " coalesce(s.error_class, ''), coalesce(s.error_message, ''), s.attempts, s.updated_at, d.media_type, d.size,"
        " d.content_hash, (SELECT count(*) FROM kb.chunk c WHERE c.document_id = d.document_id)"
        " FROM kb.document d JOIN kb.stage_state s USING (document_id)"
        " WHERE d.document_id = %s AND d.deleted_at IS NULL AND s.status = 'quarantined'"
        " ORDER BY s.updated_at DESC LIMIT 1",
        (document_id,),
    ).fetchone()
    return QuarantinedDocument(*row) if row else None
