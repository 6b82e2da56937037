"""Commands start at once: nothing heavy is imported before it is needed, and nothing happens at import."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import kb_pipeline

HEAVY = ("dagster", "torch", "transformers", "unstructured", "presidio_analyzer", "psycopg", "psycopg_binary", "pandas")
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(kb_pipeline.__path__, "kb_pipeline.")
    if not module.name.endswith("__main__")
)
VERBS = ("'status'", "'search', 'annual leave'", "'quarantine', 'list'", "'history', 'a'", "'plan'", "'verify'", "'gc'")
# What a module that reads something at import would meet: no environment to read, no socket to open.
WATCH = """
import importlib, os, socket, sys

class Nothing(dict):
    def _refuse(self, name, *_):
        if str(name).startswith(("KB_", "AWS_", "DAGSTER_HOME")):
            raise SystemExit(f"read {name} at import")
    def __getitem__(self, name):
        self._refuse(name)
        return super().__getitem__(name)
    def get(self, name, default=None):
        self._refuse(name)
        return super().get(name, default)

def refuse(*_, **__):
    raise SystemExit("opened a connection at import")

os.environ = Nothing(os.environ)
os.getenv = os.environ.get
socket.socket.connect = refuse
socket.getaddrinfo = refuse
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except SystemExit as error:
        print(f"{name}: {error}")
"""


def loaded_after(code: str, home: Path) -> set[str]:
    """Top-level modules in sys.modules after `code` in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "KB_HOME": str(home)},
        cwd=home,
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_the_command_line_loads_nothing_heavy(tmp_path: Path) -> None:
    assert loaded_after("import kb_pipeline.cli", tmp_path).isdisjoint(HEAVY)


@pytest.mark.parametrize("verb", VERBS)
def test_questions_never_load_dagster_or_parsers(verb: str, tmp_path: Path) -> None:
    code = f"""
import sys
from kb_pipeline.cli import main
sys.argv = ["kb", {verb}]
try:
    main()
except SystemExit:
    pass
"""
    assert loaded_after(code, tmp_path).isdisjoint({"dagster", "torch", "unstructured", "presidio_analyzer"})


def test_nothing_is_read_and_nothing_is_opened_at_import(tmp_path: Path) -> None:
    """All modules in one process: whatever one of them does at import is named with it."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *MODULES], capture_output=True, text=True, check=False, timeout=280, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert list(tmp_path.iterdir()) == []
