"""The backlog of a source: what is left to do, which documents a run takes on, and which have come to their end.

A document is settled when no stage has anything pending for it under the settings in force; kb.document.settled_key
remembers under which. It is a note that saves asking each stage: whoever changes what a stage depends on takes it away.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from kb_pipeline.core.errors import ArtifactDamaged, GaveUp
from kb_pipeline.core.planning import pause_seconds
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.deletes import count_gone, count_moving
from kb_pipeline.store.ledger.lease import Lease

CHECKED_EVERY_SECONDS = 60
# Pauses of 30 s, 1 min ... 32 min: about an hour in all, then a document that fails every time goes to quarantine.
ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is left to do for a source. `hints` are keys to look at now, `documents` have a stage pending now; `waiting`
    are those of both that failed and whose time has not come; `gone` documents wait to be deleted, of them `moving`
    until what they were moved to is settled.

    `brake` holds the numbers when deletes wait for someone's word, `regroup` that access rules changed, `paused` that a
    service failed the last run and its pause is not over.
    """

    hints: int = 0
    documents: int = 0
    waiting: int = 0
    gone: int = 0
    moving: int = 0
    live: int = 0
    brake: dict[str, Any] | None = None
    regroup: bool = False
    paused: bool = False

    @property
    def work(self) -> bool:
        """Whether a run would find something to do now. Deletes that wait for a word are nothing to do, unless their
        number is another one by now."""
        held = self.brake is not None and self.brake.get("gone", 0) + self.brake.get("moved", 0) == self.gone
        return bool(self.hints or self.documents or self.regroup or (self.deletable and not held))

    @property
    def deletable(self) -> int:
        """Documents that a run would delete now, if the brake lets it."""
        return self.gone - self.moving

    @property
    def size(self) -> int:
        """How much there is to do, as one number that falls with every run."""
        return self.hints + self.documents + self.gone


_UNSETTLED = (
    "d.source_system = %(source)s AND d.deleted_at IS NULL AND d.forgotten_at IS NULL AND d.content_hash IS NOT NULL"
    " AND d.settled_key IS DISTINCT FROM %(chain)s"
)
_DUE = "(retry_at IS NULL OR retry_at <= now())"


def count_backlog(connection: Connection, source_system: str, chain: str, access_key: str) -> Backlog:
    """How much is left to do; `chain` is the key of all stages under the settings in force (stages.chain_key)."""
    values = {"source": source_system, "chain": chain}
    keys = count_hints(connection, source_system)
    gone = count_gone(connection, source_system)

    documents = connection.execute(
        "SELECT"  # noqa: S608
        f" count(*) FILTER (WHERE settled_key IS DISTINCT FROM %(chain)s AND content_hash IS NOT NULL AND {_DUE}),"
        f" count(*) FILTER (WHERE settled_key IS DISTINCT FROM %(chain)s AND content_hash IS NOT NULL AND NOT {_DUE}),"
        " count(*) FROM kb.document WHERE source_system = %(source)s AND deleted_at IS NULL AND forgotten_at IS NULL",
        values,
    ).fetchone()
    source = connection.execute(
        "SELECT brake, access_key IS DISTINCT FROM %s, coalesce(retry_at > now(), false) FROM kb.source"
        " WHERE source_system = %s",
        (access_key, source_system),
    ).fetchone()
    pending, failed, live = documents or (0, 0, 0)
    brake, regroup, paused = source or (None, False, False)
    return replace(
        keys,
        gone=gone,
        moving=count_moving(connection, source_system, chain) if gone else 0,
        documents=pending,
        waiting=keys.waiting + failed,
        live=live,
        brake=brake,
        regroup=regroup and live > 0,
        paused=paused,
    )


def count_hints(connection: Connection, source_system: str) -> Backlog:
    """The part of the backlog that keys to look at are: all that a sync of single keys asks, so that its time does not
    depend on the number of documents."""
    row = connection.execute(
        f"SELECT count(*) FILTER (WHERE {_DUE}), count(*) FILTER (WHERE NOT {_DUE}) FROM kb.hint"  # noqa: S608
        " WHERE source_system = %s AND NOT gone",
        (source_system,),
    ).fetchone()
    due, later = row or (0, 0)
    return Backlog(hints=due, waiting=later)


def choose_scope(
    connection: Connection, source_system: str, chain: str, limit: int, among: Sequence[str] | None = None
) -> list[str]:
    """Ids of the documents that a run takes on (of those `among` these, None: of all): not settled, due, the longest
    waiting first."""
    chosen = "" if among is None else " AND d.document_id = ANY(%(among)s)"
    rows = connection.execute(
        f"SELECT d.document_id FROM kb.document d WHERE {_UNSETTLED} AND {_DUE}{chosen}"  # noqa: S608
        " ORDER BY d.retry_at NULLS FIRST, d.document_id LIMIT %(limit)s",
        {"source": source_system, "chain": chain, "limit": limit, "among": None if among is None else list(among)},
    )
    return [row[0] for row in rows]


