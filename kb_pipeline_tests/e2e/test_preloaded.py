"""What stands in for the script `kb` in these tests does what the script does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kb_pipeline_tests.e2e.workspace import KB, Workspace

COMMANDS = (["--version"], ["status"], ["search", "annual leave", "--json"], ["nonsense"], ["history", "nowhere.md"])


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_exit_code_and_output_are_those_of_the_script(workspace: Workspace, arguments: list[str]) -> None:
    script = subprocess.run(
        [str(KB), *arguments],
        env=workspace.variables(),
        cwd=workspace.home,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    done = workspace.kb(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (script.returncode, script.stdout, script.stderr)


def test_a_command_that_hangs_is_ended_and_said(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        workspace.kb("status", timeout=0.01, cwd=tmp_path)
