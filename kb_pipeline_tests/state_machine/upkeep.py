"""What people and machines do to a knowledge base besides syncing it: collect, forget, retry, and break things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kb_pipeline.core.errors import NotFound
from kb_pipeline.core.identity import document_id
from kb_pipeline.pipeline.catalogue import chain_key
from kb_pipeline.store.database import connect
from kb_pipeline.store.erasing.collect import Clear, collect
from kb_pipeline.store.erasing.erase import forget
from kb_pipeline.store.ledger.lease import acquire, release
from kb_pipeline_tests.state_machine.history import History
from kb_pipeline_tests.state_machine.paused import Killed
from kb_pipeline_tests.state_machine.spec import NONE
from kb_pipeline_tests.state_machine.world import SOURCES


def collect_garbage(history: History, days: float, clear: bool, at: Callable[[str], None] | None = None) -> None:
    """Collect; killed somewhere by `at`, nothing that is in use is gone. Beside a suspended sync nothing young goes."""
    world, beside = history.world, history.paused is not None
    history.untroubled = False
    with connect(world.dsn) as connection:
        chains = {source: chain_key(history.settings, source) for source in SOURCES}
        arguments: dict[str, Any] = {
            "retention_days": days,
            "grace_hours": 1.0 if beside else 0.0,
            "clear": Clear(0, chains) if clear else None,
        }
        foreseen = collect(connection, world.store, dry_run=True, **arguments)
        with history.watched({}, {}, at):
            try:
                done = collect(connection, world.store, dry_run=False, **arguments)
            except Killed:
                history.tally.endings["collection killed"] += 1
                return
    assert replace(done, by_stage={}) == replace(foreseen, by_stage={}) or beside or history.damaged
    if not beside:
        named = {uri for uri, _, _ in world.artifacts()}
        assert world.objects() <= named, "an orphan is left"
        unused = world.reader.execute(
            "SELECT count(*) FROM kb.artifact a WHERE NOT EXISTS (SELECT FROM kb.stage_state s"
            " WHERE s.fingerprint = a.fingerprint)"
        ).fetchone()
        assert unused == (0,), "an artifact that nothing uses is left"


def forget_document(history: History, source: str, key: str, at: Callable[[str], None] | None = None) -> None:
    """Forget a document; killed somewhere by `at`, a second call completes it."""
    world, of = history.world, document_id(source, key)
    history.steal(source)
    history.untroubled = False
    known = world.reader.execute("SELECT FROM kb.document WHERE document_id = %s", (of,)).fetchone()
    with connect(world.dsn) as connection, history.watched({}, {}, at):
        lease = history.unless_busy(
            source,
            lambda: acquire(world.dsn, source, "forget", wait_seconds=0, ttl_seconds=60, on_wait=lambda _: None),
        )
        try:
            forget(connection, world.store, lease, of)
        except Killed:
            history.tally.endings["forget killed"] += 1
            forget(connection, world.store, lease, of)
        except NotFound:
            assert known is None
            return
        finally:
            release(world.dsn, lease)
    assert known is not None
    history.forgotten.add(of)
    history.visible.pop(of, NONE)
    for table in ("stage_state", "document_version", "chunk"):
        left = world.reader.execute(f"SELECT count(*) FROM kb.{table} WHERE document_id = %s".encode(), (of,))
        assert left.fetchone() == (0,), f"{table} still knows a forgotten document"
    assert world.reader.execute(
        "SELECT content_hash, forgotten_at IS NOT NULL FROM kb.document WHERE document_id = %s", (of,)
    ).fetchone() == (None, True)


def damage(history: History, pick: int, kind: str) -> None:
    """Lose, cut or change the object of an artifact."""
    artifacts = [uri for uri, _, _ in history.world.artifacts() if uri not in history.damaged]
    if not artifacts:
        return
    uri = artifacts[pick % len(artifacts)]
    path = history.world.path(uri)
    history.damaged.add(uri)
    history.untroubled = False
    if kind == "lose":
        path.unlink()
        return
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] if kind == "cut" else bytes([data[0] ^ 1]) + data[1:])
