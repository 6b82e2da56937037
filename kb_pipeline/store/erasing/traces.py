"""What was made of documents: artifacts of all their versions under any settings, found from the bytes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from kb_pipeline.core.contracts import StageName
from kb_pipeline.core.identity import fingerprint
from kb_pipeline.store.database import Connection
from kb_pipeline.store.erasing.collect import ARTIFACTS
from kb_pipeline.store.objects.artifacts import ROOTS
from kb_pipeline.store.objects.object_store import ObjectStore

CHAIN: tuple[StageName, ...] = tuple(name for name in get_args(StageName) if name in ROOTS)

# parse's input hash begins with the content hash; that of any other stage is the output hash of the stage before.
_MADE = """
WITH RECURSIVE made AS (
    SELECT a.fingerprint, a.stage, a.output_hash FROM kb.artifact a
    WHERE a.stage = 'parse' AND split_part(a.input_hash, ':', 1) IN (
        SELECT content_hash FROM kb.document_version WHERE document_id = ANY(%(documents)s)
        UNION SELECT content_hash FROM kb.document WHERE document_id = ANY(%(documents)s))
  UNION
    SELECT a.fingerprint, a.stage, a.output_hash FROM made m
    JOIN kb.artifact a ON a.input_hash = m.output_hash
        AND a.stage = CASE m.stage WHEN 'parse' THEN 'chunk' WHEN 'chunk' THEN 'mask' WHEN 'mask' THEN 'embed' END
)
"""
# A chain that lost a link is followed from what the ledger names. Rows from before artifacts said what they were made
# from, and that nothing named then, could be anyone's: they count as made of these too.
_TRACES = f"""{_MADE}
SELECT fingerprint, stage FROM made
UNION SELECT a.fingerprint, a.stage FROM kb.stage_state s JOIN kb.artifact a USING (fingerprint)
    WHERE s.document_id = ANY(%(documents)s)
UNION SELECT a.fingerprint, a.stage FROM kb.artifact a WHERE a.stage = ANY(%(chain)s) AND a.input_hash IS NULL
"""  # noqa: S608 - only constants
_INPUTS = f"""{_MADE}
SELECT CASE stage WHEN 'parse' THEN 'chunk' WHEN 'chunk' THEN 'mask' ELSE 'embed' END, output_hash FROM made
    WHERE stage <> 'embed'
UNION SELECT s.stage, s.input_hash FROM kb.stage_state s
    WHERE s.document_id = ANY(%(documents)s) AND s.stage = ANY(%(chain)s) AND s.input_hash IS NOT NULL
UNION SELECT 'parse', d.content_hash || ':' || d.media_type FROM kb.document d
    WHERE d.document_id = ANY(%(documents)s) AND d.content_hash IS NOT NULL AND d.media_type IS NOT NULL
"""  # noqa: S608 - only constants


def traces(connection: Connection, documents: Sequence[str]) -> list[str]:
    """Fingerprints of the artifacts made of these documents, the last stage first: a chain is cut from its end, so that
    what is left can still be found from its beginning."""
    rows = connection.execute(_TRACES, {"documents": list(documents), "chain": list(CHAIN)}).fetchall()
    return [name for name, _ in sorted(rows, key=lambda row: (-CHAIN.index(row[1]), row[0]))]


def stray_fingerprints(connection: Connection, documents: Sequence[str]) -> dict[StageName, set[str]]:
    """Fingerprints of what may have been made of these documents with no row to say so, by a run that died: each input
    they ever were, through each key that the source's ledger knows."""
    keys = connection.execute(
        "SELECT DISTINCT s.stage, s.stage_key FROM kb.stage_state s JOIN kb.document d USING (document_id)"
        " WHERE s.stage = ANY(%s) AND d.source_system IN"
        " (SELECT source_system FROM kb.document WHERE document_id = ANY(%s))",
        (list(CHAIN), list(documents)),
    ).fetchall()
    found: dict[StageName, set[str]] = {name: set() for name in CHAIN}
    for stage, input_hash in connection.execute(_INPUTS, {"documents": list(documents), "chain": list(CHAIN)}):
        found[stage].update(fingerprint(key, input_hash) for name, key in keys if name == stage)
    return found


def stray_objects(connection: Connection, store: ObjectStore, suspects: Mapping[StageName, set[str]]) -> Iterator[str]:
    """Paths of objects with one of these fingerprints that no row names."""
    for stage, names in suspects.items():
        for folder in {name[:2] for name in names}:
            prefix = f"{ARTIFACTS}/{ROOTS[stage]}/{stage}/{folder}"
            paths = [f"{prefix}/{item.key}" for item in store.list(prefix) if item.key.split(".")[0] in names]
            rows = connection.execute("SELECT uri FROM kb.artifact WHERE fingerprint = ANY(%s)", (list(names),))
            yield from set(paths) - {row[0] for row in rows}
