"""Which names are taken in, as people who know .gitignore expect it."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from kb_pipeline.core.errors import SettingsError
from kb_pipeline.core.selection import Selection, check_patterns
from kb_pipeline.settings import load_settings

TAKEN = ("a.md", "dept/report.docx", "x~$y.docx", "file.with.dots", "…/雪.md")
LEFT_OUT = (".DS_Store", "a/.DS_Store", ".git/config", "a/.git/objects/ab/cd", "Thumbs.db", "a/thumbs.db", "~$b.docx")


@pytest.mark.parametrize("key", TAKEN)
def test_documents_are_taken_in(key: str) -> None:
    assert Selection().takes(key)


@pytest.mark.parametrize("key", LEFT_OUT)
def test_what_is_no_document_is_left_out_by_default(key: str) -> None:
    assert not Selection().takes(key)


@pytest.mark.parametrize("key", ["a/../b.md", "./a.md", "a/./b.md", ".."])
def test_a_key_that_no_client_can_ask_for_is_not_hidden(key: str) -> None:
    assert Selection().takes(key), "it is named in quarantine"


@pytest.mark.parametrize(
    ("include", "exclude", "key", "taken"),
    [
        (["*.md"], [], "a/b.md", True),
        (["*.md"], [], "a/b.txt", False),
        (["handbook/"], [], "handbook/a/b.txt", True),
        (["handbook/"], [], "other/a.txt", False),
        (["*.md"], ["drafts/"], "drafts/a.md", False),
        ([], ["drafts/"], "a/drafts/b.md", False),
        ([], ["/drafts/"], "a/drafts/b.md", True),
        ([], ["a/*.tmp"], "a/b/c.tmp", True),
        ([], ["a/**/*.tmp"], "a/b/c.tmp", False),
        ([], [".*", "!.github/"], ".github/readme.md", True),
        ([], [".*", "!.github/"], ".git/config", False),
        ([], ["*.TMP"], "a.tmp", True),
    ],
)
def test_patterns_are_those_of_gitignore(include: list[str], exclude: list[str], key: str, taken: bool) -> None:
    assert Selection(include, exclude).takes(key) is taken


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("other", ["NFC", "NFD"])
def test_names_are_compared_in_one_form(form: str, other: str) -> None:
    pattern, key = unicodedata.normalize(form, "Entwürfe/"), unicodedata.normalize(other, "Entwürfe/a.md")
    assert not Selection(exclude=[pattern]).takes(key)


def test_only_what_differs_from_the_defaults_has_a_key() -> None:
    assert Selection().key == ""
    keys = {Selection(["*.md"]).key, Selection(exclude=["*.md"]).key, Selection(exclude=[]).key}
    assert len(keys) == 3
    assert "" not in keys


@pytest.mark.parametrize("pattern", ["", "  ", "# drafts", "!"])
def test_a_pattern_that_matches_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="gitignore"):
        check_patterns([pattern])


def test_a_source_has_the_patterns_of_the_defaults_before_its_own(tmp_path: Path) -> None:
    config = tmp_path / "kb.yaml"
    config.write_text(
        "defaults: {include: ['*.md'], exclude: ['old/']}\n"
        "sources:\n  hr: {exclude: ['drafts/', '!old/']}\n  wiki: {include: []}\n"
    )
    settings = load_settings({}, config)
    assert [settings.selection_for("hr").takes(key) for key in ("a.md", "a.txt", "drafts/a.md", "old/a.md")] == [
        True,
        False,
        False,
        True,
    ]
    assert [settings.selection_for("wiki").takes(key) for key in ("a.txt", "old/a.txt")] == [True, False]
    assert settings.selection_for("contracts").takes("a.txt") is False
    config.write_text("sources: {hr: {exclude: ['#x']}}\n")
    with pytest.raises(SettingsError, match=r"sources\.hr\.exclude"):
        load_settings({}, config)
