"""Office files of 1997 to 2003: through LibreOffice where there is one, and else with a word about it."""

import shutil
import subprocess
from pathlib import Path

import docx
import pytest

from kb_pipeline.core.errors import CorruptDocument, UnsupportedFormat
from kb_pipeline.core.media_type import DOC
from kb_pipeline.parsing import parse
from kb_pipeline.parsing.office.legacy import PROGRAMS

PROGRAM = next(filter(None, map(shutil.which, PROGRAMS)), None)
needs_libreoffice = pytest.mark.skipif(PROGRAM is None, reason="LibreOffice is not installed")


def test_without_libreoffice_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UnsupportedFormat, match="LibreOffice"):
        parse(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", DOC)


@needs_libreoffice
def test_a_doc_is_read_as_the_docx_it_would_be(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_heading("差旅制度", level=1)
    document.add_paragraph("报销在十日内提交。")
    document.save(str(tmp_path / "a.docx"))
    command = [str(PROGRAM), f"-env:UserInstallation={tmp_path.as_uri()}/profile", "--headless", "--convert-to", "doc"]
    subprocess.run([*command, "--outdir", str(tmp_path), str(tmp_path / "a.docx")], check=True, capture_output=True)
    read = [(e.kind, e.text) for e in parse((tmp_path / "a.doc").read_bytes(), DOC)]
    assert read == [("title", "差旅制度"), ("paragraph", "报销在十日内提交。")]


@needs_libreoffice
def test_what_libreoffice_cannot_read_is_corrupt() -> None:
    with pytest.raises(CorruptDocument):
        parse(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 512, DOC)
