"""A sync of single keys touches those alone, whatever an older listing said of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb_pipeline.defs.running.syncing import SyncOptions
from kb_pipeline.pipeline import intake
from kb_pipeline_tests.state_machine.stages import How
from kb_pipeline_tests.state_machine.world import World, settings_of
from kb_pipeline_tests.support.databases import _template, dsn, new_database, server_dsn

__all__ = ["_template", "dsn", "new_database", "server_dsn"]


@pytest.fixture
def world(dsn: str, tmp_path: Path) -> World:
    return World(dsn, tmp_path)


def test_what_an_older_listing_missed_and_is_back_is_not_deleted(world: World) -> None:
    settings = settings_of(world.dsn, world.store.config.url, How(), (0, 0), 100)
    for key in ("a.txt", "b.txt", "c.txt", "d.txt", "e.txt"):
        world.put("hr", key, key.encode())
    world.sync(settings, "hr", SyncOptions())
    world.put("hr", "b.txt", None)
    intake.reconcile(settings, "hr")
    world.put("hr", "b.txt", b"b.txt")
    world.put("hr", "c.txt", None)
    report = world.sync(settings, "hr", SyncOptions(keys=("c.txt", "d.txt")))
    assert report.runs == 1, "it does not wait for deletes that are no concern of its own"
    assert shown(world) == {"a.txt", "b.txt", "d.txt", "e.txt"}
    world.sync(settings, "hr", SyncOptions())
    assert shown(world) == {"a.txt", "b.txt", "d.txt", "e.txt"}
    world.put("hr", "b.txt", None)
    world.sync(settings, "hr", SyncOptions())
    assert shown(world) == {"a.txt", "d.txt", "e.txt"}


def shown(world: World) -> set[str]:
    return {row.content for rows in world.seen().rows.values() for row in rows}
