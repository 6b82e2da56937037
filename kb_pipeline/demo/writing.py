"""Renders every document of content/ into a folder; a file that already holds the right bytes is left alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from kb_pipeline.demo import docx, eml, html, pdf, xlsx
from kb_pipeline.demo.markup import read_markup

DAMAGED = "contracts/warehouse-lease-scan-damaged.pdf"
"""A file that no parser can read: so that the demo shows what quarantine looks like."""

_DAMAGED_FROM = "contracts/办公室租赁合同.pdf"
_DAMAGED_SHARE = 0.2  # less than the fonts and first objects: no page survives, so no reader can repair it


def _markdown(text: str) -> bytes:
    """Our markup is Markdown once the fields in front are gone and tables have the rule under their first row."""
    lines: list[str] = []
    for line in text.partition("\n\n")[2].splitlines():
        first_row = line.startswith("| ") and not (lines and lines[-1].startswith("|"))
        lines += [line, re.sub(r"[^|]+", " --- ", line.strip())] if first_row else [line]
    return ("\n".join(lines) + "\n").encode()


_RENDERERS: dict[str, Callable[[str], bytes]] = {
    ".docx": lambda text: docx.render(read_markup(text)),
    ".eml": lambda text: eml.render(read_markup(text)),
    ".html": lambda text: html.render(read_markup(text)),
    ".md": _markdown,
    ".pdf": lambda text: pdf.render(read_markup(text)),
    ".xlsx": lambda text: xlsx.render(read_markup(text)),
}


def contents() -> dict[str, str]:
    """Every document's markup by the path of its result ("hr/休假制度.docx"), in order of path."""
    root = resources.files(__package__).joinpath("content")
    found = {
        f"{source.name}/{item.name.removesuffix('.txt')}": item.read_text(encoding="utf-8")
        for source in root.iterdir()
        if source.is_dir()
        for item in source.iterdir()
        if item.name.endswith(".txt")
    }
    return dict(sorted(found.items()))


def render(path: str, text: str) -> bytes:
    """One document's bytes. `path` chooses the format by its ending. Raises MissingExtra for PDF without reportlab."""
    return _RENDERERS[Path(path).suffix](text)


def write_documents(folder: Path) -> dict[str, int]:
    """Write all demo documents under `folder`, a subfolder a source system; return the number of files in each.

    Running it again writes nothing: files that hold the right bytes keep their modification time.
    Raises MissingExtra when reportlab is not installed.
    """
    rendered = {path: render(path, text) for path, text in contents().items()}
    whole = rendered[_DAMAGED_FROM]
    rendered[DAMAGED] = whole[: int(len(whole) * _DAMAGED_SHARE)]
    counts: dict[str, int] = {}
    for path, data in rendered.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.read_bytes() != data:
            target.write_bytes(data)
        counts[target.parent.name] = counts.get(target.parent.name, 0) + 1
    return counts
