"""Decisions over plain data."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_pipeline.core.contracts import ArtifactRef, Task
from kb_pipeline.core.planning import Deletes, change_of, must_brake, pause_seconds, plan_batch
from kb_pipeline.store.ledger.stages import KnownArtifact


@pytest.mark.parametrize(
    ("known", "deleted", "found", "elsewhere", "change"),
    [
        (None, False, "a", "", "added"),
        (None, False, "a", "live", "copied"),
        (None, False, "a", "gone", "moved"),
        (None, True, "a", "", "added"),
        ("a", False, "b", "", "changed"),
        ("a", False, "b", "live", "changed"),
        ("a", False, "a", "", "touched"),
        ("a", False, "a", "live", "touched"),
        ("a", True, "a", "", "reappeared"),
        ("a", True, "b", "live", "reappeared"),
        ("a", True, "a", "gone", "moved"),
    ],
)
def test_what_the_bytes_say_about_a_document(
    known: str | None, deleted: bool, found: str, elsewhere: Literal["", "live", "gone"], change: str
) -> None:
    assert change_of(known, deleted, found, elsewhere) == change


@pytest.mark.parametrize(
    ("gone", "moved", "live", "added", "brake"),
    [
        (0, 0, 100, 0, False),
        (20, 0, 100, 0, False),  # a fifth is not more than a fifth
        (21, 0, 100, 0, True),
        (19, 0, 50, 0, False),  # fewer than the least number that counts
        (20, 0, 50, 0, True),
        (20, 0, 50, 500, True),  # what came since makes no loss smaller
        (60, 45, 100, 0, False),  # moves are no loss
        (60, 39, 100, 0, True),
        (100, 100, 100, 0, False),
        (3, 0, 3, 0, True),  # an empty listing, however few there were
        (1, 0, 1, 0, True),
        (3, 0, 3, 1, False),  # replaced by another: not empty, and few
    ],
)
def test_deletes_of_a_large_share_wait_for_a_word(gone: int, moved: int, live: int, added: int, brake: bool) -> None:
    assert must_brake(Deletes(gone, moved, live, added), share=0.2, least=20) == brake


@given(attempts=st.integers(1, 10**6), jitter=st.floats(0, 1))
def test_pauses_grow_up_to_an_hour_and_are_spread(attempts: int, jitter: float) -> None:
    assert 15 <= pause_seconds(attempts, jitter) <= 3600
    assert pause_seconds(attempts, 0) == pause_seconds(attempts, 1) / 2
    assert pause_seconds(attempts + 1, jitter) >= pause_seconds(attempts, jitter)


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
