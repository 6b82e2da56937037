"""What became of tasks, written down: artifacts, stage rows, and artifacts that turned out damaged. Each function is
part of its caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.types.json import Jsonb

from kb_pipeline.core.contracts import Outcome, Stage
from kb_pipeline.core.errors import ArtifactDamaged
from kb_pipeline.store.database import Connection

# One statement a batch, the rows as JSON: a statement a row costs the client several times as much.
_ARTIFACT = """
INSERT INTO kb.artifact AS a (fingerprint, stage, input_hash, uri, size, sha256, output_hash, rows, stats)
SELECT DISTINCT ON (r.fingerprint) r.fingerprint, %(stage)s, r.input_hash, r.uri, r.size, r.sha256, r.output_hash,
       r.rows, r.stats
FROM jsonb_to_recordset(%(rows)s) AS r (fingerprint text, input_hash text, uri text, size bigint, sha256 text,
                                        output_hash text, rows integer, stats jsonb)
WHERE NOT EXISTS (SELECT FROM kb.artifact k WHERE k.fingerprint = r.fingerprint AND k.uri = r.uri)
ORDER BY r.fingerprint
ON CONFLICT (fingerprint) DO UPDATE SET
    input_hash = EXCLUDED.input_hash, uri = EXCLUDED.uri, size = EXCLUDED.size, sha256 = EXCLUDED.sha256,
    output_hash = EXCLUDED.output_hash, rows = EXCLUDED.rows, stats = EXCLUDED.stats, created_at = now(),
    expired_at = NULL
"""


def write_artifacts(connection: Connection, stage: Stage, outcomes: Sequence[Outcome]) -> None:
    """Record new artifacts. One that is reused is not written: two runs that share it would wait for each other."""
    rows = [
        {
            "fingerprint": o.task.fingerprint,
            "input_hash": o.task.input_hash,
            "uri": a.uri,
            "size": a.size,
            "sha256": a.sha256,
            "output_hash": o.output_hash,
            "rows": o.rows,
            "stats": dict(o.stats),
        }
        for o in outcomes
        if o.status == "ok" and (a := o.artifact)
    ]
    if rows:
        connection.execute(_ARTIFACT, {"stage": stage.name, "rows": Jsonb(rows)})


_STATE = """
INSERT INTO kb.stage_state AS s (document_id, stage, variant, stage_key, input_hash, fingerprint, output_hash, rows,
    status, attempts, error_class, error_message, duration_ms, run_id)
SELECT r.document_id, %(stage)s, %(variant)s, %(key)s, r.input_hash, r.fingerprint, r.output_hash, r.rows, r.status, 1,
       r.error_class, r.error_message, r.duration_ms, %(run_id)s
FROM jsonb_to_recordset(%(rows)s) AS r (document_id text, input_hash text, fingerprint text, output_hash text,
    rows integer, status text, error_class text, error_message text, duration_ms integer)
ORDER BY r.document_id
ON CONFLICT (document_id, stage, variant) DO UPDATE SET
    stage_key = EXCLUDED.stage_key, input_hash = EXCLUDED.input_hash, fingerprint = EXCLUDED.fingerprint,
    output_hash = EXCLUDED.output_hash, rows = EXCLUDED.rows, status = EXCLUDED.status,
    attempts = CASE WHEN s.fingerprint = EXCLUDED.fingerprint THEN s.attempts + 1 ELSE 1 END,
    error_class = EXCLUDED.error_class, error_message = EXCLUDED.error_message, duration_ms = EXCLUDED.duration_ms,
    run_id = EXCLUDED.run_id, updated_at = now()
"""


def write_states(connection: Connection, stage: Stage, outcomes: Sequence[Outcome], run_id: str) -> None:
    """Record what became of each document at this stage."""
    rows = [
        {
            "document_id": o.task.document_id,
            "input_hash": o.task.input_hash,
            "fingerprint": o.task.fingerprint,
            "output_hash": o.output_hash,
            "rows": o.rows,
            "status": o.status,
            "error_class": o.error_class,
            "error_message": o.error_message,
            "duration_ms": o.duration_ms,
        }
        for o in outcomes
    ]
    if rows:
        values = {"stage": stage.name, "variant": stage.variant, "key": stage.key, "run_id": run_id}
        connection.execute(_STATE, {**values, "rows": Jsonb(rows)})
        unsettle(connection, [o.task.document_id for o in outcomes])


def unsettle(connection: Connection, documents: Sequence[str]) -> None:
    """Take back that these documents have come to their end, until a run says so again. Else one that ended half-way
    under other settings would leave them so, once the settings are what they were before."""
    connection.execute(
        "UPDATE kb.document SET settled_key = NULL WHERE document_id = ANY(%s) AND settled_key IS NOT NULL",
        (list(documents),),
    )


def forget_damaged(connection: Connection, outcomes: Sequence[Outcome]) -> None:
    """Forget artifacts that were found damaged or gone, so that the stages before make them again."""
    damaged = [
        ref.uri
        for o in outcomes
        if o.error_class == ArtifactDamaged.__name__
        for ref in (o.task.input, o.task.vectors)
        if ref
    ]
    if damaged:
        forget_artifacts(connection, damaged)


def forget_artifacts(connection: Connection, uris: Sequence[str]) -> None:
    """Let every document that has one of these artifacts have it made again. Belongs into a transaction."""
    # Another document may share the artifact, and be settled.
    connection.execute(
        "UPDATE kb.document SET settled_key = NULL WHERE document_id IN (SELECT document_id FROM kb.stage_state"
        " JOIN kb.artifact USING (fingerprint) WHERE uri = ANY(%s)) AND settled_key IS NOT NULL",
        (uris,),
    )
    connection.execute(
        "UPDATE kb.stage_state SET status = 'retry' WHERE fingerprint IN"
        " (SELECT fingerprint FROM kb.artifact WHERE uri = ANY(%s))",
        (uris,),
    )
    connection.execute("DELETE FROM kb.artifact WHERE uri = ANY(%s)", (uris,))
