"""Writing the demo's documents: three sources, the same bytes every time, nothing written twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kb_pipeline.core.errors import MissingExtra
from kb_pipeline.demo import DAMAGED, write_documents
from kb_pipeline.demo.__main__ import main


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_counts_are_those_of_the_files_on_disk(tmp_path: Path) -> None:
    counts = write_documents(tmp_path)
    assert counts == {source.name: len(list(source.iterdir())) for source in tmp_path.iterdir()}
    assert set(counts) == {"hr", "contracts", "wiki"}
    assert sum(counts.values()) >= 30


def test_every_format_of_the_demo_is_there(documents: Path) -> None:
    assert {path.suffix for path in documents.rglob("*.*")} == {".docx", ".md", ".pdf", ".html", ".eml", ".xlsx"}


def test_another_process_writes_the_same_bytes(documents: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "kb_pipeline.demo", str(tmp_path)], check=True, capture_output=True)
    assert _bytes(tmp_path) == _bytes(documents)


def test_writing_again_touches_no_file(documents: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in documents.rglob("*")}
    write_documents(documents)
    assert {path: path.stat().st_mtime_ns for path in documents.rglob("*")} == before


def test_an_edited_file_is_put_right(tmp_path: Path, documents: Path) -> None:
    write_documents(tmp_path)
    (tmp_path / "hr" / "remote-work.md").write_text("edited", encoding="utf-8")
    write_documents(tmp_path)
    assert _bytes(tmp_path) == _bytes(documents)


def test_no_file_is_large(documents: Path) -> None:
    assert max(path.stat().st_size for path in documents.rglob("*.*")) < 200_000


def test_the_damaged_file_is_a_pdf_by_its_first_bytes(documents: Path) -> None:
    assert (documents / DAMAGED).read_bytes().startswith(b"%PDF-")


def test_without_reportlab_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reportlab.pdfbase", None)
    with pytest.raises(MissingExtra) as caught:
        write_documents(tmp_path)
    assert caught.value.remedy == "pip install 'kb-pipeline[demo]'"
    assert not list(tmp_path.iterdir())


def test_the_command_wants_one_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
