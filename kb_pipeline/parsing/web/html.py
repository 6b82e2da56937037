"""HTML through unstructured. Titles are h1 to h6, code keeps its lines."""

from __future__ import annotations

import re

from kb_pipeline.core.contracts import Element
from kb_pipeline.parsing.bootstrap import partitioner
from kb_pipeline.parsing.common.decoding import decode
from kb_pipeline.parsing.common.elements import convert
from kb_pipeline.parsing.web.web_page import without_surroundings

_META_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
_XML_CHARSET = re.compile(rb"^\s*<\?xml[^>]+encoding\s*=\s*[\"']([\w-]+)", re.IGNORECASE)
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


def parse_html(data: bytes) -> list[Element]:
    """A web page, in its declared charset or any other."""
    head = data[:4096]
    declared = _XML_CHARSET.search(head) or _META_CHARSET.search(head)
    return html_elements(decode(data, declared.group(1).decode("ascii") if declared else None))


def html_elements(text: str) -> list[Element]:
    """Elements of HTML already decoded. Declarations of a charset are void by now and would confuse lxml."""
    text = _XML_DECLARATION.sub("", text, count=1).replace("\x00", "")
    if not text.strip():
        return []
    return convert(partitioner("html")(text=without_surroundings(text), languages=[""]))
