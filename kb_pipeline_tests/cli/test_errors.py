"""What the command ends with and says when something is wrong: exit codes, JSON, causes with --debug."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click.testing
import pytest

from kb_pipeline import cli
from kb_pipeline.cli import kb
from kb_pipeline.pipeline.reports import IngestReport, SyncReport, no_stages
from kb_pipeline.sources.mirror import MirrorReport
from kb_pipeline_tests.e2e.workspace import KB

BRAKE = {"gone": 28, "live": 31}


class Ended(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """The whole command in this process, in a folder without settings: run(*arguments)."""
    monkeypatch.chdir(tmp_path)
    for name in ("KB_HOME", "KB_CONFIG", "KB_DATABASE_DSN", "KB_EMBEDDING_URLS"):
        monkeypatch.delenv(name, raising=False)

    def main(*arguments: str) -> Ended:
        monkeypatch.setattr("sys.argv", ["kb", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return main


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch, run: Callable[..., Ended]) -> None:
    """KB_DATABASE_DSN leads to a port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("KB_DATABASE_DSN", f"postgresql://kb:hunter2@127.0.0.1:{probe.getsockname()[1]}/kb")


@pytest.mark.usefixtures("closed")
def test_debug_keeps_exit_code_and_json_and_shows_the_cause(run: Callable[..., Ended]) -> None:
    plain, debug = run("plan", "--json"), run("--debug", "plan", "--json")
    assert plain.code == debug.code == 4
    assert plain.out == debug.out
    assert json.loads(debug.out)["error"] == "DatabaseUnavailable"
    assert "Traceback" not in plain.err
    assert "psycopg.OperationalError" in debug.err, "the cause, which the message leaves out"
    assert debug.err.endswith(plain.err), "the message and its remedy come last"


def test_debug_keeps_the_exit_code_of_a_defect(run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a sentence of a document")

    monkeypatch.setattr("kb_pipeline.knowledge_base.KnowledgeBase.status", broken)
    plain, debug = run("status", "--json"), run("--debug", "status", "--json")
    assert plain.code == debug.code == 1
    assert json.loads(debug.out) == json.loads(plain.out)
    assert json.loads(plain.out)["message"] == "Unexpected ZeroDivisionError."
    assert "sentence" not in plain.err
    assert "ZeroDivisionError: a sentence" in debug.err


def test_from_another_folder_the_message_says_where_it_looked(run: Callable[..., Ended], tmp_path: Path) -> None:
    for arguments in (("plan",), ("search", "leave")):
        ended = run(*arguments)
        assert ended.code == 4
        assert f"not running (KB_HOME is {tmp_path / '.kb'})" in ended.err
        assert "--home" in ended.err

    ended = run("status")
    assert ended.code == 0
    assert ended.out.startswith(f"KB_HOME: {tmp_path / '.kb'}\n")


def test_a_bad_port_is_a_wrong_setting(run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_DATABASE_DSN", "postgresql://kb@db.invalid:54x/kb")
    ended = run("status", "--json")
    assert (ended.code, json.loads(ended.out)["error"]) == (3, "SettingsError")


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "caf\udce9"],
        ["search", "leave", "--source", "h\udcff"],
        ["history", "\udcff.pdf"],
        ["forget", "\udcff.pdf", "--yes"],
        ["quarantine", "retry", "\udcff"],
        ["sync", "\udcff"],
        ["plan", "\udcff"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_bytes_that_are_not_utf8_are_wrong_usage(arguments: list[str]) -> None:
    done = click.testing.CliRunner().invoke(kb, arguments)
    assert done.exit_code == 2
    assert "UTF-8" in done.stderr


@pytest.mark.parametrize("line", [b'{"text": "caf\xe9"}', b'{"text": "\\ud800"}', b"[]", b'{"text": 1}'])
def test_lines_that_cannot_be_masked_are_wrong_usage(line: bytes) -> None:
    done = click.testing.CliRunner().invoke(kb, ["mask"], input=line)
    assert done.exit_code == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("failed", "brake", "code"), [([], None, 0), (["a.pdf"], None, 1), ([], BRAKE, 6)])
@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["plain", "json"])
def test_an_ingest_that_could_not_read_something_names_it_and_ends_with_1(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failed: list[str],
    brake: dict[str, int] | None,
    code: int,
    as_json: tuple[str, ...],
) -> None:
    report = IngestReport(MirrorReport(failed=failed), SyncReport("hr", listed=3, stages=no_stages(3), brake=brake))
    monkeypatch.setattr("kb_pipeline.knowledge_base.KnowledgeBase.ingest", lambda *_, **__: report)
    monkeypatch.chdir(tmp_path)
    done = click.testing.CliRunner().invoke(kb, ["ingest", str(tmp_path), "--source", "hr", *as_json])
    assert done.exit_code == code
    assert [line for line in done.stderr.splitlines() if "a.pdf" in line] == [
        f"could not be read: {name}" for name in failed
    ]
    if as_json:
        assert json.loads(done.stdout.splitlines()[0])["mirror"]["failed"] == failed


def test_a_full_disk_behind_the_output_is_said_and_has_its_exit_code() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([str(KB), "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr.count("Traceback")) == (4, 0)
    assert "No space is left" in ended.stderr
