"""What reads beside our parser in the benchmarks lives in an environment of its own, and may be missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.quality import reading
from benchmarks.quality.__main__ import _shown
from benchmarks.quality.scoring import Score
from benchmarks.reading_peer import environment


def test_an_environment_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(environment.PYTHON, str(tmp_path / "python"))
    with pytest.raises(environment.PeerMissing, match="FileNotFoundError"):
        environment.answers("texts", [tmp_path / "one.pdf"])


def test_an_environment_without_the_library_is_named_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.PYTHON, sys.executable)
    monkeypatch.setattr(environment, "_READ", Path("absent.py"))
    with pytest.raises(environment.PeerMissing, match=r"absent\.py"):
        environment.answers("texts", [])


def test_an_environment_that_was_built_from_these_requirements_is_not_built_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(environment.PYTHON, raising=False)
    monkeypatch.setattr(environment, "FOLDER", tmp_path)
    (tmp_path / ".built-with").write_text(environment.built_from())
    assert environment.python() == tmp_path / "bin" / "python"


def test_the_table_says_why_the_other_has_no_score() -> None:
    assert _shown("no tesseract") == ("no tesseract", "-")
    assert _shown(Score(0.5, 0.25)) == ("0.500", "0.250")


@pytest.mark.parametrize("absent", [None, *reading.PEERS_OCR])
def test_scans_are_asked_only_where_all_that_reads_them_is_installed(
    monkeypatch: pytest.MonkeyPatch, absent: str | None
) -> None:
    monkeypatch.setattr(reading.shutil, "which", lambda tool: None if tool == absent else f"/usr/bin/{tool}")
    monkeypatch.setattr(reading, "answers", lambda ask, paths: dict.fromkeys(paths, ask))
    text, scans = Path("a.pdf"), [Path("a.scanned.pdf"), Path("a.tiff")]
    assert list(reading.peer_texts([text, *scans])) == [text, *([] if absent else scans)]


def test_answers_are_those_of_the_other_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "read.py"
    other.write_text("import json, sys\njson.dump({path: sys.argv[1] for path in json.load(sys.stdin)}, sys.stdout)\n")
    monkeypatch.setenv(environment.PYTHON, sys.executable)
    monkeypatch.setattr(environment, "_READ", other)
    assert environment.answers("texts", [tmp_path / "年报.pdf"]) == {tmp_path / "年报.pdf": "texts"}
