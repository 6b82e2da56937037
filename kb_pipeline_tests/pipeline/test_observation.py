"""What a run observes, deletes and takes on."""

from __future__ import annotations

import pytest

from kb_pipeline.core.errors import NotFound
from kb_pipeline.pipeline.runner import StageReport
from kb_pipeline.settings import AccessRule, DeleteSettings, LimitSettings, RunSettings, SourceSettings
from kb_pipeline.store.ledger.hints import add_hints
from kb_pipeline_tests.support.lines import LineSource


def observe(source: LineSource, **how: bool) -> StageReport:
    """As a sync does it: the brake is on."""
    run = source.source_run()
    report = run.observe(**how)
    source.scope = run.state.scope
    return report


def keys(source: LineSource) -> list[str]:
    """Documents that the run takes on, by name."""
    rows = source.connection.execute("SELECT key FROM kb.document WHERE document_id = ANY(%s)", (source.scope,))
    return sorted(key.removesuffix(".txt") for (key,) in rows)


def with_settings(source: LineSource, **sections: object) -> None:
    source.settings = source.settings.model_copy(update=sections)


@pytest.mark.parametrize(("gone", "deleted"), [("ab", 2), ("abc", 0), ("abcde", 0)])
def test_deletes_of_a_large_share_wait_for_a_word(source: LineSource, gone: str, deleted: int) -> None:
    with_settings(source, deletes=DeleteSettings(share=0.4, least=2))
    source.write(**{name: f"text {name}" for name in "abcde"})
    source.sync()
    source.write(**dict.fromkeys(gone))
    assert observe(source).deleted == deleted
    assert len(source.published()) == 5 - deleted
    assert (source.connection.execute("SELECT brake FROM kb.source").fetchone() == (None,)) is bool(deleted)
    assert observe(source, confirm_deletes=True).deleted == len(gone) - deleted
    assert len(source.published()) == 5 - len(gone)
    assert source.connection.execute("SELECT brake FROM kb.source").fetchone() == (None,)


def test_nothing_is_deleted_while_a_key_is_still_to_be_looked_at(source: LineSource) -> None:
    """It may be the missing document under another name."""
    source.write(a="one", b="two", c="three")
    source.sync()
    with_settings(source, runs=RunSettings(documents=1))
    source.write(a=None, d="four", e="five")
    assert [observe(source).deleted for _ in range(2)] == [0, 1]
    assert source.published() == {"b": ["two"], "c": ["three"]}


def test_a_run_over_hinted_keys_takes_on_these_alone(source: LineSource) -> None:
    source.write(a="one", b="two", c="three")
    source.observe()
    source.write(a="ONE", b="TWO")
    add_hints(source.connection, [("hr", "a.txt")])
    assert observe(source, listing=False, hinted_only=True).considered == 1
    assert keys(source) == ["a"]
    assert observe(source, listing=False).considered == 0
    assert keys(source) == ["a", "b", "c"]


def test_a_run_over_hinted_keys_deletes_of_these_alone(source: LineSource) -> None:
    source.write(a="one", b="two", c="three")
    source.sync()
    source.write(a=None, b=None)
    source.reconcile()
    add_hints(source.connection, [("hr", "a.txt")])
    assert observe(source, listing=False, hinted_only=True).deleted == 1
    assert sorted(source.published()) == ["b", "c"]
    assert observe(source, listing=False).deleted == 1
    assert sorted(source.published()) == ["c"]


def test_hinted_keys_come_first_in_a_scope_that_is_full(source: LineSource) -> None:
    source.write(**{name: f"text {name}" for name in "abcd"})
    source.observe()
    with_settings(source, runs=RunSettings(documents=2))
    for name in "abcd":
        source.write(**{name: f"new text {name}"})
        add_hints(source.connection, [("hr", f"{name}.txt")])
        observe(source, listing=False)
        assert len(source.scope or ()) == 2
        assert name in keys(source)


def test_what_was_observed_is_counted(source: LineSource) -> None:
    with_settings(source, limits=LimitSettings(document_mb=1))
    source.write(a="one", b="two", huge="x" * (1024 * 1024 + 1))
    first = observe(source)
    assert (first.considered, first.done, first.reused, first.quarantined, first.failed) == (3, 2, 0, 1, 0)
    assert (first.rows, first.stats) == (3, {"added": 2})
    assert keys(source) == ["a", "b"]
    source.run_stages()
    source.write(a="ONE", c="two")
    second = observe(source)
    assert (second.considered, second.done, second.reused) == (4, 2, 2)
    assert second.stats == {"changed": 1, "copied": 1}


def test_a_source_that_was_removed_is_not_observed(source: LineSource) -> None:
    source.write(a="one")
    source.observe()
    source.connection.execute("UPDATE kb.source SET removed_at = now()")
    with pytest.raises(NotFound, match="hr was removed"):
        observe(source)


def test_access_rules_that_changed_are_applied_to_all_documents_once(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    rules = (AccessRule(match="a*", groups=("board",)), AccessRule(match="*", groups=("staff",)))
    with_settings(source, sources={"hr": SourceSettings(access=rules)})
    assert observe(source).stats == {"regrouped": 2}
    groups = source.connection.execute("SELECT key, access_groups FROM kb.document ORDER BY key").fetchall()
    assert groups == [("a.txt", ["board"]), ("b.txt", ["staff"])]
    written = source.connection.execute("SELECT xmin::text FROM kb.source").fetchone()
    assert observe(source).stats == {}
    assert source.connection.execute("SELECT xmin::text FROM kb.source").fetchone() == written, "not even noted again"
    source.worked.clear()
    source.sync()
    assert source.worked == [], "no stage depends on them"


def test_documents_are_shown_by_their_masked_names(source: LineSource) -> None:
    source.write(**{"call 13812345678": "one"})
    source.sync()
    ((name,),) = source.connection.execute("SELECT display_name FROM kb.document").fetchall()
    assert "13812345678" not in name
    assert name.startswith("call ")
