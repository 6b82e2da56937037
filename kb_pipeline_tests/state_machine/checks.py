"""What must hold after every step, whatever happened before."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kb_pipeline.core.identity import text_hash
from kb_pipeline_tests.state_machine.spec import NONE, Expected, Rows
from kb_pipeline_tests.state_machine.world import Seen, World
from kb_pipeline_tests.support.lines import vectors_of


class Vectors:
    """Whether the vectors that readers see are those of their texts. Every text's is looked at once."""

    def __init__(self) -> None:
        self._right: dict[str, str] = {}
        self._texts: dict[str, str] = {}

    def add(self, texts: list[str]) -> None:
        """Texts as sent to the model."""
        self._texts.update({text_hash(text): text for text in texts})

    def check(self, seen: Seen) -> None:
        for name, printed in seen.vectors:
            if self._right.get(name) == printed:
                continue
            assert name not in self._right, f"two vectors of one text: {self._texts[name]!r}"
            vector = np.array(printed.strip("[]").split(","), dtype=np.float32)
            assert np.allclose(vector, vectors_of([self._texts[name]])[0], atol=2e-3), self._texts[name]
            self._right[name] = printed


def check_rows(seen: Seen, allowed: Mapping[str, set[Rows]], others: Mapping[str, Rows], when: str) -> None:
    """Every document is in a state it may be in: `allowed`, or as `others` say."""
    assert not seen.torn, f"{when}: rows without a vector, a document, or with another's: {seen.torn}"
    for of in allowed.keys() | others.keys() | seen.rows.keys():
        rows = seen.rows.get(of, NONE)
        wanted = allowed.get(of, {others.get(of, NONE)})
        assert rows in wanted, f"{when}: document {of[:8]} has\n{_told(rows)}\nand not\n" + "\nor\n".join(
            map(_told, wanted)
        )


def check_moves(seen: Seen, moves: Mapping[str, list[str]], when: str) -> None:
    """What a moved document says can be found all the time."""
    for of, others in moves.items():
        assert of in seen.rows or not others or any(to in seen.rows for to in others), (
            f"{when}: {of[:8]} is gone before what it was moved to was published"
        )


def check_artifacts(world: World, damaged: set[str]) -> None:
    """Every artifact that the ledger names is there, but for those that were damaged on purpose."""
    for uri, size, _ in world.artifacts():
        path = world.path(uri)
        assert uri in damaged or (path.exists() and path.stat().st_size == size), f"{uri} is named and not there"


def check_ledger(world: World, source: str, expected: Expected) -> None:
    """After a sync that came to its end: quarantine, brake, backlog and gone documents are as they must be."""
    rows = world.reader.execute(
        "SELECT document_id, s.status FROM kb.document d JOIN kb.stage_state s USING (document_id)"
        " WHERE d.source_system = %s AND d.deleted_at IS NULL AND s.status IN ('quarantined', 'failed')",
        (source,),
    ).fetchall()
    quarantined = {of for of, status in rows if status == "quarantined"}
    differing = (quarantined ^ expected.quarantined) - expected.unsure - expected.failed
    assert not differing, f"in quarantine: {quarantined}, expected: {expected.quarantined}"
    live = {
        row[0]
        for row in world.reader.execute(
            "SELECT document_id FROM kb.document WHERE source_system = %s AND deleted_at IS NULL", (source,)
        )
    }
    gone = {of for of in expected.final if of in live and of in expected.deleted}
    assert not gone, f"still live: {gone}"
    row = world.reader.execute("SELECT brake FROM kb.source WHERE source_system = %s", (source,)).fetchone()
    assert row is not None
    assert (row[0] is not None) == expected.braked, f"brake: {row[0]}, expected: {expected.braked}"


def check_groups(world: World, wanted: Mapping[str, list[str]]) -> None:
    """Live documents are readable by whom the rules say."""
    found = world.groups()
    for of, groups in wanted.items():
        assert found.get(of, groups) == groups, f"{of[:8]}: {found[of]} and not {groups}"


def _told(rows: Rows) -> str:
    return (
        "\n".join(f"  {row.ordinal} {row.content!r} {row.text_hash[:6]} {row.chunk_id[:6]}" for row in rows)
        or "  nothing"
    )
