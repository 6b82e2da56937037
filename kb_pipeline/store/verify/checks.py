"""The invariants of docs/design.md as questions to the database, one source at a time. All are answered from one
snapshot. Which invariant each belongs to is its number there."""

from __future__ import annotations

from psycopg import sql

from kb_pipeline.store.verify.problems import Check

OLD_HOURS = 24

DOCUMENT = sql.SQL("d.document_id, coalesce(d.display_name, d.document_id)")
LIVE = sql.SQL("d.source_system = %(source)s AND d.deleted_at IS NULL AND d.forgotten_at IS NULL")
# Masked chunks and vectors of one another are there, so that the document's rows can be made again.
PUBLISHABLE = sql.SQL(
    "EXISTS (SELECT FROM kb.stage_state m JOIN kb.artifact ma ON ma.fingerprint = m.fingerprint"
    " JOIN kb.stage_state e ON e.document_id = m.document_id AND e.stage = 'embed' AND e.variant = %(model_key)s"
    "   AND e.status = 'ok' AND e.input_hash = m.output_hash JOIN kb.artifact ea ON ea.fingerprint = e.fingerprint"
    " WHERE m.document_id = d.document_id AND m.stage = 'mask' AND m.status = 'ok' AND m.stage_key = %(mask_key)s)"
)
# Else a sync has it on its list already.
PUBLISHED = sql.SQL(
    "EXISTS (SELECT FROM kb.stage_state p WHERE p.document_id = d.document_id AND p.stage = 'publish'"
    " AND p.status = 'ok')"
)
_SYNC = "`kb verify --repair`, then `kb sync {source}`"

# All that is asked of a source that was removed.
ERASING: tuple[Check, ...] = (
    Check(
        "unfinished-erasing",
        7,
        "SELECT d.document_id, d.document_id, true, count(v.document_id), NULL FROM kb.document d"
        " LEFT JOIN kb.document_version v USING (document_id) WHERE d.source_system = %(source)s"
        " AND CASE WHEN d.forgotten_at IS NULL THEN %(removed)s"
        "   ELSE d.content_hash IS NOT NULL OR v.document_id IS NOT NULL"
        "   OR EXISTS (SELECT FROM kb.stage_state s WHERE s.document_id = d.document_id) END GROUP BY d.document_id",
        "erasing it was interrupted; its history ({a} versions) and perhaps its artifacts are still there",
        "`kb verify --repair` completes it",
        "erase",
    ),
)

