"""E-mail: the subject as title, who wrote to whom, the body. Attachments are documents of their own and left out."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

from kb_pipeline.contracts import Element
from kb_pipeline.errors import EncryptedDocument
from kb_pipeline.parsing.decoding import decode
from kb_pipeline.parsing.text import text_elements
from kb_pipeline.parsing.web import html_elements

_ADDRESSES = ("From", "To", "Cc", "Date")
_ENCRYPTED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")


def parse_mail(data: bytes) -> list[Element]:
    """Subject, addresses with the date in one paragraph, and the HTML body, or the plain one where there is none."""
    message = email.message_from_bytes(data, policy=email.policy.default)
    if message.get_content_type() in _ENCRYPTED:
        raise EncryptedDocument("The message is encrypted.", "Save it decrypted from the mail program.")
    lines = [f"{name}: {value}" for name in _ADDRESSES if (value := _header(message, name))]
    subject = _header(message, "Subject")
    elements = [Element(subject, "title", level=1)] if subject else []
    if lines:
        elements.append(Element("; ".join(lines), "paragraph"))
    return elements + _body(message)


def _header(message: EmailMessage, name: str) -> str:
    """One header decoded; the raw text where it breaks the standard's grammar, on which the parser raises anything."""
    try:
        return str(message.get(name, "")).strip()
    except Exception:  # noqa: BLE001
        return next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), "")


def _body(message: EmailMessage) -> list[Element]:
    for kind, reader in (("html", html_elements), ("plain", text_elements)):
        part = message.get_body(preferencelist=(kind,))
        if part is not None:
            payload = part.get_payload(decode=True)
            elements = reader(decode(payload, part.get_content_charset())) if isinstance(payload, bytes) else []
            if any(element.text.strip() for element in elements):
                return elements
    return []
