"""Markup to html as a wiki serves it: site header, navigation and footer around the article."""

from __future__ import annotations

import re
from html import escape

from kb_pipeline.demo.markup import Block, Code, Heading, Items, Markup, PageBreak, Paragraph, Table

_PAGE = """<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<title>{title}</title>
</head>
<body>
<header><a href="/">Engineering Wiki</a> <form action="/search"><input name="q"></form></header>
<nav><ul><li><a href="/runbooks">Runbooks</a></li><li><a href="/services">Services</a></li>\
<li><a href="/standards">Standards</a></li></ul></nav>
<main>
<article>
{body}
</article>
</main>
<footer>{footer}</footer>
</body>
</html>
"""


def render(markup: Markup) -> bytes:
    """The document as an html page in UTF-8."""
    return _PAGE.format(
        language="zh-CN" if markup.chinese else "en",
        title=escape(markup.title),
        body=article(markup.blocks),
        footer=escape(markup.fields.get("footer", "")),
    ).encode()


def article(blocks: tuple[Block, ...]) -> str:
    """The blocks alone, without the page around them."""
    return "\n".join(_html(block) for block in blocks)


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def _html(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level}>{_inline(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{_inline(text)}</p>"
        case Items(items, ordered):
            tag = "ol" if ordered else "ul"
            return f"<{tag}>" + "".join(f"<li>{_inline(item)}</li>" for item in items) + f"</{tag}>"
        case Table(rows):
            head = "".join(f"<th>{_inline(cell)}</th>" for cell in rows[0])
            body = "\n".join(
                "<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:]
            )
            return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
        case Code(text):
            return f"<pre><code>{escape(text, quote=False)}</code></pre>"
        case PageBreak():
            return "<hr>"
