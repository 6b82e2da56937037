"""Decisions over plain data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_pipeline.contracts import ArtifactRef, Task
from kb_pipeline.planning import change_of, plan_batch
from kb_pipeline.store.ledger import KnownArtifact


@pytest.mark.parametrize(
    ("known", "deleted", "found", "change"),
    [
        (None, False, "a", "added"),
        ("a", False, "b", "changed"),
        ("a", False, "a", "touched"),
        ("a", True, "a", "reappeared"),
        ("a", True, "b", "reappeared"),
        (None, True, "a", "added"),
    ],
)
def test_what_the_bytes_say_about_a_document(known: str | None, deleted: bool, found: str, change: str) -> None:
    assert change_of(known, deleted, found) == change


def task(number: int, fingerprint: str) -> Task:
    return Task(f"d{number}", "hr", f"{number}.md", "", "text/markdown", "", 1, "", fingerprint)


@given(st.lists(st.sampled_from("abcdef"), max_size=12), st.sets(st.sampled_from("abcdef")))
def test_every_document_is_reused_computed_or_a_copy_and_each_fingerprint_is_computed_once(
    fingerprints: list[str], exists: set[str]
) -> None:
    tasks = [task(number, name) for number, name in enumerate(fingerprints)]
    known = {name: KnownArtifact(ArtifactRef(name, 1, name), f"out {name}", 3, {"tokens": 5}) for name in exists}
    plan = plan_batch(tasks, known)
    reused = [outcome.task for outcome in plan.reuse]
    copies = [copy for group in plan.copies.values() for copy in group]
    assert sorted([*reused, *plan.compute, *copies], key=lambda t: t.document_id) == sorted(
        tasks, key=lambda t: t.document_id
    )
    assert {t.fingerprint for t in reused} == set(fingerprints) & exists
    computed = [t.fingerprint for t in plan.compute]
    assert len(computed) == len(set(computed))
    assert set(computed) == set(fingerprints) - exists
    for name, group in plan.copies.items():
        assert all(copy.fingerprint == name for copy in group)


def test_what_is_reused_says_what_the_artifact_holds() -> None:
    known = KnownArtifact(ArtifactRef("uri", 1, "sha"), "out", 3, {"tokens": 5})
    (outcome,) = plan_batch([task(1, "a")], {"a": known}).reuse
    assert (outcome.status, outcome.artifact, outcome.output_hash, outcome.rows) == ("ok", known.ref, "out", 3)
    assert outcome.stats == {"tokens": 5}
