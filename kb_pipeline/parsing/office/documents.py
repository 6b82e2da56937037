"""Word and PowerPoint files, through unstructured, after a look at the container."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import docx

from kb_pipeline.core.contracts import Element
from kb_pipeline.parsing.bootstrap import partitioner
from kb_pipeline.parsing.common.container import as_plain, check_ole, check_ooxml
from kb_pipeline.parsing.common.elements import convert
from kb_pipeline.parsing.office.wordml import flatten, margin_texts

# What a main part is called with macros, or as a template, and as what the libraries take it.
_WORD = (
    re.compile(
        rb"application/vnd\.(?:ms-word\.(?:document|template)\.macroEnabled(?:Template)?|openxmlformats-officedocument"
        rb"\.wordprocessingml\.template)\.main\+xml"
    ),
    b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
)
_POWERPOINT = (
    re.compile(rb"application/vnd\.openxmlformats-officedocument\.presentationml\.template\.main\+xml"),
    b"application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml",
)


def parse_docx(data: bytes) -> list[Element]:
    """Titles by paragraph style: Heading 1 is level 1, or level 2 in a document with a Title. Pages only where Word
    recorded its page breaks. Of a document without any text: its page headers and footers, or else its properties."""
    check_ooxml(data, main_part="word/")
    plain = flatten(as_plain(data, _WORD))
    elements = convert(partitioner("docx")(file=io.BytesIO(plain), languages=[""]))
    if not any(element.text.strip() for element in elements):
        return [Element(text, "paragraph") for text in margin_texts(plain) or _properties(plain)]
    return _below_title(elements, _titles(plain))


def _properties(data: bytes) -> list[str]:
    """What its author wrote down about a document. Programs sign in the field for comments: that one is left out."""
    written = docx.Document(io.BytesIO(data)).core_properties
    return [text for text in (written.title, written.subject, written.keywords) if text]


def _titles(data: bytes) -> set[str]:
    """Texts in the style Title, which unstructured takes for Heading 1."""
    paragraphs = docx.Document(io.BytesIO(data)).paragraphs
    return {paragraph.text.strip() for paragraph in paragraphs if paragraph.style and paragraph.style.name == "Title"}


def _below_title(elements: list[Element], titles: set[str]) -> list[Element]:
    """All other headings a level down, where a text in the style Title stands above them."""
    if not any(element.kind == "title" and element.text.strip() in titles for element in elements):
        return elements
    return [
        replace(element, level=(element.level or 1) + 1)
        if element.kind == "title" and element.text.strip() not in titles
        else element
        for element in elements
    ]


def parse_pptx(data: bytes) -> list[Element]:
    """The title placeholder of a slide is level 1; the page is the number of the slide, which charts and notes end.
    Small pictures are read only where there is nothing else."""
    from kb_pipeline.parsing.office.slides import left_out, with_left_out, with_merged_cells
    from kb_pipeline.parsing.page.pictures import Pictures

    check_ooxml(data, main_part="ppt/")
    data = with_merged_cells(as_plain(data, _POWERPOINT))
    elements = convert(partitioner("pptx")(file=io.BytesIO(data), languages=[""]))
    return with_left_out(elements, left_out(data)) or with_left_out([], left_out(data, Pictures(icons=True)))


def parse_ole(data: bytes) -> list[Element]:
    """Never elements: raises what an OLE2 file is here, see container.check_ole."""
    check_ole(data)
    return []
