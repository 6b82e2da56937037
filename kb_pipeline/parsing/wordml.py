"""Makes the text of a Word file reachable for python-docx, which sees only plain paragraphs, runs and tables.

Content controls, tracked insertions, fields, smart tags and text boxes hold text a reader of the document sees; without
this it would be missing from the knowledge base. So does what is written in pictures.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from lxml import etree  # type: ignore[import-untyped]

from kb_pipeline.parsing.pictures import Pictures

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
_BLIP = "{http://schemas.openxmlformats.org/drawingml/2006/main}blip"
_EMBED = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}embed"
_RELATIONS = "word/_rels/document.xml.rels"
_MARKS = (
    b"<a:blip ",
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
    root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
    _flatten(root)
    _tell_pictures(root, parts)
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


def _tell_pictures(root: etree._Element, parts: Mapping[str, bytes]) -> None:
    """A paragraph for each in a picture, after the paragraph that the picture stands in."""
    targets = {}
    if _RELATIONS in parts:
        relations = etree.fromstring(parts[_RELATIONS], etree.XMLParser(resolve_entities=False, no_network=True))
        targets = {relation.get("Id"): relation.get("Target", "") for relation in relations}
    pictures = Pictures()
    for blip in list(root.iter(_BLIP)):
        data = parts.get(f"word/{targets.get(blip.get(_EMBED), '')}")
        anchor = next(blip.iterancestors(f"{_W}p"), None)
        if data is None or anchor is None:
            continue
        for text in reversed(pictures.paragraphs(data)):
            paragraph = etree.Element(f"{_W}p")
            etree.SubElement(etree.SubElement(paragraph, f"{_W}r"), f"{_W}t").text = text
            anchor.addnext(paragraph)
