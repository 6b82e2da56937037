"""At least 2,000 steps of the state machine, the same ones each time; `make state-machine` runs many more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import kb_pipeline
from kb_pipeline_tests.state_machine.drawing import COLLECT_POINTS, ERASE_POINTS, SYNC_POINTS
from kb_pipeline_tests.state_machine.running import run_seed, told
from kb_pipeline_tests.state_machine.watching import Tally
from kb_pipeline_tests.state_machine.world import World
from kb_pipeline_tests.support.databases import _template, dsn, new_database, server_dsn

__all__ = ["_template", "dsn", "new_database", "server_dsn"]

STEPS = 2000
FIRST_SEED = 1
HISTORIES = 10
POINTS = {*SYNC_POINTS, *COLLECT_POINTS, *ERASE_POINTS}
# Not on the way of a sync, of collecting or of forgetting: tested where they are.
ELSEWHERE = {
    "erase.source_marked",
    "mirror.deleted",
    "mirror.stored",
    "notifications.before_acknowledge",
}
PATTERN = re.compile(r'fault_point\(f?"([^"]+)"\)')


@pytest.mark.long
@pytest.mark.timeout(900)
def test_whatever_happens_the_invariants_hold(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, tally, number = World(dsn, tmp_path), Tally(), FIRST_SEED
    while tally.steps < STEPS:
        print(f"seed {number}")
        run_seed(world, tally, number, HISTORIES, monkeypatch)
        number += 1
    print(told(tally))
    assert set(tally.points) == POINTS, "fault points that nothing came to, or that are new"


def test_every_fault_point_is_known_here() -> None:
    package = Path(kb_pipeline.__file__).parent
    named = {name for path in package.rglob("*.py") for name in PATTERN.findall(path.read_text())}
    stages = ("parse", "chunk", "mask", "embed", "publish")
    found = {re.sub(r"\{stage.*\}", stage, name) for name in named for stage in stages}
    assert found - POINTS - ELSEWHERE - {"publish.reused", "publish.written"} == set()
