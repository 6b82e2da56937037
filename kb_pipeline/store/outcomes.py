"""What became of tasks, written down: artifacts, stage rows, and artifacts that turned out damaged. Each function is
part of its caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.types.json import Jsonb

from kb_pipeline.contracts import Outcome, Stage
from kb_pipeline.errors import ArtifactDamaged
from kb_pipeline.store.database import Connection

_ARTIFACT = """
INSERT INTO kb.artifact (fingerprint, stage, input_hash, uri, size, sha256, output_hash, rows, stats)
SELECT %(fingerprint)s, %(stage)s, %(input_hash)s, %(uri)s, %(size)s, %(sha256)s, %(output_hash)s, %(rows)s, %(stats)s
WHERE NOT EXISTS (SELECT FROM kb.artifact WHERE fingerprint = %(fingerprint)s AND uri = %(uri)s)
ON CONFLICT (fingerprint) DO UPDATE SET
    input_hash = EXCLUDED.input_hash, uri = EXCLUDED.uri, size = EXCLUDED.size, sha256 = EXCLUDED.sha256,
    output_hash = EXCLUDED.output_hash, rows = EXCLUDED.rows, stats = EXCLUDED.stats
"""


def write_artifacts(connection: Connection, stage: Stage, outcomes: Sequence[Outcome]) -> None:
    """Record new artifacts. One that is reused is not written: two runs that share it would wait for each other."""
    rows = [
        {
            "fingerprint": o.task.fingerprint,
            "stage": stage.name,
            "input_hash": o.task.input_hash,
            "uri": a.uri,
            "size": a.size,
            "sha256": a.sha256,
            "output_hash": o.output_hash,
            "rows": o.rows,
            "stats": Jsonb(dict(o.stats)),
        }
        for o in outcomes
        if o.status == "ok" and (a := o.artifact)
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_ARTIFACT, rows)


_STATE = """
INSERT INTO kb.stage_state AS s (document_id, stage, variant, stage_key, input_hash, fingerprint, output_hash, rows,
    status, attempts, error_class, error_message, duration_ms, run_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 1, %s, %s, %s, %s)
ON CONFLICT (document_id, stage, variant) DO UPDATE SET
    stage_key = EXCLUDED.stage_key, input_hash = EXCLUDED.input_hash, fingerprint = EXCLUDED.fingerprint,
    output_hash = EXCLUDED.output_hash, rows = EXCLUDED.rows, status = EXCLUDED.status,
    attempts = CASE WHEN s.fingerprint = EXCLUDED.fingerprint THEN s.attempts + 1 ELSE 1 END,
    error_class = EXCLUDED.error_class, error_message = EXCLUDED.error_message, duration_ms = EXCLUDED.duration_ms,
    run_id = EXCLUDED.run_id, updated_at = now()
"""


def write_states(connection: Connection, stage: Stage, outcomes: Sequence[Outcome], run_id: str) -> None:
    """Record what became of each document at this stage."""
    with connection.cursor() as cursor:
        cursor.executemany(
            _STATE,
            [
                (
                    o.task.document_id,
                    stage.name,
                    stage.variant,
                    stage.key,
                    o.task.input_hash,
                    o.task.fingerprint,
                    o.output_hash,
                    o.rows,
                    o.status,
                    o.error_class,
                    o.error_message,
                    o.duration_ms,
                    run_id,
                )
                for o in outcomes
            ],
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
        # Another document may share the artifact, and be settled.
        connection.execute(
            "UPDATE kb.document SET settled_key = NULL WHERE document_id IN (SELECT document_id FROM kb.stage_state"
            " JOIN kb.artifact USING (fingerprint) WHERE uri = ANY(%s)) AND settled_key IS NOT NULL",
            (damaged,),
        )
        connection.execute(
            "UPDATE kb.stage_state SET status = 'retry' WHERE fingerprint IN"
            " (SELECT fingerprint FROM kb.artifact WHERE uri = ANY(%s))",
            (damaged,),
        )
        connection.execute("DELETE FROM kb.artifact WHERE uri = ANY(%s)", (damaged,))
