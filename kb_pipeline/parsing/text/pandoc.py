"""Formats that pandoc reads: epub, odt, rtf, rst, org. It runs as a process of its own and opens no other file."""

from __future__ import annotations

import io
import re
import subprocess
import zipfile
from dataclasses import replace
from functools import cache

import pypandoc  # type: ignore[import-untyped]

from kb_pipeline.core.contracts import Element
from kb_pipeline.core.errors import CorruptDocument
from kb_pipeline.parsing.common.container import check_package
from kb_pipeline.parsing.common.decoding import decode
from kb_pipeline.parsing.common.fragments import fragment_elements
from kb_pipeline.parsing.common.headings import without_bullet

# pandoc takes up to a hundred times the size of what it reads; the worker's own limits hold for it too. It would colour
# code, and took a minute over one line of it.
_OPTIONS = (
    "--to=html5",
    "--wrap=none",
    "--sandbox",
    "--email-obfuscation=none",
    "--eol=lf",
    "--syntax-highlighting=none",
)


# What pandoc needs for lists in lists grows with the third power of their depth: eight seconds for 320.
MOST_DEEP = 100
_CHAPTER = re.compile(rb"<(?:\w+:)?itemref\b")


def parse_epub(data: bytes) -> list[Element]:
    """A book, chapter after chapter."""
    check_package(data, "EPUB", main_part="META-INF/")
    _check_spine(data)
    return _read(data, "epub")


def _check_spine(data: bytes) -> None:
    """Raise CorruptDocument for a book that names more chapters than it has parts: pandoc reads one as often as it is
    named, and takes the square of the time."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        names = package.namelist()
        chapters = sum(len(_CHAPTER.findall(package.read(name))) for name in names if name.endswith(".opf"))
    if chapters > len(names):
        raise CorruptDocument("The EPUB file names chapters more than once.", "Open and save it again.")


def parse_odt(data: bytes) -> list[Element]:
    """A text document of LibreOffice."""
    check_package(data, "ODT", main_part="content.xml")
    return _read(data, "odt")


def parse_rtf(data: bytes) -> list[Element]:
    """Rich text, with the code page that it declares."""
    return [_as_item(element) for element in _read(data, "rtf")]


def _as_item(element: Element) -> Element:
    """RTF has no lists, only paragraphs that begin with a bullet."""
    bare = without_bullet(element.text) if element.kind == "paragraph" else element.text
    return element if bare == element.text else replace(element, text=bare, kind="list_item")


def parse_rst(data: bytes) -> list[Element]:
    """reStructuredText; files that it includes are left out."""
    return _read(_shallow(decode(data)).encode(), "rst")


def parse_org(data: bytes) -> list[Element]:
    """Org-mode; files that it includes are left out."""
    return _read(_shallow(decode(data)).encode(), "org")


def _shallow(text: str) -> str:
    """`text`, if no line of it stands further in than MOST_DEEP others. Raises CorruptDocument."""
    steps: list[int] = []
    for line in text.splitlines():
        bare = line.lstrip()
        indent = len(line) - len(bare)
        while bare and steps and steps[-1] >= indent:
            steps.pop()
        if bare:
            steps.append(indent)
        if len(steps) > MOST_DEEP:
            raise CorruptDocument("The document is nested too deeply.", "Move what stands furthest in to the left.")
    return text


def _read(data: bytes, reader: str) -> list[Element]:
    """Elements of `data` as pandoc's `reader` understands it. The call ends with the worker, which has a time limit."""
    command = [_pandoc(), f"--from={reader}", *_OPTIONS]
    done = subprocess.run(command, input=data, capture_output=True, check=False)  # noqa: S603 - no part comes from data
    if done.returncode:
        raise CorruptDocument(
            f"pandoc cannot read the {reader} file (exit code {done.returncode}).",
            "Open it in its own application and save it again.",
        )
    return fragment_elements(done.stdout.decode())


@cache
def _pandoc() -> str:
    return str(pypandoc.get_pandoc_path())