LEDGER: tuple[Check, ...] = (
    *ERASING,
    Check(
        "published-rows",
        1,
        "SELECT {document}, {publishable}, p.rows, count(c.chunk_id) FROM kb.document d"
        " JOIN kb.stage_state p ON p.document_id = d.document_id AND p.stage = 'publish' AND p.status = 'ok'"
        " LEFT JOIN kb.chunk c ON c.document_id = d.document_id WHERE {live}"
        " GROUP BY d.document_id, p.variant, p.rows HAVING p.rows <> count(c.chunk_id)",
        "kb.chunk holds {b} rows of it, and the ledger says {a} are published",
        _SYNC,
        "republish",
    ),
    Check(
        "unpublished-chunks",
        1,
        "SELECT {document}, true, count(*), NULL FROM kb.chunk c JOIN kb.document d USING (document_id) WHERE {live}"
        " AND NOT EXISTS (SELECT FROM kb.stage_state p WHERE p.document_id = d.document_id AND p.stage = 'publish')"
        " GROUP BY d.document_id",
        "kb.chunk holds {a} rows of it, and the ledger says nothing is published",
        _SYNC,
        "withdraw",
    ),
    Check(
        "deleted-chunks",
        1,
        "SELECT {document}, true, count(*), NULL FROM kb.chunk c JOIN kb.document d USING (document_id)"
        " WHERE d.source_system = %(source)s AND (d.deleted_at IS NOT NULL OR d.forgotten_at IS NOT NULL)"
        " GROUP BY d.document_id",
        "it is deleted, and kb.chunk still holds {a} rows of it",
        "`kb verify --repair` deletes them",
        "withdraw",
    ),
    Check(
        "duplicate-ordinals",
        1,
        "SELECT {document}, {publishable}, count(*) - count(DISTINCT c.ordinal), NULL FROM kb.chunk c"
        " JOIN kb.document d USING (document_id) WHERE {live} AND {published}"
        " GROUP BY d.document_id HAVING count(*) > count(DISTINCT c.ordinal)",
        "{a} of its rows in kb.chunk stand at a place that another one has",
        _SYNC,
        "republish",
    ),
    Check(
        "empty-lexemes",
        1,
        "SELECT {document}, true, count(*), NULL FROM kb.chunk c JOIN kb.document d USING (document_id)"
        " WHERE d.source_system = %(source)s AND c.lexemes = ''::tsvector AND c.content ~ '[0-9A-Za-z\\u4e00-\\u9fff]'"
        " GROUP BY d.document_id",
        "{a} of its rows in kb.chunk have text and no words (lexemes), so that no search by word finds them",
        "`kb verify --repair` writes them",
        "words",
    ),
    Check(
        "lost-artifacts",
        1,
        "SELECT {document}, true, string_agg(s.stage, ', ' ORDER BY s.stage), NULL FROM kb.document d"
        " JOIN kb.stage_state s ON s.document_id = d.document_id AND s.status = 'ok'"
        "   AND s.stage IN ('parse', 'chunk', 'mask', 'embed')"
        " LEFT JOIN kb.artifact a USING (fingerprint) WHERE {live} AND a.fingerprint IS NULL GROUP BY d.document_id",
        "kb.stage_state names artifacts that kb.artifact does not have ({a})",
        _SYNC,
        "rework",
    ),
    Check(
        "unread",
        1,
        "SELECT {document}, true, NULL, NULL FROM kb.document d WHERE {live} AND d.content_hash IS NULL"
        " AND NOT EXISTS (SELECT FROM kb.hint h WHERE h.source_system = d.source_system AND h.key = d.key)"
        " AND NOT EXISTS (SELECT FROM kb.stage_state r WHERE r.document_id = d.document_id AND r.stage = 'raw'"
        "   AND r.status = 'quarantined')",
        "it was never read, and nothing asks for it",
        _SYNC,
        "hint",
    ),
    Check(
        "waits-too-long",
        1,
        "SELECT NULL, NULL, true, count(*), min(r.updated_at) FROM kb.document d JOIN kb.stage_state r"
        " ON r.document_id = d.document_id AND r.stage = 'raw' AND r.variant = ''"
        " WHERE {live} AND d.content_hash IS NOT NULL AND d.settled_key IS DISTINCT FROM %(chain)s"
        " AND (d.retry_at IS NULL OR d.retry_at <= now())"
        " AND r.updated_at < now() - make_interval(hours => %(old_hours)s)"
        " HAVING count(*) > 0",
        f"{{a}} documents have work left that is due, the oldest since {{b}}: more than {OLD_HOURS} hours",
        "`kb sync {source}`; see that its schedule or sensor runs",
        "reask",
    ),
    Check(
        "old-hints",
        1,
        "SELECT NULL, NULL, true, count(*), min(h.received_at) FROM kb.hint h JOIN kb.source s USING (source_system)"
        " WHERE h.source_system = %(source)s AND NOT (h.gone AND s.brake IS NOT NULL)"
        " AND (h.retry_at IS NULL OR h.retry_at <= now())"
        " AND h.received_at < now() - make_interval(hours => %(old_hours)s)"
        " HAVING count(*) > 0",
        f"{{a}} keys in kb.hint wait to be looked at, the oldest since {{b}}: more than {OLD_HOURS} hours",
        "`kb sync {source}`; see that its schedule or sensor runs",
        "reask",
    ),
    Check(
        "outdated-names",
        7,
        "SELECT {document}, true, NULL, NULL FROM kb.document d WHERE {live} AND d.settled_key = %(chain)s"
        " AND d.display_policy IS DISTINCT FROM %(mask_key)s",
        "its name is shown as masked under a policy that no longer holds",
        _SYNC,
        "resettle",
    ),
    Check(
        "outdated-rows",
        7,
        "SELECT {document}, true, count(*), NULL FROM kb.document d JOIN kb.stage_state p"
        " ON p.document_id = d.document_id AND p.stage = 'publish' AND p.variant = %(space)s"
        " JOIN kb.chunk c ON c.document_id = d.document_id WHERE {live} AND p.stage_key <> %(publish_key)s"
        " GROUP BY d.document_id",
        "{a} of its rows in kb.chunk were masked or segmented under settings that no longer hold",
        _SYNC,
        "resettle",
    ),
    Check(
        "hanging-lease",
        8,
        "SELECT NULL, NULL, true, l.holder, l.expires_at FROM kb.source_lease l WHERE l.source_system = %(source)s"
        " AND l.holder IS NOT NULL AND l.expires_at < now()",
        "run {a} holds the lease, which ran out at {b}: it died",
        "the next run takes it over; `kb verify --repair` ends it now",
        "release",
    ),
)

