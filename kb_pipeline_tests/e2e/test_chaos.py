"""Twenty kills at random instants of real syncs; `make chaos` does two hundred."""

from __future__ import annotations

import pytest

from kb_pipeline_tests.chaos.campaign import SHARES
from kb_pipeline_tests.chaos.running import Size, run
from kb_pipeline_tests.e2e.conftest import CORPUS

pytestmark = pytest.mark.long

KILLS = 20
SECONDS = 240  # on a machine with nothing else to do a third of it is enough


@pytest.mark.timeout(480)
def test_twenty_kills() -> None:
    result = run(CORPUS, seed=20, size=Size(KILLS, SECONDS, pages=12, files=3), log=print)
    assert not result.violations
    assert sum(result.kills.values()) == KILLS
    assert result.kills.keys() == SHARES.keys()
    assert result.documents > 10
    assert result.rows > result.documents
    assert result.snapshots > KILLS
