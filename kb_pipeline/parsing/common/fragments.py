"""Pieces of HTML inside Markdown, with lxml alone: they are few and plain, and loading unstructured takes 1.6 CPU-s."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree, html  # type: ignore[import-untyped]

from kb_pipeline.core.contracts import Element, ElementKind
from kb_pipeline.parsing.common.elements import html_rows, table_elements

_TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9-]*)")
_INSTRUCTION = re.compile(r"<\?.*?\?>", re.DOTALL)  # lxml refuses an encoding's name in text already decoded
_ALT = re.compile(r"""\balt\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_UNSEEN = frozenset(("script", "style", "template", "head", "noscript", "svg"))
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
# Elements that do not end the paragraph they stand in, and the others of HTML.
_PHRASING = (
    "a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark q ruby rb rp rt s samp small"
    " span strike strong sub sup time tt u var wbr"
)
_BLOCKS = (
    "address article aside audio blockquote body br button canvas caption center col colgroup dd details dialog div dl"
    " dt embed fieldset figcaption figure footer form frame h1 h2 h3 h4 h5 h6 header hr html iframe input legend li"
    " link main map menu meta nav object ol optgroup option p param picture pre section select source summary table"
    " tbody td textarea tfoot th thead title tr track ul video"
)
_IS_PHRASING, _IS_BLOCK = frozenset(_PHRASING.split()), frozenset(_BLOCKS.split())
_KINDS: dict[str, ElementKind] = {"li": "list_item", "dd": "list_item", "pre": "code"}


def inline_text(tag: str) -> str:
    """What one tag or comment inside a sentence is to a reader: nothing, a blank, a picture's text, or itself, as in
    `ssh <user>@<host>`: what is no tag of HTML and has no attributes is taken for a placeholder."""
    match = _TAG.match(tag)
    if match is None:
        return ""
    name = match.group(1).lower()
    if name == "img":
        alt = _ALT.search(tag)
        return html.fromstring(f"<p>{next(filter(None, alt.groups()), '')}</p>").text_content() if alt else ""
    if name in _IS_PHRASING or name in _UNSEEN:
        return ""
    return " " if name in _IS_BLOCK or "=" in tag else tag


def fragment_elements(markup: str) -> list[Element]:
    """Elements of a piece of HTML, which may be cut out of a page: unclosed and stray tags are no error."""
    if not _TAG.search(markup):
        return []
    # Without huge_tree, lxml silently leaves out what lies 256 deep.
    parser = html.HTMLParser(huge_tree=True)
    root = html.fragment_fromstring(_INSTRUCTION.sub("", markup), create_parent="div", parser=parser)
    etree.strip_elements(root, etree.Comment, etree.ProcessingInstruction, *_UNSEEN, with_tail=False)
    return list(_Walk().elements(root))


class _Walk:
    """Text gathers until a block begins or ends. Pictures alone are their texts, as in Markdown."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.pictured: list[str] = []

    def elements(self, node: etree._Element) -> Iterator[Element]:
        yield from self._inside(node, "paragraph", None)
        yield from self._flush("paragraph", None)

    def _inside(self, node: etree._Element, kind: ElementKind, level: int | None) -> Iterator[Element]:
        self.text.append(node.text or "")
        for child in node:
            name = child.tag
            if name == "img":
                self._picture(child.get("alt") or "")
            elif name == "br":
                self.text.append("\n")
            elif name in _IS_PHRASING:
                yield from self._inside(child, kind, level)
            else:
                yield from self._flush(kind, level)
                kind = "paragraph" if kind == "list_item" else kind
                yield from self._block(child)
            self.text.append(child.tail or "")

    def _block(self, node: etree._Element) -> Iterator[Element]:
        name = node.tag
        if name == "table":
            for picture in node.iter("img"):
                picture.tail = (picture.get("alt") or "") + (picture.tail or "")
            yield from table_elements(html_rows(html.tostring(node, encoding="unicode", with_tail=False)), None)
            return
        kind: ElementKind = "title" if name in _HEADINGS else _KINDS.get(name, "paragraph")
        level = int(name[1]) if name in _HEADINGS else None
        yield from self._inside(node, kind, level)
        yield from self._flush(kind, level)

    def _picture(self, text: str) -> None:
        self.pictured.append(text)
        self.text.append(text)

    def _flush(self, kind: ElementKind, level: int | None) -> Iterator[Element]:
        text, pictured = "".join(self.text), self.pictured
        self.text, self.pictured = [], []
        if pictured and kind not in ("title", "code") and "".join(text.split()) == "".join("".join(pictured).split()):
            yield from (Element(picture, "image_text") for picture in pictured)
        elif text.strip():
            yield Element(text, kind, level)
