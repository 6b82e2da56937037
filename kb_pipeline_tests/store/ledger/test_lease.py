"""One run a source at a time: waiting, giving up, taking over, and that who lost the lease can commit nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from kb_pipeline.core.errors import LeaseLost, SourceBusy
from kb_pipeline.store.database import Connection, connect
from kb_pipeline.store.ledger import lease as leases
from kb_pipeline.store.ledger.lease import Lease, acquire, holders, release
from kb_pipeline_tests.support.lines import LineSource


def holds(connection: Connection, lease: Lease) -> bool:
    try:
        with connection.transaction():
            lease.check(connection)
    except LeaseLost:
        return False
    return True


def pause(lease: Lease) -> None:
    """What a suspended or starved process does: it renews nothing."""
    lease.stop()


def test_it_is_taken_again_by_its_holder_alone(take: Callable[..., Lease], connection: Connection) -> None:
    first, again = take("run"), take("run")
    assert first.token == again.token
    assert holds(connection, first)
    with pytest.raises(SourceBusy):
        take("other")
    assert take("other", source="wiki").source_system == "wiki"


def test_the_second_says_that_it_waits_and_then_gives_up(take: Callable[..., Lease], dsn: str) -> None:
    take("first")
    said: list[str] = []
    started = time.monotonic()
    with pytest.raises(SourceBusy, match=r"still being synced by run first after 0\.5 s.*lease\.wait_seconds"):
        acquire(dsn, "hr", "second", wait_seconds=0.5, ttl_seconds=60, on_wait=said.append)
    assert 0.4 < time.monotonic() - started < 3
    assert said == ["source system hr is being synced by run first: waiting"]


def test_the_second_gives_up_although_the_first_sleeps_in_the_middle_of_a_commit(
    take: Callable[..., Lease], dsn: str, connection: Connection
) -> None:
    first = take("first")
    with connection.transaction():
        first.check(connection)  # the row stays locked
        with pytest.raises(SourceBusy):
            acquire(dsn, "hr", "second", wait_seconds=1.5, ttl_seconds=60, on_wait=lambda _: None)
    assert holds(connection, first)


def connections(connection: Connection) -> int:
    """How many this test's database has, but for this one."""
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ).fetchone()
    return row[0] if row else 0


@pytest.mark.parametrize("ending", [ValueError, KeyboardInterrupt])
def test_who_stops_waiting_leaves_no_connection(
    take: Callable[..., Lease], dsn: str, connection: Connection, ending: type[BaseException]
) -> None:
    take("first")
    before = connections(connection)

    def stop(_: str) -> None:
        assert connections(connection) == before + 1
        raise ending

    with pytest.raises(ending) as caught:  # it keeps the frames: nothing is closed for want of a reference
        acquire(dsn, "hr", "second", wait_seconds=60, ttl_seconds=60, on_wait=stop)
    assert settles(lambda: connections(connection) == before), caught