# Asked for each live space; {table} is its vector table.
SPACE: tuple[Check, ...] = (
    Check(
        "missing-vectors",
        1,
        "SELECT {document}, {publishable}, count(*), NULL FROM kb.chunk c JOIN kb.document d USING (document_id)"
        " LEFT JOIN {table} v USING (chunk_id) WHERE {live} AND {published} AND v.chunk_id IS NULL"
        " GROUP BY d.document_id",
        "{a} of its rows in kb.chunk have no vector in {table}",
        _SYNC,
        "republish",
    ),
    Check(
        "stray-vectors",
        1,
        "SELECT NULL, NULL, true, count(*), NULL FROM {table} v LEFT JOIN kb.chunk c USING (chunk_id)"
        " WHERE v.source_system = %(source)s AND c.chunk_id IS NULL HAVING count(*) > 0",
        "{a} vectors in {table} have no row in kb.chunk",
        "`kb verify --repair` deletes them",
        "unvector",
    ),
    Check(
        "mislabelled-vectors",
        1,
        "SELECT {document}, true, count(*), NULL FROM {table} v JOIN kb.chunk c USING (chunk_id)"
        " JOIN kb.document d USING (document_id) WHERE d.source_system = %(source)s"
        " AND v.source_system <> d.source_system GROUP BY d.document_id",
        "{a} of its vectors in {table} say that they are of another source system",
        "`kb verify --repair` corrects them",
        "relabel",
    ),
    Check(
        "bad-vectors",
        1,
        "SELECT {document}, {publishable}, count(*), NULL FROM {table} v JOIN kb.chunk c USING (chunk_id)"
        " JOIN kb.document d USING (document_id) WHERE {live} AND (vector_dims(v.embedding) <> %(dimension)s"
        "   OR NOT {unit_length}) GROUP BY d.document_id",
        "{a} of its vectors in {table} are not of unit length, or not of the space's dimension",
        _SYNC,
        "revector",
    ),
)

# Asked once, for all sources together.
WHOLE: tuple[Check, ...] = (
    Check(
        "unknown-chunks",
        1,
        "SELECT NULL, NULL, true, count(*), count(DISTINCT c.document_id) FROM kb.chunk c"
        " LEFT JOIN kb.document d USING (document_id) WHERE d.document_id IS NULL HAVING count(*) > 0",
        "kb.chunk holds {a} rows of {b} documents that kb.document does not have",
        "`kb verify --repair` deletes them",
        "withdraw",
    ),
    Check(
        "two-active-spaces",
        1,
        "SELECT NULL, NULL, false, count(*), string_agg(space_id, ', ' ORDER BY space_id) FROM kb.space"
        " WHERE status = 'active' HAVING count(*) > 1",
        "kb.space has {a} active spaces ({b}), and searches take one",
        "set all but the one that is searched to 'standby' in kb.space, by hand",
    ),
)
