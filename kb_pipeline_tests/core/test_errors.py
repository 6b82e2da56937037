"""The tree drawn in errors.py is the tree of the classes; what an error says reaches people whole."""

from __future__ import annotations

import pickle
import re

import pytest

from kb_pipeline.core import errors


def drawn() -> dict[str, str]:
    """Class -> parent, as the docstring draws it: four columns a level."""
    assert errors.__doc__
    parents, stack = {}, []
    for line in errors.__doc__.splitlines():
        found = re.match(r"    ((?:[│ ]   )*(?:[├└]── )?)([A-Z]\w+)", line)
        if found and hasattr(errors, found.group(2)):
            level = len(found.group(1)) // 4
            stack[level:] = [found.group(2)]
            parents[found.group(2)] = stack[level - 1] if level else "Exception"
    return parents


def classes(root: type[errors.KbError] = errors.KbError) -> list[type[errors.KbError]]:
    return [root, *(cls for child in root.__subclasses__() for cls in classes(child))]


def test_the_tree_drawn_is_the_tree() -> None:
    own = [cls for cls in classes() if cls.__module__ == errors.__name__]
    assert drawn() == {cls.__name__: cls.__bases__[0].__name__ for cls in own}


def test_the_list_of_quarantine_classes_is_that_of_permanent_errors() -> None:
    assert sorted(name for name, parent in drawn().items() if parent == "PermanentError") == list(
        errors.QUARANTINE_CLASSES
    )


def test_each_class_says_what_it_means() -> None:
    assert [cls for cls in classes() if not (cls.__doc__ or "").strip().endswith(".")] == []


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_an_error_comes_through_a_process_border_whole(cls: type[errors.KbError]) -> None:
    error = pickle.loads(pickle.dumps(cls("What happened.", "What to do.")))
    assert (type(error), error.message, error.remedy) == (cls, "What happened.", "What to do.")
    assert str(error) == "What happened. What to do."
    assert str(cls("What happened.")) == "What happened."


def test_exit_codes_are_those_the_command_line_documents() -> None:
    from kb_pipeline import cli

    codes = {cls.__name__: cls.exit_code for cls in classes()}
    assert {codes["SettingsError"], codes["MissingExtra"], codes["NotFound"]} == {3}
    assert {codes["ServiceUnavailable"], codes["DiskFull"], codes["EmbeddingUnavailable"]} == {4}
    assert {codes["SourceBusy"], codes["LeaseLost"]} == {5}
    for code in set(codes.values()):
        assert re.search(rf"\b{code} ", cli.__doc__ or ""), f"{code} is documented"