def settles(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether it comes true: a server notices the end of a connection a moment later."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_the_second_goes_on_when_the_first_has_ended(dsn: str, connection: Connection) -> None:
    first = acquire(dsn, "hr", "first", wait_seconds=0, ttl_seconds=60, on_wait=print)
    waits = threading.Event()
    threading.Thread(target=lambda: (waits.wait(10), release(dsn, first)), daemon=True).start()
    second = acquire(dsn, "hr", "second", wait_seconds=20, ttl_seconds=60, on_wait=lambda _: waits.set())
    assert waits.is_set()
    assert second.token > first.token
    assert (holds(connection, first), holds(connection, second)) == (False, True)
    release(dsn, second)


def test_it_is_renewed_for_as_long_as_it_is_held(dsn: str, connection: Connection) -> None:
    lease = acquire(dsn, "hr", "run", wait_seconds=0, ttl_seconds=1, on_wait=print)
    time.sleep(2.5)
    with pytest.raises(SourceBusy):
        acquire(dsn, "hr", "other", wait_seconds=0, ttl_seconds=1, on_wait=lambda _: None)
    assert holds(connection, lease)
    release(dsn, lease)


def test_an_expired_lease_is_taken_over_and_its_old_holder_can_commit_nothing(
    source: LineSource, take: Callable[..., Lease]
) -> None:
    source.write(a="one")
    source.observe()
    source.run("parse")
    pause(source.lease)
    source.connection.execute("UPDATE kb.source_lease SET expires_at = now() - interval '1 second'")
    other = take("other")
    assert other.token == source.lease.token + 1
    before = source.connection.execute("SELECT count(*), max(updated_at) FROM kb.stage_state").fetchall()
    for stage in ("chunk", "publish"):
        with pytest.raises(LeaseLost):
            source.run(stage)  # type: ignore[arg-type]
    source.write(b="two")
    with pytest.raises(LeaseLost):
        source.observe()
    assert source.connection.execute("SELECT count(*), max(updated_at) FROM kb.stage_state").fetchall() == before
    assert source.connection.execute("SELECT count(*) FROM kb.document").fetchone() == (1,)


def test_releasing_a_lost_lease_does_not_take_it_from_the_new_holder(
    take: Callable[..., Lease], connection: Connection, dsn: str
) -> None:
    old = take("old")
    pause(old)
    connection.execute("UPDATE kb.source_lease SET expires_at = now() - interval '1 second'")
    new = take("new")
    release(dsn, old)
    assert holds(connection, new)


def test_a_run_that_died_is_taken_over_long_before_its_lease_expires(
    take: Callable[..., Lease], connection: Connection
) -> None:
    """Killed: its connection is gone and its last heartbeat is older than DEAD_AFTER_SECONDS."""
    dead = take("dead", ttl=3600)
    pause(dead)
    with pytest.raises(SourceBusy):  # not at once: between two steps of a run no connection is open either
        take("next")
    connection.execute(
        "UPDATE kb.source_lease SET heartbeat_at = now() - make_interval(secs => %s)", (leases.DEAD_AFTER_SECONDS + 1,)
    )
    assert holds(connection, take("next"))


def test_a_process_number_that_is_in_use_again_keeps_no_dead_run_alive(
    take: Callable[..., Lease], connection: Connection
) -> None:
    """The backend with that number began after the last heartbeat: it is another's."""
    pause(take("dead", ttl=3600))
    connection.execute(
        "UPDATE kb.source_lease SET backend_pid = pg_backend_pid(),"
        " heartbeat_at = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())"
        " - make_interval(secs => %s)",
        (leases.DEAD_AFTER_SECONDS + 1,),
    )
    assert holders(connection) == {}
    assert holds(connection, take("next"))


def test_a_run_that_is_only_slow_is_not_taken_for_dead(take: Callable[..., Lease], connection: Connection) -> None:
    """Its heartbeat is late, but its connection is there."""
    take("slow", ttl=3600)
    connection.execute(
        "UPDATE kb.source_lease SET heartbeat_at = clock_timestamp() - make_interval(secs => %s)"
        " WHERE EXISTS (SELECT FROM pg_stat_activity WHERE pid = backend_pid)",
        (leases.DEAD_AFTER_SECONDS - 1,),
    )
    with pytest.raises(SourceBusy):
        take("next")


def test_a_lost_connection_is_replaced_and_the_lease_kept(
    take: Callable[..., Lease], connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "DEAD_AFTER_SECONDS", 1.0)
    lease = take(ttl=3600)
    query = "SELECT backend_pid FROM kb.source_lease"
    (pid,) = connection.execute(query).fetchone() or (0,)
    connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
    deadline = time.monotonic() + 10
    while connection.execute(query).fetchone() == (pid,):
        assert time.monotonic() < deadline, "the lease's thread has not connected again"
        time.sleep(0.05)
    assert holds(connection, lease)
    assert connection.execute(
        "SELECT application_name FROM pg_stat_activity JOIN kb.source_lease ON pid = backend_pid"
    ).fetchone() == ("kb_pipeline",), "people find it under its name, as the first one"


def test_of_many_that_ask_at_once_one_gets_it(dsn: str) -> None:
    start, got = threading.Barrier(8), []

    def run(name: str) -> None:
        start.wait()
        try:
            got.append(acquire(dsn, "hr", name, wait_seconds=0, ttl_seconds=60, on_wait=lambda _: None))
        except SourceBusy:
            return

    threads = [threading.Thread(target=run, args=(f"run{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = got
    release(dsn, winner)


def test_a_commit_holds_off_a_take_over_until_it_is_done(
    take: Callable[..., Lease], connection: Connection, dsn: str
) -> None:
    """Else a commit that has checked its token could end after the other run has begun to read."""
    old = take("old")
    pause(old)
    with connection.transaction():
        old.check(connection)
        connection.execute("UPDATE kb.document SET key = key")
        with connect(dsn) as other:
            other.execute("SET lock_timeout = '300ms'")
            with pytest.raises(Exception, match="lock timeout"):
                other.execute("UPDATE kb.source_lease SET token = token + 1")
    assert holds(connection, old)


def test_who_works_on_what_is_who_holds_a_lease_and_is_alive(
    take: Callable[..., Lease], connection: Connection
) -> None:
    assert holders(connection) == {}
    take("run"), take("another", source="wiki")
    assert holders(connection) == {"hr": "run", "wiki": "another"}
    connection.execute("UPDATE kb.source_lease SET expires_at = now() WHERE source_system = 'hr'")
    assert holders(connection) == {"wiki": "another"}
    connection.execute(
        "UPDATE kb.source_lease SET backend_pid = 0, heartbeat_at = now() - make_interval(secs => %s)",
        (leases.DEAD_AFTER_SECONDS + 1,),
    )
    assert holders(connection) == {}
