"""What a sync of one source would do, asked of a loaded listing (listings.Listing) and the ledger. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kb_pipeline.core.contracts import Stage, StageName
from kb_pipeline.core.estimating import Sample, Speed, Work
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.expired import wanted

# Document ids are hashes, so the first so many of them are a fair sample.
SAMPLED = 20_000


@dataclass(frozen=True, slots=True)
class Differences:
    """Documents that the listing has and the ledger has not or has otherwise, by kind: added, changed (ETag, size,
    version or time differ, or a notification named the key) and moved (a key that is new with the ETag and size of one
    that is gone). `gone` are those the listing lacks, the moved ones among them; `live` those the ledger has. Of the
    names that patterns exclude, `left_out` are not taken in and `held` are live documents."""

    added: Mapping[str, Work] = field(default_factory=dict)
    changed: Mapping[str, Work] = field(default_factory=dict)
    moved: Mapping[str, Work] = field(default_factory=dict)
    gone: int = 0
    live: int = 0
    left_out: int = 0
    held: int = 0


_KIND = r"coalesce(lower(substring({key} from '\.([^./]{{1,8}})$')), '')"
_DIFFERS = (
    "(d.etag, d.size, d.version_id, d.modified_at) IS DISTINCT FROM (o.etag, o.size, o.version_id, o.modified_at)"
)
_NAMED = "EXISTS (SELECT FROM kb.hint h WHERE h.source_system = d.source_system AND h.key = d.key AND NOT h.gone)"
_DIFFERENCES = f"""
WITH new AS (
    SELECT o.key, o.size, o.etag, row_number() OVER (PARTITION BY o.etag, o.size ORDER BY o.key) AS n
    FROM observed o LEFT JOIN kb.document d USING (document_id)
    WHERE d.forgotten_at IS NULL AND (d.document_id IS NULL OR d.deleted_at IS NOT NULL) AND NOT o.excluded
), gone AS (
    SELECT d.size, d.etag, row_number() OVER (PARTITION BY d.etag, d.size ORDER BY d.key) AS n
    FROM kb.document d WHERE d.source_system = %(source)s AND d.deleted_at IS NULL AND d.forgotten_at IS NULL
        AND NOT EXISTS (SELECT FROM observed o WHERE o.document_id = d.document_id)
)
SELECT CASE WHEN gone.n IS NULL THEN 'added' ELSE 'moved' END, {_KIND.format(key="new.key")}, count(*), sum(new.size)
FROM new LEFT JOIN gone USING (etag, size, n) GROUP BY 1, 2
UNION ALL
SELECT 'changed', {_KIND.format(key="o.key")}, count(*), sum(o.size)
FROM observed o JOIN kb.document d USING (document_id)
WHERE d.deleted_at IS NULL AND d.forgotten_at IS NULL AND ({_DIFFERS} OR {_NAMED}) GROUP BY 1, 2
UNION ALL
SELECT 'gone', '', count(*), 0 FROM gone
UNION ALL
SELECT CASE WHEN d.document_id IS NULL THEN 'left out' ELSE 'held' END, '', count(*), 0
FROM observed o LEFT JOIN kb.document d ON d.document_id = o.document_id AND d.deleted_at IS NULL
WHERE o.excluded GROUP BY 1
UNION ALL
SELECT 'live', '', count(*), 0 FROM kb.document
WHERE source_system = %(source)s AND deleted_at IS NULL AND forgotten_at IS NULL
"""  # noqa: S608


def differences(connection: Connection, source_system: str) -> Differences:
    """The loaded listing of a source compared with the ledger as a set."""
    found: dict[str, dict[str, Work]] = {"added": {}, "changed": {}, "moved": {}}
    counts: dict[str, int] = {}
    for change, kind, documents, size in connection.execute(_DIFFERENCES, {"source": source_system}):
        if change in found:
            found[change][kind] = Work(documents, int(size))
        else:
            counts[change] = documents
    return Differences(
        **found,
        gone=counts["gone"],
        live=counts["live"],
        left_out=counts.get("left out", 0),
        held=counts.get("held", 0),
    )


def _first_stages(stages: Mapping[StageName, Stage]) -> str:
    """The first stage that has work for a document that did not change, by kind; '' for none (it is in quarantine)."""
    over = "{0}.status IN ('ok', 'quarantined')"
    case = ["CASE"]
    before = "(d.content_hash || ':' || d.media_type)"
    joins = []
    for name in ("parse", "chunk", "mask", "embed"):
        current = f"{name}.stage_key = %({name})s AND {name}.input_hash = {before} AND {over.format(name)}"
        left = f"NOT coalesce({current}, false) OR {wanted(name, tuple(stages[name].onward))}"
        case.append(f"WHEN {left} THEN '{name}' WHEN {name}.status = 'quarantined' THEN ''")
        variant = "%(variant)s" if name == "embed" else "''"
        joins.append(
            f"LEFT JOIN kb.stage_state {name} ON {name}.document_id = d.document_id AND {name}.stage = '{name}'"
            f" AND {name}.variant = {variant}"
        )
        before = f"{name}.output_hash"
    case.append("ELSE 'publish' END")
    return (
        f"SELECT {' '.join(case)}, {_KIND.format(key='d.key')}, count(*), sum(d.size)"  # noqa: S608
        f" FROM kb.document d JOIN observed o USING (document_id) {' '.join(joins)}"
        " WHERE d.source_system = %(source)s AND d.deleted_at IS NULL AND d.forgotten_at IS NULL"
        " AND d.content_hash IS NOT NULL AND d.settled_key IS DISTINCT FROM %(chain)s"
        f" AND NOT ({_DIFFERS} OR {_NAMED}) GROUP BY 1, 2"
    )


def unsettled(
    connection: Connection, source_system: str, chain: str, stages: Mapping[StageName, Stage]
) -> dict[str, dict[str, Work]]:
    """Documents that did not change and have work left under the settings in force: by the first stage that has any
    (parse, chunk, mask, embed or publish) and by kind. `chain` and `stages` are those settings (stages.catalogue)."""
    values: dict[str, Any] = {name: stage.key for name, stage in stages.items()}
    values |= {"source": source_system, "chain": chain, "variant": stages["embed"].variant}
    found: dict[str, dict[str, Work]] = {}
    for stage, kind, documents, size in connection.execute(_first_stages(stages), values):
        if stage:
            found.setdefault(stage, {})[kind] = Work(documents, int(size or 0))
    return found


_SAMPLE = f"""
SELECT {_KIND.format(key="d.key")}, count(*), coalesce(sum(d.size), 0)::bigint, coalesce(sum(m.rows), 0)::bigint,
    coalesce(sum((a.stats->>'tokens')::bigint), 0)::bigint,
    coalesce(sum((a.stats->>'tokens')::bigint) FILTER (WHERE e.duration_ms > 0), 0)::bigint,
    coalesce(sum(e.duration_ms), 0) / 1000.0::float8
FROM (SELECT document_id, key, size FROM kb.document
    WHERE deleted_at IS NULL AND (%(source)s::text IS NULL OR source_system = %(source)s)
    ORDER BY document_id LIMIT %(limit)s) d
JOIN kb.stage_state m ON m.document_id = d.document_id AND m.stage = 'mask' AND m.status = 'ok'
JOIN kb.stage_state e ON e.document_id = d.document_id AND e.stage = 'embed' AND e.status = 'ok'
    AND e.variant = %(model)s
JOIN kb.artifact a ON a.fingerprint = e.fingerprint
GROUP BY 1
"""  # noqa: S608


def samples(connection: Connection, source_system: str | None, model: str) -> tuple[dict[str, Sample], Speed]:
    """What documents came to, by kind, and how fast the model was: of one source, or of all (None). From a sample."""
    values = {"source": source_system, "limit": SAMPLED, "model": model}
    found: dict[str, Sample] = {}
    tokens, seconds = 0, 0.0
    for kind, documents, size, chunks, made, timed, took in connection.execute(_SAMPLE, values):
        found[kind] = Sample(documents, size, chunks, made)
        tokens, seconds = tokens + timed, seconds + float(took)
    return found, Speed(tokens, seconds)
