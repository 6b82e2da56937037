"""HTML through unstructured, Markdown through HTML. Titles are h1 to h6 and #, code keeps its lines."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

from kb_pipeline.contracts import Element
from kb_pipeline.parsing.bootstrap import partitioner
from kb_pipeline.parsing.decoding import decode
from kb_pipeline.parsing.elements import convert

# As GitHub renders it. Python-Markdown, which unstructured uses, loses code blocks and tables inside lists. The nesting
# allowed by default, 20, is less than 10 lists deep.
_MARKDOWN = MarkdownIt("commonmark", {"maxNesting": 100}).enable("table")
_META_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
_XML_CHARSET = re.compile(rb"^\s*<\?xml[^>]+encoding\s*=\s*[\"']([\w-]+)", re.IGNORECASE)
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)


def parse_html(data: bytes) -> list[Element]:
    """A web page, in its declared charset or any other."""
    head = data[:4096]
    declared = _XML_CHARSET.search(head) or _META_CHARSET.search(head)
    return html_elements(decode(data, declared.group(1).decode("ascii") if declared else None))


def html_elements(text: str) -> list[Element]:
    """Elements of HTML already decoded. Declarations of a charset are void by now and would confuse lxml."""
    text = _XML_DECLARATION.sub("", text, count=1).replace("\x00", "")
    return convert(partitioner("html")(text=text, languages=[""])) if text.strip() else []


def parse_markdown(data: bytes) -> list[Element]:
    """A Markdown file; YAML front matter becomes one paragraph, not a heading."""
    text = decode(data).replace("\r\n", "\n").replace("\x00", "")
    matter = _FRONT_MATTER.match(text)
    elements = [Element(matter.group(1), "paragraph")] if matter else []
    body = text[matter.end() :] if matter else text
    return elements + html_elements(_MARKDOWN.render(body))
