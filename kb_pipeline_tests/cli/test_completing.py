"""Shell completion: names from the ledger while it answers, nothing and no message otherwise."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from kb_pipeline.cli import kb
from kb_pipeline_tests.defs.conftest import Base

PAGE = "A page about something, long enough for a passage of its own."
KB = Path(sys.executable).parent / "kb"


def offered(*words: str) -> list[str]:
    """What is offered for the last of the words."""
    return [i.value for i in ShellComplete(kb, {}, "kb", "_KB_COMPLETE").get_completions(list(words[:-1]), words[-1])]


@pytest.fixture
def filled(base: Base) -> Base:
    base.write(**{"hr__annual leave": PAGE, "hr__travel": PAGE, "legal__annual report": PAGE})
    for source in ("hr", "legal"):
        base.sync(source)
    return base


def test_names_of_sources_and_documents_are_offered_while_the_ledger_answers(
    filled: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert offered("sync", "") == offered("search", "--source", "") == ["hr", "legal"]
    assert offered("sync", "hr", "l") == ["legal"]
    assert offered("history", "an") == ["annual leave.md", "annual report.md"]
    assert offered("history", "--source", "hr", "an") == ["annual leave.md"]
    assert offered("forget", "hr/") == ["hr/annual leave.md", "hr/travel.md"]
    with filled.connect() as connection:
        row = connection.execute("SELECT document_id FROM kb.document ORDER BY 1").fetchone()
    assert row
    assert offered("quarantine", "show", row[0][:12]) == [row[0]]
    assert offered("history", "no such") == []
    if shutil.which("bash"):
        assert completed_by_bash("kb history an") == ["annual\\ leave.md", "annual\\ report.md"]
    monkeypatch.setenv("KB_DATABASE_DSN", "postgresql://kb@127.0.0.1:1/kb")
    assert offered("sync", "") == ["hr"], "what kb.yaml says is known without it"
    assert offered("history", "") == []


def completed_by_bash(line: str) -> list[str]:
    """What bash has to choose from when TAB is pressed after `line`, as the documented line sets it up."""
    words = " ".join(line.split(" "))
    script = f"""
eval "$(_KB_COMPLETE=bash_source {KB})"
COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_kb_completion kb
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    environ = {**os.environ, "PATH": f"{KB.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("broken", ["limits: {seconds: -1}", "[", "sources: 3"])
def test_nothing_is_said_with_broken_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    (tmp_path / "kb.yaml").write_text(broken)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KB_CONFIG", raising=False)
    assert offered("sync", "") == offered("history", "a") == []
    assert capsys.readouterr() == ("", "")


def test_the_home_and_the_settings_named_on_the_line_are_those_that_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "other.yaml"
    config.write_text("sources: {finance: {}}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KB_DATABASE_DSN", raising=False)
    assert offered("--home", str(tmp_path), "--config", str(config), "sync", "f") == ["finance"]
