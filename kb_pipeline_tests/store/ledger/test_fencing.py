"""Who lost the lease changes nothing, at whatever step of a run it notices."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kb_pipeline.core.contracts import Outcome
from kb_pipeline.core.errors import LeaseLost
from kb_pipeline.core.identity import document_id
from kb_pipeline.core.planning import Deletes
from kb_pipeline.pipeline.catalogue import chain_key
from kb_pipeline.store.ledger.backlog import settle
from kb_pipeline.store.ledger.deletes import delete_gone, set_brake
from kb_pipeline.store.ledger.documents import name_documents, regroup
from kb_pipeline_tests.store.ledger_rows import rows_as_text
from kb_pipeline_tests.support.lines import LineSource

B = document_id("hr", "b.txt")


def commit(source: LineSource) -> None:
    stage, ledger = source.stage("parse"), source.ledger("parse")
    (task,) = next(ledger.pending(stage))
    failed = Outcome(task, "failed", error_class="ObjectChanged", error_message="The object changed.")
    ledger.commit(stage, [failed])


WRITERS: dict[str, Callable[[LineSource], object]] = {
    "deletes": lambda s: delete_gone(s.connection, s.lease, chain_key(s.settings, "hr")),
    "the brake": lambda s: set_brake(s.connection, s.lease, Deletes(1, 0, 2)),
    "looks": lambda s: s.look(),
    "names": lambda s: name_documents(s.connection, s.lease, [B], "another policy", str.upper),
    "groups": lambda s: regroup(s.connection, s.lease, "other rules", lambda key: ["staff"]),
    "outcomes": commit,
    "settles": lambda s: settle(s.connection, s.lease, chain_key(s.settings, "hr"), [B], set()),
}


@pytest.mark.parametrize("step", WRITERS)
def test_who_lost_the_lease_changes_nothing(source: LineSource, step: str) -> None:
    source.write(a="one", b="two")
    source.sync()
    source.write(a=None, c="three")
    source.reconcile()
    source.connection.execute("UPDATE kb.document SET settled_key = NULL")
    source.connection.execute(
        "UPDATE kb.stage_state SET status = 'retry' WHERE stage = 'parse' AND document_id = %s", (B,)
    )
    source.connection.execute("UPDATE kb.source_lease SET token = token + 1")
    before = ledger(source)
    with pytest.raises(LeaseLost, match="took over source system hr"):
        WRITERS[step](source)
    assert ledger(source) == before
    source.connection.execute("UPDATE kb.source_lease SET token = token - 1")
    WRITERS[step](source)
    assert ledger(source) != before, "who holds the lease does change something"


def ledger(source: LineSource) -> list[str]:
    """Every row but that of the lease."""
    return sorted(row for row in rows_as_text(source.connection) if not row.startswith("source_lease"))
