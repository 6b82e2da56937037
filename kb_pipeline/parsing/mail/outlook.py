"""Messages saved by Outlook (msg), told as any other mail."""

from __future__ import annotations

import io

import oxmsg

from kb_pipeline.core.contracts import Element
from kb_pipeline.parsing.mail.eml import Attachment, body_elements, letter_elements


def parse_msg(data: bytes) -> list[Element]:
    """Subject, who wrote to whom, the body, and the attachments."""
    message = oxmsg.Message.load(io.BytesIO(data))
    to = ", ".join(f"{r.name} <{r.email_address}>" if r.name else r.email_address for r in message.recipients)
    sent = message.sent_date.isoformat(" ", "minutes") if message.sent_date else ""
    headers = {"From": message.sender or "", "To": to, "Date": sent}
    body = body_elements(message.html_body or "", "html") or body_elements(message.body or "", "plain")
    attachments = [Attachment(a.file_name or "", a.file_bytes or b"") for a in message.attachments]
    return letter_elements(message.subject or "", headers, body, attachments)
