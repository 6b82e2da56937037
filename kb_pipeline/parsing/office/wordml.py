"""Makes the text of a Word file reachable for python-docx, which sees only plain paragraphs, runs and tables.

Content controls, tracked insertions, fields, smart tags and text boxes hold text a reader of the document sees; without
this it would be missing from the knowledge base. So do pictures, charts, diagrams and notes at the foot of a page.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence

from lxml import etree  # type: ignore[import-untyped]

from kb_pipeline.parsing.office.drawings import chart_rows, chart_title, diagram_texts
from kb_pipeline.parsing.page.pictures import Pictures

_MAIN_PART = "word/document.xml"
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
# Wrappers that mean nothing to a reader: their children take their place.
_WRAPPERS = tuple(
    f"{_W}{name}" for name in ("sdtContent", "sdt", "ins", "moveTo", "smartTag", "customXml", "fldSimple")
)
# What a reader does not see: text taken out under track changes, properties, the variant for old readers.
_UNSEEN = (f"{_W}del", f"{_W}moveFrom", f"{_W}sdtPr", f"{_W}sdtEndPr", f"{_W}customXmlPr", f"{_MC}Fallback")
_TEXT_BOX = f"{_W}txbxContent"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006"
# What stands for something in another part, and the attribute that names the part.
_PICTURE, _CHART, _DIAGRAM = f"{{{_DRAWING}/main}}blip", f"{{{_DRAWING}/chart}}chart", f"{{{_DRAWING}/diagram}}relIds"
_NAMED_BY = {_PICTURE: f"{{{_OFFICE}}}embed", _CHART: f"{{{_OFFICE}}}id", _DIAGRAM: f"{{{_OFFICE}}}dm"}
_NOTES = {f"{_W}{kind}Reference": (f"word/{kind}s.xml", f"{_W}{kind}") for kind in ("footnote", "endnote")}
_RELATIONS = "word/_rels/document.xml.rels"
_MARGINS = re.compile(r"word/(?:header|footer)\d*\.xml")
_MARKS = (
    b"<a:blip ",
    b"<c:chart ",
    b"<dgm:relIds ",
    b"<w:footnoteReference ",
    b"<w:endnoteReference ",
    b"<w:sdt",
    b"<w:ins ",
    b"<w:move",
    b"<w:smartTag",
    b"<w:customXml",
    b"<w:fldSimple",
    b"<w:txbxContent",
)


def flatten(data: bytes) -> bytes:
    """The same package with plain paragraphs only; `data` itself when there is nothing to do."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        if _MAIN_PART not in package.namelist():
            return data
        body = package.read(_MAIN_PART)
        if not any(mark in body for mark in _MARKS):
            return data
        parts = {entry.filename: package.read(entry) for entry in package.infolist()}
    root = _root(body)
    _flatten(root)
    _tell_other_parts(root, parts)
    parts[_MAIN_PART] = etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w") as package:
        for name, content in parts.items():
            package.writestr(name, content)
    return copy.getvalue()


def _flatten(root: etree._Element) -> None:
    for control in root.findall(f".//{_W}sdt"):
        if any("Table of Contents" in gallery.get(f"{_W}val", "") for gallery in control.iter(f"{_W}docPartGallery")):
            control.getparent().remove(control)  # generated from the headings, which are there already
    etree.strip_elements(root, *_UNSEEN, with_tail=False)
    etree.strip_tags(root, *_WRAPPERS)
    # From the last to the first, so that boxes of one paragraph keep their order and inner ones leave outer ones first.
    for box in reversed(list(root.iter(_TEXT_BOX))):
        anchor = next(box.iterancestors(f"{_W}p"), None)
        if anchor is not None:
            for block in reversed(box):
                anchor.addnext(block)
        box.getparent().remove(box)


def _tell_other_parts(root: etree._Element, parts: Mapping[str, bytes]) -> None:
    """Paragraphs and tables for what stands in other parts, after the paragraph that refers to it."""
    targets = _targets(parts[_RELATIONS]) if _RELATIONS in parts else {}
    pictures = Pictures()
    tellers: Mapping[str, Callable[[bytes], Iterable[etree._Element]]] = {
        _PICTURE: lambda part: map(_paragraph, pictures.paragraphs(part)),
        _CHART: _chart,
        _DIAGRAM: lambda part: map(_paragraph, diagram_texts(part)),
    }
    notes = {kind: _notes(parts[name], tag) for kind, (name, tag) in _NOTES.items() if name in parts}
    told: dict[etree._Element, list[etree._Element]] = {}
    for node in root.iter(*tellers, *notes):
        anchor = next(node.iterancestors(f"{_W}p"), None)
        if anchor is None:
            continue
        blocks: Iterable[etree._Element] = ()
        if node.tag in notes:
            blocks = map(_paragraph, notes[node.tag].get(node.get(f"{_W}id"), ()))
        elif part := parts.get(targets.get(node.get(_NAMED_BY[node.tag]), "")):
            blocks = tellers[node.tag](part)
        told.setdefault(anchor, []).extend(blocks)
    for anchor, found in told.items():
        for block in reversed(found):
            anchor.addnext(block)


def _targets(relations: bytes) -> dict[str, str]:
    """The names of parts by the ids under which the main part knows them."""
    return {one.get("Id"): posixpath.normpath(f"word/{one.get('Target', '')}") for one in _root(relations)}


def _notes(part: bytes, tag: str) -> dict[str, list[str]]:
    """The paragraphs of each note by its id."""
    return {note.get(f"{_W}id"): _texts(note) for note in _root(part).iter(tag)}


def _texts(node: etree._Element) -> list[str]:
    told = ("".join(text.text or "" for text in p.iter(f"{_W}t")).strip() for p in node.iter(f"{_W}p"))
    return [text for text in told if text]


def _chart(part: bytes) -> Iterable[etree._Element]:
    title, rows = chart_title(part), chart_rows(part)
    return [*([_paragraph(title)] if title else []), *([_table(rows)] if rows else [])]


def _paragraph(text: str) -> etree._Element:
    paragraph = etree.Element(f"{_W}p")
    etree.SubElement(etree.SubElement(paragraph, f"{_W}r"), f"{_W}t").text = text
    return paragraph


def _table(rows: Sequence[Sequence[str]]) -> etree._Element:
    table = etree.Element(f"{_W}tbl")
    etree.SubElement(table, f"{_W}tblPr")
    grid = etree.SubElement(table, f"{_W}tblGrid")
    for _ in rows[0]:
        etree.SubElement(grid, f"{_W}gridCol")
    for row in rows:
        line = etree.SubElement(table, f"{_W}tr")
        for cell in row:
            etree.SubElement(line, f"{_W}tc").append(_paragraph(cell))
    return table


def margin_texts(data: bytes) -> list[str]:
    """What stands in page headers and footers, each text once: all there is to some forms and letterheads."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        parts = [package.read(name) for name in sorted(package.namelist()) if _MARGINS.fullmatch(name)]
    return list(dict.fromkeys(text for part in parts for text in _texts(_root(part))))


def _root(part: bytes) -> etree._Element:
    return etree.fromstring(part, etree.XMLParser(resolve_entities=False, no_network=True))