def settle(connection: Connection, lease: Lease, chain: str, scope: Sequence[str], pending: set[str]) -> int:
    """Note the documents of a run for which no stage has anything `pending` as settled, and when those that failed for
    a passing reason are tried again; after ATTEMPTS times they go to quarantine. Returns how many are settled."""
    done = [of for of in scope if of not in pending]
    with connection.transaction():
        lease.check(connection)
        connection.execute(
            "UPDATE kb.document SET settled_key = %s, attempts = 0, retry_at = NULL"
            " WHERE document_id = ANY(%s) AND deleted_at IS NULL",
            (chain, done),
        )
        failed = connection.execute(
            "SELECT d.document_id, d.attempts + 1 FROM kb.document d WHERE d.document_id = ANY(%s) AND EXISTS ("
            "SELECT FROM kb.stage_state s WHERE s.document_id = d.document_id AND s.status = 'failed'"
            " AND s.error_class <> %s AND s.run_id = %s)",  # what an earlier run left was not tried again
            (sorted(pending), ArtifactDamaged.__name__, lease.holder),
        ).fetchall()
        _give_up(connection, chain, [of for of, attempts in failed if attempts >= ATTEMPTS])
        waits = [
            (of, pause_seconds(attempts, random.random()))  # noqa: S311 - spreads load, hides nothing
            for of, attempts in failed
            if attempts < ATTEMPTS
        ]
        connection.execute(
            "UPDATE kb.document d SET attempts = attempts + 1, retry_at = now() + make_interval(secs => w.seconds)"
            " FROM unnest(%s::text[], %s::float8[]) w (document_id, seconds) WHERE d.document_id = w.document_id",
            ([of for of, _ in waits], [seconds for _, seconds in waits]),
        )
    return len(done)


def unsettle_all(connection: Connection) -> None:
    """Let the next runs look at every document of every source once more: there is a stage that they did not have."""
    connection.execute("UPDATE kb.document SET settled_key = NULL WHERE settled_key IS NOT NULL")


def _give_up(connection: Connection, chain: str, documents: Sequence[str]) -> None:
    """Put documents into quarantine that failed for a passing reason every time: they are not tried for ever."""
    error = GaveUp(
        f"Failed {ATTEMPTS} times for reasons that should have passed.",
        "Look at the services, then `kb quarantine retry`.",
    )
    connection.execute(
        "UPDATE kb.stage_state SET status = 'quarantined', error_class = %s, updated_at = now(),"
        " error_message = %s || ' The last time: ' || coalesce(error_message, '')"
        " WHERE document_id = ANY(%s) AND status = 'failed' AND stage <> 'raw'",
        (GaveUp.__name__, str(error), documents),
    )
    connection.execute(
        "UPDATE kb.document SET settled_key = %s, attempts = 0, retry_at = NULL WHERE document_id = ANY(%s)",
        (chain, documents),
    )


def try_now(connection: Connection, source_system: str) -> None:
    """Someone asks for a sync: what waits for its time is due at once. Writes nothing where nothing waits."""
    for table in ("hint", "document", "source"):
        connection.execute(
            f"UPDATE kb.{table} SET retry_at = NULL WHERE source_system = %s AND retry_at IS NOT NULL",  # noqa: S608
            (source_system,),
        )


def pause_source(connection: Connection, source_system: str) -> None:
    """A service failed a run: sensors and schedules leave the source alone for a while, longer each time."""
    row = connection.execute("SELECT attempts FROM kb.source WHERE source_system = %s", (source_system,)).fetchone()
    seconds = pause_seconds((row[0] if row else 0) + 1, random.random())  # noqa: S311 - spreads load, hides nothing
    connection.execute(
        "UPDATE kb.source SET attempts = attempts + 1, retry_at = now() + make_interval(secs => %s)"
        " WHERE source_system = %s",
        (seconds, source_system),
    )


def resume_source(connection: Connection, source_system: str) -> None:
    """A run came to its end: no pause. Writes nothing where there was none."""
    connection.execute(
        "UPDATE kb.source SET attempts = 0, retry_at = NULL WHERE source_system = %s AND attempts > 0",
        (source_system,),
    )


def ensure_source(connection: Connection, source_system: str) -> None:
    """The source's bookkeeping row; nothing is written when it is there."""
    connection.execute("INSERT INTO kb.source (source_system) VALUES (%s) ON CONFLICT DO NOTHING", (source_system,))


def note_checked(connection: Connection, source_system: str) -> None:
    """The source was found in step just now. Written at most once in a minute: asking again costs no row."""
    connection.execute(
        "UPDATE kb.source SET checked_at = now() WHERE source_system = %s"
        " AND (checked_at IS NULL OR checked_at < now() - make_interval(secs => %s))",
        (source_system, CHECKED_EVERY_SECONDS),
    )
