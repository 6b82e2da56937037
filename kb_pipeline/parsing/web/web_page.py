"""A web page made ready for reading: what surrounds every page of a site is taken out, cells over several rows and
columns are put where they are seen."""

from __future__ import annotations

from lxml import etree, html  # type: ignore[import-untyped]

from kb_pipeline.parsing.common.spanning_cells import MOST_ADDED, spread

# What HTML has for it, and what sites older than that say by roles (WAI-ARIA).
_AROUND = (
    "//nav | //*[@role='navigation' or @role='banner' or @role='contentinfo' or @role='search']"
    " | //*[self::header or self::footer][not(ancestor::article or ancestor::section or ancestor::main)]"
)
_HEADINGS = ".//h1 | .//h2"
# What unstructured leaves out though a reader sees it, and as what it is read: captions, folded passages, and pages
# that are one form as a whole.
_SHOWN_AS = {"figure": "div", "figcaption": "p", "details": "div", "summary": "p", "form": "div", "label": "span"}
_SURROUNDS = ("<nav", "<header", "<footer", "role=", "<main")
_MARKS = (*_SURROUNDS, "rowspan", "colspan", "<caption", *(f"<{name}" for name in _SHOWN_AS))


def without_surroundings(markup: str) -> str:
    """`markup` without navigation and the site's header and footer; headings in a header stay. As it is when it has
    nothing that is changed here."""
    lower = markup.lower()
    if not any(mark in lower for mark in _MARKS):
        return markup
    root = html.document_fromstring(markup, parser=html.HTMLParser(huge_tree=True))
    main = root.find(".//main")  # unstructured reads nothing else where there is one
    for around in root.xpath(_AROUND):
        if around.getparent() is None:
            continue
        headings = around.xpath(_HEADINGS)
        for place, heading in enumerate(headings):
            heading.tail = None
            if main is None or main in around.iterancestors():
                around.addprevious(heading)
            else:
                main.insert(place, heading)
        around.drop_tree()
    if main is not None:
        for heading in [one for one in root.iter("h1") if main not in one.iterancestors()]:
            heading.tail = None
            main.insert(0, heading)
    for shown in list(root.iter(*_SHOWN_AS)):
        shown.tag = _SHOWN_AS[shown.tag]
    for caption in list(root.iterfind(".//table/caption")):
        caption.tag, caption.tail = "p", None
        caption.getparent().addprevious(caption)
    room = MOST_ADDED
    for table in root.iter("table"):
        room = spread(table, room)
    return str(etree.tostring(root, encoding="unicode", method="html"))
