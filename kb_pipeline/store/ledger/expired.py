"""Artifacts whose object went after its retention (store.collect) while their row stayed.

The row still says what came of the input, so nothing that was made of it has to be made again, for this document or for
another with the same bytes. Only a stage that would read the object needs it: then the stage that made it is pending.
"""

from __future__ import annotations

from collections.abc import Sequence


def wanted(row: str, onward: Sequence[str]) -> str:
    """SQL: the artifact of the row `row` of kb.stage_state expired, and a stage of `onward` would read it. The keys of
    those stages are the query's parameters by their names."""
    if not onward:
        return "false"
    after, *rest = onward
    return (
        f"({row}.status = 'ok' AND EXISTS (SELECT FROM kb.artifact x WHERE x.fingerprint = {row}.fingerprint"  # noqa: S608
        " AND x.expired_at IS NOT NULL)"
        f" AND NOT EXISTS (SELECT FROM kb.stage_state {after} WHERE {after}.document_id = {row}.document_id"
        f" AND {after}.stage = '{after}' AND {after}.variant = '' AND {after}.stage_key = %({after})s"
        f" AND {after}.input_hash = {row}.output_hash AND {after}.status IN ('ok', 'quarantined')"
        f" AND NOT {wanted(after, rest)}))"
    )
