"""Word and PowerPoint files of 1997 to 2003: LibreOffice, where there is one, saves them as what we read."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from kb_pipeline.core.contracts import Element
from kb_pipeline.core.errors import CorruptDocument, UnsupportedFormat
from kb_pipeline.parsing.office.documents import parse_docx, parse_pptx

PROGRAMS = ("soffice", "libreoffice")


def parse_doc(data: bytes) -> list[Element]:
    """As the docx that LibreOffice makes of it."""
    return parse_docx(_saved_as(data, "doc", "docx"))


def parse_ppt(data: bytes) -> list[Element]:
    """As the pptx that LibreOffice makes of it."""
    return parse_pptx(_saved_as(data, "ppt", "pptx"))


def _saved_as(data: bytes, given: str, wanted: str) -> bytes:
    """The conversion runs as a process of its own, with a profile of its own, and ends with the worker."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise UnsupportedFormat(
            f"unsupported format: legacy Office ({given}), which LibreOffice reads, and there is none on this machine;"
            " see docs/formats.md",
            f"Install LibreOffice ({PROGRAMS[0]} on the PATH) and retry, or save it as {wanted}.",
        )
    with tempfile.TemporaryDirectory(prefix="kb-legacy-") as folder:
        source, made = Path(folder) / f"document.{given}", Path(folder) / f"document.{wanted}"
        source.write_bytes(data)
        profile = f"-env:UserInstallation={(Path(folder) / 'profile').as_uri()}"
        options = [profile, "--headless", "--norestore", "--nolockcheck", "--convert-to", wanted, "--outdir", folder]
        subprocess.run([program, *options, str(source)], capture_output=True, check=False)  # noqa: S603 - our own names
        if not made.is_file():
            raise CorruptDocument(
                f"LibreOffice cannot read the {given} file.", "Open it in its own application and save it again."
            )
        return made.read_bytes()
