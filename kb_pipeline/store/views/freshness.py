"""How each source system stands: what it holds, how far behind it is, and what it waits for. Reads only.

One query a question over all sources, merged here. Chunks are counted from the ledger (a row a document), for counting
kb.chunk itself would read a row a passage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from kb_pipeline.store.database import Connection


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One source system, as of `now` by the database's clock.

    documents: live ones, `quarantined` among them; `deleted` ones are beside them; `chunks` are published passages.
    `hints` keys are to be looked at, the first since `oldest_hint_at`, which is `lag_seconds` ago (0 without one);
    `gone` documents wait to be deleted. `backlog` documents have a stage to pass, of which, with the hints, `waiting`
    failed for a passing reason and are tried again from `retry_at` on. `brake` has the numbers (gone, live, since)
    while deletes wait for a word. `checked_at` is when it was last found in step, `listed_at` when its listing last
    differed. `state` says it all in a word (`state_of`).
    """

    source_system: str
    documents: int = 0
    quarantined: int = 0
    deleted: int = 0
    chunks: int = 0
    hints: int = 0
    gone: int = 0
    backlog: int = 0
    waiting: int = 0
    oldest_hint_at: datetime | None = None
    lag_seconds: float = 0.0
    retry_at: datetime | None = None
    listed_at: datetime | None = None
    checked_at: datetime | None = None
    published_at: datetime | None = None
    brake: Mapping[str, Any] | None = None

    state: str = "unknown"


def state_of(source: SourceStatus) -> str:
    """braked (deletes wait for a word), waiting (all that is left is tried again later), behind (there is work),
    in step, or unknown while it was never checked."""
    left = source.hints + source.backlog
    if source.brake:
        return "braked"
    if left and left == source.waiting:
        return "waiting"
    if left or source.gone:
        return "behind"
    return "in step" if source.checked_at else "unknown"


def source_names(connection: Connection) -> list[str]:
    """Source systems that the ledger knows, by name; not those that were removed."""
    rows = connection.execute("SELECT source_system FROM kb.source WHERE removed_at IS NULL ORDER BY 1")
    return [row[0] for row in rows]


_WAITS = "retry_at > now()"
_SOURCES = f"""
SELECT s.source_system, s.listed_at, s.checked_at, s.brake, s.retry_at, h.hints, h.gone, h.waiting, h.oldest,
    extract(epoch FROM now() - h.oldest)::float8, h.retry_at
FROM kb.source s LEFT JOIN (
    SELECT source_system, count(*) FILTER (WHERE NOT gone) AS hints, count(*) FILTER (WHERE gone) AS gone,
        count(*) FILTER (WHERE NOT gone AND {_WAITS}) AS waiting,
        min(received_at) FILTER (WHERE NOT gone) AS oldest, min(retry_at) FILTER (WHERE {_WAITS}) AS retry_at
    FROM kb.hint GROUP BY 1) h USING (source_system)
WHERE s.removed_at IS NULL AND (%(source)s::text IS NULL OR s.source_system = %(source)s)
"""  # noqa: S608
_DOCUMENTS = f"""
SELECT d.source_system, count(*) FILTER (WHERE d.deleted_at IS NULL), count(*) FILTER (WHERE d.deleted_at IS NOT NULL),
    count(*) FILTER (WHERE {{unsettled}}), count(*) FILTER (WHERE {{unsettled}} AND {_WAITS}),
    min(d.retry_at) FILTER (WHERE {{unsettled}} AND {_WAITS})
FROM kb.document d
LEFT JOIN unnest(%(names)s::text[], %(chains)s::text[]) k (source_system, chain) USING (source_system)
WHERE %(source)s::text IS NULL OR d.source_system = %(source)s GROUP BY 1
""".format(  # noqa: S608
    unsettled="d.deleted_at IS NULL AND d.forgotten_at IS NULL AND d.content_hash IS NOT NULL"
    " AND d.settled_key IS DISTINCT FROM k.chain"
)
_QUARANTINED = """
SELECT d.source_system, count(DISTINCT d.document_id) FROM kb.stage_state s JOIN kb.document d USING (document_id)
WHERE s.status = 'quarantined' AND d.deleted_at IS NULL AND (%(source)s::text IS NULL OR d.source_system = %(source)s)
GROUP BY 1
"""
_PUBLISHED = """
SELECT d.source_system, sum(s.rows)::bigint, max(s.updated_at)
FROM kb.stage_state s JOIN kb.document d USING (document_id)
WHERE s.stage = 'publish' AND s.variant = (SELECT space_id FROM kb.space WHERE status = 'active')
    AND s.rows IS NOT NULL AND (%(source)s::text IS NULL OR d.source_system = %(source)s) GROUP BY 1
"""


def sources(connection: Connection, chains: Mapping[str, str], source_system: str | None = None) -> list[SourceStatus]:
    """Every source system that the ledger knows, or the one that is named, by name.

    `chains` holds the key of all stages of each source under the settings in force (stages.chain_key): documents
    settled under another have work left.
    """
    values = {"source": source_system, "names": list(chains), "chains": list(chains.values())}
    found = {row[0]: _of_source(row) for row in connection.execute(_SOURCES, values)}
    for name, live, deleted, backlog, waiting, retry_at in connection.execute(_DOCUMENTS, values):
        if known := found.get(name):  # of a source that was removed only tombstones are left
            found[name] = replace(
                known,
                documents=live,
                deleted=deleted,
                backlog=backlog,
                waiting=known.waiting + waiting,
                retry_at=_first(known.retry_at, retry_at),
            )
    for name, quarantined in connection.execute(_QUARANTINED, values):
        if known := found.get(name):
            found[name] = replace(known, quarantined=quarantined)
    for name, chunks, published_at in connection.execute(_PUBLISHED, values):
        if known := found.get(name):
            found[name] = replace(known, chunks=chunks, published_at=published_at)
    return [replace(found[name], state=state_of(found[name])) for name in sorted(found)]


def _of_source(row: Sequence[Any]) -> SourceStatus:
    name, listed_at, checked_at, brake, paused, hints, gone, waiting, oldest, lag, retry_at = row
    return SourceStatus(
        name,
        hints=hints or 0,
        gone=gone or 0,
        waiting=waiting or 0,
        oldest_hint_at=oldest,
        lag_seconds=round(lag or 0.0, 3),
        retry_at=_first(paused, retry_at),
        listed_at=listed_at,
        checked_at=checked_at,
        brake=brake,
    )


def _first(*times: datetime | None) -> datetime | None:
    return min((time for time in times if time), default=None)
