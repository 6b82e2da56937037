"""Elements and unmasked chunks go after a retention of their own: nothing is done again for that, unless a change needs
them, and then for what changed alone."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from kb_pipeline.pipeline.catalogue import catalogue, chain_key
from kb_pipeline.settings import Settings
from kb_pipeline.store.database import connect
from kb_pipeline.store.erasing.collect import Clear, Collected, collect
from kb_pipeline.store.erasing.erase import forget
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline.store.ledger.listings import Listing
from kb_pipeline.store.ledger.planned import unsettled
from kb_pipeline_tests.store.erasing.test_collect import objects, wait_until_blocked
from kb_pipeline_tests.support.faulting import once_at, run_killed
from kb_pipeline_tests.support.lines import KEEPING, MASKING, LineSource

CLEAR = ("parse", "chunk")
A_DAY = 1.0


def run(source: LineSource, days: float = 0, dry_run: bool = False, grace: float = 0) -> Collected:
    """Collect under the settings of `source`, which hold for every other source too."""
    names = [row[0] for row in source.connection.execute("SELECT DISTINCT source_system FROM kb.document")]
    clear = Clear(days, {name: chain_key(source.settings, name) for name in names})
    return collect(source.connection, source.store, retention_days=30, grace_hours=grace, dry_run=dry_run, clear=clear)


def roots(source: LineSource) -> set[str]:
    return {"/".join(path.split("/")[1:3]) for path in objects(source)}


def age(source: LineSource, *stages: str, days: int = 2) -> None:
    source.connection.execute(
        "UPDATE kb.artifact SET created_at = now() - make_interval(days => %s) WHERE stage = ANY(%s)",
        (days, list(stages)),
    )


def test_a_sync_after_it_does_nothing(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    foreseen = run(source, dry_run=True)
    assert (foreseen.cleared, foreseen.artifacts) == (4, 0)
    before = sum(item.size for item in source.store.list("artifacts"))
    assert roots(source) == {"clear/parse", "clear/chunk", "masked/mask", "masked/embed"}
    assert run(source) == foreseen
    assert before - sum(item.size for item in source.store.list("artifacts")) == foreseen.bytes
    assert roots(source) == {"masked/mask", "masked/embed"}
    assert run(source) == Collected()
    source.worked.clear()
    source.sync()
    assert source.worked == []
    assert source.published() == {"a": ["one"], "b": ["two"]}


def test_it_stays_until_its_time(source: LineSource) -> None:
    source.write(a="one")
    source.sync()
    assert run(source, A_DAY) == Collected()
    age(source, *CLEAR)
    assert run(source, A_DAY).cleared == 2
    source.settings = MASKING
    source.sync()
    assert run(source, A_DAY).cleared == 0, "it was made again just now"


@pytest.mark.parametrize(
    ("old", "again"),
    [
        (("parse", "chunk"), ["parse", "chunk", "mask"]),
        (("chunk",), ["chunk", "mask"]),
        (("parse",), ["mask"]),
    ],
)
def test_a_change_that_needs_it_makes_again_what_it_needs(
    source: LineSource, old: tuple[str, ...], again: list[str]
) -> None:
    source.write(a="it costs $\nplain")
    source.sync()
    age(source, *old)
    run(source, A_DAY)
    source.settings = MASKING
    source.worked.clear()
    source.sent.clear()
    source.sync()
    assert [stage for stage, _ in source.worked] == again
    assert source.sent == ["it costs <MONEY>"]
    assert source.published() == {"a": ["it costs <MONEY>", "plain"]}
    source.worked.clear()
    source.sync()
    assert source.worked == []


def test_a_plan_says_where_the_work_begins(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()

    def planned(settings: Settings) -> dict[str, int]:
        with Listing("hr", source.store.list("raw/hr")) as listing:
            listing.load(source.connection)
        left = unsettled(source.connection, "hr", chain_key(settings, "hr"), catalogue(settings, "hr"))
        return {stage: sum(work.documents for work in kinds.values()) for stage, kinds in left.items()}

    assert planned(MASKING) == {"mask": 2}
    run(source)
    assert planned(KEEPING) == {}
    assert planned(MASKING) == {"parse": 2}


def test_a_rename_and_a_copy_still_cost_nothing(source: LineSource) -> None:
    source.write(a="one")
    source.sync()
    run(source)
    source.worked.clear()
    source.sent.clear()
    source.write(a=None, b="one", c="one")
    source.sync()
    assert (source.worked, source.sent) == ([], [])
    assert source.published() == {"b": ["one"], "c": ["one"]}


def test_a_copy_that_needs_it_makes_it_once_for_both(source: LineSource) -> None:
    source.write(a="for $")
    source.sync()
    run(source)
    source.write(b="for $")
    source.settings = MASKING
    source.worked.clear()
    source.sync()
    assert sorted(stage for stage, _ in source.worked) == ["chunk", "mask", "parse"]
    assert source.published() == {"a": ["for <MONEY>"], "b": ["for <MONEY>"]}


def test_what_a_run_still_needs_stays(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    source.write(a="one and more")
    source.observe()
    source.run("parse")
    assert run(source).cleared == 2, "that of b"
    source.run_stages()
    assert ("parse", "a.txt") in source.worked
    assert source.worked.count(("parse", "a.txt")) == 2, "once each version"
    source.settings = MASKING
    assert run(source).cleared == 0, "a sync under these settings will read it"


def test_a_document_in_quarantine_is_through_too(source: LineSource) -> None:
    source.settings = MASKING
    source.write(a="REFUSED")
    source.sync()
    assert run(source).cleared == 2
    source.worked.clear()
    source.sync()
    assert source.worked == []
    source.settings = KEEPING
    source.sync()
    assert [stage for stage, _ in source.worked] == ["parse", "chunk", "mask"]
    assert source.published() == {"a": ["REFUSED"]}


def test_a_run_that_is_about_to_name_it_has_it_made_again(
    source: LineSource, dsn: str, take: Callable[..., Lease]
) -> None:
    """Under another policy it has a use for what the collection is taking away."""
    source.write(a="for $")
    source.sync()
    other = LineSource(connect(dsn), source.store, take(source="wiki"), MASKING)
    other.write(b="for $")
    other.observe()
    turn = threading.Thread(target=other.run_stages)

    def start_and_wait() -> None:
        turn.start()
        wait_until_blocked(source.connection, other.connection.info.backend_pid)

    with other.connection:
        with once_at("collect.clear_marked", start_and_wait):
            cleared = run(source, grace=24).cleared  # what the other has just written and not named yet is no orphan
        turn.join(30)
        assert not turn.is_alive()
        assert [stage for stage, _ in other.worked] == ["parse", "chunk", "mask"]
        assert other.published() == {"b": ["for <MONEY>"]}
    assert cleared == 2


def test_ended_anywhere_the_next_collection_completes_it(source: LineSource) -> None:
    points = []
    for at in range(100):
        source.write(a=f"text {at}")
        source.sync()
        point = run_killed(lambda: run(source), at)
        if point is None:
            break
        points.append(point)
        run(source)
        assert roots(source) == {"masked/mask", "masked/embed"}
        source.worked.clear()
        source.sync()
        assert source.worked == []
    assert {"collect.clear_marked", "collect.clear_committed", "collect.clear_deleted"} <= set(points)


def test_forgetting_finds_everything_made_of_every_version(source: LineSource) -> None:
    source.write(a="one")
    source.sync()
    run(source)
    source.write(a="two")
    source.sync()
    (of,) = source.connection.execute("SELECT document_id FROM kb.document").fetchone() or ("",)
    erased = forget(source.connection, source.store, source.lease, of)
    assert objects(source) == set()
    assert erased.objects == {"clear": 2, "masked": 4}, "what had gone before was not erased now"
    assert source.connection.execute("SELECT count(*) FROM kb.artifact").fetchone() == (0,)
