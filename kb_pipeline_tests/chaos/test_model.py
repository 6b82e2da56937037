"""The judge of the chaos run itself: what it lets pass, and what it does not."""

from __future__ import annotations

from kb_pipeline_tests.chaos.expected import NOTHING
from kb_pipeline_tests.chaos.model import Model

PAGE, OTHER = ("wiki", "page"), ("wiki", "other")


def seen(*snapshots: dict[tuple[str, str], str], model: Model | None = None) -> list[str]:
    """What is wrong with these snapshots, of a page that was published as one, then edited to two."""
    model = model or Model()
    model.put(PAGE, "one")
    model.put(PAGE, "two")
    for snapshot in snapshots:
        model.observe(snapshot)
    return model.violations


def test_versions_in_order_pass() -> None:
    assert not seen({}, {PAGE: "one"}, {PAGE: "one"}, {PAGE: "two"})
    assert not seen({}, {PAGE: "two"})


def test_no_version_of_a_published_document_is_wrong() -> None:
    assert "no version" in seen({PAGE: "one"}, {})[0]


def test_a_mixture_is_wrong() -> None:
    assert "no single version" in seen({PAGE: "one and two"})[0]


def test_an_earlier_version_again_is_wrong() -> None:
    assert "again" in seen({PAGE: "two"}, {PAGE: "one"})[0]


def test_a_deleted_document_may_go_and_not_come_back() -> None:
    model = Model()
    assert not seen({PAGE: "two"}, model=model)
    model.put(PAGE, NOTHING)
    model.observe({PAGE: "two"})
    model.observe({})
    assert not model.violations
    model.observe({PAGE: "two"})
    assert "again" in model.violations[0]


def test_a_moved_document_is_under_one_of_its_names() -> None:
    for both, wrong in (({PAGE: "two", OTHER: "x"}, False), ({OTHER: "x"}, False), ({}, True)):
        model = Model()
        assert not seen({PAGE: "two"}, model=model)
        model.move(PAGE, OTHER, "x")
        model.observe(both)
        assert bool(model.violations) == wrong


def test_rows_of_a_document_that_nobody_put_are_wrong() -> None:
    assert seen({("wiki", "stranger"): "rows"})
