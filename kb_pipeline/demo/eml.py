"""Markup to a mail message: plain text, or multipart with an html alternative (`form: multipart`)."""

from __future__ import annotations

import email.policy
from email.message import EmailMessage

from kb_pipeline.demo import html
from kb_pipeline.demo.markup import Block, Code, Heading, Items, Markup, Paragraph, Table, plain

_FIELDS = {"from": "From", "to": "To", "cc": "Cc", "subject": "Subject", "date": "Date", "id": "Message-ID"}


def render(markup: Markup) -> bytes:
    """The message with CRLF line ends. Nothing in it depends on the time: boundary and id are fixed."""
    message = EmailMessage(policy=email.policy.SMTP)
    for field, header in _FIELDS.items():
        if value := markup.fields.get(field):
            message[header] = value
    message.set_content("\n\n".join(_text(block) for block in markup.blocks) + "\n")
    if markup.fields.get("form") == "multipart":
        message.add_alternative(f"<html><body>\n{html.article(markup.blocks)}\n</body></html>\n", subtype="html")
        message.set_boundary("=-kb-demo-alternative")
    return message.as_bytes()


def _text(block: Block) -> str:
    match block:
        case Heading(_, text) | Paragraph(text) | Code(text):
            return plain(text)
        case Items(items, ordered):
            return "\n".join(
                f"{n}. {plain(item)}" if ordered else f"- {plain(item)}" for n, item in enumerate(items, 1)
            )
        case Table(rows):
            return "\n".join("  ".join(row) for row in rows)
        case _:
            return "--"
