"""The checks of infra/packages notice what they are for; `make check` and `make resolve` run them on the real lists."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from packaging.version import Version

FOLDER = Path(__file__).parents[2] / "infra" / "packages"


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return import_module("check_pins")


@pytest.fixture
def resolve(check: ModuleType) -> ModuleType:
    return import_module("resolve")


def test_the_claimed_pythons_are_those_the_makefile_takes(check: ModuleType) -> None:
    assert sorted({version.minor for version in check.claimed_versions()}) == [11, 12, 13]
    assert Version("3.11.0") in check.claimed_versions()
    assert "(3, 11) <= sys.version_info < (3, 14)" in (FOLDER.parents[1] / "Makefile").read_text(encoding="utf-8")
    assert (3, 11) <= sys.version_info < (3, 14)


def test_a_pin_that_pyproject_does_not_allow_is_named(check: ModuleType) -> None:
    project = {
        "dependencies": ["lxml>=6", "click"],
        "optional-dependencies": dict.fromkeys(("local", "demo", "dev", "models", "hi-res"), ()),
    }
    pins = {file: {} for file in check.LISTS} | {"run.txt": {"lxml": Version("5.0"), "click": Version("8.1")}}
    (line,) = check.unsatisfied(project, pins)
    assert "lxml>=6" in line
    assert "make lock" in line


def test_a_package_that_needs_a_newer_python_is_named(check: ModuleType) -> None:
    made = SimpleNamespace(version="4.1.1", metadata={"Requires-Python": ">=3.11.5"})
    (line,) = check.too_new({"soupsieve": made}, check.claimed_versions())
    assert line == "soupsieve 4.1.1 needs Python >=3.11.5, and pyproject.toml claims 3.11.0"


def test_what_only_another_python_requires_is_looked_at_for_that_python(resolve: ModuleType) -> None:
    chosen = [{"name": "a", "version": "1", "requires_dist": ['b>=2 ; python_version >= "3.13"', "numba"]}]
    assert list(resolve.unmet(chosen, "3.12")) == []
    (line,) = resolve.unmet(chosen, "3.13")
    assert "a requires b>=2" in line
